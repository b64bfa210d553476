//! An operator's "not executed": when it counts, what overrules it, and what only the operator's own risk
//! passes.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Progress;
use purveyor_sdk::plugin::v1::step_outcome::{Done, Pending, Standing};
use purveyor_sdk::plugin::v1::{FindResponse, PollOutcome};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{ErrorReason, Evidence};

use super::late::Way;
use super::table::{done, order, panicked, pending, refusable, rejected, success, unproven};
use super::{EFFECT_LAG, SETTLE, now_at, start};
use crate::engine::machine::{Event, Refusal, Resolution, apply};
use crate::store::operation::{Decision, Note, Observed};

const WINDOW: u64 = SETTLE.as_secs();

fn word(try_again: bool, at_own_risk: bool) -> Event {
    let note = Note::new(start(), "ops".into(), "looked".into(), Decision::Unknown);
    Event::Resolved { resolution: Resolution::NotExecuted { try_again, at_own_risk }, note }
}

impl Way {
    /// The answer is lost, and only an operator can tell.
    fn asks(evidence: Evidence) -> Way {
        let mut way = Way::begin(evidence);
        way.close(unproven(), panicked());
        way.operation.state = State::NeedsOperator;
        way
    }

    fn looks(&mut self, finding: Finding) -> &mut Self {
        self.take(Event::Looked(FindResponse { outcome: Some(finding) }.into()))
    }

    fn cannot_look(&mut self) -> &mut Self {
        self.take(Event::LookFailed(Error::unsupported("a search")))
    }

    fn note(&self) -> &Note {
        self.operation.notes.last().unwrap()
    }

    fn waits(&self) -> bool {
        let attempt = self.operation.attempts.last().unwrap();
        assert_eq!(self.note().waits_until.is_some(), self.operation.wake_time.is_some());
        self.operation.state == State::NeedsOperator
            && self.note().waits_until.is_some()
            && matches!(attempt.outcome, Outcome::Unknown | Outcome::Pending)
    }

    fn refused(&self, event: Event) -> Refusal {
        apply(&self.operation, event, &self.policy, &now_at(self.seconds)).unwrap_err()
    }
}

fn absent() -> Finding {
    Finding::Absent(Absent::default())
}

#[test]
fn early_not_executed_counts_when_absence_is_conclusive() {
    // Where nothing can be searched, time alone decides.
    let mut way = Way::asks(Evidence::None);
    assert!(way.take(word(false, false)).waits());
    assert!(way.pass(WINDOW - 1).cannot_look().waits());
    way.pass(1).cannot_look();
    assert_eq!(way.operation.state, State::Failed);
    assert_eq!(way.operation.attempts[0].outcome, Outcome::Absent);
    assert!(!way.note().overruled && way.note().waits_until.is_none());

    // Where it can be searched, one search after the window decides.
    let mut way = Way::asks(Evidence::Reference);
    assert!(way.take(word(true, false)).waits());
    assert!(way.pass(1).looks(absent()).waits());
    let incomplete = Absent { incomplete: "the list lacks the newest".into(), ..Absent::default() };
    assert!(way.pass(WINDOW).looks(Finding::Absent(incomplete)).waits());
    let unread = Error::unavailable("no connection");
    assert!(way.pass(1).take(Event::LookFailed(unread)).waits());
    way.looks(absent());
    assert_eq!(way.operation.state, State::Accepted);
    let patience = way.operation.start_before.duration_since(now_at(way.seconds).wall);
    assert!(Duration::try_from(patience).unwrap() >= Duration::from_secs(600));
    way.begin_again(&[]).permit().close(success(Some("a")), done("a"));
    assert_eq!(way.operation.state, State::Succeeded);
}

#[test]
fn not_executed_after_the_window_counts_at_once() {
    let mut way = Way::asks(Evidence::None);
    way.pass(WINDOW + 1).take(word(false, false));
    assert_eq!(way.operation.state, State::Failed);
}

#[test]
fn not_executed_without_a_window_begins_one() {
    let mut way = Way::asks(Evidence::None);
    way.operation.settle = None;
    way.pass(10 * WINDOW);
    assert!(way.take(word(false, false)).waits());
    assert!(way.pass(WINDOW - 1).cannot_look().waits());
    way.pass(1).cannot_look();
    assert_eq!(way.operation.state, State::Failed);
}

#[test]
fn what_is_found_overrules_not_executed() {
    let mut way = Way::asks(Evidence::Reference);
    way.take(word(true, false));
    let outcome = Some(done("a").unwrap());
    way.pass(1).looks(Finding::Found(Found { upstream_id: "a".into(), outcome: outcome.clone() }));
    assert_eq!(way.operation.state, State::NeedsOperator);
    assert!(way.note().overruled && way.note().waits_until.is_none());
    assert_eq!(way.operation.candidates[0].ids, ["a"]);
    assert!(way.operation.message.contains("shows it as a"), "{}", way.operation.message);
    // The next read ends it, if nobody says so before.
    way.pass(1).looks(Finding::Found(Found { upstream_id: "a".into(), outcome }));
    assert_eq!(way.operation.state, State::Succeeded);
}

#[test]
fn what_the_operator_has_seen_in_a_listing_overrules_nothing() {
    let found = |id: &str| {
        let outcome = Some(pending(id).unwrap());
        Finding::Found(Found { upstream_id: id.into(), outcome })
    };
    let asks = || {
        let mut way = Way::begin(Evidence::Difference);
        way.policy.account_shared = true;
        way.close(unproven(), panicked()).looks(found("theirs"));
        assert_eq!(way.operation.candidates[0].ids, ["theirs"]);
        assert!(way.take(word(false, false)).waits());
        way
    };
    let mut way = asks();
    assert!(way.pass(1).looks(found("theirs")).waits());
    way.pass(WINDOW).looks(found("theirs"));
    assert_eq!(way.operation.state, State::Failed);
    let mut way = asks();
    way.pass(1).looks(found("new"));
    assert!(way.note().overruled && way.operation.state == State::NeedsOperator);
}

#[test]
fn not_executed_of_accepted_work_waits_for_its_effect() {
    let begun = || {
        let mut way = Way::begin(Evidence::Natural);
        way.close(unproven(), panicked());
        let outcome = Some(pending("a").unwrap());
        way.looks(Finding::Found(Found { upstream_id: "a".into(), outcome }));
        let stands = |way: &mut Way| {
            let pending = Pending {
                handle: vec![2],
                view: order("a"),
                standing: Standing::EffectAwaited.into(),
                error: Some(Error::new(ErrorReason::UpstreamFailed, "no effect").into()),
                ..Pending::default()
            };
            let outcome = Some(Progress::Pending(pending));
            way.take(Event::Polled(PollOutcome { outcome }));
        };
        stands(&mut way);
        stands(way.pass(EFFECT_LAG.as_secs()));
        assert!(way.take(word(false, false)).waits());
        stands(way.pass(1));
        assert!(way.waits());
        (way, stands)
    };
    let (mut way, stands) = begun();
    stands(way.pass(WINDOW));
    assert_eq!(way.operation.state, State::Failed);
    let (mut way, _) = begun();
    let outcome = Some(Progress::Done(Done { resource: order("a") }));
    way.take(Event::Polled(PollOutcome { outcome }));
    assert_eq!((way.operation.state, way.note().overruled), (State::NeedsOperator, true));
}

#[test]
fn at_own_risk_not_executed_counts_at_once_also_after_a_success() {
    let mut way = Way::asks(Evidence::None);
    way.take(word(true, true));
    assert_eq!(way.operation.state, State::Accepted);
    assert!(way.note().at_own_risk);

    let mut way = Way::begin(Evidence::Difference);
    way.close(success(Some("a")), panicked());
    way.pass(WINDOW + 1).looks(absent());
    assert_eq!(way.operation.state, State::NeedsOperator);
    let refusal = way.refused(word(true, false)).to_string();
    assert!(refusal.contains("at_own_risk"), "{refusal}");
    way.take(word(true, true));
    assert_eq!(way.operation.attempts[0].observed, Observed::Overridden);
    way.begin_again(&[]).permit().close(success(Some("b")), done("b"));
    assert_eq!(way.operation.state, State::Succeeded);
}

#[test]
fn later_word_takes_the_place_of_one_that_waits() {
    let mut way = Way::asks(Evidence::None);
    way.take(word(true, false));
    let note = Note::new(start(), "ops".into(), "there it is".into(), Decision::Unknown);
    let resolution = Resolution::Executed { upstream_id: "a".into(), outcome: None };
    way.take(Event::Resolved { resolution, note });
    assert_eq!(way.operation.state, State::Succeeded);
    assert!(way.operation.notes.iter().all(|note| note.waits_until.is_none()));
}

#[test]
fn what_another_operation_claims_overrules_nothing() {
    let mut way = Way::asks(Evidence::Reference);
    way.take(word(false, false));
    let claimed = |seconds: u64, way: &mut Way| {
        let by = uuid::Uuid::from_u128(9);
        way.pass(seconds).take(Event::FoundClaimed { by, upstream_id: "a".into() });
    };
    claimed(1, &mut way);
    assert!(way.waits());
    claimed(WINDOW, &mut way);
    assert_eq!(way.operation.state, State::Failed);
}

/// The last attempt was refused, and a search found an earlier one.
#[test]
fn not_executed_sends_nothing_again_once_an_earlier_attempt_was_found() {
    let asks = || {
        let mut way = Way::begin(Evidence::Reference);
        way.lost_and_absent().send_again().close(refusable(false), rejected("fault"));
        let outcome = Some(pending("a").unwrap());
        way.looks(Finding::Found(Found { upstream_id: "a".into(), outcome }));
        way.take(Event::AccountChanged { now: "A2".into() });
        assert_eq!(way.operation.state, State::NeedsOperator);
        way
    };
    let refusal = asks().refused(word(true, false)).to_string();
    assert!(refusal.contains("at_own_risk"), "{refusal}");
    let mut way = asks();
    way.take(word(false, false));
    assert_eq!(way.operation.state, State::NeedsOperator);
    way.pass(WINDOW).looks(absent());
    assert_eq!(way.operation.state, State::Failed);
    let mut way = asks();
    way.take(word(true, true));
    assert_eq!(way.operation.state, State::Accepted);
}
