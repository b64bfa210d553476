//! Plugins as they are shipped: built in their own profile and with the features of the SDK that they ask
//! for themselves, and small enough. It must not look at what a build of the whole workspace has left,
//! which carries features of others.

use std::fs;

use anyhow::{Context, Result, ensure};
use xtask::workspace;

use crate::command::{Output, show};

/// A plugin is read, hashed and mapped whole at every start.
const PLUGIN_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// Builds every crate of `plugins/` and compares its size with the limit. Each is built by itself, or it
/// would get the features of the others; and as a shared library alone, for cargo optimizes a crate that is
/// a Rust library as well without regard to what it links.
///
/// # Errors
/// When a plugin does not build, or is too large.
pub(crate) fn check(output: &Output) -> Result<String> {
    let mut sizes = Vec::new();
    for folder in fs::read_dir(workspace::root().join("plugins"))? {
        let name = folder?.file_name().to_string_lossy().into_owned();
        let mut build = workspace::cargo();
        let package = format!("--package=purveyor-{name}");
        let library = ["--lib", "--crate-type=cdylib"];
        show(output, build.args(["rustc", "--profile", "plugin", &package]).args(library))?;
        let file = format!("libpurveyor_{}.so", name.replace('-', "_"));
        let path = workspace::target()?.join("plugin").join(file);
        let size = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
        ensure!(size < PLUGIN_MAX_BYTES, "{name} has {size} bytes, at least {PLUGIN_MAX_BYTES}");
        sizes.push(format!("{name} {size} bytes"));
    }
    sizes.sort();
    Ok(sizes.join(", "))
}
