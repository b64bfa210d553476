//! `purveyor check`: the configuration and what plugins say to it. It must start nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::failure::Failure;
use crate::config;
use crate::plugin::Loader;

/// Checks a configuration as `serve` would, and says what it found.
pub(crate) fn run(file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let config = config::load(file)?;
    for warning in &config.warnings {
        writeln!(out, "warning: {}:{warning}", file.display())?;
    }
    let mut loader = Loader::new(config.plugins.clone());
    let mut plugins = Vec::new();
    let mut refused = 0;
    for path in loader.find().context("the plugins' folder cannot be read")? {
        match loader.load(&path) {
            Ok(plugin) => plugins.push(plugin),
            Err(error) => {
                refused += 1;
                writeln!(out, "warning: {} would not be loaded: {error}", path.display())?;
            }
        }
    }
    let manifests: BTreeMap<_, _> =
        plugins.iter().map(|plugin| (plugin.name.clone(), &*plugin.manifest)).collect();
    config.check_declared(&manifests, &[])?;
    if let (_, Some(warning)) = config.drain(&manifests) {
        writeln!(out, "warning: {}:{warning}", file.display())?;
    }
    writeln!(
        out,
        "{} is right: {} of {} plugins, {} providers",
        file.display(),
        plugins.len(),
        plugins.len() + refused,
        config.providers.len()
    )?;
    Ok(())
}
