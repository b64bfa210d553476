//! The reads of `/me/order`.

use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{Refusal, moment};
use super::order::{Line, Order, milliseconds};
use super::routes::Visit;

/// GET /me/order: the numbers, of those made between two moments.
pub(super) fn list(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let (from, to) = (time(visit, "date.from")?, time(visit, "date.to")?);
    let (now, lag) = (visit.moment.now, milliseconds(visit.world.mode.listing_lag_ms));
    let listed = visit.world.orders.values().filter(|order| {
        order.account == visit.caller.account
            && !is_new(order, now, lag)
            && from.is_none_or(|from| order.made >= from)
            && to.is_none_or(|to| order.made <= to)
            && !order.is_gone(now, &visit.world.mode)
    });
    Ok(json!(listed.map(|order| order.id).collect::<Vec<_>>()))
}

/// GET /me/order/{orderId}.
pub(super) fn get(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let order = visit.order()?;
    Ok(order.told(&visit.account()?.currency))
}

/// GET /me/order/{orderId}/status: a word.
pub(super) fn status(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let order = visit.order()?;
    Ok(json!(order.status(visit.moment.now, &visit.world.mode)))
}

/// GET /me/order/{orderId}/details: the numbers.
pub(super) fn details(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let (order, now) = (visit.order()?, visit.moment.now);
    let lag = milliseconds(visit.world.mode.details_lag_ms);
    if is_new(order, now, lag) {
        return Ok(json!([]));
    }
    let details = (0..order.services.len()).map(|at| order.detail_id(at));
    Ok(json!(details.collect::<Vec<_>>()))
}

/// GET /me/order/{orderId}/details/{orderDetailId}.
pub(super) fn detail(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    with_line(visit, |order, at, line| {
        let currency = &visit.account()?.currency;
        Ok(order.detail_told(at, line, currency, &visit.world.mode))
    })
}

/// GET /me/order/{orderId}/details/{orderDetailId}/extension.
pub(super) fn extension(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    if visit.world.mode.united_states {
        return Err(no_such_call());
    }
    with_line(visit, |order, _, line| Ok(order.extension(line)))
}

/// GET /me/order/{orderId}/payment.
pub(super) fn payment(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    if visit.world.mode.united_states {
        return Err(no_such_call());
    }
    let paid = visit.order()?.paid.as_ref();
    let paid = paid.ok_or_else(|| Refusal::not_found("This order has no payment"))?;
    Ok(json!({
        "paymentDate": moment(paid.at),
        "paymentType": paid.kind,
        "paymentIdentifier": paid.id.map(|id| id.to_string()),
    }))
}

/// Whether an order is younger than a lag; one that is dated ahead is not.
fn is_new(order: &Order, now: Timestamp, lag: SignedDuration) -> bool {
    (SignedDuration::ZERO..lag).contains(&now.duration_since(order.made))
}

fn with_line(
    visit: &Visit<'_>,
    tell: impl FnOnce(&Order, usize, &Line<'_>) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let order = visit.order()?;
    let at = order.detail(visit.number(1)?)?;
    let lines = visit.world.lines(order);
    let line = lines.get(at).ok_or_else(|| Refusal::not_found("This detail does not exist"))?;
    tell(order, at, line)
}

fn time(visit: &Visit<'_>, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = visit.field(name) else { return Ok(None) };
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Some(moment));
    }
    let day = text.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    let day = day.ok_or_else(|| Refusal::bad_request(format!("{name} is not a time")))?;
    Ok(Some(day.timestamp()))
}

/// A call that a region does not have.
pub(super) fn no_such_call() -> Refusal {
    let message = "Got an invalid (or empty) URL";
    Refusal::service(StatusCode::NOT_FOUND, "Client::NotFound::Route", message)
}

impl Visit<'_> {
    /// The caller's order of the number in the path.
    pub(super) fn order(&self) -> Result<&Order, Refusal> {
        let (id, now) = (self.number(0)?, self.moment.now);
        let order = self.world.orders.get(&id);
        let order = order.filter(|order| {
            order.account == self.caller.account && !order.is_gone(now, &self.world.mode)
        });
        order.ok_or_else(|| Refusal::not_found("This order does not exist"))
    }
}
