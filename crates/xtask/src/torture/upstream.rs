//! The simulators: one process for each provider, with a ledger of its own. It must not read anything
//! back but the ledger's file, which is synced before a sale can be known.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use xtask::artifacts::Artifacts;
use xtask::process::Running;

use super::faults::{Mix, TIMING};
use super::subject::{Entry, Subject};
use super::workload::at;
use crate::control;

/// A running simulator.
pub(crate) struct Upstream {
    pub(crate) url: String,
    desk: Desk,
    // Ends with this.
    _running: Running,
}

/// How a simulator is told something, and what it has sold.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) control_url: String,
    /// Which of the upstreams of one provider it belongs to.
    pub(crate) site: usize,
    /// The accounts that it serves.
    pub(crate) accounts: Vec<usize>,
    ledger: PathBuf,
}

/// The line that a simulator prints when it listens.
#[derive(Deserialize)]
struct Ready {
    url: String,
    control_url: String,
}

impl Upstream {
    /// Starts one of a provider's simulators at a site for these accounts, with nothing going wrong yet.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(
        subject: &dyn Subject,
        artifacts: &Artifacts,
        folder: &Path,
        (accounts, site): (&[usize], usize),
        orders: usize,
    ) -> Result<Self> {
        let first = accounts.first().copied().unwrap_or_default();
        let name = at(site, &format!("{}-{first}", subject.name()));
        let ledger = folder.join(format!("{name}.ledger.jsonl"));
        let mut command = Command::new(artifacts.program("purveyor-simulators")?);
        command.arg(subject.name());
        subject.simulate(&mut command, accounts);
        command.arg("--ledger").arg(&ledger);
        let log = folder.join(format!("{name}.simulator.log"));
        let mut running = Running::start(&format!("the simulator of {name}"), command, log)?;
        let ready: Ready = running.wait_for(|line| serde_json::from_str(line).ok())?;
        let Ready { url, control_url } = ready;
        let desk = Desk { control_url, site, accounts: accounts.to_vec(), ledger };
        let upstream = Self { url, desk, _running: running };
        let idle = json!({ "ms": TIMING.idle.as_millis() });
        control::post(&upstream.desk.control_url, "/idle", &idle).await?;
        for (command, body) in subject.prepare(accounts, orders) {
            control::post(&upstream.desk.control_url, command, &body).await?;
        }
        Ok(upstream)
    }

    /// From now on things go wrong as the mix says.
    ///
    /// # Errors
    /// When the simulator does not obey.
    pub(crate) async fn go_wrong(&self, subject: &dyn Subject, mix: Mix, seed: u64) -> Result<()> {
        let table = mix.table(subject.sells(), subject.lists(), seed);
        control::post(&self.desk.control_url, "/fault-table", &table).await
    }

    /// Tells it something over its control API.
    ///
    /// # Errors
    /// When the simulator does not obey.
    pub(crate) async fn obey(&self, (command, body): (&str, Value)) -> Result<()> {
        control::post(&self.desk.control_url, command, &body).await
    }

    /// How it is told something, and what it has sold.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }
}

impl Desk {
    /// Every line of the ledger. Accounts of two sites have two names, whatever the upstreams say.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn ledger(&self) -> Result<Vec<Entry>> {
        let text = fs::read_to_string(&self.ledger).context("cannot read the ledger")?;
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(|line| {
            let entry: Entry = serde_json::from_str(line)?;
            Ok::<_, serde_json::Error>(Entry { account: at(self.site, &entry.account), ..entry })
        });
        lines.collect::<Result<_, _>>().context("the ledger has a line that is none")
    }
}
