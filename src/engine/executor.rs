//! Who works on what and when: takes up what is due, and drives each operation until it rests. Decides
//! nothing about a spend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use purveyor_sdk::v1::operation::State;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::Engine;
use crate::store::operation::Operation;
use crate::store::{StoreError, Take};

/// The most operations taken from the store at a time.
const TAKE: usize = 64;
/// The longest that nobody looks for due operations: what other replicas left is found by then, and
/// so is a wall clock that was set.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many waiting operations of one provider are asked for in one call.
pub const POLL_BATCH: usize = 100;

impl Engine {
    pub(super) async fn dispatch(self) {
        while !self.stopping() {
            if self.held().is_none()
                && let Err(error) = self.take_due().await
            {
                tracing::error!(%error, "due operations cannot be read");
            }
            let pause = self.until_next_wake().await;
            tokio::select! {
                () = self.inner.due.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn until_next_wake(&self) -> Duration {
        if self.held().is_some() || self.inner.places.available_permits() == 0 {
            return LOOK_AGAIN;
        }
        match self.inner.store.next_wake().await {
            Ok(Some(wake)) => {
                let pause = wake.duration_since(self.now().wall);
                Duration::try_from(pause).unwrap_or(Duration::ZERO).min(LOOK_AGAIN)
            }
            Ok(None) | Err(_) => LOOK_AGAIN,
        }
    }

    async fn take_due(&self) -> Result<(), StoreError> {
        loop {
            let free = self.inner.places.available_permits();
            if free == 0 || self.stopping() {
                return Ok(());
            }
            let take = Take { now: self.now().wall, lease: self.lease(), limit: free.min(TAKE) };
            let due = self.inner.store.take_due(&take).await?;
            let taken = due.len();
            self.spawn_due(due).await?;
            if taken < take.limit {
                return Ok(());
            }
        }
    }

    /// Waiting operations of one provider are asked for together; every other is driven alone.
    async fn spawn_due(&self, due: Vec<Operation>) -> Result<(), StoreError> {
        let mut waiting: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
        for operation in due {
            if operation.state == State::WaitingUpstream {
                waiting.entry(operation.provider.clone()).or_default().push(operation);
                continue;
            }
            match Arc::clone(&self.inner.places).try_acquire_owned() {
                Ok(place) => self.spawn_drive(operation, place),
                Err(_) => self.release(&[operation.request_id]).await?,
            }
        }
        for operations in waiting.into_values() {
            for batch in operations.chunks(POLL_BATCH) {
                match Arc::clone(&self.inner.places).try_acquire_owned() {
                    Ok(place) => self.spawn_poll(batch.to_vec(), place),
                    Err(_) => self.release(&ids(batch)).await?,
                }
            }
        }
        Ok(())
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
            if let Err(error) = engine.poll(operations).await {
                tracing::error!(%error, "the outcome of a poll cannot be stored");
            }
            engine.give_back(&taken, place).await;
        });
    }

    /// Works on an operation until it rests, ends, or belongs to somebody else.
    async fn drive(&self, mut operation: Operation) {
        loop {
            let due = operation.wake_time.is_some_and(|wake| wake <= self.now().wall);
            if !due || self.stopping() || self.held().is_some() {
                return;
            }
            let driven = match operation.state {
                State::Accepted => Box::pin(self.step(operation)).await,
                State::OutcomeUnknown | State::Reconciling => Box::pin(self.look(operation)).await,
                State::WaitingUpstream => Box::pin(self.poll_one(operation)).await,
                State::Succeeded | State::Failed => Box::pin(self.look_back(operation)).await,
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
