//! Packages of the distribution that tests need, installed where that can be done: as root, with apt.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

/// Installs a package; `why` says what needs it.
///
/// # Errors
/// When it cannot be installed here.
pub(crate) fn install(package: &str, why: &str) -> Result<()> {
    ensure!(geteuid().is_root(), "{why} needs {package}, and only root can install it");
    eprintln!("    installing {package}, once: {why} needs it");
    let install = ["install", "-y", "--no-install-recommends", package];
    // The lists of packages are older than the archive, or were never fetched.
    if run(&install).is_err() {
        run(&["update"])?;
        run(&install)?;
    }
    Ok(())
}

fn run(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    apt.stdin(Stdio::null()).stdout(Stdio::null());
    let status = apt.status().context("there is no apt-get")?;
    ensure!(status.success(), "{apt:?} ended with {status}");
    Ok(())
}
