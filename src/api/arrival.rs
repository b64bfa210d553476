//! What is known of a call before its handler runs: its deadline, its trace, and its place among the
//! working calls. Read from the headers once, and carried with the request.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use purveyor_sdk::{Error, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::admission::Place;
use crate::api::limits::DEADLINE_MARGIN;
use crate::api::subject::Subject;
use crate::engine::Caller;
use crate::engine::call::Call;

/// The header of the caller's deadline.
const TIMEOUT: &str = "grpc-timeout";

/// The W3C header of the caller's trace.
const TRACEPARENT: &str = "traceparent";

/// What is known of a call before its handler runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival {
    /// When the caller gives up.
    pub(crate) deadline: Option<Instant>,
    /// The caller's trace id, 32 hex digits; empty when the call carries none.
    pub(crate) trace_id: String,
    /// The right to work; empty for calls that need none.
    pub(crate) place: Arc<Place>,
    /// Turns true when the server stops; `None`: it never does.
    pub(crate) leaving: Option<watch::Receiver<bool>>,
    /// What the request is about.
    pub(crate) subject: Subject,
}

impl Arrival {
    /// What the engine is told of the call. Until callers authenticate, everybody is the one who can
    /// reach a loopback address.
    pub(crate) fn call(&self) -> Call {
        Call {
            caller: Caller::local(),
            trace_id: self.trace_id.clone(),
            deadline: self.answer_by(),
        }
    }

    /// Ready when the server stops: who only waits should answer and go.
    pub(crate) async fn left(&self) {
        match self.leaving.clone() {
            // A server that is gone has stopped.
            Some(mut leaving) => drop(leaving.wait_for(|leaving| *leaving).await),
            None => std::future::pending().await,
        }
    }

    /// Reads the headers.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a deadline that cannot be read: who sets one relies on it.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self> {
        let deadline = match headers.get(TIMEOUT) {
            None => None,
            Some(value) => {
                let timeout = value.to_str().ok().and_then(timeout).ok_or_else(|| {
                    Error::field(TIMEOUT, "must be up to eight digits and one of H, M, S, m, u, n")
                })?;
                Instant::now().checked_add(timeout)
            }
        };
        let trace_id = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace_id = trace_id.and_then(trace_id_of).unwrap_or_default().to_owned();
        Ok(Self { deadline, trace_id, ..Self::default() })
    }

    /// When the answer has to leave, so that it arrives before the caller gives up. A caller who
    /// gives less than twice the margin gets half of it.
    pub(crate) fn answer_by(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let left = deadline.saturating_duration_since(Instant::now());
        deadline.checked_sub(DEADLINE_MARGIN.min(left / 2))
    }

    /// `wanted`, but so that the answer still leaves `margin` before the deadline.
    pub(crate) fn bound(&self, wanted: Duration, margin: Duration) -> Duration {
        self.time_left(margin).map_or(wanted, |left| wanted.min(left))
    }

    /// What is left of the deadline less `margin`; `None` without a deadline.
    pub(crate) fn time_left(&self, margin: Duration) -> Option<Duration> {
        let left = self.deadline?.saturating_duration_since(Instant::now());
        Some(left.saturating_sub(margin))
    }
}

/// A gRPC timeout: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// The trace id of a `traceparent`. One that is malformed is as good as none, as W3C wants it.
fn trace_id_of(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let flags = parts.next()?;
    let well_formed = [(version, 2), (trace, 32), (parent, 16), (flags, 2)]
        .iter()
        .all(|(part, length)| part.len() == *length && hex(part));
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let later_parts = version == "00" && parts.next().is_some();
    (well_formed && version != "ff" && !zero(trace) && !zero(parent) && !later_parts)
        .then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let check = |input: &str, expected: Option<Duration>| {
            assert_eq!(timeout(input), expected, "{input}");
        };
        check("1H", Some(Duration::from_secs(3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("99999999S", Some(Duration::from_secs(99_999_999)));
        check("250m", Some(Duration::from_millis(250)));
        check("0u", Some(Duration::ZERO));
        check("7n", Some(Duration::from_nanos(7)));
        for wrong in ["", "S", "1", "123456789S", "-1S", "1 S", "1s", "1.5S", "+1S", "1é"] {
            check(wrong, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_leaves_so_that_it_arrives() {
        let check = |given: u64, expected: Option<u64>| {
            let begin = Instant::now();
            let deadline = Some(begin + Duration::from_millis(given));
            let by = Arrival { deadline, ..Arrival::default() }.answer_by();
            assert_eq!(by, expected.map(|by| begin + Duration::from_millis(by)), "{given}");
        };
        check(10_000, Some(9950));
        check(100, Some(50));
        check(60, Some(30));
        check(0, Some(0));
        assert_eq!(Arrival::default().answer_by(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_leaves_time_to_answer() {
        let check = |given: Option<u64>, wanted: u64, expected: u64| {
            let deadline = given.map(|given| Instant::now() + Duration::from_millis(given));
            let arrival = Arrival { deadline, ..Arrival::default() };
            let bound = arrival.bound(Duration::from_millis(wanted), Duration::from_millis(100));
            assert_eq!(bound, Duration::from_millis(expected), "{given:?} {wanted}");
        };
        check(None, 5000, 5000);
        check(Some(10_000), 5000, 5000);
        check(Some(2000), 5000, 1900);
        check(Some(90), 5000, 0);
        check(Some(2000), 0, 0);
    }

    #[test]
    fn trace_ids() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let check = |input: String, expected: Option<&str>| {
            assert_eq!(trace_id_of(&input), expected, "{input}");
        };
        check(format!("00-{trace}-00f067aa0ba902b7-01"), Some(trace));
        check(format!("01-{trace}-00f067aa0ba902b7-01-new"), Some(trace));
        check(format!("00-{trace}-00f067aa0ba902b7-01-new"), None);
        check(format!("ff-{trace}-00f067aa0ba902b7-01"), None);
        check(format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), None);
        check(format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None);
        check(format!("00-{trace}-0000000000000000-01"), None);
        check(format!("00-{trace}-00f067aa0ba902b7"), None);
        check("00-1-2-3".to_owned(), None);
        check(String::new(), None);
    }
}
