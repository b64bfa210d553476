//! Errors of SQLite, translated in this one place: whether one job was wrong or the database is
//! sick, and whether a failed COMMIT can still turn up. It must not decide what anybody does about
//! it.

use rusqlite::{ErrorCode, ffi};

use crate::store::StoreError;

/// Why a job did not do its work.
#[derive(Debug)]
pub(super) enum Fault {
    /// The job alone is wrong, or the rows that it looked at; others of its group go on.
    Job(StoreError),
    /// The database cannot do it. The whole group is rolled back.
    Database(rusqlite::Error),
}

impl Fault {
    /// The same for a caller, where nothing was committed.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Job(error) => error,
            Self::Database(error) => unavailable(&error),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Job(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Job(StoreError::Invalid(error.to_string()))
            }
            Some(_) => Self::Database(error),
            // Not from SQLite but from reading a value: a row is not what its table promises.
            None => Self::Job(StoreError::Corrupt(error.to_string())),
        }
    }
}

/// What a caller is told when the database failed before a COMMIT, or rolled back for certain.
pub(super) fn unavailable(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// What a caller is told when COMMIT itself failed.
///
/// The frames of a transaction go to the log in order and the commit mark is in the last one. A
/// full disk, a write that failed or a lock that was not had means that it was not written. After any
/// other failure, of an fsync above all, it may stand in the file and be found by the recovery after a
/// crash.
pub(super) fn failed_commit(error: &rusqlite::Error) -> StoreError {
    if error.sqlite_error().is_some_and(|it| it.extended_code == ffi::SQLITE_IOERR_WRITE) {
        return StoreError::Unavailable(error.to_string());
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ConstraintViolation
            | ErrorCode::ReadOnly,
        ) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Ambiguous(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, StoreError, failed_commit, ffi, unavailable};

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_failed_commit_is_certain_only_where_its_mark_cannot_stand_in_the_log() {
        let check = |code: i32, certain: bool| {
            let error = failed_commit(&sqlite(code));
            assert_eq!(matches!(error, StoreError::Unavailable(_)), certain, "{code}: {error}");
            assert_eq!(matches!(error, StoreError::Ambiguous(_)), !certain, "{code}: {error}");
        };
        check(ffi::SQLITE_FULL, true);
        check(ffi::SQLITE_BUSY, true);
        check(ffi::SQLITE_READONLY, true);
        check(ffi::SQLITE_CONSTRAINT_FOREIGNKEY, true);
        check(ffi::SQLITE_IOERR_FSYNC, false);
        check(ffi::SQLITE_IOERR_WRITE, true);
        check(ffi::SQLITE_IOERR_SHMMAP, false);
        check(ffi::SQLITE_NOMEM, false);
        check(ffi::SQLITE_CORRUPT, false);
    }

    #[test]
    fn one_wrong_job_does_not_make_the_database_sick() {
        let check = |code: i32, job: bool| {
            assert_eq!(matches!(Fault::from(sqlite(code)), Fault::Job(_)), job, "{code}");
        };
        check(ffi::SQLITE_CONSTRAINT_UNIQUE, true);
        check(ffi::SQLITE_TOOBIG, true);
        check(ffi::SQLITE_FULL, false);
        check(ffi::SQLITE_IOERR_READ, false);
        check(ffi::SQLITE_BUSY, false);
    }

    #[test]
    fn corruption_is_named() {
        let check = |code: i32, corrupt: bool| {
            let error = unavailable(&sqlite(code));
            assert_eq!(matches!(error, StoreError::Corrupt(_)), corrupt, "{code}: {error}");
        };
        check(ffi::SQLITE_CORRUPT, true);
        check(ffi::SQLITE_NOTADB, true);
        check(ffi::SQLITE_FULL, false);
    }
}
