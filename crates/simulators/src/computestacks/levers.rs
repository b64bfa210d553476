//! What only this simulator can be told: users, switches, subscriptions, tokens. Each command is a
//! method of the handle and a command of the control API, and both do the same.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ComputeStacks;
use super::access::UserSeed;
use super::mode::Mode;
use crate::control::{Levers, Refusal, read};
use crate::simulator::Simulator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscriptions {
    count: u32,
}

impl Simulator<ComputeStacks> {
    /// The switches as they stand.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.provider().world().mode.clone()
    }

    /// Sets every switch.
    pub fn set_mode(&self, mode: Mode) {
        self.provider().world().mode = mode;
    }

    /// Adds a user, or gives the one of that name another password and rank, and unlocks it.
    ///
    /// # Errors
    /// The username cannot stand in Basic; then nothing changes.
    pub fn put_user(&self, seed: UserSeed) -> Result<(), String> {
        self.provider().put_user(seed)
    }

    /// Makes every token that was given invalid.
    pub fn revoke_tokens(&self) {
        self.provider().world().access.revoke();
    }

    /// Lets so many subscriptions use a product, which forbids its deletion.
    ///
    /// # Errors
    /// There is no such product.
    pub fn subscribe(&self, product: i64, count: u32) -> Result<(), String> {
        self.provider().subscribe(product, count)
    }
}

impl ComputeStacks {
    pub(super) fn put_user(&self, seed: UserSeed) -> Result<(), String> {
        if seed.username.is_empty() || seed.username.contains(':') {
            return Err(format!("the username {:?} cannot stand in Basic", seed.username));
        }
        self.world().access.put(seed);
        Ok(())
    }

    fn subscribe(&self, product: i64, count: u32) -> Result<(), String> {
        let mut world = self.world();
        let found = world.present.products.get_mut(&product);
        let found = found.ok_or_else(|| format!("no product {product}"))?;
        found.subscriptions = count;
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

impl Levers for ComputeStacks {
    fn pull(&self, command: &str, body: &Bytes) -> Option<Result<Value, Refusal>> {
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let done = |()| json!({});
        if let Some(told) = self.obey_person(command, body) {
            return Some(told);
        }
        let product = command.strip_prefix("POST /products/");
        if let Some(id) = product.and_then(|rest| rest.strip_suffix("/subscriptions")) {
            let Ok(id) = id.parse() else { return None };
            let missing = |reason| Refusal::new(StatusCode::NOT_FOUND, reason);
            let set = read(body).and_then(|Subscriptions { count }| {
                self.subscribe(id, count).map(done).map_err(missing)
            });
            return Some(set);
        }
        match command {
            "POST /users" => {
                let put = read(body).and_then(|seed| self.put_user(seed).map_err(bad));
                Some(put.map(done))
            }
            "GET /users" => {
                let world = self.world();
                Some(Ok(world.access.told(&world.mode)))
            }
            "DELETE /tokens" => {
                self.world().access.revoke();
                Some(Ok(json!({})))
            }
            "POST /mode" => Some(self.patch_mode(body)),
            "GET /mode" => Some(Ok(json!(self.world().mode))),
            _ => None,
        }
    }
}
