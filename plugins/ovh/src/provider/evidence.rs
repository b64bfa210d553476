//! Evidence: what was there before a write, and what became of one whose answer was lost. A payment is
//! told by its order's own status, a change by the service itself.

use purveyor_sdk::names;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::time::to_rfc3339;
use purveyor_sdk::v1::{CreateRenewalRequest, ErrorReason, Order, UpstreamRef};
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Resource, Result, Step, WriteRequest,
};

use super::Ovh;
use super::changes::{target, wanted};
use super::order_view::Seen;
use super::orders::number;
use super::payments::FIRST_LOOK;
use crate::checkpoint::{Before, Changed, Followed, decode, encode};

/// How much earlier than now a new order can be dated: as far as the upstream's own clocks may differ.
const DATE_MARGIN_SECONDS: i64 = 60;

pub(super) async fn baseline(ovh: &Ovh, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    match &asked.write.request {
        WriteRequest::CreateRenewal(_) if asked.step == 1 => ovh.before_order(cx, asked.step).await,
        WriteRequest::CreateRenewal(_) => {
            let order = decode::<Followed>(&asked.handle)?.order;
            Ok(of_payment(order))
        }
        WriteRequest::PayOrder(request) => {
            Ok(of_payment(number(&asked.write.upstream_id, &request.name)?))
        }
        _ => Err(Error::unsupported("evidence of this write")),
    }
}

pub(super) async fn find(ovh: &Ovh, cx: &Cx, find: Find) -> Result<Finding> {
    match &find.write.request {
        WriteRequest::CreateRenewal(request) => {
            // The first step spends nothing, so that nothing of it is ever searched for.
            let order = decode::<Followed>(&find.handle)?.order;
            ovh.payment_found(cx, &find, order, Some(request)).await
        }
        WriteRequest::PayOrder(request) => {
            let order = number(&find.write.upstream_id, &request.name)?;
            ovh.payment_found(cx, &find, order, None).await
        }
        request => match wanted(request)? {
            Some((name, wanted)) => {
                let id = target(&find.write.upstream_id, name)?;
                let service = ovh.client.service(cx, id).await?;
                let infos = ovh.infos_of(cx, &service).await?;
                let shown = wanted.is_shown(&service, infos.as_ref());
                if !shown && !wanted.is_under_way(&service) {
                    return Ok(Finding::absent());
                }
                let view = ovh.service(id, &service, infos.as_ref())?;
                let step = if shown {
                    Step::Done(view)
                } else {
                    let handle = encode(&Changed::default())?;
                    Step::Pending { handle, after: FIRST_LOOK, view: Some(view) }
                };
                Ok(Finding::found("", step.map(Resource::from)))
            }
            None => Err(Error::unsupported("a search for this write")),
        },
    }
}

/// Two payments of one order cannot be told apart; of two orders they can.
fn of_payment(order: i64) -> Evidence {
    Evidence { similarity: format!("order {order}"), ..Evidence::default() }
}

impl Ovh {
    /// The orders that are there before a renewal's own. When the step is begun again, what was there
    /// before it was first begun still counts, so that an order which it has left behind is seen.
    async fn before_order(&self, cx: &Cx, step: i32) -> Result<Evidence> {
        let earlier = decode::<Before>(cx.baseline()).ok().filter(|before| before.step == step);
        let before = match earlier {
            Some(earlier) => Before { begun: earlier.begun.saturating_add(1), ..earlier },
            None => {
                let now = self.client.upstream_now(cx).await?;
                let since = Timestamp { seconds: now - DATE_MARGIN_SECONDS, nanos: 0 };
                let since = to_rfc3339(&since)?;
                let orders = self.client.orders(cx, Some(&since)).await?;
                Before { step, begun: 0, since, orders }
            }
        };
        let present_ids = before.orders.iter().map(i64::to_string).collect();
        Ok(Evidence { evidence: encode(&before)?, present_ids, ..Evidence::default() })
    }

    /// What became of a payment. An order that still waits for it was not paid; one whose payment is
    /// checked, or that is further, was. One that was cancelled or is gone may have been paid before,
    /// and a word that is not known says nothing: a person has to look.
    async fn payment_found(
        &self,
        cx: &Cx,
        find: &Find,
        order: i64,
        renewal: Option<&CreateRenewalRequest>,
    ) -> Result<Finding> {
        if !find.upstream_id.is_empty() && names::counted(&find.upstream_id) != Some(order) {
            return Ok(Finding::absent());
        }
        let seen = match self.seen(cx, order).await {
            Ok(seen) => seen,
            Err(error) if error.reason == ErrorReason::OrderNotFound => {
                return Ok(Finding::unexplained(vec![gone(order)]));
            }
            Err(error) => return Err(error),
        };
        match seen.status.as_ref() {
            Some(status) if status.is_unpaid() => Ok(Finding::absent()),
            Some(status) if status.is_paid() || status.is_checked() => {
                let step: Step<Resource> = match renewal {
                    Some(request) => {
                        let extension = self.extension(cx, request).await?;
                        self.paid(&extension, seen)?.map(Resource::from)
                    }
                    None => self.paid_order(cx, seen).await?.map(Resource::from),
                };
                // What a renewal makes is its order; a payment makes nothing.
                let made = if renewal.is_some() { order.to_string() } else { String::new() };
                Ok(Finding::Found { upstream_id: made, step: Box::new(step) })
            }
            _ => Ok(Finding::unexplained(vec![seen.upstream()])),
        }
    }

    async fn paid_order(&self, cx: &Cx, seen: Seen) -> Result<Step<Order>> {
        let lines = self.lines(cx, seen.id).await?;
        let handle = encode(&Followed::new(seen.id))?;
        Ok(Step::Pending { handle, after: FIRST_LOOK, view: Some(self.shown(&seen, &lines)?) })
    }
}

fn gone(order: i64) -> UpstreamRef {
    UpstreamRef {
        id: order.to_string(),
        r#type: "order".to_owned(),
        message: "the upstream does not know the order any more".to_owned(),
        ..UpstreamRef::default()
    }
}
