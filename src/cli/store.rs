//! `purveyor store`: what an operator says about the store that a gateway cannot know. It must not
//! read or change an operation.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use purveyor_sdk::v1::operation::State;
use rustix::process::getuid;

use super::failure::Failure;
use crate::config;
use crate::store::PAGE_MAX;
use crate::store::confirmation::{Confirmation, Decision, Examination};
use crate::store::operation::Operation;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;

/// How long operations are searched for after a confirmation that names no end: callers send a request
/// again for so long at most.
const LOST_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Debug, clap::Args)]
pub(crate) struct Confirm {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// List what may be missing, and decide nothing.
    #[arg(long, conflicts_with_all = ["nothing_lost", "lost_from"])]
    list: bool,
    /// The store holds all that was acknowledged. Spends go on at once, and nothing is searched for.
    #[arg(long, conflicts_with = "lost_from")]
    nothing_lost: bool,
    /// Commits since this moment may be missing, as in 2026-05-15T13:48:06Z. Spends go on, and each
    /// operation is searched for upstream before its next one.
    #[arg(long, value_name = "TIME")]
    lost_from: Option<Timestamp>,
    /// Until when operations are searched for; without it, for seven days from now.
    #[arg(long, value_name = "TIME", requires = "lost_from")]
    lost_until: Option<Timestamp>,
    /// Who decides, for the record; without it, the user who runs this.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

impl Confirm {
    /// What was decided; `None`: nothing.
    fn confirmation(&self, now: Timestamp) -> Result<Option<Confirmation>, Failure> {
        let decision = match (self.nothing_lost, self.lost_from) {
            (true, _) => Decision::NothingLost,
            (false, None) => return Ok(None),
            (false, Some(from)) => {
                let until = self.lost_until.unwrap_or(now + LOST_FOR);
                if from > now {
                    return Err(anyhow!("--lost-from {from} has not come yet").into());
                }
                if until <= now {
                    return Err(anyhow!("--lost-until {until} has passed already").into());
                }
                Decision::Lost { from, until }
            }
        };
        let user = || format!("user {}", getuid().as_raw());
        let actor = self.actor.clone().unwrap_or_else(user);
        Ok(Some(Confirmation { time: now, actor, decision, alert: String::new() }))
    }
}

/// Records what an operator decided about the store, or lists what may be missing.
pub(crate) fn confirm(arguments: Confirm, out: &mut dyn Write) -> Result<(), Failure> {
    let config = config::load(&arguments.config)?;
    match arguments.confirmation(Timestamp::now())? {
        None => list(&examine(&config.store)?, out),
        Some(confirmation) => {
            let decision = confirmation.decision;
            record(&config.store, confirmation)?;
            match decision {
                Decision::NothingLost => {
                    writeln!(out, "the store is confirmed as it is; spends go on")?;
                }
                Decision::Lost { from, until } => writeln!(
                    out,
                    "the store is confirmed, and may lack commits since {from}; spends go on, and until \
                     {until} each operation is searched for before its next one"
                )?,
            }
            Ok(())
        }
    }
}

fn record(store: &config::Store, confirmation: Confirmation) -> Result<(), Failure> {
    let failed = "the store was not confirmed";
    match store {
        config::Store::Sqlite { path } => {
            SqliteStore::confirm(path, confirmation).context(failed)?
        }
        config::Store::Postgres(config) => runtime()?
            .block_on(PostgresStore::confirm(config, confirmation))
            .with_context(|| config.place())
            .context(failed)?,
    }
    Ok(())
}

fn examine(store: &config::Store) -> Result<Examination, Failure> {
    let failed = "the store was not looked at";
    Ok(match store {
        config::Store::Sqlite { path } => SqliteStore::examine(path).context(failed)?,
        config::Store::Postgres(config) => runtime()?
            .block_on(PostgresStore::examine(config))
            .with_context(|| config.place())
            .context(failed)?,
    })
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("cannot start the runtime")?)
}

fn list(examined: &Examination, out: &mut dyn Write) -> Result<(), Failure> {
    match &examined.alert {
        Some(alert) => writeln!(out, "alert: {alert}")?,
        None => writeln!(out, "no alert: nothing speaks against the store")?,
    }
    let last = examined.last_position;
    match examined.last_time {
        Some(time) => writeln!(out, "last change: {last}, at {time}")?,
        None => writeln!(out, "last change: {last}")?,
    }
    match examined.witnessed_position {
        Some(seen) if seen > last => {
            writeln!(out, "missing: changes {} to {seen}, and maybe later ones", last + 1)?;
        }
        Some(seen) => writeln!(out, "its witness knows of change {seen}")?,
        None => writeln!(out, "it has no witness: nobody knows how many changes there were")?,
    }
    if let Some(lost) = examined.lost.as_ref().filter(|lost| lost.until > Timestamp::now()) {
        writeln!(out, "searched for before they spend: operations until {}", lost.until)?;
        writeln!(out, "  commits since {} may be missing", lost.from)?;
    }
    writeln!(out, "open operations:")?;
    for operation in &examined.open {
        writeln!(out, "  {}", line(operation))?;
    }
    if examined.open.len() >= PAGE_MAX {
        writeln!(out, "  and more")?;
    }
    for Confirmation { time, actor, decision, alert } in &examined.confirmations {
        let what = match decision {
            Decision::NothingLost => "nothing lost".to_owned(),
            Decision::Lost { from, until } => format!("lost from {from}, searched until {until}"),
        };
        writeln!(out, "confirmed at {time} by {actor}: {what} ({alert})")?;
    }
    let from = examined.last_time.map_or("TIME".to_owned(), |time| time.to_string());
    writeln!(
        out,
        "nothing was decided; look at what was bought since then, and run this again with \
         --lost-from {from} or --nothing-lost"
    )?;
    Ok(())
}

fn line(operation: &Operation) -> String {
    let Operation { request_id, provider, target, update_time, .. } = operation;
    let state = State::as_str_name(&operation.state);
    let method = operation.op.as_str_name();
    format!("operations/{request_id} {method} {provider} {target} {state} {update_time}")
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
