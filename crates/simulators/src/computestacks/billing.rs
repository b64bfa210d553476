//! A billing plan and what hangs below it: resources, their phases, the prices of a phase. How they
//! are shown; it must not decide who may change them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decimal::Decimal;
use super::state::{Catalogue, PlanSeed, World};

/// What customers of a group are billed by.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) term: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) resources: Vec<BillingResource>,
}

/// A product in a plan.
#[derive(Clone, Debug)]
pub(super) struct BillingResource {
    pub(super) id: i64,
    pub(super) product: i64,
    pub(super) external_id: Option<String>,
    pub(super) prorate: bool,
    pub(super) phases: Vec<Phase>,
}

/// A stretch of a subscription with prices of its own.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub(super) id: i64,
    pub(super) phase_type: String,
    pub(super) duration_unit: Option<String>,
    pub(super) duration_qty: Option<i64>,
    pub(super) prices: Vec<Price>,
}

/// What one unit costs, up to a quantity, in some regions.
#[derive(Clone, Debug)]
pub(super) struct Price {
    pub(super) id: i64,
    pub(super) currency: String,
    pub(super) max_qty: Option<Decimal>,
    pub(super) price: Decimal,
    pub(super) regions: Vec<i64>,
}

impl Plan {
    pub(super) fn new(id: i64, seed: PlanSeed, now: Timestamp) -> Self {
        let PlanSeed { name, term } = seed;
        Self { id, name, term, created_at: now, updated_at: now, resources: Vec::new() }
    }

    /// A row of the list.
    pub(super) fn summary(&self) -> Value {
        let below = format!("/api/admin/billing_plans/{}/billing_resources", self.id);
        json!({
            "id": self.id,
            "name": self.name,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "user_groups": [],
            "links": { "billing_resources": below },
        })
    }

    pub(super) fn show(&self, world: &World, shown: &Catalogue) -> Value {
        let resources: Vec<Value> = self.resources.iter().map(|it| it.show(world, shown)).collect();
        json!({
            "id": self.id,
            "name": self.name,
            "term": self.term,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "user_groups": [],
            "billing_resources": resources,
        })
    }
}

impl BillingResource {
    pub(super) fn show(&self, world: &World, shown: &Catalogue) -> Value {
        let phases: Vec<Value> =
            self.phases.iter().map(|phase| phase.show(&world.regions)).collect();
        let product = shown.products.get(&self.product);
        json!({
            "id": self.id,
            "external_id": self.external_id,
            "prorate": self.prorate,
            "product": product.map(|product| product.show(&world.mode)),
            "billing_phases": phases,
        })
    }
}

impl Phase {
    pub(super) fn show(&self, regions: &[String]) -> Value {
        let prices: Vec<Value> = self.prices.iter().map(|price| price.show(regions)).collect();
        json!({
            "id": self.id,
            "phase_type": self.phase_type,
            "duration_unit": self.duration_unit,
            "duration_qty": self.duration_qty,
            "prices": prices,
        })
    }
}

impl Price {
    pub(super) fn show(&self, names: &[String]) -> Value {
        let name = |id: i64| usize::try_from(id - 1).ok().and_then(|index| names.get(index));
        let regions: Vec<Value> =
            self.regions.iter().map(|id| json!({ "id": id, "name": name(*id) })).collect();
        json!({
            "id": self.id,
            "currency": self.currency,
            "max_qty": self.max_qty.as_ref().map(Decimal::to_string),
            "price": self.price.to_string(),
            "regions": regions,
        })
    }
}
