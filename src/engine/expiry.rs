//! Ends operations that were not started by their `start_before`. It needs no place: it asks no upstream,
//! so it goes on while every place waits for one that hangs.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{MissedTickBehavior, interval};

use super::Engine;
use super::machine::{Event, apply, locks};
use crate::store::operation::Operation;
use crate::store::{Committed, StoreError};

/// How often they are looked for.
const SWEEP_PERIOD: Duration = Duration::from_millis(500);

/// How many ends are stored at a time: few commits where commits are shared, and not all connections of a
/// store that has some.
const STORED_AT_A_TIME: usize = 16;

impl Engine {
    /// Ends what was not started in time, until the engine stops.
    pub(super) async fn end_unstarted(self) {
        let mut ticks = interval(SWEEP_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A store that may lack what it acknowledged may lack the attempt.
            if self.stopping() || self.held().is_some() {
                continue;
            }
            if let Err(error) = self.sweep_unstarted().await {
                tracing::warn!(%error, "operations past their start_before cannot be ended");
            }
        }
    }

    /// Ends all that there are. One that cannot be ended keeps none of the others.
    async fn sweep_unstarted(&self) -> Result<(), StoreError> {
        let (mut after, mut swept) = (None, Ok(()));
        loop {
            let page = self.inner.store.unstarted(self.wall(), after).await?;
            let Some(last) = page.last() else { return swept };
            after = Some((last.start_before, last.request_id));
            let ours = page.into_iter().filter(|operation| self.has_provider(operation));
            let ends = ours.map(|operation| self.end_if_unstarted(operation));
            let ends: Vec<_> =
                stream::iter(ends).buffer_unordered(STORED_AT_A_TIME).collect().await;
            swept = ends.into_iter().fold(swept, Result::and);
        }
    }

    /// Ends one, unless something was sent. Whoever works on it meanwhile has the version before, with
    /// which no permit is committed any more.
    async fn end_if_unstarted(&self, operation: Operation) -> Result<(), StoreError> {
        let policy = self.policy(&operation);
        let waited_for = match operation.blocked_by {
            Some(by) => Some(self.blocker(by).await?),
            None => None,
        };
        let expired = Event::StartExpired { waited_for };
        let Ok(change) = apply(&operation, expired, &policy, &self.now().await?) else {
            return Ok(());
        };
        if let (Committed::Done, ended) = self.commit(change).await? {
            tracing::info!(
                request_id = %ended.request_id, provider = ended.provider,
                start_before = %ended.start_before, "operation not started in time"
            );
            self.inner.lines.leave(ended.request_id);
            self.let_go(&locks(&operation, &policy), &ended).await;
        }
        Ok(())
    }
}
