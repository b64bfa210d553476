//! A stored answer meets an operation that had only found the same object, in whatever state that is.

use std::time::Duration;

use purveyor_sdk::plugin::v1::step_outcome::{Outcome as Said, Pending};
use purveyor_sdk::plugin::v1::{Op, Resource, StepOutcome, resource};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{ErrorReason, Order, UpstreamRef};
use uuid::Uuid;

use super::Applied;
use crate::engine::Engine;
use crate::engine::machine::Closing;
use crate::engine::made_here::tests::{attempt, operation};
use crate::engine::naming::tests::engine;
use crate::plugin::{Seen, Spend};
use crate::store::operation::{Attempt, Claim, Lock, NewClaim, Operation, Origin, Settle};
use crate::store::{Change, Committed, EndedBefore, NewOperation};

const ANSWERED: Uuid = Uuid::from_u128(1);
const FOUND: Uuid = Uuid::from_u128(2);

fn named(id: &str) -> UpstreamRef {
    UpstreamRef::of(id.to_owned())
}

fn claim(upstream_id: &str) -> Claim {
    Claim { account: "acme/a".into(), kind: "order".into(), upstream_id: upstream_id.into() }
}

pub(in crate::engine) fn by_search(upstream_id: &str) -> NewClaim {
    NewClaim { origin: Origin::Search, ..NewClaim::by_answer(claim(upstream_id)) }
}

/// Stores an operation with one attempt and what it claims.
pub(in crate::engine) async fn store(
    engine: &Engine,
    id: Uuid,
    state: State,
    sent: Attempt,
    claims: Vec<NewClaim>,
) -> Operation {
    let accepted = Operation {
        request_id: id,
        target: format!("providers/acme/orders/{id}"),
        create_age: engine.age(),
        update_age: engine.age(),
        ..operation(Op::CreateOrder, State::Accepted)
    };
    engine.store().accept(NewOperation::of(accepted.clone())).await.unwrap();
    let unknown = matches!(state, State::OutcomeUnknown | State::Reconciling);
    let settle = Settle {
        conclusive_at: engine.age() + Duration::from_secs(60),
        window: Duration::from_secs(60),
        escalate_at: None,
    };
    let stored = Operation {
        state,
        version: 2,
        upstream: named(&sent.upstream_id),
        attempts: vec![Attempt { nonce: id, ..sent }],
        settle: unknown.then_some(settle),
        handle: vec![1],
        wake_time: (!matches!(state, State::Running | State::Succeeded)).then(|| engine.age()),
        ..accepted
    };
    let change = Change { claims, ..Change::of(stored.clone()) };
    assert_eq!(engine.store().commit(change).await.unwrap(), Committed::Done);
    stored
}

/// The operation that was answered `id`, which it has stored and not applied.
async fn answered(engine: &Engine, id: &str) {
    let ours =
        store(engine, ANSWERED, State::OutcomeUnknown, attempt(Outcome::Unknown, ""), vec![]).await;
    observe(engine, &ours.attempts[0], id).await;
}

/// Stores that one of its attempts was answered `id`.
async fn observe(engine: &Engine, sent: &Attempt, id: &str) {
    let order = Order { upstream: Some(named(id)), ..Order::default() };
    let view = Some(Resource { kind: Some(resource::Kind::Order(order)) });
    let pending = Said::Pending(Pending { handle: vec![1], view, ..Pending::default() });
    let spend = Spend {
        call: "order.create".into(),
        effect: sent.effect,
        attempt: Some(sent.number),
        seen: Seen::Success { upstream_id: Some(id.into()), id_kind: "order".into() },
        answer: None,
    };
    let said = Ok(StepOutcome { outcome: Some(pending) });
    let closing = Closing { spend: Some(spend), said, contest: None };
    let observation = super::of(sent.nonce, &closing).unwrap();
    engine.store().observe(ANSWERED, observation, engine.age()).await.unwrap();
}

async fn get(engine: &Engine, id: Uuid) -> Operation {
    engine.store().get(id).await.unwrap().unwrap()
}

async fn holder(engine: &Engine, id: &str) -> Option<Uuid> {
    engine.store().claimant(&claim(id)).await.unwrap()
}

/// An answer that came when a second attempt had been sent, and the second one's, both stored before any
/// was applied.
#[tokio::test]
async fn answers_of_two_attempts_are_applied_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let absent = attempt(Outcome::Absent, "");
    let first = store(&engine, ANSWERED, State::Running, absent, vec![]).await;
    let second = Attempt {
        number: 2,
        nonce: FOUND,
        outcome: Outcome::Unspecified,
        ..first.attempts[0].clone()
    };
    let attempts = vec![first.attempts[0].clone(), second];
    let sent = Operation { version: 3, attempts, ..first };
    assert_eq!(engine.store().commit(Change::of(sent.clone())).await.unwrap(), Committed::Done);
    for (sent, id) in sent.attempts.iter().zip(["a", "b"]) {
        observe(&engine, sent, id).await;
    }
    // Not applied at all they would be tried for ever.
    let applied = engine.apply_observations(ANSWERED);
    let applied = tokio::time::timeout(Duration::from_secs(60), applied).await;
    assert_eq!(applied.expect("it ends").unwrap(), Applied::All);
    let ours = get(&engine, ANSWERED).await;
    assert!(!ours.has_unapplied());
    let ends: Vec<_> = ours.attempts.iter().map(|it| (it.outcome, &*it.upstream_id)).collect();
    assert_eq!(ends, [(Outcome::Applied, "a"), (Outcome::Pending, "b")]);
    assert_eq!(ours.duplicates, [named("a")], "what was sold as well is told");
}

#[tokio::test]
async fn an_open_operation_gives_up_what_it_found() {
    for state in [State::WaitingUpstream, State::Succeeded] {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder).await;
        let sent = attempt(Outcome::Pending, "a");
        store(&engine, FOUND, state, sent, vec![by_search("a")]).await;
        answered(&engine, "a").await;
        assert_eq!(engine.apply_observations(ANSWERED).await.unwrap(), Applied::All);
        let (ours, theirs) = (get(&engine, ANSWERED).await, get(&engine, FOUND).await);
        assert_eq!(
            (ours.state, ours.attempts[0].outcome),
            (State::WaitingUpstream, Outcome::Pending)
        );
        assert_eq!(holder(&engine, "a").await, Some(ANSWERED));
        if state == State::Succeeded {
            assert_eq!((theirs.state, theirs.duplicates), (state, vec![named("a")]));
        } else {
            assert_eq!(theirs.state, State::NeedsOperator);
            assert_eq!(theirs.attempts[0].outcome, Outcome::Unknown);
            assert_eq!(theirs.error.unwrap().reason(), ErrorReason::DuplicateDetected);
        }
    }
}

/// Somebody pays the order that this operation found: the payment goes on, and this one asks for what it
/// needs at its next step.
#[tokio::test]
async fn an_operation_gives_up_what_it_found_while_another_holds_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let sent = attempt(Outcome::Pending, "a");
    let found = store(&engine, FOUND, State::WaitingUpstream, sent, vec![by_search("a")]).await;
    let exclusive = vec![found.target.clone()];
    let change = Change::of(Operation { exclusive, version: 3, ..found.clone() });
    assert_eq!(engine.store().commit(change).await.unwrap(), Committed::Done);
    let paying = Uuid::from_u128(3);
    let payment = Operation { request_id: paying, ..operation(Op::PayOrder, State::Accepted) };
    let locks = vec![Lock(found.target)];
    engine.store().accept(NewOperation { locks, ..NewOperation::of(payment) }).await.unwrap();
    answered(&engine, "a").await;
    assert_eq!(engine.apply_observations(ANSWERED).await.unwrap(), Applied::All);
    assert_eq!(get(&engine, ANSWERED).await.state, State::WaitingUpstream);
    assert_eq!(get(&engine, FOUND).await.state, State::NeedsOperator);
}

/// What came of a request that is under way would be forgotten, so the answer waits for its end.
#[tokio::test]
async fn the_answer_waits_for_a_request_that_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let found = attempt(Outcome::Applied, "a");
    let theirs = store(&engine, FOUND, State::Accepted, found, vec![by_search("a")]).await;
    let running = Operation { state: State::Running, version: 3, wake_time: None, ..theirs };
    let ended = Operation { state: State::Succeeded, version: 4, ..running.clone() };
    engine.store().commit(Change::of(running)).await.unwrap();
    answered(&engine, "a").await;
    assert_eq!(engine.apply_observations(ANSWERED).await.unwrap(), Applied::Waits);
    let ours = get(&engine, ANSWERED).await;
    assert!(ours.has_unapplied() && ours.wake_time <= Some(engine.age()), "it stays due");
    engine.store().commit(Change::of(ended)).await.unwrap();
    assert_eq!(engine.apply_observations(ANSWERED).await.unwrap(), Applied::All);
    assert_eq!(get(&engine, ANSWERED).await.state, State::WaitingUpstream);
    assert_eq!(get(&engine, FOUND).await.duplicates, vec![named("a")]);
}

/// Neither of two operations can lose what it found before its own answer is applied.
#[tokio::test]
async fn two_answers_that_are_each_others_findings_come_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    answered(&engine, "a").await;
    let theirs = attempt(Outcome::Unknown, "");
    let theirs = store(&engine, FOUND, State::OutcomeUnknown, theirs, vec![by_search("a")]).await;
    let spend = Spend {
        call: "order.create".into(),
        effect: theirs.attempts[0].effect,
        attempt: Some(1),
        seen: Seen::Success { upstream_id: Some("b".into()), id_kind: "order".into() },
        answer: None,
    };
    let said = Ok(StepOutcome { outcome: None });
    let closing = Closing { spend: Some(spend), said, contest: None };
    let observation = super::of(FOUND, &closing).unwrap();
    engine.store().observe(FOUND, observation, engine.age()).await.unwrap();
    assert_eq!(engine.apply_observations(ANSWERED).await.unwrap(), Applied::All);
    assert_eq!(engine.apply_observations(FOUND).await.unwrap(), Applied::All);
    let ours = get(&engine, ANSWERED).await;
    assert_eq!(ours.state, State::NeedsOperator, "a person sees which of them it is");
    assert_eq!(ours.error.unwrap().reason(), ErrorReason::DuplicateDetected);
    assert_eq!(holder(&engine, "b").await, Some(FOUND));
}

/// Of an operation that was removed, its claims are left.
#[tokio::test]
async fn what_a_removed_operation_found_passes_on() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let sent = attempt(Outcome::Applied, "a");
    store(&engine, FOUND, State::Succeeded, sent, vec![by_search("a")]).await;
    // The operation that made the last change stays.
    answered(&engine, "a").await;
    let after = engine.age() + Duration::from_secs(60);
    let all = EndedBefore { age: after, wall: engine.wall() + Duration::from_secs(60) };
    assert_eq!(engine.store().prune(all, 10).await.unwrap(), 1);
    assert_eq!(engine.apply_observations(ANSWERED).await.unwrap(), Applied::All);
    assert_eq!(get(&engine, ANSWERED).await.state, State::WaitingUpstream);
    assert_eq!(holder(&engine, "a").await, Some(ANSWERED));
}
