//! Each call of the upstream, by name. A read whose answer cannot be understood is an error; an
//! answer to a payment that proves nothing is unknown.

use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::{ErrorReason, Price};
use purveyor_sdk::{Cx, Error, Result};

use super::{Ask, Client, json};
use crate::error::{self, Asked, Spent, proof};
use crate::model::{
    Detail, Extension, Infos, Mean, MeanKind, Method, Order, Secrets, Service, Status, Strategy,
};

/// The most identifiers of one listing: a list that does not end must not be worked through.
const MAX_IDS: usize = 100_000;

/// The proofs of a payment.
pub(crate) const PAY_PROOFS: &[&str] =
    &[proof::NOT_ADMITTED, proof::SIGNATURE, proof::CLOCK, proof::PAYMENT_REFUSED, proof::MISSING];

/// The proofs of a change of a service. A change can be sent again, so that a refused parameter and a
/// refusal by the account's rights are safe to believe.
pub(crate) const CHANGE_PROOFS: &[&str] = &[
    proof::NOT_ADMITTED,
    proof::SIGNATURE,
    proof::CLOCK,
    proof::MISSING,
    proof::NOT_ACTIVE,
    proof::PARAMETER,
    proof::FORBIDDEN,
];

/// What an order is paid with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pay {
    /// A kind, and the number of a means of it.
    Mean { kind: String, id: Option<i64> },
    /// A method by its number.
    Method { id: i64 },
}

impl Client {
    /// GET /me: the account's handle.
    pub(crate) async fn nichandle(&self, cx: &Cx) -> Result<String> {
        let answer = self.read(cx, Ask::get("me"), Asked::Other).await?;
        let me: Value = answer.json()?;
        let handle = me.get("nichandle").and_then(Value::as_str).filter(|it| !it.is_empty());
        Ok(handle.ok_or_else(|| answer.not_understood())?.to_owned())
    }

    /// GET /auth/currentCredential.
    pub(crate) async fn credential(&self, cx: &Cx) -> Result<Value> {
        let answer = self.read(cx, Ask::get("auth.credential"), Asked::Other).await?;
        crate::model::document(&answer).map(Value::Object)
    }

    /// GET /service: the numbers.
    pub(crate) async fn services(&self, cx: &Cx) -> Result<Vec<i64>> {
        self.ids(cx, Ask::get("service.list"), Asked::Service).await
    }

    /// GET /service/{serviceId}.
    pub(crate) async fn service(&self, cx: &Cx, id: i64) -> Result<Service> {
        let answer = self.read(cx, Ask::get("service.get").at(id), Asked::Service).await?;
        Service::read(&answer, id)
    }

    /// GET …/serviceInfos of a service's own address.
    pub(crate) async fn infos(&self, cx: &Cx, route: &[String]) -> Result<Infos> {
        let ask = located(Ask::get, ["infos.get.short", "infos.get.long"], route)?;
        Infos::read(&self.read(cx, ask, Asked::Service).await?)
    }

    /// PUT …/serviceInfos. A setting.
    pub(crate) async fn put_infos(
        &self,
        cx: &Cx,
        route: &[String],
        infos: &Infos,
    ) -> Result<Spent> {
        let ask = located(Ask::put, ["infos.put.short", "infos.put.long"], route)?;
        let ask = ask.body(json(&infos.members)?);
        self.change(cx, ask, Asked::Service, CHANGE_PROOFS).await
    }

    /// POST /service/{serviceId}/suspend, reopen or terminate. A setting.
    pub(crate) async fn act(&self, cx: &Cx, call: &'static str, id: i64) -> Result<Spent> {
        self.change(cx, Ask::post(call).at(id), Asked::Service, CHANGE_PROOFS).await
    }

    /// GET /service/{serviceId}/renew.
    pub(crate) async fn strategies(
        &self,
        cx: &Cx,
        id: i64,
        include_options: bool,
    ) -> Result<Vec<Strategy>> {
        let ask = Ask::get("service.renewals").at(id).field("includeOptions", include_options);
        Strategy::read(&self.read(cx, ask, Asked::Service).await?)
    }

    /// POST /service/{serviceId}/renew: an unpaid order, which costs nothing and lapses; of a dry run
    /// not even that.
    pub(crate) async fn renew(
        &self,
        cx: &Cx,
        id: i64,
        strategy: &Strategy,
        dry_run: bool,
    ) -> Result<Order> {
        let body = json(&json!({
            "dryRun": dry_run,
            "duration": strategy.period,
            "services": strategy.services,
        }))?;
        let ask = Ask::post("service.renew").at(id).body(body);
        let answer = self.send(cx, ask).await?;
        if crate::error::is_clock(&answer) {
            self.clock.forget();
        }
        if answer.status == 200 {
            answer.json()
        } else {
            Err(crate::error::of_read(&answer, Asked::Service))
        }
    }

    /// GET /me/order: the numbers, of those made from a time on.
    pub(crate) async fn orders(&self, cx: &Cx, from: Option<&str>) -> Result<Vec<i64>> {
        let mut ask = Ask::get("order.list");
        if let Some(from) = from {
            ask = ask.field("date.from", from);
        }
        self.ids(cx, ask, Asked::Order).await
    }

    /// GET /me/order/{orderId}.
    pub(crate) async fn order(&self, cx: &Cx, id: i64) -> Result<Order> {
        let answer = self.read(cx, Ask::get("order.get").at(id), Asked::Order).await?;
        let order: Order = answer.json()?;
        if order.id == Some(id) { Ok(order) } else { Err(answer.not_understood()) }
    }

    /// The same, for its secrets alone.
    pub(crate) async fn secrets(&self, cx: &Cx, id: i64) -> Result<Secrets> {
        self.read(cx, Ask::get("order.get").at(id), Asked::Order).await?.json()
    }

    /// GET /me/order/{orderId}/status.
    pub(crate) async fn status(&self, cx: &Cx, id: i64) -> Result<Status> {
        let answer = self.read(cx, Ask::get("order.status").at(id), Asked::Order).await?;
        Ok(Status(answer.json()?))
    }

    /// GET /me/order/{orderId}/details: the numbers.
    pub(crate) async fn details(&self, cx: &Cx, id: i64) -> Result<Vec<i64>> {
        self.ids(cx, Ask::get("order.details").at(id), Asked::Order).await
    }

    /// GET /me/order/{orderId}/details/{orderDetailId}.
    pub(crate) async fn detail(&self, cx: &Cx, id: i64, detail: i64) -> Result<Detail> {
        let ask = Ask::get("order.detail").at(id).at(detail);
        self.read(cx, ask, Asked::Order).await?.json()
    }

    /// GET …/extension: what a detail is for; `None` in regions that do not tell.
    pub(crate) async fn extension(
        &self,
        cx: &Cx,
        id: i64,
        detail: i64,
    ) -> Result<Option<(Extension, Value)>> {
        let ask = Ask::get("order.extension").at(id).at(detail);
        let answer = match self.read(cx, ask, Asked::Order).await {
            Err(error) if tells_nothing(&error) => return Ok(None),
            answer => answer?,
        };
        Ok(Some((answer.json()?, Value::Object(crate::model::document(&answer)?))))
    }

    /// GET /me/order/{orderId}/availableRegisteredPaymentMean: the kinds.
    pub(crate) async fn available_means(&self, cx: &Cx, id: i64) -> Result<Vec<MeanKind>> {
        let ask = Ask::get("order.means").at(id);
        self.read(cx, ask, Asked::Order).await?.json()
    }

    /// GET /me/paymentMean/{kind}: the numbers.
    pub(crate) async fn means(&self, cx: &Cx, kind: &str) -> Result<Vec<i64>> {
        self.ids(cx, Ask::get("mean.list").at(kind), Asked::Other).await
    }

    /// GET /me/paymentMean/{kind}/{id}.
    pub(crate) async fn mean(&self, cx: &Cx, kind: &str, id: i64) -> Result<Mean> {
        self.read(cx, Ask::get("mean.get").at(kind).at(id), Asked::Other).await?.json()
    }

    /// GET /me/payment/method: the numbers, of the default alone if so asked.
    pub(crate) async fn methods(&self, cx: &Cx, default: bool) -> Result<Vec<i64>> {
        let mut ask = Ask::get("method.list");
        if default {
            ask = ask.field("default", true);
        }
        self.ids(cx, ask, Asked::Other).await
    }

    /// GET /me/payment/method/{paymentMethodId}.
    pub(crate) async fn method(&self, cx: &Cx, id: i64) -> Result<Method> {
        self.read(cx, Ask::get("method.get").at(id), Asked::Other).await?.json()
    }

    /// GET /me/order/{orderId}/payment: whether a payment shows; `None` where nobody can tell.
    pub(crate) async fn payment(&self, cx: &Cx, id: i64) -> Result<Option<bool>> {
        match self.read(cx, Ask::get("order.payment").at(id), Asked::Order).await {
            Ok(_) => Ok(Some(true)),
            Err(error) if error::is_nothing_there(&error) => Ok(Some(false)),
            Err(error) if tells_nothing(&error) => Ok(None),
            Err(error) if error::is_not_granted(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The one call that spends; `price` is what the order just told.
    pub(crate) async fn pay(
        &self,
        cx: &Cx,
        id: i64,
        pay: &Pay,
        price: Option<Price>,
    ) -> Result<Spent> {
        let ask = match pay {
            Pay::Mean { kind, id: mean } => {
                let mut body = json!({ "paymentMean": kind });
                if let Some(mean) = mean {
                    body["paymentMeanId"] = json!(mean);
                }
                Ask::post("order.pay.mean").at(id).body(json(&body)?)
            }
            Pay::Method { id: method } => {
                let body = json!({ "paymentMethod": { "id": method } });
                Ask::post("order.pay.method").at(id).body(json(&body)?)
            }
        };
        self.change(cx, ask.price(price), Asked::Order, PAY_PROOFS).await
    }

    async fn ids(&self, cx: &Cx, ask: Ask, asked: Asked) -> Result<Vec<i64>> {
        let answer = self.read(cx, ask, asked).await?;
        let ids: Vec<i64> = answer.json()?;
        if ids.len() > MAX_IDS {
            return Err(Error::unavailable("the upstream's list does not end"));
        }
        Ok(ids)
    }
}

/// The call of a service's own address, which has two segments or three.
fn located(
    ask: fn(&'static str) -> Ask,
    [short, long]: [&'static str; 2],
    route: &[String],
) -> Result<Ask> {
    let ask = match route.len() {
        2 => ask(short),
        3 => ask(long),
        _ => return Err(Error::unsupported("serviceInfos of this kind of service")),
    };
    Ok(route.iter().fold(ask, |ask, segment| ask.at(segment)))
}

/// Whether a region does not have a call about an order, or has nothing for that order.
fn tells_nothing(error: &Error) -> bool {
    matches!(error.reason, ErrorReason::OrderNotFound | ErrorReason::UpstreamApiGone)
}
