//! Accepting and committing operations. Every function looks at everything that could forbid the
//! write before it writes, inside the transaction of the writer thread. It must not judge a
//! transition: that a terminal state stays is all it knows of the protocol.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use super::holdings;
use super::{changes, due, listing, retention, row};
use crate::store::columns::unsigned;
use crate::store::operation::Operation;
use crate::store::{Accepted, Change, Committed, NewOperation, StoreError};

/// Stores a new operation, or shows why not.
pub(super) fn accept(connection: &Connection, new: &NewOperation) -> Result<Accepted, Fault> {
    let operation = &new.operation;
    if operation.version != 1 {
        let what = format!("a new operation of version {}", operation.version);
        return Err(StoreError::Invalid(what).into());
    }
    if let Some(stored) = listing::get(connection, operation.request_id)? {
        return Ok(Accepted::Exists(Box::new(stored)));
    }
    if let Some(pruned) = retention::pruned(connection, operation.request_id)? {
        return Ok(Accepted::Pruned(pruned));
    }
    if let Some((lock, by)) = holdings::held(connection, &new.locks, operation.request_id)? {
        return Ok(Accepted::Held { lock, by });
    }
    row::write(connection, row::INSERT, operation)?;
    finish(connection, operation)?;
    holdings::hold(connection, &new.locks, operation.request_id)?;
    if let Some(lease) = &new.lease {
        due::lease(connection, operation.request_id, lease)?;
    }
    Ok(Accepted::Stored)
}

/// Replaces an operation and what it holds, or shows why not.
pub(super) fn commit(connection: &Connection, change: &Change) -> Result<Committed, Fault> {
    let operation = &change.operation;
    let request_id = operation.request_id;
    if stale(connection, operation)? {
        return Ok(Committed::Stale);
    }
    if let Some((lock, by)) = holdings::held(connection, &change.locks, request_id)? {
        return Ok(Committed::Held { lock, by });
    }
    if let Some((claim, by)) = holdings::claimed(connection, &change.claims, request_id)? {
        return Ok(Committed::Claimed { claim, by });
    }
    row::write(connection, row::REPLACE, operation)?;
    finish(connection, operation)?;
    holdings::let_go(connection, &change.locks, request_id)?;
    holdings::hold(connection, &change.locks, request_id)?;
    holdings::claim(connection, &change.claims, request_id, operation.update_age)?;
    Ok(Committed::Done)
}

/// What follows the row in either case.
fn finish(connection: &Connection, operation: &Operation) -> Result<(), Fault> {
    row::write_attempts(connection, operation)?;
    changes::append(connection, operation)
}

/// Whether the stored row is not the one that `next` was made from. A row that does not exist is
/// not.
fn stale(connection: &Connection, next: &Operation) -> Result<bool, Fault> {
    let sql = "SELECT version FROM operations WHERE request_id = ?1 \
               AND (state NOT IN (7, 8, 9) OR state = ?2 AND wake_time IS NOT NULL)";
    let stored: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row(params![next.request_id.as_bytes(), next.state as i32], |row| row.get(0))
        .optional()?;
    let Some(stored) = stored else { return Ok(true) };
    Ok(unsigned("version", stored)?.checked_add(1) != Some(next.version))
}
