//! Removing operations that ended long ago. It must not touch what is open, what still holds a lock
//! and what upstream objects were claimed: a claim is for ever.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::listing::page;
use crate::store::columns::nanoseconds;

/// Which operations ended before a time, the oldest first. The one of the last change is left out:
/// watchers wait for what comes after that change, and are shown it until then.
pub(super) const ENDED: &str = "SELECT request_id FROM operations INDEXED BY operations_ended \
     WHERE state IN (7, 8, 9) AND update_time < ?1 \
     AND NOT EXISTS (SELECT 1 FROM locks WHERE locks.request_id = operations.request_id) \
     AND request_id IS NOT (SELECT request_id FROM changes ORDER BY position DESC LIMIT 1) \
     ORDER BY update_time LIMIT ?2";

/// Removes operations that ended before a time, and tells how many.
pub(super) fn prune(
    connection: &Connection,
    ended_before: Timestamp,
    limit: usize,
) -> Result<usize, Fault> {
    let before = nanoseconds("ended_before", ended_before)?;
    let ended = connection
        .prepare_cached(ENDED)?
        .query_map(params![before, page(limit)], |row| row.get::<_, [u8; 16]>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut observed =
        connection.prepare_cached("DELETE FROM observations WHERE request_id = ?1")?;
    let mut attempts = connection.prepare_cached("DELETE FROM attempts WHERE request_id = ?1")?;
    let mut row = connection.prepare_cached("DELETE FROM operations WHERE request_id = ?1")?;
    for request_id in &ended {
        observed.execute([request_id])?;
        attempts.execute([request_id])?;
        row.execute([request_id])?;
    }
    Ok(ended.len())
}
