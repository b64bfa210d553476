//! How an operation ends whose `start_before` has passed, and when that is looked at.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::Outcome;

use super::{Step, UPSTREAM_STATUS};
use crate::engine::blocker::Blocker;
use crate::store::age::Age;
use crate::store::operation::Attempt;

impl Step<'_> {
    /// Whether `start_before` has passed and nothing took effect; then it is not started.
    pub(super) fn too_late(&mut self, waited_for: Option<&Blocker>) -> bool {
        let late = self.now.wall > self.next.start_before && self.nothing_applied();
        if late {
            self.not_started(waited_for);
        }
        late
    }

    /// What was never sent has failed, and the error says why. What was sent ends with what the upstream said
    /// last: a refusal as any refusal, and what is proven absent is looked for once more after the end.
    fn not_started(&mut self, waited_for: Option<&Blocker>) {
        let start_before = self.next.start_before;
        let sent = self.next.current().filter(|it| it.outcome != Outcome::NotSent);
        let Some(sent) = sent else { return self.never_sent(waited_for) };
        let message = format!("{}; nothing was sent again before {start_before}", sent.message);
        if sent.outcome == Outcome::Absent {
            let error = with_status(Error::new(ErrorReason::NotExecuted, message), sent);
            return self.fail(error);
        }
        let error = with_status(Error::new(ErrorReason::UpstreamRejected, message), sent);
        self.next.blocked_by = None;
        self.fail_unless_seen(error);
    }

    fn never_sent(&mut self, waited_for: Option<&Blocker>) {
        let message = format!("nothing was sent before {}", self.next.start_before);
        if let Some(blocker) = waited_for {
            return self.fail(blocker.not_started(message));
        }
        let last = self.next.attempts.last().map(|it| it.message.as_str());
        let causes = [self.next.message.as_str(), last.unwrap_or_default()];
        let message = match causes.into_iter().find(|cause| !cause.is_empty()) {
            Some(cause) => format!("{message}: {cause}"),
            None => message,
        };
        self.fail(Error::new(ErrorReason::NotStarted, message));
    }

    /// At the latest when `start_before` has passed, as far as the wall clock tells now.
    pub(super) fn not_past_start_before(&self, at: Age) -> Age {
        let left = self.next.start_before.duration_since(self.now.wall);
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() && self.nothing_applied() => {
                at.min(self.now.age + left + Duration::from_millis(1))
            }
            _ => at,
        }
    }
}

/// An error that the answer to an attempt led to, with that answer's status.
pub(super) fn with_status(error: Error, attempt: &Attempt) -> Error {
    match attempt.answer_status {
        0 => error,
        status => error.with_metadata(UPSTREAM_STATUS, status),
    }
}
