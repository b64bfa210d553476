//! Accepting and committing operations, each as one transaction. It must not judge a transition:
//! that a terminal state stays is all it knows of the protocol.

use async_trait::async_trait;
use futures_util::future::try_join;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::changes::Place;
use super::fault::Fault;
use super::row::Value;
use super::session::Connection;
use super::write::{Turn, Work};
use super::{changes, holdings, listing, observations, retention, row, services};
use crate::store::columns;
use crate::store::operation::Operation;
use crate::store::{Accepted, Change, Committed, NewOperation, StoreError};

#[async_trait]
impl Work for NewOperation {
    type Output = Accepted;

    /// Stores a new operation, or shows why not.
    async fn run(&self, connection: &Connection) -> Result<Turn<Accepted>, Fault> {
        let Self { operation, locks, lease, services } = self;
        if operation.version != 1 {
            let what = format!("a new operation of version {}", operation.version);
            return Err(StoreError::Invalid(what).into());
        }
        let request_id = operation.request_id;
        // Who looks for the operation waits until this ends. Both are sent at once.
        let alone = observations::alone(connection, std::iter::once(request_id));
        let ((), stored) = try_join(alone, listing::get(connection, request_id))
            .await
            .map_err(of_another_acceptance)?;
        if let Some(stored) = stored {
            return Ok(Turn::Leave(Accepted::Exists(Box::new(stored))));
        }
        if let Some(pruned) = retention::pruned(connection, request_id).await? {
            return Ok(Turn::Leave(Accepted::Pruned(pruned)));
        }
        if let Some((lock, by)) = holdings::held(connection, locks, request_id).await? {
            return Ok(Turn::Leave(Accepted::Held { lock, by }));
        }
        if services::outdated(connection, services).await? {
            return Ok(Turn::Leave(Accepted::Outdated));
        }
        let place = changes::take_position(connection).await?;
        if !row::insert(connection, operation, lease.as_ref()).await? {
            return Err(Fault::Again);
        }
        row::write_attempts(connection, operation).await?;
        holdings::hold(connection, locks, request_id).await?;
        services::put_all(connection, services).await?;
        changes::append(connection, &place, operation).await?;
        Ok(Turn::Keep(Accepted::Stored, Some(place)))
    }
}

/// An acceptance of the same request id that has not ended for long may be stored yet.
fn of_another_acceptance(fault: Fault) -> Fault {
    match fault {
        Fault::Server(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let what = "an earlier acceptance of the request id is still being committed";
            StoreError::Ambiguous(what.to_owned()).into()
        }
        other => other,
    }
}

#[async_trait]
impl Work for Change {
    type Output = Committed;

    /// Replaces an operation and what it holds, or shows why not. What was observed is stored either way.
    async fn run(&self, connection: &Connection) -> Result<Turn<Committed>, Fault> {
        let loser = self.loser.as_deref();
        let changed: Vec<&Change> = [Some(self), loser].into_iter().flatten().collect();
        observations::alone(connection, changed.iter().map(|it| it.operation.request_id)).await?;
        let Some(against) = against(connection, self, &changed).await? else {
            let place = self.replace_all(connection, &changed).await?;
            return Ok(Turn::Keep(Committed::Done, place));
        };
        let Some(observation) = &self.observation else { return Ok(Turn::Leave(against)) };
        let Operation { request_id, update_age, .. } = self.operation;
        observations::observe(connection, request_id, observation, update_age).await?;
        Ok(Turn::Keep(against, None))
    }
}

impl Change {
    /// Writes all of it, and tells the place of the last change. It is begun again where a row is another
    /// than it was when it was looked at.
    async fn replace_all(
        &self,
        connection: &Connection,
        changed: &[&Change],
    ) -> Result<Option<Place>, Fault> {
        let places = changes::take_positions(connection, changed.len()).await?;
        for (change, place) in changed.iter().zip(&places) {
            change.replace_row(connection, place).await?;
        }
        for Change { operation, locks, .. } in changed {
            holdings::hold(connection, locks, operation.request_id).await?;
        }
        for Change { operation, claims, closes, .. } in changed {
            let Operation { request_id, update_age, .. } = operation;
            holdings::close(connection, closes, *update_age).await?;
            holdings::claim(connection, claims, *request_id, *update_age).await?;
        }
        for Change { services, .. } in changed {
            services::put_all(connection, services).await?;
        }
        if let Some(observation) = &self.observation {
            observations::insert(connection, self.operation.request_id, observation).await?;
        }
        Ok(places.last().copied())
    }

    async fn replace_row(&self, connection: &Connection, place: &Place) -> Result<(), Fault> {
        if !row::replace(connection, &self.operation).await? {
            return Err(Fault::Again);
        }
        row::write_attempts(connection, &self.operation).await?;
        changes::append(connection, place, &self.operation).await
    }
}

/// Why a change cannot be made.
async fn against(
    connection: &Connection,
    change: &Change,
    changed: &[&Change],
) -> Result<Option<Committed>, Fault> {
    let request_id = change.operation.request_id;
    for operation in changed.iter().map(|it| &it.operation) {
        if stale(connection, operation).await? {
            return Ok(Some(Committed::Stale));
        }
    }
    for Change { locks, operation, .. } in changed {
        if let Some((lock, by)) = holdings::held(connection, locks, operation.request_id).await? {
            return Ok(Some(Committed::Held { lock, by }));
        }
    }
    if let Some(claimed) = holdings::claimed(connection, &change.claims, request_id).await? {
        return Ok(Some(claimed));
    }
    let outdated = services::outdated(connection, &change.services).await?;
    Ok(outdated.then_some(Committed::Outdated))
}

/// Whether the stored operation is not the one that `next` was made from, or there is none. What is not
/// stale here can be so when it is replaced, which looks again.
async fn stale(connection: &Connection, next: &Operation) -> Result<bool, Fault> {
    let sql = "SELECT version, ARRAY (\
               SELECT nonce FROM observations JOIN attempts USING (request_id, nonce) \
               WHERE request_id = $1 AND attempts.observed = 0) \
               FROM operations WHERE request_id = $1 AND (state NOT IN (7, 8, 9) OR state = $2)";
    let statement = connection.prepare_cached(sql).await?;
    let values: [Value<'_>; 2] = [&next.request_id, &(next.state as i32)];
    let Some(row) = connection.query_opt(&statement, &values).await? else { return Ok(true) };
    let (version, unapplied): (i64, Vec<Uuid>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(!columns::follows(next, version, &unapplied))
}
