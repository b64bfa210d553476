//! What the tests of the plugin boundary share: the faulty plugin, built once, accounts that use it,
//! and somebody who gives permits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use purveyor::plugin::{
    Availability, Clock, Environment, Permit, PermitRequest, Permits, PluginsConfig, Provider,
    ProviderConfig, Registry, Spend, SystemClock,
};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::CallContext;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::plugin_upstream::Upstream;
use super::support::built;

/// The faulty plugin's library, as it was just built.
pub(crate) fn faulty() -> PathBuf {
    built().plugins.join("libpurveyor_faulty.so")
}

/// A directory of plugins, all of them pinned.
pub(crate) struct Plugins {
    pub(crate) directory: TempDir,
}

impl Plugins {
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn with_faulty() -> Self {
        let plugins = Self::empty();
        plugins.add(&faulty());
        plugins
    }

    pub(crate) fn add(&self, library: &Path) -> PathBuf {
        let path = self.directory.path().join(library.file_name().unwrap());
        std::fs::copy(library, &path).unwrap();
        set_mode(&path, 0o755);
        path
    }

    /// The configuration with the pins of what lies there now.
    pub(crate) fn config(&self) -> PluginsConfig {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let pin = |entry: std::fs::DirEntry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), hex::encode(Sha256::digest(bytes)))
        };
        PluginsConfig {
            directory: self.directory.path().to_owned(),
            pins: entries.map(|entry| pin(entry.unwrap())).collect(),
            ..PluginsConfig::default()
        }
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// An account at the upstream, with times as short as tests can bear.
pub(crate) fn account(upstream: &Upstream) -> ProviderConfig {
    let mut config = ProviderConfig::new("test", "faulty", upstream.endpoint());
    config.timing.attempt_timeout = Some(Duration::from_millis(500));
    config
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::open().unwrap())
}

/// The one provider of a fresh registry, which serves.
pub(crate) async fn open(config: ProviderConfig) -> Arc<Provider> {
    let provider = open_in(config, Environment::new(clock())).await;
    assert_eq!(provider.state(), Availability::Available);
    provider
}

pub(crate) async fn open_in(config: ProviderConfig, environment: Environment) -> Arc<Provider> {
    let plugins = Plugins::with_faulty();
    let id = config.id.clone();
    let registry = Registry::open(plugins.config(), vec![config], environment).await;
    assert!(registry.refusals().is_empty(), "{:?}", registry.refusals());
    registry.get(&id).unwrap()
}

/// A context that carries a script for the faulty plugin.
pub(crate) fn script(script: &str) -> CallContext {
    CallContext { upstream_ids: vec![script.to_owned()], ..CallContext::default() }
}

/// Gives permits, counts them, and can be told to give none or one that is void.
#[derive(Debug, Default)]
pub(crate) struct TestPermits {
    pub(crate) given: AtomicU32,
    pub(crate) refuses: bool,
    pub(crate) late: bool,
}

impl TestPermits {
    pub(crate) fn given(&self) -> u32 {
        self.given.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Permits for TestPermits {
    async fn permit(&self, request: PermitRequest) -> Result<Permit, Error> {
        assert_eq!(request.plugin.name, "faulty");
        if self.refuses {
            return Err(Error::state("no permit today"));
        }
        let attempt = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        let now = clock().boot();
        let life = if self.late { Duration::ZERO } else { Duration::from_secs(2) };
        Ok(Permit { attempt, deadline: now.plus(life) })
    }

    async fn observed(&self, _spend: &Spend) {}
}
