//! What an instance is told when it is opened. Secrets in here never print and are wiped when they are
//! dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use purveyor_abi::{Level, guest};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};
use crate::names::ProviderName;
use crate::plugin::v1::OpenRequest;
use crate::time::Zone;
use crate::v1::ErrorReason;

/// The provider that an instance is opened for, and the host that opens it.
pub struct Host {
    provider: ProviderName,
    endpoint: String,
    time_zone: Zone,
    grants: BTreeMap<String, SecretString>,
    credentials: BTreeSet<String>,
    refusal_words: Vec<String>,
    host: guest::Host,
    log_target: &'static str,
}

impl Host {
    /// Reads what the host told, and moves the secrets out of it.
    ///
    /// # Errors
    ///
    /// PLUGIN_FAULT for a provider's name or a time zone that is none.
    pub(crate) fn new(
        request: &mut OpenRequest,
        host: guest::Host,
        log_target: &'static str,
    ) -> Result<Self> {
        let provider = request.provider.parse::<ProviderName>();
        let provider = provider
            .map_err(|error| Error::fault("the provider's name is none").with_source(error))?;
        let grants = std::mem::take(&mut request.grants);
        Ok(Self {
            provider,
            endpoint: std::mem::take(&mut request.endpoint),
            time_zone: Zone::new(&request.time_zone)?,
            credentials: std::mem::take(&mut request.credentials).into_iter().collect(),
            refusal_words: std::mem::take(&mut request.refusal_words),
            grants: grants.into_iter().map(|grant| (grant.name, grant.value.into())).collect(),
            host,
            log_target,
        })
    }

    /// The provider's name; every name in an answer begins with it.
    pub fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// The configured endpoint: scheme, host, port, and a path where it has one.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The zone of upstream times without one.
    pub fn time_zone(&self) -> &Zone {
        &self.time_zone
    }

    /// The secret of a credential that the manifest declares as granted.
    ///
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE when it was not granted, naming it.
    pub fn secret(&self, credential: &str) -> Result<SecretString> {
        let found = self.grants.get(credential);
        let found = found.map(|secret| secret.expose_secret().to_owned().into());
        found.ok_or_else(|| missing(credential))
    }

    /// Refuses an account without a credential that its configuration asks for. For those that the host
    /// places; a granted one is refused by [`Host::secret`].
    ///
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE, naming it.
    pub fn require(&self, credential: &str) -> Result<()> {
        if self.credentials.contains(credential) { Ok(()) } else { Err(missing(credential)) }
    }

    /// The operator's own words of refusal, for [`crate::body::proven`].
    pub fn refusal_words(&self) -> &[String] {
        &self.refusal_words
    }

    /// A line for the host's log, which needs no secrets.
    pub fn log(&self, level: Level, message: &str) {
        self.host.log(level, 0, self.log_target, message);
    }
}

fn missing(credential: &str) -> Error {
    let message = format!("the credential {credential} is missing");
    Error::new(ErrorReason::ProviderUnavailable, message)
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("provider", &self.provider)
            .field("endpoint", &self.endpoint)
            .field("grants", &self.grants.keys())
            .finish_non_exhaustive()
    }
}
