//! Accepting and committing operations. Every function looks for its answer before it writes, inside the
//! transaction of the writer thread; what turns out to be an error later is taken back whole. It must not
//! judge a transition: that a terminal state stays is all it knows of the protocol.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use super::{changes, due, holdings, listing, observations, retention, row, services};
use crate::store::columns;
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
    if services::outdated(connection, &new.services)? {
        return Ok(Accepted::Outdated);
    }
    row::write(connection, row::INSERT, operation)?;
    finish(connection, operation)?;
    holdings::hold(connection, &new.locks, operation.request_id)?;
    services::put_all(connection, &new.services)?;
    if let Some(lease) = &new.lease {
        due::lease(connection, operation.request_id, lease)?;
    }
    Ok(Accepted::Stored)
}

/// Replaces an operation and what it holds, or shows why not. What was observed is stored either way.
pub(super) fn commit(connection: &Connection, change: &Change) -> Result<Committed, Fault> {
    let Some(against) = against(connection, change)? else {
        replace(connection, change)?;
        if let Some(loser) = &change.loser {
            replace(connection, loser)?;
        }
        if let Some(observation) = &change.observation {
            observations::insert(connection, change.operation.request_id, observation)?;
        }
        return Ok(Committed::Done);
    };
    if let Some(observation) = &change.observation {
        let Operation { request_id, update_age, .. } = change.operation;
        observations::observe(connection, request_id, observation, update_age)?;
    }
    Ok(against)
}

/// Why a change cannot be made.
fn against(connection: &Connection, change: &Change) -> Result<Option<Committed>, Fault> {
    let request_id = change.operation.request_id;
    let changed = || [Some(change), change.loser.as_deref()].into_iter().flatten();
    for operation in changed().map(|it| &it.operation) {
        if stale(connection, operation)? {
            return Ok(Some(Committed::Stale));
        }
    }
    for Change { locks, operation, .. } in changed() {
        if let Some((lock, by)) = holdings::held(connection, locks, operation.request_id)? {
            return Ok(Some(Committed::Held { lock, by }));
        }
    }
    if let Some(claimed) = holdings::claimed(connection, &change.claims, request_id)? {
        return Ok(Some(claimed));
    }
    let outdated = services::outdated(connection, &change.services)?;
    Ok(outdated.then_some(Committed::Outdated))
}

fn replace(connection: &Connection, change: &Change) -> Result<(), Fault> {
    let Change { operation, locks, claims, closes, services, .. } = change;
    let request_id = operation.request_id;
    row::write(connection, row::REPLACE, operation)?;
    finish(connection, operation)?;
    holdings::let_go(connection, locks, request_id)?;
    holdings::hold(connection, locks, request_id)?;
    holdings::close(connection, closes, operation.update_age)?;
    holdings::claim(connection, claims, request_id, operation.update_age)?;
    services::put_all(connection, services)
}

/// What follows the row in either case.
fn finish(connection: &Connection, operation: &Operation) -> Result<(), Fault> {
    row::write_attempts(connection, operation)?;
    changes::append(connection, operation)
}

/// Whether the stored operation is not the one that `next` was made from, or there is none.
fn stale(connection: &Connection, next: &Operation) -> Result<bool, Fault> {
    let sql = "SELECT version FROM operations WHERE request_id = ?1 \
               AND (state NOT IN (7, 8, 9) OR state = ?2)";
    let stored: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row(params![next.request_id.as_bytes(), next.state as i32], |row| row.get(0))
        .optional()?;
    let Some(version) = stored else { return Ok(true) };
    let unapplied = observations::unapplied(connection, next.request_id)?;
    Ok(!columns::follows(next, version, &unapplied))
}
