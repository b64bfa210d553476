//! A copy of the file while a gateway uses it, and a copy put where there is none. The copy carries a mark, by
//! which a gateway knows that the store was restored.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::open::{self, OpenError};
use super::schema::{self, Found};
use super::{LOG_SUFFIXES, SqliteStore, beside, changes, check};
use crate::store::backup::{self, BackupError, BackupSummary};
use crate::store::columns::{nanoseconds, timestamp};

/// How the name of the checksum ends.
const SUMS: &str = ".sha256";

impl SqliteStore {
    /// Copies the store into a file, or into a folder that there is, also while a gateway uses it. The copy
    /// is checked. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`BackupError::Exists`] where there is such a file already; what SQLite says; damage.
    pub fn back_up(
        database: &Path,
        to: &Path,
        now: Timestamp,
    ) -> Result<BackupSummary, BackupError> {
        let copy = match (to.is_dir(), database.file_name()) {
            (true, Some(name)) => to.join(name),
            _ => to.to_owned(),
        };
        let source = open::connect(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        current(database, &source)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| BackupError::from(open::sqlite(&path, error))
        };
        let before = changes::last(&source).map_err(failed(database))?;
        // It may be there, empty: so nobody else can read it at any moment.
        drop(backup::create(&copy)?);
        let name = copy.to_string_lossy().into_owned();
        source.execute("VACUUM INTO ?1", [name]).map_err(failed(&copy))?;
        mark(&copy, now)?;
        let summary = summary(&copy)?;
        if summary.last_position < before {
            let what =
                format!("it ends with change {}, and {before} was there", summary.last_position);
            return Err(BackupError::Damaged { path: copy, what });
        }
        let synced = fs::File::open(&copy).and_then(|file| file.sync_all());
        synced.map_err(BackupError::io(&copy))?;
        let sums = beside(&copy, SUMS);
        backup::write(&sums, backup::checksum_line(&copy)?.as_bytes())?;
        backup::sync_folder(&copy)?;
        Ok(summary)
    }

    /// Puts a copy where no store is. Nothing is spent on it until an operator has confirmed it. Waits for
    /// the disk.
    ///
    /// # Errors
    ///
    /// [`BackupError::InUse`] where there is a store; what is wrong with the copy.
    pub fn restore(database: &Path, from: &Path) -> Result<BackupSummary, BackupError> {
        let copy = match (from.is_dir(), database.file_name()) {
            (true, Some(name)) => from.join(name),
            _ => from.to_owned(),
        };
        backup::check(&beside(&copy, SUMS))?;
        let summary = summary(&copy)?;
        let logs = LOG_SUFFIXES.iter().map(|suffix| beside(database, suffix));
        for path in std::iter::once(database.to_owned()).chain(logs) {
            if path.exists() {
                return Err(BackupError::InUse(path.display().to_string()));
            }
        }
        let next = beside(database, ".restoring");
        drop(backup::create(&next)?);
        let copied = fs::copy(&copy, &next).and_then(|_| fs::File::open(&next)?.sync_all());
        copied.map_err(BackupError::io(&next))?;
        if backup::checksum(&next)? != backup::checksum(&copy)? {
            let what = "it is not what was copied".to_owned();
            return Err(BackupError::Damaged { path: next, what });
        }
        fs::rename(&next, database).map_err(BackupError::io(database))?;
        backup::sync_folder(database)?;
        Ok(summary)
    }
}

/// Refuses what is not a store of this version.
fn current(path: &Path, connection: &Connection) -> Result<(), BackupError> {
    let path = || path.to_owned();
    let found = schema::find(connection).map_err(|error| open::sqlite(&path(), error))?;
    let not = |what: String| Err(BackupError::NotABackup { path: path(), what });
    match found {
        Found::Ours(schema::VERSION) => Ok(()),
        Found::Ours(found) if found > schema::VERSION => {
            Err(OpenError::NewerSchema { path: path(), found, known: schema::VERSION }.into())
        }
        Found::Ours(found) => not(format!(
            "it has schema version {found}, and this program makes version {}; start a gateway of \
             this version on it first",
            schema::VERSION
        )),
        Found::Empty => not("it has no tables".to_owned()),
        Found::Foreign => Err(OpenError::Foreign(path()).into()),
    }
}

/// Marks a copy, so that no gateway takes it for the store that it is a copy of.
fn mark(copy: &Path, now: Timestamp) -> Result<(), BackupError> {
    let failed = |error| BackupError::from(open::sqlite(copy, error));
    let time = nanoseconds("meta.copied_time", now).map_err(|error| BackupError::NotABackup {
        path: copy.to_owned(),
        what: error.to_string(),
    })?;
    let connection = open::connect(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("UPDATE meta SET copied_time = ?1", [time]).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// What a copy holds, all of which is looked through.
fn summary(copy: &Path) -> Result<BackupSummary, BackupError> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    if !copy.is_file() {
        return Err(BackupError::Io { path: copy.to_owned(), source: missing() });
    }
    let connection = open::connect(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    current(copy, &connection)?;
    read_summary(copy, &connection).map_err(|error| open::sqlite(copy, error))?
}

fn read_summary(
    copy: &Path,
    connection: &Connection,
) -> Result<Result<BackupSummary, BackupError>, rusqlite::Error> {
    let path: PathBuf = copy.to_owned();
    if let Some(what) = check::thoroughly(connection)? {
        return Ok(Err(BackupError::Damaged { path, what }));
    }
    let sql = "SELECT copied_time, (SELECT count(*) FROM operations) FROM meta";
    let (copied, operations): (Option<i64>, i64) =
        connection.query_one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(copied) = copied else {
        let what = "it carries no mark; a store is moved, not restored".to_owned();
        return Ok(Err(BackupError::NotABackup { path, what }));
    };
    Ok(Ok(BackupSummary {
        path,
        time: timestamp(copied),
        store_id: schema::store_id(connection)?,
        schema_version: schema::VERSION,
        operations: operations.unsigned_abs(),
        last_position: changes::last(connection)?,
    }))
}
