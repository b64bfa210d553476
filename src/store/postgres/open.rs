//! Opening a database: that it can be reached and is fit, and that its tables are ours and of a
//! version that is known. Nothing is written to a database before it is known to be ours or empty.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::doubt::{Look, OBJECTS, TIMELINE};
use super::fault::{self, Fault, RoundTripError};
use super::pooler;
use super::row::Value;
use super::session::{Connection, ROUND_TRIP_MAX, Sessions};
use super::text::restored;
use crate::store::age::Age;
use crate::store::{StoreError, encoding};

/// What leads from each version to the next; the first makes the tables.
const MIGRATIONS: [&str; 12] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
    include_str!("schema/0010.sql"),
    include_str!("schema/0011.sql"),
    include_str!("schema/0012.sql"),
];

/// The version from which on the store has an age.
const WITH_AGE: i32 = 6;

/// The version from which on an object may have several identifiers.
const WITH_LISTS: i32 = 9;

/// The version from which on the store knows its own tables.
const WITH_OBJECTS: i32 = 12;

/// The version that this program reads and writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Held while the tables are made or brought forward. The first number is ours: "PRVY".
const MIGRATING: &str = "SELECT pg_advisory_xact_lock(1347573337, 1)";

/// How long one statement of a migration or a backup may take, and the wait for another gateway's migration.
const LONG_MAX: Duration = Duration::from_secs(3600);

/// Why a database was not opened. Nothing of it was changed but, where that was the last step that
/// could be done, an older schema brought forward.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What the configuration asks for cannot be set up.
    #[error("the store cannot be set up: {0}")]
    Setup(String),
    /// The certificate authorities that were given.
    #[error("the certificate authorities in {path} cannot be used: {what}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Nobody answers, or does not let us in, or is not fit: too old, a standby, not durable.
    #[error("the store cannot be used: {0}")]
    Unfit(String),
    /// There is a schema of our name that is not ours.
    #[error(
        "the database has a schema purveyor of another program; name another database in store.url"
    )]
    Foreign,
    /// Written by a newer version of this program.
    #[error(
        "the store has schema version {found}, and this program knows versions up to {known}; start \
         the version that wrote it, or a newer one"
    )]
    NewerSchema {
        /// Its version.
        found: u32,
        /// The newest known version.
        known: u32,
    },
    /// The file that remembers how far the store was cannot be read or written.
    #[error(
        "store.witness_file {path} cannot be used: {what}; where it is damaged, `purveyor store confirm` \
         writes it anew"
    )]
    Witness {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Whatever else the server says.
    #[error("the store cannot be opened: {0}")]
    Server(String),
}

impl From<RoundTripError> for OpenError {
    fn from(error: RoundTripError) -> Self {
        let text = fault::text(&error);
        // A role that may not make our schema, or use it.
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Self::Unfit(text);
        }
        Self::Server(text)
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        RoundTripError::from(error).into()
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Server(error) => error.into(),
            other => Self::Server(other.into_error().to_string()),
        }
    }
}

/// Connects, and brings the tables to [`VERSION`].
pub(super) async fn open(sessions: &Sessions) -> Result<(Connection, Look), OpenError> {
    let mut connection = connect(sessions).await?;
    pooler::refuse(&connection, &connect(sessions).await?).await.map_err(OpenError::Unfit)?;
    // Whatever keeps the version from being read is seen again under the lock.
    if !matches!(version(&connection).await, Ok(VERSION)) {
        connection = migrated(connection).await?;
    }
    let look = Look::at(&connection, None).await?.map_err(OpenError::Server)?;
    Ok((connection, look))
}

/// A connection, or why the server is not fit.
pub(super) async fn connect(sessions: &Sessions) -> Result<Connection, OpenError> {
    sessions.get().await.map_err(|error| match error {
        StoreError::Unavailable(what) => OpenError::Unfit(what),
        other => OpenError::Server(other.to_string()),
    })
}

/// Brings the tables forward in one transaction.
async fn migrated(connection: Connection) -> Result<Connection, OpenError> {
    let connection = begin_long(connection, "BEGIN").await?;
    // Who comes second waits for it and finds the tables made.
    connection.batch_execute(MIGRATING).await?;
    // Behind a long reader of the tables, as a dump, it would keep gateways from them that serve.
    connection.batch_execute("SET LOCAL lock_timeout TO '5s'").await?;
    migrate(&connection, VERSION).await?;
    connection.commit().await?;
    Ok(connection.limited_to(ROUND_TRIP_MAX))
}

/// Begins a transaction whose statements take as long as the store is large.
pub(super) async fn begin_long(
    connection: Connection,
    begin: &str,
) -> Result<Connection, OpenError> {
    let connection = connection.limited_to(LONG_MAX);
    connection.batch_execute(begin).await?;
    let unlimited = "SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0; \
                     SET LOCAL idle_in_transaction_session_timeout TO 0";
    connection.batch_execute(unlimited).await?;
    Ok(connection)
}

/// Brings the tables to a version.
pub(super) async fn migrate(connection: &Connection, to: u32) -> Result<(), OpenError> {
    let from = version(connection).await?;
    if from > VERSION {
        return Err(OpenError::NewerSchema { found: from, known: VERSION });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).take(to as usize).skip(from as usize) {
        if version == 1 {
            connection.batch_execute("CREATE SCHEMA IF NOT EXISTS purveyor").await?;
        }
        connection.batch_execute(migration).await?;
        if version == 1 {
            let sql = format!(
                "INSERT INTO meta (one, store_id, schema_version, system_identifier, timeline) \
                 SELECT 1, $1, 1, (pg_control_system()).system_identifier, {TIMELINE}"
            );
            let statement = connection.prepare_cached(&sql).await?;
            connection.execute(&statement, &[&Uuid::new_v4()]).await?;
        }
        if version == WITH_AGE {
            begin_windows_again(connection).await?;
        }
        if version == WITH_LISTS {
            take_ids_apart(connection).await?;
        }
        if version == WITH_OBJECTS {
            let sql = format!("UPDATE meta SET objects = {OBJECTS}");
            connection.batch_execute(&sql).await?;
        }
        let statement = connection.prepare_cached("UPDATE meta SET schema_version = $1").await?;
        connection.execute(&statement, &[&version]).await?;
    }
    Ok(())
}

/// Windows that other clocks measured begin again on the store's age.
async fn begin_windows_again(connection: &Connection) -> Result<(), OpenError> {
    let statement = connection.prepare_cached("SELECT age FROM meta").await?;
    let age = connection.query_one(&statement, &[]).await?.try_get(0)?;
    let sql = "SELECT request_id, settle FROM operations WHERE settle IS NOT NULL";
    let statement = connection.prepare_cached(sql).await?;
    for row in connection.query(&statement, &[]).await? {
        let (request_id, settle): (Uuid, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        let again = encoding::settle_begun_again(&settle, Age::from_nanos(age))
            .map_err(|error| OpenError::Server(error.to_string()))?;
        let sql = "UPDATE operations SET settle = $2 WHERE request_id = $1";
        let statement = connection.prepare_cached(sql).await?;
        connection.execute(&statement, &[&request_id, &again]).await?;
    }
    Ok(())
}

/// Identifiers that were joined in one text become lists.
async fn take_ids_apart(connection: &Connection) -> Result<(), OpenError> {
    let failed = |error: StoreError| OpenError::Server(error.to_string());
    let sql = "SELECT request_id, upstream_target FROM operations WHERE upstream_target <> ''";
    let targets = connection.prepare_cached(sql).await?;
    let sql = "UPDATE operations SET upstream_targets = $2 WHERE request_id = $1";
    let update = connection.prepare_cached(sql).await?;
    for row in connection.query(&targets, &[]).await? {
        let (request_id, target): (Uuid, &str) = (row.try_get(0)?, row.try_get(1)?);
        let target = restored(target)
            .ok_or_else(|| failed(encoding::corrupt("upstream_target", "an unknown escape")))?;
        let names = encoding::names(&encoding::ids_apart(&target));
        let values: [Value<'_>; 2] = [&request_id, &names];
        connection.execute(&update, &values).await?;
    }
    let sql = "SELECT request_id, upstream, view FROM operations \
               WHERE position('\\x2c'::bytea IN upstream) > 0";
    let objects = connection.prepare_cached(sql).await?;
    let sql = "UPDATE operations SET upstream = $2, view = $3 WHERE request_id = $1";
    let update = connection.prepare_cached(sql).await?;
    for row in connection.query(&objects, &[]).await? {
        let request_id: Uuid = row.try_get(0)?;
        let (upstream, view): (&[u8], Option<&[u8]>) = (row.try_get(1)?, row.try_get(2)?);
        let upstream = encoding::upstream_apart(upstream).map_err(failed)?;
        let view = view.map(encoding::view_apart).transpose().map_err(failed)?;
        let values: [Value<'_>; 3] = [&request_id, &upstream, &view];
        connection.execute(&update, &values).await?;
    }
    connection.batch_execute("ALTER TABLE operations DROP COLUMN upstream_target").await?;
    Ok(())
}

/// The version of the tables; 0 when there are none.
pub(super) async fn version(connection: &Connection) -> Result<u32, OpenError> {
    let sql = "SELECT to_regclass('purveyor.meta') IS NOT NULL, \
               EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('purveyor'))";
    let statement = connection.prepare_cached(sql).await?;
    let row = connection.query_one(&statement, &[]).await?;
    let (ours, something): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    match (ours, something) {
        (false, false) => return Ok(0),
        (false, true) => return Err(OpenError::Foreign),
        (true, _) => {}
    }
    // A table of the name without the column, or without its row, is somebody else's.
    let statement = match connection.prepare_cached("SELECT schema_version FROM meta").await {
        Ok(statement) => statement,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
            return Err(OpenError::Foreign);
        }
        Err(error) => return Err(error.into()),
    };
    let found = connection.query_opt(&statement, &[]).await?.ok_or(OpenError::Foreign)?;
    let found: i32 = found.try_get(0).map_err(|_| OpenError::Foreign)?;
    u32::try_from(found).map_err(|_| OpenError::Foreign)
}
