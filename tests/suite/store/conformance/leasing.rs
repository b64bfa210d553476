//! Due operations: who is given which, when, and for how long.

use std::collections::BTreeSet;
use std::sync::Arc;

use purveyor::store::operation::Operation;
use purveyor::store::{Lease, NewOperation, Store, Take, Wakes};
use purveyor_sdk::v1::operation::State;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::super::samples::{aged, id, new, next, operation};
use super::Home;

/// Two replicas.
const LEFT: Uuid = Uuid::from_u128(1001);
const RIGHT: Uuid = Uuid::from_u128(1002);

/// What is taken when nothing is due.
const NOTHING: [Uuid; 0] = [];

pub(super) async fn takes_what_is_due_in_order(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, wake) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20)), (5, Some(11))] {
        accept(&*store, n, wake).await;
    }
    assert_eq!(take(&*store, LEFT, 9, 60, 10).await, NOTHING);
    assert_eq!(take(&*store, LEFT, 20, 60, 0).await, NOTHING);
    assert_eq!(take(&*store, LEFT, 20, 60, 2).await, [id(2), id(5)]);
    assert_eq!(take(&*store, LEFT, 20, 60, 10).await, [id(4)]);
    assert_eq!(take(&*store, LEFT, 30, 60, 10).await, [id(1)]);
}

pub(super) async fn gives_nothing_twice_until_the_lease_ends(home: Arc<dyn Home>) {
    let store = home.open().await;
    let stored = accept(&*store, 1, Some(10)).await;
    assert_eq!(take(&*store, LEFT, 10, 60, 10).await, [id(1)]);
    for replica in [LEFT, RIGHT] {
        assert_eq!(take(&*store, replica, 59, 100, 10).await, NOTHING);
    }
    // A commit of the operation leaves the lease as it is: its holder goes on working.
    let change = next(&stored, |operation| operation.wake_time = Some(aged(5)));
    store.commit(change.clone()).await.unwrap();
    assert_eq!(take(&*store, RIGHT, 59, 100, 10).await, NOTHING);
    assert_eq!(take(&*store, RIGHT, 60, 100, 10).await, [id(1)]);
    // What is done is not given out any more, lease or not.
    let done = next(&change.operation, |operation| {
        operation.state = State::Succeeded;
        operation.wake_time = None;
    });
    store.commit(done).await.unwrap();
    assert_eq!(take(&*store, LEFT, 1000, 2000, 10).await, NOTHING);
    assert_eq!(store.wakes().await.unwrap().first(), None);
}

pub(super) async fn gives_back_only_ones_own(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=2 {
        accept(&*store, n, Some(10)).await;
    }
    assert_eq!(take(&*store, LEFT, 10, 60, 1).await, [id(1)]);
    assert_eq!(take(&*store, RIGHT, 10, 60, 1).await, [id(2)]);
    store.release(LEFT, &[id(1), id(2), id(3)]).await.unwrap();
    assert_eq!(take(&*store, LEFT, 10, 60, 10).await, [id(1)]);
    store.release(RIGHT, &[id(2)]).await.unwrap();
    assert_eq!(take(&*store, LEFT, 10, 60, 10).await, [id(2)]);
}

pub(super) async fn tells_the_next_time(home: Arc<dyn Home>) {
    let store = home.open().await;
    assert_eq!(store.wakes().await.unwrap().first(), None);
    accept(&*store, 1, None).await;
    assert_eq!(store.wakes().await.unwrap().first(), None);
    accept(&*store, 2, Some(20)).await;
    accept(&*store, 3, Some(10)).await;
    assert_eq!(store.wakes().await.unwrap().first(), Some(aged(10)));
}

pub(super) async fn counts_a_lease_into_the_next_time(home: Arc<dyn Home>) {
    let store = home.open().await;
    accept(&*store, 2, Some(20)).await;
    accept(&*store, 3, Some(10)).await;
    assert_eq!(take(&*store, LEFT, 10, 15, 10).await, [id(3)]);
    // A lease that ends before anything else wakes is when somebody has to look.
    assert_eq!(store.wakes().await.unwrap().first(), Some(aged(15)));
    assert_eq!(take(&*store, LEFT, 15, 60, 10).await, [id(3)]);
    assert_eq!(store.wakes().await.unwrap().first(), Some(aged(20)));
    store.release(LEFT, &[id(3)]).await.unwrap();
    assert_eq!(store.wakes().await.unwrap().first(), Some(aged(10)));
}

pub(super) async fn leases_at_acceptance(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut due = operation(1);
    due.wake_time = Some(aged(0));
    let lease = Some(Lease { replica: LEFT, until: aged(60) });
    store.accept(NewOperation { lease, ..new(due) }).await.unwrap();
    assert_eq!(take(&*store, RIGHT, 59, 100, 10).await, NOTHING);
    store.release(LEFT, &[id(1)]).await.unwrap();
    assert_eq!(take(&*store, RIGHT, 0, 100, 10).await, [id(1)]);
}

pub(super) async fn renews_only_ones_own(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=2 {
        accept(&*store, n, Some(10)).await;
    }
    assert_eq!(take(&*store, LEFT, 10, 60, 1).await, [id(1)]);
    assert_eq!(take(&*store, RIGHT, 10, 60, 1).await, [id(2)]);
    let renewed = Lease { replica: LEFT, until: aged(90) };
    store.renew(&renewed, &[id(1), id(2), id(3)]).await.unwrap();
    assert_eq!(take(&*store, RIGHT, 60, 100, 10).await, [id(2)]);
    assert_eq!(take(&*store, RIGHT, 89, 100, 10).await, NOTHING);
    assert_eq!(take(&*store, RIGHT, 90, 100, 10).await, [id(1)]);
    // Who lost it cannot have it back by renewing.
    store.renew(&Lease { replica: LEFT, until: aged(500) }, &[id(1)]).await.unwrap();
    assert_eq!(take(&*store, LEFT, 100, 200, 10).await, [id(1), id(2)]);
}

pub(super) async fn takes_what_waits_by_its_provider(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, provider, wake) in [(1, "acme", Some(30)), (2, "acme", Some(10)), (4, "acme", None)] {
        wait(&*store, n, provider, wake).await;
    }
    wait(&*store, 3, "other", Some(20)).await;
    accept(&*store, 5, Some(40)).await;
    wakes(&*store, Some(40), &[("acme", 10), ("other", 20)]).await;
    // However long they wait, they are not in the way of anything else.
    assert_eq!(take(&*store, LEFT, 50, 90, 1).await, [id(5)]);
    let check = async |provider: &str, now: i64, limit: usize, expected: &[u128]| {
        let take = Take { now: aged(now), lease: Lease { replica: LEFT, until: aged(90) }, limit };
        let taken = store.take_waiting(provider, &take).await.unwrap();
        let taken: Vec<_> = taken.into_iter().map(|operation| operation.request_id).collect();
        assert_eq!(taken, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{provider} {now}");
    };
    check("acme", 9, 10, &[]).await;
    check("nobody", 50, 10, &[]).await;
    check("acme", 50, 1, &[2]).await;
    check("acme", 50, 10, &[1]).await;
    check("acme", 50, 10, &[]).await;
    wakes(&*store, Some(90), &[("acme", 90), ("other", 20)]).await;
    store.release(LEFT, &[id(1)]).await.unwrap();
    check("acme", 50, 10, &[1]).await;
}

/// Stores an operation that waits for its upstream.
async fn wait(store: &dyn Store, n: u128, provider: &str, wake: Option<i64>) {
    let accepted = Operation { provider: provider.to_owned(), ..operation(n) };
    store.accept(new(accepted.clone())).await.unwrap();
    let waiting = next(&accepted, |operation| {
        operation.state = State::WaitingUpstream;
        operation.wake_time = wake.map(aged);
    });
    store.commit(waiting).await.unwrap();
}

/// When there is something to take next.
async fn wakes(store: &dyn Store, due: Option<i64>, waiting: &[(&str, i64)]) {
    let waiting = waiting.iter().map(|(provider, due)| ((*provider).to_owned(), aged(*due)));
    let expected = Wakes { due: due.map(aged), waiting: waiting.collect() };
    assert_eq!(store.wakes().await.unwrap(), expected);
}

pub(super) async fn splits_due_work_among_many(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=40 {
        accept(&*store, n, Some(10)).await;
    }
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { take(&*store, id(2000 + n), 10, 60, 7).await });
    }
    let taken: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 40);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 40, "one was given twice");
}

async fn accept(store: &dyn Store, n: u128, wake: Option<i64>) -> Operation {
    let mut accepted = operation(n);
    accepted.wake_time = wake.map(aged);
    store.accept(new(accepted.clone())).await.unwrap();
    accepted
}

async fn take(store: &dyn Store, replica: Uuid, now: i64, until: i64, limit: usize) -> Vec<Uuid> {
    let take = Take { now: aged(now), lease: Lease { replica, until: aged(until) }, limit };
    let taken = store.take_due(&take).await.unwrap();
    taken.into_iter().map(|operation| operation.request_id).collect()
}
