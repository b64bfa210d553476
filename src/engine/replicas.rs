//! What the engine does because it may not be alone with its store: it keeps its leases, takes over
//! what a dead replica left, wakes those who wait here for what is done elsewhere, and takes its
//! share of each account's rate. It must not decide anything about a spend.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use purveyor_sdk::v1::operation::Outcome;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::machine::{Event, apply, locks};
use super::policy::PERMIT_LIFE;
use super::{Engine, policy};
use crate::store::operation::Operation;
use crate::store::{Committed, PAGE_MAX, StoreError};

/// How often it is looked for what a dead replica left, and for how many live.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// How long until changes of others are read again when that failed.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// A lease is renewed so many times in its length: one renewal may fail without harm.
const RENEWALS: u32 = 3;

/// The operations that this process works on.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<BTreeSet<Uuid>>);

impl UnderWay {
    pub(super) fn begin(&self, request_ids: &[Uuid]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(request_ids);
    }

    pub(super) fn end(&self, request_ids: &[Uuid]) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|request_id| !request_ids.contains(request_id));
    }

    fn has(&self, request_id: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&request_id)
    }

    fn all(&self) -> Vec<Uuid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

impl Engine {
    /// Renews the leases of what is under way, also while that is drained.
    pub(super) async fn keep_leases(self) {
        let mut ticks = interval(self.inner.config.lease / RENEWALS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let under_way = self.inner.under_way.all();
            if under_way.is_empty() {
                continue;
            }
            if let Err(error) = self.inner.store.renew(&self.lease(), &under_way).await {
                // Whoever takes over finds that a permit decides, not a lease.
                tracing::warn!(%error, "leases cannot be renewed");
            }
        }
    }

    /// Takes over and shares, again and again.
    pub(super) async fn look_around(self) {
        let mut ticks = interval(LOOK_AROUND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut replicas = 0;
        loop {
            ticks.tick().await;
            let Some(present) = self.inner.store.replicas() else { return };
            self.inner.providers.shared_by(present);
            if present != replicas {
                replicas = present;
                tracing::info!(replicas, "each account's rate is shared with the other gateways");
            }
            if let Err(error) = self.take_over().await {
                tracing::warn!(%error, "what others left cannot be read");
            }
        }
    }

    /// Puts right what nobody works on any more: an open permit becomes unknown once its request
    /// cannot be under way any more, everything else is begun anew.
    pub(super) async fn take_over(&self) -> Result<(), StoreError> {
        let now = self.now().await?;
        for operation in self.inner.store.orphans(now.age).await? {
            // What we work on ourselves we know more of than the store, whose lease we could not renew.
            let ours = self.inner.under_way.has(operation.request_id);
            let shared = self.inner.store.replicas().is_some();
            let unattended = !ours && self.has_provider(&operation);
            if !unattended || shared && !self.attempt_is_over(&operation) {
                continue;
            }
            if operation.has_unapplied() {
                self.apply_observations(operation.request_id).await?;
                continue;
            }
            let policy = self.policy(&operation);
            match apply(&operation, Event::Recovered, &policy, &now) {
                Ok(change) => {
                    let held = locks(&operation, &policy);
                    let (committed, recovered) = self.commit(change).await?;
                    if committed == Committed::Done {
                        self.let_go(&held, &recovered).await;
                        self.inner.due.notify_one();
                    }
                    tracing::info!(
                        request_id = %operation.request_id,
                        state = recovered.state.as_str_name(),
                        ?committed,
                        "took up an operation that another process left"
                    );
                }
                Err(refusal) => tracing::error!(
                    request_id = %operation.request_id, %refusal,
                    "an operation that another process left cannot be taken up"
                ),
            }
        }
        Ok(())
    }

    /// Whether the permit, if one is open, is void by now, and the time of its request over.
    fn attempt_is_over(&self, operation: &Operation) -> bool {
        let open = operation.attempts.last().filter(|last| last.outcome == Outcome::Unspecified);
        let Some(attempt) = open else { return true };
        let provider = self.inner.providers.get(&operation.provider);
        let longest = provider.map_or(policy::SETTLE_DEFAULT, |provider| {
            provider.timing().attempt_timeout.saturating_add(PERMIT_LIFE)
        });
        attempt.permit_age + longest <= self.age()
    }

    /// Wakes those who wait here for operations that are carried out elsewhere.
    pub(super) async fn follow(self) {
        let mut position = None;
        loop {
            let followed = match position {
                Some(position) => self.follow_once(position).await,
                None => self.inner.store.positions().await.map(|positions| positions.last),
            };
            match followed {
                Ok(last) => position = Some(last),
                Err(error) => {
                    tracing::debug!(%error, "changes of others are not followed");
                    tokio::time::sleep(FOLLOW_AGAIN).await;
                }
            }
        }
    }

    async fn follow_once(&self, position: u64) -> Result<u64, StoreError> {
        self.inner.store.changed(position).await;
        let changes = self.inner.store.changes(position, PAGE_MAX).await?;
        let last = changes.last().map_or(position, |change| change.position);
        for change in changes {
            self.inner.waiters.wake(change.operation.request_id);
            self.line_up_after(&change.operation).await?;
        }
        Ok(last)
    }
}
