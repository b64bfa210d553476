//! `purveyor plugin inspect`: what a plugin's file is and what it declares. Manifests are read by
//! the plugin's own code, so the file's code runs; it is given no configuration and no credential.

mod sections;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::plugin::{Loader, Plugin, PluginsConfig};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The plugin's shared library.
    file: PathBuf,
    /// Everything as one JSON document, the manifest as protobuf writes it.
    #[arg(long)]
    json: bool,
}

/// Loads the plugin, without a pin, and writes what it is.
pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let file = &arguments.file;
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut loader = Loader::new(PluginsConfig {
        directory: directory.to_owned(),
        allow_unpinned: true,
        ..PluginsConfig::default()
    });
    let plugin = loader.load(file).map_err(|error| anyhow!(error).context(cannot(file)))?;
    if arguments.json {
        writeln!(out, "{:#}", document(&plugin)?)?;
    } else {
        write!(out, "{}", sections::render(&plugin))?;
    }
    Ok(())
}

fn cannot(file: &Path) -> String {
    format!("{} is no plugin that this program can load", file.display())
}

/// The plugin as JSON.
fn document(plugin: &Plugin) -> anyhow::Result<Value> {
    let pool = DescriptorPool::decode(purveyor_sdk::FILE_DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name("purveyor.plugin.v1.Manifest");
    let descriptor = descriptor.context("the descriptors have no manifest")?;
    let bytes = plugin.manifest.encode_to_vec();
    let manifest = DynamicMessage::decode(descriptor, bytes.as_slice())?;
    let stamp = &plugin.stamp;
    Ok(json!({
        "file": plugin.file,
        "name": plugin.name,
        "version": plugin.version,
        "sha256": plugin.sha256,
        "abi": {
            "major": purveyor_abi::raw::MAJOR,
            "minor": stamp.minor,
            "minimumHostMinor": stamp.min_host_minor,
            "target": stamp.target,
            "compiler": stamp.rustc,
        },
        "manifest": serde_json::to_value(&manifest)?,
    }))
}
