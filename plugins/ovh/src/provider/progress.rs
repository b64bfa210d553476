//! Following what the upstream has accepted: an order by its status, and a renewal to the end of its
//! services that has moved; a change by the service itself. Reads only.

use std::time::Duration;

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::v1::{CreateRenewalRequest, ErrorReason};
use purveyor_sdk::{Cx, Error, PollItem, Progress, Resource, Result, WriteRequest};

use super::Ovh;
use super::changes::{Wanted, target, wanted};
use super::order_view::Seen;
use super::renewals::Extension;
use crate::checkpoint::{Changed, Followed, decode, encode};
use crate::model::Status;

/// The pauses between two looks: three seconds and growing, as the upstream's own tools wait.
const SHORTEST_PAUSE: u64 = 3;
const LONGEST_PAUSE: u64 = 60;

/// How often a delivered order is looked at until its services' ends have moved. Then the order's own
/// word has to do.
const DELIVERED_LOOKS: u32 = 10;

pub(super) async fn poll(ovh: &Ovh, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
    let mut all = Vec::with_capacity(items.len());
    for item in &items {
        all.push(ovh.progress(cx, item).await.unwrap_or_else(Progress::Unavailable));
    }
    Ok(all)
}

fn pause(looks: u32) -> Duration {
    let seconds = SHORTEST_PAUSE.saturating_mul(2_u64.saturating_pow(looks));
    Duration::from_secs(seconds.min(LONGEST_PAUSE))
}

impl Ovh {
    async fn progress(&self, cx: &Cx, item: &PollItem) -> Result<Progress> {
        match &item.write.request {
            WriteRequest::CreateRenewal(request) => {
                self.renewal_progress(cx, request, decode(&item.handle)?).await
            }
            WriteRequest::PayOrder(_) => self.payment_progress(cx, decode(&item.handle)?).await,
            request => match wanted(request)? {
                Some((name, wanted)) => {
                    let id = target(&item.write.upstream_id, name)?;
                    self.change_progress(cx, id, &wanted, decode(&item.handle)?).await
                }
                None => Err(Error::unsupported("following this write")),
            },
        }
    }

    async fn renewal_progress(
        &self,
        cx: &Cx,
        request: &CreateRenewalRequest,
        followed: Followed,
    ) -> Result<Progress> {
        let extension = self.extension(cx, request).await?;
        let seen = match self.seen(cx, followed.order).await {
            Err(error) if error.reason == ErrorReason::OrderNotFound => return Ok(gone(None)),
            seen => seen?,
        };
        let delivered = seen.status.as_ref().is_some_and(Status::is_delivered);
        let ends = if delivered { self.moved_ends(cx, &extension).await? } else { Vec::new() };
        let view = Resource::from(self.own_renewal(&extension, &seen, &ends)?);
        if let Some(error) = failure(&seen) {
            return Ok(Progress::Failed { error, view: Some(view) });
        }
        let moved = ends.iter().all(Option::is_some);
        let documents = seen.status.as_ref().is_some_and(Status::needs_documents);
        if documents || (delivered && (moved || followed.delivered >= DELIVERED_LOOKS)) {
            return Ok(Progress::Done(view));
        }
        again(followed, delivered, view)
    }

    /// The end of each service where it is later than the caller expected it.
    async fn moved_ends(&self, cx: &Cx, extension: &Extension) -> Result<Vec<Option<Timestamp>>> {
        let mut ends = Vec::new();
        for guarded in &extension.services {
            let service = self.client.service(cx, guarded.id).await?;
            let end = self.expiry_now(cx, &service).await?;
            let later = |end: &Timestamp| {
                guarded
                    .expected
                    .is_none_or(|was| (end.seconds, end.nanos) > (was.seconds, was.nanos))
            };
            ends.push(end.filter(later));
        }
        Ok(ends)
    }

    async fn payment_progress(&self, cx: &Cx, followed: Followed) -> Result<Progress> {
        let seen = match self.seen(cx, followed.order).await {
            Err(error) if error.reason == ErrorReason::OrderNotFound => return Ok(gone(None)),
            seen => seen?,
        };
        let lines = self.lines(cx, followed.order).await?;
        let view = Resource::from(self.shown(&seen, &lines)?);
        if let Some(error) = failure(&seen) {
            return Ok(Progress::Failed { error, view: Some(view) });
        }
        if seen.status.as_ref().is_some_and(Status::is_paid) {
            return Ok(Progress::Done(view));
        }
        again(followed, false, view)
    }

    async fn change_progress(
        &self,
        cx: &Cx,
        id: i64,
        wanted: &Wanted,
        changed: Changed,
    ) -> Result<Progress> {
        let service = self.client.service(cx, id).await?;
        let infos = self.infos_of(cx, &service).await?;
        let view = Resource::from(self.service(id, &service, infos.as_ref())?);
        if wanted.is_shown(&service, infos.as_ref()) {
            return Ok(Progress::Done(view));
        }
        let (after, looks) = (pause(changed.looks), changed.looks.saturating_add(1));
        Ok(Progress::Pending { handle: encode(&Changed { looks })?, after, view: Some(view) })
    }
}

/// Why an order goes no further although its payment was taken.
fn failure(seen: &Seen) -> Option<Error> {
    let status = seen.status.as_ref()?;
    let failed = |message: &str| {
        let error = Error::new(ErrorReason::UpstreamFailed, message);
        Some(error.with_metadata("upstream_order", seen.id).with_upstream_code(&status.0))
    };
    if status.is_cancelled() {
        return failed("the upstream has cancelled the order");
    }
    if status.is_unpaid() && seen.lapsed {
        return failed("the upstream took the payment and let the order lapse unpaid");
    }
    None
}

fn gone(view: Option<Resource>) -> Progress {
    let message = "the upstream does not know the order any more";
    Progress::Failed { error: Error::new(ErrorReason::UpstreamFailed, message), view }
}

fn again(followed: Followed, delivered: bool, view: Resource) -> Result<Progress> {
    let after = pause(followed.looks);
    let next = Followed {
        looks: followed.looks.saturating_add(1),
        delivered: followed.delivered.saturating_add(u32::from(delivered)),
        ..followed
    };
    Ok(Progress::Pending { handle: encode(&next)?, after, view: Some(view) })
}

#[cfg(test)]
mod tests {
    use super::{Duration, pause};

    #[test]
    fn pauses_grow() {
        fn check(looks: u32, expected: u64) {
            assert_eq!(pause(looks), Duration::from_secs(expected), "{looks}");
        }
        check(0, 3);
        check(1, 6);
        check(4, 48);
        check(5, 60);
        check(u32::MAX, 60);
    }
}
