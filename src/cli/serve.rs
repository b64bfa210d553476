//! `purveyor serve`: the runtime, the log, the signals. What is served, `app` composes.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

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
        let stop = Stop::new()?;
        Box::pin(app::run(config, ready, stop.asked())).await
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

/// The signals that ask for a stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// From now on the signals no longer end the process by themselves.
    fn new() -> Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    async fn asked(mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
    }
}
