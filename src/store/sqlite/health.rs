//! What is known of the disk under the file: whether the last commit succeeded, and whether anything
//! failed that only a trial of the whole file can disprove. It must not touch the file.

use rusqlite::ErrorCode;
use tokio::sync::watch;

/// Shared by all who use the file.
pub(super) struct Health {
    sick: watch::Sender<Sick>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sick {
    /// The last commit failed. The next that succeeds ends that: a full disk has room again.
    commit: bool,
    /// The file could not be read, or the log not emptied into it. That other pages can be written says
    /// nothing of it, so this ends only with a trial of all that a disk may fail at.
    file: bool,
    /// The thread that commits has ended. Nothing ends that.
    ended: bool,
}

impl Sick {
    pub(super) fn well(self) -> bool {
        self == Self::default()
    }
}

impl Health {
    pub(super) fn new() -> Self {
        Self { sick: watch::Sender::new(Sick::default()) }
    }

    pub(super) fn well(&self) -> bool {
        self.sick.borrow().well()
    }

    /// Sees it change.
    #[cfg(test)]
    pub(super) fn watch(&self) -> watch::Receiver<Sick> {
        self.sick.subscribe()
    }

    /// Something was written and is on disk.
    pub(super) fn committed(&self) {
        self.change(|sick| sick.commit = false);
    }

    /// A group was not committed.
    pub(super) fn not_committed(&self, error: &rusqlite::Error) {
        self.change(|sick| sick.commit = true);
        self.failed(error);
    }

    /// The file could not be read.
    pub(super) fn failed(&self, error: &rusqlite::Error) {
        if of_the_file(error) {
            self.change(|sick| sick.file = true);
        }
    }

    /// The file could not be read, as the system says.
    pub(super) fn unreadable(&self) {
        self.change(|sick| sick.file = true);
    }

    /// The log could not be emptied into the file, for whatever reason: it grows until that is over.
    pub(super) fn not_emptied(&self) {
        self.change(|sick| sick.file = true);
    }

    /// The trial of the whole succeeded.
    pub(super) fn proven(&self) {
        self.change(|sick| *sick = Sick { ended: sick.ended, ..Sick::default() });
    }

    /// Nothing is committed any more.
    pub(super) fn ended(&self) {
        self.change(|sick| sick.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Sick)) {
        let mut turned = None;
        self.sick.send_if_modified(|sick| {
            let before = *sick;
            change(sick);
            turned = (before.well() != sick.well()).then(|| sick.well());
            *sick != before
        });
        if let Some(healthy) = turned {
            tracing::warn!(healthy, "the store's health changed");
        }
    }
}

/// Whether an error tells of the disk or of what stands on it. A full disk, a lock that somebody else
/// has and a wrong row do not. SQLite says that the file is corrupt where a read ends with EIO, so that
/// is not held to be for ever.
fn of_the_file(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::Health;

    #[test]
    fn what_a_commit_disproves_and_what_only_a_trial_of_the_file_does() {
        let check = |code: i32, healed_by_a_commit: bool| {
            let health = Health::new();
            health.not_committed(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert!(!health.well(), "{code}");
            health.committed();
            assert_eq!(health.well(), healed_by_a_commit, "{code}");
            health.proven();
            assert!(health.well(), "{code}");
        };
        check(ffi::SQLITE_FULL, true);
        check(ffi::SQLITE_BUSY, true);
        check(ffi::SQLITE_READONLY, true);
        check(ffi::SQLITE_IOERR_WRITE, false);
        check(ffi::SQLITE_IOERR_FSYNC, false);
        check(ffi::SQLITE_IOERR_READ, false);
        check(ffi::SQLITE_CORRUPT, false);
        check(ffi::SQLITE_CANTOPEN, false);
    }

    #[test]
    fn nothing_heals_a_thread_that_ended() {
        let health = Health::new();
        health.ended();
        health.committed();
        health.proven();
        assert!(!health.well());
    }
}
