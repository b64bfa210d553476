//! The configuration: one TOML file, read and checked whole before anything starts, with every
//! mistake in one report. The only place that reads environment variables. It must not open
//! anything but the files that the configuration names, and must never show a secret.

mod declared;
mod digest;
mod document;
mod engine;
mod environment;
mod plugins;
mod providers;
mod report;
mod secret;
mod server;
mod settings;
mod store;
mod telemetry;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::document::{Document, Place};
pub use self::environment::Environment;
pub use self::report::{Mistake, Report};
pub use self::server::Server;
use self::settings::Lines;
pub use self::store::Store;
pub use self::telemetry::{LogFormat, Telemetry};
use crate::engine::EngineConfig;
use crate::plugin::{PluginsConfig, ProviderConfig};

/// The largest file that is read; a configuration of a hundred providers has a tenth of it.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where callers reach it, and its limits.
    pub server: Server,
    /// Where operations are kept.
    pub store: Store,
    /// Which plugins are loaded.
    pub plugins: PluginsConfig,
    /// The providers, in the order of their ids.
    pub providers: Vec<ProviderConfig>,
    /// How operations are carried out.
    pub engine: EngineConfig,
    /// Lifts the floors that manifests set for times, and nothing else: for simulators.
    pub development: bool,
    /// What is logged, and how.
    pub telemetry: Telemetry,
    /// What is no mistake and still should not stay so.
    pub warnings: Vec<Mistake>,
    file: PathBuf,
    lines: Lines,
}

/// Reads and checks a configuration file. May be repeated; starts nothing.
///
/// # Errors
/// Every mistake of the file, each with line and key.
pub fn load(file: &Path) -> Result<Config, Report> {
    load_with(file, &Environment::of_process())
}

/// As [`load`], with an environment of the caller's.
///
/// # Errors
/// As [`load`].
pub fn load_with(file: &Path, environment: &Environment) -> Result<Config, Report> {
    let whole = |message| Report::whole(file, message);
    let text = read(file).map_err(whole)?;
    let document = match Document::parse(&text) {
        Ok(document) => document,
        Err(mistakes) => return Err(Report::of(file, mistakes)),
    };
    let mut context = Context {
        folder: file.parent().unwrap_or(Path::new("")),
        environment,
        warnings: Vec::new(),
        lines: Lines::default(),
    };
    let config = parts(&document, &mut context, file);
    let mistakes = document.into_mistakes();
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(Report::of(file, mistakes)),
    }
}

/// What the torture run wants to happen in this process; empty for nothing.
#[cfg(feature = "failpoints")]
pub fn failpoints() -> String {
    Environment::of_process().get("PURVEYOR_FAILPOINTS").unwrap_or_default()
}

/// What reading a part needs beside its table.
struct Context<'a> {
    /// Relative paths begin here: a configuration means the same wherever it is read from.
    folder: &'a Path,
    environment: &'a Environment,
    warnings: Vec<Mistake>,
    lines: Lines,
}

impl Context<'_> {
    fn warn(&mut self, place: &Place<'_>, message: impl Into<String>) {
        let (line, key) = (place.line, place.key.clone());
        self.warnings.push(Mistake { line, key, message: message.into(), hint: None });
    }
}

/// Reads every part, also when an earlier one is wrong. `None` only after a mistake was noted.
fn parts(document: &Document<'_>, context: &mut Context<'_>, file: &Path) -> Option<Config> {
    let mut root = document.root();
    let server = server::read(root.section("server"), context);
    let store = store::read(root.section("store"), context);
    let plugins = plugins::read(root.section("plugins"), context);
    let (engine, development) = engine::read(root.section("engine"));
    let telemetry = telemetry::read(root.section("telemetry"));
    let mut providers = providers::read(&mut root, context);
    for provider in &mut providers {
        provider.rate_lifted = development;
    }
    root.end();
    Some(Config {
        server: server?,
        store: store?,
        plugins: plugins?,
        providers,
        engine,
        development,
        telemetry,
        warnings: std::mem::take(&mut context.warnings),
        file: file.to_owned(),
        lines: std::mem::take(&mut context.lines),
    })
}

fn read(file: &Path) -> Result<String, String> {
    let cannot = |error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(cannot)?;
    opened.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(format!("is longer than {FILE_MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))
}
