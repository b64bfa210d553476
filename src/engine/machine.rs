//! What may follow what: the protocol of a spend as a pure function.
//!
//! `apply` takes an operation, one event and the time, and gives back the operation as it shall be
//! stored, what it holds from then on and what it claims; or it refuses. It reads no clock, asks
//! nobody and stores nothing, so that every order of events can be tried. Nothing else in the
//! engine changes an operation.

mod await_effect;
mod close;
mod event;
mod late;
mod look;
mod observed;
mod policy;
mod presumed;
mod refusal;
mod rules;
mod start_before;
#[cfg(test)]
mod tests;
mod word;

use std::time::Duration;

use jiff::Timestamp;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::Resource;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence};

use super::account::{AccountOf, changed};
use super::blocker::Blocker;
use super::line::LOOK_FOR_ONESELF;
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::store::Change;
use crate::store::age::Age;
use crate::store::operation::{Attempt, EndKind, NewClaim, Observed, Operation, Origin, Settle};

pub use self::event::{
    Closing, Contest, Event, LateFinding, Looked, NewAttempt, Presumption, Refusal, Resolution,
};
pub use self::policy::{Backoff, Policy};
pub use self::rules::{
    broken_invariant, delivered, is_by_account, is_gone, locks, renewal_order, target_of, transient,
};

/// The time, by the wall clock and by the store's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock: what is shown, and what `start_before` is compared with.
    pub wall: Timestamp,
    /// The store's age: what everything else is compared with. It is fresh.
    pub age: Age,
    /// What a duration that begins now is longer by, so that nobody ends it early.
    pub slack: Duration,
}

impl Now {
    /// When a duration that begins now has passed, for every process that shares the store.
    pub fn after(&self, duration: Duration) -> Age {
        self.age + self.slack + duration
    }
}

/// The kind of identifier of what an order became, whatever its plugin calls it.
pub const SERVICE_KIND: &str = "service";

/// The metadata key of the HTTP status that the upstream answered the last attempt with.
pub const UPSTREAM_STATUS: &str = "upstream_status";

/// What follows.
///
/// The version is left as it is; who commits raises it. Requires: the event is about this
/// operation. Promises: a terminal operation is never changed, and what comes out breaks no
/// invariant. What turns up after the end is told with it, and changes neither state nor result.
pub fn apply(
    operation: &Operation,
    event: Event,
    policy: &Policy,
    now: &Now,
) -> Result<Change, Refusal> {
    let mut step =
        Step { next: operation.clone(), claims: Vec::new(), policy, now, shows_nothing: false };
    if operation.has_unapplied() && !matches!(event, Event::ObservedLate { .. }) {
        return Err(step.refusal(&event, "an observation of it is not applied yet"));
    }
    let after_the_end = matches!(
        event,
        Event::LookedBack(_)
            | Event::LookBackFailed(_)
            | Event::ObservedLate { .. }
            | Event::ClaimLost { .. }
    );
    if operation.done() && !after_the_end {
        return Err(step.refusal(&event, "it has ended"));
    }
    step.take(event)?;
    step.word_counts();
    if step.next.state == State::Accepted && step.step_is_sold() {
        step.ask_about_sold_step();
    }
    step.next.update_time = step.next.update_time.max(now.wall);
    step.next.update_age = step.next.update_age.max(now.after(Duration::ZERO));
    let locks = locks(&step.next, policy);
    debug_assert_eq!(broken_invariant(&step.next), None);
    Ok(Change { locks, claims: step.claims, ..Change::of(step.next) })
}

/// One application under way.
struct Step<'a> {
    next: Operation,
    claims: Vec<NewClaim>,
    policy: &'a Policy,
    now: &'a Now,
    /// The upstream was asked, and shows nothing of what an operator said was not executed.
    shows_nothing: bool,
}

impl Step<'_> {
    fn take(&mut self, event: Event) -> Result<(), Refusal> {
        use State::{
            Accepted, Failed, NeedsOperator, OutcomeUnknown, Reconciling, Running, Succeeded,
            WaitingUpstream,
        };
        match (self.next.state, event) {
            (Accepted, Event::Begin { account, belongs }) => self.begin(account, &belongs),
            (Accepted, Event::Refused(error)) => self.refuse_step(error),
            (Accepted, Event::Deferred(error)) => self.deferred(&error),
            (Accepted, Event::Unblocked) if self.next.blocked_by.is_some() => self.unblocked(),
            (Accepted | Running, Event::Blocked { by }) if self.open_attempt().is_none() => {
                self.blocked(&by)
            }
            (Accepted | Running, Event::StartExpired { waited_for })
                if self.open_attempt().is_none() =>
            {
                if !self.too_late(waited_for.as_ref()) {
                    let event = Event::StartExpired { waited_for };
                    return Err(self.refusal(&event, "it may still start, or has begun upstream"));
                }
            }
            (Running, Event::BaselineTaken(baseline)) if self.open_attempt().is_none() => {
                self.next.baseline = Some(baseline);
            }
            (Running, Event::Presumed(presumption)) if self.open_attempt().is_none() => {
                self.presume(presumption);
            }
            (Running, Event::Permitted(attempt)) => return self.permit(attempt),
            (Running, Event::Closed(closing)) => self.close(closing),
            (_, Event::ObservedLate { nonce, closing }) => {
                return self.observed_late(nonce, closing);
            }
            (_, Event::ClaimLost { by, upstream_id }) if self.open_attempt().is_none() => {
                self.claim_lost(by, upstream_id);
            }
            (WaitingUpstream, Event::Contested(contest)) => self.delivery_contested(&contest),
            (Running, Event::Recovered) => self.recover(),
            (WaitingUpstream | NeedsOperator, Event::Polled(outcome)) => self.polled(outcome),
            (WaitingUpstream | NeedsOperator, Event::PollFailed(error)) => self.poll_failed(&error),
            (OutcomeUnknown | Reconciling | NeedsOperator, Event::Looked(looked)) => {
                self.looked(looked);
            }
            (OutcomeUnknown | Reconciling | NeedsOperator, Event::LookFailed(error)) => {
                self.look_failed(&error);
            }
            (
                OutcomeUnknown | Reconciling | NeedsOperator,
                Event::FoundClaimed { by, upstream_id },
            ) => self.found_claimed(by, upstream_id),
            (Succeeded | Failed, Event::LookedBack(findings)) if self.next.wake_time.is_some() => {
                self.looked_back(findings);
            }
            (Succeeded | Failed, Event::LookBackFailed(error)) if self.next.wake_time.is_some() => {
                self.look_back_failed(&error);
            }
            (
                Accepted | WaitingUpstream | OutcomeUnknown | Reconciling,
                Event::AccountChanged { now },
            ) => self.account_changed(&now),
            (NeedsOperator, Event::AccountChanged { now }) => self.account_still_changed(&now),
            (Accepted, Event::CancelRequested) if self.nothing_sent() => {
                self.end(State::Cancelled);
            }
            (NeedsOperator, Event::Resolved { resolution, note }) => {
                return self.resolve(resolution, note);
            }
            (_, event) => return Err(self.refusal(&event, "its state does not allow this")),
        }
        Ok(())
    }

    /// Nothing is started after `start_before`; a write that has begun upstream is carried on.
    fn begin(&mut self, account: AccountOf, belongs: &Result<(), String>) {
        if self.too_late(None) {
            return;
        }
        if self.next.account.is_empty() {
            self.next.account = account.identity;
        } else if let Err(now) = belongs {
            return self.account_changed(now);
        }
        self.next.account_key = account.key;
        self.next.state = State::Running;
        self.next.blocked_by = None;
        if let Some(earlier) = &mut self.next.baseline {
            // It tells what an earlier try may have left behind, and holds nobody off.
            earlier.similarity.clear();
        }
        self.next.message.clear();
        self.next.wake_time = None;
    }

    /// What lapses by itself may be left as it is; money that was spent is a person's business.
    fn refuse_step(&mut self, error: Error) {
        let spent = self.next.attempts.iter().any(|attempt| {
            attempt.effect == Effect::Spend
                && matches!(attempt.outcome, Outcome::Applied | Outcome::Pending)
        });
        if spent {
            self.ask_operator(format!("earlier steps were done, and then: {error}"));
        } else {
            self.fail(error);
        }
    }

    fn deferred(&mut self, error: &Error) {
        self.next.blocked_by = None;
        self.next.message = error.to_string();
        if !self.too_late(None) {
            self.again_later(error.to_string());
        }
    }

    fn unblocked(&mut self) {
        self.next.blocked_by = None;
        self.next.message.clear();
        self.next.tries = 0;
        self.next.wake_time = Some(self.now.age);
    }

    fn blocked(&mut self, by: &Blocker) {
        if self.too_late(Some(by)) {
            return;
        }
        self.next.state = State::Accepted;
        self.next.blocked_by = Some(by.request_id);
        self.next.message = format!("waits for {by}");
        let at = self.now.age + LOOK_FOR_ONESELF;
        self.next.wake_time = Some(self.not_past_start_before(at));
    }

    /// Attempt n+1 exists only after one that provably moved nothing, or, for a setting, after an
    /// unknown one whose settle window has passed.
    fn permit(&mut self, new: NewAttempt) -> Result<(), Refusal> {
        let refuse = |reason| Refusal { event: "a permit", state: "running", reason };
        if self.step_is_sold() {
            return Err(refuse("the upstream has accepted an attempt of this step"));
        }
        let may_not_repeat = new.effect == Effect::Spend || self.policy.ends;
        if may_not_repeat && self.policy.unsearched(&self.next).is_some() {
            return Err(refuse("the store may lack that it was sent, and it was not searched for"));
        }
        if let Some(last) = self.next.current() {
            let may_follow = match last.outcome {
                Outcome::NotSent | Outcome::Rejected | Outcome::Absent => true,
                Outcome::Applied | Outcome::Pending => last.step < self.next.step,
                Outcome::Unknown => last.effect == Effect::Setting && last.step == self.next.step,
                Outcome::Unspecified => false,
            };
            if !may_follow {
                return Err(refuse("the attempt before it does not allow another"));
            }
        }
        if self.now.wall > self.next.start_before && self.nothing_applied() {
            return Err(refuse("start_before has passed"));
        }
        self.next.pending_end = None;
        self.next.attempts.push(Attempt {
            number: self.next.attempts.len() as u32 + 1,
            step: self.next.step,
            nonce: new.nonce,
            call: new.call,
            effect: new.effect,
            permit_time: self.now.wall,
            permit_age: self.now.after(Duration::ZERO),
            outcome: Outcome::Unspecified,
            message: String::new(),
            upstream_id: String::new(),
            plugin: new.plugin,
            plugin_sha256: new.plugin_sha256,
            answer_status: 0,
            answer: Vec::new(),
            observed: Observed::Nothing,
            unapplied: None,
        });
        Ok(())
    }

    /// A permit without an outcome is unknown after a crash, never ready again.
    fn recover(&mut self) {
        if self.open_attempt().is_some() {
            self.unknown("the server stopped while the request was under way", Vec::new(), 0);
        } else {
            self.next.state = State::Accepted;
            self.next.baseline = None;
            self.next.wake_time = Some(self.now.age);
        }
    }

    /// What it waits for is known, and it is read on when the provider points back; but an operator's word
    /// cannot be held against what the upstream shows.
    fn account_still_changed(&mut self, now: &str) {
        if self.next.word_waits_until().is_none() {
            return self.read_on();
        }
        self.drop_word();
        self.account_changed(now);
    }

    fn account_changed(&mut self, now: &str) {
        let message = changed(&self.next, now);
        self.ask_operator_because(Error::new(ErrorReason::AccountChanged, message));
    }

    // ---- what several events share ----

    fn open_attempt(&self) -> Option<&Attempt> {
        self.next.attempts.last().filter(|attempt| attempt.outcome == Outcome::Unspecified)
    }

    /// The attempt of this step that decides, if it was a spend that the upstream has accepted: it is
    /// never absent.
    fn sold_attempt(&self) -> Option<&Attempt> {
        self.next.current().filter(|it| it.step == self.next.step && sold(it))
    }

    /// Whether the upstream has accepted a spend of this step, by whichever attempt: nothing more is sent
    /// in it.
    fn step_is_sold(&self) -> bool {
        self.next.attempts.iter().any(|it| self.is_sold_in_step(it))
    }

    /// Whether a spend of this step was accepted: the host saw it answered, or a search found it. Work of the
    /// last attempt that the upstream has not finished may still come to nothing.
    fn is_sold_in_step(&self, attempt: &Attempt) -> bool {
        let is_last = self.next.current().is_some_and(|last| last.number == attempt.number);
        let found = match attempt.outcome {
            Outcome::Applied => true,
            Outcome::Pending => !is_last,
            _ => false,
        };
        attempt.step == self.next.step
            && (sold(attempt) || (attempt.effect == Effect::Spend && found))
    }

    /// The attempt that a person may call not executed.
    fn undone(&self) -> Option<&Attempt> {
        let step = self.next.step;
        self.next.current().filter(|attempt| {
            matches!(attempt.outcome, Outcome::Unknown | Outcome::Unspecified)
                || (attempt.outcome == Outcome::Pending && attempt.step == step)
        })
    }

    /// Whether no upstream request of this operation can have moved anything. What steps prepared
    /// lapses by itself.
    fn nothing_applied(&self) -> bool {
        self.next.attempts.iter().all(|attempt| {
            matches!(attempt.outcome, Outcome::NotSent | Outcome::Rejected | Outcome::Absent)
        })
    }

    fn nothing_sent(&self) -> bool {
        self.next.step == 1
            && self.next.attempts.iter().all(|attempt| {
                let searched = attempt.is_presumed() && attempt.outcome == Outcome::Absent;
                attempt.outcome == Outcome::NotSent || searched
            })
    }

    fn end(&mut self, state: State) {
        self.next.state = state;
        self.next.wake_time = None;
        self.next.blocked_by = None;
        self.next.settle = None;
        self.next.candidates.clear();
        self.next.message.clear();
        self.next.error = None;
        self.next.pending_end = None;
        self.look_back_later();
        // What is looked for once more keeps its own.
        self.next.baseline = None;
    }

    fn succeed(&mut self, view: Option<Resource>) {
        self.see(view);
        self.claim_delivered();
        self.end(State::Succeeded);
    }

    /// What an order became belongs to it as much as the order itself.
    fn claim_delivered(&mut self) {
        let answered = self.next.current().is_some_and(|last| last.observed.took_effect());
        let told = self.claims.iter().any(|new| new.origin == Origin::Operator);
        let origin = match (answered, told) {
            (true, _) => Origin::Answer,
            (false, true) => Origin::Operator,
            (false, false) => Origin::Search,
        };
        let sent = self.next.current().map(|last| last.permit_age);
        for id in rules::delivered(&self.next) {
            self.claim_object(&id, SERVICE_KIND, origin, sent);
        }
    }

    fn fail(&mut self, error: Error) {
        self.end(State::Failed);
        self.next.error = Some(error.into());
    }

    /// Loud: it does not go on until a person has looked.
    fn ask_operator(&mut self, message: String) {
        self.next.pending_end.take_if(|end| end.kind == EndKind::Missing);
        self.next.state = State::NeedsOperator;
        self.next.blocked_by = None;
        self.next.message = message;
        self.read_on();
    }

    /// As above, where there is a word for it.
    fn ask_operator_because(&mut self, problem: Error) {
        let message = problem.message.clone();
        self.next.error = Some(problem.into());
        self.ask_operator(message);
    }

    /// What waits for an operator is read again, as seldom as anything is, where a read can end it.
    fn read_on(&mut self) {
        let reason = self.next.error.as_ref().map(purveyor_sdk::plugin::v1::Error::reason);
        let decided =
            matches!(reason, Some(ErrorReason::AccountChanged | ErrorReason::DuplicateDetected));
        let unknown = self.next.current().is_some_and(|it| it.outcome == Outcome::Unknown);
        let sought = (unknown || self.refused_with().is_some()) && self.policy.can_search();
        let reads = self.next.is_polled() || sought;
        if let Some(until) = self.next.word_waits_until() {
            return self.read_for_word(until, reads);
        }
        let at = self.now.age + self.policy.look.longest;
        self.next.wake_time = (reads && !decided).then_some(at);
    }

    fn wait(&mut self, handle: Vec<u8>, after: Duration, view: Option<Resource>) {
        self.see(view);
        self.next.state = State::WaitingUpstream;
        self.next.handle = handle;
        self.next.tries = 0;
        self.next.settle = None;
        self.next.error = None;
        self.next.pending_end = None;
        self.next.candidates.clear();
        self.next.message.clear();
        self.next.wake_time = Some(rules::tick(self.now.age, after));
    }

    fn next_step(&mut self, handle: Vec<u8>, view: Option<Resource>) {
        self.see(view);
        self.next.step += 1;
        self.next.handle = handle;
        self.next.settle = None;
        self.again_now();
    }

    fn again_now(&mut self) {
        self.next.state = State::Accepted;
        self.next.baseline = None;
        self.next.pending_end = None;
        self.next.error = None;
        self.next.candidates.clear();
        self.next.tries = 0;
        self.next.message.clear();
        self.next.wake_time = Some(self.now.age);
    }

    /// Nothing was spent; once more after a while, but not past `start_before` unseen. The evidence
    /// stays: what the step prepared, and whose answer was lost, is found by what was there before.
    fn again_later(&mut self, message: String) {
        self.next.state = State::Accepted;
        self.next.message = message;
        self.try_later();
    }

    fn try_later(&mut self) {
        let at = self.now.age + self.policy.retry.delay(self.next.tries);
        self.next.tries = self.next.tries.saturating_add(1);
        self.next.wake_time = Some(self.not_past_start_before(at));
    }

    fn unknown(&mut self, message: &str, answer: Vec<u8>, status: u16) {
        let window = self.policy.settle;
        if let Some(attempt) = self.next.current_mut() {
            attempt.outcome = Outcome::Unknown;
            attempt.message = message.to_owned();
            attempt.answer = answer;
            attempt.answer_status = status;
        }
        self.next.settle = Some(Settle::begin(window, self.now));
        self.next.tries = 0;
        if self.policy.evidence == Evidence::None && self.unknown_effect() == Effect::Spend {
            return self.ask_about_unknown(format!("{message}; the upstream cannot be asked"));
        }
        self.next.state = State::OutcomeUnknown;
        self.next.message = message.to_owned();
        self.next.wake_time = Some(self.now.age);
    }

    /// A person has to find out. Where the upstream accepted the spend, the plugin is at fault.
    fn ask_about_unknown(&mut self, message: String) {
        let Some(attempt) = self.sold_attempt() else { return self.ask_operator(message) };
        let reason = &attempt.message;
        let message =
            format!("the upstream accepted it, and the plugin failed: {reason}; {message}");
        self.ask_operator_because(Error::new(ErrorReason::PluginFault, message));
    }

    fn unknown_effect(&self) -> Effect {
        self.next.current().map_or(Effect::Spend, |attempt| attempt.effect)
    }

    fn see(&mut self, view: Option<Resource>) {
        let Some(view) = view else { return };
        if let Some(upstream) = rules::upstream(&view) {
            self.next.upstream = upstream.clone();
        }
        self.next.view = Some(view);
    }

    fn refusal(&self, event: &Event, reason: &'static str) -> Refusal {
        Refusal { event: event.name(), state: self.next.state.as_str_name(), reason }
    }
}

/// Whether the upstream has accepted a spend.
fn sold(attempt: &Attempt) -> bool {
    #[cfg(feature = "failpoints")]
    if failpoint::control(failpoint::Control::SuccessMayBeAbsent) {
        return false;
    }
    attempt.effect == Effect::Spend && attempt.observed.took_effect()
}

impl Settle {
    fn begin(window: Duration, now: &Now) -> Settle {
        Settle { conclusive_at: now.after(window), window, escalate_at: None }
    }
}
