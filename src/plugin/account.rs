//! Whose account a provider is: the one key that locks, claims and rates belong to, and whether two
//! providers that seem to be one account may write. A provider's name is only how it is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purveyor_sdk::Error;
use purveyor_sdk::v1::ErrorReason;
use url::Url;

use super::config::ProviderConfig;
#[cfg(feature = "failpoints")]
use crate::failpoint;

/// What the configuration says of accounts that have one identity at two origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AccountSetting {
    /// Nothing: where it matters, nothing is written.
    #[default]
    Unset,
    /// They are one account.
    Shared,
    /// Each origin has an account of its own.
    Separate,
}

/// An upstream account, unique among all accounts of all plugins: `acme https://api.acme.example:443
/// AB-17`.
///
/// Plugin, origin and identity, with one space between them. Neither a plugin's name nor an origin has
/// a space, and those of the identity are escaped, so no two accounts have one text. Where the
/// configuration says that an identity is one account at every origin, the origin is `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountKey(String);

impl AccountKey {
    /// The key of an identity at an origin; `None`: at every origin.
    pub fn new(plugin: &str, origin: Option<&Url>, identity: &str) -> Self {
        #[cfg(feature = "failpoints")]
        let origin = origin.filter(|_| !failpoint::control(failpoint::Control::SharedAccountKey));
        let origin = origin.map_or_else(|| "-".to_owned(), origin_of);
        Self(format!("{plugin} {origin} {}", escaped(identity)))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scheme, host and port, in lowercase, the port written out.
pub fn origin_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_lowercase();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{host}:{port}", url.scheme())
}

fn escaped(identity: &str) -> String {
    let mut text = String::with_capacity(identity.len());
    for letter in identity.chars() {
        if letter == '%' || letter == ' ' || letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                text.push_str(&format!("%{byte:02X}"));
            }
        } else {
            text.push(letter);
        }
    }
    text
}

/// A provider's account, once it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// As the upstream names it; where it does not, `account_id` of the configuration or the provider's
    /// id.
    pub identity: String,
    /// What locks, claims and rates belong to.
    pub key: AccountKey,
    /// The origin in the key, also where the key leaves it out.
    pub origin: String,
    /// How version 1 of the store names the account in an operation. Written for one version more, so
    /// that replicas of both versions understand each other's operations.
    pub legacy_identity: String,
    /// How version 1 names it in claims and gates; `None` where two accounts have that name, so that it
    /// would tie them together.
    pub legacy_key: Option<String>,
    /// All names that claims of the account may have been stored under: those of version 1, and those
    /// from before `account_id` was set.
    pub former_keys: Vec<String>,
    /// Other keys that the account has under another setting of the configuration: what is held and
    /// claimed is held and claimed under these too, so that a changed setting loses nothing.
    pub aliases: Vec<String>,
    /// Providers whose claims under the old name belong to other accounts.
    pub foreign: Vec<String>,
    /// What version 1 may have stored as the account of an operation.
    known_as: Vec<String>,
    /// The keys with and without the origin, and those from before `account_id` was set.
    known_keys: Vec<String>,
}

impl Account {
    /// Whether an operation that stores this account and this key belongs to it. Operations of version
    /// 1 have no key.
    pub fn owns(&self, account: &str, key: &str) -> bool {
        if key.is_empty() {
            return self.known_as.iter().any(|known| known == account);
        }
        self.known_keys.iter().any(|known| known == key)
    }
}

/// What is known of every configured provider's account.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Accounts(Mutex<BTreeMap<String, Entry>>);

/// One provider.
#[derive(Debug, Clone)]
struct Entry {
    plugin: String,
    /// What the key is made with.
    origin: Url,
    setting: AccountSetting,
    /// The identity where the upstream names none.
    own_identity: String,
    /// How version 1 named the account where the upstream names none.
    legacy_identity: String,
    /// All names that version 1 may have had for it: by the present endpoint and by the former one.
    /// Version 1 of a plugin may have told the endpoint.
    legacy_names: Vec<String>,
    /// The identity, as this process was told it.
    told: Option<String>,
    /// As it was stored last, by this or another process.
    stored: Option<String>,
}

impl Entry {
    fn of(config: &ProviderConfig) -> Self {
        let credentials: Vec<_> = config.credentials.keys().map(String::as_str).collect();
        let credentials = credentials.join(" ");
        let legacy = |endpoint: &Url| format!("{endpoint} {credentials}").trim_end().to_owned();
        let told = |endpoint: &Url| endpoint.as_str().trim_end_matches('/').to_lowercase();
        let first = config.formerly_endpoint.as_ref().unwrap_or(&config.endpoint);
        let endpoints = config.formerly_endpoint.iter().chain([&config.endpoint]);
        Self {
            plugin: config.plugin.clone(),
            origin: first.clone(),
            setting: config.account,
            own_identity: config.account_id.as_ref().unwrap_or(&config.id).clone(),
            legacy_identity: legacy(first),
            legacy_names: endpoints
                .flat_map(|endpoint| [legacy(endpoint), told(endpoint)])
                .collect(),
            told: None,
            stored: None,
        }
    }

    fn identity(&self) -> Option<&String> {
        self.told.as_ref().or(self.stored.as_ref())
    }

    fn key(&self, identity: &str) -> AccountKey {
        let origin = (self.setting != AccountSetting::Shared).then_some(&self.origin);
        AccountKey::new(&self.plugin, origin, identity)
    }

    /// Whether both are the same account, as far as the configuration alone decides.
    fn same(&self, other: &Entry, identity: &str, from_configuration: bool) -> bool {
        let named_alike = !from_configuration || self.own_identity == other.own_identity;
        named_alike && self.key(identity) == other.key(identity)
    }
}

impl Accounts {
    pub(in crate::plugin) fn register(&self, config: &ProviderConfig) {
        self.entries().insert(config.id.clone(), Entry::of(config));
    }

    /// The account of a provider whose identity is `told` by the upstream; `None`: it tells none.
    pub(in crate::plugin) fn account(&self, provider: &str, told: Option<&str>) -> Option<Account> {
        let entries = self.entries();
        let entry = entries.get(provider)?;
        let from_configuration = told.is_none();
        let identity = told.unwrap_or(&entry.own_identity);
        let others = || {
            let others = entries
                .iter()
                .filter(|(id, other)| id.as_str() != provider && other.plugin == entry.plugin);
            others.filter(|(_, other)| !entry.same(other, identity, from_configuration))
        };
        let legacy_identity = told.unwrap_or(&entry.legacy_identity);
        let ambiguous = if from_configuration {
            others().any(|(_, other)| other.legacy_identity == entry.legacy_identity)
        } else {
            entry.setting == AccountSetting::Separate
        };
        let key = entry.key(identity);
        let keys_of = |identity: &str| {
            let origins = [Some(&entry.origin), None];
            origins.map(|origin| AccountKey::new(&entry.plugin, origin, identity).0)
        };
        let known_keys = keys_of(identity);
        let earlier_keys = (from_configuration && identity != provider).then(|| keys_of(provider));
        // A plugin may have learnt to tell the identity since.
        let mut known_as = vec![legacy_identity.to_owned()];
        known_as.extend(entry.legacy_names.iter().cloned());
        let former_names = known_as.iter().map(|name| format!("{}/{name}", entry.plugin));
        let former_keys = former_names.chain(earlier_keys.iter().flatten().cloned()).collect();
        let is_shared = entry.setting == AccountSetting::Shared;
        Some(Account {
            identity: identity.to_owned(),
            origin: origin_of(&entry.origin),
            legacy_key: (!ambiguous).then(|| format!("{}/{legacy_identity}", entry.plugin)),
            legacy_identity: legacy_identity.to_owned(),
            former_keys,
            aliases: known_keys[0..usize::from(is_shared)].to_vec(),
            foreign: others().map(|(id, _)| id.clone()).collect(),
            known_as,
            known_keys: known_keys.into_iter().chain(earlier_keys.into_iter().flatten()).collect(),
            key,
        })
    }

    /// Notes the identity of a provider's account.
    pub(in crate::plugin) fn learn(&self, provider: &str, identity: &str) {
        if let Some(entry) = self.entries().get_mut(provider) {
            entry.told = Some(identity.to_owned());
        }
    }

    /// Notes an identity that was stored by this or another process; it counts until this process is told
    /// one. False where it was told at another origin or by another plugin.
    pub(in crate::plugin) fn recall(
        &self,
        provider: &str,
        plugin: &str,
        origin: &str,
        identity: &str,
    ) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(provider) else { return false };
        let valid = entry.plugin == plugin && origin_of(&entry.origin) == origin;
        if valid {
            entry.stored = Some(identity.to_owned());
        }
        valid
    }

    /// Whether a provider may write: not where another one has its identity at another origin and the
    /// configuration does not say whether they are one account or two.
    ///
    /// # Errors
    ///
    /// ACCOUNT_CHANGED, with what to set.
    pub(in crate::plugin) fn may_write(&self, provider: &str) -> Result<(), Error> {
        match self.undecided(provider) {
            None => Ok(()),
            Some(message) => Err(Error::new(ErrorReason::AccountChanged, message)
                .with_metadata("provider", format!("providers/{provider}"))),
        }
    }

    /// Why a provider takes no writes, for a person.
    pub(in crate::plugin) fn undecided(&self, provider: &str) -> Option<String> {
        let entries = self.entries();
        let entry = entries.get(provider)?;
        let identity = entry.identity()?;
        let origin = origin_of(&entry.origin);
        let decided = |other: &Entry| {
            entry.setting == other.setting && entry.setting != AccountSetting::Unset
        };
        let (other_id, other) = entries.iter().find(|(id, other)| {
            id.as_str() != provider
                && other.plugin == entry.plugin
                && other.identity() == Some(identity)
                && origin_of(&other.origin) != origin
                && !decided(other)
        })?;
        Some(format!(
            "providers/{provider} takes no writes: account {identity} is known at {origin} and, as \
             providers/{other_id}, at {}; set account = \"shared\" (one account) or account = \
             \"separate\" (two accounts) for both providers",
            origin_of(&other.origin)
        ))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
