//! Installs the log. Each line carries the fields of the spans around it, request id and operation
//! among them. It must not decide what is logged where, and nothing secret reaches it: secrets are
//! of types that do not print.

use std::io;

use anyhow::{Context, Result};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::config::{LogFormat, Telemetry};

/// Writes the log to standard error from now on, until the process ends. Once in a process.
///
/// # Errors
/// When a log is installed already.
pub fn install(config: &Telemetry) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter).context("the log filter is wrong")?;
    let written =
        fmt::layer().with_writer(io::stderr).with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    let layer = match config.log_format {
        LogFormat::Text => written.boxed(),
        // The spans' fields stand under `spans`; `span` alone would repeat the innermost.
        LogFormat::Json => written.json().with_current_span(false).with_span_list(true).boxed(),
    };
    registry().with(layer.with_filter(filter)).try_init().context("a log is installed already")
}
