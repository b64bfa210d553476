//! Whose account each provider is. It must not know how a key is made.

use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;

use super::fault::Fault;
use super::holdings;
use super::row::{Fields, Value};
use super::session::Connection;
use super::text::escaped;
use super::write::{Turn, Work};
use crate::store::columns::{integer, nanoseconds, timestamp};
use crate::store::{AccountAdoption, AccountRecord};

#[async_trait]
impl Work for AccountAdoption {
    type Output = ();

    /// Puts the record, and brings what belongs to it under its key.
    async fn run(&self, connection: &Connection) -> Result<Turn<()>, Fault> {
        let record = &self.record;
        let mut unchanged = Vec::new();
        for (request_id, version, locks) in &self.holders {
            if keep(connection, *request_id, *version).await? {
                unchanged.push((*request_id, locks));
            }
        }
        for (request_id, locks) in unchanged {
            holdings::take(connection, locks, request_id).await?;
        }
        for former in &self.formers {
            copy_claims(connection, former, &record.key, &self.foreign).await?;
        }
        let sql = "INSERT INTO accounts (provider, plugin, origin, identity, key, seen_time) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (provider) \
                   DO UPDATE SET plugin = $2, origin = $3, identity = $4, key = $5, seen_time = $6";
        let statement = connection.prepare_cached(sql).await?;
        let seen_time = nanoseconds("seen_time", record.seen_time)?;
        let texts =
            [&record.provider, &record.plugin, &record.origin, &record.identity, &record.key];
        let texts = texts.map(|text| escaped(text));
        let mut values: Vec<Value<'_>> = texts.iter().map(|text| text as Value<'_>).collect();
        values.push(&seen_time);
        connection.execute(&statement, &values).await?;
        Ok(Turn::Keep((), None))
    }
}

async fn copy_claims(
    connection: &Connection,
    former: &str,
    key: &str,
    foreign: &[String],
) -> Result<(), Fault> {
    // One that was copied before may be closed by now, and stays so.
    let sql = "INSERT INTO claims \
               (account, kind, upstream_id, request_id, origin, claim_time, closed_time) \
               SELECT $2, kind, upstream_id, claims.request_id, origin, claim_time, closed_time \
               FROM claims LEFT JOIN operations ON operations.request_id = claims.request_id \
               WHERE claims.account = $1 AND (provider IS NULL OR provider <> ALL ($3)) \
               AND NOT EXISTS (SELECT FROM claims AS there WHERE there.account = $2 \
               AND there.kind = claims.kind AND there.upstream_id = claims.upstream_id \
               AND there.request_id = claims.request_id) ORDER BY kind, upstream_id, claims.id \
               ON CONFLICT (account, upstream_id, kind) WHERE closed_time IS NULL DO NOTHING";
    let statement = connection.prepare_cached(sql).await?;
    let foreign: Vec<String> = foreign.iter().map(|it| escaped(it).into_owned()).collect();
    connection.execute(&statement, &[&escaped(former), &escaped(key), &foreign]).await?;
    Ok(())
}

/// Keeps a row of that version from changing until this transaction ends, so that no lock outlives its
/// operation. False where the row is of another version.
async fn keep(connection: &Connection, request_id: Uuid, version: u64) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM operations WHERE request_id = $1 AND version = $2 FOR SHARE";
    let statement = connection.prepare_cached(sql).await?;
    let version = integer("version", version)?;
    Ok(connection.query_opt(&statement, &[&request_id, &version]).await?.is_some())
}

/// All records.
pub(super) async fn all(connection: &Connection) -> Result<Vec<AccountRecord>, Fault> {
    let sql = "SELECT provider, plugin, origin, identity, key, seen_time FROM accounts";
    let statement = connection.prepare_cached(sql).await?;
    connection.query(&statement, &[]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<AccountRecord, Fault> {
    let mut fields = Fields::of(row);
    Ok(AccountRecord {
        provider: fields.text()?.into_owned(),
        plugin: fields.text()?.into_owned(),
        origin: fields.text()?.into_owned(),
        identity: fields.text()?.into_owned(),
        key: fields.text()?.into_owned(),
        seen_time: timestamp(fields.value()?),
    })
}
