//! What the host observed of attempts: rows that are written once and never changed. It must not know
//! what follows from one.
//!
//! A commit must know every observation that was committed before it. So whoever writes either of them
//! first waits for the operation's advisory lock, and looks in statements of their own after that, which
//! see what the one before has committed.

use async_trait::async_trait;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::fault::Fault;
use super::row::Value;
use super::session::Connection;
use super::text::escaped;
use super::write::{Turn, Work};
use crate::store::StoreError;
use crate::store::age::Age;
use crate::store::operation::Observation;

/// An observation by itself, as a write.
pub(super) struct Observe {
    pub(super) request_id: Uuid,
    pub(super) observation: Observation,
    pub(super) now: Age,
}

#[async_trait]
impl Work for Observe {
    type Output = ();

    async fn run(&self, connection: &Connection) -> Result<Turn<()>, Fault> {
        alone(connection, std::iter::once(self.request_id)).await?;
        observe(connection, self.request_id, &self.observation, self.now).await?;
        Ok(Turn::Keep((), None))
    }
}

/// Waits until nobody else changes these operations, and keeps others waiting until the transaction
/// ends. It writes nothing, so that the transaction has no number yet.
pub(super) async fn alone(
    connection: &Connection,
    request_ids: impl Iterator<Item = Uuid>,
) -> Result<(), Fault> {
    let mut keys: Vec<i64> = request_ids.map(key).collect();
    // In one order everywhere, so that two do not wait for each other.
    keys.sort_unstable();
    for key in keys {
        let statement = connection.prepare_cached("SELECT pg_advisory_xact_lock($1)").await?;
        connection.execute(&statement, &[&key]).await?;
    }
    Ok(())
}

/// Waits until nobody is storing or changing an operation: whoever does has not committed yet, and may
/// have been told nothing of it.
pub(super) async fn unchanging(connection: &Connection, request_id: Uuid) -> Result<(), Fault> {
    let statement = connection.prepare_cached("SELECT pg_advisory_xact_lock_shared($1)").await?;
    match connection.execute(&statement, &[&key(request_id)]).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let what =
                "a commit of the operation is under way, and whether it succeeds is not known";
            Err(StoreError::Ambiguous(what.to_owned()).into())
        }
        other => Ok(other.map(drop)?),
    }
}

/// Two operations with one key only wait for each other.
fn key(request_id: Uuid) -> i64 {
    let (high, low) = request_id.as_u64_pair();
    (high ^ low).cast_signed()
}

/// Stores an observation, unless its attempt has one.
pub(super) async fn insert(
    connection: &Connection,
    request_id: Uuid,
    observation: &Observation,
) -> Result<(), Fault> {
    let sql = "INSERT INTO observations (request_id, nonce, observed, upstream_id, content) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (request_id, nonce) DO NOTHING";
    let Observation { nonce, observed, upstream_id, content } = observation;
    let statement = connection.prepare_cached(sql).await?;
    let values: [Value<'_>; 5] =
        [&request_id, nonce, &i32::from(*observed), &escaped(upstream_id), content];
    connection.execute(&statement, &values).await?;
    Ok(())
}

/// Stores an observation that the operation does not reflect, and makes the operation due, so that
/// somebody applies it even if its finder dies now.
pub(super) async fn observe(
    connection: &Connection,
    request_id: Uuid,
    observation: &Observation,
    now: Age,
) -> Result<(), Fault> {
    insert(connection, request_id, observation).await?;
    let sql = "UPDATE operations SET wake_time = $2 \
               WHERE request_id = $1 AND (wake_time IS NULL OR wake_time > $2)";
    let statement = connection.prepare_cached(sql).await?;
    let now = now.as_nanos();
    connection.execute(&statement, &[&request_id, &now]).await?;
    Ok(())
}
