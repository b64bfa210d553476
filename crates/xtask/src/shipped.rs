//! Plugins as they are shipped: built in their own profile and with the features of the SDK that they ask
//! for themselves, and small enough. It must not look at what a build of the whole workspace has left,
//! which carries features of others.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use xtask::workspace;

use crate::command::{Output, show};

/// A plugin is read, hashed and mapped whole at every start.
const PLUGIN_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// Builds every crate of `plugins/` and compares its size with the limit.
///
/// # Errors
/// When a plugin does not build, or is too large.
pub(crate) fn check(output: &Output) -> Result<String> {
    let mut sizes = Vec::new();
    for (_, names) in by_features()? {
        // In one command, so that they are built side by side.
        let packages = names.iter().map(|name| format!("--package=purveyor-{name}"));
        let mut build = workspace::cargo();
        show(output, build.args(["build", "--profile", "plugin"]).args(packages))?;
        for name in names {
            let file = format!("libpurveyor_{}.so", name.replace('-', "_"));
            let path = workspace::target()?.join("plugin").join(file);
            let size = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
            ensure!(
                size < PLUGIN_MAX_BYTES,
                "{name} has {size} bytes, at least {PLUGIN_MAX_BYTES}"
            );
            sizes.push(format!("{name} {size} bytes"));
        }
    }
    sizes.sort();
    Ok(sizes.join(", "))
}

/// The plugins, by the features that they ask of the SDK: in one command each would get all of them.
fn by_features() -> Result<BTreeMap<Vec<String>, Vec<String>>> {
    let mut groups: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for folder in fs::read_dir(workspace::root().join("plugins"))? {
        let folder = folder?;
        let manifest = folder.path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| format!("no {manifest:?}"))?;
        let manifest: toml::Table = text.parse().with_context(|| format!("in {manifest:?}"))?;
        let sdk = manifest.get("dependencies").and_then(|it| it.get("purveyor-sdk"));
        let features = sdk.and_then(|sdk| sdk.get("features")).and_then(toml::Value::as_array);
        let mut features: Vec<String> =
            features.into_iter().flatten().map(ToString::to_string).collect();
        features.sort();
        let name = folder.file_name().to_string_lossy().into_owned();
        groups.entry(features).or_default().push(name);
    }
    Ok(groups)
}
