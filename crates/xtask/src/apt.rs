//! Installs packages of the distribution where that can be done: as root, with apt.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Installs a package.
///
/// # Errors
/// When there is no apt-get, or it fails.
pub(crate) fn install(package: &str) -> Result<()> {
    let install = ["install", "-y", "--no-install-recommends", package];
    // The lists of packages are older than the archive, or were never fetched.
    let installed = apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)));
    installed.with_context(|| format!("cannot install the package {package}"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    apt.stdin(Stdio::null()).stdout(Stdio::null());
    let status = apt.status().context("there is no apt-get")?;
    ensure!(status.success(), "{apt:?} ended with {status}");
    Ok(())
}
