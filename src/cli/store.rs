//! `purveyor store`: what an operator says about the store that a gateway cannot know. It must not
//! read or change an operation.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};

use super::failure::Failure;
use crate::config;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;

/// Records that the store was looked at, and is what it shall be from now on.
pub(crate) fn confirm(file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let config = config::load(file)?;
    match &config.store {
        config::Store::Sqlite { path } => {
            SqliteStore::approve(path).context("the store was not confirmed")?;
        }
        config::Store::Postgres(config) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start the runtime")?;
            runtime
                .block_on(PostgresStore::approve(config))
                .with_context(|| config.place())
                .context("the store was not confirmed")?;
        }
    }
    writeln!(out, "the store is confirmed as it is; spends go on")?;
    Ok(())
}

/// Looks through the whole store for damage.
pub(crate) fn check(file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let config = config::load(file)?;
    match &config.store {
        config::Store::Sqlite { path } => {
            SqliteStore::look_through(path).context("the store was not found to be whole")?;
        }
        config::Store::Postgres(_) => {
            let message = "a store in PostgreSQL is looked through by PostgreSQL's own pg_amcheck";
            return Err(anyhow!(message).into());
        }
    }
    writeln!(out, "the store is whole")?;
    Ok(())
}
