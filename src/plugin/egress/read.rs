//! Requests that cost nothing, over a pool of connections. One thing is repeated here: a READ on a pooled
//! connection that the upstream closed without an answer, once, on a fresh one. Anything else may be
//! asked again by whoever asked it.

mod pooled;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use purveyor_sdk::Error;
use purveyor_sdk::v1::Effect;
use reqwest::redirect;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::answer::{MAX_ANSWER_HEADERS, Received};
use super::connect::STAGE_LIMIT;
use super::limit::Priority;
use super::request::Prepared;
use super::resolve::Addresses;
use super::{Egress, EgressError, Reply, decode};
use crate::plugin::scope::Scope;
use crate::plugin::work_slot;

/// How long an idle connection is kept: shorter than common upstreams keep theirs, so that few
/// requests meet a connection that is being closed.
const IDLE: Duration = Duration::from_secs(20);
/// The most idle connections of an account.
const MAX_IDLE: usize = 8;

/// The pool of one account.
#[derive(Debug)]
pub(super) struct Reader {
    client: reqwest::Client,
    /// Makes a connection for each request.
    fresh: reqwest::Client,
}

/// Why a request has no complete answer.
struct Failed {
    reason: String,
    /// A pooled connection was closed before an answer began.
    stale: bool,
}

impl Reader {
    pub(super) fn new(
        addresses: Addresses,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, EgressError> {
        // An account over plain http has no use for TLS, but the client insists on a configuration.
        let tls = match tls {
            Some(tls) => ClientConfig::clone(&tls),
            None => without_roots()?,
        };
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(addresses.clone())
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .connect_timeout(STAGE_LIMIT)
                .connector_layer(pooled::NoteConnects)
                .pool_idle_timeout(IDLE)
                .tcp_nodelay(true)
                .http1_max_headers(MAX_ANSWER_HEADERS)
                .user_agent(super::USER_AGENT)
        };
        let client = builder().pool_max_idle_per_host(MAX_IDLE).build()?;
        let fresh = builder().pool_max_idle_per_host(0).build()?;
        Ok(Self { client, fresh })
    }

    /// One exchange, and a second one where the first met a connection that was closed meanwhile.
    async fn send(&self, prepared: &Prepared, max_bytes: usize) -> Result<Received, String> {
        match once(&self.client, prepared, max_bytes).await {
            Err(Failed { stale: true, .. }) if prepared.call.effect() == Effect::Read => {
                once(&self.fresh, prepared, max_bytes).await
            }
            done => done,
        }
        .map_err(|failed| failed.reason)
    }
}

async fn once(
    client: &reqwest::Client,
    prepared: &Prepared,
    max_bytes: usize,
) -> Result<Received, Failed> {
    let request = client
        .request(prepared.method.clone(), prepared.url.clone())
        .headers(prepared.headers.clone())
        .body(prepared.body.clone());
    let (sent, is_pooled) = pooled::noting(request.send()).await;
    let mut response = sent.map_err(|error| {
        let stale = is_pooled && pooled::is_closed(&error);
        Failed { stale, ..broken(error) }
    })?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > max_bytes {
            let reason = format!("the answer has more than {max_bytes} bytes");
            return Err(Failed { reason, stale: false });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Received { status, headers, body: body.freeze(), until_close: false })
}

/// The URL is left out: a query may hold what is nobody's business in a log.
fn broken(error: reqwest::Error) -> Failed {
    Failed { reason: chain(&error.without_url()), stale: false }
}

/// Sends one request when its turn has come.
pub(super) async fn send(
    egress: &Egress,
    prepared: Prepared,
    priority: Priority,
    scope: &Scope,
) -> Result<Reply, Error> {
    let span = egress.span(&prepared);
    let work = async {
        let begin = Instant::now();
        let latest = begin + priority.patience();
        let deadline = scope.deadline.map_or(latest, |deadline| deadline.min(latest));
        egress.breaker.check()?;
        let _slot = egress.limiter().turn(priority, deadline, scope.place()).await?;
        let sending = Instant::now();
        let sent =
            timeout(prepared.timeout, egress.reader.send(&prepared, egress.max_answer_bytes));
        let received = sent.await.unwrap_or_else(|_| {
            Err(format!("there was no complete answer in {:?}", prepared.timeout))
        });
        let received = received.and_then(|received| {
            let now = egress.clock.wall();
            let (received, reason) =
                decode::plain(received, &egress.sanitizer, egress.max_answer_bytes, now);
            reason.map_or(Ok(received), Err)
        });
        egress.breaker.record(received.is_ok());
        work_slot::tell(scope.slot.as_ref(), received.is_ok(), sending.elapsed());
        let outcome = match &received {
            Ok(received) => received.status.to_string(),
            Err(_) => "failed".to_owned(),
        };
        super::told(&outcome, begin);
        let received = received.map_err(|reason| {
            let message = format!("{} had no answer from the upstream", prepared.call.name);
            Error::unavailable(message).with_source(reason)
        })?;
        Ok((received.head(&prepared.url), received.body))
    };
    work.instrument(span).await
}

/// A configuration that trusts nobody.
fn without_roots() -> Result<ClientConfig, EgressError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(super::TlsError::Setup)?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// An error with what led to it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
