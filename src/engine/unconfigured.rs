//! Operations of providers that this replica does not have. What is safe to do with them is not known here,
//! so nothing of them is taken, and no event of theirs is committed; another replica, or a later
//! configuration, goes on with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Engine;
use crate::plugin::Provider;
use crate::store::operation::Operation;
use crate::store::{Change, StoreError, Wakes};

/// How often they are counted.
const COUNT_PERIOD: Duration = Duration::from_secs(5);

/// How often they are reported while there are any.
const REPORT_PERIOD: Duration = Duration::from_secs(60);

/// The open operations of each provider that is not configured here.
#[derive(Default)]
pub(super) struct Unconfigured(Mutex<BTreeMap<String, u64>>);

impl Unconfigured {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Whether this replica has the provider of an operation.
    pub(super) fn has_provider(&self, operation: &Operation) -> bool {
        self.inner.providers.get(&operation.provider).is_some()
    }

    /// The provider of an operation.
    ///
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE where it is not configured here.
    pub(super) fn provider_of(&self, operation: &Operation) -> Result<Arc<Provider>> {
        self.inner.providers.get(&operation.provider).ok_or_else(|| {
            let name = format!("providers/{}", operation.provider);
            let message = format!("{name} is not configured");
            Error::new(ErrorReason::ProviderUnavailable, message).with_metadata("provider", name)
        })
    }

    /// Refuses to compare a repeated write with the operation that it became, where that operation's provider
    /// is not configured here.
    ///
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE, naming the operation: it is no reason to think that nothing was accepted.
    pub(super) fn compared_elsewhere(&self, known: &Operation) -> Result<()> {
        let name = format!("operations/{}", known.request_id);
        self.provider_of(known).map(drop).map_err(|error| {
            let message = format!(
                "the request_id was accepted as {name}, and {}; look at the operation, or repeat the call at \
                 a gateway that has the provider",
                error.message
            );
            Error { message, ..error }.with_metadata("operation", name)
        })
    }

    /// Refuses to change an open operation whose provider is not configured here.
    ///
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE.
    pub(super) fn refuse_left_alone(&self, operation: &Operation) -> Result<()> {
        if operation.done() { Ok(()) } else { self.provider_of(operation).map(drop) }
    }

    /// When something is due that this replica can take.
    pub(super) async fn wakes(&self) -> Result<Wakes, StoreError> {
        let mut wakes = self.inner.store.wakes().await?;
        for queues in [&mut wakes.due, &mut wakes.waiting] {
            queues.retain(|(queue, _)| self.inner.providers.get(&queue.provider).is_some());
        }
        Ok(wakes)
    }

    /// Refuses a change of an operation whose provider is not configured here. Nobody makes one; this is
    /// what no way into the store passes.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the operation and its provider.
    pub(super) fn refuse_unconfigured(&self, change: &Change) -> Result<(), StoreError> {
        let loser = change.loser.as_ref().map(|loser| &loser.operation);
        let changed = [Some(&change.operation), loser].into_iter().flatten();
        match changed.into_iter().find(|operation| !self.has_provider(operation)) {
            None => Ok(()),
            Some(Operation { request_id, provider, .. }) => Err(StoreError::Invalid(format!(
                "operations/{request_id} belongs to providers/{provider}, which is not configured here"
            ))),
        }
    }

    /// The open operations of each provider that is not configured here, as they were counted last.
    pub fn unconfigured(&self) -> BTreeMap<String, u64> {
        self.inner.unconfigured.counts().clone()
    }

    /// Counts them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) async fn count_unconfigured(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = self.inner.store.open_by_provider().await?;
        counts.retain(|provider, _| self.inner.providers.get(provider).is_none());
        self.inner.unconfigured.counts().clone_from(&counts);
        Ok(counts)
    }

    /// Counts and reports them until the engine has stopped.
    pub(super) async fn watch_unconfigured(self) {
        let mut reported: BTreeMap<String, Instant> = BTreeMap::new();
        let mut ticks = interval(COUNT_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.inner.store.healthy() {
                // It would only hold a connection that others need.
                continue;
            }
            let counts = match self.count_unconfigured().await {
                Ok(counts) => counts,
                Err(error) => {
                    tracing::warn!(%error, "open operations cannot be counted");
                    continue;
                }
            };
            reported.retain(|provider, _| counts.contains_key(provider));
            for (provider, open) in counts {
                if reported.get(&provider).is_some_and(|last| last.elapsed() < REPORT_PERIOD) {
                    continue;
                }
                tracing::warn!(
                    provider,
                    open,
                    "provider not configured, its open operations are left alone"
                );
                reported.insert(provider, Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::plugin::v1::Op;
    use purveyor_sdk::v1::operation::State;

    use super::{Change, Operation, StoreError};
    use crate::engine::made_here::tests::operation;
    use crate::engine::naming::tests::engine;
    use crate::store::NewOperation;

    #[tokio::test]
    async fn commit_of_an_unconfigured_provider_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder).await;
        let ours = operation(Op::CreateOrder, State::Accepted);
        let theirs = Operation { provider: "elsewhere".to_owned(), ..ours.clone() };
        let refuses = |change: &Change| {
            matches!(engine.refuse_unconfigured(change), Err(StoreError::Invalid(what))
                if what.contains("providers/elsewhere"))
        };
        let loses = |loser: &Operation| Change {
            loser: Some(Box::new(Change::of(loser.clone()))),
            ..Change::of(ours.clone())
        };
        assert!(refuses(&Change::of(theirs.clone())) && refuses(&loses(&theirs)));
        assert!(!refuses(&Change::of(ours.clone())) && !refuses(&loses(&ours)));
        engine.store().accept(NewOperation::of(theirs.clone())).await.unwrap();
        assert!(engine.commit(Change::of(theirs.clone())).await.is_err());
        assert_eq!(engine.store().get(theirs.request_id).await.unwrap(), Some(theirs));
    }

    #[tokio::test]
    async fn unconfigured_provider_is_counted_and_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder).await;
        let ours = operation(Op::CreateOrder, State::Accepted);
        let wake_time = Some(engine.age());
        for (n, provider) in [(1, "acme"), (2, "elsewhere"), (3, "elsewhere")] {
            let request_id = uuid::Uuid::from_u128(n);
            let provider = provider.to_owned();
            let stored = Operation { request_id, provider, wake_time, ..ours.clone() };
            engine.store().accept(NewOperation::of(stored)).await.unwrap();
        }
        let all = engine.store().wakes().await.unwrap();
        let taken = engine.wakes().await.unwrap();
        assert_eq!((all.due.len(), taken.due.len()), (2, 1), "{all:?}");
        assert_eq!(taken.due[0].0.provider, "acme");
        let counted = engine.count_unconfigured().await.unwrap();
        assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("elsewhere".to_owned(), 2)]);
    }
}
