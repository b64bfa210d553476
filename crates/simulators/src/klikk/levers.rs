//! What only this simulator can be told: accounts, switches, payments and the status of an order. Each
//! command is a method of the handle and a command of the control API, and both do the same.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Klikk;
use super::account::AccountSeed;
use super::mode::Mode;
use super::order::Status;
use crate::control::{Levers, Refusal, patched, read};
use crate::money::Cents;
use crate::simulator::Simulator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusCommand {
    status: u16,
    message: String,
    /// Only this item of the order.
    #[serde(default)]
    item: Option<u64>,
}

impl Simulator<Klikk> {
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
    /// The token or the login is none; then nothing changes.
    pub fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        self.provider().put_account(seed)
    }

    /// What the account with this token can spend.
    #[must_use]
    pub fn credit(&self, account_token: &str) -> Option<Cents> {
        let world = self.provider().world();
        let account = world.accounts.iter().find(|it| it.account_token == account_token);
        account.map(|account| account.credit)
    }

    /// Pays the invoice of an order.
    ///
    /// # Errors
    /// There is no such order, or nothing is due.
    pub fn pay(&self, order: u64) -> Result<(), String> {
        self.provider().pay(order).map_err(|refusal| refusal.reason)
    }

    /// Puts an order, or one item of it, into a status and holds it there.
    ///
    /// # Errors
    /// There is no such order or item.
    pub fn set_status(
        &self,
        order: u64,
        item: Option<u64>,
        status: u16,
        message: &str,
    ) -> Result<(), String> {
        let held = Status::new(status, message);
        self.provider().hold(order, item, held).map_err(|refusal| refusal.reason)
    }
}

impl Klikk {
    pub(super) fn put_account(&self, seed: AccountSeed) -> Result<(), String> {
        seed.check()?;
        let mut world = self.world();
        let known = world.accounts.iter_mut().find(|it| it.account_token == seed.account_token);
        match known {
            Some(account) => *account = seed,
            None => world.accounts.push(seed),
        }
        Ok(())
    }

    fn pay(&self, order: u64) -> Result<(), Refusal> {
        let mut world = self.world();
        let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "ledger");
        let paid = world.pay(self.moment(), order).map_err(failed)?;
        let conflict = || Refusal::new(StatusCode::CONFLICT, format!("order {order} is not due"));
        paid.then_some(()).ok_or_else(conflict)
    }

    fn hold(&self, order: u64, item: Option<u64>, status: Status) -> Result<(), Refusal> {
        let missing = || Refusal::new(StatusCode::NOT_FOUND, format!("no order {order}"));
        let mut world = self.world();
        let found = world.orders.get_mut(&order).ok_or_else(missing)?;
        match item {
            None => found.held = Some(status),
            Some(id) => {
                let item = found.items.iter_mut().find(|item| item.id == id);
                item.ok_or_else(missing)?.held = Some(status);
            }
        }
        Ok(())
    }

    /// Who has how much. Tokens and logins are not told.
    fn balances(&self) -> Value {
        let world = self.world();
        let told = world.accounts.iter();
        told.map(|account| json!({ "profile": account.profile, "credit": account.credit }))
            .collect()
    }

    fn order_command(&self, id: u64, command: &str, body: &Bytes) -> Option<Result<(), Refusal>> {
        match command {
            "pay" => Some(self.pay(id)),
            "status" => Some(read(body).and_then(|StatusCommand { status, message, item }| {
                self.hold(id, item, Status::new(status, &message))
            })),
            _ => None,
        }
    }
}

impl Levers for Klikk {
    fn pull(&self, command: &str, body: &Bytes) -> Option<Result<Value, Refusal>> {
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, reason);
        let done = |()| json!({});
        if let Some((id, command)) =
            command.strip_prefix("POST /orders/").and_then(|rest| rest.split_once('/'))
        {
            let id = id.parse().ok()?;
            return Some(self.order_command(id, command, body)?.map(done));
        }
        match command {
            "POST /accounts" => {
                let put = read(body).and_then(|seed| self.put_account(seed).map_err(bad));
                Some(put.map(done))
            }
            "GET /accounts" => Some(Ok(self.balances())),
            "POST /mode" => Some(patched(&self.mode_now(), body).map(|mode: Mode| {
                self.world().mode = mode;
                json!(self.mode_now())
            })),
            "GET /mode" => Some(Ok(json!(self.mode_now()))),
            _ => None,
        }
    }
}

impl Klikk {
    fn mode_now(&self) -> Mode {
        self.world().mode.clone()
    }
}
