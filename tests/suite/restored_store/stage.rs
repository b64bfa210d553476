//! Stores that are backed up and restored, as an operator does it with the tools of the database. It must not
//! know a scenario.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use xtask::configuration::Configuration;

use crate::support::postgres::{database, run, server};
use crate::support::program::Program;

/// Where operations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Sqlite,
    Postgres,
}

/// Keeps one gateway's store.
pub(super) struct Keeper {
    /// The name of the database; empty for a file.
    database: String,
}

/// What was kept of a store.
pub(super) enum Backup {
    File(TempDir),
    Dump(Vec<u8>),
}

impl Keeper {
    pub(super) async fn new(home: Home) -> Self {
        let database = match home {
            Home::Sqlite => String::new(),
            Home::Postgres => database(server()).await,
        };
        Self { database }
    }

    /// The name of the database.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) fn start(&self, configuration: Configuration) -> Program {
        Program::start(if self.database.is_empty() {
            configuration
        } else {
            configuration.store(&server().url(&self.database))
        })
    }

    /// Backs up the store of a gateway that was stopped.
    pub(super) fn back_up(&self, folder: TempDir) -> (TempDir, Backup) {
        if !self.database.is_empty() {
            let dump = server().dump(&self.database).expect("it is dumped");
            return (folder, Backup::Dump(dump));
        }
        let copy = tempfile::tempdir().expect("a folder for the copy");
        copy_store(folder.path(), copy.path());
        (folder, Backup::File(copy))
    }

    /// Restores the store: a database is dropped, created and filled; a file is put on a new host, which has
    /// no witness of it.
    pub(super) async fn restore(&self, folder: TempDir, backup: &Backup) -> TempDir {
        match backup {
            Backup::Dump(dump) => {
                let name = &self.database;
                run(server(), "postgres", &format!("DROP DATABASE {name} WITH (FORCE)")).await;
                run(server(), "postgres", &format!("CREATE DATABASE {name}")).await;
                server().restore(name, dump).expect("it is restored");
                folder
            }
            Backup::File(copy) => {
                let host = tempfile::tempdir().expect("a new host");
                for entry in fs::read_dir(folder.path()).expect("the folder") {
                    let entry = entry.expect("an entry");
                    let name = entry.file_name();
                    if !name.to_string_lossy().starts_with("purveyor.db") {
                        fs::copy(entry.path(), host.path().join(name)).expect("it is copied");
                    }
                }
                copy_store(copy.path(), host.path());
                host
            }
        }
    }
}

/// Copies a database with its log.
fn copy_store(from: &Path, to: &Path) {
    for name in ["purveyor.db", "purveyor.db-wal", "purveyor.db-shm"] {
        let (from, to) = (from.join(name), to.join(name));
        if from.exists() {
            fs::copy(from, to).expect("it is copied");
        }
    }
}

/// The time of day, as a person writes it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
