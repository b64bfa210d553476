//! The actions: what each takes, checks and answers. Each checks everything first; money and time are
//! the state's.

use http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::mode::ShortCredit;
use super::options;
use super::order::{Order, Payment};
use super::state::{Asked, Moment, Wanted, World};

/// The one product.
pub(super) const VPS: &str = "VPS";

type Call = Map<String, Value>;

/// Answers one call of an account, with everything it changes.
pub(super) fn answer(
    world: &mut World,
    moment: Moment<'_>,
    account: usize,
    call: &Call,
) -> Result<Answer, Answer> {
    match call.get("action").and_then(Value::as_str) {
        Some("order_create") => create(world, moment, account, call),
        Some("order_status") => status(world, moment, account, call),
        Some("order_list") => Ok(list(world, moment, account)),
        Some("order_cancel") => cancel(world, moment, account, call),
        Some("server_list") => servers(world, moment, account, call),
        _ => Err(Answer::bad("Unknown action")),
    }
}

/// Assumption: what is wrong with an order is answered by 400, and nothing of it is made.
fn create(
    world: &mut World,
    moment: Moment<'_>,
    account: usize,
    call: &Call,
) -> Result<Answer, Answer> {
    let items = call.get("items").and_then(Value::as_array).filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| Answer::bad("items is missing"))?;
    if call.get("reference").is_some_and(|reference| !reference.is_string()) {
        return Err(Answer::bad("reference is invalid"));
    }
    let wanted = items.iter().enumerate().map(|(index, item)| {
        let item = wanted(item);
        item.map_err(|wrong| Answer::bad(&format!("items[{index}].{wrong}")))
    });
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    let asked = Asked { items: wanted, fingerprint: fingerprint(call), person: None };
    let id = world.take(moment, account, asked)?;
    let Some(order) = world.orders.get(&id) else {
        return Err(Answer::internal("order is gone"));
    };
    Ok(match &order.payment {
        Payment::Due { .. } => payment_required(order, world, moment),
        // What was just paid is being processed, however short the delivery.
        _ => Answer::ok(json!({
            "order_id": world.mode.answered_order.unwrap_or(id), "status": 200, "message": "Order is being processed",
        })),
    })
}

/// Assumption: the answer that asks for payment has the status 402.
fn payment_required(order: &Order, world: &World, moment: Moment<'_>) -> Answer {
    let message = "Payment required: your credit does not cover the order. An invoice is created.";
    let status = StatusCode::PAYMENT_REQUIRED;
    if world.mode.short_credit == ShortCredit::NamesNothing {
        return Answer::error(status, message);
    }
    let mut body = order.value(&world.mode, moment.now, false);
    body["message"] = json!(message);
    Answer::with(status, body)
}

fn wanted(item: &Value) -> Result<Wanted, String> {
    let name = item.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or("name is missing")?;
    let product = item.get("product").and_then(Value::as_object).ok_or("product is missing")?;
    if product.get("name").and_then(Value::as_str) != Some(VPS) {
        return Err("product.name is unknown".to_owned());
    }
    let options = product.get("options").and_then(Value::as_object);
    let options = options.ok_or("product.options is missing")?;
    let amount = options::price(options).map_err(|wrong| format!("product.{wrong}"))?;
    Ok(Wanted { product: VPS.to_owned(), reference: name.to_owned(), amount })
}

fn status(
    world: &mut World,
    moment: Moment<'_>,
    account: usize,
    call: &Call,
) -> Result<Answer, Answer> {
    let id = own_order(world, account, call)?.id;
    let World { orders, mode, .. } = world;
    let order = orders.get_mut(&id).ok_or_else(not_found)?;
    if !is_shown(order, moment, mode.status_lag_ms) || !order.is_seen() {
        return Err(not_found());
    }
    Ok(Answer::ok(order.value(mode, moment.now, true)))
}

/// Assumption: an array of what order_status answers, oldest first, all of them at once.
fn list(world: &mut World, moment: Moment<'_>, account: usize) -> Answer {
    let World { orders, mode, .. } = world;
    let own = orders.values_mut().filter(|order| order.account == account);
    let listed = own.filter_map(|order| {
        let shown = is_shown(order, moment, mode.listing_lag_ms) && order.is_seen();
        shown.then(|| order.value(mode, moment.now, mode.list_items))
    });
    Answer::ok(listed.collect())
}

fn is_shown(order: &Order, moment: Moment<'_>, lag_ms: u64) -> bool {
    let lag = std::time::Duration::from_millis(lag_ms);
    order.created.checked_add(lag).unwrap_or(order.created) <= moment.now
}

/// Items are not renewed and end with their period.
fn cancel(
    world: &mut World,
    moment: Moment<'_>,
    account: usize,
    call: &Call,
) -> Result<Answer, Answer> {
    let id = own_order(world, account, call)?.id;
    let item = call.get("order_item_id").map(number).transpose()?;
    let cancelled = world.cancel(moment.now, id, item);
    if cancelled { Ok(Answer::empty()) } else { Err(not_found()) }
}

/// Assumption: an item without a server, or that is not there, has an empty list.
fn servers(
    world: &World,
    moment: Moment<'_>,
    account: usize,
    call: &Call,
) -> Result<Answer, Answer> {
    let item = match call.get("order_item_id") {
        None | Some(Value::Null) => 0,
        Some(Value::String(text)) if text.is_empty() => 0,
        Some(value) => number(value)?,
    };
    let own = world.orders.values().filter(|order| order.account == account);
    let servers = own.flat_map(|order| order.servers(&world.mode, moment.now));
    let is_asked = |server: &Value| item == 0 || server["order_item_id"] == json!(item);
    Ok(Answer::ok(servers.filter(is_asked).collect()))
}

/// Somebody else's order is as if it were not there.
fn own_order<'a>(world: &'a World, account: usize, call: &Call) -> Result<&'a Order, Answer> {
    let id = call.get("order_id").ok_or_else(|| Answer::bad("order_id is missing"))?;
    let order = world.orders.get(&number(id)?);
    order.filter(|order| order.account == account).ok_or_else(not_found)
}

fn number(value: &Value) -> Result<u64, Answer> {
    value.as_u64().ok_or_else(|| Answer::bad("an id is not a number"))
}

fn not_found() -> Answer {
    Answer::error(StatusCode::NOT_FOUND, "Not found")
}

/// The same for two calls that ask for the same thing, whoever asks.
fn fingerprint(call: &Call) -> String {
    hex::encode(Sha256::digest(json!(call).to_string()))
}
