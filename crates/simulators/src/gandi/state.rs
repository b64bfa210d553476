//! The whole state of the simulated upstream, and the two places where it changes by itself: an
//! order is taken, and time moves operations on. Every sale passes through here, and the ledger
//! has it before the state does.

use std::collections::BTreeMap;

use dxr::Value;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::account::{Account, AccountSeed};
use super::catalog::Catalog;
use super::fault_code::{Cause, GandiFault, Object};
use super::mode::{Mode, ShortCredit};
use super::operation::{Action, Operation, Order, Step, later};
use super::product::{Offer, Product, Term};
use crate::ledger::{Ledger, Sale};
use crate::money::Cents;

/// Where ids begin: those of recorded answers, so that examples look alike.
const FIRST_PRODUCT: i32 = 11_153;
const FIRST_OPERATION: i32 = 637_366;

/// How long ago an account's operation of long ago was made.
const OLD: SignedDuration = SignedDuration::from_hours(24 * 400);

/// Everything the upstream knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) mode: Mode,
    pub(super) zone: TimeZone,
    pub(super) catalog: Catalog,
    pub(super) accounts: Vec<Account>,
    pub(super) operations: BTreeMap<i32, Operation>,
    /// Set while a person acts: how what they order is dated.
    pub(super) person: Option<Person>,
    /// What operations that are DONE have done, and does not show yet; the oldest first.
    effects: Vec<Effect>,
    next_operation: i32,
    next_product: i32,
}

/// Somebody who acts at the upstream itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Person {
    /// The date that their operation shows, where it is not the true one.
    pub(super) dated: Option<Timestamp>,
}

/// What an operation does to an account's products.
#[derive(Debug)]
struct Effect {
    account: usize,
    order: Order,
    at: Timestamp,
}

/// The moment of a call and where its sales are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) ledger: &'a Ledger,
}

impl Moment<'_> {
    fn record(&self, sale: Sale) -> Result<(), GandiFault> {
        let written = self.ledger.append(self.now, vec![sale]);
        written.map_err(|error| GandiFault::internal(format!("ledger: {error}")))
    }
}

impl World {
    /// An empty world. Ids go on after those a ledger names already, so that a restart does not
    /// give two sales the same id.
    pub(super) fn new(mode: Mode, ledger: &Ledger) -> Result<Self, String> {
        let zone = mode.zone()?;
        let entries = ledger.entries();
        let after = |ids: &mut dyn Iterator<Item = &String>, first: i32| {
            ids.filter_map(|id| id.parse::<i32>().ok()).max().map_or(first, |last| last + 1)
        };
        let operations = &mut entries.iter().map(|entry| &entry.sale.operation_id);
        let products = &mut entries.iter().filter_map(|entry| entry.sale.product_id.as_ref());
        Ok(Self {
            mode,
            zone,
            catalog: Catalog::default(),
            accounts: Vec::new(),
            operations: BTreeMap::new(),
            person: None,
            effects: Vec::new(),
            next_operation: after(operations, FIRST_OPERATION).max(FIRST_OPERATION),
            next_product: after(products, FIRST_PRODUCT).max(FIRST_PRODUCT),
        })
    }

    /// Adds an account, or tops up the one with the same API key: its balance, use and switches
    /// become the seed's, its products stay.
    pub(super) fn put_account(&mut self, seed: AccountSeed, now: Timestamp) {
        let known = self.accounts.iter_mut().find(|account| account.api_key == seed.api_key);
        match known {
            Some(account) => {
                account.prepaid = seed.prepaid;
                account.rating = seed.rating;
                account.credits = seed.credits;
                account.used = seed.used;
            }
            None => {
                let old = seed.old_operation;
                self.accounts.push(Account::new(seed, now, &mut self.next_product));
                if old {
                    self.put_old_operation(now);
                }
            }
        }
    }

    /// Gives the account that was added last an operation of long ago. Its numbers are below all that
    /// are sold here, and no ledger knows it.
    fn put_old_operation(&mut self, now: Timestamp) {
        let account = self.accounts.len() - 1;
        let back = i32::try_from(account).unwrap_or(0) + 1;
        let (id, product_id) = (FIRST_OPERATION - back, FIRST_PRODUCT - back);
        let created = now.checked_sub(OLD).unwrap_or(Timestamp::MIN);
        let order = Order {
            action: Action::Add,
            product_id,
            product_name: Offer::Shares.name().to_owned(),
            quantity: 1,
            term: Some(Term::Month),
            amount: Cents::ZERO,
            fingerprint: String::new(),
            person: false,
        };
        let mut operation = Operation::new(id, account, order, created);
        operation.move_to(Step::Done, created);
        self.operations.insert(id, operation);
    }

    /// Takes an order: charges it and makes its operation.
    ///
    /// Assumption: the prepaid balance goes down when the operation is made, not when it is done.
    pub(super) fn take(
        &mut self,
        moment: Moment<'_>,
        position: usize,
        order: Order,
    ) -> Result<Value, GandiFault> {
        let id = self.next_operation;
        let account = self.accounts.get_mut(position).ok_or_else(Self::no_account)?;
        let covered = account.prepaid >= order.amount;
        if !covered && self.mode.short_credit == ShortCredit::Fault {
            return Err(short_of(order.amount, account));
        }
        if covered {
            moment.record(order.sale(id, account, None))?;
            account.prepaid -= order.amount;
        }
        self.next_operation += 1;
        if order.action == Action::Add {
            self.next_product += 1;
        }
        let dated = self.person.and_then(|person| person.dated);
        let operation =
            Operation { paid: covered, dated, ..Operation::new(id, position, order, moment.now) };
        let value = operation.value(account, moment.now, &self.mode, &self.zone);
        self.operations.insert(id, operation);
        Ok(value)
    }

    /// The id a product gets that is ordered now.
    pub(super) fn upcoming_product(&self) -> i32 {
        self.next_product
    }

    /// Lets time move every open operation to where it should be.
    pub(super) fn settle(&mut self, moment: Moment<'_>) -> Result<(), GandiFault> {
        let open = self.operations.values().filter(|operation| !operation.step.is_final());
        let open: Vec<i32> = open.map(|operation| operation.id).collect();
        for id in open {
            self.bill(moment, id)?;
            let Some(operation) = self.operations.get(&id) else { continue };
            let (step, at) = operation.due(moment.now, &self.mode);
            if step != operation.step {
                self.reach(moment, id, step, at)?;
            }
        }
        self.show_effects(moment.now);
        Ok(())
    }

    /// Lets those effects show whose time has come.
    fn show_effects(&mut self, now: Timestamp) {
        let lag = self.mode.effect_lag_ms;
        for Effect { account, order, at } in
            self.effects.extract_if(.., |effect| later(effect.at, lag) <= now)
        {
            if let Some(account) = self.accounts.get_mut(account) {
                fulfil(account, &order, at, &self.zone);
            }
        }
    }

    /// Charges an operation that is stuck in BILL, once the balance covers it.
    fn bill(&mut self, moment: Moment<'_>, id: i32) -> Result<(), GandiFault> {
        let Some(operation) = self.operations.get_mut(&id) else { return Ok(()) };
        let account = self.accounts.get_mut(operation.account).ok_or_else(Self::no_account)?;
        if !operation.paid && !operation.held && account.prepaid >= operation.order.amount {
            moment.record(operation.order.sale(id, account, None))?;
            account.prepaid -= operation.order.amount;
            operation.paid = true;
            operation.billed = moment.now;
        }
        Ok(())
    }

    /// Brings an operation to a step, with what that step entails: DONE changes the products,
    /// CANCEL gives back what was paid. ERROR gives nothing back.
    /// Assumption: money lost to an ERROR is returned by the upstream's staff, not by its API.
    pub(super) fn reach(
        &mut self,
        moment: Moment<'_>,
        id: i32,
        step: Step,
        at: Timestamp,
    ) -> Result<(), GandiFault> {
        let operation = self.operations.get(&id).ok_or_else(not_found)?;
        let (position, order) = (operation.account, operation.order.clone());
        let account = self.accounts.get(position).ok_or_else(Self::no_account)?;
        let refund = match step {
            Step::Done => self.refund_of_deletion(account, &order, at),
            Step::Cancel if operation.paid => order.amount,
            _ => Cents::ZERO,
        };
        if refund > Cents::ZERO {
            let sale = order.sale(id, account, Some(refund));
            moment.record(Sale { person: sale.person || self.person.is_some(), ..sale })?;
        }
        if let Some(account) = self.accounts.get_mut(position) {
            account.prepaid += refund;
        }
        if step == Step::Done {
            self.effects.push(Effect { account: position, order, at });
            self.show_effects(moment.now);
        }
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.move_to(step, at);
        }
        Ok(())
    }

    /// What a deletion gives back: the unused part of the last term, for shares only.
    fn refund_of_deletion(&self, account: &Account, order: &Order, at: Timestamp) -> Cents {
        let product = account.products.iter().find(|product| product.id == order.product_id);
        let offer = Offer::of_name(&order.product_name);
        let (Some(product), Some(Offer::Shares), Action::Delete) = (product, offer, order.action)
        else {
            return Cents::ZERO;
        };
        let paid =
            self.catalog.total(&account.currency, Offer::Shares, product.term, product.quantity);
        let (ahead, whole) = product.remaining(at, &self.zone);
        // A quantity without a price was never sold, so nothing comes back for it.
        paid.map_or(Cents::ZERO, |paid| paid.share(ahead, whole))
    }

    fn no_account() -> GandiFault {
        GandiFault::internal("account is gone")
    }
}

/// The fault for an operation that is not there, or is somebody else's.
pub(super) fn not_found() -> GandiFault {
    GandiFault::caller(Object::Operation, Cause::NotFound, "operation does not exist")
}

/// The fault for a purchase that the balance does not cover.
pub(super) fn short_of(amount: Cents, account: &Account) -> GandiFault {
    let detail = format!("{amount} {} needed, {} left", account.currency, account.prepaid);
    GandiFault::caller(Object::Prepaid, Cause::NotEnoughMoney, detail)
}

/// Does to the account's products what an order said.
fn fulfil(account: &mut Account, order: &Order, at: Timestamp, zone: &TimeZone) {
    let existing = account.products.iter_mut().find(|product| product.id == order.product_id);
    match (order.action, existing) {
        (Action::Add, _) => {
            let term = order.term.unwrap_or(Term::Month);
            account.products.push(Product {
                id: order.product_id,
                name: order.product_name.clone(),
                quantity: order.quantity,
                term,
                created: at,
                end: Some(super::calendar::add_months(at, term.months(), zone)),
            });
        }
        (Action::Renew, Some(product)) => {
            product.extend(order.term.unwrap_or(product.term), zone);
        }
        (Action::Update, Some(product)) => product.quantity = order.quantity,
        (Action::Delete, _) => account.products.retain(|product| product.id != order.product_id),
        // What was deleted meanwhile cannot be renewed or changed.
        (Action::Renew | Action::Update, None) => {}
    }
}
