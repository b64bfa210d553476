//! `purveyor backup` and `purveyor restore`: a verified copy of the store, and one put in its place. It must not
//! decide what a restored store lacks.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;

use super::failure::Failure;
use super::store::runtime;
use crate::config;
use crate::store::backup::BackupSummary;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;

#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A file that does not exist, or a folder, for a store in a file; for one in PostgreSQL a folder that
    /// does not exist or is empty.
    #[arg(long, value_name = "FILE|DIR")]
    to: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What `purveyor backup` made.
    #[arg(long, value_name = "FILE|DIR")]
    from: PathBuf,
}

/// Copies the store, also while gateways use it.
pub(crate) fn back_up(arguments: &Backup, out: &mut dyn Write) -> Result<(), Failure> {
    let (now, to) = (Timestamp::now(), arguments.to.as_path());
    let failed = "the store was not backed up";
    let made = match config::load(&arguments.config)?.store {
        config::Store::Sqlite { path } => SqliteStore::back_up(&path, to, now).context(failed)?,
        config::Store::Postgres(config) => {
            runtime()?.block_on(PostgresStore::back_up(&config, to, now)).context(failed)?
        }
    };
    writeln!(out, "{} holds and was checked: {}", made.path.display(), told(&made))?;
    Ok(())
}

/// Puts a copy where no store is.
pub(crate) fn restore(arguments: &Restore, out: &mut dyn Write) -> Result<(), Failure> {
    let (failed, from) = ("the store was not restored", arguments.from.as_path());
    let made = match config::load(&arguments.config)?.store {
        config::Store::Sqlite { path } => SqliteStore::restore(&path, from).context(failed)?,
        config::Store::Postgres(config) => {
            runtime()?.block_on(PostgresStore::restore(&config, from)).context(failed)?
        }
    };
    writeln!(out, "restored: {}", told(&made))?;
    writeln!(
        out,
        "nothing is spent until `purveyor store confirm`; what was bought after {} is not in it",
        made.time
    )?;
    Ok(())
}

fn told(made: &BackupSummary) -> String {
    format!(
        "store {} as of {}, schema version {}, {} operations, last change {}",
        made.store_id, made.time, made.schema_version, made.operations, made.last_position
    )
}
