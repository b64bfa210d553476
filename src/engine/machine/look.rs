//! Finding out what became of a request whose answer was lost. What is found ends the search at any
//! moment; only absence waits for the settle window.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Said;
use purveyor_sdk::plugin::v1::{Op, StepOutcome};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, UpstreamRef};
use uuid::Uuid;

use super::event::Looked;
use super::start_before::with_status;
use super::{Step, rules};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::store::operation::{Attempt, EndKind, Observed, Operation, Origin};

/// A setting is sent so often, a settle window apart. An upstream that has not told its outcome by then
/// does not know the answer that is expected of it, which a person has to see, and which a journal that
/// grows for ever would hide.
pub(super) const SETTING_SENDS: usize = 5;

impl Step<'_> {
    pub(super) fn looked(&mut self, looked: Looked) {
        match looked.response.outcome.clone() {
            Some(Finding::Found(found)) if self.next.word_waits_until().is_some() => {
                self.found_against_word(&found.upstream_id);
            }
            Some(Finding::Found(found)) => self.found(found),
            // Absence alone decides nothing any more, but an operator's word with it.
            Some(Finding::Absent(absent)) if self.next.state == State::NeedsOperator => {
                self.shows_nothing = absent.incomplete.is_empty();
                self.read_on();
            }
            Some(Finding::Absent(absent)) => match self.refused_with() {
                Some(error) => self.refusal_stands(error, absent),
                None => self.not_found(absent, &looked),
            },
            None => self.undecided("the plugin returned an empty finding"),
        }
    }

    fn found(&mut self, found: Found) {
        let id = &found.upstream_id;
        let present = self.next.baseline.as_ref().is_some_and(|it| !id.is_empty() && it.holds(id));
        if present {
            return self.undecided("what the plugin found was there before the request");
        }
        let answered = self.sold_attempt().map_or("", |attempt| attempt.upstream_id.as_str());
        let other = !answered.is_empty() && found.upstream_id != answered;
        if other && !found.upstream_id.is_empty() {
            self.next.candidates = vec![UpstreamRef::of(found.upstream_id)];
            return self.undecided("what was found is not what the upstream answered");
        }
        let told = !answered.is_empty();
        // What names no object is the state of what this operation made before.
        let made = !found.upstream_id.is_empty() && !told;
        if self.policy.account_shared && self.policy.evidence == Evidence::Difference && made {
            self.next.candidates = vec![UpstreamRef::of(found.upstream_id)];
            let message = "somebody else may have bought what was found on this shared account";
            return self.ask_operator(message.to_owned());
        }
        let lost = self.next.current().is_some_and(|it| self.policy.may_be_of_lost(it));
        if lost && self.policy.evidence == Evidence::Difference && made {
            self.next.candidates = vec![UpstreamRef::of(found.upstream_id)];
            let message =
                "what was found was made for this request, or for one that the store lacks";
            return self.ask_operator(message.to_owned());
        }
        let Some(said @ (Said::Done(_) | Said::Pending(_) | Said::Next(_))) =
            found.outcome.and_then(|outcome| outcome.outcome)
        else {
            return self.undecided("the plugin found it and does not say how to go on");
        };
        self.next.tries = 0;
        let waits = matches!(said, Said::Pending(_));
        let outcome = if waits { Outcome::Pending } else { Outcome::Applied };
        self.attribute(&found.upstream_id, outcome);
        self.go_on(said);
    }

    /// What was found was made by the attempt that is undecided, or, where the last one was refused, by
    /// one that was presumed absent before it.
    fn attribute(&mut self, upstream_id: &str, outcome: Outcome) {
        if self.refused_with().is_none() {
            self.mark(outcome, "found upstream");
            return self.claim_found(upstream_id, Origin::Search);
        }
        let step = self.next.step;
        let mut attempts = self.next.attempts.iter_mut().filter(|it| it.step == step);
        // The latest, because nothing follows what was applied.
        let Some(earlier) = attempts.rfind(|it| it.outcome == Outcome::Absent) else {
            self.mark(outcome, "found upstream although it was refused");
            return self.claim_found(upstream_id, Origin::Search);
        };
        earlier.outcome = outcome;
        earlier.message = "found upstream after a later attempt was refused".to_owned();
        upstream_id.clone_into(&mut earlier.upstream_id);
        let sent = Some(earlier.permit_age);
        if !upstream_id.is_empty() {
            let kind = self.policy.id_kind.clone();
            self.claim_object(upstream_id, &kind, Origin::Search, sent);
        }
    }

    fn not_found(&mut self, absent: Absent, looked: &Looked) {
        if !self.settled() {
            return self.look_again("not there yet");
        }
        if self.unknown_effect() == Effect::Setting {
            return match absent.incomplete.as_str() {
                "" => self.set_again(),
                why => self.ask_operator(format!("it is not sent again: {why}")),
            };
        }
        if self.sold_attempt().is_some() {
            return self.ask_about_unknown("it is not found upstream".to_owned());
        }
        if !self.policy.absence_is_proof {
            let message = "it is not there, and absence proves nothing at this upstream";
            return self.ask_operator(message.to_owned());
        }
        match self.speaks_against_absence(&absent, looked) {
            Some(message) => self.follow(&message),
            None => self.absent(),
        }
    }

    /// Why one whole snapshot after the window does not prove absence. What is unexplained in the first
    /// one is followed until it is explained; what is new in later ones was made by others, later.
    fn speaks_against_absence(&mut self, absent: &Absent, looked: &Looked) -> Option<String> {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::BlindAbsence) {
            return None;
        }
        let follows = self.next.settle.as_ref().is_some_and(|it| it.escalate_at.is_some());
        if follows && !self.next.candidates.is_empty() {
            let effect = self.effect_trace(absent);
            self.next.candidates.retain(|it| match waiting(it) {
                Some(id) => looked.waiting.contains(&id),
                None if it.r#type == EFFECT => effect.is_some(),
                None => {
                    let explained = looked.claimed_ids.iter().chain(&absent.marked_ids);
                    !explained.into_iter().any(|id| it.names(id))
                }
            });
        } else if !absent.incomplete.is_empty() {
            return Some(absent.incomplete.clone());
        } else {
            self.next.candidates = self.traces_of(absent);
            self.next.candidates.extend(looked.waiting.iter().map(|id| waits(*id)));
        }
        let first = self.next.candidates.first()?;
        Some(match waiting(first) {
            Some(_) => format!("{} waits for what could be it", first.id()),
            None => "upstream objects could be it".to_owned(),
        })
    }

    /// What is there and nothing explains, as candidates.
    pub(super) fn traces_of(&self, absent: &Absent) -> Vec<UpstreamRef> {
        let mut traces = absent.unexplained.clone();
        traces.extend(self.effect_trace(absent));
        traces
    }

    /// The target, where it has changed more often than this step's successes explain.
    pub(super) fn effect_trace(&self, absent: &Absent) -> Option<UpstreamRef> {
        let own = self.next.attempts.iter().filter(|it| {
            it.step == self.next.step && matches!(it.outcome, Outcome::Applied | Outcome::Pending)
        });
        let own = i32::try_from(own.count()).unwrap_or(i32::MAX);
        effect(&self.next, absent.effects, own)
    }

    /// It was not done. What the upstream refused without a declared proof is not sent again. The attempt
    /// keeps what the upstream said.
    fn absent(&mut self) {
        self.keep_for_later();
        let last = self.next.current();
        let seen = last.map(|it| it.message.clone()).unwrap_or_default();
        self.mark(Outcome::Absent, &format!("{seen}; not there after the settle window"));
        self.next.settle = None;
        let refused = self.next.current().filter(|last| last.observed == Observed::Undeclared);
        if let Some(refused) = refused {
            let message = format!("the upstream refused: {seen}");
            let error = Error::new(ErrorReason::UpstreamRejected, message);
            return self.refuse_step(with_status(error, refused));
        }
        self.again_now();
    }

    /// Sending a setting again ends in the same state, as long as its state can be read and its target is
    /// still the same. It is not sent for ever: what an operator has said since begins the count again.
    fn set_again(&mut self) {
        let step = self.next.step;
        let attempts = self.next.attempts.iter().rev();
        let since = attempts.take_while(|it| it.step == step && it.outcome != Outcome::Absent);
        let sent = since.filter(|it| it.outcome == Outcome::Unknown).count();
        if sent < self.setting_sends() {
            return self.again_now();
        }
        self.ask_operator(format!(
            "it was sent {sent} times, and no answer told what became of it"
        ));
    }

    /// How often a setting is sent whose answers are lost. Where nobody can read its state, somebody else
    /// may have changed it since: only ending a service is repeated there, and once.
    fn setting_sends(&self) -> usize {
        match (self.policy.can_search(), self.next.op) {
            (true, _) => SETTING_SENDS,
            (false, Op::TerminateService) => 2,
            (false, _) => 1,
        }
    }

    /// Follows what could be it for a window after the reconciliation window; then an operator has to
    /// judge.
    fn follow(&mut self, message: &str) {
        let escalate_at = self.now.after(self.policy.settle);
        let Some(settle) = &mut self.next.settle else {
            return self.ask_about_unknown(message.to_owned());
        };
        let escalate_at = *settle.escalate_at.get_or_insert(escalate_at);
        if self.now.age < escalate_at {
            self.look_again(message);
        } else {
            self.ask_about_unknown(message.to_owned());
        }
    }

    /// Looking goes on while time can still decide; then a person has to.
    fn undecided(&mut self, message: &str) {
        if self.settled() {
            self.ask_about_unknown(message.to_owned());
        } else {
            self.look_again(message);
        }
    }

    pub(super) fn look_failed(&mut self, error: &Error) {
        if self.next.state == State::NeedsOperator {
            // Where nothing can be read, time alone decides.
            self.shows_nothing = !self.policy.can_search();
            self.read_on();
        } else if let Some(refused) = self.refused_with() {
            self.refusal_not_searched(refused, error);
        } else if rules::transient(error.reason) {
            self.look_again(&error.to_string());
        } else if self.unknown_effect() == Effect::Setting && self.settled() {
            self.set_again();
        } else {
            self.undecided(&error.to_string());
        }
    }

    /// It was claimed between the look and its commit; the next look knows that.
    pub(super) fn found_claimed(&mut self, by: Uuid, upstream_id: String) {
        if self.next.word_waits_until().is_some() {
            // What another operation claims speaks against nobody's word.
            self.shows_nothing = true;
            return self.read_on();
        }
        let message = format!("what was found belongs to operations/{by}");
        if let Some(refused) = self.refused_with() {
            let unexplained = vec![UpstreamRef::of(upstream_id)];
            return self.refusal_stands(refused, Absent { unexplained, ..Absent::default() });
        }
        if self.settled() {
            self.follow(&message);
        } else {
            self.look_again(&message);
        }
        if self.next.state == State::NeedsOperator {
            let problem = Error::new(ErrorReason::DuplicateDetected, message);
            let problem = problem.with_metadata("operation", format!("operations/{by}"));
            self.next.candidates = vec![UpstreamRef::of(upstream_id)];
            self.next.error = Some(problem.into());
            self.read_on();
        }
    }

    pub(super) fn executed(&mut self, upstream_id: String, outcome: Option<Box<StepOutcome>>) {
        let asked = self.next.pending_end.take();
        if self.next.follows(&upstream_id) && asked.is_none() {
            // How it goes on is known already.
            let handle = std::mem::take(&mut self.next.handle);
            return self.wait(handle, Duration::ZERO, None);
        }
        self.next.duplicates.retain(|it| !it.names(&upstream_id));
        if self.is_of_earlier_attempt(&upstream_id) {
            let kind = self.policy.id_kind.clone();
            self.claim_object(&upstream_id, &kind, Origin::Operator, None);
        } else {
            self.claim_found(&upstream_id, Origin::Operator);
            let said = outcome.as_ref().and_then(|outcome| outcome.outcome.as_ref());
            let works = matches!(said, Some(Said::Pending(_)));
            let came = if works { Outcome::Pending } else { Outcome::Applied };
            self.mark(came, "an operator found that it was executed");
        }
        self.next.upstream.ids = UpstreamRef::ids_of(upstream_id);
        let awaited = asked.is_some_and(|it| it.kind != EndKind::Refused);
        match outcome.and_then(|outcome| outcome.outcome) {
            // The operator was asked because the effect does not show; it is not awaited again.
            Some(Said::Pending(pending)) if awaited => self.succeed(pending.view),
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

    pub(super) fn look_again(&mut self, message: &str) {
        if self.next.state == State::NeedsOperator {
            return self.read_on();
        }
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

/// The kind of a candidate that stands for an operation that waits.
const OPERATION: &str = "operation";
/// The kind of a candidate that stands for a change of the target.
const EFFECT: &str = "effect";

fn waits(id: Uuid) -> UpstreamRef {
    UpstreamRef {
        ids: vec![format!("operations/{id}")],
        r#type: OPERATION.to_owned(),
        message: "waits for an object of the same kind".to_owned(),
        ..UpstreamRef::default()
    }
}

/// The operation that a candidate stands for.
fn waiting(candidate: &UpstreamRef) -> Option<Uuid> {
    let id =
        candidate.id().strip_prefix("operations/").filter(|_| candidate.r#type == OPERATION)?;
    id.parse().ok()
}

/// The target of an operation, where the change that it asks for has happened more often than `own`
/// successes explain.
pub(super) fn effect(operation: &Operation, effects: i32, own: i32) -> Option<UpstreamRef> {
    let ids = [&operation.upstream_target, &operation.upstream.ids];
    let ids = ids.into_iter().find(|ids| !ids.is_empty());
    (effects > own).then(|| UpstreamRef {
        ids: ids.cloned().unwrap_or_else(|| vec![operation.target.clone()]),
        r#type: EFFECT.to_owned(),
        message: format!("it shows the change {effects} times, and {own} are known to be ours"),
        ..UpstreamRef::default()
    })
}
