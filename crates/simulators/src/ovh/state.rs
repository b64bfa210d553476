//! The whole state of the simulated upstream, and what time changes in it by itself: paid orders are
//! delivered, and services that were to be deleted at their end are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::account::{Account, AccountSeed};
use super::auth::Credential;
use super::mode::Mode;
use super::order::{Line, Order, Paid};
use super::service::{Service, Stage};
use crate::ledger::{Kind, Ledger, LedgerError, Sale};
use crate::money::Cents;

/// Where numbers begin: that of the guide's example, so that examples look alike.
const FIRST_ORDER: i64 = 123_456_789;
const FIRST_CREDENTIAL: i64 = 900_001;

/// Everything the upstream knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) mode: Mode,
    pub(super) accounts: Vec<Account>,
    pub(super) credentials: Vec<Credential>,
    pub(super) services: BTreeMap<i64, Service>,
    pub(super) orders: BTreeMap<i64, Order>,
    /// Orders that are still to be delivered, which most never are again.
    undelivered: BTreeSet<i64>,
    /// Services that are to be deleted when they end.
    pub(super) ending: BTreeSet<i64>,
    /// When each consumer key asked lately; only kept while requests are limited.
    pub(super) asked: BTreeMap<String, VecDeque<Timestamp>>,
    pub(super) queries: u64,
    next_order: i64,
}

/// The moment of a call and where its sales are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) ledger: &'a Ledger,
}

impl World {
    /// An empty world. Numbers go on after those a ledger names already, so that a restart does not
    /// give two orders the same one.
    pub(super) fn new(mode: Mode, ledger: &Ledger) -> Self {
        let entries = ledger.entries();
        let named = entries.iter().filter_map(|entry| entry.sale.operation_id.parse::<i64>().ok());
        Self {
            mode,
            accounts: Vec::new(),
            credentials: Vec::new(),
            services: BTreeMap::new(),
            orders: BTreeMap::new(),
            undelivered: BTreeSet::new(),
            ending: BTreeSet::new(),
            asked: BTreeMap::new(),
            queries: 0,
            next_order: named.max().map_or(FIRST_ORDER, |last| last + 1).max(FIRST_ORDER),
        }
    }

    /// Adds an account, or changes the one with the same application key: its means, its currency,
    /// its rules and its lock become the seed's, its services stay.
    pub(super) fn put_account(&mut self, seed: AccountSeed, now: Timestamp) -> Result<(), String> {
        if seed.application_key.is_empty() || seed.consumer_key.is_empty() {
            return Err("an account needs an application key and a consumer key".to_owned());
        }
        let known =
            self.accounts.iter().position(|one| one.application_key == seed.application_key);
        let position = known.unwrap_or(self.accounts.len());
        if known.is_none() {
            for service in seed.services {
                let service = Service::new(service, position)?;
                if self.services.contains_key(&service.id) {
                    return Err(format!("there is a service {} already", service.id));
                }
                self.services.insert(service.id, service);
            }
        }
        let credential = Credential {
            id: self.next_credential(),
            consumer_key: seed.consumer_key,
            application_key: seed.application_key.clone(),
            rules: seed.rules,
            created: now,
            pending: false,
        };
        self.credentials.retain(|one| one.consumer_key != credential.consumer_key);
        self.credentials.push(credential);
        let account = Account {
            nichandle: seed.nichandle,
            application_key: seed.application_key,
            application_secret: seed.application_secret,
            currency: seed.currency,
            locked: seed.locked,
            means: seed.means,
        };
        match self.accounts.get_mut(position) {
            Some(present) => *present = account,
            None => self.accounts.push(account),
        }
        Ok(())
    }

    pub(super) fn next_credential(&self) -> i64 {
        let last = self.credentials.iter().map(|one| one.id).max();
        last.map_or(FIRST_CREDENTIAL, |last| last + 1)
    }

    /// The number that the next order will have.
    pub(super) fn upcoming_order(&self) -> i64 {
        self.next_order
    }

    /// Keeps an order. It costs nothing until it is paid.
    pub(super) fn take(&mut self, order: Order) {
        self.next_order = order.id + 1;
        self.undelivered.insert(order.id);
        self.orders.insert(order.id, order);
    }

    /// Moves everything on to this moment.
    pub(super) fn settle(&mut self, now: Timestamp) {
        let Self { mode, services, orders, undelivered, .. } = self;
        undelivered.retain(|id| {
            let Some(order) = orders.get_mut(id) else { return false };
            if !order.moves_ends(now, mode) {
                return true;
            }
            for id in order.services.iter().filter(|id| !order.cancelled.contains(id)) {
                if let Some(service) = services.get_mut(id) {
                    service.extend(order.months);
                }
            }
            false
        });
        for id in &self.ending {
            if let Some(service) = self.services.get_mut(id).filter(|one| now >= one.expires) {
                service.resource = Stage::resting("deleted");
            }
        }
    }

    /// The services of an order, as it tells of them.
    pub(super) fn lines<'a>(&'a self, order: &'a Order) -> Vec<Line<'a>> {
        let of = |(id, amount): (&i64, &Cents)| {
            let service = self.services.get(id)?;
            let Service { name, service_type, plan, .. } = service;
            Some(Line { name, service_type, plan, amount: *amount })
        };
        order.services.iter().zip(&order.amounts).filter_map(of).collect()
    }

    /// Takes the money of an order.
    pub(super) fn pay(
        &mut self,
        moment: Moment<'_>,
        order: &Order,
        paid: Paid,
        fingerprint: Option<&str>,
    ) -> Result<(), LedgerError> {
        self.record(moment, Kind::OrderPaid, order, fingerprint)?;
        if let Some(order) = self.orders.get_mut(&order.id) {
            order.paid = Some(paid);
        }
        Ok(())
    }

    /// Records what became of an order. Without the fingerprint of a request a person did it.
    pub(super) fn record(
        &self,
        moment: Moment<'_>,
        kind: Kind,
        order: &Order,
        fingerprint: Option<&str>,
    ) -> Result<(), LedgerError> {
        let ids: Vec<String> = order.services.iter().map(i64::to_string).collect();
        let names: Vec<&str> = self.lines(order).iter().map(|line| line.name).collect();
        let account = self.accounts.get(order.account);
        let sale = Sale {
            account: account.map(|it| it.nichandle.clone()).unwrap_or_default(),
            kind,
            operation_id: order.id.to_string(),
            product_id: Some(ids.join(",")),
            product_name: names.join(","),
            quantity: 1,
            duration: Some(order.duration.to_owned()),
            amount: order.with_tax(),
            currency: account.map(|it| it.currency.clone()).unwrap_or_default(),
            fingerprint: fingerprint.unwrap_or_default().to_owned(),
            person: fingerprint.is_none(),
        };
        moment.ledger.append(moment.now, vec![sale])
    }
}
