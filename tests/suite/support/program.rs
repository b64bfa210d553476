//! The gateway as a process of its own, which can be killed and started again on the same store. It
//! must not know a scenario.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use xtask::configuration::Configuration;
use xtask::gateway;
use xtask::process::Running;

use super::built;
use super::client::Client;

/// A gateway in a process of its own.
pub(crate) struct Program {
    folder: TempDir,
    running: Running,
    address: SocketAddr,
}

impl Program {
    /// Starts a gateway with the providers of `configuration`, and returns when it accepts calls.
    pub(crate) fn start(configuration: Configuration) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the gateway");
        configuration.write(folder.path()).expect("the configuration is written");
        Self::start_in(folder)
    }

    /// Starts a gateway on the store and the configuration that an earlier one left.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        let program = built().program("purveyor").expect("it is built");
        let started = gateway::serve(program, &folder.path().join("purveyor.toml"));
        let (running, address) = started.expect("it starts");
        Self { folder, running, address }
    }

    /// Kills it as `kill -9` does, and hands back the folder, for the next gateway.
    pub(crate) fn kill(self) -> TempDir {
        self.running.kill().expect("it can be killed");
        self.folder
    }

    /// Kills it and starts the next one.
    pub(crate) fn restart(self) -> Self {
        Self::start_in(self.kill())
    }

    /// A caller with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Runs `purveyor operations` against this gateway.
    pub(crate) fn operations(&self, arguments: &[&str]) -> Output {
        let endpoint = format!("http://{}", self.address);
        let mut command = purveyor();
        command.arg("operations").args(["--endpoint", &endpoint]).args(arguments);
        command.output().expect("the command runs")
    }

    /// Where its store and its log are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn purveyor() -> Command {
    let program: PathBuf = built().program("purveyor").expect("it is built").to_owned();
    Command::new(program)
}
