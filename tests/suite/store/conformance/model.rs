//! Any sequence of calls, against a model in memory that is too small to be wrong: the same answers
//! after every call, and the same content at the end.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Just, Strategy, any};
use proptest::{option, prop_oneof};
use purveyor::store::age::Age;
use purveyor::store::operation::{Claim, Lock, NewClaim, Operation, Origin};
use purveyor::store::{
    Accepted, Change, Committed, DueQueue, Lease, NewOperation, PAGE_MAX, Query, Share, Store,
    Take, Wakes,
};
use purveyor_sdk::v1::operation::State;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::super::samples::{STATES, aged, claim, id, lock, new, next, operation};
use super::{Home, runner};

/// How many sequences are tried, and how long each is.
const CASES: u32 = 60;
const CALLS: usize = 24;

/// One call, in a world so small that calls meet.
#[derive(Clone, Debug)]
enum Call {
    Accept {
        n: u128,
        wake: Option<i64>,
        locks: Vec<Lock>,
        lease: Option<Lease>,
    },
    Commit {
        n: u128,
        ahead: u64,
        state: State,
        wake: Option<i64>,
        locks: Vec<Lock>,
        claims: Vec<Claim>,
    },
    TakeDue(Take),
    TakeWaiting(Take),
    Release {
        replica: Uuid,
        n: u128,
    },
}

pub(super) async fn behaves_like_the_model(home: Arc<dyn Home>) {
    let store = home.open().await;
    let handle = Handle::current();
    // One world a case, side by side in one store: each has identifiers and keys of its own.
    let check = move || {
        let (world, last) = (Cell::new(0), Cell::new(0));
        runner(CASES).run(&vec(call(), CALLS), |calls| {
            world.set(world.get() + 1);
            let compared = compare(&*home, &*store, world.get(), last.get(), calls);
            last.set(handle.block_on(compared));
            Ok(())
        })
    };
    tokio::task::spawn_blocking(check).await.unwrap().unwrap();
}

fn call() -> impl Strategy<Value = Call> {
    let n = || 1..6_u128;
    let wake = || option::of(0..20_i64);
    let locks =
        || btree_set("[abc]", 0..3).prop_map(|keys| keys.iter().map(|key| lock(key)).collect());
    let claims = btree_set("[xyz]", 0..3).prop_map(|ids| ids.iter().map(|id| claim(id)).collect());
    let ahead = prop_oneof![1 => Just(0), 6 => Just(1), 1 => Just(2)];
    let state = (0..STATES.len()).prop_map(|state| STATES[state]);
    // The world's provider is filled in later.
    let share = |account: usize, limit| {
        let queue = DueQueue { account_key: account_of(account as u128), provider: String::new() };
        Share { queue, limit }
    };
    let take = || {
        (0..30_i64, lease(), 0..4_usize, 0..4_usize, any::<bool>()).prop_map(
            move |(now, lease, first, second, turned)| {
                let mut shares = vec![share(0, first), share(1, second)];
                if turned {
                    shares.reverse();
                }
                Take { now: aged(now), lease, shares }
            },
        )
    };
    prop_oneof![
        2 => (n(), wake(), locks(), option::of(lease()))
            .prop_map(|(n, wake, locks, lease)| Call::Accept { n, wake, locks, lease }),
        6 => (n(), ahead, state, wake(), locks(), claims).prop_map(
            |(n, ahead, state, wake, locks, claims)| {
                Call::Commit { n, ahead, state, wake, locks, claims }
            }
        ),
        2 => take().prop_map(Call::TakeDue),
        2 => take().prop_map(Call::TakeWaiting),
        1 => (any::<bool>(), n()).prop_map(|(left, n)| Call::Release { replica: replica(left), n }),
    ]
}

fn lease() -> impl Strategy<Value = Lease> {
    (any::<bool>(), 0..40_i64)
        .prop_map(|(left, until)| Lease { replica: replica(left), until: aged(until) })
}

/// There are two accounts.
fn account_of(n: u128) -> String {
    ["", "acme"][usize::from(n % 2 == 1)].to_owned()
}

fn replica(left: bool) -> Uuid {
    id(if left { 1001 } else { 1002 })
}

/// What a store does, as maps.
#[derive(Default)]
struct Model {
    operations: BTreeMap<Uuid, (Operation, Option<Lease>)>,
    locks: BTreeMap<Lock, Uuid>,
    claims: BTreeMap<Claim, Uuid>,
    changes: Vec<Uuid>,
}

impl Model {
    fn accept(&mut self, new: NewOperation) -> Accepted {
        let request_id = new.operation.request_id;
        if let Some((stored, _)) = self.operations.get(&request_id) {
            return Accepted::Exists(Box::new(stored.clone()));
        }
        if let Some((lock, by)) = self.held(&new.locks, request_id) {
            return Accepted::Held { lock, by };
        }
        self.locks.extend(new.locks.into_iter().map(|lock| (lock, request_id)));
        self.operations.insert(request_id, (new.operation, new.lease));
        self.changes.push(request_id);
        Accepted::Stored
    }

    fn commit(&mut self, change: Change) -> Committed {
        let request_id = change.operation.request_id;
        let stored = self.operations.get(&request_id).map(|(stored, _)| stored);
        let open = |it: &Operation| !it.done() || it.state == change.operation.state;
        if !stored.is_some_and(|it| open(it) && it.version + 1 == change.operation.version) {
            return Committed::Stale;
        }
        if let Some((lock, by)) = self.held(&change.locks, request_id) {
            return Committed::Held { lock, by };
        }
        let others =
            |new: &&NewClaim| self.claims.get(&new.claim).is_some_and(|by| *by != request_id);
        if let Some(NewClaim { claim, .. }) = change.claims.iter().find(others) {
            let (claim, by) = (claim.clone(), self.claims[claim]);
            return Committed::Claimed { claim, by, open: Some(Origin::Answer) };
        }
        self.locks.retain(|_, by| *by != request_id);
        self.locks.extend(change.locks.into_iter().map(|lock| (lock, request_id)));
        self.claims.extend(change.claims.into_iter().map(|new| (new.claim, request_id)));
        let lease = self.operations[&request_id].1;
        self.operations.insert(request_id, (change.operation, lease));
        self.changes.push(request_id);
        Committed::Done
    }

    fn held(&self, locks: &[Lock], request_id: Uuid) -> Option<(Lock, Uuid)> {
        let holders = locks.iter().filter_map(|lock| Some((lock.clone(), *self.locks.get(lock)?)));
        holders.into_iter().find(|(_, by)| *by != request_id)
    }

    fn take(&mut self, take: &Take, waiting: bool) -> Vec<Operation> {
        let mut operations = Vec::new();
        for Share { queue, limit } in &take.shares {
            let due = self.due(queue, waiting).into_iter().filter(|(due, _)| *due <= take.now);
            let taken: Vec<_> = due.take(*limit).map(|(_, request_id)| request_id).collect();
            for request_id in taken {
                if let Some((operation, lease)) = self.operations.get_mut(&request_id) {
                    *lease = Some(take.lease);
                    operations.push(operation.clone());
                }
            }
        }
        operations
    }

    /// When each operation of a queue may be given out that waits for its upstream, or does not; soonest
    /// first.
    fn due(&self, queue: &DueQueue, waiting: bool) -> Vec<(Age, Uuid)> {
        let due = self.operations.iter().filter_map(|(request_id, (operation, lease))| {
            let waits = operation.state == State::WaitingUpstream;
            if waits != waiting || DueQueue::of(operation) != *queue {
                return None;
            }
            let wake = operation.wake_time?;
            Some((lease.map_or(wake, |lease| lease.until.max(wake)), *request_id))
        });
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        due
    }

    /// When the first of each queue is due.
    fn wakes(&self, waiting: bool) -> Vec<(DueQueue, Age)> {
        let queues: BTreeSet<DueQueue> =
            self.operations.values().map(|(operation, _)| DueQueue::of(operation)).collect();
        let first = |queue: DueQueue| Some((self.due(&queue, waiting).first()?.0, queue));
        queues.into_iter().filter_map(first).map(|(due, queue)| (queue, due)).collect()
    }

    fn release(&mut self, replica: Uuid, request_id: Uuid) {
        if let Some((_, lease)) = self.operations.get_mut(&request_id) {
            lease.take_if(|lease| lease.replica == replica);
        }
    }
}

/// Runs the calls in both, in the `world`th part of the store, after a position of the earlier ones; the
/// last position then.
async fn compare(
    home: &dyn Home,
    store: &dyn Store,
    world: u32,
    before: u64,
    calls: Vec<Call>,
) -> u64 {
    end_earlier_worlds(store).await;
    let mut model = Model::default();
    for call in calls {
        match in_world(world, call) {
            Call::Accept { n, wake, locks, lease } => {
                let mut accepted = operation(n);
                accepted.wake_time = wake.map(aged);
                accepted.provider = world.to_string();
                accepted.account_key = account_of(n);
                let accepted =
                    NewOperation { operation: accepted, locks, lease, services: Vec::new() };
                let expected = model.accept(accepted.clone());
                assert_eq!(store.accept(accepted).await.unwrap(), expected);
            }
            Call::Commit { n, ahead, state, wake, locks, claims } => {
                let mut operation = operation(n);
                operation.provider = world.to_string();
                operation.account_key = account_of(n);
                let stored = model.operations.get(&id(n));
                operation.version = stored.map_or(0, |(stored, _)| stored.version) + ahead;
                operation.state = state;
                operation.wake_time = wake.map(aged).filter(|_| !operation.done());
                let claims = claims.into_iter().map(NewClaim::by_answer).collect();
                let change = Change { locks, claims, ..Change::of(operation) };
                let expected = model.commit(change.clone());
                assert_eq!(store.commit(change).await.unwrap(), expected);
            }
            Call::TakeDue(take) => {
                let expected = model.take(&take, false);
                assert_eq!(store.take_due(&take).await.unwrap(), expected);
            }
            Call::TakeWaiting(take) => {
                let expected = model.take(&take, true);
                assert_eq!(store.take_waiting(&take).await.unwrap(), expected);
            }
            Call::Release { replica, n } => {
                store.release(replica, &[id(n)]).await.unwrap();
                model.release(replica, id(n));
            }
        }
    }
    home.settled().await;
    same_content(store, world, before, &model).await;
    store.positions().await.unwrap().last
}

/// The same call about the things of one world.
fn in_world(world: u32, call: Call) -> Call {
    let number = |n| u128::from(world) * 10_000 + n;
    let keys =
        |locks: Vec<Lock>| locks.iter().map(|key| lock(&format!("{world}/{}", key.0))).collect();
    match call {
        Call::Accept { n, wake, locks, lease } => {
            Call::Accept { n: number(n), wake, locks: keys(locks), lease }
        }
        Call::Commit { n, ahead, state, wake, locks, claims } => {
            let ids = claims.iter().map(|it| claim(&format!("{world}/{}", it.upstream_id)));
            let (claims, locks) = (ids.collect(), keys(locks));
            Call::Commit { n: number(n), ahead, state, wake, locks, claims }
        }
        Call::TakeDue(take) => Call::TakeDue(of_world(world, take)),
        Call::TakeWaiting(take) => Call::TakeWaiting(of_world(world, take)),
        Call::Release { replica, n } => Call::Release { replica, n: number(n) },
    }
}

fn of_world(world: u32, mut take: Take) -> Take {
    take.shares.iter_mut().for_each(|share| share.queue.provider = world.to_string());
    take
}

async fn same_content(store: &dyn Store, world: u32, before: u64, model: &Model) {
    let query = Query { provider: Some(world.to_string()), limit: PAGE_MAX, ..Query::default() };
    let stored = store.list(&query).await.unwrap();
    let expected: Vec<_> =
        model.operations.values().rev().map(|(operation, _)| operation.clone()).collect();
    assert_eq!(stored, expected);
    let expected = Wakes { due: model.wakes(false), waiting: model.wakes(true) };
    assert_eq!(store.wakes().await.unwrap(), expected);
    for (claim, by) in &model.claims {
        assert_eq!(store.claimant(claim).await.unwrap(), Some(*by));
    }
    let changes = store.changes(before, PAGE_MAX).await.unwrap();
    let ours = changes.iter().filter(|change| change.operation.provider == world.to_string());
    let changed: Vec<_> = ours.map(|change| change.operation.request_id).collect();
    assert_eq!(changed, model.changes);
    for (lock, by) in &model.locks {
        let wanted = NewOperation { locks: vec![lock.clone()], ..new(operation(9)) };
        let held = Accepted::Held { lock: lock.clone(), by: *by };
        assert_eq!(store.accept(wanted).await.unwrap(), held);
    }
}

/// Ends what earlier worlds left open, so that this one sees nothing of them as due.
async fn end_earlier_worlds(store: &dyn Store) {
    let open = Query { open_only: true, limit: PAGE_MAX, ..Query::default() };
    let ended = store.list(&open).await.unwrap().into_iter().map(async |stored| {
        let change = next(&stored, |operation| {
            operation.state = State::Cancelled;
            operation.wake_time = None;
        });
        assert_eq!(store.commit(change).await.unwrap(), Committed::Done);
    });
    join_all(ended).await;
}
