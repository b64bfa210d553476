//! A wall clock that can be set: of a gateway or of a database's host, by libfaketime. The time since boot
//! stays true, as it does on a machine whose clock somebody sets.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use xtask::faketime;
use xtask::postgres::Server;

/// The wall clock of the programs that were started with its variables.
pub(crate) struct WallClock {
    folder: TempDir,
    library: PathBuf,
}

impl WallClock {
    /// Shows the true time until it is set.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the clock");
        // A database has a user of its own.
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("the clock is readable");
        let library = faketime::install().expect("libfaketime is installed");
        let clock = Self { folder, library };
        clock.set_ahead(0);
        clock
    }

    /// Sets it so many seconds ahead of the true time, or behind.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        faketime::set(&self.file(), seconds).expect("the clock is set");
    }

    /// What a program has to be started with.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let file = self.file();
        let variables = faketime::variables(&self.library, &file);
        variables.map(|(name, value)| (name, value.to_owned())).into()
    }

    /// As [`WallClock::variables`], of a program whose CLOCK_MONOTONIC follows it too: its time-outs pass
    /// when the clock is set ahead.
    pub(crate) fn leaping_variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.variables();
        variables.retain(|(name, _)| *name != "FAKETIME_DONT_FAKE_MONOTONIC");
        variables
    }

    /// A database server whose clock this is.
    pub(crate) fn server(&self) -> Server {
        Server::start_with_clock(&self.library, &self.file()).expect("a server of its own")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}
