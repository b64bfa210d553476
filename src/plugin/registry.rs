//! The configured providers with the plugins that serve them. A bad plugin or a bad provider is
//! quarantined with a reason; nothing in here keeps the server from starting.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use purveyor_sdk::manifest::add_refusal_words;
use purveyor_sdk::plugin::v1::OpenRequest;
use zeroize::Zeroizing;

use super::account::Accounts;
use super::clock::Clock;
use super::config::{PluginsConfig, ProviderConfig};
use super::egress::{self, Egress, Limiters, Resolve, SystemResolver};
use super::loader::{LoadError, Loader, Plugin};
use super::provider::{Availability, Identification, Lifecycle, Opening, PluginInfo, Provider};

/// What plugins live in.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where the time is read.
    pub clock: Arc<dyn Clock>,
    /// Where names are resolved.
    pub resolver: Arc<dyn Resolve>,
    /// Whether every answer that is passed on as bytes is decoded before. Always so in debug builds.
    pub check_answers: bool,
}

impl Environment {
    /// The operating system's resolver, and answers passed on as they are.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, resolver: Arc::new(SystemResolver), check_answers: false }
    }
}

/// A file that is not a plugin of this host.
#[derive(Debug)]
pub struct Refusal {
    /// The file's name.
    pub file: String,
    /// Why.
    pub error: LoadError,
}

/// All configured providers.
#[derive(Debug)]
pub struct Registry {
    providers: BTreeMap<String, Arc<Provider>>,
    refusals: Vec<Refusal>,
    limiters: Arc<Limiters>,
}

impl Registry {
    /// Loads the plugins and opens an instance for every provider. Called once, in a runtime.
    pub async fn open(
        plugins: PluginsConfig,
        configs: Vec<ProviderConfig>,
        environment: Environment,
    ) -> Self {
        let mut refusals = Vec::new();
        let loaded = load_all(plugins, &mut refusals);
        let limiters: Arc<Limiters> = Arc::default();
        let accounts: Arc<Accounts> = Arc::default();
        let configs: Vec<_> = configs.into_iter().flat_map(ProviderConfig::under_each_id).collect();
        configs.iter().for_each(|config| accounts.register(config));
        let mut providers = BTreeMap::new();
        for config in configs {
            let plugin = loaded.get(&config.plugin);
            let identity =
                Identification::new(Arc::clone(&accounts), Arc::clone(&environment.clock));
            let provider = open(config, plugin, &refusals, &environment, &limiters, identity).await;
            if let Availability::Unavailable { reason } = provider.state() {
                tracing::error!(provider = provider.id(), reason, "the provider is quarantined");
            }
            providers.insert(provider.id().to_owned(), Arc::new(provider));
        }
        Self { providers, refusals, limiters }
    }

    /// So many processes, this one included, share the accounts' rates from now on.
    pub fn shared_by(&self, replicas: u32) {
        self.limiters.shared_by(replicas);
    }

    /// A provider by its id or one that it had before; quarantined ones too.
    pub fn get(&self, id: &str) -> Option<Arc<Provider>> {
        self.providers.get(id).cloned()
    }

    /// All providers, by the ids that they have now.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values().filter(|provider| provider.config().renamed_to.is_none())
    }

    /// All ids of a provider, `id` first.
    pub fn ids_of(&self, id: &str) -> Vec<String> {
        let provider = self.providers.get(id);
        let others = provider.iter().flat_map(|provider| &provider.config().formerly).cloned();
        std::iter::once(id.to_owned()).chain(others).collect()
    }

    /// The files that were not loaded, with the reasons.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }
}

/// The OpenRequest of a provider. Encoded when it is needed, into memory that is wiped.
#[derive(Debug)]
pub(super) struct Request {
    config: ProviderConfig,
    manifest: Arc<purveyor_sdk::plugin::v1::Manifest>,
}

impl Request {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let config = &self.config;
        let mut request = OpenRequest {
            provider: config.name(),
            configuration: config.configuration.to_string(),
            grants: egress::grants(&self.manifest.credentials, &config.credentials),
            endpoint: config.endpoint.to_string(),
            time_zone: config.time_zone.clone(),
            credentials: config.credentials.keys().cloned().collect(),
            refusal_words: config.refusal_words.clone(),
        };
        let encoded = Zeroizing::new(request.encode_to_vec());
        for grant in request.grants.drain(..) {
            let _wiped = Zeroizing::new(grant.value);
        }
        encoded
    }
}

fn load_all(config: PluginsConfig, refusals: &mut Vec<Refusal>) -> BTreeMap<String, Plugin> {
    let mut loader = Loader::new(config);
    let mut loaded = BTreeMap::<String, Plugin>::new();
    let files = loader.find().unwrap_or_else(|error| {
        tracing::error!(%error, "the directory of plugins cannot be read");
        Vec::new()
    });
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plugin = loader.load(&path).and_then(|plugin| match loaded.get(&plugin.name) {
            None => Ok(plugin),
            Some(first) => Err(LoadError::Twice { name: plugin.name, first: first.file.clone() }),
        });
        match plugin {
            Ok(plugin) => {
                loaded.insert(plugin.name.clone(), plugin);
            }
            Err(error) => {
                tracing::error!(file, %error, "the plugin is quarantined");
                refusals.push(Refusal { file, error });
            }
        }
    }
    loaded
}

async fn open(
    config: ProviderConfig,
    plugin: Option<&Plugin>,
    refusals: &[Refusal],
    environment: &Environment,
    limiters: &Arc<Limiters>,
    identification: Identification,
) -> Provider {
    let check_answers = environment.check_answers || cfg!(debug_assertions);
    let lifecycle = match plugin {
        None => Lifecycle::quarantined(missing(&config.plugin, refusals)),
        Some(plugin) => match opening(&config, plugin, environment, limiters) {
            Ok(opening) => Lifecycle::open(opening).await,
            Err(error) => Lifecycle::quarantined(error.to_string()),
        },
    };
    Provider::new(config, plugin, lifecycle, identification, check_answers)
}

fn opening(
    config: &ProviderConfig,
    plugin: &Plugin,
    environment: &Environment,
    limiters: &Arc<Limiters>,
) -> Result<Opening, egress::EgressError> {
    // What an answer proves is decided in egress alone, so nobody else needs the operator's words.
    let mut manifest = Arc::clone(&plugin.manifest);
    if !config.refusal_words.is_empty() {
        let proofs = &mut Arc::make_mut(&mut manifest).proofs;
        add_refusal_words(proofs, &config.refusal_words);
    }
    let egress = Egress::open(
        config,
        Arc::new(PluginInfo::of(plugin)),
        manifest,
        Arc::clone(&environment.clock),
        Arc::clone(&environment.resolver),
        Arc::clone(limiters),
    )?;
    let request = Request { config: config.clone(), manifest: Arc::clone(&plugin.manifest) };
    Ok(Opening {
        provider: config.id.clone(),
        table: plugin.table,
        egress: Arc::new(egress),
        clock: Arc::clone(&environment.clock),
        request,
    })
}

/// Why there is no plugin of a name, with what may be the reason.
fn missing(name: &str, refusals: &[Refusal]) -> String {
    let refused: Vec<_> =
        refusals.iter().map(|refusal| format!("{}: {}", refusal.file, refusal.error)).collect();
    match refused.as_slice() {
        [] => format!("no plugin is named {name}"),
        some => {
            format!("no plugin that could be loaded is named {name}; refused: {}", some.join("; "))
        }
    }
}
