//! Letting go of operations that ended long ago, a few at a time. It must not decide what may go:
//! the configured time is never below [`RETENTION_MIN`], and the store keeps what it has to.

use std::time::Duration;

use super::Engine;
use crate::store::EndedBefore;

/// A request id is kept so long after its operation ended: a caller that repeats a request within a
/// year, and then some, gets the operation and never buys again.
pub const RETENTION_MIN: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How many operations one commit removes: few enough that writes never wait long for it.
const BATCH: usize = 100;

/// Between two batches while there is more, which leaves nearly all of the store to others and still
/// removes more in a day than can be bought in it.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked for more. An hour does not matter against a year.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

impl Engine {
    /// Removes what ended too long ago, until the engine stops.
    pub(super) async fn forget(self) {
        loop {
            let more = self.prune().await;
            tokio::time::sleep(if more { PAUSE } else { LOOK_AGAIN }).await;
        }
    }

    /// Removes some, and tells whether there may be more. A store in doubt is left as it is: what
    /// stands in it is evidence.
    async fn prune(&self) -> bool {
        if self.inner.store.doubt().is_some() {
            return false;
        }
        let retention = self.inner.config.retention;
        let Ok(wall) = self.wall().checked_sub(retention) else { return false };
        let ended = EndedBefore { age: self.age() - retention, wall };
        match self.inner.store.prune(ended, BATCH).await {
            Ok(0) => false,
            Ok(pruned) => {
                tracing::debug!(pruned, before = %wall, "operations that ended long ago were removed");
                pruned == BATCH
            }
            Err(error) => {
                tracing::warn!(%error, "operations that ended long ago cannot be removed");
                false
            }
        }
    }
}
