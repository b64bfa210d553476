//! Following what the upstream has accepted: an order by its status, and a renewal to the end of its
//! services that has moved; a change by the service itself. Reads only.

use std::time::Duration;

use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{CreateRenewalRequest, ErrorReason, Order, Renewal};
use purveyor_sdk::{Cx, Error, PollItem, Progress, Resource, Result, Standing, WriteRequest, etag};

use super::Ovh;
use super::changes::{Wanted, target, wanted};
use super::effect::Verdict;
use super::order_view::Seen;
use crate::checkpoint::{Changed, Followed, decode, encode};
use crate::model::Status;

/// The pauses between two looks: three seconds and growing, as the upstream's own tools wait.
const SHORTEST_PAUSE: u64 = 3;
const LONGEST_PAUSE: u64 = 60;

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
                    let id = target(item.write.upstream_id(), name)?;
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
        let Followed { order, looks, earlier, .. } = followed;
        let followed = Followed { looks, earlier, ..extension.followed(order) };
        let seen = self.seen_if_there(cx, followed.order).await?;
        let ends = self.ends(cx, &followed, seen.as_ref()).await?;
        let verdict = self.judged(cx, followed.order, seen.as_ref(), &ends).await?;
        let shown = seen.unwrap_or_else(|| Seen::gone(followed.order));
        let view = match verdict {
            Verdict::Delivered => {
                let view = self.own_renewal(&extension, &shown, &ends.later())?;
                let state = RenewalState::Completed.into();
                etag::seal(Renewal { state, required_action: None, ..view })
            }
            _ => self.own_renewal(&extension, &shown, &[])?,
        };
        goes_on(followed, verdict, view.into())
    }

    async fn payment_progress(&self, cx: &Cx, followed: Followed) -> Result<Progress> {
        let seen = self.seen_if_there(cx, followed.order).await?;
        let ends = self.ends(cx, &followed, seen.as_ref()).await?;
        // What an order that renews nothing becomes is not its payment's to wait for.
        let paid = seen.as_ref().and_then(|seen| seen.status.as_ref()).is_some_and(Status::is_paid);
        let verdict = match !ends.are_told() && paid {
            true => Verdict::Delivered,
            false => self.judged(cx, followed.order, seen.as_ref(), &ends).await?,
        };
        let view = match &seen {
            Some(seen) => self.shown(seen, &self.lines(cx, seen.id).await?)?,
            None => self.shown(&Seen::gone(followed.order), &[])?,
        };
        let view = match verdict {
            Verdict::Delivered if ends.are_told() => {
                let state = OrderState::Completed.into();
                etag::seal(Order { state, required_action: None, ..view })
            }
            _ => view,
        };
        goes_on(followed, verdict, view.into())
    }

    async fn change_progress(
        &self,
        cx: &Cx,
        id: i64,
        wanted: &Wanted,
        changed: Changed,
    ) -> Result<Progress> {
        let (after, looks) = (pause(changed.looks), changed.looks.saturating_add(1));
        let handle = encode(&Changed { looks })?;
        let stands = |standing, message: String, view| Progress::Stands {
            handle: handle.clone(),
            after,
            view,
            standing,
            error: Error::new(ErrorReason::UpstreamFailed, message),
        };
        let Some((service, infos)) = self.changing(cx, id).await? else {
            if wanted.is_gone_shown() && self.is_gone(cx, id).await? {
                return Ok(Progress::Done(self.terminated(id)?.into()));
            }
            let message = format!("the upstream does not know service {id} any more");
            return Ok(stands(Standing::Unclear, message, None));
        };
        let view = Resource::from(self.service(id, &service, infos.as_ref())?);
        if wanted.is_shown(&service, infos.as_ref()) {
            return Ok(Progress::Done(view));
        }
        if wanted.is_under_way(&service) {
            return Ok(Progress::Pending { handle, after, view: Some(view) });
        }
        let word = service.word();
        let message =
            format!("the upstream took the change, and service {id} does not show it: {word}");
        Ok(stands(Standing::EffectAwaited, message, Some(view)))
    }
}

/// How an order is followed on.
fn goes_on(followed: Followed, verdict: Verdict, view: Resource) -> Result<Progress> {
    let after = pause(followed.looks);
    let handle = encode(&followed.again())?;
    let (standing, error) = match verdict {
        Verdict::Delivered => return Ok(Progress::Done(view)),
        Verdict::Failed(error) => return Ok(Progress::Failed { error, view: Some(view) }),
        Verdict::UnderWay => return Ok(Progress::Pending { handle, after, view: Some(view) }),
        Verdict::EffectAwaited(error) => (Standing::EffectAwaited, error),
        Verdict::Unclear(error) => (Standing::Unclear, error),
        Verdict::NotDone(error) => (Standing::NotDone, error),
    };
    Ok(Progress::Stands { handle, after, view: Some(view), standing, error })
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
