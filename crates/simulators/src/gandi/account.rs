//! An account: who it is, what it owns and what it can pay. It must not decide prices.

use std::collections::{BTreeMap, VecDeque};

use dxr::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::fault_code::{Cause, GandiFault, Object};
use super::product::{Product, Term};
use super::xmlrpc::{string, structure};
use crate::money::Cents;

/// What one share grants, as recorded in 2011.
const SHARE: [(&str, f64); 6] = [
    ("servers", 1.0),
    ("bandwidth", 5120.0),
    ("memory", 256.0),
    ("cores", 0.25),
    ("slots", 0.667),
    ("disk", 8192.0),
];

/// The resources an account is told about.
const RESOURCES: [&str; 8] =
    ["shares", "servers", "ips", "bandwidth", "memory", "cores", "slots", "disk"];

/// The upstream's limit: so many calls in so many seconds.
const CALLS: usize = 30;
const CALLS_SECONDS: i64 = 2;

/// One account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) api_key: String,
    pub(super) handle: String,
    pub(super) id: i32,
    pub(super) full_name: String,
    pub(super) currency: String,
    pub(super) prepaid: Cents,
    /// Billed by credits: it has no products, and calls on them answer nil.
    pub(super) rating: bool,
    pub(super) credits: i32,
    pub(super) products: Vec<Product>,
    /// What its servers use, by resource.
    pub(super) used: BTreeMap<String, f64>,
    recent_calls: VecDeque<Timestamp>,
}

/// What an account begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSeed {
    /// 24 lower-case letters and digits.
    pub api_key: String,
    /// The owner's name upstream.
    pub handle: String,
    /// The number of the account.
    pub id: i32,
    /// Free text.
    pub full_name: String,
    /// EUR, USD or GBP.
    pub currency: String,
    /// What can be spent.
    pub prepaid: Cents,
    /// Billed by credits, in the later model.
    pub rating: bool,
    /// Credits left, in the later model.
    pub credits: i32,
    /// What servers use, by resource: `shares`, `servers`, `ips`, `bandwidth` (kbit/s), `memory`
    /// (MB), `cores`, `slots`, `disk` (MB).
    pub used: BTreeMap<String, f64>,
    /// Begin with the two products that cost nothing which recorded accounts hold.
    pub free_products: bool,
    /// Begin with one operation of long ago: a month of one share, which is over.
    pub old_operation: bool,
}

impl Default for AccountSeed {
    /// The recorded account, with its balance from the documents and an API key of our own.
    fn default() -> Self {
        Self {
            api_key: "abcdefghijklmnopqrstuvwx".to_owned(),
            handle: "AB3917-GANDI".to_owned(),
            id: 58757,
            full_name: "Example Owner".to_owned(),
            currency: "EUR".to_owned(),
            prepaid: Cents::new(133_742),
            rating: false,
            credits: 0,
            used: BTreeMap::new(),
            free_products: true,
            old_operation: true,
        }
    }
}

impl Account {
    /// An account as its seed says; `next_product` numbers its products.
    pub(super) fn new(seed: AccountSeed, now: Timestamp, next_product: &mut i32) -> Self {
        let mut products = Vec::new();
        if seed.free_products {
            let free = [("shares_fixed", 12, Term::Year), ("ips", 4, Term::Month)];
            for (name, quantity, term) in free {
                let (id, name) = (*next_product, name.to_owned());
                products.push(Product { id, name, quantity, term, created: now, end: None });
                *next_product += 1;
            }
        }
        Self {
            api_key: seed.api_key,
            handle: seed.handle,
            id: seed.id,
            full_name: seed.full_name,
            currency: seed.currency,
            prepaid: seed.prepaid,
            rating: seed.rating,
            credits: seed.credits,
            products,
            used: seed.used,
            recent_calls: VecDeque::new(),
        }
    }

    /// Counts a call against the limit.
    /// Assumption: beyond it the upstream answers a fault, and refused calls count too.
    pub(super) fn count_call(&mut self, now: Timestamp) -> Result<(), GandiFault> {
        let recent = |time: &Timestamp| now.duration_since(*time).as_secs() < CALLS_SECONDS;
        self.recent_calls.retain(recent);
        self.recent_calls.push_back(now);
        if self.recent_calls.len() > CALLS {
            let detail = format!("more than {CALLS} requests in {CALLS_SECONDS} seconds");
            return Err(GandiFault::caller(Object::Account, Cause::QuotaReached, detail));
        }
        Ok(())
    }

    /// Whether servers need part of what `quantity` of `product` grants.
    pub(super) fn needs(&self, product: &Product, quantity: i32, now: Timestamp) -> bool {
        let grant = grants(&product.name, quantity);
        RESOURCES.iter().any(|resource| {
            let granted: f64 = self.granted(resource, now);
            let lost = grant.get(resource).copied().unwrap_or_default();
            lost > 0.0 && self.used(resource) > granted - lost
        })
    }

    /// What hosting.account.info answers.
    pub(super) fn value(&self, now: Timestamp, zone: &TimeZone, rating: bool) -> Value {
        let mut members = BTreeMap::from([
            ("handle".to_owned(), string(self.handle.as_str())),
            ("fullname".to_owned(), string(self.full_name.as_str())),
            ("id".to_owned(), Value::Integer(self.id)),
            ("products".to_owned(), Value::Nil),
            ("share_definition".to_owned(), Value::Nil),
            ("resources".to_owned(), self.resources(now, rating)),
        ]);
        if rating {
            members.insert("rating_enabled".to_owned(), Value::Boolean(true));
            members.insert("credits".to_owned(), Value::Integer(self.credits));
            members.insert("date_credits_expiration".to_owned(), Value::Nil);
            members.insert("average_credit_cost".to_owned(), Value::Nil);
        } else {
            members.insert("products".to_owned(), self.products(now, zone));
            let share = SHARE.map(|(name, amount)| (name.to_owned(), number(amount)));
            members.insert("share_definition".to_owned(), Value::Struct(share.into()));
        }
        Value::Struct(members)
    }

    /// What contact.balance and contact.info answer.
    pub(super) fn contact(&self) -> Value {
        structure([
            ("handle", string(self.handle.as_str())),
            ("id", Value::Integer(self.id)),
            ("fullname", string(self.full_name.as_str())),
            (
                "prepaid",
                structure([
                    ("amount", string(self.prepaid.to_string())),
                    ("currency", string(self.currency.as_str())),
                    ("id", Value::Integer(self.id)),
                ]),
            ),
        ])
    }

    fn products(&self, now: Timestamp, zone: &TimeZone) -> Value {
        let there = self.products.iter().filter(|product| product.is_there(now));
        let value = |product: &Product| {
            product.value(now, zone, self.needs(product, product.quantity, now))
        };
        Value::Array(there.map(value).collect())
    }

    fn resources(&self, now: Timestamp, rating: bool) -> Value {
        let table = |amount: &dyn Fn(&str) -> Value| {
            let entry = |name: &str| (name.to_owned(), amount(name));
            if rating { Value::Nil } else { Value::Struct(RESOURCES.map(entry).into()) }
        };
        // In recorded answers one resource is a double here and an int there.
        structure([
            ("available", table(&|name| number(self.granted(name, now) - self.used(name)))),
            ("granted", table(&|name| Value::Double(self.granted(name, now)))),
            ("used", table(&|name| number(self.used(name)))),
            ("expired", if rating { Value::Nil } else { Value::Struct(BTreeMap::new()) }),
        ])
    }

    fn granted(&self, resource: &str, now: Timestamp) -> f64 {
        let there = self.products.iter().filter(|product| product.is_there(now));
        let grant = |product: &Product| {
            grants(&product.name, product.quantity).get(resource).copied().unwrap_or_default()
        };
        there.map(grant).sum()
    }

    fn used(&self, resource: &str) -> f64 {
        self.used.get(resource).copied().unwrap_or_default()
    }
}

/// What a quantity of a product grants, by resource.
/// Assumption: one unit of cores, disk, memory or ips is one unit of the resource of that name.
fn grants(name: &str, quantity: i32) -> BTreeMap<&'static str, f64> {
    let quantity = f64::from(quantity);
    if matches!(name, "shares" | "shares_fixed") {
        let parts = SHARE.map(|(resource, amount)| (resource, amount * quantity));
        let mut grants = BTreeMap::from(parts);
        grants.insert("shares", quantity);
        return grants;
    }
    let named = RESOURCES.into_iter().filter(|resource| *resource == name);
    named.map(|resource| (resource, quantity)).collect()
}

/// An int where the number is whole and fits, else a double.
fn number(amount: f64) -> Value {
    let whole = amount.fract() == 0.0 && amount.abs() < f64::from(i32::MAX);
    // The cast is exact: the number is whole and within i32.
    if whole { Value::Integer(amount as i32) } else { Value::Double(amount) }
}
