//! What only this simulator can be told: accounts, switches, the status of an order, and that
//! somebody agrees to a consumer key. Each command is a method of the handle and a command of the
//! control API, and both do the same.

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Ovh;
use super::account::AccountSeed;
use super::mode::Mode;
use super::order::WORDS;
use crate::control::{Levers, Refusal, read};
use crate::simulator::Simulator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusCommand {
    status: String,
}

impl Simulator<Ovh> {
    /// The switches as they stand.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.provider().world().mode.clone()
    }

    /// Sets every switch.
    pub fn set_mode(&self, mode: Mode) {
        self.provider().world().mode = mode;
    }

    /// Adds an account, or changes means, currency, rules and lock of the one with the same
    /// application key.
    ///
    /// # Errors
    /// The seed does not hold together; then nothing changes.
    pub fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        self.provider().put_account(seed)
    }

    /// When a service ends now.
    #[must_use]
    pub fn expires(&self, service: i64) -> Option<Timestamp> {
        let ovh = self.provider();
        let mut world = ovh.world();
        world.settle(ovh.moment().now);
        world.services.get(&service).map(|service| service.expires)
    }

    /// Puts an order into a status and holds it there.
    ///
    /// # Errors
    /// There is no such order or status, or the order is not paid and the status says it is.
    pub fn set_status(&self, order: i64, status: &str) -> Result<(), String> {
        self.provider().set_status(order, status).map_err(|refusal| refusal.reason)
    }

    /// Somebody agrees to what a consumer key was asked for.
    ///
    /// # Errors
    /// There is no such key.
    pub fn validate(&self, consumer_key: &str) -> Result<(), String> {
        self.provider().validate(consumer_key).map_err(|refusal| refusal.reason)
    }
}

impl Ovh {
    pub(super) fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        let now = self.moment().now;
        self.world().put_account(seed, now)
    }

    fn set_status(&self, id: i64, status: &str) -> Result<(), Refusal> {
        let bad = |status, reason: String| Refusal::new(status, reason);
        let Some(word) = WORDS.into_iter().find(|word| *word == status) else {
            return Err(bad(StatusCode::BAD_REQUEST, format!("no status {status:?}")));
        };
        let now = self.moment().now;
        let mut world = self.world();
        world.settle(now);
        let Some(order) = world.orders.get_mut(&id) else {
            return Err(bad(StatusCode::NOT_FOUND, format!("no order {id}")));
        };
        let needs_payment =
            matches!(word, "checking" | "delivering" | "delivered" | "documentsRequested");
        if needs_payment && order.paid.is_none() {
            // Delivering what was never paid would be a sale that no ledger knows.
            return Err(bad(StatusCode::CONFLICT, format!("order {id} is not paid")));
        }
        order.held = Some(word);
        world.settle(now);
        Ok(())
    }

    fn validate(&self, consumer_key: &str) -> Result<(), Refusal> {
        let mut world = self.world();
        let found = world.credentials.iter_mut().find(|one| one.consumer_key == consumer_key);
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "no such consumer key");
        found.ok_or_else(missing)?.pending = false;
        Ok(())
    }

    /// Changes the switches that a command names.
    fn patch_mode(&self, body: &Bytes) -> Result<Value, Refusal> {
        let changes: Map<String, Value> = read(body)?;
        let bad =
            |error: serde_json::Error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string());
        let mut world = self.world();
        let mut switches = serde_json::to_value(&world.mode).map_err(bad)?;
        if let Value::Object(switches) = &mut switches {
            switches.extend(changes);
        }
        world.mode = serde_json::from_value(switches.clone()).map_err(bad)?;
        Ok(switches)
    }
}

impl Levers for Ovh {
    fn pull(&self, command: &str, body: &Bytes) -> Option<Result<Value, Refusal>> {
        let done = |()| json!({});
        let order = command.strip_prefix("POST /orders/");
        if let Some(id) = order.and_then(|rest| rest.strip_suffix("/status")) {
            let Ok(id) = id.parse() else { return None };
            let put = read(body)
                .and_then(|StatusCommand { status }| self.set_status(id, &status).map(done));
            return Some(put);
        }
        if let Some(answer) = self.pull_person(command, body) {
            return Some(answer);
        }
        let key = command.strip_prefix("POST /credentials/");
        if let Some(key) = key.and_then(|rest| rest.strip_suffix("/validate")) {
            return Some(self.validate(key).map(done));
        }
        match command {
            "POST /accounts" => {
                let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
                let put = read(body).and_then(|seed| self.put_account(seed).map_err(bad));
                Some(put.map(done))
            }
            "POST /mode" => Some(self.patch_mode(body)),
            "GET /mode" => Some(Ok(json!(self.world().mode))),
            _ => None,
        }
    }
}
