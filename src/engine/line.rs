//! Who waits for a lock that another operation holds, in the order of coming. Only a hint: what counts
//! is the store's unique key, and whoever is missed here is woken by time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::Engine;
use super::machine::{Event, apply, locks};
use crate::store::operation::{Lock, Operation};
use crate::store::{Committed, StoreError};

/// An operation that waits in a line looks for itself this often: for what another replica let go.
pub const LOOK_FOR_ONESELF: Duration = Duration::from_secs(10);

/// The lines, by lock.
#[derive(Default)]
pub struct Lines {
    waiting: Mutex<HashMap<Lock, VecDeque<Uuid>>>,
}

impl Lines {
    fn join(&self, lock: Lock, request_id: Uuid) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let line = waiting.entry(lock).or_default();
        if !line.contains(&request_id) {
            line.push_back(request_id);
        }
    }

    fn next(&self, lock: &Lock) -> Option<Uuid> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let line = waiting.get_mut(lock)?;
        let next = line.pop_front();
        if line.is_empty() {
            waiting.remove(lock);
        }
        next
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
        let request_id = operation.request_id;
        self.inner.lines.join(lock.clone(), request_id);
        let blocked = self.record(operation, Event::Blocked { by }, &policy).await?;
        // Whoever let go before we stood in line could not see us.
        let holds = match self.inner.store.get(by).await? {
            Some(holder) => locks(&holder, &self.policy(&holder)).contains(&lock),
            None => false,
        };
        if !holds {
            self.let_next(&lock).await;
        }
        Ok(blocked)
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

    pub(super) async fn unblock(&self, request_id: Uuid) -> Result<bool, StoreError> {
        let Some(waiting) = self.inner.store.get(request_id).await? else { return Ok(false) };
        let policy = self.policy(&waiting);
        match apply(&waiting, Event::Unblocked, &policy, &self.now()) {
            Ok(change) => Ok(matches!(self.commit(change).await?, (Committed::Done, _))),
            // It has ended, or it has found out by itself.
            Err(_) => Ok(false),
        }
    }
}
