//! `purveyor serve`: the runtime, the log, the signals. What is served, `app` composes.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::failure::Failure;
use crate::{app, config, telemetry};

/// Serves until a signal asks it to stop.
pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let config = config::load(file)?;
    telemetry::install(&config.telemetry)?;
    #[cfg(feature = "failpoints")]
    crate::failpoint::arm(&config::failpoints()).map_err(anyhow::Error::msg)?;
    for warning in &config.warnings {
        tracing::warn!(key = warning.key, line = warning.line, "{}", warning.message);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(async {
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(Signals::new()?.take(stop));
        Box::pin(app::run(config, ready, async { drop(stopped.await) })).await
    });
    // Calls that are stuck in a plugin must not keep the process; a stop does nothing that a kill
    // would not survive.
    runtime.shutdown_background();
    served.map_err(failure)
}

/// The mistakes that only plugins can tell come out of `app` as the same report.
fn failure(error: anyhow::Error) -> Failure {
    match error.downcast::<config::Report>() {
        Ok(report) => Failure::Configuration(report),
        Err(error) => Failure::Failed(error),
    }
}

/// Says where calls are accepted. A closed standard output is no reason not to serve.
fn ready(address: SocketAddr) {
    let mut out = io::stdout();
    let said = writeln!(out, "purveyor serves at {address}").and_then(|()| out.flush());
    if let Err(error) = said {
        tracing::warn!(%error, "standard output cannot be written");
    }
}

/// The signals that the process takes. SIGPIPE is not among them: the standard library ignores it before
/// `main`.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Stop,
    Ignore(&'static str),
    EndAtOnce,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    fn new() -> Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
        Ok(Self { terminate, interrupt, hangup })
    }

    /// Takes signals as long as the process lives; dropping `stop` asks for a stop.
    async fn take(mut self, stop: oneshot::Sender<()>) {
        let mut stop = Some(stop);
        // A person at a terminal may have had enough; a supervisor has SIGKILL.
        let interactive = io::stdin().is_terminal();
        loop {
            let kind = tokio::select! {
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.hangup.recv() => SignalKind::hangup(),
            };
            let signal = name(kind);
            match act(kind, stop.is_none(), interactive) {
                Act::Stop => {
                    tracing::info!(signal, "stopping");
                    drop(stop.take());
                }
                Act::Ignore(reason) => tracing::warn!(signal, reason, "signal ignored"),
                Act::EndAtOnce => {
                    tracing::error!(signal, "ending at once; open attempts are cut");
                    process::exit(128 + kind.as_raw_value());
                }
            }
        }
    }
}

fn act(kind: SignalKind, stopping: bool, interactive: bool) -> Act {
    if kind == SignalKind::hangup() {
        return Act::Ignore("the configuration is read at start only");
    }
    match (stopping, kind == SignalKind::interrupt() && interactive) {
        (false, _) => Act::Stop,
        (true, true) => Act::EndAtOnce,
        (true, false) => Act::Ignore("the gateway is stopping already"),
    }
}

fn name(kind: SignalKind) -> &'static str {
    match kind {
        kind if kind == SignalKind::terminate() => "SIGTERM",
        kind if kind == SignalKind::interrupt() => "SIGINT",
        _ => "SIGHUP",
    }
}

#[cfg(test)]
mod tests {
    use tokio::signal::unix::SignalKind;

    use super::{Act, act};

    #[test]
    fn second_signal_ends_at_once_only_as_sigint_of_a_terminal() {
        let [terminate, interrupt, hangup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        for interactive in [false, true] {
            assert_eq!(act(terminate, false, interactive), Act::Stop);
            assert_eq!(act(interrupt, false, interactive), Act::Stop);
            let second = Act::Ignore("the gateway is stopping already");
            assert_eq!(act(terminate, true, interactive), second);
            let second = if interactive { Act::EndAtOnce } else { second };
            assert_eq!(act(interrupt, true, interactive), second);
            for stopping in [false, true] {
                assert!(matches!(act(hangup, stopping, interactive), Act::Ignore(_)));
            }
        }
    }
}
