//! Who works on what and when: takes up what is due, and drives each operation until it rests. Decides
//! nothing about a spend.

use std::sync::Arc;
use std::time::Duration;

use purveyor_sdk::v1::operation::State;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::Engine;
use crate::store::operation::Operation;
use crate::store::{PAGE_MAX, StoreError, Take};

/// The most operations taken from the store at a time.
const TAKE: usize = 64;
/// The fewest waiting operations taken from the store at a time, also where each is asked for by
/// itself.
const POLL_TAKE: usize = 16;
/// The longest that nobody looks for due operations: what other replicas left is found by then.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) async fn dispatch(self) {
        while !self.stopping() {
            let pause = match self.take_up().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(%error, "due operations cannot be read");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = self.inner.due.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes what is due and has a place, and tells how long nothing else will be. What waits for an
    /// upstream has places of its own, so that no amount of it keeps anything else from its turn.
    async fn take_up(&self) -> Result<Duration, StoreError> {
        loop {
            if self.stopping() || self.held().is_some() {
                return Ok(LOOK_AGAIN);
            }
            let wakes = self.inner.store.wakes().await?;
            let now = self.age();
            let mut next = now + LOOK_AGAIN;
            let mut taken = 0;
            match wakes.due {
                Some(due) if due <= now => taken += self.take_due().await?,
                Some(due) => next = next.min(due),
                None => {}
            }
            for (provider, due) in wakes.waiting {
                if due > now {
                    next = next.min(due);
                } else if let Some(place) = self.inner.polls.place(&provider) {
                    taken += self.take_waiting(&provider, place).await?;
                }
            }
            if taken == 0 {
                return Ok(next.since(now));
            }
        }
    }

    /// Takes what is due but waits for no upstream, and tells how much that was.
    async fn take_due(&self) -> Result<usize, StoreError> {
        let limit = self.inner.places.available_permits().min(TAKE);
        if limit == 0 {
            // Whoever gives a place back looks again.
            return Ok(0);
        }
        let take = Take { now: self.age(), lease: self.lease(), limit };
        let due = self.inner.store.take_due(&take).await?;
        let taken = due.len();
        for operation in due {
            match Arc::clone(&self.inner.places).try_acquire_owned() {
                Ok(place) => self.spawn_drive(operation, place),
                Err(_) => self.release(&[operation.request_id]).await?,
            }
        }
        Ok(taken)
    }

    /// Takes operations that wait for one provider's upstream, as many as can be asked for at once,
    /// and tells how many those were.
    async fn take_waiting(
        &self,
        provider: &str,
        place: OwnedSemaphorePermit,
    ) -> Result<usize, StoreError> {
        let limit = self.polled_at_once(provider).clamp(POLL_TAKE, PAGE_MAX);
        let take = Take { now: self.age(), lease: self.lease(), limit };
        let waiting = self.inner.store.take_waiting(provider, &take).await?;
        let taken = waiting.len();
        if taken > 0 {
            self.spawn_poll(waiting, place);
        }
        Ok(taken)
    }

    pub(super) fn spawn_drive(&self, operation: Operation, place: OwnedSemaphorePermit) {
        let engine = self.clone();
        let request_id = operation.request_id;
        self.inner.under_way.begin(&[request_id]);
        tokio::spawn(async move {
            engine.drive(operation).await;
            engine.give_back(&[request_id], place).await;
        });
    }

    fn spawn_poll(&self, operations: Vec<Operation>, place: OwnedSemaphorePermit) {
        let engine = self.clone();
        let taken = ids(&operations);
        self.inner.under_way.begin(&taken);
        tokio::spawn(async move {
            engine.follow_up(operations).await;
            engine.give_back(&taken, place).await;
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

    async fn give_back(&self, request_ids: &[Uuid], place: OwnedSemaphorePermit) {
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

fn ids(operations: &[Operation]) -> Vec<Uuid> {
    operations.iter().map(|operation| operation.request_id).collect()
}
