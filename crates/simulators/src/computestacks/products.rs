//! The methods of the catalogue: list, show, create, change, delete.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, errors, missing};
use super::paging;
use super::params::Params;
use super::product::Product;
use super::state::{By, Change, Moment, World};
use crate::ledger::Kind;
use crate::server::Request;

pub(super) fn index(world: &World, moment: Moment<'_>, request: &Request) -> Answer {
    let shown = world.shown_at(moment.now);
    let mut listed: Vec<&Product> =
        shown.products.values().filter(|it| world.is_listed(it, moment.now)).collect();
    listed.sort_by_key(|product| (product.created_at, product.id));
    let rows: Vec<Value> = listed.into_iter().map(|product| product.show(&world.mode)).collect();
    paging::page(rows, "products", &request.query, &request.path)
}

pub(super) fn show(world: &World, moment: Moment<'_>, id: i64) -> Result<Answer, Refusal> {
    let product = world.shown_at(moment.now).products.get(&id).ok_or_else(missing)?;
    Ok(shown(world, product, StatusCode::OK))
}

pub(super) fn create(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    (by, created_at): (By<'_>, Timestamp),
) -> Result<Answer, Refusal> {
    let params = Params::read(&request.body, "product")?;
    let mut product = Product::empty(created_at, moment.now);
    product.assign(&params, world.next.package, &world.mode).map_err(invalid)?;
    product.id = world.take_product_id(moment.now);
    moment.record(change(&product, Kind::ProductAdd, by), request)?;
    world.next.package += 1;
    let answer = shown(world, &product, StatusCode::CREATED);
    world.present.products.insert(product.id, product);
    Ok(answer)
}

/// Assumption: what is refused changes nothing, the package included.
pub(super) fn update(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    (by, id): (By<'_>, i64),
) -> Result<Answer, Refusal> {
    let mut product = world.present.products.get(&id).ok_or_else(missing)?.clone();
    let params = Params::read(&request.body, "product")?;
    product.assign(&params, world.next.package, &world.mode).map_err(invalid)?;
    moment.record(change(&product, Kind::ProductUpdate, by), request)?;
    world.next.package += 1;
    product.updated_at = moment.now;
    let answer = shown(world, &product, StatusCode::OK);
    world.present.products.insert(id, product);
    Ok(answer)
}

/// A product that goes takes its billing resources with it.
pub(super) fn destroy(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    (by, id): (By<'_>, i64),
) -> Result<Answer, Refusal> {
    let product = world.present.products.get(&id).ok_or_else(missing)?;
    if product.subscriptions > 0 {
        let message = "Cannot delete record because dependent subscription products exist";
        return Err(errors(StatusCode::UNPROCESSABLE_ENTITY, [message]));
    }
    let now = moment.now;
    moment.record(change(product, Kind::ProductDelete, by), request)?;
    world.present.products.remove(&id);
    world.deleted.push((now, id));
    for plan in world.present.plans.values_mut() {
        plan.resources.retain(|resource| resource.product != id);
    }
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn shown(world: &World, product: &Product, status: StatusCode) -> Answer {
    Answer::json(status, json!({ "product": product.show(&world.mode) }))
}

pub(super) fn change<'a>(product: &Product, kind: Kind, by: By<'a>) -> Change<'a> {
    let label = product.label.clone().unwrap_or_default();
    Change { kind, id: product.id, product: product.id, label, currency: String::new(), by }
}

fn invalid(messages: Vec<String>) -> Refusal {
    errors(StatusCode::UNPROCESSABLE_ENTITY, messages)
}
