//! Removing operations that ended long ago. It must not touch what is open, what still holds a lock
//! and what upstream objects were claimed: a claim is for ever.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::columns::{self, nanoseconds, page};
use crate::store::{EndedBefore, Pruned};

/// Which operations ended before a time on both clocks, the oldest first. The one of the last change is
/// left out: watchers wait for what comes after that change, and are shown it until then.
pub(super) const ENDED: &str = "SELECT request_id FROM operations INDEXED BY operations_ended \
     WHERE state IN (7, 8, 9) AND update_age < ?1 AND update_time < ?2 \
     AND NOT EXISTS (SELECT 1 FROM locks WHERE locks.request_id = operations.request_id) \
     AND request_id IS NOT (SELECT request_id FROM changes ORDER BY position DESC LIMIT 1) \
     ORDER BY update_age LIMIT ?3";

/// What stays of an operation that was removed.
pub(super) fn pruned(connection: &Connection, request_id: Uuid) -> Result<Option<Pruned>, Fault> {
    let sql = "SELECT fingerprint, state, end_time FROM pruned WHERE request_id = ?1";
    let found: Option<(Vec<u8>, i64, i64)> = connection
        .prepare_cached(sql)?
        .query_row([request_id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let found = found.map(|(fingerprint, state, end)| columns::pruned(&fingerprint, state, end));
    Ok(found.transpose()?)
}

/// Removes operations that ended before a time, and tells how many.
pub(super) fn prune(
    connection: &Connection,
    ended: EndedBefore,
    limit: usize,
) -> Result<usize, Fault> {
    let (age, wall) = (ended.age.as_nanos(), nanoseconds("ended.wall", ended.wall)?);
    let ended = connection
        .prepare_cached(ENDED)?
        .query_map(params![age, wall, page(limit)], |row| row.get::<_, [u8; 16]>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let kept = "INSERT INTO pruned (request_id, fingerprint, state, end_time) \
                SELECT request_id, fingerprint, state, update_time FROM operations \
                WHERE request_id = ?1";
    let mut kept = connection.prepare_cached(kept)?;
    let mut observed =
        connection.prepare_cached("DELETE FROM observations WHERE request_id = ?1")?;
    let mut attempts = connection.prepare_cached("DELETE FROM attempts WHERE request_id = ?1")?;
    let mut row = connection.prepare_cached("DELETE FROM operations WHERE request_id = ?1")?;
    for request_id in &ended {
        kept.execute([request_id])?;
        observed.execute([request_id])?;
        attempts.execute([request_id])?;
        row.execute([request_id])?;
    }
    Ok(ended.len())
}
