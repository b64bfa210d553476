//! The gateway takes signals: a stop waits for every open attempt, and no other signal ends it.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use purveyor::api::limits::Limits;
use purveyor::engine::drain::ATTEMPT_MARGIN;
use purveyor::plugin::{Loader, PluginsConfig};
use purveyor_sdk::v1::operation::Outcome;
use purveyor_simulators::racknap::RackNap;
use purveyor_simulators::{Fault, Simulator};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use xtask::configuration::Configuration;

use crate::finding_out::stage::{RACKNAP_CREATE, attempts, racknap, record, sales};
use crate::support::client::{Client, succeeded};
use crate::support::postgres::{database, server};
use crate::support::program::{self, Program};
use crate::support::requests::purchase;
use crate::support::wall_clock::WallClock;
use crate::support::{FOR_EVER, HOUR, asked, built, configuration, gandi, spends, until};

/// An attempt may take so long: more than reads may take once a stop has begun.
const ATTEMPT_MS: u64 = 60_000;

/// More than reads may take, in seconds.
const PAST_READS: i64 = 21;

/// A provider whose upstream holds its next purchase until [`sells`].
async fn slow() -> (Configuration, Simulator<RackNap>) {
    let (upstream, provider) = racknap().await;
    upstream.inject(Fault::next(RACKNAP_CREATE, FOR_EVER));
    let provider = provider.timing("attempt_timeout_ms", ATTEMPT_MS);
    (configuration().provider("racknap", provider), upstream)
}

/// Orders, and returns the operation's name when the upstream holds the request.
async fn ordered(program: &Program, upstream: &Simulator<RackNap>) -> String {
    let operation = program.client().await.order(record()).await.expect("accepted");
    until("the request arrives", async || asked(upstream, RACKNAP_CREATE) == 1).await;
    operation.name
}

/// The upstream answers what it holds.
fn sells(upstream: &Simulator<RackNap>) {
    upstream.advance(HOUR);
}

/// The next gateway has an order that has succeeded with one attempt, and nothing for a person.
async fn nothing_is_left(folder: TempDir, upstream: &Simulator<RackNap>, name: &str) {
    let program = Program::start_in(folder);
    let operation = succeeded(program.client().await.done(name).await);
    let sold = sales(upstream);
    assert_eq!(sold.len(), 1, "{operation:#?}");
    assert_eq!(attempts(&operation), [(Outcome::Applied, sold[0].as_str())]);
    let asking = program.operations(&["list", "--state", "needs-operator"]);
    assert_eq!(String::from_utf8_lossy(&asking.stdout).trim(), "no operations");
}

#[tokio::test]
async fn sigterm_in_a_slow_purchase_waits_for_its_answer() {
    let (configuration, upstream) = slow().await;
    waits_for_its_answer(configuration, &upstream).await;
}

#[tokio::test]
async fn sigterm_in_a_slow_purchase_waits_for_its_answer_with_a_database() {
    let (configuration, upstream) = slow().await;
    let url = server().url(&database(server()).await);
    waits_for_its_answer(configuration.store(&url), &upstream).await;
}

async fn waits_for_its_answer(configuration: Configuration, upstream: &Simulator<RackNap>) {
    let clock = WallClock::new();
    let program = Program::start_leaping(&clock, configuration);
    let name = ordered(&program, upstream).await;
    program.signal(Signal::TERM);
    until("it stops", async || program.said("stopping") == 1).await;
    clock.set_ahead(PAST_READS);
    until("it waits", async || program.said("waiting for open attempts") == 1).await;
    sells(upstream);
    let (status, folder) = program.ended().await;
    assert!(status.success(), "{status}");
    nothing_is_left(folder, upstream, &name).await;
}

#[tokio::test]
async fn second_sigterm_or_sigint_cuts_no_attempt() {
    let (configuration, upstream) = slow().await;
    let program = Program::start(configuration);
    let name = ordered(&program, &upstream).await;
    program.signal(Signal::TERM);
    until("it stops", async || program.said("stopping") == 1).await;
    for (ignored, signal) in [(1, Signal::TERM), (2, Signal::INT)] {
        program.signal(signal);
        until("it is ignored", async || program.said("signal ignored") == ignored).await;
    }
    sells(&upstream);
    let (status, folder) = program.ended().await;
    assert!(status.success(), "{status}");
    nothing_is_left(folder, &upstream, &name).await;
}

#[tokio::test]
async fn sighup_and_sigpipe_end_nothing() {
    let (configuration, upstream) = slow().await;
    let program = Program::start(configuration);
    let name = ordered(&program, &upstream).await;
    program.signal(Signal::PIPE);
    program.signal(Signal::HUP);
    until("it is ignored", async || program.said("signal ignored") == 1).await;
    sells(&upstream);
    succeeded(program.client().await.done(&name).await);
    program.signal(Signal::TERM);
    let (status, folder) = program.ended().await;
    assert!(status.success(), "{status}");
    nothing_is_left(folder, &upstream, &name).await;
}

#[tokio::test]
async fn stop_gives_no_permit_any_more() {
    let (configuration, upstream) = slow().await;
    let program = Program::start(configuration);
    let first = ordered(&program, &upstream).await;
    program.signal(Signal::TERM);
    until("it stops", async || program.said("stopping") == 1).await;
    // The listener is open for `settle_ms` still, and what is accepted is for the next start.
    let second = program.client().await.order(record()).await;
    sells(&upstream);
    let (status, folder) = program.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(sales(&upstream).len(), 1, "{second:?}");
    let program = Program::start_in(folder);
    let client = program.client().await;
    succeeded(client.done(&first).await);
    succeeded(client.done(&second.expect("it is accepted").name).await);
    assert_eq!(sales(&upstream).len(), 2);
}

#[tokio::test]
async fn stop_in_the_reads_of_a_step_sends_no_purchase() {
    let (upstream, provider) = gandi().await;
    upstream.inject(Fault::next("operation.list", FOR_EVER));
    let program = Program::start(configuration().provider("gandi", provider));
    let request = purchase("gandi", &[("shares", 2)]);
    let name = program.client().await.order(request).await.expect("accepted").name;
    until("the step reads", async || asked(&upstream, "operation.list") == 1).await;
    program.signal(Signal::TERM);
    until("it stops", async || program.said("stopping") == 1).await;
    upstream.advance(HOUR);
    let (status, folder) = program.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(spends(&upstream), 0);
    let program = Program::start_in(folder);
    let operation = succeeded(program.client().await.done(&name).await);
    assert_eq!((operation.attempts.len(), spends(&upstream)), (1, 1));
}

/// A gateway at a terminal of its own, whose keys are what is written to `script`.
struct AtTerminal {
    folder: TempDir,
    script: Child,
}

impl AtTerminal {
    fn start(configuration: Configuration) -> Self {
        let folder = program::written(configuration);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let command = format!(
            "echo $$ > {}; exec {} serve --config {} > {} 2>&1",
            path("pid"),
            program::program().display(),
            path("purveyor.toml"),
            path("gateway.log")
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        let script = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Self { folder, script: script.expect("script, of util-linux, is there") }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    async fn says(&self, text: &str) {
        until(text, async || self.read("gateway.log").contains(text)).await;
    }

    fn press(&mut self, keys: &[u8]) {
        self.script.stdin.as_mut().expect("it is piped").write_all(keys).expect("it is read");
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        // A hangup does not end it. Where it has ended there is nobody left.
        let process = self.read("pid").trim().parse().ok().and_then(Pid::from_raw);
        let _gone = process.map(|process| kill_process(process, Signal::KILL));
        let _ended = self.script.wait();
    }
}

#[tokio::test]
async fn second_sigint_of_a_terminal_ends_at_once() {
    const CTRL_C: &[u8] = b"\x03";
    const SERVES_AT: &str = "purveyor serves at ";
    let (configuration, upstream) = slow().await;
    let mut terminal = AtTerminal::start(configuration);
    terminal.says(SERVES_AT).await;
    let log = terminal.read("gateway.log");
    let address = log.lines().find_map(|line| line.strip_prefix(SERVES_AT)?.parse().ok());
    let client = Client::connect(address.expect("an address")).await;
    client.order(record()).await.expect("accepted");
    until("the request arrives", async || asked(&upstream, RACKNAP_CREATE) == 1).await;
    // Pressed together, the keys would be one signal.
    terminal.press(CTRL_C);
    terminal.says("stopping").await;
    terminal.press(CTRL_C);
    terminal.says("ending at once").await;
    let status = terminal.script.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
}

#[tokio::test]
async fn drain_below_an_attempt_is_warned_of() {
    let warned = |configuration: Configuration| {
        let output = program::check(configuration);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).contains("warning")
    };
    let (configuration, _upstream) = slow().await;
    let with = |milliseconds| configuration.clone().limit("drain_ms", milliseconds);
    let needed = ATTEMPT_MS + u64::try_from(ATTEMPT_MARGIN.as_millis()).expect("small");
    assert!(!warned(configuration.clone()));
    assert!(!warned(with(needed)));
    assert!(warned(with(needed - 1)));
    let output = String::from_utf8(program::check(with(5000)).stdout).expect("a text");
    let told = format!("server.limits.drain_ms: is 5000, less than the {needed} ms");
    assert!(output.contains(&told), "{output}");
    assert!(output.contains("providers/racknap"), "{output}");
    let started = Program::start(with(5000));
    assert_eq!(started.said("less than the"), 1);
}

#[test]
fn shipped_unit_waits_longer_than_any_shipped_plugin_needs() {
    let unit = include_str!("../../deploy/purveyor.service");
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
    let stop = stop.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let artifacts = built();
    let mut loader = Loader::new(PluginsConfig {
        directory: artifacts.plugins.clone(),
        pins: artifacts.pins.clone(),
        ..PluginsConfig::default()
    });
    let files = loader.find().expect("the folder is read");
    let timeouts = files.iter().map(|file| {
        let manifest = loader.load(file).expect("it is loaded").manifest;
        manifest.timing.and_then(|it| Duration::try_from(it.attempt_timeout?).ok())
    });
    let longest = timeouts.flatten().max().expect("five plugins");
    let needed = Limits::default().settle + longest + ATTEMPT_MARGIN;
    assert!(stop.is_some_and(|stop| stop > needed), "{stop:?} {needed:?}");
}
