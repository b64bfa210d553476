//! Evidence: what was there before a write, and what became of one whose answer was lost. A payment is
//! told by its order's own status, a change by the service itself.

use purveyor_sdk::names;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::rows::{self, Gaps};
use purveyor_sdk::time::to_rfc3339;
use purveyor_sdk::v1::{Order, UpstreamRef};
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Resource, Result, Step, Traces, WriteRequest,
};

use super::Ovh;
use super::changes::{Wanted, target, wanted};
use super::order_view::Seen;
use super::orders::number;
use super::payments::FIRST_LOOK;
use super::renewals::Extension;
use crate::checkpoint::{Before, Changed, Followed, Identity, decode, encode};
use crate::error;
use crate::model::Status;

/// How much earlier than now a new order can be dated: as far as the upstream's own clocks may differ.
const DATE_MARGIN_SECONDS: i64 = 60;

/// How far back orders are listed by the host's clock, so that the upstream's clock alone hides none.
const LISTED_SECONDS: i64 = 26 * 3600;

pub(super) async fn baseline(ovh: &Ovh, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    match &asked.write.request {
        WriteRequest::CreateRenewal(_) if asked.step == 1 => match &asked.lost_since {
            Some(since) => before_lost_order(asked.step, since),
            None => ovh.before_order(cx, asked.step).await,
        },
        WriteRequest::CreateRenewal(request) => {
            let order = decode::<Followed>(&asked.handle)?.order;
            let followed = ovh.extension(cx, request).await?.followed(order);
            ovh.before_payment(cx, followed).await
        }
        WriteRequest::PayOrder(request) => {
            let order = number(asked.write.upstream_id(), &request.name)?;
            // When the step is begun again, an end may have moved because of the try before.
            let earlier = decode::<Followed>(cx.baseline()).ok().filter(|it| it.order == order);
            match earlier {
                Some(earlier) => of_payment(&earlier),
                None => {
                    let lines = error::missing(ovh.lines(cx, order).await, || {
                        Error::order_not_found(&request.name)
                    })?;
                    let followed = ovh.renewing(cx, order, &lines).await?;
                    ovh.before_payment(cx, followed).await
                }
            }
        }
        request => match wanted(request)? {
            Some((name, _)) => {
                ovh.before_change(cx, target(asked.write.upstream_id(), name)?).await
            }
            None => Err(Error::unsupported("evidence of this write")),
        },
    }
}

pub(super) async fn find(ovh: &Ovh, cx: &Cx, find: Find) -> Result<Finding> {
    match &find.write.request {
        WriteRequest::CreateRenewal(request) if find.handle.is_empty() => {
            // The first step spends nothing, so that it is searched for only with what may have followed.
            let before = decode::<Before>(&find.evidence)?;
            if !before.lost {
                return Err(Error::fault("nothing was spent that could be searched for"));
            }
            let extension = ovh.extension(cx, request).await?;
            ovh.lost_renewal_found(cx, &find, &extension, &before).await
        }
        WriteRequest::CreateRenewal(request) => {
            let order = decode::<Followed>(&find.handle)?.order;
            let extension = ovh.extension(cx, request).await?;
            let evidence = decode::<Followed>(&find.evidence);
            let earlier = evidence.map(|it| it.earlier).unwrap_or_default();
            let followed = Followed { earlier, ..extension.followed(order) };
            ovh.payment_found(cx, &find, followed, Some(&extension)).await
        }
        WriteRequest::PayOrder(request) => {
            let order = number(find.write.upstream_id(), &request.name)?;
            // Version one kept no evidence of a payment.
            let followed = decode::<Followed>(&find.evidence).ok().filter(|it| it.order == order);
            let followed = followed.unwrap_or_else(|| Followed::new(order));
            ovh.payment_found(cx, &find, followed, None).await
        }
        request => match wanted(request)? {
            Some((name, wanted)) => {
                let id = target(find.write.upstream_id(), name)?;
                ovh.change_found(cx, &find, id, &wanted).await
            }
            None => Err(Error::unsupported("a search for this write")),
        },
    }
}

/// Two payments of one order cannot be told apart; of two orders they can.
fn of_payment(followed: &Followed) -> Result<Evidence> {
    let (evidence, similarity) = (encode(followed)?, format!("order {}", followed.order));
    // The order itself tells whether it is paid, whoever has paid it.
    Ok(Evidence { evidence, similarity, without_lost: true, ..Evidence::default() })
}

/// No order is known: the ends that the caller expects tell whether the renewal was done.
fn before_lost_order(step: i32, since: &Timestamp) -> Result<Evidence> {
    let earliest = since.seconds - LISTED_SECONDS - DATE_MARGIN_SECONDS;
    let since = to_rfc3339(&Timestamp { seconds: earliest, nanos: 0 })?;
    let before = Before { step, begun: 0, since, orders: Vec::new(), lost: true };
    Ok(Evidence { evidence: encode(&before)?, without_lost: true, ..Evidence::default() })
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
                let earliest = now.min(cx.now().seconds - LISTED_SECONDS) - DATE_MARGIN_SECONDS;
                let since = Timestamp { seconds: earliest, nanos: 0 };
                let since = to_rfc3339(&since)?;
                let orders = self.client.orders(cx, Some(&since)).await?;
                Before { step, begun: 0, since, orders, lost: false }
            }
        };
        let highest = before.orders.iter().max();
        let highest_id = highest.map(i64::to_string).unwrap_or_default();
        Ok(Evidence { evidence: encode(&before)?, highest_id, ..Evidence::default() })
    }

    /// What became of a payment. An order whose payment is checked, shows, or is further was paid, and so
    /// was one whose services got the very term although its word lags, beside what other orders explain.
    /// One that is gone may have been paid before, and a word that is not known says nothing.
    async fn payment_found(
        &self,
        cx: &Cx,
        find: &Find,
        followed: Followed,
        renewal: Option<&Extension>,
    ) -> Result<Finding> {
        let order = followed.order;
        if !find.upstream_id.is_empty() && names::counted(&find.upstream_id) != Some(order) {
            return Ok(Finding::absent());
        }
        let seen = self.seen_if_there(cx, order).await?;
        let ends = self.ends(cx, &followed, seen.as_ref()).await?;
        let status = seen.as_ref().and_then(|seen| seen.status.as_ref());
        let unpaid = status.is_some_and(Status::is_unpaid);
        // A cancelled order is found as what failed: nothing comes of it, whether it was paid or not.
        let failed = status.is_some_and(Status::is_cancelled) && !ends.moved();
        let said_paid = status.is_some_and(|status| status.is_paid() || status.is_checked());
        // An order whose word is not known may be unpaid as well.
        let asks = seen.is_some() && !said_paid && !status.is_some_and(Status::is_cancelled);
        let shows = if asks { self.client.payment(cx, order).await? } else { None };
        let paid = failed
            || said_paid
            || (unpaid && shows == Some(true))
            // Where no payment shows, somebody else may have moved the ends.
            || (shows != Some(false) && ends.are_told() && ends.delivered(status));
        if paid {
            let seen = seen.unwrap_or_else(|| Seen::gone(order));
            let step: Step<Resource> = match renewal {
                Some(extension) => {
                    self.paid(extension, seen, followed.earlier)?.map(Resource::from)
                }
                None => self.paid_order(cx, followed, seen).await?.map(Resource::from),
            };
            // What a renewal makes is its order; a payment makes nothing.
            let made = if renewal.is_some() { order.to_string() } else { String::new() };
            return Ok(Finding::found(made, step));
        }
        let mut unexplained = ends.unexplained();
        match seen {
            Some(_) if unpaid => {}
            Some(seen) => unexplained.push(seen.upstream()),
            None => unexplained.push(gone(order)),
        }
        let effects = i32::try_from(ends.terms()).unwrap_or(i32::MAX);
        Ok(Finding::Absent(Traces { unexplained, effects, ..Traces::default() }))
    }

    /// What became of a renewal that may have been ordered and paid without the gateway's knowing. An order
    /// that is paid and renews the services may be its own or a person's, which nothing tells apart, so it
    /// speaks against absence until somebody names it; while each end is where the caller expects it, a
    /// delivered order was an earlier renewal. An unpaid order costs nothing and lapses.
    async fn lost_renewal_found(
        &self,
        cx: &Cx,
        find: &Find,
        extension: &Extension,
        before: &Before,
    ) -> Result<Finding> {
        if !find.upstream_id.is_empty() {
            let Some(order) = names::counted(&find.upstream_id) else {
                return Ok(Finding::absent());
            };
            return match self.seen_if_there(cx, order).await? {
                Some(seen) => self.lost_renewal(extension, seen),
                None => Ok(Finding::absent()),
            };
        }
        let (ends, names) = self.present_ends(cx, &extension.followed(0)).await?;
        let listed = self.client.orders(cx, Some(&before.since)).await?;
        let unclaimed = listed.iter().filter(|id| !find.claimed_ids.contains(&id.to_string()));
        let mut paid = Vec::new();
        let mut gaps = Gaps::default();
        for id in unclaimed {
            let other = match self.other(cx, *id, &names).await {
                Err(error) if rows::is_gone(&error) => None,
                // It may be the renewal's own.
                other => gaps.keep_alone(&format!("order {id}"), other)?,
            };
            let Some(other) = other else { continue };
            let can_be = if ends.moved() { !other.is_unpaid() } else { other.is_at_work() };
            if can_be {
                paid.push(other.upstream());
            }
        }
        let unexplained = paid.into_iter().chain(ends.moved_services()).collect();
        let incomplete = gaps.check("what may be the renewal").err().map(|error| error.message);
        let incomplete = incomplete.unwrap_or_default();
        Ok(Finding::Absent(Traces { unexplained, incomplete, ..Traces::default() }))
    }

    fn lost_renewal(&self, extension: &Extension, seen: Seen) -> Result<Finding> {
        let order = seen.id.to_string();
        let step: Step<Resource> = self.paid(extension, seen, Vec::new())?.map(Resource::from);
        Ok(Finding::found(order, step))
    }

    /// The ends before a payment, and the orders that had moved them by then. When the step is begun again,
    /// those of its first try count.
    async fn before_payment(&self, cx: &Cx, followed: Followed) -> Result<Evidence> {
        let known = decode::<Followed>(cx.baseline()).ok();
        if let Some(known) = known.filter(|known| known.order == followed.order) {
            return of_payment(&Followed { earlier: known.earlier, ..followed });
        }
        let mut names = Vec::new();
        for ending in &followed.ends {
            let service = self.client.service(cx, ending.service).await?;
            names.extend(service.name().map(str::to_owned));
        }
        let others = self.others(cx, &names, Some(followed.order)).await?;
        let earlier = others.iter().filter(|it| it.is_delivered()).map(|it| it.id).collect();
        of_payment(&Followed { earlier, ..followed })
    }

    async fn paid_order(&self, cx: &Cx, followed: Followed, seen: Seen) -> Result<Step<Order>> {
        let lines = match &seen.status {
            Some(_) => self.lines(cx, seen.id).await?,
            None => Vec::new(),
        };
        let view = Some(self.shown(&seen, &lines)?);
        let handle = encode(&Followed { looks: 0, ..followed })?;
        Ok(Step::Pending { handle, after: FIRST_LOOK, view })
    }

    /// What the upstream never changes of a service: a change is sent again only to the same one.
    async fn before_change(&self, cx: &Cx, id: i64) -> Result<Evidence> {
        let service = self.client.service(cx, id).await?;
        let (evidence, similarity) = (encode(&service.identity())?, format!("service {id}"));
        Ok(Evidence { evidence, similarity, ..Evidence::default() })
    }

    /// What became of a change: the service itself tells, as long as it is the same one.
    async fn change_found(
        &self,
        cx: &Cx,
        find: &Find,
        id: i64,
        wanted: &Wanted,
    ) -> Result<Finding> {
        let Some((service, infos)) = self.changing(cx, id).await? else {
            if wanted.is_gone_shown() && self.is_gone(cx, id).await? {
                return Ok(Finding::found("", Step::Done(self.terminated(id)?.into())));
            }
            return Ok(Finding::incomplete(format!(
                "the upstream does not know service {id} any more"
            )));
        };
        let before = decode::<Identity>(&find.evidence).ok();
        if before.is_some_and(|before| before != service.identity()) {
            let why = format!("service {id} is another service than before the request");
            return Ok(Finding::incomplete(why));
        }
        let view = self.service(id, &service, infos.as_ref())?;
        let step = if wanted.is_shown(&service, infos.as_ref()) {
            Step::Done(view)
        } else if wanted.is_under_way(&service) {
            let handle = encode(&Changed::default())?;
            Step::Pending { handle, after: FIRST_LOOK, view: Some(view) }
        } else {
            return Ok(Finding::absent());
        };
        Ok(Finding::found("", step.map(Resource::from)))
    }
}

fn gone(order: i64) -> UpstreamRef {
    UpstreamRef {
        ids: vec![order.to_string()],
        r#type: "order".to_owned(),
        message: "the upstream does not know the order any more".to_owned(),
        ..UpstreamRef::default()
    }
}
