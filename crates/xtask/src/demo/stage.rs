//! The programs of the demo: the simulators with their ledgers, and the gateway, which can be killed
//! and started again on the same store and the same port. It must not know an upstream.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use xtask::artifacts::Artifacts;
use xtask::configuration::{Configuration, Provider};
use xtask::gateway;
use xtask::process::Running;

/// One upstream of the demo.
pub(crate) struct Upstream {
    /// What the simulator and the provider are called.
    pub(crate) id: &'static str,
    /// The plugin's file.
    pub(crate) plugin: &'static str,
    /// What the simulator is started with, beside its ledger.
    pub(crate) arguments: &'static [&'static str],
    /// The provider's table, by the simulator's address. Timing is added.
    pub(crate) provider: fn(&str) -> Provider,
    /// A call that is worth trying after the walk: the request as JSON, and the method.
    pub(crate) worth_trying: (&'static str, &'static str),
}

/// What is running.
pub(crate) struct Stage {
    program: PathBuf,
    configuration: PathBuf,
    simulators: BTreeMap<&'static str, Simulator>,
    gateway: Option<Running>,
    address: SocketAddr,
    tries: Vec<(&'static str, &'static str)>,
}

struct Simulator {
    running: Running,
    url: String,
    control_url: String,
    ledger: PathBuf,
}

/// The line that the simulator prints when it listens.
#[derive(Deserialize)]
struct Ready {
    url: String,
    control_url: String,
}

impl Stage {
    /// Starts the simulators, writes a configuration and starts the gateway.
    pub(crate) fn set(
        artifacts: &Artifacts,
        upstreams: &[Upstream],
        folder: &Path,
        listen: SocketAddr,
    ) -> Result<Self> {
        let mut simulators = BTreeMap::new();
        let mut providers = Vec::new();
        for upstream in upstreams {
            let simulator = Simulator::start(artifacts, upstream, folder)?;
            println!("simulated {} at {}", upstream.id, simulator.url);
            let provider = timed((upstream.provider)(&simulator.url));
            // A person who tries everything at once is faster than the 60 calls a minute of OVHcloud.
            let fast = upstream.id == "ovh";
            let provider = if fast { provider.requests_per_second(100) } else { provider };
            providers.push((upstream.id, provider));
            simulators.insert(upstream.id, simulator);
        }
        let configuration = |listen: &str| {
            let gateway = Configuration::new(artifacts).listen(listen);
            let gateway = gateway.engine("look_first_ms", 100).engine("retry_first_ms", 100);
            let all = providers.iter().cloned();
            all.fold(gateway, |gateway, (id, provider)| gateway.provider(id, provider))
                .write(folder)
        };
        let program = artifacts.program("purveyor")?.to_owned();
        let file = configuration(&listen.to_string())?;
        let (gateway, address) = gateway::serve(&program, &file)?;
        // Written again with the port, so that the gateway comes back where it was.
        let configuration = configuration(&address.to_string())?;
        println!("gateway at {address}, configured by {}", configuration.display());
        let tries = upstreams.iter().map(|upstream| upstream.worth_trying).collect();
        Ok(Self { program, configuration, simulators, gateway: Some(gateway), address, tries })
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A simulator's control API.
    pub(crate) fn control_url(&self, upstream: &str) -> Result<&str> {
        Ok(&self.simulator(upstream)?.control_url)
    }

    /// The sales so far, one JSON object each, from the file that the simulator syncs.
    pub(crate) fn ledger(&self, upstream: &str) -> Result<Vec<serde_json::Value>> {
        let text = fs::read_to_string(&self.simulator(upstream)?.ledger);
        let text = text.context("cannot read the ledger")?;
        let sales = text.lines().map(serde_json::from_str);
        sales.collect::<Result<_, _>>().context("the ledger has a line that is not JSON")
    }

    fn simulator(&self, upstream: &str) -> Result<&Simulator> {
        self.simulators.get(upstream).with_context(|| format!("{upstream} is not simulated"))
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
        let (running, address) = gateway::serve(&self.program, &self.configuration)?;
        ensure!(address == self.address, "the gateway came back at {address}");
        let id = running.id();
        self.gateway = Some(running);
        Ok(id)
    }

    /// What to type next.
    pub(crate) fn suggestions(&self) -> Vec<String> {
        let address = self.address;
        let asking = |request: &str, method: &str| {
            format!("grpcurl -plaintext -d '{request}' {address} purveyor.v1.{method}")
        };
        let mut lines = vec![
            format!("grpcurl -plaintext {address} list"),
            format!("grpcurl -plaintext {address} describe purveyor.v1.Orders"),
            format!("grpcurl -plaintext {address} purveyor.v1.Providers/ListProviders"),
        ];
        lines.extend(self.tries.iter().map(|(request, method)| asking(request, method)));
        lines.push(format!(
            "{} operations list --endpoint http://{address}",
            self.program.display()
        ));
        lines
    }

    /// Stops everything in order.
    pub(crate) fn clear(mut self) -> Result<()> {
        if let Some(gateway) = self.gateway.take() {
            let status = gateway.stop()?;
            ensure!(status.success(), "the gateway ended with {status}");
        }
        for (id, simulator) in self.simulators {
            let status = simulator.running.stop()?;
            ensure!(status.success(), "the simulated {id} ended with {status}");
        }
        Ok(())
    }
}

impl Simulator {
    fn start(artifacts: &Artifacts, upstream: &Upstream, folder: &Path) -> Result<Self> {
        let id = upstream.id;
        let ledger = folder.join(format!("{id}.ledger.jsonl"));
        let mut command = Command::new(artifacts.program("purveyor-simulators")?);
        command.arg(id).args(upstream.arguments).arg("--ledger").arg(&ledger);
        let (name, log) = (format!("the simulated {id}"), folder.join(format!("{id}.log")));
        let mut running = Running::start(&name, command, log)?;
        let Ready { url, control_url } =
            running.wait_for(|line| serde_json::from_str(line).ok())?;
        Ok(Self { running, url, control_url, ledger })
    }
}

/// With settings that fit a simulator, which is quicker than a provider.
fn timed(provider: Provider) -> Provider {
    provider
        .timing("attempt_timeout_ms", 2000)
        .timing("upstream_idle_ms", 100)
        .timing("upstream_processing_ms", 500)
        .timing("listing_lag_ms", 100)
        .timing("effect_lag_ms", 60_000)
}
