//! Services on record. It must not interpret a service.

use prost::Message;
use rusqlite::{Connection, Row, params};

use super::fault::Fault;
use super::listing::page;
use super::row::uuid;
use crate::store::ServiceRecord;
use crate::store::encoding::{self, corrupt};

/// Puts a record, replacing what stood there.
pub(super) fn put(connection: &Connection, record: &ServiceRecord) -> Result<(), Fault> {
    let sql = "INSERT INTO services (provider, upstream_id, operation, service) \
               VALUES (?1, ?2, ?3, ?4) ON CONFLICT (provider, upstream_id) \
               DO UPDATE SET operation = ?3, service = ?4";
    connection.prepare_cached(sql)?.execute(params![
        record.provider,
        record.upstream_id,
        record.operation.as_bytes(),
        record.service.encode_to_vec(),
    ])?;
    Ok(())
}

/// One record.
pub(super) fn get(
    connection: &Connection,
    provider: &str,
    upstream_id: &str,
) -> Result<Option<ServiceRecord>, Fault> {
    let sql = "SELECT provider, upstream_id, operation, service FROM services \
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
    let sql = "SELECT provider, upstream_id, operation, service FROM services \
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
    })
}
