//! Pruning: what ended before a time goes, whole, and nothing else; what belongs to it for ever stays.

use std::sync::Arc;

use futures_util::future::join_all;
use purveyor::store::operation::Origin;
use purveyor::store::{
    Accepted, Change, Committed, EndedBefore, PAGE_MAX, Positions, Pruned, Store,
};
use purveyor_sdk::v1::operation::State;

use super::super::samples::{
    STATES, aged, at, attempt, claim, claims, id, lock, new, next, operation,
};
use super::Home;

/// Stores an operation that came to a state at a time, with an attempt and a claim.
async fn came_to(store: &dyn Store, n: u128, state: State, time: i64) {
    store.accept(new(operation(n))).await.unwrap();
    let mut change = next(&operation(n), |operation| {
        operation.state = state;
        operation.update_time = at(time);
        operation.update_age = aged(time);
        operation.attempts = vec![attempt(n, 1)];
    });
    change.claims = claims([&n.to_string()]);
    assert_eq!(store.commit(change).await.unwrap(), Committed::Done);
}

/// What ended before a time by both clocks.
fn before(time: i64) -> EndedBefore {
    EndedBefore { age: aged(time), wall: at(time) }
}

/// Which of the first so many are still there.
async fn left(store: &dyn Store, count: u128) -> Vec<u128> {
    let mut left = Vec::new();
    for n in 1..=count {
        if store.get(id(n)).await.unwrap().is_some() {
            left.push(n);
        }
    }
    left
}

pub(super) async fn removes_only_what_ended_before(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, state) in (1..).zip(STATES) {
        came_to(&*store, n, state, 10).await;
    }
    came_to(&*store, 10, State::Succeeded, 20).await;
    // The one of the last change.
    came_to(&*store, 11, State::Accepted, 30).await;
    assert_eq!(store.prune(before(10), 10).await.unwrap(), 0, "the time itself is not before it");
    assert_eq!(store.prune(before(20), 10).await.unwrap(), 3);
    assert_eq!(left(&*store, 11).await, [1, 2, 3, 4, 5, 6, 10, 11]);
    assert_eq!(store.prune(before(20), 10).await.unwrap(), 0);
    assert_eq!(store.prune(before(21), 10).await.unwrap(), 1);
    drop(store);
    assert_eq!(left(&*home.open().await, 11).await, [1, 2, 3, 4, 5, 6, 11]);
}

pub(super) async fn removes_nothing_that_only_one_clock_calls_old(home: Arc<dyn Home>) {
    let store = home.open().await;
    came_to(&*store, 1, State::Succeeded, 10).await;
    store.accept(new(operation(2))).await.unwrap();
    let check = async |age: i64, wall: i64, pruned: usize| {
        let ended = EndedBefore { age: aged(age), wall: at(wall) };
        assert_eq!(store.prune(ended, 10).await.unwrap(), pruned, "age {age} wall {wall}");
    };
    check(10, 1_000_000, 0).await;
    check(1_000_000, 10, 0).await;
    check(11, 11, 1).await;
}

pub(super) async fn keeps_the_id_of_what_was_removed_for_good(home: Arc<dyn Home>) {
    let store = home.open().await;
    came_to(&*store, 1, State::Succeeded, 10).await;
    store.accept(new(operation(2))).await.unwrap();
    assert_eq!(store.prune(before(99), 10).await.unwrap(), 1);
    let (fingerprint, end_time) = (operation(1).fingerprint, at(10));
    let pruned = Accepted::Pruned(Pruned { fingerprint, state: State::Succeeded, end_time });
    assert_eq!(store.accept(new(operation(1))).await.unwrap(), pruned);
    assert_eq!(store.get(id(1)).await.unwrap(), None, "nothing was stored");
    drop(store);
    assert_eq!(home.open().await.accept(new(operation(1))).await.unwrap(), pruned);
}

pub(super) async fn removes_the_oldest_within_its_bounds(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, time) in [(1, 30), (2, 10), (3, 20)] {
        came_to(&*store, n, State::Failed, time).await;
    }
    let count = u128::try_from(PAGE_MAX).unwrap() + 5;
    let many: Vec<u128> = (4..=count).collect();
    for some in many.chunks(8) {
        join_all(some.iter().map(|n| came_to(&*store, *n, State::Cancelled, 40))).await;
    }
    store.accept(new(operation(1000))).await.unwrap();
    let check = async |limit: usize, pruned: usize, expected: &[u128]| {
        assert_eq!(store.prune(before(99), limit).await.unwrap(), pruned);
        assert_eq!(left(&*store, 3).await, expected);
    };
    check(0, 0, &[1, 2, 3]).await;
    check(1, 1, &[1, 3]).await;
    check(1, 1, &[1]).await;
    check(usize::MAX, PAGE_MAX, &[]).await;
    check(usize::MAX, 3, &[]).await;
}

pub(super) async fn keeps_claims(home: Arc<dyn Home>) {
    let store = home.open().await;
    came_to(&*store, 1, State::Succeeded, 10).await;
    store.accept(new(operation(2))).await.unwrap();
    assert_eq!(store.prune(before(99), 10).await.unwrap(), 1);
    assert_eq!(store.claimant(&claim("1")).await.unwrap(), Some(id(1)));
    assert_eq!(store.claimed_ids("account", id(2), aged(0), aged(0)).await.unwrap(), ["1"]);
    let theirs = Change { claims: claims(["1"]), ..next(&operation(2), |_| {}) };
    let claimed = Committed::Claimed { claim: claim("1"), by: id(1), open: Some(Origin::Answer) };
    assert_eq!(store.commit(theirs).await.unwrap(), claimed);
}

pub(super) async fn keeps_what_holds_a_lock_and_the_last_change(home: Arc<dyn Home>) {
    let store = home.open().await;
    came_to(&*store, 1, State::Succeeded, 10).await;
    store.accept(new(operation(2))).await.unwrap();
    let held = next(&operation(2), |operation| operation.state = State::Failed);
    let held = Change { locks: vec![lock("held")], ..held };
    assert_eq!(store.commit(held).await.unwrap(), Committed::Done);
    came_to(&*store, 3, State::Succeeded, 10).await;
    assert_eq!(store.prune(before(99), 10).await.unwrap(), 1);
    assert_eq!(left(&*store, 3).await, [2, 3], "one holds a lock and one made the last change");

    // Positions go on; what was removed is not shown any more.
    home.settled().await;
    let shown = store.changes(0, 10).await.unwrap();
    let shown: Vec<_> =
        shown.iter().map(|change| (change.position, change.operation.request_id)).collect();
    assert_eq!(shown, [(3, id(2)), (4, id(2)), (5, id(3)), (6, id(3))]);
    assert_eq!(store.positions().await.unwrap(), Positions { oldest: 1, last: 6 });
}
