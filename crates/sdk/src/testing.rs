//! A host for tests of plugins: it drives a plugin through the real boundary, without a gateway, against
//! a simulator's URL, and holds it to its manifest as the gateway does. It has no journal, so it must
//! never be pointed at an upstream that takes money.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;
use purveyor_abi::host::Instance;
use purveyor_abi::{CallInfo, Fault};
use serde_json::Value;

mod drive;
mod egress;
mod scope;
mod services;

use crate::dispatch::Exported;
use crate::error::{Error, Result};
use crate::manifest;
use crate::op::{self, OpKind};
use crate::plugin::v1::{
    self, BaselineRequest, BaselineResponse, CallContext, CallKind, FindRequest, FindResponse,
    Grant, IdentifyRequest, IdentifyResponse, Manifest, Op, OpenRequest, PlanRequest, PollRequest,
    PollResponse, StepOutcome,
};
use crate::v1::{Price, Quote, UpstreamRef};
pub use drive::{Ended, POLLS_MAX, Position, write};
use egress::Egress;
pub use scope::Scope;
use services::HostServices;

/// What an instance is opened with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `providers/{provider}`.
    pub provider: String,
    /// The upstream, `http://127.0.0.1:1234`.
    pub endpoint: String,
    /// The account's configuration.
    pub configuration: Value,
    /// The credentials by name: those that the manifest wants granted are, the others are put into
    /// requests.
    pub credentials: BTreeMap<String, String>,
    /// The zone of upstream times without one; empty for UTC.
    pub time_zone: String,
    /// The operator's words of refusal.
    pub refusal_words: Vec<String>,
}

impl Setup {
    /// An account of `providers/test` without configuration and credentials.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            provider: "providers/test".to_owned(),
            endpoint: endpoint.into(),
            configuration: Value::Object(serde_json::Map::new()),
            credentials: BTreeMap::new(),
            time_zone: String::new(),
            refusal_words: Vec::new(),
        }
    }

    /// With a credential.
    #[must_use]
    pub fn credential(mut self, name: &str, value: &str) -> Self {
        self.credentials.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With this configuration.
    #[must_use]
    pub fn configuration(self, configuration: Value) -> Self {
        Self { configuration, ..self }
    }
}

/// An open instance of a plugin. Its methods need a tokio runtime with time and network.
pub struct TestHost<P> {
    instance: Instance,
    services: Arc<HostServices>,
    next_call: AtomicU64,
    provider: PhantomData<fn() -> P>,
}

impl<P: Exported> TestHost<P> {
    /// Opens an instance through the plugin's table.
    ///
    /// # Errors
    ///
    /// What the plugin says of its configuration; PLUGIN_FAULT for a manifest with mistakes.
    pub fn open(setup: Setup) -> Result<Self> {
        let manifest = Self::manifest()?;
        let granted = |name: &String| {
            let wanted = manifest.credentials.iter().find(|wanted| wanted.name == *name);
            wanted.is_some_and(|one| one.placement() == v1::credential::Placement::Granted)
        };
        let grants = setup.credentials.iter().filter(|(name, _)| granted(name));
        let request = OpenRequest {
            provider: setup.provider,
            configuration: setup.configuration.to_string(),
            grants: grants
                .map(|(name, value)| Grant { name: name.clone(), value: value.clone() })
                .collect(),
            endpoint: setup.endpoint.clone(),
            time_zone: setup.time_zone,
            credentials: setup.credentials.keys().cloned().collect(),
            refusal_words: setup.refusal_words,
        };
        let egress = Egress::new(&setup.endpoint, manifest, setup.credentials)?;
        let services = Arc::new(HostServices::new(egress));
        let table = P::table().map_err(|error| fault("table").with_source(error))?;
        let instance = table.open(services.clone(), &request.encode_to_vec()).map_err(decode)?;
        let next_call = AtomicU64::new(1);
        Ok(Self { instance, services, next_call, provider: PhantomData })
    }

    /// The manifest, without mistakes.
    ///
    /// # Errors
    ///
    /// PLUGIN_FAULT with every mistake.
    pub fn manifest() -> Result<Manifest> {
        let table = P::table().map_err(|error| fault("table").with_source(error))?;
        let bytes = table.manifest().map_err(decode)?;
        let manifest =
            Manifest::decode(&*bytes).map_err(|error| fault("manifest").with_source(error))?;
        match manifest::validate(&manifest).as_slice() {
            [] => Ok(manifest),
            problems => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Err(fault("manifest").with_source(problems.join("; ")))
            }
        }
    }

    /// Asks a read of the API; `upstream_id` is that of the resource the request names, or empty.
    ///
    /// # Errors
    ///
    /// What the plugin answers; CAPABILITY_UNSUPPORTED for a method that it does not have.
    pub async fn read<A: Message + Default>(
        &self,
        op: Op,
        request: &impl Message,
        upstream_id: &str,
    ) -> Result<A> {
        self.read_several(op, request, UpstreamRef::ids_of(upstream_id)).await
    }

    /// As [`TestHost::read`], of a resource that is several upstream objects.
    ///
    /// # Errors
    ///
    /// As [`TestHost::read`].
    pub async fn read_several<A: Message + Default>(
        &self,
        op: Op,
        request: &impl Message,
        upstream_ids: Vec<String>,
    ) -> Result<A> {
        let context = CallContext { upstream_ids, ..CallContext::default() };
        self.call(op, CallKind::Read, request, context).await
    }

    /// Makes one step of a write.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead of an outcome.
    pub async fn step(
        &self,
        op: Op,
        request: &impl Message,
        context: CallContext,
    ) -> Result<StepOutcome> {
        if op::kind(op) != OpKind::Write {
            return Err(Error::fault(format!("{} is no write", op.as_str_name())));
        }
        self.call(op, CallKind::Step, request, context).await
    }

    /// Asks whose account it is.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn identify(&self) -> Result<String> {
        let context = CallContext::default();
        let answer: IdentifyResponse =
            self.call(Op::Identify, CallKind::Read, &IdentifyRequest {}, context).await?;
        Ok(answer.account)
    }

    /// Asks for a quote.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn plan(&self, request: &PlanRequest) -> Result<Quote> {
        self.call(Op::Plan, CallKind::Plan, request, of_write(request.write.as_ref())).await
    }

    /// Asks for evidence before a step.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn baseline(&self, request: &BaselineRequest) -> Result<BaselineResponse> {
        let context = of_write(request.write.as_ref());
        self.call(Op::Baseline, CallKind::Baseline, request, context).await
    }

    /// Asks how far the upstream has come.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn poll(&self, request: &PollRequest) -> Result<PollResponse> {
        self.call(Op::Poll, CallKind::Poll, request, CallContext::default()).await
    }

    /// Asks what became of a spend.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn find(&self, request: &FindRequest) -> Result<FindResponse> {
        self.call(Op::Find, CallKind::Find, request, of_write(request.write.as_ref())).await
    }

    /// The names of the calls whose bytes were sent, in order.
    pub fn sent(&self) -> Vec<String> {
        self.services.egress.sent()
    }

    /// The price that the plugin told with each SPEND, in order.
    pub fn spend_prices(&self) -> Vec<Option<Price>> {
        self.services.egress.spend_prices()
    }

    /// What the plugin wrote to the log.
    pub fn log_lines(&self) -> Vec<String> {
        self.services.log_lines()
    }

    async fn call<A: Message + Default>(
        &self,
        op: Op,
        kind: CallKind,
        request: &impl Message,
        context: CallContext,
    ) -> Result<A> {
        self.call_bytes(op, kind, &request.encode_to_vec(), context).await
    }

    async fn call_bytes<A: Message + Default>(
        &self,
        op: Op,
        kind: CallKind,
        request: &[u8],
        context: CallContext,
    ) -> Result<A> {
        let id = self.next_call.fetch_add(1, Ordering::Relaxed);
        let context = context.encode_to_vec();
        let info = CallInfo {
            op: op as u32,
            kind: kind as u32,
            id,
            context: &context,
            ..CallInfo::default()
        };
        let _running = self.services.egress.begin(id, kind);
        let future = self.instance.start(&info, request).map_err(decode)?;
        let payload = future.await.into_result().map_err(decode)?;
        A::decode(&*payload.body).map_err(|error| fault("answer").with_source(error))
    }
}

/// The context of a call that is about a write.
fn of_write(write: Option<&v1::Write>) -> CallContext {
    let write = write.cloned().unwrap_or_default();
    CallContext {
        upstream_ids: write.upstream_ids,
        request_id: write.request_id,
        ..CallContext::default()
    }
}

/// The error behind a plugin's reply that is no answer.
fn decode(fault: Fault) -> Error {
    match fault {
        Fault::Error(body) => match v1::Error::decode(&*body) {
            Ok(error) => error.into(),
            Err(error) => self::fault("error").with_source(error),
        },
        Fault::UnknownOp => Error::unsupported("this method"),
        other => Error::fault(other.to_string()),
    }
}

fn fault(what: &str) -> Error {
    Error::fault(format!("the plugin's {what} breaks the contract"))
}
