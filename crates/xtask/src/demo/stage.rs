//! The programs of the demo: the Gandi simulator with its ledger, and the gateway, which can be
//! killed and started again on the same store and the same port.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use xtask::artifacts::Artifacts;
use xtask::configuration::{Configuration, Provider};
use xtask::process::Running;

/// The API key of the simulated account; the simulator is told it, and no other knows it.
const API_KEY: &str = "demodemodemodemodemodemo";
/// Milliseconds that an upstream operation stays in each of its steps: long enough to be seen.
const STEP_MS: u32 = 300;

/// What is running.
pub(crate) struct Stage {
    folder: PathBuf,
    program: PathBuf,
    configuration: PathBuf,
    simulator: Simulator,
    gateway: Option<Running>,
    address: SocketAddr,
}

struct Simulator {
    running: Running,
    control_url: String,
}

/// The line that the simulator prints when it listens.
#[derive(Deserialize)]
struct Ready {
    url: String,
    control_url: String,
}

impl Stage {
    /// Starts the simulator, writes a configuration and starts the gateway.
    pub(crate) fn set(artifacts: &Artifacts, folder: &Path, listen: SocketAddr) -> Result<Self> {
        let (simulator, url) = simulator(artifacts, folder)?;
        let configuration = |listen: &str| {
            let provider = Provider::new("gandi", &url)
                .credential("api-key", API_KEY)
                .timing("attempt_timeout_ms", 2000)
                .timing("upstream_idle_ms", 100)
                .timing("upstream_processing_ms", 500)
                .timing("listing_lag_ms", 100);
            let gateway = Configuration::new(artifacts).listen(listen).provider("gandi", provider);
            gateway.engine("look_first_ms", 100).engine("retry_first_ms", 100).write(folder)
        };
        let program = artifacts.program("purveyor")?.to_owned();
        let file = configuration(&listen.to_string())?;
        let (gateway, address) = gateway(&program, &file, folder)?;
        // Written again with the port, so that the gateway comes back where it was.
        let configuration = configuration(&address.to_string())?;
        println!("simulated Gandi at {url}");
        println!("gateway at {address}, configured by {}", configuration.display());
        Ok(Self {
            folder: folder.to_owned(),
            program,
            configuration,
            simulator,
            gateway: Some(gateway),
            address,
        })
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The simulator's control API.
    pub(crate) fn control_url(&self) -> &str {
        &self.simulator.control_url
    }

    /// The sales so far, one JSON object each, from the file that the simulator syncs.
    pub(crate) fn ledger(&self) -> Result<Vec<serde_json::Value>> {
        let text = fs::read_to_string(ledger(&self.folder)).context("cannot read the ledger")?;
        let sales = text.lines().map(serde_json::from_str);
        sales.collect::<Result<_, _>>().context("the ledger has a line that is not JSON")
    }

    /// Kills the gateway as `kill -9` does. Tells the id that its process had.
    pub(crate) fn kill_gateway(&mut self) -> Result<u32> {
        let gateway = self.gateway.take().context("the gateway does not run")?;
        let id = gateway.id();
        gateway.kill()?;
        Ok(id)
    }

    /// Starts the gateway again, on the same store. Tells the id of its new process.
    pub(crate) fn start_gateway(&mut self) -> Result<u32> {
        let (running, address) = gateway(&self.program, &self.configuration, &self.folder)?;
        ensure!(address == self.address, "the gateway came back at {address}");
        let id = running.id();
        self.gateway = Some(running);
        Ok(id)
    }

    /// What to type next.
    pub(crate) fn suggestions(&self) -> Vec<String> {
        let address = self.address;
        vec![
            format!("grpcurl -plaintext {address} list"),
            format!("grpcurl -plaintext {address} describe purveyor.v1.Orders"),
            format!("grpcurl -plaintext {address} purveyor.v1.Providers/ListProviders"),
            format!(
                "grpcurl -plaintext -d '{{\"parent\": \"providers/gandi\"}}' {address} \
                 purveyor.v1.Services/ListServices"
            ),
            format!("{} operations list --endpoint http://{address}", self.program.display()),
        ]
    }

    /// Stops everything in order.
    pub(crate) fn clear(mut self) -> Result<()> {
        if let Some(gateway) = self.gateway.take() {
            let status = gateway.stop()?;
            ensure!(status.success(), "the gateway ended with {status}");
        }
        let status = self.simulator.running.stop()?;
        ensure!(status.success(), "the simulator ended with {status}");
        Ok(())
    }
}

fn ledger(folder: &Path) -> PathBuf {
    folder.join("ledger.jsonl")
}

fn simulator(artifacts: &Artifacts, folder: &Path) -> Result<(Simulator, String)> {
    let mut command = Command::new(artifacts.program("purveyor-simulators")?);
    command.args(["gandi", "--api-key", API_KEY, "--step-ms", &STEP_MS.to_string()]);
    command.arg("--ledger").arg(ledger(folder));
    let mut running = Running::start("the simulator", command, folder.join("simulator.log"))?;
    let ready: Ready = running.wait_for(|line| serde_json::from_str(line).ok())?;
    Ok((Simulator { running, control_url: ready.control_url }, ready.url))
}

fn gateway(program: &Path, configuration: &Path, folder: &Path) -> Result<(Running, SocketAddr)> {
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(configuration);
    let mut running = Running::start("the gateway", command, folder.join("gateway.log"))?;
    let address =
        running.wait_for(|line| line.strip_prefix("purveyor serves at ")?.parse().ok())?;
    Ok((running, address))
}
