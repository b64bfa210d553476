//! What orders are paid with, and the two calls that pay. Nothing else in this simulator moves
//! money.

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Mean;
use super::answer::Refusal;
use super::order::Paid;
use super::routes::Visit;

/// What `payWithRegisteredPaymentMean` is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MeanRequest {
    payment_mean: String,
    payment_mean_id: Option<i64>,
}

/// What `pay` is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PayRequest {
    payment_method: MethodRequest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodRequest {
    id: i64,
}

/// GET /me/order/{orderId}/availableRegisteredPaymentMean: the kinds.
pub(super) fn available_means(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    visit.order()?;
    let mut kinds: Vec<&str> = Vec::new();
    for mean in &visit.account()?.means {
        if !kinds.contains(&mean.kind.as_str()) {
            kinds.push(&mean.kind);
        }
    }
    Ok(kinds.into_iter().map(|kind| json!({ "paymentMean": kind })).collect())
}

/// GET /me/paymentMean/{kind}: the numbers.
pub(super) fn means(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let kind = visit.word(0);
    let of_kind = visit.account()?.means.iter().filter(|mean| mean.kind == kind);
    Ok(json!(of_kind.map(|mean| mean.id).collect::<Vec<_>>()))
}

/// GET /me/paymentMean/{kind}/{id}.
pub(super) fn mean(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let (kind, id) = (visit.word(0), visit.number(1)?);
    let mean = visit.account()?.means.iter().find(|mean| mean.kind == kind && mean.id == id);
    let mean = mean.ok_or_else(|| Refusal::not_found("This payment mean does not exist"))?;
    Ok(json!({
        "id": mean.id,
        "state": "valid",
        "defaultPaymentMean": mean.is_default,
        "description": format!("{} {}", mean.kind, mean.id),
    }))
}

/// GET /me/payment/method: the numbers.
pub(super) fn methods(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let only = match visit.field("default") {
        None => None,
        Some(text) => Some(
            text.parse::<bool>().map_err(|_| Refusal::bad_request("default is not a boolean"))?,
        ),
    };
    let means = visit.account()?.means.iter();
    let wanted = means.filter(|mean| only.is_none_or(|only| mean.is_default == only));
    Ok(json!(wanted.map(|mean| mean.method_id).collect::<Vec<_>>()))
}

/// GET /me/payment/method/{paymentMethodId}.
pub(super) fn method(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let id = visit.number(0)?;
    let mean = visit.account()?.means.iter().find(|mean| mean.method_id == id);
    let mean = mean.ok_or_else(|| Refusal::not_found("This payment method does not exist"))?;
    Ok(json!({
        "paymentMethodId": mean.method_id,
        "paymentType": mean.payment_type(),
        "default": mean.is_default,
        "label": format!("{} {}", mean.kind, mean.id),
        "status": "VALID",
    }))
}

/// POST /me/order/{orderId}/payWithRegisteredPaymentMean. Takes the money.
pub(super) fn pay_with_registered_mean(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let asked: MeanRequest = visit.body()?;
    if Mean::needs_id(&asked.payment_mean) && asked.payment_mean_id.is_none() {
        return Err(Refusal::bad_request("paymentMeanId is required with this payment mean"));
    }
    let fits = |mean: &&Mean| {
        mean.kind == asked.payment_mean && asked.payment_mean_id.is_none_or(|id| mean.id == id)
    };
    let mean = visit.account()?.means.iter().find(fits).cloned();
    take(visit, mean, &asked.payment_mean)
}

/// POST /me/order/{orderId}/pay. Takes the money.
pub(super) fn pay(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let asked: PayRequest = visit.body()?;
    let id = asked.payment_method.id;
    let mean = visit.account()?.means.iter().find(|mean| mean.method_id == id).cloned();
    take(visit, mean, &format!("payment method {id}"))
}

/// Assumption: an order that is paid, cancelled or lapsed refuses a payment as a conflict.
fn take(visit: &mut Visit<'_>, mean: Option<Mean>, named: &str) -> Result<Value, Refusal> {
    let (moment, order) = (visit.moment, visit.order()?.clone());
    let status = order.stage(moment.now, &visit.world.mode);
    if order.paid.is_some() || status != "notPaid" || order.has_lapsed(moment.now) {
        return Err(Refusal::conflict(format!("This order does not wait for payment: {status}")));
    }
    let Some(mean) = mean.filter(|mean| !mean.refuses) else {
        return Err(Refusal::forbidden(format!("This order can't be paid with {named}")));
    };
    if !mean.refuses_later {
        let paid = Paid { at: moment.now, kind: mean.kind, id: Some(mean.id) };
        visit.world.pay(moment, &order, paid, Some(&visit.fingerprint))?;
    }
    Ok(Value::Null)
}
