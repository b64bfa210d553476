//! A wall clock that can be set: of a gateway or of a database's host, by libfaketime. The time since boot
//! stays true, as it does on a machine whose clock somebody sets.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use xtask::faketime;

/// The wall clock of the programs that were started with its variables.
pub(crate) struct WallClock(TempDir);

impl WallClock {
    /// Shows the true time until it is set.
    pub(crate) fn new() -> Self {
        let clock = Self(tempfile::tempdir().expect("a folder for the clock"));
        // A database has a user of its own.
        fs::set_permissions(clock.0.path(), Permissions::from_mode(0o755)).expect("it is readable");
        clock.set_ahead(0);
        clock
    }

    /// Sets it so many seconds ahead of the true time, or behind.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        let next = self.0.path().join("next");
        fs::write(&next, format!("{seconds:+}\n")).expect("it is written");
        fs::rename(next, self.0.path().join("offset")).expect("it is set whole");
    }

    /// What a program has to be started with.
    pub(crate) fn variables(&self) -> [(&'static str, String); 5] {
        let library = faketime::library().expect("libfaketime is installed");
        let offset = self.0.path().join("offset");
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
            // Every look at the clock shows what was set last.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}
