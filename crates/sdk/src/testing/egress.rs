//! The test host's way out: what the manifest allows in this kind of call, and nothing else, is sent, on
//! a fresh connection, once, without following anything.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::services::lock;
use crate::body;
use crate::error::{Error, Result};
use crate::plugin::v1::credential::Placement;
use crate::plugin::v1::{Call, CallKind, HttpField, HttpRequest, HttpResponse, Manifest};
use crate::target;
use crate::v1::{Effect, Price};

/// The largest answer that is read: no upstream needs more, and a test must not eat the machine.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// How long an answer may take where neither request nor manifest says.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Egress {
    endpoint: Uri,
    manifest: Manifest,
    credentials: BTreeMap<String, String>,
    running: Mutex<BTreeMap<u64, Running>>,
    sent: Mutex<Vec<String>>,
    spend_prices: Mutex<Vec<Option<Price>>>,
}

struct Running {
    kind: CallKind,
    /// Whether its one setting or spend was sent.
    spent: bool,
}

/// Ends the call when it is dropped; what is asked on its behalf afterwards is refused.
pub(super) struct Guard<'a> {
    egress: &'a Egress,
    id: u64,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        lock(&self.egress.running).remove(&self.id);
    }
}

impl Egress {
    pub(super) fn new(
        endpoint: &str,
        manifest: Manifest,
        credentials: BTreeMap<String, String>,
    ) -> Result<Self> {
        let uri = endpoint.parse::<Uri>();
        let uri = uri.ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        let endpoint = uri.ok_or_else(|| Error::field("endpoint", "is no http:// address"))?;
        let (running, sent, spend_prices) = Default::default();
        Ok(Self { endpoint, manifest, credentials, running, sent, spend_prices })
    }

    pub(super) fn begin(&self, id: u64, kind: CallKind) -> Guard<'_> {
        lock(&self.running).insert(id, Running { kind, spent: false });
        Guard { egress: self, id }
    }

    pub(super) fn is_running(&self, id: u64) -> bool {
        lock(&self.running).contains_key(&id)
    }

    pub(super) fn sent(&self) -> Vec<String> {
        lock(&self.sent).clone()
    }

    pub(super) fn spend_prices(&self) -> Vec<Option<Price>> {
        lock(&self.spend_prices).clone()
    }

    pub(super) async fn send(
        &self,
        parent_call: u64,
        request: HttpRequest,
        body: Vec<u8>,
    ) -> Result<(HttpResponse, Vec<u8>)> {
        let call = self.manifest.calls.iter().find(|call| call.name == request.call);
        let call = call.ok_or_else(|| refused("is not declared", &request))?;
        check_word(call, &request, &body)?;
        let target = self.target(call, &request)?;
        let timeout = request.timeout.and_then(|timeout| timeout.try_into().ok());
        let http = self.http_request(call, &target, &request, body)?;
        self.admit(parent_call, call, &request)?;
        lock(&self.sent).push(call.name.clone());
        if call.effect() == Effect::Spend {
            lock(&self.spend_prices).push(request.price.clone());
        }
        let exchange = self.exchange(http);
        let answer = tokio::time::timeout(timeout.unwrap_or(TIMEOUT), exchange).await;
        let answer = answer.map_err(|_| Error::unavailable("the upstream took too long"))?;
        answer.map(|(head, body)| (HttpResponse { url: self.url(&target), ..head }, body))
    }

    /// Whether this kind of call may send this effect now.
    fn admit(&self, parent_call: u64, call: &Call, request: &HttpRequest) -> Result<()> {
        let mut running = lock(&self.running);
        let state = running.get_mut(&parent_call);
        let state = state.ok_or_else(|| refused("belongs to no running call", request))?;
        if state.spent {
            return Err(refused("comes after the step's one setting or spend", request));
        }
        match (call.effect(), state.kind) {
            (Effect::Read, _) | (Effect::Prepare, CallKind::Plan | CallKind::Step) => Ok(()),
            (Effect::Setting | Effect::Spend, CallKind::Step) => {
                state.spent = true;
                Ok(())
            }
            _ => Err(refused("has an effect that this kind of call must not have", request)),
        }
    }

    /// Path and query.
    fn target(&self, call: &Call, request: &HttpRequest) -> Result<String> {
        let HttpRequest { segments, query, .. } = request;
        let target = target::url(self.endpoint.path(), &call.path, segments, query);
        target.map_err(|message| refused(&format!("cannot be sent: {message}"), request))
    }

    fn url(&self, target: &str) -> String {
        let authority = self.endpoint.authority().map(ToString::to_string).unwrap_or_default();
        format!("http://{authority}{target}")
    }

    fn http_request(
        &self,
        call: &Call,
        target: &str,
        request: &HttpRequest,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>> {
        let authority = self.endpoint.authority().map(ToString::to_string).unwrap_or_default();
        let mut builder = Request::builder().method(call.method.as_str()).uri(target);
        builder = builder.header("host", authority);
        for HttpField { name, value } in &request.headers {
            builder = builder.header(name, value);
        }
        for name in &request.credentials {
            let (header, value) = self.credential(name, request)?;
            builder = builder.header(header, value);
        }
        let built = builder.body(Full::new(Bytes::from(body)));
        built.map_err(|error| refused("is no HTTP request", request).with_source(error))
    }

    fn credential(&self, name: &str, request: &HttpRequest) -> Result<(String, String)> {
        let declared = self.manifest.credentials.iter().find(|one| one.name == name);
        let value = self.credentials.get(name);
        let (Some(declared), Some(value)) = (declared, value) else {
            return Err(refused("names a credential that is not there", request));
        };
        let authorization = "authorization".to_owned();
        match declared.placement() {
            Placement::Header if declared.scheme.is_empty() => {
                Ok((declared.header.clone(), value.clone()))
            }
            Placement::Header => {
                Ok((declared.header.clone(), format!("{} {value}", declared.scheme)))
            }
            Placement::Basic => Ok((authorization, format!("Basic {}", STANDARD.encode(value)))),
            Placement::Bearer => Ok((authorization, format!("Bearer {value}"))),
            Placement::Granted | Placement::Unspecified => {
                Err(refused("names a credential that the host does not send", request))
            }
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(HttpResponse, Vec<u8>)> {
        let host = self.endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.endpoint.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| no_answer().with_source(error))?;
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| no_answer().with_source(error))?;
        // Its error is the sender's too.
        let connection = tokio::spawn(async move { connection.await.is_ok() });
        let answer = sender.send_request(request).await;
        let (head, body) = answer.map_err(|error| no_answer().with_source(error))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| no_answer().with_source(error))?.to_bytes().to_vec();
        connection.abort();
        let field = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            HttpField { name: name.to_string(), value }
        };
        let headers = head.headers.iter().map(field).collect();
        let status = head.status.as_u16().into();
        Ok((HttpResponse { status, headers, url: String::new() }, body))
    }
}

/// The bytes have to say what the name says.
fn check_word(call: &Call, request: &HttpRequest, bytes: &[u8]) -> Result<()> {
    if call.words.is_empty() {
        return Ok(());
    }
    let word = body::word(call.body_format(), &call.word_pointer, bytes);
    let word =
        word.map_err(|error| refused("does not say its word", request).with_source(error))?;
    let known = call.words.contains(&word);
    if known { Ok(()) } else { Err(refused("says another word than its name", request)) }
}

fn refused(why: &str, request: &HttpRequest) -> Error {
    Error::fault(format!("the request {:?} {why}", request.call))
}

fn no_answer() -> Error {
    Error::unavailable("the upstream did not answer")
}
