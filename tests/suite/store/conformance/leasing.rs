//! Due operations: who is given which, when, and for how long.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use purveyor::store::operation::Operation;
use purveyor::store::{DueQueue, Lease, NewOperation, PAGE_MAX, Share, Store, Take, Wakes};
use purveyor_sdk::v1::operation::State;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::super::samples::{STATES, aged, at, id, new, next, operation};
use super::Home;

/// Two replicas.
const LEFT: Uuid = Uuid::from_u128(1001);
const RIGHT: Uuid = Uuid::from_u128(1002);

/// The account of all samples.
const ACCOUNT: &str = "acme https://acme.example:443 account";

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

pub(super) async fn takes_what_waits_by_its_queue(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, provider, wake) in [(1, "acme", Some(30)), (2, "acme", Some(10)), (4, "acme", None)] {
        wait(&*store, n, provider, wake).await;
    }
    wait(&*store, 3, "other", Some(20)).await;
    accept(&*store, 5, Some(40)).await;
    wakes(&*store, &[("acme", 40)], &[("acme", 10), ("other", 20)]).await;
    // However long they wait, they are not in the way of anything else.
    assert_eq!(take(&*store, LEFT, 50, 90, 1).await, [id(5)]);
    let check = async |provider: &str, now: i64, limit: usize, expected: &[u128]| {
        let shares = vec![Share { queue: queue(ACCOUNT, provider), limit }];
        let lease = Lease { replica: LEFT, until: aged(90) };
        let taken = store.take_waiting(&Take { now: aged(now), lease, shares }).await.unwrap();
        assert_eq!(
            ids(&taken),
            expected.iter().map(|n| id(*n)).collect::<Vec<_>>(),
            "{provider} {now}"
        );
    };
    check("acme", 9, 10, &[]).await;
    check("nobody", 50, 10, &[]).await;
    check("acme", 50, 1, &[2]).await;
    check("acme", 50, 10, &[1]).await;
    check("acme", 50, 10, &[]).await;
    wakes(&*store, &[("acme", 90)], &[("acme", 90), ("other", 20)]).await;
    store.release(LEFT, &[id(1)]).await.unwrap();
    check("acme", 50, 10, &[1]).await;
}

/// Three hundred operations of a busy account that are due, and after them one of each of others.
async fn busy_and_quiet(store: &dyn Store) {
    for n in 1..=300 {
        of_account(store, n, "busy", "acme", 10).await;
    }
    let quiet = [("quiet", "acme"), ("quiet", "zeta"), ("", "acme"), ("with\0nul", "acme")];
    for (n, (account, provider)) in (301..).zip(quiet) {
        of_account(store, n, account, provider, 20).await;
    }
}

/// However much of one account is due, and however long, it hides nothing of another account.
pub(super) async fn shows_what_is_due_of_each_account(home: Arc<dyn Home>) {
    let store = home.open().await;
    busy_and_quiet(&*store).await;
    let expected = [
        (queue("", "acme"), aged(20)),
        (queue("busy", "acme"), aged(10)),
        (queue("quiet", "acme"), aged(20)),
        (queue("quiet", "zeta"), aged(20)),
        (queue("with\0nul", "acme"), aged(20)),
    ];
    let wakes = store.wakes().await.unwrap();
    assert_eq!(wakes.due, expected);
    assert_eq!((wakes.first(), wakes.first_after(aged(10))), (Some(aged(10)), Some(aged(20))));
    assert_eq!(wakes.first_after(aged(20)), None);
}

pub(super) async fn takes_shares_in_their_order(home: Arc<dyn Home>) {
    let store = home.open().await;
    busy_and_quiet(&*store).await;
    let take = async |now: i64, shares: &[(&str, &str, usize)]| {
        let share = |&(account, provider, limit)| Share { queue: queue(account, provider), limit };
        let shares = shares.iter().map(share).collect();
        let lease = Lease { replica: LEFT, until: aged(90) };
        ids(&store.take_due(&Take { now: aged(now), lease, shares }).await.unwrap())
    };
    let both = [("quiet", "acme", 5), ("busy", "acme", 2)];
    assert_eq!(take(15, &both).await, [id(1), id(2)]);
    assert_eq!(take(20, &both).await, [id(301), id(3), id(4)]);
    assert_eq!(take(20, &[]).await, NOTHING);
    let rest = [("with\0nul", "acme", 1), ("", "acme", 1), ("quiet", "zeta", 1), ("", "zeta", 1)];
    assert_eq!(take(20, &rest).await, [id(304), id(303), id(302)]);
    assert_eq!(take(20, &[("busy", "acme", 1000)]).await.len(), PAGE_MAX);
}

/// Stores an operation in a state that nothing may be started of after `start_before`.
async fn startable(store: &dyn Store, n: u128, start_before: Timestamp, state: State) {
    let accepted = Operation { start_before, ..operation(n) };
    // Somebody works on it, which makes no difference.
    let lease = n.is_multiple_of(2).then(|| Lease { replica: LEFT, until: aged(1000) });
    store.accept(NewOperation { lease, ..new(accepted.clone()) }).await.unwrap();
    if state != State::Accepted {
        let change = next(&accepted, |operation| {
            operation.state = state;
            operation.wake_time = None;
        });
        store.commit(change).await.unwrap();
    }
}

pub(super) async fn shows_what_was_not_started_in_time(home: Arc<dyn Home>) {
    let store = home.open().await;
    let part = |millis: i64| at(10) + SignedDuration::from_millis(millis);
    let times = [part(500), part(0), part(1), at(11)];
    for (n, start_before) in (1..).zip(times) {
        startable(&*store, n, start_before, State::Accepted).await;
    }
    startable(&*store, 5, at(9), State::Running).await;
    for (n, year) in [(6, "-000042-01-01T00:00:00Z"), (7, "9999-12-30T00:00:00Z")] {
        startable(&*store, n, year.parse().unwrap(), State::Accepted).await;
    }
    let others = STATES.into_iter().filter(|it| !matches!(it, State::Accepted | State::Running));
    for (n, state) in (8..).zip(others) {
        startable(&*store, n, at(1), state).await;
    }
    let check = async |before: Timestamp, expected: &[u128]| {
        let mut found = ids(&store.unstarted(before, None).await.unwrap());
        found.sort_unstable();
        assert_eq!(found, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{before}");
    };
    check(at(9), &[6]).await;
    check(at(10), &[5, 6]).await;
    check(part(1), &[2, 5, 6]).await;
    check(part(500), &[2, 3, 5, 6]).await;
    check(part(501), &[1, 2, 3, 5, 6]).await;
    check(at(12), &[1, 2, 3, 4, 5, 6]).await;
}

pub(super) async fn pages_through_what_was_not_started(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=6 {
        let start_before = at(10) + SignedDuration::from_millis(250 * (n as i64 / 2));
        startable(&*store, n, start_before, State::Accepted).await;
    }
    let all = store.unstarted(at(12), None).await.unwrap();
    assert_eq!(all.len(), 6);
    for (number, last) in all.iter().enumerate() {
        let after = Some((last.start_before, last.request_id));
        let rest = store.unstarted(at(12), after).await.unwrap();
        assert_eq!(rest, all[number + 1..]);
    }
}

fn queue(account_key: &str, provider: &str) -> DueQueue {
    DueQueue { account_key: account_key.to_owned(), provider: provider.to_owned() }
}

fn ids(operations: &[Operation]) -> Vec<Uuid> {
    operations.iter().map(|operation| operation.request_id).collect()
}

/// Stores an operation of an account that is due then.
async fn of_account(store: &dyn Store, n: u128, account_key: &str, provider: &str, wake: i64) {
    let accepted = Operation {
        account_key: account_key.to_owned(),
        provider: provider.to_owned(),
        wake_time: Some(aged(wake)),
        ..operation(n)
    };
    store.accept(new(accepted)).await.unwrap();
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
async fn wakes(store: &dyn Store, due: &[(&str, i64)], waiting: &[(&str, i64)]) {
    let queues = |queues: &[(&str, i64)]| {
        queues.iter().map(|(provider, due)| (queue(ACCOUNT, provider), aged(*due))).collect()
    };
    let expected = Wakes { due: queues(due), waiting: queues(waiting) };
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
    let shares = vec![Share { queue: queue(ACCOUNT, "acme"), limit }];
    let lease = Lease { replica, until: aged(until) };
    ids(&store.take_due(&Take { now: aged(now), lease, shares }).await.unwrap())
}
