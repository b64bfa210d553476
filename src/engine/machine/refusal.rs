//! A refusal proves its own attempt alone. Before an operation fails by one, the upstream is searched once
//! for the effect: an earlier attempt may have come through, and so may one that was refused because
//! of it.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::Absent;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::{Error, v1::ErrorReason};

use super::{Step, rules};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::store::operation::{Attempt, EndKind, PendingEnd, Settle};

impl Step<'_> {
    /// Fails, unless a search shows the effect. Where nothing was sent, nothing is searched for.
    pub(super) fn fail_unless_seen(&mut self, error: Error) {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::RefusalWithoutLook) {
            return self.fail(error);
        }
        let step = self.next.step;
        let sent = |it: &Attempt| it.step == step && it.outcome != Outcome::NotSent;
        if !self.next.attempts.iter().any(sent) {
            return self.fail(error);
        }
        if !self.policy.can_search() {
            return self.refusal_is_final(error);
        }
        self.keep_for_later();
        let kept = self.next.given_up.iter().find(|it| it.step == step);
        if let Some(kept) = kept.filter(|it| it.baseline.is_some()) {
            // What is new since the first attempt counts.
            self.next.baseline.clone_from(&kept.baseline);
        }
        if let Some(earlier) = &mut self.next.baseline {
            // The lock is ours for this one search; what is alike may be unknown somewhere else by now.
            earlier.similarity.clear();
        }
        let since = self.now.age;
        let error = error.into();
        self.next.pending_end = Some(PendingEnd { kind: EndKind::Refused, since, error });
        let over = Settle { conclusive_at: since, ..Settle::begin(Duration::ZERO, self.now) };
        self.next.settle = Some(over);
        self.next.tries = 0;
        self.next.state = State::Reconciling;
        self.next.wake_time = Some(since);
    }

    /// The error that the operation fails with unless the search under way shows the effect.
    pub(super) fn refused_with(&self) -> Option<Error> {
        let end = self.next.pending_end.as_ref().filter(|end| end.kind == EndKind::Refused)?;
        Some(Error::from(end.error.clone()))
    }

    /// The search before the failure found nothing that is known to be ours.
    pub(super) fn refusal_stands(&mut self, error: Error, absent: Absent) {
        if self.step_is_sold() {
            return self.ask_about_sold_step();
        }
        let traces = self.traces_of(&absent);
        if self.has_earlier_attempt() && (!traces.is_empty() || !absent.incomplete.is_empty()) {
            self.next.candidates = traces;
            return self.refusal_is_final(error);
        }
        self.fail(error);
    }

    /// The search before the failure cannot be done.
    pub(super) fn refusal_not_searched(&mut self, refused: Error, error: &Error) {
        if rules::transient(error.reason) {
            return self.look_again(&error.to_string());
        }
        self.refusal_is_final(refused);
    }

    /// Nothing shows whether an earlier attempt came through: a first attempt has failed, and after
    /// another one an operator has to look.
    fn refusal_is_final(&mut self, error: Error) {
        if !self.has_earlier_attempt() {
            return self.fail(error);
        }
        let message =
            format!("an earlier attempt may have come through; the last one was refused: {error}");
        let problem = Error::new(ErrorReason::EffectNotSeen, message);
        self.ask_operator_because(Error { metadata: error.metadata, ..problem });
    }

    /// Whether an attempt of this step was presumed absent before the last one was sent.
    fn has_earlier_attempt(&self) -> bool {
        let step = self.next.step;
        let absent = |it: &Attempt| it.step == step && it.outcome == Outcome::Absent;
        self.next.attempts.iter().any(|it| absent(it) && !it.is_presumed())
    }
}
