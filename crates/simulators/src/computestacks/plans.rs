//! The methods of billing plans, their resources and the phases of these.
//!
//! Assumptions: what is made is answered under its own root key, a product may be in a plan more
//! than once, and a new plan is monthly.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, errors, missing};
use super::billing::{BillingResource, Phase, Plan};
use super::params::Params;
use super::state::{By, Change, Moment, PlanSeed, World};
use crate::ledger::Kind;
use crate::server::Request;

const PHASES: [&str; 3] = ["trial", "discount", "final"];
const UNITS: [&str; 4] = ["hours", "days", "months", "years"];

pub(super) fn plan_mut(world: &mut World, id: i64) -> Result<&mut Plan, Refusal> {
    world.present.plans.get_mut(&id).ok_or_else(missing)
}

pub(super) fn resource(plan: &mut Plan, id: i64) -> Result<&mut BillingResource, Refusal> {
    plan.resources.iter_mut().find(|resource| resource.id == id).ok_or_else(missing)
}

pub(super) fn phase(resource: &mut BillingResource, id: i64) -> Result<&mut Phase, Refusal> {
    resource.phases.iter_mut().find(|phase| phase.id == id).ok_or_else(missing)
}

pub(super) fn index(world: &World, moment: Moment<'_>) -> Answer {
    let rows: Vec<Value> = world.shown_at(moment.now).plans.values().map(Plan::summary).collect();
    Answer::json(StatusCode::OK, json!({ "billing_plans": rows }))
}

pub(super) fn show(world: &World, moment: Moment<'_>, id: i64) -> Result<Answer, Refusal> {
    let shown = world.shown_at(moment.now);
    let shown = shown.plans.get(&id).ok_or_else(missing)?.show(world, shown);
    Ok(Answer::json(StatusCode::OK, json!({ "billing_plan": shown })))
}

pub(super) fn create(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
) -> Result<Answer, Refusal> {
    let params = Params::read(&request.body, "billing_plan")?;
    let name = params.text("name").ok_or_else(|| invalid("Name can't be blank"))?;
    let id = world.next.plan;
    world.next.plan += 1;
    let plan = Plan::new(id, PlanSeed { name, ..PlanSeed::default() }, moment.now);
    let shown = plan.show(world, &world.present);
    world.present.plans.insert(id, plan);
    Ok(Answer::json(StatusCode::CREATED, json!({ "billing_plan": shown })))
}

pub(super) fn update(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    id: i64,
) -> Result<Answer, Refusal> {
    let plan = plan_mut(world, id)?;
    let params = Params::read(&request.body, "billing_plan")?;
    if params.names("name") {
        plan.name = params.text("name").ok_or_else(|| invalid("Name can't be blank"))?;
    }
    plan.updated_at = moment.now;
    let shown = world.present.plans.get(&id).ok_or_else(missing)?.show(world, &world.present);
    Ok(Answer::json(StatusCode::OK, json!({ "billing_plan": shown })))
}

pub(super) fn destroy(world: &mut World, id: i64) -> Result<Answer, Refusal> {
    world.present.plans.remove(&id).ok_or_else(missing)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(super) fn resources(world: &World, moment: Moment<'_>, id: i64) -> Result<Answer, Refusal> {
    let shown = world.shown_at(moment.now);
    let plan = shown.plans.get(&id).ok_or_else(missing)?;
    let rows: Vec<Value> = plan.resources.iter().map(|it| it.show(world, shown)).collect();
    Ok(Answer::json(StatusCode::OK, json!({ "billing_resources": rows })))
}

/// A resource begins with a phase without an end.
pub(super) fn create_resource(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    (by, id): (By<'_>, i64),
) -> Result<Answer, Refusal> {
    plan_mut(world, id)?;
    let params = Params::read(&request.body, "billing_resource")?;
    let product = params.whole("product_id").number();
    let product = product.and_then(|product| world.present.products.get(&product));
    let product = product.ok_or_else(|| invalid("Product must exist"))?;
    let resource = BillingResource {
        id: world.next.resource,
        product: product.id,
        external_id: params.text("external_id"),
        prorate: params.value("prorate").as_bool().unwrap_or_default(),
        phases: vec![Phase {
            id: world.next.phase,
            phase_type: "final".to_owned(),
            duration_unit: None,
            duration_qty: None,
            prices: Vec::new(),
        }],
    };
    let change = Change {
        kind: Kind::BillingResourceAdd,
        id: resource.id,
        product: product.id,
        label: product.label.clone().unwrap_or_default(),
        currency: String::new(),
        by,
    };
    moment.record(change, request)?;
    world.next.resource += 1;
    world.next.phase += 1;
    let shown = resource.show(world, &world.present);
    plan_mut(world, id)?.resources.push(resource);
    Ok(Answer::json(StatusCode::CREATED, json!({ "billing_resource": shown })))
}

pub(super) fn destroy_resource(
    world: &mut World,
    (id, resource): (i64, i64),
) -> Result<Answer, Refusal> {
    let plan = plan_mut(world, id)?;
    self::resource(plan, resource)?;
    plan.resources.retain(|one| one.id != resource);
    Ok(Answer::empty(StatusCode::OK))
}

/// A resource has at most one phase of a type.
pub(super) fn create_phase(
    world: &mut World,
    request: &Request,
    (id, resource): (i64, i64),
) -> Result<Answer, Refusal> {
    let next = world.next.phase;
    let resource = self::resource(plan_mut(world, id)?, resource)?;
    let params = Params::read(&request.body, "billing_phase")?;
    let phase_type = params.text("phase_type").unwrap_or_default();
    let duration_unit = params.text("duration_unit");
    let mut wrong = Vec::new();
    if !PHASES.contains(&phase_type.as_str()) {
        wrong.push("Phase type is not included in the list");
    }
    if resource.phases.iter().any(|phase| phase.phase_type == phase_type) {
        wrong.push("Phase type has already been taken");
    }
    if duration_unit.as_deref().is_some_and(|unit| !UNITS.contains(&unit)) {
        wrong.push("Duration unit is not included in the list");
    }
    if !wrong.is_empty() {
        return Err(errors(StatusCode::UNPROCESSABLE_ENTITY, wrong));
    }
    let duration_qty = params.whole("duration_qty").number();
    let phase = Phase { id: next, phase_type, duration_unit, duration_qty, prices: Vec::new() };
    resource.phases.push(phase.clone());
    world.next.phase += 1;
    let shown = phase.show(&world.regions);
    Ok(Answer::json(StatusCode::CREATED, json!({ "billing_phase": shown })))
}

pub(super) fn destroy_phase(
    world: &mut World,
    (id, resource, phase): (i64, i64, i64),
) -> Result<Answer, Refusal> {
    let resource = self::resource(plan_mut(world, id)?, resource)?;
    self::phase(resource, phase)?;
    resource.phases.retain(|one| one.id != phase);
    Ok(Answer::empty(StatusCode::OK))
}

fn invalid(message: &str) -> Refusal {
    errors(StatusCode::UNPROCESSABLE_ENTITY, [message])
}
