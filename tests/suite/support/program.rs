//! The gateway as a process of its own, which can be killed and started again on the same store. It
//! must not know a scenario.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use xtask::configuration::Configuration;
use xtask::process::Running;
use xtask::{faketime, gateway};

use super::client::Client;
use super::disk::Disk;
use super::wall_clock::WallClock;
use super::{LOOK_AGAIN, PATIENCE, built};

/// What a gateway says that takes over what another one left.
pub(crate) const TAKEN_OVER: &str = "took up an operation that another process left";

/// A gateway in a process of its own.
pub(crate) struct Program {
    folder: TempDir,
    running: Running,
    address: SocketAddr,
    /// Goes after the process.
    _shared: SharedMemory,
}

/// What libfaketime has in memory for a process that has such a clock, and does not remove when that is
/// killed.
struct SharedMemory(u32);

impl Drop for SharedMemory {
    fn drop(&mut self) {
        faketime::clean_up(self.0);
    }
}

impl Program {
    /// Starts a gateway with the providers of `configuration`, and returns when it accepts calls.
    pub(crate) fn start(configuration: Configuration) -> Self {
        Self::start_in(written(configuration))
    }

    /// As [`Program::start`], on a disk that can fail.
    pub(crate) fn start_on(disk: &Disk, configuration: Configuration) -> Self {
        Self::start_in_on(disk, written(configuration))
    }

    /// As [`Program::start`], of a gateway that lives on when a file becomes longer than is allowed.
    pub(crate) fn start_with_limits(configuration: Configuration) -> Self {
        let folder = written(configuration);
        let deaf = folder.path().join("gateway");
        let script = format!("#!/bin/sh\ntrap '' XFSZ\nexec {:?} \"$@\"\n", program());
        fs::write(&deaf, script).expect("the script is written");
        fs::set_permissions(&deaf, Permissions::from_mode(0o755)).expect("it can be run");
        Self::serve(&deaf, folder, &[])
    }

    /// Starts a gateway on the store and the configuration that an earlier one left.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        Self::serve(program(), folder, &[])
    }

    /// As [`Program::start_in`], on a disk that can fail.
    pub(crate) fn start_in_on(disk: &Disk, folder: TempDir) -> Self {
        Self::serve(program(), folder, &disk.variables())
    }

    /// As [`Program::start`], of a gateway to which something happens at one of its failpoints.
    #[cfg(feature = "failpoints")]
    pub(crate) fn start_armed(configuration: Configuration, failpoints: &str) -> Self {
        let variables = [("PURVEYOR_FAILPOINTS", failpoints.to_owned())];
        Self::serve(program(), written(configuration), &variables)
    }

    /// As [`Program::start`], by a wall clock that can be set.
    pub(crate) fn start_at(clock: &WallClock, configuration: Configuration) -> Self {
        Self::start_in_at(clock, written(configuration))
    }

    /// As [`Program::start_in`], by a wall clock that can be set.
    pub(crate) fn start_in_at(clock: &WallClock, folder: TempDir) -> Self {
        Self::serve(program(), folder, &clock.variables())
    }

    /// As [`Program::start`], by a wall clock that can be set and a time since boot that leaps with it:
    /// what the process waits for with a time-out.
    pub(crate) fn start_leaping(clock: &WallClock, configuration: Configuration) -> Self {
        Self::serve(program(), written(configuration), &clock.leaping_variables())
    }

    fn serve(program: &Path, folder: TempDir, variables: &[(&str, String)]) -> Self {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let configuration = folder.path().join("purveyor.toml");
        let started = gateway::serve_with(program, &configuration, &variables);
        let (running, address) = started.expect("it starts");
        let shared = SharedMemory(running.id());
        Self { folder, running, address, _shared: shared }
    }

    /// Kills it as `kill -9` does, and hands back the folder, for the next gateway.
    pub(crate) fn kill(self) -> TempDir {
        self.running.kill().expect("it can be killed");
        self.folder
    }

    /// Stops the process (SIGSTOP) until [`Program::go_on`].
    pub(crate) fn pause(&self) {
        kill_process(self.process(), Signal::STOP).expect("it is stopped");
    }

    /// Lets the process go on that is stopped.
    pub(crate) fn go_on(&self) {
        kill_process(self.process(), Signal::CONT).expect("it continues");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).expect("it is signalled");
    }

    /// Waits until it has ended by itself; how, and the folder for the next gateway.
    pub(crate) async fn ended(mut self) -> (ExitStatus, TempDir) {
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        let ended = async {
            loop {
                ticks.tick().await;
                if let Some(status) = self.running.ended().expect("the system can tell") {
                    return status;
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        (ended.unwrap_or_else(|_| panic!("it runs: {}", self.running.last_words())), self.folder)
    }

    /// The process.
    pub(crate) fn process(&self) -> Pid {
        Pid::from_raw(self.running.id().cast_signed()).expect("a process")
    }

    /// Kills it and starts the next one.
    pub(crate) fn restart(self) -> Self {
        Self::start_in(self.kill())
    }

    /// A caller with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Whether health says that the process serves.
    pub(crate) async fn serves(&self) -> bool {
        self.health("").await == Some(ServingStatus::Serving)
    }

    /// What health says of a service; `None`: it does not know it.
    pub(crate) async fn health(&self, service: &str) -> Option<ServingStatus> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        let channel = endpoint.expect("an address").connect().await;
        let mut health = HealthClient::new(channel.expect("the gateway accepts connections"));
        match health.check(HealthCheckRequest { service: service.to_owned() }).await {
            Ok(said) => Some(said.into_inner().status()),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => panic!("health is always told: {status}"),
        }
    }

    /// Runs `purveyor operations` against this gateway.
    pub(crate) fn operations(&self, arguments: &[&str]) -> Output {
        let endpoint = format!("http://{}", self.address);
        let mut command = purveyor();
        command.arg("operations").args(["--endpoint", &endpoint]).args(arguments);
        command.output().expect("the command runs")
    }

    /// How often its log has said something.
    pub(crate) fn said(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.folder().join("gateway.log"));
        log.expect("the gateway has a log").matches(text).count()
    }

    /// How many open claims its embedded store has on an identifier.
    pub(crate) fn open_claims(&self, upstream_id: &str) -> i64 {
        let path = self.folder().join("purveyor.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = Connection::open_with_flags(path, flags).expect("it opens");
        let open = "SELECT count(*) FROM claims WHERE upstream_id = ?1 AND closed_time IS NULL";
        store.query_row(open, [upstream_id], |row| row.get(0)).expect("it is read")
    }

    /// Where its store and its log are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A folder with the configuration.
pub(crate) fn written(configuration: Configuration) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for the gateway");
    configuration.write(folder.path()).expect("the configuration is written");
    folder
}

/// Starts a gateway that must not start on what is in a folder, and hands back what it says. It ends as
/// programs do that failed, not by the configuration's fault.
pub(crate) async fn refused(folder: &Path, variables: &[(&str, String)]) -> String {
    let said = ended_with(1, folder, variables).await;
    let last = said.lines().rev().find(|line| line.starts_with("error: "));
    last.unwrap_or_else(|| panic!("no error is told: {said}")).to_owned()
}

/// As [`refused`], by the configuration's fault, and with all that it says.
pub(crate) async fn refused_by_configuration(folder: &Path) -> String {
    ended_with(3, folder, &[]).await
}

async fn ended_with(code: i32, folder: &Path, variables: &[(&str, String)]) -> String {
    let mut command = tokio::process::Command::new(program());
    command.args(["serve", "--config"]).arg(folder.join("purveyor.toml"));
    command.envs(variables.iter().cloned()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let ended = ended.expect("it serves").expect("the command runs");
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(code), 0), "{ended:?}");
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// Runs `purveyor check` on a configuration.
pub(crate) fn check(configuration: Configuration) -> Output {
    let folder = written(configuration);
    let mut command = purveyor();
    command.args(["check", "--config"]).arg(folder.path().join("purveyor.toml"));
    command.output().expect("the command runs")
}

/// Says that nothing was lost with `purveyor store confirm` and the configuration in a folder.
pub(crate) fn confirm(folder: &Path) -> Output {
    confirm_with(folder, &["--nothing-lost"])
}

/// Runs `purveyor store confirm` with the configuration in a folder.
pub(crate) fn confirm_with(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = purveyor();
    command.args(["store", "confirm", "--config"]).arg(folder.join("purveyor.toml"));
    command.args(arguments).output().expect("the command runs")
}

/// Runs `purveyor backup` with the configuration in a folder.
pub(crate) fn backup(folder: &Path, to: &Path) -> Output {
    let mut command = purveyor();
    command.args(["backup", "--config"]).arg(folder.join("purveyor.toml")).arg("--to").arg(to);
    command.output().expect("the command runs")
}

/// Runs `purveyor restore` with the configuration in a folder.
pub(crate) fn restore(folder: &Path, from: &Path) -> Output {
    let mut command = purveyor();
    command.args(["restore", "--config"]).arg(folder.join("purveyor.toml")).arg("--from").arg(from);
    command.output().expect("the command runs")
}

/// Runs `purveyor store check` with the configuration in a folder; whether that succeeded, and all that
/// it says.
pub(crate) fn look_through(folder: &Path) -> (bool, String) {
    let mut command = purveyor();
    command.args(["store", "check", "--config"]).arg(folder.join("purveyor.toml"));
    let Output { status, stdout, stderr } = command.output().expect("the command runs");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn purveyor() -> Command {
    Command::new(program())
}

pub(crate) fn program() -> &'static Path {
    built().program("purveyor").expect("it is built")
}
