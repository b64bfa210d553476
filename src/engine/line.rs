//! Who waits for a lock that another operation holds, by age. Only a hint: what counts is the store's
//! unique key, and whoever is missed here is woken by time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use purveyor_sdk::v1::operation::State;
use uuid::Uuid;

use super::Engine;
use super::blocker::Blocker;
use super::machine::{Event, apply, is_by_account, locks};
use crate::store::operation::{Lock, Operation};
use crate::store::{Committed, StoreError};

/// An operation that waits in a line looks for itself this often: for what was let go unseen.
pub const LOOK_FOR_ONESELF: Duration = Duration::from_secs(10);

/// The most waiting operations that a process which starts lines up. Those beyond look for themselves,
/// and get into line by that.
const LINED_UP_MAX: usize = 1000;

/// The lines, by lock.
#[derive(Default)]
pub struct Lines {
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    lines: HashMap<Lock, BTreeSet<(Timestamp, Uuid)>>,
    places: HashMap<Uuid, (Lock, Timestamp)>,
}

impl Lines {
    /// Nobody stands in two lines: an operation waits for one lock after the other.
    fn join(&self, lock: Lock, waiting: &Operation) {
        let mut standing = self.standing();
        let (request_id, age) = (waiting.request_id, waiting.create_time);
        standing.leave(request_id);
        standing.lines.entry(lock.clone()).or_default().insert((age, request_id));
        standing.places.insert(request_id, (lock, age));
    }

    pub(super) fn leave(&self, request_id: Uuid) {
        self.standing().leave(request_id);
    }

    fn first(&self, lock: &Lock) -> Option<Uuid> {
        self.standing().lines.get(lock)?.first().map(|(_, request_id)| *request_id)
    }

    fn next(&self, lock: &Lock) -> Option<Uuid> {
        let mut standing = self.standing();
        let (_, first) = *standing.lines.get(lock)?.first()?;
        standing.leave(first);
        Some(first)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn leave(&mut self, request_id: Uuid) {
        let Some((lock, age)) = self.places.remove(&request_id) else { return };
        if let Some(line) = self.lines.get_mut(&lock) {
            line.remove(&(age, request_id));
            if line.is_empty() {
                self.lines.remove(&lock);
            }
        }
    }
}

impl Engine {
    /// Puts an operation that was refused a lock in line. `None`: it is somebody else's now.
    pub(super) async fn stand_in_line(
        &self,
        operation: Operation,
        lock: Lock,
        by: Uuid,
    ) -> Result<Option<Operation>, StoreError> {
        let policy = self.policy(&operation);
        self.inner.lines.join(lock.clone(), &operation);
        let request_id = operation.request_id;
        // What is to be stored does not fail because a name cannot be completed.
        let blocker = self.blocker(by).await.unwrap_or_else(|_| Blocker::unread(by));
        let blocked = self.record(operation, Event::Blocked { by: blocker }, &policy).await?;
        if blocked.as_ref().is_none_or(Operation::done) {
            self.inner.lines.leave(request_id);
        }
        // Whoever let go before we stood in line could not see us.
        if !self.held_by(by).await?.contains(&lock) {
            self.let_next(&lock).await;
        }
        Ok(blocked)
    }

    /// The lock that a waiting operation still waits for, and who holds it. While there is one, trying
    /// again would only take the account's lock from others and ask the upstream for nothing. Locks by
    /// account are left to the store: an operation may have been stored without one (`can_spare`).
    pub(super) async fn waits_for(
        &self,
        waiting: &Operation,
    ) -> Result<Option<(Lock, Uuid)>, StoreError> {
        let Some(by) = waiting.blocked_by else { return Ok(None) };
        let (held, policy) = (self.held_by(by).await?, self.policy(waiting));
        let mut needs = self.needs(waiting).into_iter();
        let awaited = needs.rfind(|lock| held.contains(lock) && !is_by_account(lock, &policy));
        Ok(awaited.map(|lock| (lock, by)))
    }

    async fn held_by(&self, request_id: Uuid) -> Result<Vec<Lock>, StoreError> {
        let holder = self.inner.store.get(request_id).await?;
        Ok(holder.map_or(Vec::new(), |holder| locks(&holder, &self.policy(&holder))))
    }

    /// Lines up those who wait by what the store tells, and lets the first of each line go that nobody
    /// is before any more: whoever let go may have died before anybody was woken.
    pub(super) async fn line_up(&self) -> Result<(), StoreError> {
        let mut holders: BTreeMap<Uuid, Vec<Lock>> = BTreeMap::new();
        let mut free = BTreeSet::new();
        for waiting in self.inner.store.blocked(LINED_UP_MAX).await? {
            let Some(by) = waiting.blocked_by.filter(|_| self.has_provider(&waiting)) else {
                continue;
            };
            let held = match holders.entry(by) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(unknown) => {
                    unknown.insert(self.held_by(by).await?)
                }
            };
            let needs = self.needs(&waiting);
            let awaited = needs.iter().rfind(|lock| held.contains(lock));
            if awaited.is_none() {
                free.extend(needs.last().cloned());
            }
            if let Some(lock) = awaited.or(needs.last()) {
                self.inner.lines.join(lock.clone(), &waiting);
            }
        }
        for lock in free {
            self.let_next(&lock).await;
        }
        Ok(())
    }

    /// What a waiting operation will hold once it runs; the last is what it takes last.
    fn needs(&self, waiting: &Operation) -> Vec<Lock> {
        let policy = self.policy(waiting);
        locks(&Operation { state: State::Running, ..waiting.clone() }, &policy)
    }

    /// Keeps the lines as another replica sees them, and lets the first go of each line that an
    /// operation was before and is not any more: the replica that worked on it may have died before it
    /// woke anybody. Where it has not, it is as quick, and who is woken already is not woken again.
    pub(super) async fn line_up_after(&self, changed: &Operation) -> Result<(), StoreError> {
        let waits = changed.state == State::Accepted && changed.blocked_by.is_some();
        if waits && self.has_provider(changed) {
            if let Some(lock) = self.needs(changed).pop() {
                self.inner.lines.join(lock, changed);
            }
        } else {
            self.inner.lines.leave(changed.request_id);
        }
        if matches!(changed.state, State::Accepted | State::Running) {
            return Ok(());
        }
        let held = locks(changed, &self.policy(changed));
        let mut free = BTreeSet::new();
        let waiting = self.inner.store.blocked_by(changed.request_id).await?;
        for waiting in waiting.into_iter().filter(|it| self.has_provider(it)) {
            let mut needs = self.needs(&waiting);
            let waits = needs.iter().any(|lock| held.contains(lock));
            if let Some(lock) = needs.pop().filter(|_| !waits) {
                self.inner.lines.join(lock.clone(), &waiting);
                free.insert(lock);
            }
        }
        for lock in free {
            if let Some(first) = self.inner.lines.first(&lock) {
                self.inner.lines.leave(first);
                if self.unblock(first).await? {
                    self.inner.due.notify_one();
                }
            }
        }
        Ok(())
    }

    /// Wakes the next in every line that `before` was the head of and `after` is not.
    pub(super) async fn let_go(&self, before: &[Lock], after: &Operation) {
        let kept = locks(after, &self.policy(after));
        for lock in before.iter().filter(|lock| !kept.contains(lock)) {
            self.let_next(lock).await;
        }
    }

    async fn let_next(&self, lock: &Lock) {
        while let Some(request_id) = self.inner.lines.next(lock) {
            match self.unblock(request_id).await {
                Ok(true) => {
                    self.inner.due.notify_one();
                    return;
                }
                Ok(false) => {}
                Err(error) => {
                    // Its own look wakes it.
                    tracing::warn!(%error, %request_id, "a waiting operation was not woken");
                }
            }
        }
    }

    async fn unblock(&self, request_id: Uuid) -> Result<bool, StoreError> {
        let waiting = self.inner.store.get(request_id).await?;
        let Some(waiting) = waiting.filter(|it| self.has_provider(it)) else { return Ok(false) };
        let policy = self.policy(&waiting);
        match apply(&waiting, Event::Unblocked, &policy, &self.now().await?) {
            Ok(change) => Ok(matches!(self.commit(change).await?, (Committed::Done, _))),
            // It has ended, or it has found out by itself.
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::plugin::v1::Op;

    use super::*;
    use crate::store::age::Age;

    #[test]
    fn the_oldest_is_next_and_stands_in_one_line() {
        let waiting = |n: u32, age: i64| {
            let time = Timestamp::from_second(age).unwrap();
            let id = Uuid::from_u128(n.into());
            Operation::new(id, Op::CreateOrder, "acme", time, Age::from_nanos(0))
        };
        let (gate, similar) = (Lock("gate".to_owned()), Lock("similar".to_owned()));
        let lines = Lines::default();
        for (n, age) in [(1, 30), (2, 10), (3, 20), (2, 10)] {
            lines.join(gate.clone(), &waiting(n, age));
        }
        lines.join(similar.clone(), &waiting(3, 20));
        let next = |lock: &Lock| lines.next(lock).map(|it| it.as_u128());
        assert_eq!(lines.first(&gate).map(|it| it.as_u128()), Some(2));
        assert_eq!([next(&gate), next(&gate), next(&gate)], [Some(2), Some(1), None]);
        lines.leave(Uuid::from_u128(3));
        assert_eq!(next(&similar), None);
        assert!(lines.standing().lines.is_empty() && lines.standing().places.is_empty());
    }
}
