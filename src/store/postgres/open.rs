//! Opening a database: that it can be reached and is fit, and that its tables are ours and of a
//! version that is known. Nothing is written to a database before it is known to be ours or empty.

use std::path::PathBuf;

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::doubt::{Look, OBJECTS, TIMELINE};
use super::fault;
use super::session::Sessions;
use super::text::restored;
use crate::store::age::Age;
use crate::store::{StoreError, encoding};

/// What leads from each version to the next; the first makes the tables.
const MIGRATIONS: [&str; 11] = [
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
];

/// The version from which on the store has an age.
const WITH_AGE: i32 = 6;

/// The version from which on an object may have several identifiers.
const WITH_LISTS: i32 = 9;

/// The version from which on the store knows its own tables.
const WITH_OBJECTS: i32 = 11;

/// The version that this program reads and writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Held while the tables are made or brought forward. The first number is ours: "PRVY".
const MIGRATING: &str = "SELECT pg_advisory_xact_lock(1347573337, 1)";

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

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = fault::text(&error);
        // A role that may not make our schema, or use it.
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Self::Unfit(text);
        }
        Self::Server(text)
    }
}

/// Connects, and brings the tables to [`VERSION`].
pub(super) async fn open(sessions: &Sessions) -> Result<(Object, Look), OpenError> {
    let mut connection = connect(sessions).await?;
    let transaction = connection.transaction().await?;
    // A migration takes as long as the store is large, and who comes second waits for it and finds the
    // tables made.
    let unlimited = "SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0";
    transaction.batch_execute(unlimited).await?;
    transaction.batch_execute(MIGRATING).await?;
    // Behind a long reader of the tables, as a dump, it would keep gateways from them that serve.
    transaction.batch_execute("SET LOCAL lock_timeout TO '5s'").await?;
    migrate(&transaction, VERSION).await?;
    transaction.commit().await?;
    let look = Look::at(&connection, None).await?.map_err(OpenError::Server)?;
    Ok((connection, look))
}

/// The first connection, or why the server is not fit.
pub(super) async fn connect(sessions: &Sessions) -> Result<Object, OpenError> {
    sessions.get().await.map_err(|error| match error {
        StoreError::Unavailable(what) => OpenError::Unfit(what),
        other => OpenError::Server(other.to_string()),
    })
}

/// Brings the tables to a version.
pub(super) async fn migrate(
    transaction: &deadpool_postgres::Transaction<'_>,
    to: u32,
) -> Result<(), OpenError> {
    let from = version(transaction).await?;
    if from > VERSION {
        return Err(OpenError::NewerSchema { found: from, known: VERSION });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).take(to as usize).skip(from as usize) {
        if version == 1 {
            transaction.batch_execute("CREATE SCHEMA IF NOT EXISTS purveyor").await?;
        }
        transaction.batch_execute(migration).await?;
        if version == 1 {
            let sql = format!(
                "INSERT INTO meta (one, store_id, schema_version, system_identifier, timeline) \
                 SELECT 1, $1, 1, (pg_control_system()).system_identifier, {TIMELINE}"
            );
            transaction.execute(&sql, &[&Uuid::new_v4()]).await?;
        }
        if version == WITH_AGE {
            begin_windows_again(transaction).await?;
        }
        if version == WITH_LISTS {
            take_ids_apart(transaction).await?;
        }
        if version == WITH_OBJECTS {
            let sql = format!("UPDATE meta SET objects = {OBJECTS}");
            transaction.execute(&sql, &[]).await?;
        }
        transaction.execute("UPDATE meta SET schema_version = $1", &[&version]).await?;
    }
    Ok(())
}

/// Windows that other clocks measured begin again on the store's age.
async fn begin_windows_again(
    transaction: &deadpool_postgres::Transaction<'_>,
) -> Result<(), OpenError> {
    let age = transaction.query_one("SELECT age FROM meta", &[]).await?.try_get(0)?;
    let sql = "SELECT request_id, settle FROM operations WHERE settle IS NOT NULL";
    for row in transaction.query(sql, &[]).await? {
        let (request_id, settle): (Uuid, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        let again = encoding::settle_begun_again(&settle, Age::from_nanos(age))
            .map_err(|error| OpenError::Server(error.to_string()))?;
        let sql = "UPDATE operations SET settle = $2 WHERE request_id = $1";
        transaction.execute(sql, &[&request_id, &again]).await?;
    }
    Ok(())
}

/// Identifiers that were joined in one text become lists.
async fn take_ids_apart(transaction: &deadpool_postgres::Transaction<'_>) -> Result<(), OpenError> {
    let failed = |error: StoreError| OpenError::Server(error.to_string());
    let sql = "SELECT request_id, upstream_target FROM operations WHERE upstream_target <> ''";
    for row in transaction.query(sql, &[]).await? {
        let (request_id, target): (Uuid, &str) = (row.try_get(0)?, row.try_get(1)?);
        let target = restored(target)
            .ok_or_else(|| failed(encoding::corrupt("upstream_target", "an unknown escape")))?;
        let names = encoding::names(&encoding::ids_apart(&target));
        let sql = "UPDATE operations SET upstream_targets = $2 WHERE request_id = $1";
        transaction.execute(sql, &[&request_id, &names]).await?;
    }
    let sql = "SELECT request_id, upstream, view FROM operations \
               WHERE position('\\x2c'::bytea IN upstream) > 0";
    for row in transaction.query(sql, &[]).await? {
        let request_id: Uuid = row.try_get(0)?;
        let (upstream, view): (&[u8], Option<&[u8]>) = (row.try_get(1)?, row.try_get(2)?);
        let upstream = encoding::upstream_apart(upstream).map_err(failed)?;
        let view = view.map(encoding::view_apart).transpose().map_err(failed)?;
        let sql = "UPDATE operations SET upstream = $2, view = $3 WHERE request_id = $1";
        transaction.execute(sql, &[&request_id, &upstream, &view]).await?;
    }
    transaction.batch_execute("ALTER TABLE operations DROP COLUMN upstream_target").await?;
    Ok(())
}

/// The version of the tables; 0 when there are none.
pub(super) async fn version(
    transaction: &deadpool_postgres::Transaction<'_>,
) -> Result<u32, OpenError> {
    let sql = "SELECT to_regclass('purveyor.meta') IS NOT NULL, \
               EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('purveyor'))";
    let row = transaction.query_one(sql, &[]).await?;
    let (ours, something): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    match (ours, something) {
        (false, false) => return Ok(0),
        (false, true) => return Err(OpenError::Foreign),
        (true, _) => {}
    }
    // A table of the name without the column, or without its row, is somebody else's.
    let found = match transaction.query_opt("SELECT schema_version FROM meta", &[]).await {
        Ok(found) => found.ok_or(OpenError::Foreign)?,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
            return Err(OpenError::Foreign);
        }
        Err(error) => return Err(error.into()),
    };
    let found: i32 = found.try_get(0).map_err(|_| OpenError::Foreign)?;
    u32::try_from(found).map_err(|_| OpenError::Foreign)
}
