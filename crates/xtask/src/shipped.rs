//! Plugins as they are shipped: built alone, in their own profile, and small enough. It must not look
//! at what a build of the whole workspace has left, which carries features of others.

use std::fs;

use anyhow::{Context, Result, ensure};
use xtask::workspace;

use crate::steps::show;

/// A plugin is read, hashed and mapped whole at every start.
const PLUGIN_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// Builds every crate of `plugins/` and compares its size with the limit.
///
/// # Errors
/// When a plugin does not build, or is too large.
pub(crate) fn check() -> Result<String> {
    let folders = fs::read_dir(workspace::root().join("plugins"))?;
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<_>>>()?;
    // In one command, so that they are built side by side.
    let packages = names.iter().map(|name| format!("--package=purveyor-{name}"));
    show(workspace::cargo().args(["build", "--profile", "plugin"]).args(packages))?;
    let mut sizes = Vec::new();
    for name in names {
        let file = format!("libpurveyor_{}.so", name.replace('-', "_"));
        let path = workspace::target()?.join("plugin").join(file);
        let size = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
        ensure!(size < PLUGIN_MAX_BYTES, "{name} has {size} bytes, at least {PLUGIN_MAX_BYTES}");
        sizes.push(format!("{name} {size} bytes"));
    }
    sizes.sort();
    Ok(sizes.join(", "))
}
