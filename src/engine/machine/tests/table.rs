//! The rows of "Classifying" and of the plugin's word: what the host saw, what the plugin said, and
//! what the operation and its attempt become.

use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Finding};
use purveyor_sdk::plugin::v1::step_outcome::{
    Done, Next, Outcome as Said, Pending, Rejected, Unknown,
};
use purveyor_sdk::plugin::v1::{FindResponse, Op, Resource, StepOutcome, resource};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, Order, Renewal, UpstreamRef};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::{accepted, begin, blocked, now_at, policy};
use crate::engine::machine::{Closing, Event, NewAttempt, UPSTREAM_STATUS, apply, locks};
use crate::plugin::{Answer, ProofSeen, Seen, Spend};
use crate::store::Change;
use crate::store::operation::{Baseline, Lock, Operation};

pub(super) fn running(evidence: Evidence) -> Operation {
    let mut operation = accepted();
    let baseline = Baseline {
        evidence: Vec::new(),
        similarity: "shares 1".into(),
        present_ids: vec!["old".into()],
        highest_id: "70".into(),
    };
    for event in [
        begin("A1"),
        Event::BaselineTaken(baseline),
        Event::Permitted(NewAttempt {
            nonce: Uuid::nil(),
            call: "create".into(),
            effect: Effect::Spend,
            plugin: "acme 1.0.0".into(),
            plugin_sha256: String::new(),
        }),
    ] {
        operation = apply(&operation, event, &policy(evidence), &now_at(1)).unwrap().operation;
    }
    operation
}

fn close(evidence: Evidence, seen: Seen, said: Result<StepOutcome>) -> Change {
    close_answered(evidence, seen, said, 0)
}

/// As [`close`], after a complete answer with this status; 0: none.
fn close_answered(
    evidence: Evidence,
    seen: Seen,
    said: Result<StepOutcome>,
    status: u16,
) -> Change {
    let answer = Answer { status, body: "{}".into(), complete: true };
    let spend = Spend {
        call: "create".into(),
        effect: Effect::Spend,
        attempt: Some(1),
        seen,
        answer: (status != 0).then_some(answer),
    };
    let closing = Closing { spend: Some(spend), said, contest: None };
    apply(&running(evidence), Event::Closed(closing), &policy(evidence), &now_at(2)).unwrap()
}

/// An order that is the upstream objects with these identifiers, with spaces between.
pub(super) fn order(ids: &str) -> Option<Resource> {
    let ids = ids.split_whitespace().map(str::to_owned).collect();
    let upstream = UpstreamRef { ids, ..UpstreamRef::default() };
    let order = Order { upstream: Some(upstream), ..Order::default() };
    Some(Resource { kind: Some(resource::Kind::Order(order)) })
}

pub(super) fn done(id: &str) -> Result<StepOutcome> {
    Ok(StepOutcome { outcome: Some(Said::Done(Done { resource: order(id) })) })
}

pub(super) fn pending(id: &str) -> Result<StepOutcome> {
    let pending = Pending { handle: vec![1], view: order(id), ..Pending::default() };
    Ok(StepOutcome { outcome: Some(Said::Pending(pending)) })
}

pub(super) fn next(id: &str) -> Result<StepOutcome> {
    let next = Next { handle: vec![1], view: order(id), price: None };
    Ok(StepOutcome { outcome: Some(Said::Next(next)) })
}

pub(super) fn rejected(proof: &str) -> Result<StepOutcome> {
    let rejected = Rejected { proof: proof.into(), ..Rejected::default() };
    Ok(StepOutcome { outcome: Some(Said::Rejected(rejected)) })
}

pub(super) fn panicked() -> Result<StepOutcome> {
    Err(Error::new(ErrorReason::PluginFault, "panicked"))
}

pub(super) fn success(id: Option<&str>) -> Seen {
    Seen::Success { upstream_id: id.map(str::to_owned), id_kind: "order".into() }
}

fn due(id: Option<&str>) -> Seen {
    Seen::PaymentDue { upstream_id: id.map(str::to_owned), id_kind: "order".into() }
}

pub(super) fn refusable(may_repeat: bool) -> Seen {
    let proofs = vec![ProofSeen { name: "fault".into(), may_repeat }];
    Seen::Refusable { proofs, message: "fault 500000".into() }
}

fn not_sent() -> Seen {
    Seen::NotSent { reason: "connection refused".into() }
}

pub(super) fn unproven() -> Seen {
    Seen::Unproven { reason: "connection closed".into() }
}

#[test]
fn the_attempt_is_closed_from_what_the_host_saw() {
    let check = |seen: Seen, said: Result<StepOutcome>, state: State, outcome: Outcome| {
        let shown = format!("{seen:?} with {said:?}");
        let closed = close(Evidence::Difference, seen, said).operation;
        assert_eq!((closed.state, closed.attempts[0].outcome), (state, outcome), "{shown}");
    };
    check(success(Some("u1")), done("u1"), State::Succeeded, Outcome::Applied);
    check(success(Some("u1")), pending("u0 u1"), State::WaitingUpstream, Outcome::Pending);
    check(success(Some("u1")), next("u1"), State::Accepted, Outcome::Applied);
    check(success(None), done("anything"), State::Succeeded, Outcome::Applied);
    // The plugin names another identifier than the one that was answered.
    check(success(Some("u1")), done("u2"), State::OutcomeUnknown, Outcome::Unknown);
    check(success(Some("u1")), pending(""), State::OutcomeUnknown, Outcome::Unknown);
    // The plugin calls a success a refusal, panics after it, or returns nothing.
    check(success(Some("u1")), rejected("fault"), State::OutcomeUnknown, Outcome::Unknown);
    check(success(Some("u1")), panicked(), State::OutcomeUnknown, Outcome::Unknown);
    let empty = Ok(StepOutcome { outcome: None });
    check(success(Some("u1")), empty, State::OutcomeUnknown, Outcome::Unknown);
    // Accepted, payment due.
    check(due(Some("u1")), pending("u1"), State::WaitingUpstream, Outcome::Pending);
    check(due(None), pending("u1"), State::OutcomeUnknown, Outcome::Unknown);
    check(due(Some("u1")), rejected("fault"), State::OutcomeUnknown, Outcome::Unknown);
    // A refusal needs the declared proof on the answer, and the plugin's word for it.
    check(refusable(false), rejected("fault"), State::Reconciling, Outcome::Rejected);
    check(refusable(true), rejected("fault"), State::Accepted, Outcome::Rejected);
    check(refusable(false), rejected("another"), State::OutcomeUnknown, Outcome::Unknown);
    check(refusable(false), panicked(), State::OutcomeUnknown, Outcome::Unknown);
    check(refusable(false), done("u1"), State::OutcomeUnknown, Outcome::Unknown);
    // Whatever the plugin says of an answer that proves nothing.
    check(unproven(), done("invented"), State::OutcomeUnknown, Outcome::Unknown);
    check(unproven(), rejected("fault"), State::OutcomeUnknown, Outcome::Unknown);
    check(unproven(), panicked(), State::OutcomeUnknown, Outcome::Unknown);
    // Nothing left.
    check(not_sent(), panicked(), State::Accepted, Outcome::NotSent);
    check(not_sent(), done("invented"), State::Accepted, Outcome::NotSent);
}

#[test]
fn without_evidence_a_person_is_asked_at_once() {
    let closed = close(Evidence::None, unproven(), panicked()).operation;
    assert_eq!(closed.state, State::NeedsOperator);
    assert_eq!(closed.wake_time, None);
}

#[test]
fn what_the_upstream_answered_is_claimed_even_when_the_plugin_fails() {
    for said in [done("u1"), pending("u1"), panicked(), rejected("fault")] {
        let claims = close(Evidence::Difference, success(Some("u1")), said).claims;
        let claimed: Vec<_> = claims.iter().map(|new| new.claim.upstream_id.as_str()).collect();
        assert_eq!(claimed, ["u1"]);
    }
    assert!(close(Evidence::Difference, unproven(), done("u1")).claims.is_empty());
}

#[test]
fn gate_and_similarity_are_held_while_they_protect() {
    let lock = |text: &str| Lock(text.into());
    let target = lock(&accepted().target);
    let gate = lock("gate acme/A1");
    let similar = lock("similar acme/A1 shares 1");
    let check = |operation: &Operation, evidence, expected: &[&Lock]| {
        let expected: Vec<Lock> = expected.iter().map(|lock| (*lock).clone()).collect();
        assert_eq!(locks(operation, &policy(evidence)), expected, "{:?}", operation.state);
    };
    let difference = Evidence::Difference;
    check(&accepted(), difference, &[&target]);
    check(&running(difference), difference, &[&target, &gate, &similar]);
    check(&running(Evidence::Reference), Evidence::Reference, &[&target]);
    let unknown = close(difference, unproven(), panicked()).operation;
    check(&unknown, difference, &[&target, &similar]);
    let mut nameless = unknown.clone();
    nameless.baseline = None;
    check(&nameless, difference, &[&target, &gate]);
    // An order that the upstream owns may be paid and cancelled by others.
    let waiting = close(difference, success(Some("u1")), pending("u1")).operation;
    check(&waiting, difference, &[]);
    let ended = close(difference, success(Some("u1")), done("u1")).operation;
    check(&ended, difference, &[]);
}

#[test]
fn a_step_that_is_tried_again_knows_what_was_there_before_the_first_try() {
    let not_sent = Seen::NotSent { reason: "no connection".into() };
    let unavailable = || Err(Error::unavailable("no connection"));
    let again = close(Evidence::Difference, not_sent, unavailable()).operation;
    assert_eq!(again.state, State::Accepted);
    let policy = policy(Evidence::Difference);
    let begin = begin("A1");
    let begun = apply(&again, begin, &policy, &now_at(3)).unwrap().operation;
    let known = begun.baseline.as_ref().map(|baseline| baseline.present_ids.clone());
    assert_eq!(known, Some(vec!["old".to_owned()]));
    // Nobody is held off by it.
    let held: Vec<_> = locks(&begun, &policy).into_iter().map(|lock| lock.0).collect();
    assert_eq!(held, [accepted().target, "gate acme/A1".to_owned()]);
}

#[test]
fn nothing_is_started_after_start_before() {
    let late = apply(&accepted(), begin("A1"), &policy(Evidence::Difference), &now_at(601));
    let late = late.unwrap().operation;
    assert_eq!(late.state, State::Failed);
    assert_eq!(late.error.unwrap().reason(), ErrorReason::NotStarted);
    // A write that has begun upstream is carried on.
    let begun = close(Evidence::Difference, success(Some("u1")), next("u1")).operation;
    let policy = policy(Evidence::Difference);
    let on = apply(&begun, begin("A1"), &policy, &now_at(601)).unwrap();
    assert_eq!(on.operation.state, State::Running);
}

#[test]
fn wait_past_start_before_fails_naming_the_blocker() {
    let check = |state: State, waits_for: &str| {
        let policy = policy(Evidence::Difference);
        let blocker = format!("operations/{}", Uuid::from_u128(9));
        let step = |operation: &Operation, seconds| {
            apply(operation, blocked(state), &policy, &now_at(seconds)).unwrap().operation
        };
        let waiting = step(&accepted(), 599);
        assert_eq!(
            (waiting.state, waiting.blocked_by),
            (State::Accepted, Some(Uuid::from_u128(9)))
        );
        assert_eq!(waiting.message, format!("waits for {blocker}, {waits_for}"));
        // Whether it looks for itself, or is refused the lock in its step.
        let running = apply(&waiting, begin("A1"), &policy, &now_at(600)).unwrap().operation;
        for before in [waiting, running] {
            let late = step(&before, 601);
            assert_eq!((late.state, late.blocked_by), (State::Failed, None));
            let error = late.error.unwrap();
            assert_eq!(error.reason(), ErrorReason::NotStarted);
            assert_eq!(error.metadata["operation"], blocker);
            let message = format!(": it waited for {blocker}, {waits_for}");
            assert!(error.message.ends_with(&message), "{}", error.message);
        }
    };
    check(State::Running, "which is RUNNING");
    check(State::NeedsOperator, "which needs an operator");
}

fn expired() -> Event {
    Event::StartExpired { waited_for: None }
}

#[test]
fn expired_operation_ends_whoever_works_on_it() {
    let policy = policy(Evidence::Difference);
    let check = |operation: &Operation, ends: bool| {
        let before = apply(operation, expired(), &policy, &now_at(600));
        assert!(before.is_err(), "{before:?}");
        let after = apply(operation, expired(), &policy, &now_at(601));
        let error = after.ok().map(|change| {
            assert_eq!((change.operation.state, change.locks.len()), (State::Failed, 0));
            change.operation.error.unwrap().reason()
        });
        assert_eq!(error, ends.then_some(ErrorReason::NotStarted), "{operation:?}");
    };
    check(&accepted(), true);
    let waiting = apply(&accepted(), blocked(State::Running), &policy, &now_at(1)).unwrap();
    check(&waiting.operation, true);
    // Its evidence is taken, and nothing was permitted.
    let begun = apply(&accepted(), begin("A1"), &policy, &now_at(1)).unwrap().operation;
    check(&begun, true);
    check(&close(Evidence::Difference, not_sent(), panicked()).operation, true);
    // A permit is open, or something took effect.
    check(&running(Evidence::Difference), false);
    check(&close(Evidence::Difference, success(Some("u1")), next("u1")).operation, false);
    check(&close(Evidence::Difference, success(Some("u1")), pending("u1")).operation, false);
    check(&close(Evidence::Difference, unproven(), panicked()).operation, false);
}

/// What a plugin reads in an answer that proves nothing.
fn unread(text: &str) -> Result<StepOutcome> {
    Ok(StepOutcome { outcome: Some(Said::Unknown(Unknown { message: text.into() })) })
}

fn absent(seconds: u64, operation: &Operation) -> Operation {
    let finding = FindResponse { outcome: Some(Finding::Absent(Absent::default())) };
    let policy = policy(Evidence::Difference);
    apply(operation, Event::Looked(finding.into()), &policy, &now_at(seconds)).unwrap().operation
}

/// That it has failed so, and tells what the upstream answered last.
#[track_caller]
fn failed_with(ended: &Operation, reason: ErrorReason, message: &str, status: Option<&str>) {
    let error = ended.error.as_ref().expect("it has failed");
    assert_eq!((ended.state, error.reason()), (State::Failed, reason), "{error:?}");
    assert!(error.message.starts_with(message), "{error:?}");
    let told = error.metadata.get(UPSTREAM_STATUS).map(String::as_str);
    assert_eq!(told, status, "{error:?}");
}

#[test]
fn expired_operation_that_was_refused_ends_with_the_refusal() {
    let policy = policy(Evidence::Difference);
    let error = Error::rejected("no credit").with_upstream_code(521_163).into();
    let rejected = Rejected { proof: "fault".into(), error: Some(error), ..Rejected::default() };
    let said = Ok(StepOutcome { outcome: Some(Said::Rejected(rejected)) });
    let refused = close_answered(Evidence::Difference, refusable(true), said, 402).operation;
    assert_eq!(refused.state, State::Accepted);
    for event in [expired(), begin("A1"), blocked(State::Running)] {
        let late = apply(&refused, event, &policy, &now_at(601)).unwrap().operation;
        // One look comes before the end, as before that of any refusal.
        assert_eq!((late.state, late.blocked_by), (State::Reconciling, None));
        let ended = absent(602, &late);
        let message = "no credit (521163); fault 500000; nothing was sent again before";
        failed_with(&ended, ErrorReason::UpstreamRejected, message, Some("402"));
    }
}

#[test]
fn refused_operation_tells_the_status_of_the_refusal() {
    let said = rejected("fault");
    let refused = close_answered(Evidence::Difference, refusable(false), said, 403).operation;
    let ended = absent(3, &refused);
    failed_with(&ended, ErrorReason::UpstreamRejected, "the upstream refused", Some("403"));
}

#[test]
fn expired_operation_that_was_sent_in_vain_ends_as_not_executed() {
    let policy = policy(Evidence::Difference);
    let lost = close_answered(Evidence::Difference, unproven(), unread("fault 7: busy"), 500);
    let again = absent(103, &lost.operation);
    assert_eq!(again.state, State::Accepted);
    for event in [expired(), begin("A1"), blocked(State::Running)] {
        let ended = apply(&again, event, &policy, &now_at(601)).unwrap().operation;
        let message = "fault 7: busy; not there after the settle window; nothing was sent again";
        failed_with(&ended, ErrorReason::NotExecuted, message, Some("500"));
    }
}

#[test]
fn undeclared_refusal_ends_with_what_the_upstream_said() {
    let said = unread("status 403 (Client::Forbidden): User not granted for this request");
    let lost = close_answered(Evidence::Difference, unproven(), said, 403).operation;
    assert_eq!(lost.state, State::OutcomeUnknown);
    let message = "the upstream refused: status 403 (Client::Forbidden): User not granted for";
    failed_with(&absent(103, &lost), ErrorReason::UpstreamRejected, message, Some("403"));
}

#[test]
fn not_started_names_the_last_cause() {
    let policy = policy(Evidence::Difference);
    let check = |operation: &Operation, event: Event, cause: &str| {
        let ended = apply(operation, event, &policy, &now_at(601)).unwrap().operation;
        let message = format!("nothing was sent before {}{cause}", ended.start_before);
        failed_with(&ended, ErrorReason::NotStarted, &message, None);
        assert_eq!(ended.error.unwrap().message, message);
    };
    check(&accepted(), expired(), "");
    check(&accepted(), Event::Deferred(Error::unavailable("no answer")), ": no answer");
    let deferred = Event::Deferred(Error::unavailable("no answer"));
    let deferred = apply(&accepted(), deferred, &policy, &now_at(1)).unwrap().operation;
    check(&deferred, begin("A1"), ": no answer");
    let unsent = close(Evidence::Difference, not_sent(), panicked()).operation;
    check(&unsent, expired(), ": connection refused");
    let begun = apply(&unsent, begin("A1"), &policy, &now_at(600)).unwrap().operation;
    check(&begun, expired(), ": connection refused");
}

/// A renewal whose unpaid order was made and whose payment comes next.
fn prepared_renewal() -> Operation {
    let renewal = Renewal {
        order: "providers/acme/orders/42".into(),
        upstream: Some(UpstreamRef::of("42")),
        ..Renewal::default()
    };
    let view = Some(Resource { kind: Some(resource::Kind::Renewal(renewal)) });
    let next = Next { handle: vec![1], view, price: None };
    let said = Ok(StepOutcome { outcome: Some(Said::Next(next)) });
    let accepted = Operation { op: Op::CreateRenewal, exclusive: Vec::new(), ..accepted() };
    let policy = policy(Evidence::Natural);
    let begin = begin("A1");
    let running = apply(&accepted, begin, &policy, &now_at(1)).unwrap().operation;
    let closed = Event::Closed(Closing { spend: None, said, contest: None });
    apply(&running, closed, &policy, &now_at(2)).unwrap().operation
}

#[test]
fn what_a_preparation_made_is_claimed() {
    let claims = |op: Op, said: Result<StepOutcome>| {
        let policy = policy(Evidence::Natural);
        let begin = begin("A1");
        let running = apply(&Operation { op, ..accepted() }, begin, &policy, &now_at(1)).unwrap();
        let closed = Event::Closed(Closing { spend: None, said, contest: None });
        let closed = apply(&running.operation, closed, &policy, &now_at(2)).unwrap();
        closed.claims.into_iter().map(|new| new.claim.upstream_id).collect::<Vec<_>>()
    };
    assert_eq!(claims(Op::CreateOrder, next("42")), ["42"]);
    assert_eq!(claims(Op::CreateRenewal, next("42")), ["42"]);
    // What is changed is nobody's, and a refusal made nothing.
    assert_eq!(claims(Op::UpdateService, next("42")), [""; 0]);
    assert_eq!(claims(Op::CreateOrder, rejected("fault")), [""; 0]);
}

#[test]
fn order_of_a_renewal_is_held_until_the_renewal_ends() {
    let policy = policy(Evidence::Natural);
    let check = |operation: &Operation, expected: &[&str]| {
        let expected: Vec<Lock> = expected.iter().map(|name| Lock((*name).into())).collect();
        assert_eq!(locks(operation, &policy), expected, "{:?}", operation.state);
    };
    let prepared = prepared_renewal();
    assert_eq!((prepared.state, prepared.step), (State::Accepted, 2));
    let held = ["providers/acme/orders/42", "acme/A1 orders/42"];
    check(&prepared, &held);
    // Also while it is followed: its order is paid, and the effect does not show yet.
    for state in [
        State::Running,
        State::WaitingUpstream,
        State::OutcomeUnknown,
        State::Reconciling,
        State::NeedsOperator,
    ] {
        check(&Operation { state, ..prepared.clone() }, &held);
    }
    for state in [State::Succeeded, State::Failed, State::Cancelled] {
        check(&Operation { state, ..prepared.clone() }, &[]);
    }
    // Another provider's order is not ours to hold.
    check(&Operation { provider: "other".into(), ..prepared }, &[]);
}

#[test]
fn what_was_only_prepared_is_not_paid_too_late() {
    let begin = || begin("A1");
    let prepared = prepared_renewal();
    let policy = policy(Evidence::Natural);
    let in_time = apply(&prepared, begin(), &policy, &now_at(599)).unwrap().operation;
    assert_eq!(in_time.state, State::Running);
    let late = apply(&prepared, begin(), &policy, &now_at(601)).unwrap().operation;
    assert_eq!(late.state, State::Failed);
    assert_eq!(late.error.unwrap().reason(), ErrorReason::NotStarted);
    // A refused payment has failed: the unpaid order lapses by itself.
    let said = rejected("fault").unwrap().outcome.unwrap();
    let closing =
        Closing { spend: None, said: Ok(StepOutcome { outcome: Some(said) }), contest: None };
    let refused = apply(&in_time, Event::Closed(closing), &policy, &now_at(600)).unwrap().operation;
    assert_eq!(refused.state, State::Failed);
}

#[test]
fn another_account_stops_everything() {
    let unknown = close(Evidence::Difference, unproven(), panicked()).operation;
    let event = Event::AccountChanged { now: "A2".into() };
    let policy = policy(Evidence::Difference);
    let stopped = apply(&unknown, event, &policy, &now_at(3)).unwrap().operation;
    assert_eq!(stopped.state, State::NeedsOperator);
    assert_eq!(stopped.error.unwrap().reason(), ErrorReason::AccountChanged);
    assert_eq!(
        stopped.message,
        "the provider points to account A2, and this operation belongs to acme https://acme.example:443 \
         A1; point the provider back (credentials, account_id, or formerly_endpoint after a move), or \
         resolve it"
    );
    let begin = begin("A2");
    let mut moved = accepted();
    moved.account = "A1".into();
    let moved = apply(&moved, begin, &policy, &now_at(3)).unwrap().operation;
    assert_eq!((moved.state, moved.attempts.len()), (State::NeedsOperator, 0));
}

#[test]
fn the_next_attempt_exists_only_after_one_that_moved_nothing() {
    let check = |effect: Effect, outcome: Outcome, same_step: bool, allowed: bool| {
        let mut operation = running(Evidence::Difference);
        operation.attempts[0].effect = effect;
        operation.attempts[0].outcome = outcome;
        operation.step = if same_step { 1 } else { 2 };
        let again = Event::Permitted(NewAttempt {
            nonce: Uuid::from_u128(2),
            call: "create".into(),
            effect,
            plugin: "acme 1.0.0".to_owned(),
            plugin_sha256: String::new(),
        });
        let applied = apply(&operation, again, &policy(Evidence::Difference), &now_at(2));
        assert_eq!(applied.is_ok(), allowed, "{effect:?} {outcome:?} same step: {same_step}");
    };
    for effect in [Effect::Spend, Effect::Setting] {
        check(effect, Outcome::NotSent, true, true);
        check(effect, Outcome::Rejected, true, true);
        check(effect, Outcome::Absent, true, true);
        check(effect, Outcome::Applied, true, false);
        check(effect, Outcome::Pending, true, false);
        check(effect, Outcome::Applied, false, true);
        check(effect, Outcome::Pending, false, true);
        check(effect, Outcome::Unspecified, true, false);
        check(effect, Outcome::Unspecified, false, false);
        check(effect, Outcome::Unknown, false, false);
    }
    check(Effect::Spend, Outcome::Unknown, true, false);
    check(Effect::Setting, Outcome::Unknown, true, true);
}

#[test]
fn what_another_operation_has_is_shown_with_its_owner() {
    let unknown = close(Evidence::Difference, unproven(), panicked()).operation;
    let by = Uuid::from_u128(9);
    let event = || Event::FoundClaimed { by, upstream_id: "a".into() };
    let policy = policy(Evidence::Difference);
    let looks = apply(&unknown, event(), &policy, &now_at(50)).unwrap().operation;
    assert_eq!((looks.state, &looks.error), (State::Reconciling, &None));
    let doubts = apply(&looks, event(), &policy, &now_at(150)).unwrap().operation;
    assert_eq!((doubts.state, &doubts.error), (State::Reconciling, &None));
    let asks = apply(&doubts, event(), &policy, &now_at(251)).unwrap().operation;
    assert_eq!((asks.state, asks.candidates[0].id()), (State::NeedsOperator, "a"));
    let problem = asks.error.unwrap();
    assert_eq!(problem.reason(), ErrorReason::DuplicateDetected);
    assert_eq!(problem.metadata["operation"], format!("operations/{by}"));
}
