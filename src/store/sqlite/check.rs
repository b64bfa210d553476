//! Looking for damage in a database: at a little of everything before it is used, and at all of it
//! while it is. It must not write, and must not decide what anybody does about damage.
//!
//! Damage in the middle of a big file shows in three ways. SQLite checks the form of every page that it
//! reads, so a write that needs a damaged page fails, and what was not stored is not spent. Nothing
//! is spent while the file is looked through, for [`HOLD_MAX`] at most. And what is found, however
//! late, ends spending until a person has looked. A gateway that starts again and again looks once in
//! [`LATELY`]; a file that took the place of another is no business of this one.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode};

use super::beside;

/// How the name of the file ends whose time says when the database was found whole.
const NOTE: &str = ".whole";

/// A file of so many pages, 4 MiB, is looked through wholly before it is used; that is hardly noticed.
const PAGES_MAX: i64 = 1024;

/// How long spends wait at most for the look through a bigger file, which takes about three seconds
/// for a gibibyte. It goes on after that.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// What was whole so shortly before is not looked through again.
const LATELY: Duration = Duration::from_secs(3600);

/// How many steps of SQLite lie between two looks whether the store is being closed.
const STEPS: i32 = 10_000;

/// What a look before the first use found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// All was looked at, and nothing is wrong.
    Whole,
    /// Nothing is wrong where every table and index begins; the rest is still to be looked at.
    Partly,
    /// The first damage.
    Damaged(String),
}

/// Looks at a file before it is used, for a time that does not depend on how big it is.
pub(super) fn first(connection: &Connection) -> Result<Looked, rusqlite::Error> {
    let pages: i64 = connection.query_one("PRAGMA page_count", [], |row| row.get(0))?;
    if pages > PAGES_MAX {
        return beginnings(connection).map(|()| Looked::Partly);
    }
    Ok(match all(connection, "quick_check")? {
        None => Looked::Whole,
        Some(damage) => Looked::Damaged(damage),
    })
}

/// Looks through everything, and whether each index has what its table has; tells the first damage.
pub(super) fn thoroughly(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    all(connection, "integrity_check")
}

fn all(connection: &Connection, pragma: &str) -> Result<Option<String>, rusqlite::Error> {
    let found = format!("PRAGMA {pragma}(1)");
    let found = connection.query_one(&found, [], |row| row.get::<_, String>(0))?;
    // In one line: it is part of a message.
    Ok((found != "ok").then(|| found.replace('\n', " ")))
}

/// Reads the first entry of every table and every index, from the root down.
fn beginnings(connection: &Connection) -> Result<(), rusqlite::Error> {
    // The primary key of a table without row ids is the table, and not listed beside it.
    let sql = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema \
               WHERE rootpage > 0 UNION ALL SELECT 'index', key.name, tables.name, '' \
               FROM sqlite_schema AS tables, pragma_index_list(tables.name) AS key \
               WHERE tables.type = 'table' AND key.origin = 'pk'";
    let mut all = connection.prepare(sql)?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let [kind, name, table, made] =
            [row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        let first = if kind == "table" {
            format!("SELECT * FROM \"{table}\" NOT INDEXED LIMIT 1")
        } else {
            // What a partial index has can be asked for only by its own condition.
            let condition = made.split_once(" WHERE ").map_or("", |(_, condition)| condition);
            let filter = if condition.is_empty() { "" } else { " WHERE " };
            format!("SELECT 1 FROM \"{table}\" INDEXED BY \"{name}\"{filter}{condition} LIMIT 1")
        };
        connection.prepare(&first)?.query([])?.next()?;
    }
    Ok(())
}

/// The look through a whole file while it is used. Dropping it breaks it off.
pub(super) struct Check {
    seen: Arc<Mutex<Seen>>,
    breaking_off: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Seen {
    /// It was looked at since then, and is still.
    Looking(Instant),
    Whole,
    /// The first damage, or why it could not be looked at.
    Damaged(String),
}

impl Check {
    /// For a file that was looked through already.
    pub(super) fn done() -> Self {
        let seen = Arc::new(Mutex::new(Seen::Whole));
        Self { seen, breaking_off: Arc::default(), thread: None }
    }

    /// Begins, on a thread and a connection of its own, unless the file was found whole lately.
    pub(super) fn start(database: &Path, mut connection: Connection) -> io::Result<Self> {
        let note = beside(database, NOTE);
        if lately(&note) {
            return Ok(Self::done());
        }
        let seen = Arc::new(Mutex::new(Seen::Looking(Instant::now())));
        let breaking_off = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("store-check".to_owned()).spawn({
            let (seen, breaking_off) = (Arc::clone(&seen), Arc::clone(&breaking_off));
            move || {
                if let Some(found) = look(&mut connection, breaking_off) {
                    if matches!(found, Seen::Whole)
                        && let Err(error) = touch(&note)
                    {
                        tracing::warn!(%error, "the next start looks through the store again");
                    }
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = found;
                }
            }
        })?;
        Ok(Self { seen, breaking_off, thread: Some(thread) })
    }

    /// Whether it is worth waiting for.
    pub(super) fn checking(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*seen, Seen::Looking(since) if since.elapsed() < HOLD_MAX)
    }

    /// What was found, for operators.
    pub(super) fn damage(&self) -> Option<String> {
        match &*self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Damaged(damage) => Some(format!(
                "the store is damaged: {damage}; stop the gateway and put the last backup in its place"
            )),
            Seen::Looking(_) | Seen::Whole => None,
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.breaking_off.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the look through the store panicked");
        }
    }
}

/// A time that is not over yet is wrong and counts for nothing.
fn lately(note: &Path) -> bool {
    let noted = fs::metadata(note).and_then(|note| note.modified());
    noted.is_ok_and(|noted| noted.elapsed().is_ok_and(|age| age < LATELY))
}

fn touch(note: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(note)?;
    file.set_modified(SystemTime::now())
}

/// `None` where it was broken off.
fn look(connection: &mut Connection, breaking_off: Arc<AtomicBool>) -> Option<Seen> {
    let began = Instant::now();
    let found = connection
        .progress_handler(STEPS, Some(move || breaking_off.load(Ordering::Relaxed)))
        .and_then(|()| all(connection, "quick_check"));
    let damage = match found {
        Ok(None) => {
            tracing::info!(took = ?began.elapsed(), "the store was looked through and is whole");
            return Some(Seen::Whole);
        }
        Ok(Some(damage)) => damage,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            return None;
        }
        // What cannot be read is not whole.
        Err(error) => error.to_string(),
    };
    tracing::error!(damage, "the store is damaged; nothing is spent");
    Some(Seen::Damaged(damage))
}

#[cfg(test)]
mod tests {
    use super::{
        Check, Connection, Duration, LATELY, Looked, NOTE, OpenOptions, PAGES_MAX, SystemTime,
        beside, first, thoroughly,
    };
    use crate::store::sqlite::schema;

    fn filled(pages: i64) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        connection.execute("UPDATE meta SET probe = zeroblob(?1)", [pages * 4096]).unwrap();
        connection
    }

    #[test]
    fn only_a_small_file_is_looked_through_before_it_is_used() {
        assert_eq!(first(&filled(1)), Ok(Looked::Whole));
        let big = filled(PAGES_MAX);
        assert_eq!(first(&big), Ok(Looked::Partly));
        assert_eq!(thoroughly(&big), Ok(None));
    }

    #[test]
    fn what_was_whole_lately_is_not_looked_through_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("journal.db");
        let begun = || Check::start(&database, filled(PAGES_MAX)).unwrap().thread.take();
        begun().unwrap().join().unwrap();
        assert!(begun().is_none());
        for wrong in [SystemTime::now() - LATELY, SystemTime::now() + Duration::from_secs(60)] {
            let noted = OpenOptions::new().write(true).open(beside(&database, NOTE)).unwrap();
            noted.set_modified(wrong).unwrap();
            begun().unwrap().join().unwrap();
        }
    }
}
