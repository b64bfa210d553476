//! Finding out what became of a request whose answer was lost. What is found ends the search at any
//! moment; only absence waits for the settle window.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::find_response::{Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Said;
use purveyor_sdk::plugin::v1::{FindResponse, StepOutcome};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, UpstreamRef};
use uuid::Uuid;

use super::{Step, rules};
use crate::store::operation::{Attempt, Origin};

/// A setting is sent so often, a settle window apart. An upstream that has not told its outcome by then
/// does not know the answer that is expected of it, which a person has to see, and which a journal that
/// grows for ever would hide.
pub(super) const SETTING_SENDS: usize = 5;

impl Step<'_> {
    pub(super) fn looked(&mut self, response: FindResponse) {
        match response.outcome {
            Some(Finding::Found(found)) => self.found(found),
            Some(Finding::Absent(_)) => self.absent(),
            Some(Finding::Several(several)) => {
                self.in_doubt(several.candidates, "more than one upstream object could be it");
            }
            None => self.undecided("the plugin returned an empty finding"),
        }
    }

    fn found(&mut self, found: Found) {
        let present = self.next.baseline.as_ref().is_some_and(|baseline| {
            !found.upstream_id.is_empty() && baseline.present_ids.contains(&found.upstream_id)
        });
        if present {
            return self.undecided("what the plugin found was there before the request");
        }
        let answered = self.sold_attempt().map_or("", |attempt| attempt.upstream_id.as_str());
        let other = !answered.is_empty() && !found.upstream_id.split(',').any(|id| id == answered);
        if other && !found.upstream_id.is_empty() {
            let candidate = UpstreamRef { id: found.upstream_id, ..UpstreamRef::default() };
            return self
                .in_doubt(vec![candidate], "what was found is not what the upstream answered");
        }
        let told = !answered.is_empty();
        if self.policy.account_shared && self.policy.evidence == Evidence::Difference && !told {
            self.next.candidates =
                vec![UpstreamRef { id: found.upstream_id, ..UpstreamRef::default() }];
            let message = "somebody else may have bought what was found on this shared account";
            return self.ask_operator(message.to_owned());
        }
        let Some(said @ (Said::Done(_) | Said::Pending(_) | Said::Next(_))) =
            found.outcome.and_then(|outcome| outcome.outcome)
        else {
            return self.undecided("the plugin found it and does not say how to go on");
        };
        self.claim_found(&found.upstream_id, Origin::Search);
        self.next.tries = 0;
        self.mark(
            if matches!(said, Said::Pending(_)) { Outcome::Pending } else { Outcome::Applied },
            "found upstream",
        );
        self.go_on(said);
    }

    fn absent(&mut self) {
        if !self.settled() {
            return self.look_again("not there yet");
        }
        if self.unknown_effect() == Effect::Setting {
            return self.set_again();
        }
        if self.sold_attempt().is_some() {
            return self.ask_about_unknown("it is not found upstream".to_owned());
        }
        if !self.policy.absence_is_proof {
            let message = "it is not there, and absence proves nothing at this upstream";
            return self.ask_operator(message.to_owned());
        }
        self.keep_for_later();
        self.mark(Outcome::Absent, "not there after the settle window");
        self.next.settle = None;
        self.again_now();
    }

    /// Sending a setting again ends in the same state. It is not sent for ever: what an operator has
    /// said since begins the count again.
    fn set_again(&mut self) {
        let step = self.next.step;
        let attempts = self.next.attempts.iter().rev();
        let since = attempts.take_while(|it| it.step == step && it.outcome != Outcome::Absent);
        let sent = since.filter(|it| it.outcome == Outcome::Unknown).count();
        if sent < SETTING_SENDS {
            return self.again_now();
        }
        self.ask_operator(format!(
            "it was sent {sent} times, and no answer told what became of it"
        ));
    }

    /// Looking goes on while time can still decide; then a person has to.
    fn undecided(&mut self, message: &str) {
        if self.settled() {
            self.ask_about_unknown(message.to_owned());
        } else {
            self.look_again(message);
        }
    }

    /// What other purchases of the account are making right now stands among the candidates until it is
    /// claimed, so only those count that stand there for a whole window after everything has settled.
    fn in_doubt(&mut self, candidates: Vec<UpstreamRef>, message: &str) {
        let settled = self.settled();
        let stood = std::mem::take(&mut self.next.candidates);
        let lasting = candidates.iter().filter(|it| stood.iter().any(|was| was.id == it.id));
        let lasting: Vec<UpstreamRef> = lasting.cloned().collect();
        self.next.candidates = candidates;
        let Some(settle) = self.next.settle.as_mut().filter(|_| settled) else {
            return self.look_again(message);
        };
        let escalate_at = match settle.escalate_at {
            Some(escalate_at) if !lasting.is_empty() => escalate_at,
            _ => {
                settle.escalate_at = Some(self.now.after(settle.window));
                return self.look_again(message);
            }
        };
        self.next.candidates = lasting;
        if self.now.age < escalate_at {
            self.look_again(message);
        } else {
            self.ask_about_unknown(message.to_owned());
        }
    }

    pub(super) fn look_failed(&mut self, error: &Error) {
        if rules::transient(error.reason) {
            self.look_again(&error.to_string());
        } else if self.unknown_effect() == Effect::Setting && self.settled() {
            self.set_again();
        } else {
            self.undecided(&error.to_string());
        }
    }

    /// It was claimed between the look and its commit; the next look knows that.
    pub(super) fn found_claimed(&mut self, by: Uuid, upstream_id: String) {
        let message = format!("what was found belongs to operations/{by}");
        let found = UpstreamRef { id: upstream_id, ..UpstreamRef::default() };
        self.in_doubt(vec![found], &message);
        if self.next.state == State::NeedsOperator {
            let problem = Error::new(ErrorReason::DuplicateDetected, message);
            let problem = problem.with_metadata("operation", format!("operations/{by}"));
            self.next.error = Some(problem.into());
        }
    }

    pub(super) fn executed(&mut self, upstream_id: String, outcome: Option<Box<StepOutcome>>) {
        if self.next.follows(&upstream_id) {
            // How it goes on is known already.
            let handle = std::mem::take(&mut self.next.handle);
            return self.wait(handle, Duration::ZERO, None);
        }
        self.next.duplicates.retain(|it| it.id != upstream_id);
        if self.is_of_earlier_attempt(&upstream_id) {
            let kind = self.policy.id_kind.clone();
            self.claim_object(&upstream_id, &kind, Origin::Operator, None);
        } else {
            self.claim_found(&upstream_id, Origin::Operator);
            self.mark(Outcome::Applied, "an operator found that it was executed");
        }
        self.next.upstream.id = upstream_id;
        match outcome.and_then(|outcome| outcome.outcome) {
            Some(said @ (Said::Done(_) | Said::Pending(_) | Said::Next(_))) => self.go_on(said),
            _ => self.succeed(None),
        }
    }

    /// Whether an attempt is known to have made that object, and the last one moved nothing.
    fn is_of_earlier_attempt(&self, upstream_id: &str) -> bool {
        let last = self.next.current().map(|last| last.outcome);
        let made = |it: &Attempt| {
            it.upstream_id == upstream_id
                && matches!(it.outcome, Outcome::Applied | Outcome::Pending)
        };
        matches!(last, Some(Outcome::Rejected | Outcome::Absent))
            && self.next.attempts.iter().any(made)
    }

    fn claim_found(&mut self, upstream_id: &str, origin: Origin) {
        let known = self.next.current().is_some_and(|last| last.upstream_id == upstream_id);
        // What was answered may be another operation's, and then a person's word gives it to nobody.
        if (!known || origin == Origin::Operator) && !upstream_id.is_empty() {
            // The same kind as in an answer: one object is claimed once, however it became known.
            let kind = self.policy.id_kind.clone();
            self.claim(Some(upstream_id), &kind, origin);
        }
    }

    fn look_again(&mut self, message: &str) {
        let delay = self.policy.look.delay(self.next.tries);
        self.next.tries = self.next.tries.saturating_add(1);
        self.next.state = State::Reconciling;
        self.next.message = message.to_owned();
        let mut at = self.now.age + delay;
        if let Some(settle) = &self.next.settle
            && settle.conclusive_at > self.now.age
        {
            at = at.min(settle.conclusive_at);
        }
        self.next.wake_time = Some(at);
    }

    /// Whether absence counts by now.
    pub(super) fn settled(&self) -> bool {
        let settle = self.next.settle.as_ref();
        settle.is_none_or(|settle| self.now.age >= settle.conclusive_at)
    }
}
