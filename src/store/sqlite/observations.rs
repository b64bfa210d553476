//! What the host observed of attempts: rows that are written once and never changed. It must not know
//! what follows from one.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::age::Age;
use crate::store::encoding;
use crate::store::operation::Observation;

/// The observations that the stored attempts do not reflect.
const UNAPPLIED: &str = "SELECT nonce FROM observations JOIN attempts USING (request_id, nonce) \
     WHERE request_id = ?1 AND attempts.observed = 0";

/// Stores an observation, unless its attempt has one.
pub(super) fn insert(
    connection: &Connection,
    request_id: Uuid,
    observation: &Observation,
) -> Result<(), Fault> {
    let sql = "INSERT INTO observations (request_id, nonce, observed, upstream_id, content) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (request_id, nonce) DO NOTHING";
    let Observation { nonce, observed, upstream_id, content } = observation;
    connection.prepare_cached(sql)?.execute(params![
        request_id.as_bytes(),
        nonce.as_bytes(),
        i32::from(*observed),
        upstream_id,
        content
    ])?;
    Ok(())
}

/// Stores an observation that the operation does not reflect, and makes the operation due, so that
/// somebody applies it even if its finder dies now.
pub(super) fn observe(
    connection: &Connection,
    request_id: Uuid,
    observation: &Observation,
    now: Age,
) -> Result<(), Fault> {
    insert(connection, request_id, observation)?;
    let sql = "UPDATE operations SET wake_time = ?2 \
               WHERE request_id = ?1 AND (wake_time IS NULL OR wake_time > ?2)";
    let now = now.as_nanos();
    connection.prepare_cached(sql)?.execute(params![request_id.as_bytes(), now])?;
    Ok(())
}

/// The nonces of what the operation does not reflect.
pub(super) fn unapplied(connection: &Connection, request_id: Uuid) -> Result<Vec<Uuid>, Fault> {
    let mut statement = connection.prepare_cached(UNAPPLIED)?;
    let mut rows = statement.query([request_id.as_bytes()])?;
    let mut nonces = Vec::new();
    while let Some(row) = rows.next()? {
        nonces.push(encoding::uuid("observations.nonce", &row.get::<_, Vec<u8>>(0)?)?);
    }
    Ok(nonces)
}
