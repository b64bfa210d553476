//! Spends of which the store may lack that they were sent.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::FindResponse;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};
use uuid::Uuid;

use super::table::{next, pending};
use super::{SETTLE, accepted, age_at, begin, now_at, policy, start};
use crate::engine::machine::{
    Closing, Event, NewAttempt, Policy, Presumption, Refusal, Resolution, apply, broken_invariant,
};
use crate::store::confirmation::LostTime;
use crate::store::operation::{Baseline, Decision, Note, Operation};

/// When an operator confirmed the store, and until when operations are searched for.
const CONFIRMED: u64 = 100;
const UNTIL: u64 = 1000;

fn lost(evidence: Evidence) -> Policy {
    let at = |seconds| start() + Duration::from_secs(seconds);
    let lost = LostTime {
        from: at(10),
        from_age: age_at(10),
        confirmed_age: age_at(CONFIRMED),
        until: at(UNTIL),
        until_age: age_at(UNTIL),
    };
    Policy { lost: Some(lost), lost_lasts: true, ..policy(evidence) }
}

fn permit() -> Event {
    Event::Permitted(NewAttempt {
        nonce: Uuid::from_u128(3),
        call: "create".into(),
        effect: Effect::Spend,
        plugin: "acme 1.0.0".into(),
        plugin_sha256: String::new(),
    })
}

fn presumption(evidence: Result<(), &str>) -> Event {
    let baseline = Baseline {
        evidence: vec![1],
        similarity: "shares 1".into(),
        present_ids: Vec::new(),
        highest_id: String::new(),
    };
    let evidence = evidence.map(|()| baseline).map_err(str::to_owned);
    Event::Presumed(Presumption { nonce: Uuid::from_u128(2), call: "create".into(), evidence })
}

fn looked(outcome: Finding) -> Event {
    Event::Looked(FindResponse { outcome: Some(outcome) }.into())
}

fn found(id: &str) -> Event {
    looked(Finding::Found(Found { upstream_id: id.into(), outcome: Some(pending(id).unwrap()) }))
}

fn absent() -> Event {
    looked(Finding::Absent(Absent::default()))
}

fn take(
    policy: &Policy,
    operation: &Operation,
    event: Event,
    seconds: u64,
) -> Result<Operation, Refusal> {
    let next = apply(operation, event, policy, &now_at(seconds))?.operation;
    assert_eq!(broken_invariant(&next), None);
    Ok(next)
}

/// A begun operation of which an attempt stands for what may have been sent.
fn presumed(policy: &Policy, evidence: Result<(), &str>, seconds: u64) -> Operation {
    let begun = take(policy, &accepted(), begin("A1"), seconds).unwrap();
    take(policy, &begun, presumption(evidence), seconds).unwrap()
}

#[test]
fn permit_is_refused_until_the_spend_was_searched_for() {
    let policy = lost(Evidence::Reference);
    let begun = take(&policy, &accepted(), begin("A1"), 150).unwrap();
    assert!(policy.unsearched(&begun).is_some());
    let refusal = take(&policy, &begun, permit(), 150).unwrap_err();
    assert!(refusal.to_string().contains("was not searched for"), "{refusal}");
    let unknown = presumed(&policy, Ok(()), 150);
    assert_eq!((unknown.state, unknown.wake_time), (State::OutcomeUnknown, Some(age_at(150))));
    assert!(unknown.attempts[0].is_presumed());
    assert_eq!(unknown.attempts[0].permit_time, start() + Duration::from_secs(10));
    // The window began with the confirmation.
    let window = CONFIRMED + SETTLE.as_secs();
    let early = take(&policy, &unknown, absent(), window - 1).unwrap();
    assert_eq!(early.state, State::Reconciling);
    let gone = take(&policy, &early, absent(), window).unwrap();
    assert_eq!((gone.state, gone.attempts[0].outcome), (State::Accepted, Outcome::Absent));
    assert!(gone.given_up.is_empty(), "everything since then is new to its baseline");
    let again = take(&policy, &gone, begin("A1"), window).unwrap();
    assert_eq!(policy.unsearched(&again), None);
    let sent = take(&policy, &again, permit(), window).unwrap();
    assert_eq!(sent.attempts.len(), 2);
    // What a preparation makes after that is claimed as it is without a presumed attempt.
    let prepared = Event::Closed(Closing { spend: None, said: next("42"), contest: None });
    let change = apply(&again, prepared, &policy, &now_at(window)).unwrap();
    assert_eq!(change.claims[0].claim.upstream_id, "42");
    assert_eq!(change.operation.attempts[0].outcome, Outcome::Absent);
    // Nothing was sent before, so it may be taken back.
    let cancelled = take(&policy, &gone, Event::CancelRequested, window).unwrap();
    assert_eq!(cancelled.state, State::Cancelled);
}

#[test]
fn what_is_found_by_comparison_is_for_an_operator() {
    let shown = |evidence| {
        let policy = lost(evidence);
        take(&policy, &presumed(&policy, Ok(()), 150), found("a"), 150).unwrap()
    };
    for evidence in [Evidence::Reference, Evidence::Natural] {
        assert_eq!(shown(evidence).state, State::WaitingUpstream, "{evidence:?}");
    }
    let doubtful = shown(Evidence::Difference);
    assert_eq!(doubtful.state, State::NeedsOperator);
    assert_eq!(doubtful.candidates, [UpstreamRef::of("a")]);
}

/// Nobody has decided it by then.
#[test]
fn presumed_attempt_is_compared_as_carefully_when_the_lost_time_is_over() {
    let lasting = lost(Evidence::Difference);
    let unknown = presumed(&lasting, Ok(()), 150);
    let over = Policy { lost_lasts: false, ..lasting };
    let shown = take(&over, &unknown, found("a"), 150).unwrap();
    assert_eq!(shown.state, State::NeedsOperator);
    // What is sent by now is not searched for before.
    let begun = take(&over, &accepted(), begin("A1"), 150).unwrap();
    assert_eq!(over.unsearched(&begun), None);
}

/// Its baseline is from before the confirmation, and what is new since may be of requests that are lost.
#[test]
fn attempt_from_before_the_confirmation_is_not_found_by_comparison() {
    let policy = policy(Evidence::Difference);
    let begun = take(&policy, &accepted(), begin("A1"), 20).unwrap();
    let sent = take(&policy, &begun, permit(), 20).unwrap();
    let unknown = take(&policy, &sent, Event::Recovered, 20).unwrap();
    let found_by = |policy: &Policy| take(policy, &unknown, found("a"), 150).unwrap().state;
    assert_eq!(found_by(&policy), State::WaitingUpstream);
    assert_eq!(found_by(&lost(Evidence::Difference)), State::NeedsOperator);
}

#[test]
fn without_evidence_an_operator_is_asked_and_may_let_it_be_sent() {
    let policy = lost(Evidence::None);
    let asked = presumed(&policy, Err("the upstream cannot be asked"), 150);
    assert_eq!(asked.state, State::NeedsOperator);
    assert!(asked.message.contains("cannot be asked"), "{}", asked.message);
    let note = Note::new(start(), "ann".into(), "not there".into(), Decision::Unknown);
    let resolution = Resolution::NotExecuted { try_again: true, at_own_risk: false };
    let waiting = take(&policy, &asked, Event::Resolved { resolution, note }, 150).unwrap();
    assert_eq!(waiting.word_waits_until(), Some(age_at(CONFIRMED) + SETTLE));
    let window = CONFIRMED + SETTLE.as_secs();
    let unread = Event::LookFailed(Error::unsupported("a search"));
    let again = take(&policy, &waiting, unread, window).unwrap();
    assert_eq!(again.state, State::Accepted);
    let begun = take(&policy, &again, begin("A1"), window).unwrap();
    assert!(take(&policy, &begun, permit(), window).is_ok());
}

#[test]
fn nothing_is_searched_for_where_nothing_is_spent_or_lost() {
    let begun = take(&policy(Evidence::Reference), &accepted(), begin("A1"), 150).unwrap();
    assert_eq!(policy(Evidence::Reference).unsearched(&begun), None);
    let setting = Policy { effect: Effect::Setting, ..lost(Evidence::Reference) };
    assert_eq!(setting.unsearched(&begun), None);
}

/// It may have been ended, and its id be another object's.
#[test]
fn end_that_was_accepted_before_the_confirmation_is_not_sent_again_by_itself() {
    let policy = Policy { effect: Effect::Setting, ends: true, ..lost(Evidence::Reference) };
    let asked = presumed(&policy, Err("it may be another object"), 150);
    assert_eq!(asked.state, State::NeedsOperator);
    let begun = take(&policy, &accepted(), begin("A1"), 150).unwrap();
    assert!(take(&policy, &begun, permit(), 150).is_err());
    let later = Operation { create_age: age_at(CONFIRMED), ..begun };
    assert!(take(&policy, &later, permit(), 150).is_ok());
}
