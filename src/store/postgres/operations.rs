//! Accepting and committing operations, each as one transaction. It must not judge a transition:
//! that a terminal state stays is all it knows of the protocol.

use async_trait::async_trait;
use uuid::Uuid;

use super::fault::Fault;
use super::session::Connection;
use super::write::{Turn, Work};
use super::{changes, holdings, listing, retention, row};
use crate::store::columns::unsigned;
use crate::store::operation::Operation;
use crate::store::{Accepted, Change, Committed, NewOperation, StoreError};

#[async_trait]
impl Work for NewOperation {
    type Output = Accepted;

    /// Stores a new operation, or shows why not.
    async fn run(&self, connection: &Connection) -> Result<Turn<Accepted>, Fault> {
        let Self { operation, locks, lease } = self;
        if operation.version != 1 {
            let what = format!("a new operation of version {}", operation.version);
            return Err(StoreError::Invalid(what).into());
        }
        let request_id = operation.request_id;
        if let Some(stored) = listing::get(connection, request_id).await? {
            return Ok(Turn::Leave(Accepted::Exists(Box::new(stored))));
        }
        if let Some(pruned) = retention::pruned(connection, request_id).await? {
            return Ok(Turn::Leave(Accepted::Pruned(pruned)));
        }
        if let Some((lock, by)) = holdings::held(connection, locks, request_id).await? {
            return Ok(Turn::Leave(Accepted::Held { lock, by }));
        }
        let place = changes::take_position(connection).await?;
        if !row::insert(connection, operation, lease.as_ref()).await? {
            return Err(Fault::Again);
        }
        row::write_attempts(connection, operation).await?;
        holdings::hold(connection, locks, request_id).await?;
        changes::append(connection, &place, operation).await?;
        Ok(Turn::Keep(Accepted::Stored, Some(place)))
    }
}

#[async_trait]
impl Work for Change {
    type Output = Committed;

    /// Replaces an operation and what it holds, or shows why not.
    async fn run(&self, connection: &Connection) -> Result<Turn<Committed>, Fault> {
        let Self { operation, locks, claims } = self;
        let request_id = operation.request_id;
        if stale(connection, operation).await? {
            return Ok(Turn::Leave(Committed::Stale));
        }
        if let Some((lock, by)) = holdings::held(connection, locks, request_id).await? {
            return Ok(Turn::Leave(Committed::Held { lock, by }));
        }
        if let Some((claim, by)) = holdings::claimed(connection, claims, request_id).await? {
            return Ok(Turn::Leave(Committed::Claimed { claim, by }));
        }
        let place = changes::take_position(connection).await?;
        if !row::replace(connection, operation).await? {
            return Ok(Turn::Leave(Committed::Stale));
        }
        row::write_attempts(connection, operation).await?;
        holdings::hold(connection, locks, request_id).await?;
        holdings::claim(connection, claims, request_id, operation.update_age).await?;
        changes::append(connection, &place, operation).await?;
        Ok(Turn::Keep(Committed::Done, Some(place)))
    }
}

/// Whether the stored row is not the one that `next` was made from. A row that does not exist is
/// not. What is not stale here can be so when it is replaced, which looks again.
async fn stale(connection: &Connection, next: &Operation) -> Result<bool, Fault> {
    let sql = "SELECT version FROM operations WHERE request_id = $1 \
               AND (state NOT IN (7, 8, 9) OR state = $2 AND wake_time IS NOT NULL)";
    let statement = connection.prepare_cached(sql).await?;
    let request_id: Uuid = next.request_id;
    let Some(row) = connection.query_opt(&statement, &[&request_id, &(next.state as i32)]).await?
    else {
        return Ok(true);
    };
    let stored = unsigned("version", row.try_get(0)?)?;
    Ok(stored.checked_add(1) != Some(next.version))
}
