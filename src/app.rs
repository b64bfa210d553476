//! The composition: each part is built from its configuration and the parts before it, once, in
//! order. Nothing is decided here, and nothing else knows all parts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use purveyor_sdk::plugin::v1::Manifest;
use tokio::sync::oneshot;

use crate::api;
use crate::api::health::Health;
use crate::api::server::Server;
use crate::config::{self, Config, Report};
use crate::engine::Engine;
use crate::engine::account::stored_plugin;
use crate::engine::drain::Drain;
use crate::plugin::{Availability, Clock, Environment, Registry, SystemClock};
use crate::store::Store;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;

/// How often health is compared with the store and the providers.
const HEALTH_PERIOD: Duration = Duration::from_secs(1);

/// Serves until `stop` is ready. `ready` is called once, with the address, when calls are accepted.
///
/// # Errors
///
/// What keeps the gateway from starting: mistakes that only plugins can tell (a
/// [`config::Report`]), the store, the address.
pub async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let limits = config.server.limits.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::open().context("cannot read the boot id")?);
    let (registry, drain) = providers(&config, &clock).await?;
    let registry = Arc::new(registry);
    let store = open_store(&config.store).await?;
    config.check_formers(&former_plugins(&config, &*store).await?)?;
    store.announce(config.digest());
    let listen = config.server.listen;
    let server = Server::bind(listen, limits.clone())
        .await
        .with_context(|| format!("cannot listen at {listen}"))?;
    let engine = Engine::start(config.engine, Arc::clone(&store), Arc::clone(&registry), clock)
        .await
        .context("cannot take up what an earlier process left")?;
    let health = Health::new();
    let routes = api::routes(&engine, &health, config.server.reflection)
        .await
        .context("cannot build the services")?;
    let watch = tokio::spawn(watch_health(health.clone(), engine.clone()));
    ready(server.local_addr());
    let (asked, stopped) = oneshot::channel();
    let stopping = async move {
        stop.await;
        // From here on nothing but the drain decides what health says.
        watch.abort();
        // Nobody listens when the engine has gone, and then it has stopped.
        let _gone = asked.send(());
    };
    // At once, and not after the last connection: whoever waits for an operation holds one.
    let drained = async {
        if stopped.await.is_ok() {
            engine.stop(drain).await;
        }
    };
    tokio::join!(server.serve(routes, health, stopping), drained);
    Ok(())
}

/// The plugins and the accounts, and how long they let a stop take. A plugin that cannot be loaded is
/// quarantined; an account that its plugin says is wrong is a mistake in the configuration.
async fn providers(config: &Config, clock: &Arc<dyn Clock>) -> Result<(Registry, Drain), Report> {
    let environment = Environment::new(Arc::clone(clock));
    let registry =
        Registry::open(config.plugins.clone(), config.providers.clone(), environment).await;
    let mut manifests: BTreeMap<String, &Manifest> = BTreeMap::new();
    let mut quarantined = Vec::new();
    for provider in registry.iter() {
        let plugin = provider.config().plugin.as_str();
        if provider.plugin_info().is_some() {
            manifests.insert(plugin.to_owned(), provider.manifest());
        } else if !registry.refusals().is_empty() {
            quarantined.push(plugin);
        }
    }
    config.check_declared(&manifests, &quarantined)?;
    let (drain, warning) = config.drain(&manifests);
    if let Some(warning) = warning {
        tracing::warn!(key = warning.key, line = warning.line, "{}", warning.message);
    }
    Ok((registry, drain))
}

/// The plugins that former ids of providers had.
async fn former_plugins(config: &Config, store: &dyn Store) -> Result<BTreeMap<String, String>> {
    let mut plugins = BTreeMap::new();
    for former in config.providers.iter().flat_map(|provider| &provider.formerly) {
        let stored = stored_plugin(store, former).await.context("the store cannot be read")?;
        plugins.extend(stored.map(|plugin| (former.clone(), plugin)));
    }
    Ok(plugins)
}

async fn open_store(store: &config::Store) -> Result<Arc<dyn Store>> {
    Ok(match store {
        config::Store::Sqlite { path } => {
            let path = path.clone();
            // Opening waits for the disk.
            Arc::new(tokio::task::spawn_blocking(move || SqliteStore::open(&path)).await??)
        }
        config::Store::Postgres(config) => {
            Arc::new(PostgresStore::open(config).await.with_context(|| config.place())?)
        }
    })
}

/// Health follows the store, without which nothing can be accepted, and each provider, also one that is not
/// configured and has open operations.
async fn watch_health(health: Health, engine: Engine) {
    let (store, registry) = (engine.store(), engine.providers());
    let mut unconfigured = BTreeSet::new();
    loop {
        health.set("", store.healthy() && store.doubt().is_none()).await;
        for provider in registry.iter() {
            let serves = !matches!(provider.state(), Availability::Unavailable { .. });
            health.set(&provider.config().name(), serves).await;
        }
        // A provider that is not configured has a health while something of it is open.
        let open: BTreeSet<String> = engine.unconfigured().into_keys().collect();
        for provider in open.union(&unconfigured) {
            let name = format!("providers/{provider}");
            match open.contains(provider) {
                true => health.set(&name, false).await,
                false => health.forget(&name).await,
            }
        }
        unconfigured = open;
        tokio::time::sleep(HEALTH_PERIOD).await;
    }
}
