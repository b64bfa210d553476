//! Services on record. It must not interpret a service.

use async_trait::async_trait;
use prost::Message;
use tokio_postgres::Row;

use super::fault::Fault;
use super::listing::page;
use super::row::Fields;
use super::session::Connection;
use super::text::escaped;
use super::write::{Turn, Work};
use crate::store::ServiceRecord;
use crate::store::encoding;

#[async_trait]
impl Work for ServiceRecord {
    type Output = ();

    /// Puts a record, replacing what stood there.
    async fn run(&self, connection: &Connection) -> Result<Turn<()>, Fault> {
        let sql = "INSERT INTO services (provider, upstream_id, operation, service) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT (provider, upstream_id) \
                   DO UPDATE SET operation = $3, service = $4";
        let statement = connection.prepare_cached(sql).await?;
        let (provider, upstream_id) = (escaped(&self.provider), escaped(&self.upstream_id));
        let service = self.service.encode_to_vec();
        let values: [super::row::Value<'_>; 4] =
            [&provider, &upstream_id, &self.operation, &service];
        connection.execute(&statement, &values).await?;
        Ok(Turn::Keep((), None))
    }
}

/// One record.
pub(super) async fn get(
    connection: &Connection,
    provider: &str,
    upstream_id: &str,
) -> Result<Option<ServiceRecord>, Fault> {
    let sql = "SELECT provider, upstream_id, operation, service FROM services \
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
    let sql = "SELECT provider, upstream_id, operation, service FROM services \
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
    })
}
