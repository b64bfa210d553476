//! The effect of a paid order: a further term for each of its services. Step, poll and search judge by
//! [`Ends::delivered`] alone.

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::time::to_rfc3339;
use purveyor_sdk::v1::{ErrorReason, UpstreamRef};
use purveyor_sdk::{Cx, Error, Period, Result};

use super::Ovh;
use super::blocking::Other;
use super::order_view::Seen;
use crate::checkpoint::{Ending, Followed};
use crate::model::Status;

/// How far an end may be from where a term leads: months differ in length, and a day begins elsewhere in
/// another zone.
const TOLERANCE_SECONDS: i64 = 4 * 86_400;

/// How far the two places may differ that tell an end: one tells the moment, the other its day.
pub(super) const DAY_SECONDS: i64 = 2 * 86_400;

/// The most terms that are counted.
const TERMS_MAX: u32 = 36;

/// The ends of an order's services before its payment and now.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ends {
    rows: Vec<End>,
}

#[derive(Debug, Clone, PartialEq)]
struct End {
    service: i64,
    before: Option<i64>,
    now: Option<Timestamp>,
    /// How many terms it has moved; `None`: by something else, or the term is not known.
    terms: Option<u32>,
}

/// What an order's word, its payment and its effect come to.
#[derive(Debug)]
pub(super) enum Verdict {
    /// What it was to do is done.
    Delivered,
    /// The upstream is at work on it.
    UnderWay,
    /// The upstream has said its last word of success, and an end has not moved.
    EffectAwaited(Error),
    /// The upstream knows the order no more, or tells what nobody understands.
    Unclear(Error),
    /// The order is unpaid, no payment shows, and no end has moved.
    NotDone(Error),
    /// The upstream's last word of failure, and no end has moved.
    Failed(Error),
}

impl Ends {
    /// Whether a paid order has done what it was to do: each service ends later than before. While the
    /// order's own word is not of success, only the very term that was asked for is its effect. Where
    /// the upstream tells no ends, its word is all that can be read.
    pub(super) fn delivered(&self, status: Option<&Status>) -> bool {
        let said = status.is_some_and(Status::is_delivered);
        if !self.are_told() {
            return said;
        }
        self.told().all(End::is_later) && (said || self.told().all(|end| end.terms == Some(1)))
    }

    /// Whether the upstream tells an end at all.
    pub(super) fn are_told(&self) -> bool {
        self.told().next().is_some()
    }

    /// Whether any end has moved.
    pub(super) fn moved(&self) -> bool {
        self.rows.iter().any(End::is_later)
    }

    /// How often the term was added to the service that got it most often.
    pub(super) fn terms(&self) -> u32 {
        self.rows.iter().filter_map(|end| end.terms).max().unwrap_or_default()
    }

    /// Services whose ends have moved by something else than the term.
    pub(super) fn unexplained(&self) -> Vec<UpstreamRef> {
        self.services(|end| end.is_later() && end.terms.is_none())
    }

    /// Services whose ends have moved.
    pub(super) fn moved_services(&self) -> Vec<UpstreamRef> {
        self.services(End::is_later)
    }

    fn services(&self, which: impl Fn(&End) -> bool) -> Vec<UpstreamRef> {
        let services = self.rows.iter().filter(|end| which(end)).map(|end| UpstreamRef {
            ids: vec![end.service.to_string()],
            r#type: "service".to_owned(),
            message: format!("its end has moved to {}", end.words()),
            ..UpstreamRef::default()
        });
        services.collect()
    }

    /// The ends now, where they are later than before, in order.
    pub(super) fn later(&self) -> Vec<Option<Timestamp>> {
        self.rows.iter().map(|end| end.now.filter(|_| end.is_later())).collect()
    }

    fn told(&self) -> impl Iterator<Item = &End> {
        self.rows.iter().filter(|end| end.before.is_some() || end.now.is_some())
    }

    /// What has not moved, in words.
    fn lacking(&self) -> String {
        let still = self.told().filter(|end| !end.is_later());
        let words = still.map(|end| format!("service {} still ends {}", end.service, end.words()));
        words.collect::<Vec<_>>().join(", ")
    }
}

impl End {
    fn is_later(&self) -> bool {
        match (self.before, self.now) {
            (Some(before), Some(now)) => now.seconds > before && self.terms != Some(0),
            (None, now) => now.is_some(),
            (Some(_), None) => false,
        }
    }

    fn words(&self) -> String {
        let text = self.now.and_then(|now| to_rfc3339(&now).ok());
        text.unwrap_or_else(|| "at no time that the upstream tells".to_owned())
    }
}

impl Ovh {
    /// The ends of what an order renews, compared with those of before and what other orders have added
    /// since. A service that is gone has none.
    pub(super) async fn ends(
        &self,
        cx: &Cx,
        followed: &Followed,
        seen: Option<&Seen>,
    ) -> Result<Ends> {
        let (mut ends, names) = self.present_ends(cx, followed).await?;
        if !ends.moved() {
            return Ok(ends);
        }
        let others = self.others(cx, &names, Some(followed.order)).await?;
        // Where this order says that it is delivered, one that is not has not moved an end yet.
        let said = seen.and_then(|seen| seen.status.as_ref()).is_some_and(Status::is_delivered);
        let counts = |other: &&Other| {
            let moved = if said { other.is_delivered() } else { other.is_paid() };
            moved && !followed.earlier.contains(&other.id)
        };
        for (end, name) in ends.rows.iter_mut().zip(&names) {
            let adding = others.iter().filter(counts).filter(|other| other.renews(name));
            let added: Option<u32> = adding.map(|other| other.months).sum();
            // What an order adds that does not tell its term is anything.
            let told = (end.before, end.now, added, followed.months);
            let (Some(before), Some(now), Some(added), Some(months)) = told else { continue };
            let before = self.after_months(before, added)?;
            end.before = Some(before);
            end.terms = self.terms(before, now.seconds, months)?;
        }
        Ok(ends)
    }

    pub(super) async fn present_ends(
        &self,
        cx: &Cx,
        followed: &Followed,
    ) -> Result<(Ends, Vec<String>)> {
        let (mut rows, mut names) = (Vec::new(), Vec::new());
        for Ending { service: id, end: before } in &followed.ends {
            let (now, name) = match self.client.service(cx, *id).await {
                Ok(service) => {
                    let name = service.name().unwrap_or_default().to_owned();
                    (self.expiry_now(cx, &service).await?, name)
                }
                Err(error) if error.reason == ErrorReason::ServiceNotFound => (None, String::new()),
                Err(error) => return Err(error),
            };
            rows.push(End { service: *id, before: *before, now, terms: None });
            names.push(name);
        }
        Ok((Ends { rows }, names))
    }

    fn after_months(&self, before: i64, months: u32) -> Result<i64> {
        if months == 0 {
            return Ok(before);
        }
        let before = Timestamp { seconds: before, nanos: 0 };
        Ok(self.client.zone.add(&before, Period::Months(months))?.seconds)
    }

    fn terms(&self, before: i64, now: i64, months: u32) -> Result<Option<u32>> {
        if now <= before {
            return Ok(Some(0));
        }
        for terms in 0..=TERMS_MAX {
            let expected = self.after_months(before, months.saturating_mul(terms))?;
            if (now - expected).abs() <= TOLERANCE_SECONDS {
                return Ok(Some(terms));
            }
            if expected > now {
                break;
            }
        }
        Ok(None)
    }

    /// What became of an order that was paid: `seen` is `None` where the upstream does not know it. The
    /// payment is asked for only where the order's word denies it.
    pub(super) async fn judged(
        &self,
        cx: &Cx,
        order: i64,
        seen: Option<&Seen>,
        ends: &Ends,
    ) -> Result<Verdict> {
        let status = seen.and_then(|seen| seen.status.as_ref());
        if ends.delivered(status) {
            return Ok(Verdict::Delivered);
        }
        let word = status.map(|status| status.0.as_str()).unwrap_or_default();
        let error = |reason, what: String| {
            let error = Error::new(reason, format!("order {order} {what}"));
            error.with_metadata("upstream_order", order).with_upstream_code(word)
        };
        let unclear = |what: String| Verdict::Unclear(error(ErrorReason::UpstreamFailed, what));
        let Some(status) = status else {
            return Ok(unclear("was paid, and the upstream does not know it any more".to_owned()));
        };
        if status.is_under_way() {
            return Ok(Verdict::UnderWay);
        }
        if status.is_delivered() {
            let what = format!("is delivered, and {}", ends.lacking());
            return Ok(Verdict::EffectAwaited(error(ErrorReason::UpstreamFailed, what)));
        }
        if ends.moved() {
            return Ok(unclear(format!("is {word}, and an end has moved all the same")));
        }
        if status.is_cancelled() {
            let what = "was cancelled by the upstream".to_owned();
            return Ok(Verdict::Failed(error(ErrorReason::UpstreamFailed, what)));
        }
        if !status.is_unpaid() {
            return Ok(unclear(format!("is {word:?}, a word that is not known")));
        }
        Ok(match self.client.payment(cx, order).await? {
            Some(true) => unclear("shows its payment, and still says notPaid".to_owned()),
            None => unclear("was paid, still says notPaid, and payments cannot be read".to_owned()),
            Some(false) => {
                let what = "is unpaid although its payment was taken, and shows no payment";
                Verdict::NotDone(error(ErrorReason::UpstreamFailed, what.to_owned()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Ends, Status, Timestamp};

    fn ends(rows: &[(Option<i64>, Option<i64>, Option<u32>)]) -> Ends {
        let row = |(before, now, terms): &(Option<i64>, Option<i64>, Option<u32>)| End {
            service: 7,
            before: *before,
            now: now.map(|seconds| Timestamp { seconds, nanos: 0 }),
            terms: *terms,
        };
        Ends { rows: rows.iter().map(row).collect() }
    }

    #[test]
    fn delivered_needs_every_end_later_and_a_word_or_the_very_term() {
        fn check(rows: &[(Option<i64>, Option<i64>, Option<u32>)], word: &str, expected: bool) {
            let status = Some(Status(word.to_owned())).filter(|_| !word.is_empty());
            assert_eq!(ends(rows).delivered(status.as_ref()), expected, "{rows:?} {word}");
        }
        let (term, odd) = ((Some(1), Some(9), Some(1)), (Some(1), Some(5), None));
        let still = (Some(1), Some(1), Some(0));
        check(&[term], "delivered", true);
        check(&[odd], "delivered", true);
        check(&[still], "delivered", false);
        check(&[term, still], "delivered", false);
        check(&[(Some(1), None, None)], "delivered", false);
        check(&[(None, Some(9), None)], "delivered", true);
        check(&[(None, None, None)], "delivered", true);
        check(&[(None, None, None)], "delivering", false);
        for word in ["", "notPaid", "cancelled", "checking", "shipped"] {
            check(&[term], word, true);
            check(&[odd], word, false);
            check(&[(Some(1), Some(17), Some(2))], word, false);
            check(&[term, still], word, false);
        }
    }
}
