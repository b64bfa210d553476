//! What only this simulator can be told: accounts, switches, the status of an order, that an order
//! vanishes, and what a person does through the upstream's own pages: buy, pay, rename and cancel. Each
//! command is a method of the handle and a command of the control API, and both do the same.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Klikk;
use super::account::AccountSeed;
use super::actions::VPS;
use super::mode::Mode;
use super::order::{Hidden, Item, Status};
use super::state::{Asked, Wanted};
use crate::control::{Levers, Refusal, patched, read};
use crate::money::Cents;
use crate::simulator::Simulator;

/// What a person pays for a server: no price of a call has such hundredths.
const PERSONS_PRICE: Cents = Cents::new(10_001);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusCommand {
    status: u16,
    message: String,
    /// Only this item of the order.
    #[serde(default)]
    item: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurchaseCommand {
    account_token: String,
    names: Vec<String>,
    #[serde(default)]
    ahead_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenameCommand {
    name: String,
    /// Only this item of the order.
    #[serde(default)]
    item: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelCommand {
    /// Only this item of the order.
    #[serde(default)]
    item: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VanishCommand {
    /// So many reads; without it for good.
    #[serde(default)]
    reads: Option<u64>,
    /// The order's servers too.
    #[serde(default)]
    servers: bool,
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

    /// A person buys a server of each of these names, in an order that is dated so far ahead. Returns
    /// the order.
    ///
    /// # Errors
    /// There is no such account.
    pub fn person_buys(
        &self,
        account_token: &str,
        names: &[&str],
        ahead: Duration,
    ) -> Result<u64, String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let bought = self.provider().buy(account_token, names, ahead);
        bought.map_err(|refusal| refusal.reason)
    }

    /// A person gives the items of an order, or one of them, another name.
    ///
    /// # Errors
    /// There is no such order or item.
    pub fn person_renames(&self, order: u64, item: Option<u64>, name: &str) -> Result<(), String> {
        self.provider().rename(order, item, name).map_err(|refusal| refusal.reason)
    }

    /// A person cancels an order, or one item of it.
    ///
    /// # Errors
    /// There is no such order or item.
    pub fn person_cancels(&self, order: u64, item: Option<u64>) -> Result<(), String> {
        self.provider().cancel(order, item).map_err(|refusal| refusal.reason)
    }

    /// Makes an order vanish from order_status and order_list, for so many reads or for good, and its
    /// servers with it if `servers`.
    ///
    /// # Errors
    /// There is no such order.
    pub fn vanish(&self, order: u64, reads: Option<u64>, servers: bool) -> Result<(), String> {
        let hidden = Hidden { reads, servers };
        self.provider().hide(order, hidden).map_err(|refusal| refusal.reason)
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
            None => {
                let (place, old_order) = (world.accounts.len(), seed.old_order);
                world.accounts.push(seed);
                if old_order {
                    world.put_old_order(self.rig.clock.now(), place);
                }
            }
        }
        Ok(())
    }

    fn buy(&self, token: &str, names: Vec<String>, ahead: Duration) -> Result<u64, Refusal> {
        let mut world = self.world();
        let place = world.accounts.iter().position(|it| it.account_token == token);
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "no such account");
        let place = place.ok_or_else(missing)?;
        let item = |reference: String| Wanted {
            product: VPS.to_owned(),
            reference,
            amount: PERSONS_PRICE,
        };
        let items = names.into_iter().map(item).collect();
        let asked = Asked { items, fingerprint: String::new(), person: Some(ahead) };
        let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "ledger");
        world.take(self.moment(), place, asked).map_err(failed)
    }

    fn rename(&self, order: u64, item: Option<u64>, name: &str) -> Result<(), Refusal> {
        let mut world = self.world();
        let order = world.orders.get_mut(&order).ok_or_else(|| missing(order))?;
        let (id, wanted) = (order.id, |it: &&mut Item| item.is_none_or(|item| item == it.id));
        let mut renamed = 0;
        for item in order.items.iter_mut().filter(wanted) {
            name.clone_into(&mut item.reference);
            renamed += 1;
        }
        if renamed == 0 { Err(missing(id)) } else { Ok(()) }
    }

    fn cancel(&self, order: u64, item: Option<u64>) -> Result<(), Refusal> {
        let cancelled = self.world().cancel(self.rig.clock.now(), order, item);
        cancelled.then_some(()).ok_or_else(|| missing(order))
    }

    fn hide(&self, order: u64, hidden: Hidden) -> Result<(), Refusal> {
        let mut world = self.world();
        let found = world.orders.get_mut(&order).ok_or_else(|| missing(order))?;
        found.hidden = Some(hidden);
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
        let missing = || missing(order);
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
            "rename" => Some(
                read(body).and_then(|RenameCommand { name, item }| self.rename(id, item, &name)),
            ),
            "cancel" => Some(read(body).and_then(|CancelCommand { item }| self.cancel(id, item))),
            "vanish" => Some(read(body).and_then(|VanishCommand { reads, servers }| {
                self.hide(id, Hidden { reads, servers })
            })),
            _ => None,
        }
    }
}

fn missing(order: u64) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("no order {order}, or no such item of it"))
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
            "POST /orders" => Some(read(body).and_then(|command| {
                let PurchaseCommand { account_token, names, ahead_ms } = command;
                let bought = self.buy(&account_token, names, Duration::from_millis(ahead_ms));
                bought.map(|order| json!({ "order_id": order }))
            })),
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
