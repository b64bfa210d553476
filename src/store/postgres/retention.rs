//! Removing operations that ended long ago. It must not touch what is open, what still holds a lock
//! and what upstream objects were claimed: a claim is for ever.

use async_trait::async_trait;
use uuid::Uuid;

use super::fault::Fault;
use super::row::Fields;
use super::session::Connection;
use super::write::{Turn, Work};
use crate::store::columns::{self, nanoseconds, page};
use crate::store::{EndedBefore, Pruned};

/// Which operations ended before a time on both clocks, the oldest first. The one of the last change is
/// left out: watchers wait for what comes after that change, and are shown it until then. Who prunes at
/// the same time takes others.
pub(super) const ENDED: &str = "SELECT request_id FROM operations \
     WHERE state IN (7, 8, 9) AND update_age < $1 AND update_time < $2 \
     AND NOT EXISTS (SELECT FROM locks WHERE locks.request_id = operations.request_id) \
     AND request_id IS DISTINCT FROM \
     (SELECT request_id FROM changes ORDER BY position DESC LIMIT 1) \
     ORDER BY update_age LIMIT $3 FOR UPDATE SKIP LOCKED";

/// What stays of an operation that was removed.
pub(super) async fn pruned(
    connection: &Connection,
    request_id: Uuid,
) -> Result<Option<Pruned>, Fault> {
    let sql = "SELECT fingerprint, state, end_time FROM pruned WHERE request_id = $1";
    let statement = connection.prepare_cached(sql).await?;
    let Some(row) = connection.query_opt(&statement, &[&request_id]).await? else {
        return Ok(None);
    };
    let mut fields = Fields::of(&row);
    let (fingerprint, state) = (fields.bytes()?, fields.value::<i32>()?);
    Ok(Some(columns::pruned(&fingerprint, state.into(), fields.value()?)?))
}

/// Removes operations that ended before a time.
pub(super) struct Prune {
    pub(super) ended: EndedBefore,
    pub(super) limit: usize,
}

#[async_trait]
impl Work for Prune {
    type Output = usize;

    async fn run(&self, connection: &Connection) -> Result<Turn<usize>, Fault> {
        let age = self.ended.age.as_nanos();
        let wall = nanoseconds("ended.wall", self.ended.wall)?;
        let statement = connection.prepare_cached(ENDED).await?;
        let rows = connection.query(&statement, &[&age, &wall, &page(self.limit)]).await?;
        let ended = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
        if ended.is_empty() {
            return Ok(Turn::Leave(0));
        }
        let sql = "INSERT INTO pruned (request_id, fingerprint, state, end_time) \
                   SELECT request_id, fingerprint, state, update_time FROM operations \
                   WHERE request_id = ANY ($1)";
        let statement = connection.prepare_cached(sql).await?;
        connection.execute(&statement, &[&ended]).await?;
        for table in ["observations", "attempts", "operations"] {
            let sql = format!("DELETE FROM {table} WHERE request_id = ANY ($1)");
            let statement = connection.prepare_cached(&sql).await?;
            connection.execute(&statement, &[&ended]).await?;
        }
        Ok(Turn::Keep(ended.len(), None))
    }
}
