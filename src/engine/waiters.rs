//! Who waits for an operation to change. Waiting is only a hint: whoever is woken reads the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Callers that wait, by operation.
#[derive(Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<Uuid, Arc<Notify>>>,
}

/// One caller's place; given back when dropped.
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    request_id: Uuid,
    notify: Arc<Notify>,
}

impl Waiters {
    /// A place from which no change of the operation is missed that comes after this call.
    pub fn join(&self, request_id: Uuid) -> Waiter<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(waiting.entry(request_id).or_default());
        Waiter { waiters: self, request_id, notify }
    }

    /// The operation has changed.
    pub fn wake(&self, request_id: Uuid) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(&request_id) {
            notify.notify_waiters();
        }
    }

    /// Everybody should look.
    pub fn wake_all(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.values().for_each(|notify| notify.notify_waiters());
    }
}

impl Waiter<'_> {
    /// The next change; to be created before the store is read, so that none is missed.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Two references are left: the table's and ours.
        if Arc::strong_count(&self.notify) == 2 {
            waiting.remove(&self.request_id);
        }
    }
}
