//! The whole state of the simulated controller. Every change of the catalogue passes through the
//! ledger before the state has it.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::access::Access;
use super::answer::{Refusal, errors};
use super::billing::Plan;
use super::mode::Mode;
use super::product::Product;
use crate::ledger::{Entry, Kind, Ledger, Sale};
use crate::money::Cents;
use crate::rig::Rig;
use crate::server::Request;

/// A billing plan that is there from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSeed {
    /// Its name.
    pub name: String,
    /// `hour` or `month`.
    pub term: String,
}

impl Default for PlanSeed {
    fn default() -> Self {
        Self { name: "default".to_owned(), term: "month".to_owned() }
    }
}

/// Everything the controller knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) mode: Mode,
    pub(super) access: Access,
    /// What is there.
    pub(super) present: Catalogue,
    /// What was there before each change that is not shown yet, and when it was changed.
    earlier: Vec<(Timestamp, Catalogue)>,
    /// The names of the regions, the first with identifier 1.
    pub(super) regions: Vec<String>,
    pub(super) next: Next,
    /// The identifiers of deleted products, which come back where the mode says so.
    pub(super) deleted: Vec<(Timestamp, i64)>,
    /// Beginning of the five minutes that requests are counted in, and their number.
    window: (i64, u32),
}

/// Products and what they are sold by.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    pub(super) products: BTreeMap<i64, Product>,
    pub(super) plans: BTreeMap<i64, Plan>,
}

/// The next identifier of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) product: i64,
    pub(super) package: i64,
    pub(super) plan: i64,
    pub(super) resource: i64,
    pub(super) phase: i64,
    pub(super) price: i64,
}

/// The moment of a call and where what it changes is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) ledger: &'a Ledger,
}

/// What a line of the ledger says of a change of the catalogue.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) kind: Kind,
    /// What was made or changed.
    pub(super) id: i64,
    pub(super) product: i64,
    pub(super) label: String,
    pub(super) currency: String,
    pub(super) by: By<'a>,
}

/// Who changes something.
#[derive(Clone, Copy, Debug)]
pub(super) struct By<'a> {
    pub(super) user: &'a str,
    /// In the controller's panel, and not over the API.
    pub(super) person: bool,
}

impl Moment<'_> {
    /// Writes a change down. Catalogues cost nothing, so every amount is nothing.
    pub(super) fn record(&self, change: Change<'_>, request: &Request) -> Result<(), Refusal> {
        let sale = Sale {
            account: change.by.user.to_owned(),
            kind: change.kind,
            operation_id: change.id.to_string(),
            product_id: Some(change.product.to_string()),
            product_name: change.label,
            quantity: 1,
            duration: None,
            amount: Cents::ZERO,
            currency: change.currency,
            fingerprint: fingerprint(request),
            person: change.by.person,
        };
        let written = self.ledger.append(self.now, vec![sale]);
        written.map_err(|error| errors(StatusCode::INTERNAL_SERVER_ERROR, [error.to_string()]))
    }
}

fn fingerprint(request: &Request) -> String {
    let mut hash = Sha256::new();
    hash.update(request.method.as_str());
    hash.update(&request.path);
    hash.update(&request.body);
    hex::encode(hash.finalize())
}

impl World {
    /// A catalogue with one old product, where `old_product` says so. Identifiers go on after those a ledger names already, so that a restart
    /// does not give two products the same.
    pub(super) fn new(
        mode: Mode,
        regions: Vec<String>,
        (seeds, old_product): (Vec<PlanSeed>, bool),
        rig: &Rig,
    ) -> Self {
        let entries = rig.ledger.entries();
        let after = |id: fn(&Entry) -> Option<&String>| {
            let ids = entries.iter().filter_map(id).filter_map(|id| id.parse::<i64>().ok());
            ids.max().unwrap_or(0) + 1
        };
        let old = old_product.then(|| old_product_of(rig.clock.now()));
        let products: BTreeMap<i64, Product> = old.into_iter().map(|old| (old.id, old)).collect();
        let product = after(|entry| entry.sale.product_id.as_ref()).max(products.len() as i64 + 1);
        let row = after(|entry| Some(&entry.sale.operation_id));
        let now = rig.clock.now();
        let plans = (1..).zip(seeds).map(|(id, seed)| (id, Plan::new(id, seed, now)));
        let plans: BTreeMap<i64, Plan> = plans.collect();
        let plan = plans.len() as i64 + 1;
        let next = Next { product, package: 1, plan, resource: row, phase: row, price: row };
        Self {
            mode,
            access: Access::default(),
            present: Catalogue { products, plans },
            earlier: Vec::new(),
            regions,
            next,
            deleted: Vec::new(),
            window: (0, 0),
        }
    }

    /// Whether the product is listed already.
    pub(super) fn is_listed(&self, product: &Product, now: Timestamp) -> bool {
        let lag = i64::try_from(self.mode.listing_lag_ms).unwrap_or(i64::MAX);
        now.duration_since(product.entered_at) >= SignedDuration::from_millis(lag)
    }

    /// What a read shows: what was there before the changes that are too young.
    pub(super) fn shown_at(&self, now: Timestamp) -> &Catalogue {
        let hidden = self.earlier.iter().find(|(at, _)| self.is_hidden(*at, now));
        hidden.map_or(&self.present, |(_, before)| before)
    }

    /// Keeps what is there before it is changed, as long as reads show it.
    pub(super) fn remember(&mut self, now: Timestamp) {
        let mut earlier = std::mem::take(&mut self.earlier);
        earlier.retain(|(at, _)| self.is_hidden(*at, now));
        if self.mode.effect_lag_ms > 0 {
            earlier.push((now, self.present.clone()));
        }
        self.earlier = earlier;
    }

    fn is_hidden(&self, changed: Timestamp, now: Timestamp) -> bool {
        let lag = i64::try_from(self.mode.effect_lag_ms).unwrap_or(i64::MAX);
        now.duration_since(changed) < SignedDuration::from_millis(lag)
    }

    /// Takes the identifier of a new product.
    pub(super) fn take_product_id(&mut self, now: Timestamp) -> i64 {
        let after = i64::try_from(self.mode.reuse_ids_after_ms).unwrap_or(i64::MAX);
        let after = SignedDuration::from_millis(after);
        let free = |(at, _): &(Timestamp, i64)| now.duration_since(*at) >= after;
        let reused = self.deleted.iter().rposition(free).filter(|_| self.mode.reuse_ids);
        let reused = reused.map(|index| self.deleted.swap_remove(index).1);
        reused.unwrap_or_else(|| {
            let id = self.next.product;
            self.next.product += 1;
            id
        })
    }

    /// Counts a request; how many are left of the limit, or `None` without one.
    pub(super) fn count_request(&mut self, now: Timestamp) -> Option<Quota> {
        let limit = self.mode.rate_limit;
        if limit == 0 {
            return None;
        }
        let began = now.as_second() - now.as_second().rem_euclid(Quota::WINDOW_SECONDS);
        if self.window.0 != began {
            self.window = (began, 0);
        }
        self.window.1 = self.window.1.saturating_add(1);
        Some(Quota { limit, exceeded: self.window.1 > limit, reset: began + Quota::WINDOW_SECONDS })
    }
}

/// A single resource that was there long before anything else.
fn old_product_of(now: Timestamp) -> Product {
    let long_ago = now - SignedDuration::from_hours(24 * 365);
    Product {
        id: 1,
        label: Some("old".to_owned()),
        kind: "resource".to_owned(),
        resource_kind: Some("memory".to_owned()),
        unit: Some(1),
        unit_type: Some("MB".to_owned()),
        ..Product::empty(long_ago, long_ago)
    }
}

/// How a request stands to the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) limit: u32,
    pub(super) exceeded: bool,
    /// Seconds since 1970 at which counting begins anew.
    pub(super) reset: i64,
}

impl Quota {
    const WINDOW_SECONDS: i64 = 300;
}
