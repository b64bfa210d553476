//! Whose account each provider is. It must not know how a key is made.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::fault::Fault;
use super::{holdings, row::text};
use crate::store::columns::{integer, nanoseconds, timestamp};
use crate::store::operation::Lock;
use crate::store::{AccountAdoption, AccountRecord};

/// Puts a record, and brings what belongs to it under its key.
pub(super) fn put(connection: &Connection, adoption: &AccountAdoption) -> Result<(), Fault> {
    let AccountRecord { provider, plugin, origin, identity, key, seen_time } = &adoption.record;
    for (request_id, version, locks) in &adoption.holders {
        hold(connection, *request_id, *version, locks)?;
    }
    for former in &adoption.formers {
        copy_claims(connection, former, key, &adoption.foreign)?;
    }
    let sql = "INSERT INTO accounts (provider, plugin, origin, identity, key, seen_time) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (provider) \
               DO UPDATE SET plugin = ?2, origin = ?3, identity = ?4, key = ?5, seen_time = ?6";
    let seen_time = nanoseconds("seen_time", *seen_time)?;
    connection
        .prepare_cached(sql)?
        .execute(params![provider, plugin, origin, identity, key, seen_time])?;
    Ok(())
}

fn copy_claims(
    connection: &Connection,
    former: &str,
    key: &str,
    foreign: &[String],
) -> Result<(), Fault> {
    // One that was copied before may be closed by now, and stays so.
    let sql = "INSERT INTO claims \
               (account, kind, upstream_id, request_id, origin, claim_time, closed_time) \
               SELECT ?2, kind, upstream_id, claims.request_id, origin, claim_time, closed_time \
               FROM claims LEFT JOIN operations ON operations.request_id = claims.request_id \
               WHERE claims.account = ?1 \
               AND (provider IS NULL OR provider NOT IN (SELECT value FROM json_each(?3))) \
               AND NOT EXISTS (SELECT 1 FROM claims AS there WHERE there.account = ?2 \
               AND there.kind = claims.kind AND there.upstream_id = claims.upstream_id \
               AND there.request_id = claims.request_id) ORDER BY kind, upstream_id, claims.id \
               ON CONFLICT (account, upstream_id, kind) WHERE closed_time IS NULL DO NOTHING";
    let foreign = serde_json::Value::from(foreign).to_string();
    connection.prepare_cached(sql)?.execute([former, key, &foreign])?;
    Ok(())
}

fn hold(
    connection: &Connection,
    request_id: Uuid,
    version: u64,
    locks: &[Lock],
) -> Result<(), Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM operations WHERE request_id = ?1 AND version = ?2)";
    let version = integer("version", version)?;
    let is_there: bool = connection
        .prepare_cached(sql)?
        .query_one(params![request_id.as_bytes(), version], |row| row.get(0))?;
    if is_there { holdings::hold(connection, locks, request_id) } else { Ok(()) }
}

/// All records.
pub(super) fn all(connection: &Connection) -> Result<Vec<AccountRecord>, Fault> {
    let sql = "SELECT provider, plugin, origin, identity, key, seen_time FROM accounts";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(read(row)?);
    }
    Ok(records)
}

fn read(row: &Row<'_>) -> Result<AccountRecord, Fault> {
    Ok(AccountRecord {
        provider: text(row, "provider")?.into_owned(),
        plugin: text(row, "plugin")?.into_owned(),
        origin: text(row, "origin")?.into_owned(),
        identity: text(row, "identity")?.into_owned(),
        key: text(row, "key")?.into_owned(),
        seen_time: timestamp(row.get("seen_time")?),
    })
}
