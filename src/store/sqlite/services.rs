//! Services on record. It must not interpret a service.

use prost::Message;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use super::row::uuid;
use crate::store::ServiceRecord;
use crate::store::age::Age;
use crate::store::columns::{integer, page, unsigned};
use crate::store::encoding::{self, corrupt};

/// Whether one of the records was read in another version than the stored one.
pub(super) fn outdated(connection: &Connection, records: &[ServiceRecord]) -> Result<bool, Fault> {
    let sql = "SELECT version FROM services WHERE provider = ?1 AND upstream_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for record in records {
        let keys = [&record.provider, &record.upstream_id];
        let stored: Option<i64> = statement.query_row(keys, |row| row.get(0)).optional()?;
        if unsigned("services.version", stored.unwrap_or(0))? != record.version {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts records that are not outdated, replacing what stood there.
pub(super) fn put_all(connection: &Connection, records: &[ServiceRecord]) -> Result<(), Fault> {
    let sql = "INSERT INTO services (provider, upstream_id, operation, service, version, gone_since) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (provider, upstream_id) \
               DO UPDATE SET operation = ?3, service = ?4, version = ?5, gone_since = ?6";
    let mut statement = connection.prepare_cached(sql)?;
    for record in records {
        statement.execute(params![
            record.provider,
            record.upstream_id,
            record.operation.as_bytes(),
            record.service.encode_to_vec(),
            integer("services.version", record.version + 1)?,
            record.gone_since.map(Age::as_nanos),
        ])?;
    }
    Ok(())
}

/// Puts one record, and closes claims; false where the record is outdated.
pub(super) fn put(connection: &Connection, record: ServiceRecord) -> Result<bool, Fault> {
    let records = [record];
    if outdated(connection, &records)? {
        return Ok(false);
    }
    put_all(connection, &records)?;
    Ok(true)
}

/// One record.
pub(super) fn get(
    connection: &Connection,
    provider: &str,
    upstream_id: &str,
) -> Result<Option<ServiceRecord>, Fault> {
    let sql = "SELECT provider, upstream_id, operation, service, version, gone_since FROM services \
               WHERE provider = ?1 AND upstream_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([provider, upstream_id])?;
    rows.next()?.map(read).transpose()
}

/// The records of a provider after an id, in the order of the ids' bytes.
pub(super) fn after(
    connection: &Connection,
    provider: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<ServiceRecord>, Fault> {
    let sql = "SELECT provider, upstream_id, operation, service, version, gone_since FROM services \
               WHERE provider = ?1 AND upstream_id > ?2 ORDER BY upstream_id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![provider, after, page(limit)])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(read(row)?);
    }
    Ok(records)
}

fn read(row: &Row<'_>) -> Result<ServiceRecord, Fault> {
    let service = row.get_ref("service")?.as_blob().map_err(|e| corrupt("service", e))?;
    Ok(ServiceRecord {
        provider: row.get("provider")?,
        upstream_id: row.get("upstream_id")?,
        operation: uuid(row, "operation")?,
        service: encoding::message("service", service)?,
        version: unsigned("services.version", row.get("version")?)?,
        gone_since: row.get::<_, Option<i64>>("gone_since")?.map(Age::from_nanos),
    })
}
