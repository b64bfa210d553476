//! Changes: every commit is one, in commit order, and a watcher misses none.

use std::future::ready;
use std::sync::Arc;

use purveyor::store::{Change, Committed, PAGE_MAX, Positions};
use tokio::task::JoinSet;

use super::super::samples::{claims, id, new, next, operation};
use super::Home;

pub(super) async fn numbers_changes_in_commit_order(home: Arc<dyn Home>) {
    let store = home.open().await;
    assert_eq!(store.positions().await.unwrap(), Positions { oldest: 0, last: 0 });
    assert_eq!(store.changes(0, 10).await.unwrap(), []);
    for n in 1..=3 {
        store.accept(new(operation(n))).await.unwrap();
    }
    let change = next(&operation(2), |operation| "changed".clone_into(&mut operation.message));
    store.commit(Change { claims: claims(["1"]), ..change.clone() }).await.unwrap();
    // What changed nothing is no change.
    store.accept(new(operation(1))).await.unwrap();
    assert_eq!(store.commit(change.clone()).await.unwrap(), Committed::Stale);
    let theirs = Change { claims: claims(["1"]), ..next(&operation(3), |_| {}) };
    assert!(matches!(store.commit(theirs).await.unwrap(), Committed::Claimed { .. }));

    home.settled().await;
    let changes = store.changes(0, 10).await.unwrap();
    let shown: Vec<_> =
        changes.iter().map(|shown| (shown.position, shown.operation.clone())).collect();
    let changed = change.operation;
    let expected =
        [(1, operation(1)), (2, changed.clone()), (3, operation(3)), (4, changed.clone())];
    assert_eq!(shown, expected, "each operation as it is now");
    assert_eq!(store.positions().await.unwrap(), Positions { oldest: 1, last: 4 });
}

pub(super) async fn pages_through_changes(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=4 {
        store.accept(new(operation(n))).await.unwrap();
    }
    home.settled().await;
    let check = async |position: u64, limit: usize, expected: &[u64]| {
        let changes = store.changes(position, limit).await.unwrap();
        let positions: Vec<_> = changes.iter().map(|change| change.position).collect();
        assert_eq!(positions, expected, "after {position}");
    };
    check(0, 2, &[1, 2]).await;
    check(2, 10, &[3, 4]).await;
    check(2, 0, &[]).await;
    check(4, 10, &[]).await;
    check(u64::MAX, 10, &[]).await;
}

pub(super) async fn misses_nothing_while_others_write(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut writers = JoinSet::new();
    for writer in 0..8_u128 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for n in 1..=15 {
                let accepted = operation(writer * 100 + n);
                store.accept(new(accepted.clone())).await.unwrap();
                store.commit(next(&accepted, |_| {})).await.unwrap();
            }
        });
    }
    // Were a change missed, this would wait for it for ever.
    let watcher = async {
        let mut seen = Vec::new();
        while seen.len() < 240 {
            let last = seen.last().map_or(0, |(position, _)| *position);
            store.changed(last).await;
            let changes = store.changes(last, PAGE_MAX).await.unwrap();
            assert!(!changes.is_empty(), "woken after {last} for nothing");
            seen.extend(
                changes.into_iter().map(|change| (change.position, change.operation.request_id)),
            );
        }
        seen
    };
    let seen = watcher.await;
    writers.join_all().await;
    assert!(seen.is_sorted_by(|left, right| left.0 < right.0), "not in order");
    for writer in 0..8_u128 {
        for n in 1..=15 {
            let request_id = id(writer * 100 + n);
            assert_eq!(seen.iter().filter(|(_, changed)| *changed == request_id).count(), 2);
        }
    }
    assert_eq!(store.positions().await.unwrap().last, seen[239].0);
}

pub(super) async fn wakes_when_something_changes(home: Arc<dyn Home>) {
    let store = home.open().await;
    store.accept(new(operation(1))).await.unwrap();
    // At once for what has happened already, and not before for what has not.
    store.changed(0).await;
    tokio::select! {
        biased;
        () = store.changed(1) => panic!("woken without a change"),
        () = ready(()) => {}
    }
    let mut watchers = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        watchers.spawn(async move { store.changed(1).await });
    }
    store.accept(new(operation(2))).await.unwrap();
    watchers.join_all().await;
}
