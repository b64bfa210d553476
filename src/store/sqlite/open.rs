//! Opening a database file: that nobody else has it, that it is ours and whole, and that SQLite
//! keeps what it acknowledges. Nothing is written to a file before it is known to be ours or empty.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::check::{Check, Looked};
use super::lock::{DatabaseLock, Missing};
use super::schema::{self, Found};
use super::watch::FileWatch;
use super::{check, due, readers};
use crate::store::StoreError;

/// The oldest SQLite that is trusted with a write-ahead log: before it a checkpoint could overwrite
/// the log of a concurrent commit.
const SQLITE_MIN: (i32, &str) = (3_051_003, "3.51.3");

/// How long a connection waits for a lock that somebody outside holds, such as a shell on the same
/// file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How big the log may stay after a checkpoint, bytes.
pub(super) const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How many prepared statements a connection keeps: all there are, and the usual forms of a
/// listing.
const STATEMENTS_MAX: usize = 128;

/// Why a database was not opened. Nothing of it was changed but, where that was the last step that
/// could be done, an older schema brought forward.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite that this program was linked with.
    #[error("sqlite {found} is too old; at least {} is needed", SQLITE_MIN.1)]
    SqliteTooOld {
        /// Its version.
        found: &'static str,
    },
    /// The folder that shall hold the database.
    #[error("the directory {0} does not exist; make it, or name another file in store.url")]
    DirectoryMissing(PathBuf),
    /// Permissions, a read-only file system, a full one.
    #[error(
        "{path} cannot be written; look at its owner and permissions, and at whether its file system is \
         mounted read-only or full"
    )]
    NotWritable {
        /// The file that could not be made or opened for writing.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process, or another store of this one, has locked it.
    #[error("{0} is used by another process; stop that one, or name another file in store.url")]
    InUse(PathBuf),
    /// The locks of the file system do not hold between machines.
    #[error(
        "{path} is on a network file system ({file_system}), where locks and the log's shared memory do \
         not keep two gateways apart; name a file on a local disk in store.url"
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// The kind of file system.
        file_system: &'static str,
    },
    /// The file is mounted by itself, so its log would be made in another folder than its own.
    #[error(
        "{0} is mounted apart from its folder, so that its log would not lie beside it and would be lost \
         with the container; mount the folder instead of the single file"
    )]
    MountedApart(PathBuf),
    /// Hard links. Under each name the log would be another file.
    #[error(
        "{path} has {links} names (hard links), and each name would have a log of its own; keep the name \
         that the -wal file lies beside, and remove the others (`find / -xdev -samefile {path}` lists \
         them), or make them copies"
    )]
    SeveralNames {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// A pipe, a device, or where that matters a link.
    #[error("{0} is not a regular file; name another file in store.url")]
    NotAFile(PathBuf),
    /// The path named another file after the lock was taken, more than once.
    #[error(
        "{0} is replaced while it is opened; stop the program that does that, and start the gateway again"
    )]
    Unstable(PathBuf),
    /// A database, but of another program.
    #[error("{0} is a database of another program; name another file in store.url")]
    Foreign(PathBuf),
    /// Not a database, or one that is damaged.
    #[error(
        "{path} is not a whole database: {what}; keep it, put a backup in its place without the -wal and \
         -shm files beside it, and run `purveyor store confirm`"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
    /// Written by a newer version of this program.
    #[error(
        "{path} has schema version {found}, and this program knows versions up to {known}; start the \
         version that wrote it, or a newer one"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known version.
        known: u32,
    },
    /// The file system has no shared memory for the log.
    #[error(
        "{0} cannot have a write-ahead log on this file system; name a file on a local disk in store.url"
    )]
    NoWriteAheadLog(PathBuf),
    /// Whatever else SQLite says.
    #[error(
        "{path} cannot be opened; look at whether its disk is full, mounted read-only or failing"
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file that says how far the database was cannot be read or written.
    #[error(
        "{path}.seen cannot be used; where it is damaged, `purveyor store confirm` writes it anew",
        path = path.display()
    )]
    Witness {
        /// The database.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A row is not what its table promises.
    #[error("{path} holds what cannot be understood: {source}", path = path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// What.
        source: StoreError,
    },
    /// The kernel does not tell which boot this is.
    #[error("the kernel's boot id cannot be read: {0}")]
    Machine(#[source] io::Error),
    /// The system gave no thread.
    #[error("no thread could be started for the store: {0}")]
    Thread(#[source] io::Error),
}

/// A database that is ours alone, with its connections.
pub(super) struct Opened {
    /// The one path of the file.
    pub(super) path: PathBuf,
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
    pub(super) check: Check,
    /// Keeps the file locked. It is the last field and has to be dropped last: closing its descriptor
    /// drops SQLite's own locks.
    pub(super) watch: FileWatch,
}

/// Opens a database, which is made where there is none.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    if rusqlite::version_number() < SQLITE_MIN.0 {
        return Err(OpenError::SqliteTooOld { found: rusqlite::version() });
    }
    // Declared before every connection, and so dropped after them, also where opening fails.
    let (path, lock) = DatabaseLock::acquire(path, Missing::Create)?;
    let lock = Arc::new(lock);
    let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let looked = prepare(&mut writer, &path).map_err(|error| match error {
        Refused::Open(error) => error,
        Refused::Sqlite(error) => sqlite(&path, error),
    })?;
    let reader = || reader(&path).map_err(|error| sqlite(&path, error));
    let readers = (0..readers::READERS).map(|_| reader()).collect::<Result<Vec<_>, _>>()?;
    let check = match looked {
        Looked::Whole => Check::done(),
        _ => Check::start(&path, reader()?).map_err(OpenError::Thread)?,
    };
    let watch = FileWatch::start(&path, Arc::clone(&lock)).map_err(|error| {
        tracing::error!(path = %path.display(), %error, "database files not found after opening");
        OpenError::Unstable(path.clone())
    })?;
    Ok(Opened { path, writer, readers, check, watch })
}

/// Looks through a database that nobody uses, as thoroughly as can be, and changes nothing.
pub(super) fn look_through(path: &Path) -> Result<(), OpenError> {
    // Declared before the connection, and so dropped after it.
    let (path, _lock) = DatabaseLock::acquire(path, Missing::Refuse)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let look = || {
        let ours = schema::find(&connection)?;
        Ok((ours, check::thoroughly(&connection)?))
    };
    match look().map_err(|error| sqlite(&path, error))? {
        (Found::Foreign, _) => Err(OpenError::Foreign(path)),
        (_, Some(what)) => Err(OpenError::Corrupt { path, what }),
        (_, None) => Ok(()),
    }
}

pub(super) fn connect(path: &Path, access: OpenFlags) -> Result<Connection, OpenError> {
    connection(path, access).map_err(|error| sqlite(path, error))
}

fn connection(path: &Path, access: OpenFlags) -> Result<Connection, rusqlite::Error> {
    // Each connection is used by one thread at a time.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; \
         PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL",
    )?;
    Ok(connection)
}

/// A connection that only reads. It has read once, so that its files are open.
fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// Why [`prepare`] did not succeed.
enum Refused {
    Open(OpenError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Looks at the file, and brings it to where the store can work with it.
fn prepare(writer: &mut Connection, path: &Path) -> Result<Looked, Refused> {
    let path = || path.to_owned();
    // What is refused keeps its log: whoever closes a database last would empty it.
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let version = match schema::find(writer)? {
        Found::Empty => 0,
        Found::Ours(version) if version <= schema::VERSION => version,
        Found::Ours(found) => {
            let known = schema::VERSION;
            return Err(Refused::Open(OpenError::NewerSchema { path: path(), found, known }));
        }
        Found::Foreign => return Err(Refused::Open(OpenError::Foreign(path()))),
    };
    let looked = check::first(writer)?;
    if let Looked::Damaged(what) = looked {
        return Err(Refused::Open(OpenError::Corrupt { path: path(), what }));
    }
    let mode: String = writer.query_one("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Refused::Open(OpenError::NoWriteAheadLog(path())));
    }
    writer.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    // The writer sees to that, so that it learns of a failure.
    writer.pragma_update(None, "wal_autocheckpoint", 0)?;
    schema::migrate(writer, version)?;
    due::end_all(writer)?;
    // What an earlier process left in the log was read from memory, where it may stand although the disk
    // never got it: an fsync that failed takes it for written. In the file it is written anew.
    if !empty_log(writer)? {
        tracing::warn!("somebody else reads the store, and its log could not be emptied at start");
    }
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(looked)
}

/// Writes all of the log into the file, and makes it empty. Whether that could be done: somebody outside
/// who reads keeps what he sees in the log.
pub(super) fn empty_log(writer: &Connection) -> Result<bool, rusqlite::Error> {
    writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// A connection that has read nothing yet.
pub(super) fn read_anew(path: &Path) -> Result<Connection, rusqlite::Error> {
    connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// An error of SQLite that has a name here.
pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Corrupt { path, what: error.to_string() }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::DiskFull) => {
            OpenError::NotWritable { path, source: io::Error::other(error) }
        }
        _ => OpenError::Sqlite { path, source: error },
    }
}
