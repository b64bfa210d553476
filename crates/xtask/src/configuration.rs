//! Writes a gateway's configuration for the demo and for tests. It must not hold a secret: the
//! credentials of simulators are made-up values in files beside the configuration.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::artifacts::Artifacts;

/// A gateway's configuration file in the making. Plugins are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct Configuration {
    server: Server,
    store: Store,
    plugins: Plugins,
    engine: BTreeMap<String, toml::Value>,
    telemetry: Telemetry,
    providers: BTreeMap<String, Provider>,
}

#[derive(Clone, Debug, Serialize)]
struct Server {
    listen: String,
    limits: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize)]
struct Store {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_file: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Plugins {
    directory: PathBuf,
    pins: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
struct Telemetry {
    log_filter: String,
}

/// One provider's table.
#[derive(Clone, Debug, Serialize)]
pub struct Provider {
    plugin: String,
    endpoint: String,
    account_shared: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    formerly_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    formerly: Vec<String>,
    refusal_words: Vec<String>,
    credentials: BTreeMap<String, String>,
    settings: toml::Table,
    timing: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    /// Values of the credentials, which go to files of their own.
    #[serde(skip)]
    secrets: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Rate {
    requests: u32,
    period_ms: u32,
}

impl Provider {
    /// A provider served by `plugin` against a simulator.
    #[must_use]
    pub fn new(plugin: &str, endpoint: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            endpoint: endpoint.to_owned(),
            account_shared: false,
            account: None,
            account_id: None,
            formerly_endpoint: None,
            formerly: Vec::new(),
            refusal_words: Vec::new(),
            credentials: BTreeMap::new(),
            settings: toml::Table::new(),
            timing: BTreeMap::new(),
            rate: None,
            secrets: BTreeMap::new(),
        }
    }

    /// Gives it a credential of a simulator.
    #[must_use]
    pub fn credential(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Says that somebody else may buy on the same account.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.account_shared = true;
        self
    }

    /// Says whether one identity at several endpoints is one account: `shared` or `separate`.
    #[must_use]
    pub fn account(mut self, setting: &str) -> Self {
        self.account = Some(setting.to_owned());
        self
    }

    /// Names the account where the upstream does not.
    #[must_use]
    pub fn account_id(mut self, id: &str) -> Self {
        self.account_id = Some(id.to_owned());
        self
    }

    /// Says where the account was known before its endpoint moved.
    #[must_use]
    pub fn formerly(mut self, endpoint: &str) -> Self {
        self.formerly_endpoint = Some(endpoint.to_owned());
        self
    }

    /// Says which id the provider had before it was renamed.
    #[must_use]
    pub fn renamed_from(mut self, id: &str) -> Self {
        self.formerly.push(id.to_owned());
        self
    }

    /// Adds a word by which this upstream refuses.
    #[must_use]
    pub fn refusal_word(mut self, word: &str) -> Self {
        self.refusal_words.push(word.to_owned());
        self
    }

    /// Sets a key of the plugin's own table.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.settings.insert(key.to_owned(), value.into());
        self
    }

    /// Sets a key of the provider's `timing` table, in milliseconds.
    #[must_use]
    pub fn timing(mut self, key: &str, milliseconds: u64) -> Self {
        self.timing.insert(key.to_owned(), milliseconds);
        self
    }

    /// Lets so many requests through in a second, whatever the plugin's rate is: a simulator does not
    /// count them.
    #[must_use]
    pub fn requests_per_second(self, requests: u32) -> Self {
        self.rate(requests, 1000)
    }

    /// Lets so many requests through in a period of so many milliseconds.
    #[must_use]
    pub fn rate(mut self, requests: u32, period_ms: u32) -> Self {
        self.rate = Some(Rate { requests, period_ms });
        self
    }
}

impl Configuration {
    /// A gateway on a free loopback port, with these plugins and an embedded store of its own. Time
    /// floors are lifted, because simulators are quicker than providers.
    #[must_use]
    pub fn new(artifacts: &Artifacts) -> Self {
        Self {
            server: Server { listen: "127.0.0.1:0".to_owned(), limits: BTreeMap::new() },
            store: Store { url: "sqlite:purveyor.db".to_owned(), witness_file: None },
            plugins: Plugins { directory: artifacts.plugins.clone(), pins: artifacts.pins.clone() },
            engine: BTreeMap::from([("development".to_owned(), true.into())]),
            telemetry: Telemetry { log_filter: "info".to_owned() },
            providers: BTreeMap::new(),
        }
    }

    /// Listens elsewhere.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.server.listen);
        self
    }

    /// Sets a key of the `server.limits` table.
    #[must_use]
    pub fn limit(mut self, key: &str, value: u64) -> Self {
        self.server.limits.insert(key.to_owned(), value);
        self
    }

    /// Keeps operations elsewhere.
    #[must_use]
    pub fn store(mut self, url: &str) -> Self {
        url.clone_into(&mut self.store.url);
        self
    }

    /// Remembers in a file beside the configuration how far a store at a server was.
    #[must_use]
    pub fn witness_file(mut self, name: &str) -> Self {
        self.store.witness_file = Some(name.to_owned());
        self
    }

    /// Sets a key of the `engine` table.
    #[must_use]
    pub fn engine(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.engine.insert(key.to_owned(), value.into());
        self
    }

    /// Sets what is logged.
    #[must_use]
    pub fn log_filter(mut self, directives: &str) -> Self {
        directives.clone_into(&mut self.telemetry.log_filter);
        self
    }

    /// Adds a provider, or replaces the one of that id.
    #[must_use]
    pub fn provider(mut self, id: &str, provider: Provider) -> Self {
        self.providers.insert(id.to_owned(), provider);
        self
    }

    /// Writes `purveyor.toml` and the credentials' files into `directory`, and tells the path of the
    /// former. The store will lie there too.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(self, directory: &Path) -> Result<PathBuf> {
        self.write_as("purveyor.toml", directory)
    }

    /// As [`Configuration::write`], under another name.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_as(mut self, name: &str, directory: &Path) -> Result<PathBuf> {
        for (id, provider) in &mut self.providers {
            for (name, value) in std::mem::take(&mut provider.secrets) {
                let file = format!("{id}.{name}");
                let path = directory.join(&file);
                fs::write(&path, value).with_context(|| format!("cannot write {path:?}"))?;
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
                provider.credentials.insert(name, format!("file:{file}"));
            }
        }
        let path = directory.join(name);
        let text = toml::to_string(&self).context("cannot write the configuration as TOML")?;
        fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))?;
        Ok(path)
    }
}
