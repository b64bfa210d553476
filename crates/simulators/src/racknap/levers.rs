//! What only this simulator can be told: accounts, plans, switches, and what was made elsewhere. Each
//! command is a method of the handle and a command of the control API, and both do the same.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::RackNap;
use super::account::AccountSeed;
use super::catalog::PlanSeed;
use super::mode::Mode;
use super::state::{Record, Service};
use crate::control::{Levers, Refusal, read};
use crate::money::Cents;
use crate::simulator::Simulator;

/// A service that somebody made through the upstream's own pages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    /// Whose; the account's name.
    account: String,
    planid: i64,
}

impl Simulator<RackNap> {
    /// The switches as they stand.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.provider().world().mode.clone()
    }

    /// Sets every switch.
    pub fn set_mode(&self, mode: Mode) {
        self.provider().world().mode = mode;
    }

    /// Adds an account, or changes the one with the same token.
    ///
    /// # Errors
    /// It cannot be an account; then nothing changes.
    pub fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        self.provider().world().put_account(seed)
    }

    /// Adds a plan, or changes the one with the same number.
    ///
    /// # Errors
    /// It cannot be a plan; then nothing changes.
    pub fn put_plan(&self, plan: PlanSeed) -> Result<(), String> {
        self.provider().put_plan(plan)
    }

    /// Every service, by number.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        self.provider().services()
    }

    /// Makes a service as somebody would through the upstream's own pages, and answers its number.
    ///
    /// # Errors
    /// There is no such account, or the ledger failed.
    pub fn make_service(&self, account: &str, planid: i64) -> Result<i64, String> {
        self.provider().make_service(account, planid)
    }
}

impl RackNap {
    fn put_plan(&self, plan: PlanSeed) -> Result<(), String> {
        plan.check()?;
        self.world().plans.insert(plan.planid, plan);
        Ok(())
    }

    fn services(&self) -> Vec<Service> {
        let now = self.rig.clock.now();
        self.world().services(now)
    }

    fn make_service(&self, account: &str, planid: i64) -> Result<i64, String> {
        let moment = self.moment();
        let today = moment.now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let mut world = self.world();
        let seed = world.accounts.iter().find(|seed| seed.name == account).cloned();
        let seed = seed.ok_or_else(|| format!("no account {account:?}"))?;
        let cycle = || "One Time".to_owned();
        let record = Record {
            customer_id: seed.customers.first().copied().unwrap_or_default(),
            pid: 0,
            planid,
            quantity: 1,
            slserverid: None,
            serverid: 0,
            regdate: today,
            nextduedate: today,
            billingcycle: cycle(),
            plan_billing_cycle: cycle(),
            amount: Cents::ZERO,
            recuring_amount: Cents::ZERO,
            first_plan_price: Cents::ZERO,
            recuring_plan_price: Cents::ZERO,
            firstpayment: Cents::ZERO,
        };
        let made = world.create(moment, &seed, record, String::new());
        made.map(|service| service.serviceid).map_err(|refusal| refusal.message)
    }

    /// Whose accounts there are. Tokens are not told.
    fn names(&self) -> Value {
        let world = self.world();
        let told = world.accounts.iter().map(|account| {
            json!({
                "name": account.name,
                "currency": account.currency,
                "locked": account.locked,
                "expires": account.expires,
            })
        });
        told.collect()
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

impl Levers for RackNap {
    fn pull(&self, command: &str, body: &Bytes) -> Option<Result<Value, Refusal>> {
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let done = |()| json!({});
        Some(match command {
            "POST /accounts" => {
                read(body).and_then(|seed| self.world().put_account(seed).map_err(bad)).map(done)
            }
            "GET /accounts" => Ok(self.names()),
            "POST /plans" => read(body).and_then(|plan| self.put_plan(plan).map_err(bad)).map(done),
            "POST /mode" => self.patch_mode(body),
            "GET /mode" => Ok(json!(self.world().mode)),
            "GET /services" => Ok(json!(self.services())),
            "POST /services" => read(body).and_then(|Made { account, planid }| {
                let made = self.make_service(&account, planid).map_err(bad);
                made.map(|serviceid| json!({ "serviceid": serviceid }))
            }),
            _ => return None,
        })
    }
}
