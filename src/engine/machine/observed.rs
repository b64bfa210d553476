//! What the host observed of an attempt and could not apply at once: because somebody else had taken the
//! operation over, or because another operation claims what the upstream answered. An accepted spend is
//! applied as if it were answered now, where nothing was sent after it; else it is reported.

use purveyor_sdk::Error;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, UpstreamRef};
use uuid::Uuid;

use super::Step;
use super::close::observed;
use super::event::{Closing, Contest, Refusal};
use crate::plugin::Seen;
use crate::store::operation::{Observed, Origin, Settle};

impl Step<'_> {
    pub(super) fn observed_late(&mut self, nonce: Uuid, closing: Closing) -> Result<(), Refusal> {
        let refuse = |reason| Refusal { event: "a late observation", state: "any", reason };
        let attempts = &mut self.next.attempts;
        let Some(index) = attempts.iter().position(|attempt| attempt.nonce == nonce) else {
            return Err(refuse("it has no such attempt"));
        };
        let Some(spend) = &closing.spend else { return Err(refuse("nothing was observed")) };
        let said = closing.said.as_ref().ok().and_then(|said| said.outcome.as_ref());
        let seen = observed(spend, said);
        attempts[index].unapplied = None;
        if attempts[index].observed != Observed::Nothing || seen == Observed::Nothing {
            return Ok(());
        }
        attempts[index].observed = seen;
        let outcome = attempts[index].outcome;
        let last = attempts[index + 1..].iter().all(|later| later.outcome == Outcome::NotSent);
        let undecided = match outcome {
            Outcome::Unspecified | Outcome::Unknown => true,
            Outcome::Absent => seen.took_effect(),
            _ => false,
        };
        let spent = attempts[index].effect == Effect::Spend && seen.took_effect();
        let same_step = attempts[index].step == self.next.step;
        if undecided && last && same_step && !self.next.done() {
            self.resume(index, closing);
        } else if spent {
            self.report_sold(index, &spend_id(&closing), closing.contest.as_ref());
        }
        self.rest_after_observation();
        Ok(())
    }

    /// Goes on as if the answer had come now.
    fn resume(&mut self, index: usize, closing: Closing) {
        let step = self.next.attempts[index].step;
        self.next.attempts[index].outcome = Outcome::Unspecified;
        // What was proven to be unsent after it stays behind it.
        let unsent = self.next.attempts.split_off(index + 1);
        self.next.state = State::Running;
        self.next.blocked_by = None;
        self.next.settle = None;
        self.next.error = None;
        self.next.pending_end = None;
        self.next.candidates.clear();
        self.next.message.clear();
        if self.next.baseline.is_none() {
            let kept = self.next.given_up.iter().find(|it| it.step == step);
            self.next.baseline = kept.and_then(|it| it.baseline.clone());
        }
        self.close(closing);
        self.next.attempts.extend(unsent);
    }

    /// Something was sold that can be undone no more: a later attempt was sent, or the operation has
    /// ended. Its state stays as it is, and a person is told.
    fn report_sold(&mut self, index: usize, id: &str, contest: Option<&Contest>) {
        let own = self.next.own_ids();
        let known = own.iter().any(|it| it == id);
        let attempt = &mut self.next.attempts[index];
        let counted = matches!(attempt.outcome, Outcome::Applied | Outcome::Pending);
        if counted && (known || id.is_empty()) {
            return;
        }
        attempt.outcome = Outcome::Applied;
        attempt.upstream_id = id.to_owned();
        attempt.message = "the upstream accepted it, which became known late".to_owned();
        let permit_age = attempt.permit_age;
        if known {
            return;
        }
        if !id.is_empty() && contest.is_none_or(|it| it.upstream_id != id) {
            let kind = self.policy.id_kind.clone();
            self.claim_object(id, &kind, Origin::Answer, Some(permit_age));
        }
        self.report_duplicate(id, "the upstream accepted an earlier attempt");
    }

    /// Another operation was answered what this one had found or was told to be.
    pub(super) fn claim_lost(&mut self, by: Uuid, upstream_id: String) {
        let why = format!("{upstream_id} is what operations/{by} was answered");
        if self.next.done() {
            return self.report_duplicate(&upstream_id, &why);
        }
        let mut attempts = self.next.attempts.iter_mut().rev();
        if let Some(attempt) = attempts.find(|it| it.upstream_id == upstream_id) {
            attempt.outcome = Outcome::Unknown;
            attempt.upstream_id.clear();
            attempt.message.clone_from(&why);
        }
        self.next.upstream = UpstreamRef::default();
        self.next.view = None;
        self.next.settle = Some(Settle::begin(self.policy.settle, self.now));
        self.ask_about_contest(&Contest { by, upstream_id });
    }

    /// A step of which an attempt was accepted cannot be begun again, whatever became of the later ones.
    pub(super) fn ask_about_sold_step(&mut self) {
        let sold = self.next.attempts.iter().find(|it| self.is_sold_in_step(it));
        let Some(attempt) = sold else { return };
        let (number, id) = (attempt.number, attempt.upstream_id.clone());
        let shown = if id.is_empty() { String::new() } else { format!(" as {id}") };
        let message = format!(
            "the upstream accepted attempt {number}{shown}, which became known after a later one was \
             sent; nothing is sent again"
        );
        if !id.is_empty() {
            self.next.candidates = vec![UpstreamRef::of(id)];
        }
        self.ask_operator_because(Error::new(ErrorReason::DuplicateDetected, message));
    }

    /// What was answered or delivered belongs to another operation by the upstream's own answer.
    pub(super) fn ask_about_contest(&mut self, contest: &Contest) {
        let Contest { by, upstream_id } = contest;
        self.next.candidates = vec![UpstreamRef::of(upstream_id.clone())];
        let message = format!("{upstream_id} belongs to operations/{by} already");
        let error = Error::new(ErrorReason::DuplicateDetected, message);
        self.ask_operator_because(error.with_metadata("operation", format!("operations/{by}")));
    }

    fn report_duplicate(&mut self, id: &str, why: &str) {
        let id = if id.is_empty() { self.next.target.clone() } else { id.to_owned() };
        if self.next.duplicates.iter().all(|it| !it.names(&id)) {
            self.next.duplicates.push(UpstreamRef::of(id.clone()));
        }
        self.next.message = format!("{id} is a duplicate: {why}");
    }

    /// The store made the operation due so that the observation is applied; that is over.
    fn rest_after_observation(&mut self) {
        if self.next.done() {
            // What is still taken for absent is looked for once more, when it is time.
            if !self.next.attempts.iter().any(|it| it.outcome == Outcome::Absent) {
                self.next.given_up.clear();
            }
            if self.next.given_up.is_empty() {
                self.next.settle = None;
            }
            self.next.wake_time = self.next.settle.as_ref().map(|settle| settle.conclusive_at);
        } else if matches!(self.next.state, State::NeedsOperator | State::Running) {
            self.next.wake_time = None;
        }
    }
}

/// The identifier in the upstream's answer; empty where there is none.
fn spend_id(closing: &Closing) -> String {
    match closing.spend.as_ref().map(|spend| &spend.seen) {
        Some(Seen::Success { upstream_id, .. } | Seen::PaymentDue { upstream_id, .. }) => {
            upstream_id.clone().unwrap_or_default()
        }
        _ => String::new(),
    }
}
