//! Removing operations that ended long ago. It must not touch what is open, what still holds a lock
//! and what upstream objects were claimed: a claim is for ever.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::fault::Fault;
use super::listing::page;
use super::session::Connection;
use super::write::{Turn, Work};
use crate::store::columns::nanoseconds;

/// Which operations ended before a time, the oldest first. The one of the last change is left out:
/// watchers wait for what comes after that change, and are shown it until then. Who prunes at the same
/// time takes others.
pub(super) const ENDED: &str = "SELECT request_id FROM operations \
     WHERE state IN (7, 8, 9) AND update_time < $1 \
     AND NOT EXISTS (SELECT FROM locks WHERE locks.request_id = operations.request_id) \
     AND request_id IS DISTINCT FROM \
     (SELECT request_id FROM changes ORDER BY position DESC LIMIT 1) \
     ORDER BY update_time LIMIT $2 FOR UPDATE SKIP LOCKED";

/// Removes operations that ended before a time.
pub(super) struct Prune {
    pub(super) ended_before: Timestamp,
    pub(super) limit: usize,
}

#[async_trait]
impl Work for Prune {
    type Output = usize;

    async fn run(&self, connection: &Connection) -> Result<Turn<usize>, Fault> {
        let before = nanoseconds("ended_before", self.ended_before)?;
        let statement = connection.prepare_cached(ENDED).await?;
        let rows = connection.query(&statement, &[&before, &page(self.limit)]).await?;
        let ended = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
        if ended.is_empty() {
            return Ok(Turn::Leave(0));
        }
        for table in ["observations", "attempts", "operations"] {
            let sql = format!("DELETE FROM {table} WHERE request_id = ANY ($1)");
            let statement = connection.prepare_cached(&sql).await?;
            connection.execute(&statement, &[&ended]).await?;
        }
        Ok(Turn::Keep(ended.len(), None))
    }
}
