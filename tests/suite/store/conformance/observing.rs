//! Observations: insert-only, stored whatever becomes of the change that brings them, and known to every
//! later change. And what is committed with an operation: records of services.

use std::sync::Arc;

use purveyor::store::operation::{Observation, Observed, Operation};
use purveyor::store::{Accepted, Change, Committed, NewOperation, ServiceRecord, Store};
use purveyor_sdk::v1::Service;
use purveyor_sdk::v1::operation::{Outcome, State};

use super::super::samples::{aged, attempt, id, lock, new, next, operation};
use super::Home;

fn observation(of: u128, upstream_id: &str) -> Observation {
    Observation {
        nonce: attempt(of, 1).nonce,
        observed: Observed::Accepted,
        upstream_id: upstream_id.to_owned(),
        content: vec![1, 2, 3],
    }
}

/// The operation with one attempt, whose outcome is unknown.
async fn sent(store: &dyn Store, n: u128) -> Operation {
    store.accept(new(operation(n))).await.unwrap();
    let change = next(&operation(n), |operation| {
        operation.state = State::NeedsOperator;
        operation.attempts = vec![attempt(n, 1)];
        operation.attempts[0].outcome = Outcome::Unknown;
    });
    assert_eq!(store.commit(change.clone()).await.unwrap(), Committed::Done);
    change.operation
}

async fn unapplied(store: &dyn Store, n: u128) -> Option<Observation> {
    let stored = store.get(id(n)).await.unwrap().unwrap();
    stored.attempts[0].unapplied.clone().map(|it| *it)
}

pub(super) async fn refused_change_keeps_its_observation(home: Arc<dyn Home>) {
    let store = home.open().await;
    let stored = sent(&*store, 1).await;
    let holder = NewOperation { locks: vec![lock("a")], ..new(operation(9)) };
    store.accept(holder).await.unwrap();
    let applied = |change: Change| Change { observation: Some(observation(1, "77")), ..change };
    let refused = [
        (next(&operation(1), |_| {}), Committed::Stale),
        (
            Change {
                locks: vec![lock("a")],
                ..next(&stored, |it| it.attempts[0].observed = Observed::Accepted)
            },
            Committed::Held { lock: lock("a"), by: id(9) },
        ),
    ];
    for (change, answer) in refused {
        assert_eq!(store.commit(applied(change)).await.unwrap(), answer);
        assert_eq!(unapplied(&*store, 1).await, Some(observation(1, "77")));
    }
    let now = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(now.wake_time, Some(aged(0)), "somebody has to apply it");
    assert_eq!(now.version, stored.version, "nothing else has changed");

    drop(store);
    let store = home.open().await;
    assert_eq!(unapplied(&*store, 1).await, Some(observation(1, "77")));
    let reflected = next(&now, |operation| {
        operation.attempts[0].observed = Observed::Accepted;
        operation.attempts[0].unapplied = None;
    });
    assert_eq!(store.commit(reflected).await.unwrap(), Committed::Done);
    assert_eq!(unapplied(&*store, 1).await, None);
}

pub(super) async fn change_that_overlooks_an_observation_is_stale(home: Arc<dyn Home>) {
    let store = home.open().await;
    let stored = sent(&*store, 1).await;
    store.observe(id(1), observation(1, "77"), aged(5)).await.unwrap();
    // Read before the observation came: absent, and another permit.
    let absent = next(&stored, |operation| operation.attempts[0].outcome = Outcome::Absent);
    assert_eq!(store.commit(absent).await.unwrap(), Committed::Stale);
    let permitted = next(&stored, |operation| operation.attempts.push(attempt(1, 2)));
    assert_eq!(store.commit(permitted).await.unwrap(), Committed::Stale);
    let found = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!((found.version, found.attempts.len()), (stored.version, 1));
    assert_eq!(found.wake_time, Some(aged(5)));
    // Read while its permit was open.
    store.accept(new(operation(2))).await.unwrap();
    let open = next(&operation(2), |operation| operation.attempts = vec![attempt(2, 1)]);
    assert_eq!(store.commit(open.clone()).await.unwrap(), Committed::Done);
    store.observe(id(2), observation(2, "78"), aged(5)).await.unwrap();
    let later = next(&open.operation, |operation| operation.wake_time = None);
    assert_eq!(store.commit(later).await.unwrap(), Committed::Stale);
}

/// Two attempts whose answers were read by nobody in time.
pub(super) async fn observations_are_applied_one_after_the_other(home: Arc<dyn Home>) {
    let store = home.open().await;
    let stored = sent(&*store, 1).await;
    let twice = next(&stored, |operation| operation.attempts.push(attempt(1, 2)));
    assert_eq!(store.commit(twice).await.unwrap(), Committed::Done);
    store.observe(id(1), observation(1, "77"), aged(5)).await.unwrap();
    let read_before = store.get(id(1)).await.unwrap().unwrap();
    let second = Observation { nonce: attempt(1, 2).nonce, ..observation(1, "78") };
    store.observe(id(1), second, aged(5)).await.unwrap();
    let applies = |operation: &mut Operation, index: usize| {
        operation.attempts[index].observed = Observed::Accepted;
        operation.attempts[index].unapplied = None;
    };
    // Read before the second came.
    let one = next(&read_before, |operation| applies(operation, 0));
    assert_eq!(store.commit(one).await.unwrap(), Committed::Stale);
    let read = store.get(id(1)).await.unwrap().unwrap();
    let none = next(&read, |operation| operation.wake_time = None);
    assert_eq!(store.commit(none).await.unwrap(), Committed::Stale);
    for index in [0, 1] {
        let read = store.get(id(1)).await.unwrap().unwrap();
        assert!(read.attempts[index].unapplied.is_some());
        let one = next(&read, |operation| applies(operation, index));
        assert_eq!(store.commit(one).await.unwrap(), Committed::Done);
    }
    assert!(!store.get(id(1)).await.unwrap().unwrap().has_unapplied());
}

pub(super) async fn first_observation_stays(home: Arc<dyn Home>) {
    let store = home.open().await;
    sent(&*store, 1).await;
    for upstream_id in ["77", "78"] {
        store.observe(id(1), observation(1, upstream_id), aged(0)).await.unwrap();
        assert_eq!(unapplied(&*store, 1).await, Some(observation(1, "77")));
    }
}

pub(super) async fn records_are_put_with_the_operation_or_not_at_all(home: Arc<dyn Home>) {
    let store = home.open().await;
    let record = |n: u128, version: u64| ServiceRecord {
        provider: "acme".to_owned(),
        upstream_id: "9".to_owned(),
        operation: id(n),
        service: Service { quantity: i32::try_from(n).unwrap(), ..Service::default() },
        version,
        gone_since: Some(aged(3)),
    };
    let stored = async || store.service("acme", "9").await.unwrap();
    let first = NewOperation { services: vec![record(1, 0)], ..new(operation(1)) };
    assert_eq!(store.accept(first).await.unwrap(), Accepted::Stored);
    assert_eq!(stored().await, Some(record(1, 1)));

    let blind = NewOperation { services: vec![record(2, 0)], ..new(operation(2)) };
    assert_eq!(store.accept(blind).await.unwrap(), Accepted::Outdated);
    assert_eq!(store.get(id(2)).await.unwrap(), None);
    let blind = Change { services: vec![record(2, 0)], ..next(&operation(1), |_| {}) };
    assert_eq!(store.commit(blind).await.unwrap(), Committed::Outdated);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(operation(1)));
    assert_eq!(stored().await, Some(record(1, 1)));

    let told = Change { services: vec![record(2, 1)], ..next(&operation(1), |_| {}) };
    assert_eq!(store.commit(told).await.unwrap(), Committed::Done);
    assert_eq!(stored().await, Some(record(2, 2)));
}
