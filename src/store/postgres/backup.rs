//! A copy of the tables while gateways use them, read in one connection, and a copy put into a database that
//! has none. The copy carries a mark, by which a gateway knows that the store was restored.
//!
//! A backup is a folder: a file in the text format of COPY for each table, `manifest.json` with the columns and
//! the number of rows of each, and `SHA256SUMS`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::doubt::Doubts;
use super::fault::RoundTripError;
use super::open::{self, OpenError};
use super::session::{Connection, Sessions};
use super::{PostgresConfig, PostgresStore};
use crate::store::backup::{self, BackupError, BackupSummary};
use crate::store::columns::{nanoseconds, timestamp};

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";

/// Which processes live is true of no other moment.
const VOLATILE: &str = "replicas";

/// One table of a backup.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    name: String,
    columns: Vec<String>,
    rows: u64,
}

/// What is known of a backup beside its rows.
struct Manifest {
    time: i64,
    store_id: Uuid,
    schema_version: u32,
    /// The last position that was given out.
    last_position: i64,
    tables: Vec<Table>,
}

impl PostgresStore {
    /// Copies the store into a folder that is made or is empty, also while gateways use it. What was written
    /// is compared with what the database counts. May wait for the disk.
    ///
    /// # Errors
    ///
    /// [`BackupError::Exists`] where the folder holds something; what the server says.
    pub async fn back_up(
        config: &PostgresConfig,
        to: &Path,
        now: Timestamp,
    ) -> Result<BackupSummary, BackupError> {
        fs::create_dir_all(to).map_err(BackupError::io(to))?;
        let mut entries = fs::read_dir(to).map_err(BackupError::io(to))?;
        if entries.next().is_some() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let sessions = Sessions::new(config, Arc::new(Doubts::default()))?;
        let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let connection = open::begin_long(open::connect(&sessions).await?, snapshot).await?;
        let manifest = copy_out(&connection, to, now).await?;
        connection.commit().await.map_err(OpenError::from)?;
        let path = to.join(MANIFEST);
        backup::write(&path, manifest.to_json().to_string().as_bytes())?;
        let mut sums = backup::checksum_line(&path)?;
        for table in &manifest.tables {
            sums.push_str(&backup::checksum_line(&file(to, &table.name))?);
        }
        backup::write(&to.join(SUMS), sums.as_bytes())?;
        backup::sync_folder(&path)?;
        Ok(manifest.summary(to))
    }

    /// Puts a copy into a database that has no store, in one connection. Nothing is spent on it until an
    /// operator has confirmed it.
    ///
    /// # Errors
    ///
    /// [`BackupError::InUse`] where there is a store; what is wrong with the copy; what the server says.
    pub async fn restore(
        config: &PostgresConfig,
        from: &Path,
    ) -> Result<BackupSummary, BackupError> {
        let named = backup::check(&from.join(SUMS))?;
        let manifest = Manifest::read(&from.join(MANIFEST))?;
        for table in &manifest.tables {
            if !named.contains(&format!("{}.copy", table.name)) {
                let what = format!("{SUMS} does not name the table {}", table.name);
                return Err(BackupError::Damaged { path: from.to_owned(), what });
            }
        }
        let sessions = Sessions::new(config, Arc::new(Doubts::default()))?;
        let connection = open::begin_long(open::connect(&sessions).await?, "BEGIN").await?;
        if open::version(&connection).await? != 0 {
            return Err(BackupError::InUse(config.place()));
        }
        copy_in(&connection, from, &manifest).await?;
        connection.commit().await.map_err(OpenError::from)?;
        Ok(manifest.summary(from))
    }
}

fn server(error: impl Into<RoundTripError>) -> OpenError {
    error.into().into()
}

fn file(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.copy"))
}

async fn copy_out(
    connection: &Connection,
    to: &Path,
    now: Timestamp,
) -> Result<Manifest, BackupError> {
    let version = open::version(connection).await?;
    if version != open::VERSION {
        let what = format!(
            "the database has schema version {version}, and this program makes version {}; start a \
             gateway of this version on it first",
            open::VERSION
        );
        return Err(BackupError::NotABackup { path: to.to_owned(), what });
    }
    let sql = "SELECT store_id, (SELECT last_value FROM positions) FROM meta";
    let statement = connection.prepare_cached(sql).await.map_err(server)?;
    let row = connection.query_one(&statement, &[]).await.map_err(server)?;
    let (store_id, last_position) =
        (row.try_get(0).map_err(server)?, row.try_get(1).map_err(server)?);
    let mut tables = tables(connection).await?;
    for table in &mut tables {
        table.rows = copy_table(connection, table, &file(to, &table.name)).await?;
    }
    let time = nanoseconds("time", now).map_err(|error| BackupError::NotABackup {
        path: to.to_owned(),
        what: error.to_string(),
    })?;
    Ok(Manifest { time, store_id, schema_version: version, last_position, tables })
}

/// The tables, what others refer to first, with the columns that are not computed.
async fn tables(connection: &Connection) -> Result<Vec<Table>, OpenError> {
    let sql = "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) \
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
               WHERE c.relnamespace = to_regnamespace('purveyor') AND c.relkind = 'r' \
               AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
               AND c.relname <> $1 GROUP BY c.relname \
               ORDER BY c.relname <> 'meta', c.relname <> 'operations', c.relname";
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &[&VOLATILE]).await?;
    let table = |row: &tokio_postgres::Row| {
        Ok(Table { name: row.try_get(0)?, columns: row.try_get(1)?, rows: 0 })
    };
    rows.iter().map(table).collect()
}

/// Writes one table into a file, and tells how many rows it has.
async fn copy_table(
    connection: &Connection,
    table: &Table,
    path: &Path,
) -> Result<u64, BackupError> {
    let mut file = backup::create(path)?;
    let sql = format!("COPY {} ({}) TO STDOUT", table.name, table.columns.join(", "));
    let mut rows = pin!(connection.copy_out(&sql).await.map_err(server)?);
    let mut written = 0;
    while let Some(row) = connection.part(rows.try_next()).await.map_err(server)? {
        // A line feed in a value is written as two characters.
        written += row.iter().filter(|byte| **byte == b'\n').count() as u64;
        file.write_all(&row).map_err(BackupError::io(path))?;
    }
    file.sync_all().map_err(BackupError::io(path))?;
    let counted = count(connection, &table.name).await?;
    if counted != written {
        let what = format!("{written} rows were written, and the table has {counted}");
        return Err(BackupError::Damaged { path: path.to_owned(), what });
    }
    Ok(written)
}

async fn count(connection: &Connection, table: &str) -> Result<u64, OpenError> {
    let sql = format!("SELECT count(*) FROM {table}");
    let statement = connection.prepare_cached(&sql).await?;
    let count: i64 = connection.query_one(&statement, &[]).await?.try_get(0)?;
    Ok(count.unsigned_abs())
}

async fn copy_in(
    connection: &Connection,
    from: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    open::migrate(connection, manifest.schema_version).await?;
    // The one row that the migration made.
    connection.batch_execute("DELETE FROM meta").await.map_err(server)?;
    for (made, table) in tables(connection).await?.iter().zip(&manifest.tables) {
        if (&made.name, &made.columns) != (&table.name, &table.columns) {
            let what = format!("its table {} is not that of its schema version", table.name);
            return Err(BackupError::Damaged { path: from.to_owned(), what });
        }
        let path = file(from, &table.name);
        fill(connection, table, &path).await?;
        let counted = count(connection, &table.name).await?;
        if counted != table.rows {
            let what = format!("{counted} rows were restored, and {} were saved", table.rows);
            return Err(BackupError::Damaged { path, what });
        }
    }
    let sequences = "SELECT setval('positions', \
                     greatest($1, (SELECT coalesce(max(position), 1) FROM changes)))";
    let statement = connection.prepare_cached(sequences).await.map_err(server)?;
    connection.execute(&statement, &[&manifest.last_position]).await.map_err(server)?;
    for (table, column) in [("claims", "id"), ("confirmations", "number")] {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
             (SELECT coalesce(max({column}), 1) FROM {table}))"
        );
        connection.batch_execute(&sql).await.map_err(server)?;
    }
    let marked = "UPDATE meta SET copied_time = $1";
    let statement = connection.prepare_cached(marked).await.map_err(server)?;
    connection.execute(&statement, &[&manifest.time]).await.map_err(server)?;
    Ok(())
}

async fn fill(connection: &Connection, table: &Table, path: &Path) -> Result<(), BackupError> {
    use std::io::Read;

    let sql = format!("COPY {} ({}) FROM STDIN", table.name, table.columns.join(", "));
    let mut rows = pin!(connection.copy_in(&sql).await.map_err(server)?);
    let mut file = fs::File::open(path).map_err(BackupError::io(path))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(BackupError::io(path))? {
            0 => break,
            read => {
                let part = rows.send(Bytes::copy_from_slice(&buffer[..read]));
                connection.part(part).await.map_err(server)?;
            }
        }
    }
    connection.part(rows.finish()).await.map_err(server)?;
    Ok(())
}

impl Manifest {
    fn to_json(&self) -> Value {
        let tables = self.tables.iter().map(
            |table| json!({ "name": table.name, "columns": table.columns, "rows": table.rows }),
        );
        json!({
            "backup": "purveyor",
            "time": self.time,
            "store_id": self.store_id.to_string(),
            "schema_version": self.schema_version,
            "last_position": self.last_position,
            "tables": tables.collect::<Vec<_>>(),
        })
    }

    fn read(path: &Path) -> Result<Self, BackupError> {
        let text = fs::read_to_string(path).map_err(BackupError::io(path))?;
        let parsed = serde_json::from_str(&text).ok().and_then(|value| Self::from_json(&value));
        let what = "it is not what was written".to_owned();
        let manifest = parsed.ok_or(BackupError::NotABackup { path: path.to_owned(), what })?;
        if manifest.schema_version > open::VERSION {
            let (found, known) = (manifest.schema_version, open::VERSION);
            return Err(OpenError::NewerSchema { found, known }.into());
        }
        Ok(manifest)
    }

    fn from_json(value: &Value) -> Option<Self> {
        // Names become part of statements.
        let name = |value: &Value| {
            let name = value.as_str()?;
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            name.bytes().all(plain).then(|| name.to_owned())
        };
        let table = |table: &Value| {
            let columns = table.get("columns")?.as_array()?.iter().map(name);
            Some(Table {
                name: name(table.get("name")?)?,
                columns: columns.collect::<Option<_>>()?,
                rows: table.get("rows")?.as_u64()?,
            })
        };
        Some(Self {
            time: value.get("time")?.as_i64()?,
            store_id: value.get("store_id")?.as_str()?.parse().ok()?,
            schema_version: u32::try_from(value.get("schema_version")?.as_u64()?).ok()?,
            last_position: value.get("last_position")?.as_i64()?,
            tables: value.get("tables")?.as_array()?.iter().map(table).collect::<Option<_>>()?,
        })
    }

    fn summary(&self, path: &Path) -> BackupSummary {
        let rows =
            |name: &str| self.tables.iter().find(|it| it.name == name).map_or(0, |it| it.rows);
        BackupSummary {
            path: path.to_owned(),
            time: timestamp(self.time),
            store_id: self.store_id,
            schema_version: self.schema_version,
            operations: rows("operations"),
            last_position: self.last_position.unsigned_abs(),
        }
    }
}
