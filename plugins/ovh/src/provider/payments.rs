//! Payments: what an order can be paid with, and the one call that spends. It is sent only for an order
//! that was just seen unpaid, and never for one whose payment is being checked.

use std::time::Duration;

use purveyor_sdk::names::{self, ServiceName};
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    ErrorReason, ListPaymentMethodsRequest, ListPaymentMethodsResponse, Order, PayOrderRequest,
    Payment, PaymentMethod, ServiceRef,
};
use purveyor_sdk::{Cx, Error, Result, Step, page};

use super::Ovh;
use super::blocking::{months_of, names_of};
use super::order_view::{Line, Seen, cost};
use super::orders::number;
use super::renewal_view::renews;
use crate::checkpoint::{Ending, Followed, decode, encode};
use crate::client::Pay;
use crate::config::PaymentApi;
use crate::error::{self, Spent};
use crate::model::{Method, needs_id};

/// What the upstream settles orders with that cost nothing.
const FREE: &str = "fidelityAccount";

/// The pause before a payment is looked at.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(3);

pub(super) async fn list(
    ovh: &Ovh,
    cx: &Cx,
    request: &ListPaymentMethodsRequest,
) -> Result<ListPaymentMethodsResponse> {
    let id = number(cx.upstream_id(), &request.parent)?;
    let told = match ovh.config.payment_api {
        PaymentApi::RegisteredMean => ovh.registered_means(cx, id).await,
        PaymentApi::Method => ovh.methods(cx, id).await,
    };
    let rows = error::missing(told, || Error::order_not_found(&request.parent))?;
    let (payment_methods, next_page_token) =
        page::of(rows, request.page_size, &request.page_token)?;
    Ok(ListPaymentMethodsResponse { payment_methods, next_page_token })
}

pub(super) async fn pay(ovh: &Ovh, cx: &Cx, request: &PayOrderRequest) -> Result<Step<Order>> {
    let id = number(cx.upstream_id(), &request.name)?;
    let choice = choice(request.payment.as_ref())?.ok_or_else(payment_required)?;
    let seen = error::missing(ovh.seen(cx, id).await, || Error::order_not_found(&request.name))?;
    check_unpaid(&seen)?;
    if ovh.client.payment(cx, id).await? == Some(true) {
        return Err(Error::state("the order shows a payment, although it says notPaid"));
    }
    let lines = ovh.lines(cx, id).await?;
    let followed = match decode::<Followed>(cx.baseline()) {
        Ok(followed) if followed.order == id => followed,
        _ => ovh.renewing(cx, id, &lines).await?,
    };
    ovh.check_ends(cx, &followed).await?;
    ovh.check_free(cx, &names_of(&lines).unwrap_or_default(), Some(id)).await?;
    let means = ovh.means(cx, &seen, &choice, "payment.method").await?;
    let price = cost(&seen.order);
    Ok(match ovh.client.pay(cx, id, &means, price).await? {
        Spent::Accepted => {
            let view = Some(ovh.shown(&Seen { status: None, ..seen }, &lines)?);
            Step::Pending { handle: encode(&followed)?, after: FIRST_LOOK, view }
        }
        Spent::Refused { proof, error } => Step::rejected(proof, error),
        Spent::Unknown(message) => Step::Unknown(message),
    })
}

/// How a request wants to pay; `None`: not at all.
///
/// # Errors
///
/// FIELD_VIOLATION for a choice that is none.
pub(super) fn choice(payment: Option<&Payment>) -> Result<Option<Choice>> {
    match payment.map(|payment| payment.choice.as_ref()) {
        None => Ok(None),
        Some(Some(Choice::DefaultMethod(false))) => {
            Err(Error::field("payment.default_method", "must be true when it is set"))
        }
        Some(Some(choice)) => Ok(Some(choice.clone())),
        Some(None) => Err(Error::field("payment", "says neither the default nor a method")),
    }
}

/// STATE_CONFLICT for an order that does not wait for payment.
pub(super) fn check_unpaid(seen: &Seen) -> Result<()> {
    let status = seen.status.as_ref();
    match status {
        Some(status) if status.is_unpaid() && !seen.lapsed => Ok(()),
        Some(status) if status.is_unpaid() => {
            Err(Error::state("the order has lapsed unpaid").with_upstream_code(&status.0))
        }
        _ => {
            let word = status.map(|status| status.0.as_str()).unwrap_or_default();
            let message = format!("the order does not wait for payment, it is {word}");
            Err(Error::state(message).with_upstream_code(word))
        }
    }
}

pub(super) fn payment_required() -> Error {
    Error::new(ErrorReason::PaymentRequired, "the request does not say how to pay")
}

impl Ovh {
    /// What an order is to do. Where a renewal of ours made it, the ends that it was made for; else the
    /// services that its lines name, and their present ends.
    pub(super) async fn renewing(&self, cx: &Cx, order: i64, lines: &[Line]) -> Result<Followed> {
        let told = match cx.guards() {
            [] if renews(lines) != Some(false) => self.services_of_lines(cx, lines).await?,
            guards => guards.to_vec(),
        };
        let ending = |told: &ServiceRef| {
            let name = told.service.parse::<ServiceName>().ok()?;
            let end = told.expected_expire_time.map(|end| end.seconds);
            Some(Ending { service: names::counted(name.id())?, end })
        };
        let ends = told.iter().filter_map(ending).collect();
        Ok(Followed { ends, months: months_of(lines), ..Followed::new(order) })
    }

    /// Whether every service that an order renews still ends as it did when the order was made.
    ///
    /// # Errors
    ///
    /// EXPIRE_TIME_CHANGED; UPSTREAM_UNAVAILABLE while the upstream tells two ends.
    async fn check_ends(&self, cx: &Cx, followed: &Followed) -> Result<()> {
        for Ending { service: id, end } in &followed.ends {
            let service = self.client.service(cx, *id).await?;
            let now = self.agreed_expiry(cx, *id, &service).await?;
            if now.map(|now| now.seconds) != *end {
                let message = format!("service {id} does not end as when its renewal was ordered");
                return Err(Error::new(ErrorReason::ExpireTimeChanged, message));
            }
        }
        Ok(())
    }

    /// What an order is paid with. `field` is where the request names a method.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a means that the upstream does not offer for the order; STATE_CONFLICT
    /// where there is no default.
    pub(super) async fn means(
        &self,
        cx: &Cx,
        seen: &Seen,
        choice: &Choice,
        field: &str,
    ) -> Result<Pay> {
        match (self.config.payment_api, choice) {
            (PaymentApi::RegisteredMean, Choice::Method(method)) => {
                self.named_mean(cx, seen.id, method, field).await
            }
            (PaymentApi::RegisteredMean, Choice::DefaultMethod(_)) => {
                self.default_mean(cx, seen).await
            }
            (PaymentApi::Method, Choice::Method(method)) => {
                self.named_method(cx, method, field).await
            }
            (PaymentApi::Method, Choice::DefaultMethod(_)) => {
                let ids = self.client.methods(cx, true).await?;
                ids.first().map(|id| Pay::Method { id: *id }).ok_or_else(no_default)
            }
        }
    }

    async fn named_mean(
        &self,
        cx: &Cx,
        order: i64,
        method: &PaymentMethod,
        field: &str,
    ) -> Result<Pay> {
        let offered = self.client.available_means(cx, order).await?;
        let kind = method.r#type.clone();
        if !offered.iter().any(|offered| offered.payment_mean == kind) {
            let message = "is not among the means that the upstream offers for the order";
            return Err(Error::field(format!("{field}.type"), message));
        }
        let id =
            match method.id.as_str() {
                "" if needs_id(&kind) => {
                    let message = "is required with this kind of means";
                    return Err(Error::field(format!("{field}.id"), message));
                }
                "" => None,
                id => Some(names::counted(id).ok_or_else(|| {
                    Error::field(format!("{field}.id"), "is no number of a means")
                })?),
            };
        Ok(Pay::Mean { kind, id })
    }

    async fn default_mean(&self, cx: &Cx, seen: &Seen) -> Result<Pay> {
        let offered = self.registered_means(cx, seen.id).await?;
        // An amount that is rounded to nothing is not nothing.
        let total = cost(&seen.order).filter(|price| price.ceiling.is_none());
        let free = total.and_then(|price| price.amount).is_some_and(|amount| amount.is_zero());
        let found = offered.iter().find(|method| match free {
            true => method.r#type == FREE,
            false => method.is_default,
        });
        let found = found.or_else(|| offered.iter().find(|method| method.is_default));
        let found = found.ok_or_else(no_default)?;
        let id = names::counted(&found.id);
        Ok(Pay::Mean { kind: found.r#type.clone(), id })
    }

    async fn named_method(&self, cx: &Cx, method: &PaymentMethod, field: &str) -> Result<Pay> {
        let id = names::counted(&method.id);
        let id = id.ok_or_else(|| {
            Error::field(format!("{field}.id"), "is no number of a payment method")
        })?;
        if !self.client.methods(cx, false).await?.contains(&id) {
            let message = "is not among the account's payment methods";
            return Err(Error::field(format!("{field}.id"), message));
        }
        let told = self.client.method(cx, id).await?;
        if !method.r#type.is_empty() && method.r#type != told.payment_type {
            let message = "is not the type that the upstream tells of this method";
            return Err(Error::field(format!("{field}.type"), message));
        }
        Ok(Pay::Method { id })
    }

    /// The kinds that the upstream offers for the order, with the account's means of each.
    async fn registered_means(&self, cx: &Cx, order: i64) -> Result<Vec<PaymentMethod>> {
        let mut all = Vec::new();
        for kind in self.client.available_means(cx, order).await? {
            let kind = kind.payment_mean;
            if !needs_id(&kind) {
                all.push(PaymentMethod { r#type: kind, ..PaymentMethod::default() });
                continue;
            }
            for id in self.client.means(cx, &kind).await? {
                let mean = self.client.mean(cx, &kind, id).await?;
                if mean.state.as_deref().is_none_or(|state| state == "valid") {
                    all.push(PaymentMethod {
                        r#type: kind.clone(),
                        id: mean.id.to_string(),
                        display_name: mean.description.unwrap_or_default(),
                        is_default: mean.default_payment_mean,
                    });
                }
            }
        }
        Ok(all)
    }

    /// The account's methods of the newer kind; they are the same for every order.
    async fn methods(&self, cx: &Cx, order: i64) -> Result<Vec<PaymentMethod>> {
        self.client.order(cx, order).await?;
        let mut all = Vec::new();
        for id in self.client.methods(cx, false).await? {
            let Method { id, payment_type, default, label, status } =
                self.client.method(cx, id).await?;
            if status.as_deref().is_none_or(|status| status == "VALID") {
                all.push(PaymentMethod {
                    r#type: payment_type,
                    id: id.to_string(),
                    display_name: label.unwrap_or_default(),
                    is_default: default,
                });
            }
        }
        Ok(all)
    }
}

fn no_default() -> Error {
    Error::state("the account has no default means of payment")
}
