//! The methods of price rules. A rule is unique in its phase by quantity, region and currency.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, errors, missing};
use super::billing::Price;
use super::decimal::Decimal;
use super::params::Params;
use super::plans::{phase, plan_mut, resource};
use super::state::{By, Change, Moment, World};
use crate::ledger::Kind;
use crate::server::Request;

/// Plan, resource and phase of a price.
pub(super) type Place = (i64, i64, i64);

pub(super) fn index(
    world: &World,
    moment: Moment<'_>,
    (plan, resource, phase): Place,
) -> Result<Answer, Refusal> {
    let plan = world.shown_at(moment.now).plans.get(&plan).ok_or_else(missing)?;
    let resource = plan.resources.iter().find(|it| it.id == resource).ok_or_else(missing)?;
    let phase = resource.phases.iter().find(|it| it.id == phase).ok_or_else(missing)?;
    let rows: Vec<Value> = phase.prices.iter().map(|it| it.show(&world.regions)).collect();
    Ok(Answer::json(StatusCode::OK, json!({ "billing_resource_prices": rows })))
}

pub(super) fn create(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    (by, place): (By<'_>, Place),
) -> Result<Answer, Refusal> {
    let id = world.next.price;
    let known = i64::try_from(world.regions.len()).unwrap_or(i64::MAX);
    let product = resource(plan_mut(world, place.0)?, place.1)?.product;
    let label = world.present.products.get(&product).and_then(|product| product.label.clone());
    let prices = prices(world, place)?;
    let price = read(request, (id, known), prices)?;
    let change = Change {
        kind: Kind::PriceRuleAdd,
        id,
        product,
        label: label.unwrap_or_default(),
        currency: price.currency.clone(),
        by,
    };
    moment.record(change, request)?;
    prices.push(price.clone());
    world.next.price += 1;
    let shown = price.show(&world.regions);
    Ok(Answer::json(StatusCode::CREATED, json!({ "billing_resource_price": shown })))
}

pub(super) fn destroy(world: &mut World, (place, price): (Place, i64)) -> Result<Answer, Refusal> {
    let prices = prices(world, place)?;
    let position = prices.iter().position(|one| one.id == price).ok_or_else(missing)?;
    prices.remove(position);
    Ok(Answer::empty(StatusCode::OK))
}

fn prices(world: &mut World, place: Place) -> Result<&mut Vec<Price>, Refusal> {
    let resource = resource(plan_mut(world, place.0)?, place.1)?;
    Ok(&mut phase(resource, place.2)?.prices)
}

fn read(request: &Request, (id, known): (i64, i64), there: &[Price]) -> Result<Price, Refusal> {
    let params = Params::read(&request.body, "billing_resource_price")?;
    let mut wrong = Vec::new();
    let currency = params.text("currency");
    if currency.is_none() {
        wrong.push("Currency can't be blank");
    }
    let amount = Decimal::read(params.value("price"));
    if amount.as_ref().is_none_or(Decimal::is_negative) {
        wrong.push("Price is not a number");
    }
    let max_qty = match params.value("max_qty") {
        Value::Null => None,
        value => Some(Decimal::read(value)),
    };
    if matches!(&max_qty, Some(None)) {
        wrong.push("Max qty is not a number");
    }
    let max_qty = max_qty.flatten();
    let regions: Vec<i64> = match params.value("region_ids") {
        Value::Array(ids) => ids.iter().filter_map(Value::as_i64).collect(),
        _ => Vec::new(),
    };
    if regions.is_empty() || regions.iter().any(|region| !(1..=known).contains(region)) {
        wrong.push("Regions must have at least one selected");
    }
    let (Some(currency), Some(price)) = (currency, amount) else {
        return Err(errors(StatusCode::UNPROCESSABLE_ENTITY, wrong));
    };
    let taken = there.iter().any(|one| {
        one.currency == currency
            && one.max_qty == max_qty
            && one.regions.iter().any(|region| regions.contains(region))
    });
    if taken {
        wrong.push("Max qty value already exists");
    }
    if wrong.is_empty() {
        Ok(Price { id, currency, max_qty, price, regions })
    } else {
        Err(errors(StatusCode::UNPROCESSABLE_ENTITY, wrong))
    }
}
