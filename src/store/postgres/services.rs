//! Services on record. It must not interpret a service.

use async_trait::async_trait;
use prost::Message;
use tokio_postgres::Row;

use super::fault::Fault;
use super::row::Fields;
use super::session::Connection;
use super::text::escaped;
use super::write::{Turn, Work};
use crate::store::ServiceRecord;
use crate::store::age::Age;
use crate::store::columns::{integer, page, unsigned};
use crate::store::encoding;

/// A record by itself, as a write; false where it is outdated.
pub(super) struct Put(pub(super) ServiceRecord);

#[async_trait]
impl Work for Put {
    type Output = bool;

    async fn run(&self, connection: &Connection) -> Result<Turn<bool>, Fault> {
        let records = std::slice::from_ref(&self.0);
        if outdated(connection, records).await? {
            return Ok(Turn::Leave(false));
        }
        put_all(connection, records).await?;
        Ok(Turn::Keep(true, None))
    }
}

/// Whether one of the records was read in another version than the stored one. What is not so here can
/// be so when it is put, which looks again.
pub(super) async fn outdated(
    connection: &Connection,
    records: &[ServiceRecord],
) -> Result<bool, Fault> {
    let sql = "SELECT version FROM services WHERE provider = $1 AND upstream_id = $2";
    for record in records {
        let statement = connection.prepare_cached(sql).await?;
        let (provider, upstream_id) = (escaped(&record.provider), escaped(&record.upstream_id));
        let stored = connection.query_opt(&statement, &[&provider, &upstream_id]).await?;
        let version = stored.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
        if unsigned("services.version", version)? != record.version {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts records that are not outdated, replacing what stood there.
pub(super) async fn put_all(
    connection: &Connection,
    records: &[ServiceRecord],
) -> Result<(), Fault> {
    let sql = "INSERT INTO services (provider, upstream_id, operation, service, version, gone_since) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (provider, upstream_id) \
               DO UPDATE SET operation = $3, service = $4, version = $5, gone_since = $6 \
               WHERE services.version = $5 - 1";
    let mut sorted: Vec<&ServiceRecord> = records.iter().collect();
    // In one order everywhere, so that two do not wait for each other.
    sorted.sort_unstable_by_key(|record| (&record.provider, &record.upstream_id));
    for record in sorted {
        let statement = connection.prepare_cached(sql).await?;
        let (provider, upstream_id) = (escaped(&record.provider), escaped(&record.upstream_id));
        let service = record.service.encode_to_vec();
        let version = integer("services.version", record.version + 1)?;
        let gone_since = record.gone_since.map(Age::as_nanos);
        let values: [super::row::Value<'_>; 6] =
            [&provider, &upstream_id, &record.operation, &service, &version, &gone_since];
        if connection.execute(&statement, &values).await? == 0 {
            return Err(Fault::Again);
        }
    }
    Ok(())
}

/// One record.
pub(super) async fn get(
    connection: &Connection,
    provider: &str,
    upstream_id: &str,
) -> Result<Option<ServiceRecord>, Fault> {
    let sql = "SELECT provider, upstream_id, operation, service, version, gone_since FROM services \
               WHERE provider = $1 AND upstream_id = $2";
    let statement = connection.prepare_cached(sql).await?;
    let (provider, upstream_id) = (escaped(provider), escaped(upstream_id));
    let found = connection.query_opt(&statement, &[&provider, &upstream_id]).await?;
    found.as_ref().map(read).transpose()
}

/// The records of a provider after an id, in the order of the ids' bytes.
pub(super) async fn after(
    connection: &Connection,
    provider: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<ServiceRecord>, Fault> {
    let sql = "SELECT provider, upstream_id, operation, service, version, gone_since FROM services \
               WHERE provider = $1 AND upstream_id > $2 ORDER BY upstream_id LIMIT $3";
    let statement = connection.prepare_cached(sql).await?;
    let (provider, after) = (escaped(provider), escaped(after));
    let rows = connection.query(&statement, &[&provider, &after, &page(limit)]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<ServiceRecord, Fault> {
    let mut fields = Fields::of(row);
    Ok(ServiceRecord {
        provider: fields.text()?.into_owned(),
        upstream_id: fields.text()?.into_owned(),
        operation: fields.value()?,
        service: encoding::message("service", &fields.bytes()?)?,
        version: unsigned("services.version", fields.value()?)?,
        gone_since: fields.value::<Option<i64>>()?.map(Age::from_nanos),
    })
}
