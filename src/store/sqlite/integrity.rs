//! Whether a file holds everything that was acknowledged: its witness knows how far it was and which file it
//! was, and a copy that `purveyor backup` made says so itself. An operator's confirmation ends the alert.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use super::{age, beside, changes, listing, schema};
use crate::store::PAGE_MAX;
use crate::store::Query;
use crate::store::columns::{nanoseconds, timestamp};
use crate::store::confirmation::{Confirmation, Decision, Examination, LostTime};
use crate::store::encoding;
use crate::store::witness::{BORN, Noted};

/// How the name of the witness ends.
const SUFFIX: &str = ".seen";

/// Where the witness of a database is.
pub(super) fn witness_path(database: &Path) -> PathBuf {
    beside(database, SUFFIX)
}

/// What the file is now. It is asked by its name alone: nobody opens and closes a database beside SQLite.
pub(super) fn noted(database: &Path, connection: &Connection) -> Result<Noted, IntegrityError> {
    let store_id = schema::store_id(connection)?;
    let position = changes::last(connection)?;
    let place = place(database).map_err(IntegrityError::Io)?;
    Ok(Noted { store_id, position, place, ..Noted::default() })
}

/// The inode and when it was made. A copy of the file has another one; a rename, a restart of the machine
/// and a volume that is attached elsewhere keep it.
fn place(database: &Path) -> io::Result<String> {
    let metadata = fs::metadata(database)?;
    let inode = metadata.ino();
    // Not every file system tells it.
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(match born {
        Some(born) => format!("inode {inode}{BORN}{}.{:09}", born.as_secs(), born.subsec_nanos()),
        None => format!("inode {inode}"),
    })
}

/// Why commits that were acknowledged may be missing.
pub(super) fn alert(
    connection: &Connection,
    now: &Noted,
    witnessed: Option<&Noted>,
    witness: &Path,
) -> Result<Option<String>, rusqlite::Error> {
    let sql = "SELECT copied_time FROM meta";
    let copied: Option<i64> = connection.query_one(sql, [], |row| row.get(0))?;
    if let Some(copied) = copied {
        return Ok(Some(format!("it is a backup of {}", timestamp(copied))));
    }
    Ok(match witnessed {
        Some(witnessed) => witnessed.speaks_against(now),
        // A store that was just made has nothing that could be missing.
        None if now.position == 0 => None,
        None => Some(format!(
            "{} is missing, without which an earlier copy of the store is not recognised",
            witness.display()
        )),
    })
}

/// Records what an operator decided, in one transaction.
pub(super) fn confirm(
    connection: &Connection,
    confirmation: &Confirmation,
) -> Result<(), IntegrityError> {
    let age = age::stored(connection)?;
    let earlier = lost_time(connection)?;
    let lost = confirmation.lost_time(age, earlier).map(|lost| encoding::lost_time(&lost));
    let (from, until) = match confirmation.decision {
        Decision::NothingLost => (None, None),
        Decision::Lost { from, until } => (Some(from), Some(until)),
    };
    let nanoseconds = |time| nanoseconds("confirmations.time", time).map_err(Fault::Job);
    let transaction = connection.unchecked_transaction()?;
    let sql = "INSERT INTO confirmations (time, actor, alert, lost_from, lost_until) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.execute(
        sql,
        params![
            nanoseconds(confirmation.time)?,
            confirmation.actor,
            confirmation.alert,
            from.map(nanoseconds).transpose()?,
            until.map(nanoseconds).transpose()?,
        ],
    )?;
    transaction.execute("UPDATE meta SET lost_time = ?1, copied_time = NULL", [lost])?;
    transaction.commit()?;
    Ok(())
}

/// What an operator said that may be missing.
pub(super) fn lost_time(connection: &Connection) -> Result<Option<LostTime>, IntegrityError> {
    let sql = "SELECT lost_time FROM meta";
    let lost: Option<Vec<u8>> = connection.query_one(sql, [], |row| row.get(0))?;
    Ok(lost.map(|lost| encoding::from_lost_time(&lost)).transpose().map_err(Fault::Job)?)
}

/// All that can be told of a file that may lack commits.
pub(super) fn examine(
    connection: &Connection,
    now: &Noted,
    witnessed: Option<&Noted>,
    witness: &Path,
) -> Result<Examination, IntegrityError> {
    let alert = alert(connection, now, witnessed, witness)?;
    // Changes are timed by the age; the newest operation tells the time of day.
    let sql = "SELECT update_time FROM operations WHERE request_id = \
               (SELECT request_id FROM changes ORDER BY position DESC LIMIT 1)";
    let last: Option<i64> = connection.query_one(sql, [], |row| row.get(0)).optional()?;
    let query = Query { open_only: true, limit: PAGE_MAX, ..Query::default() };
    let sql = "SELECT time, actor, alert, lost_from, lost_until FROM confirmations \
               ORDER BY number DESC LIMIT 20";
    let confirmations = connection
        .prepare(sql)?
        .query_map([], confirmation)?
        .collect::<Result<Vec<_>, rusqlite::Error>>()?;
    Ok(Examination {
        alert,
        last_position: now.position,
        last_time: last.map(timestamp),
        witnessed_position: witnessed.map(|witnessed| witnessed.position),
        lost: lost_time(connection)?,
        open: listing::list(connection, &query)?,
        confirmations,
    })
}

fn confirmation(row: &Row<'_>) -> Result<Confirmation, rusqlite::Error> {
    let lost: (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
    let decision = match lost {
        (Some(from), Some(until)) => {
            Decision::Lost { from: timestamp(from), until: timestamp(until) }
        }
        _ => Decision::NothingLost,
    };
    Ok(Confirmation {
        time: timestamp(row.get(0)?),
        actor: row.get(1)?,
        alert: row.get(2)?,
        decision,
    })
}

/// What kept a file from being looked at or confirmed.
#[derive(Debug)]
pub(super) enum IntegrityError {
    /// The witness, or the file's own metadata.
    Io(io::Error),
    /// What the database says.
    Database(Fault),
}

impl From<Fault> for IntegrityError {
    fn from(fault: Fault) -> Self {
        Self::Database(fault)
    }
}

impl From<rusqlite::Error> for IntegrityError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Fault::Database(error))
    }
}
