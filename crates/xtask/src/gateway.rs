//! The gateway as a program of its own, ready to be called. It must not know what is called.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::Running;

/// What the program says before its address once it accepts calls.
const SERVES_AT: &str = "purveyor serves at ";

/// Starts `program` on a configuration and tells where it accepts calls. Its log goes to `gateway.log`
/// beside the configuration.
///
/// # Errors
/// When it cannot be started, or is not ready in time.
pub fn serve(program: &Path, configuration: &Path) -> Result<(Running, SocketAddr)> {
    serve_with(program, configuration, &[])
}

/// As [`serve`], with environment variables beside those of this process.
///
/// # Errors
/// As [`serve`].
pub fn serve_with(
    program: &Path,
    configuration: &Path,
    variables: &[(&str, &str)],
) -> Result<(Running, SocketAddr)> {
    let mut running = begin_with(program, configuration, variables)?;
    let address = ready(&mut running)?;
    Ok((running, address))
}

/// Starts the program as [`serve_with`], and does not wait for it.
///
/// # Errors
/// When it cannot be started.
pub fn begin_with(
    program: &Path,
    configuration: &Path,
    variables: &[(&str, &str)],
) -> Result<Running> {
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(configuration);
    command.envs(variables.iter().copied());
    let log = configuration.with_file_name("gateway.log");
    Running::start("the gateway", command, log)
}

/// Waits until the program accepts calls, and tells where.
///
/// # Errors
/// When it ends, or is not ready in time.
pub fn ready(running: &mut Running) -> Result<SocketAddr> {
    running.wait_for(|line| line.strip_prefix(SERVES_AT)?.parse().ok())
}
