//! What the operator says of plugins and providers, ready made. Nothing here reads a file or an
//! environment variable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::account::AccountSetting;

/// The most bytes of one upstream answer, where the configuration says nothing: a listing of some
/// thousand services fits, a runaway answer does not.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The most requests of one account at a time, where the configuration says nothing.
pub const CONCURRENT_REQUESTS: usize = 16;

/// Where plugins are loaded from and which files are trusted.
#[derive(Debug, Clone, Default)]
pub struct PluginsConfig {
    /// Every `*.so` in it is loaded.
    pub directory: PathBuf,
    /// SHA-256 in lowercase hex, by file name.
    pub pins: BTreeMap<String, String>,
    /// Loads files without a pin too: for development. A pin that does not match still refuses.
    pub allow_unpinned: bool,
    /// Loads from a private copy in this directory instead of from sealed memory: for debuggers,
    /// and for kernels without memfd. It has to allow exec.
    pub private_directory: Option<PathBuf>,
}

/// A configured way to an upstream account; several may lead to one.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// The provider's id, as in `providers/{id}`.
    pub id: String,
    /// The plugin's name.
    pub plugin: String,
    /// The name for people.
    pub display_name: String,
    /// Scheme, host, port and the path that every call's path is below.
    pub endpoint: Url,
    /// IANA name of the zone that upstream times without a zone are in.
    pub time_zone: String,
    /// Whether somebody else may buy on the same account.
    pub account_shared: bool,
    /// Whether providers with one identity at several origins are one account.
    pub account: AccountSetting,
    /// The account's identity where the upstream tells none; unset: the provider's id.
    pub account_id: Option<String>,
    /// The endpoint that the account was known at before it moved: locks and claims stay.
    pub formerly_endpoint: Option<Url>,
    /// Ids that the provider had before it was renamed, the first one first: what is stored under them
    /// belongs to it.
    pub formerly: Vec<String>,
    /// Of an id that the provider had before it was renamed: the id that it has now. Not set in a
    /// configuration; the registry opens each former id as a way of its own to the same account, so that
    /// names which exist stay as they are, and `formerly` has the other ids.
    pub renamed_to: Option<String>,
    /// Words by which this upstream refuses, beside those that the plugin declares.
    pub refusal_words: Vec<String>,
    /// The credentials by name.
    pub credentials: BTreeMap<String, SecretString>,
    /// The plugin's own table.
    pub configuration: serde_json::Value,
    /// The only certificate authorities that are trusted for this endpoint, as PEM; without it
    /// those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// Times that differ from the manifest's.
    pub timing: TimingOverride,
    /// A rate that differs from the manifest's; the lower one holds, unless it is lifted.
    pub rate: Option<RateOverride>,
    /// Whether `rate` holds where the manifest's is lower too: for simulators.
    pub rate_lifted: bool,
    /// The most upstream requests at a time.
    pub concurrent_requests: usize,
    /// Whether the endpoint may lie in a private network.
    pub allow_private_addresses: bool,
    /// The most bytes of one upstream answer.
    pub max_answer_bytes: usize,
}

impl ProviderConfig {
    /// One with nothing but what cannot be left out.
    pub fn new(id: impl Into<String>, plugin: impl Into<String>, endpoint: Url) -> Self {
        let id = id.into();
        Self {
            display_name: id.clone(),
            id,
            plugin: plugin.into(),
            endpoint,
            time_zone: "UTC".to_owned(),
            account_shared: false,
            account: AccountSetting::default(),
            account_id: None,
            formerly_endpoint: None,
            formerly: Vec::new(),
            renamed_to: None,
            refusal_words: Vec::new(),
            credentials: BTreeMap::new(),
            configuration: serde_json::Value::Object(serde_json::Map::new()),
            ca_file: None,
            timing: TimingOverride::default(),
            rate: None,
            rate_lifted: false,
            concurrent_requests: CONCURRENT_REQUESTS,
            allow_private_addresses: false,
            max_answer_bytes: MAX_ANSWER_BYTES,
        }
    }

    /// The provider under each of its ids, the present one first. All are one account, also where the upstream
    /// tells no identity.
    #[must_use]
    pub(super) fn under_each_id(mut self) -> Vec<Self> {
        let Some(first) = self.formerly.first() else { return vec![self] };
        self.account_id.get_or_insert_with(|| first.clone());
        let others = |own: &String| {
            let ids = std::iter::once(&self.id).chain(&self.formerly);
            ids.filter(|id| *id != own).cloned().collect()
        };
        let formers = self.formerly.iter().map(|former| Self {
            id: former.clone(),
            formerly: others(former),
            renamed_to: Some(self.id.clone()),
            ..self.clone()
        });
        let formers: Vec<Self> = formers.collect();
        std::iter::once(self).chain(formers).collect()
    }

    /// Whether the provider has or had an id.
    pub fn has_id(&self, id: &str) -> bool {
        self.id == id || self.formerly.iter().any(|other| other == id)
    }

    /// The provider's resource name.
    pub fn name(&self) -> String {
        format!("providers/{}", self.id)
    }
}

/// Times instead of the manifest's; unset: the manifest's.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimingOverride {
    /// How long one spend may take until its answer is complete.
    pub attempt_timeout: Option<Duration>,
    /// How long the upstream keeps an idle connection.
    pub upstream_idle: Option<Duration>,
    /// How long the upstream may work on a request after its connection is gone.
    pub upstream_processing: Option<Duration>,
    /// How long something that exists may be missing from listings.
    pub listing_lag: Option<Duration>,
    /// How long an effect may lag behind the upstream's final word, for all methods.
    pub effect_lag: Option<Duration>,
}

/// So many requests in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateOverride {
    /// How many; at least one.
    pub requests: u32,
    /// In what time.
    pub period: Duration,
}
