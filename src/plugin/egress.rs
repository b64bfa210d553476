//! The one way from a plugin to its upstream. Where a request goes, with which credentials, how often
//! and whether at all, is decided here, from the manifest and the configuration; the plugin only
//! fills in declared calls. Which effects a call may have is not decided here, but in `scope`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{HttpRequest, HttpResponse, Manifest};
use thiserror::Error as ThisError;

use super::account::AccountKey;
use super::clock::Clock;
use super::config::ProviderConfig;
use super::provider::PluginInfo;
use super::sanitize::Sanitizer;
use super::scope::Scope;
use super::timing::Timing;

mod answer;
mod breaker;
mod classify;
mod connect;
mod credential;
mod decode;
mod evidence;
mod limit;
mod read;
mod request;
mod resolve;
mod spend;
mod tls;

pub use credential::CredentialError;
pub use resolve::{AddressError, Resolve, SystemResolver};
pub use tls::TlsError;

pub(super) use credential::grants;
pub(super) use limit::{Limiters, Priority};
pub(super) use request::{Prepared, Refused};
pub(super) use spend::{SpendTask, attempt};

use breaker::Breaker;
use connect::Dial;
use credential::Credentials;
use limit::Limiter;
use read::Reader;
use request::Endpoint;

/// How every request introduces itself.
const USER_AGENT: &str = concat!("purveyor/", env!("CARGO_PKG_VERSION"));

/// A body with the head that the plugin sees.
pub(super) type Reply = (HttpResponse, Bytes);

/// The way to one account.
#[derive(Debug)]
pub(super) struct Egress {
    provider: String,
    plugin: Arc<PluginInfo>,
    manifest: Arc<Manifest>,
    endpoint: Endpoint,
    credentials: Credentials,
    sanitizer: Sanitizer,
    dial: Dial,
    reader: Reader,
    limiter: RwLock<Arc<Limiter>>,
    limiters: Arc<Limiters>,
    breaker: Breaker,
    /// How often a credential was refused.
    refusals: AtomicU64,
    clock: Arc<dyn Clock>,
    attempt_timeout: Duration,
    max_answer_bytes: usize,
}

/// Why there is no way to an account.
#[derive(Debug, ThisError)]
pub enum EgressError {
    /// The endpoint is not one that requests can be sent to.
    #[error("the endpoint {0}")]
    Endpoint(&'static str),
    /// The endpoint is an address that is refused.
    #[error("the endpoint is refused: {0}")]
    Address(#[from] AddressError),
    /// A credential is missing or cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The certificate authorities cannot be had.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client could not be made.
    #[error("the http client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl Egress {
    /// Prepares everything that can be without asking the upstream.
    ///
    /// # Errors
    ///
    /// An [`EgressError`], none of which goes away without another configuration.
    pub(super) fn open(
        config: &ProviderConfig,
        plugin: Arc<PluginInfo>,
        manifest: Arc<Manifest>,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolve>,
        limiters: Arc<Limiters>,
    ) -> Result<Self, EgressError> {
        let endpoint = Endpoint::new(&config.endpoint)?;
        let credentials = Credentials::new(&manifest.credentials, &config.credentials)?;
        let sanitizer = Sanitizer::new(config).map_err(|_| CredentialError::TooLong)?;
        let addresses = resolve::Addresses::new(config, resolver);
        addresses.check_literal(&config.endpoint)?;
        let tls = endpoint.is_tls().then(|| tls::client(config.ca_file.as_deref())).transpose()?;
        let dial = Dial::new(&endpoint, addresses.clone(), tls.clone());
        let reader = Reader::new(addresses, tls)?;
        let limiter =
            Arc::new(limiters.limiter(config.concurrent_requests, limit::rate(config, &manifest)));
        Ok(Self {
            provider: config.id.clone(),
            plugin,
            endpoint,
            credentials,
            sanitizer,
            dial,
            reader,
            limiter: RwLock::new(limiter),
            limiters,
            breaker: Breaker::default(),
            refusals: AtomicU64::new(0),
            clock,
            attempt_timeout: Timing::new(config, &manifest).attempt_timeout,
            max_answer_bytes: config.max_answer_bytes,
            manifest,
        })
    }

    /// Puts a request together, and refuses it where its bytes are not those of its call.
    ///
    /// # Errors
    ///
    /// [`Refused::Breach`] for what no plugin may ask, [`Refused::Invalid`] for what cannot be sent.
    pub(super) fn prepare(&self, request: HttpRequest, body: Bytes) -> Result<Prepared, Refused> {
        let call = self.manifest.calls.iter().find(|call| call.name == request.call);
        let call = call.ok_or_else(|| {
            Refused::Breach(format!("the manifest declares no call {:?}", request.call))
        })?;
        let prepared = request::prepare(
            call,
            request,
            body,
            &self.endpoint,
            &self.credentials,
            self.attempt_timeout,
        )?;
        if let Some(token) = prepared.token() {
            self.sanitizer.learn(token);
        }
        Ok(prepared)
    }

    /// What cleans everything that the plugin says.
    pub(super) fn sanitizer(&self) -> &Sanitizer {
        &self.sanitizer
    }

    /// From here on shares the turns of this account with every provider that has the same.
    pub(super) fn share_limits(&self, account: &AccountKey) {
        let mut own = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
        *own = self.limiters.share(account.to_string(), &own);
    }

    /// How often the upstream has refused a credential, as far as anybody has noted it.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Acquire)
    }

    /// Notes that the upstream has refused a credential.
    pub(super) fn note_refusal(&self) {
        self.refusals.fetch_add(1, Ordering::AcqRel);
    }

    /// As [`Egress::note_refusal`], where the status of an answer says so: 401 or 403.
    pub(super) fn note_status(&self, status: i32) {
        if matches!(status, 401 | 403) {
            self.note_refusal();
        }
    }

    fn limiter(&self) -> Arc<Limiter> {
        Arc::clone(&self.limiter.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a READ or PREPARE on behalf of a call.
    ///
    /// # Errors
    ///
    /// UPSTREAM_RATE_LIMIT when its turn would come too late, UPSTREAM_UNAVAILABLE when there is no
    /// complete answer. Any complete answer is an answer.
    pub(super) async fn read(
        &self,
        prepared: Prepared,
        priority: Priority,
        scope: &Scope,
    ) -> Result<Reply, Error> {
        read::send(self, prepared, priority, scope).await
    }
}

impl Egress {
    /// The span of one upstream request. It holds no URL and no body: both may hold secrets.
    fn span(&self, prepared: &Prepared) -> tracing::Span {
        tracing::info_span!(
            "upstream",
            provider = self.provider,
            call = prepared.call.name,
            effect = prepared.call.effect().as_str_name(),
            outcome = tracing::field::Empty,
            ms = tracing::field::Empty,
        )
    }
}

/// Ends the span of one upstream request.
fn told(outcome: &str, begin: tokio::time::Instant) {
    let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let span = tracing::Span::current();
    span.record("outcome", outcome);
    span.record("ms", ms);
    tracing::debug!("upstream answered or failed");
}
