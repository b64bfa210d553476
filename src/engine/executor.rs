//! Who works on what and when: shares the places out among the accounts that have work, takes up what
//! is due, and drives each operation until it rests. Decides nothing about a spend.

mod allocator;
mod places;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use purveyor_sdk::v1::operation::State;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

pub(super) use self::places::{Places, WorkPlace};
use super::Engine;
use crate::plugin::{CONCURRENT_REQUESTS, WorkSlot, work_from};
use crate::store::age::Age;
use crate::store::operation::Operation;
use crate::store::{DueQueue, PAGE_MAX, Share, StoreError, Take, Wakes};

/// The most places that are shared out at a time.
const TAKE: usize = 64;
/// The fewest waiting operations taken from the store at a time, also where each is asked for by
/// itself.
const POLL_TAKE: usize = 16;
/// The longest that nobody looks for due operations: what other replicas left is found by then.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many operations of an account are at work beside those whose requests can be under way: they are
/// prepared and stored meanwhile.
const BESIDE_REQUESTS: usize = 2;

/// What is due, by account.
type Work = BTreeMap<String, AccountWork>;

/// The places that each account got.
type Shares = BTreeMap<String, Vec<Arc<WorkPlace>>>;

/// What is due of one account.
struct AccountWork {
    cap: usize,
    queues: Vec<Due>,
}

/// A queue of operations that are due.
struct Due {
    since: Age,
    queue: DueQueue,
    /// Of those that wait for their upstream: the right to ask it for many together.
    poll: Option<OwnedSemaphorePermit>,
}

impl Engine {
    pub(super) async fn dispatch(self) {
        while !self.stopping() {
            let pause = match self.take_up().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(%error, "due operations cannot be read");
                    self.begin_nothing()
                }
            };
            tokio::select! {
                () = self.inner.due.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.begin_nothing();
    }

    /// Nothing can be begun, so nobody who is at work waits for it; and when to look again.
    fn begin_nothing(&self) -> Duration {
        drop(self.inner.places.share_out([], 0));
        LOOK_AGAIN
    }

    /// Takes what is due and has a place, and tells how long nothing else will be. Whoever gives a place
    /// back looks again.
    async fn take_up(&self) -> Result<Duration, StoreError> {
        loop {
            if self.stopping() || self.held().is_some() {
                return Ok(self.begin_nothing());
            }
            let wakes = self.wakes().await?;
            let now = self.age();
            let next =
                wakes.first_after(now).map_or(now + LOOK_AGAIN, |due| due.min(now + LOOK_AGAIN));
            let work = self.work(wakes, now);
            let caps = work.iter().map(|(account, work)| (account.as_str(), work.cap));
            let shares = self.inner.places.share_out(caps, TAKE);
            if self.take(work, shares).await? == 0 {
                return Ok(next.since(now));
            }
        }
    }

    /// What is due by account, the queue of each first that is due longest. A queue that is asked for as
    /// often as may be at a time is left out.
    fn work(&self, wakes: Wakes, now: Age) -> Work {
        let mut work = Work::new();
        let is_due = |(_, due): &(DueQueue, Age)| *due <= now;
        for (queue, since) in wakes.due.into_iter().filter(is_due) {
            self.add(&mut work, Due { since, queue, poll: None });
        }
        for (queue, since) in wakes.waiting.into_iter().filter(is_due) {
            if let Some(poll) = self.inner.polls.place(&queue.provider) {
                self.add(&mut work, Due { since, queue, poll: Some(poll) });
            }
        }
        for of_account in work.values_mut() {
            of_account.queues.sort_by_key(|due| due.since);
        }
        work
    }

    fn add(&self, work: &mut Work, due: Due) {
        let (account, cap) = self.account_of(&due.queue.account_key, &due.queue.provider);
        let of_account =
            work.entry(account).or_insert_with(|| AccountWork { cap, queues: Vec::new() });
        of_account.cap = of_account.cap.min(cap);
        of_account.queues.push(due);
    }

    /// What the places of an operation are counted under, and how many of those may be at work.
    pub(super) fn account_of(&self, account_key: &str, provider: &str) -> (String, usize) {
        let configured = self.inner.providers.get(provider);
        let requests =
            configured.as_ref().map_or(CONCURRENT_REQUESTS, |it| it.config().concurrent_requests);
        let account = configured.and_then(|it| it.account());
        let account = account.filter(|it| account_key.is_empty() || it.owns("", account_key));
        let name = match account {
            Some(account) => account.key.to_string(),
            // Nobody knows yet whose account it is. No key is a single word.
            None if account_key.is_empty() => provider.to_owned(),
            None => account_key.to_owned(),
        };
        (name, requests + BESIDE_REQUESTS)
    }

    /// Takes as much of each account as it has places for, and tells how much that was. Places that
    /// nothing is there for are given back.
    async fn take(&self, mut work: Work, mut shares: Shares) -> Result<usize, StoreError> {
        let (mut due, mut polls) = (Vec::new(), Vec::new());
        for (account, places) in &mut shares {
            let Some(of_account) = work.remove(account) else { continue };
            let (polled, taken): (Vec<_>, Vec<_>) = split(of_account.queues, places.len());
            polls.extend(polled.into_iter().filter_map(|due| Some((due, places.pop()?))));
            due.extend(taken);
        }
        let mut taken = self.take_due(due, shares).await?;
        for (due, place) in polls {
            taken += self.take_waiting(due, place).await?;
        }
        Ok(taken)
    }

    /// Takes what is due but waits for no upstream, and tells how much that was.
    async fn take_due(&self, due: Vec<Share>, mut shares: Shares) -> Result<usize, StoreError> {
        if due.is_empty() {
            return Ok(0);
        }
        let take = Take { now: self.age(), lease: self.lease(), shares: due };
        let due = self.inner.store.take_due(&take).await?;
        let taken = due.len();
        let mut accounts = HashMap::new();
        for operation in due {
            let queue = (operation.account_key.clone(), operation.provider.clone());
            let account = accounts
                .entry(queue)
                .or_insert_with_key(|(key, provider)| self.account_of(key, provider).0);
            match shares.get_mut(account).and_then(Vec::pop) {
                Some(place) => self.spawn_drive(operation, place),
                None => self.release(&[operation.request_id]).await?,
            }
        }
        Ok(taken)
    }

    /// Takes operations that wait for one provider's upstream, as many as can be asked for at once,
    /// and tells how many those were.
    async fn take_waiting(&self, due: Due, place: Arc<WorkPlace>) -> Result<usize, StoreError> {
        let limit = self.polled_at_once(&due.queue.provider).clamp(POLL_TAKE, PAGE_MAX);
        let shares = vec![Share { queue: due.queue, limit }];
        let take = Take { now: self.age(), lease: self.lease(), shares };
        let waiting = self.inner.store.take_waiting(&take).await?;
        let taken = waiting.len();
        if taken > 0 {
            self.spawn_poll(waiting, place, due.poll);
        }
        Ok(taken)
    }

    pub(super) fn spawn_drive(&self, operation: Operation, place: Arc<WorkPlace>) {
        let engine = self.clone();
        let request_id = operation.request_id;
        self.inner.under_way.begin(&[request_id]);
        tokio::spawn(async move {
            let work = Box::pin(engine.drive(operation));
            work_from(Arc::clone(&place) as Arc<dyn WorkSlot>, work).await;
            engine.give_back(&[request_id], place).await;
        });
    }

    fn spawn_poll(
        &self,
        operations: Vec<Operation>,
        place: Arc<WorkPlace>,
        poll: Option<OwnedSemaphorePermit>,
    ) {
        let engine = self.clone();
        let taken = ids(&operations);
        self.inner.under_way.begin(&taken);
        tokio::spawn(async move {
            let work = Box::pin(engine.follow_up(operations));
            work_from(Arc::clone(&place) as Arc<dyn WorkSlot>, work).await;
            engine.give_back(&taken, place).await;
            drop(poll);
            engine.inner.due.notify_one();
        });
    }

    /// Works on an operation until it rests, ends, or belongs to somebody else.
    async fn drive(&self, mut operation: Operation) {
        loop {
            let due = operation.wake_time.is_some_and(|wake| wake <= self.age());
            if !due || self.stopping() || self.held().is_some() {
                return;
            }
            if operation.has_unapplied() {
                return self.apply_taken(&operation).await;
            }
            let driven = match operation.state {
                State::Accepted => Box::pin(self.step(operation)).await,
                State::OutcomeUnknown | State::Reconciling => Box::pin(self.look(operation)).await,
                State::Succeeded | State::Failed => Box::pin(self.look_back(operation)).await,
                // What waits for an operator is read on, alone and seldom.
                State::NeedsOperator if operation.is_polled() => {
                    return self.follow_up(vec![operation]).await;
                }
                State::NeedsOperator => Box::pin(self.look(operation)).await,
                // What waits for its upstream is asked for together with others.
                _ => return,
            };
            match driven {
                Ok(Some(next)) => operation = next,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "an operation cannot be stored; it is taken up later");
                    return;
                }
            }
        }
    }

    async fn give_back(&self, request_ids: &[Uuid], place: Arc<WorkPlace>) {
        self.inner.under_way.end(request_ids);
        if let Err(error) = self.release(request_ids).await {
            // The lease runs out by itself.
            tracing::warn!(%error, "leases cannot be given back");
        }
        drop(place);
        self.inner.due.notify_one();
    }

    async fn release(&self, request_ids: &[Uuid]) -> Result<(), StoreError> {
        self.inner.store.release(self.inner.replica, request_ids).await
    }
}

/// Shares so many places out among the queues of one account, in turn: those that are polled, which need one
/// each, and how much is taken of the others.
fn split(queues: Vec<Due>, places: usize) -> (Vec<Due>, Vec<Share>) {
    let first = queues.len().min(places);
    let more = places - first;
    let (mut polled, mut taken) = (Vec::new(), Vec::new());
    for due in queues.into_iter().take(first) {
        match due.poll {
            Some(_) => polled.push(due),
            None => taken.push(Share { queue: due.queue, limit: 1 }),
        }
    }
    let others = taken.len();
    for (number, share) in taken.iter_mut().enumerate() {
        share.limit += more / others + usize::from(number < more % others);
    }
    (polled, taken)
}

fn ids(operations: &[Operation]) -> Vec<Uuid> {
    operations.iter().map(|operation| operation.request_id).collect()
}
