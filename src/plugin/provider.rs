//! One configured way to an upstream account, as the rest of the host uses it: bytes in, bytes out, and
//! every promise of the manifest kept. What a spend came to is told, never judged.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use purveyor_sdk::Error;
use purveyor_sdk::op::{self, OpKind};
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Manifest, Method, Op, StepOutcome};
use purveyor_sdk::v1::{Effect, ErrorReason};
use tokio::time::Instant;

use super::config::ProviderConfig;
use super::loader::Plugin;
use super::permits::Permits;
use super::scope::{Begun, OpenScope};
use super::spend::{Seen, Spend, Stepped};
use super::timing::Timing;

mod answers;
mod identity;
mod instance;
mod lifecycle;

pub(super) use identity::Identification;
pub use identity::Identified;
pub(super) use instance::Opening;
pub(super) use lifecycle::Lifecycle;

use instance::{Fault, Instance};

/// How long a call that cannot spend may take, so that a plugin that hangs holds nobody for ever.
const CALL_LIMIT: Duration = Duration::from_secs(120);
/// How long a step may take beside its spend: its own reads, waiting for its turn, connecting.
const STEP_MARGIN: Duration = Duration::from_secs(150);

/// A configured way to an upstream account; several may lead to one.
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    plugin: Option<Arc<PluginInfo>>,
    manifest: Arc<Manifest>,
    timing: Timing,
    lifecycle: Lifecycle,
    identification: Identification,
    check_answers: bool,
}

/// Whether calls to a provider are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// They are.
    Available,
    /// They are not: the plugin is quarantined or could not be opened.
    Unavailable {
        /// Why, for a person.
        reason: String,
    },
}

/// The plugin that serves a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file that was loaded, lowercase hex.
    pub sha256: String,
    /// The ABI it was built for, `major.minor`.
    pub abi_version: String,
    /// Which loading of the plugin it is, from 1.
    pub generation: u32,
}

impl Provider {
    /// The id, as in `providers/{id}`.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Whether calls are served.
    pub fn state(&self) -> Availability {
        self.lifecycle.availability()
    }

    /// The plugin's declaration; empty when there is no plugin.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the operator configured.
    pub fn config(&self) -> &ProviderConfig {
        &self.config
    }

    /// How long things take at this account.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The plugin that serves it; `None` when no plugin of that name is loaded.
    pub fn plugin_info(&self) -> Option<&Arc<PluginInfo>> {
        self.plugin.as_ref()
    }

    /// What the plugin declares of a method; `None` when the provider does not have it.
    pub fn method(&self, op: Op) -> Option<&Method> {
        self.manifest.methods.iter().find(|method| method.op() == op)
    }

    /// How long the effect of a write may lag behind the upstream's final word; `None`: nobody has said.
    pub fn effect_lag(&self, op: Op) -> Option<Duration> {
        let declared = self.method(op).and_then(|method| method.effect_lag);
        let declared = declared.and_then(|lag| lag.try_into().ok());
        self.config().timing.effect_lag.or(declared)
    }

    /// The strongest effect among the upstream calls of a method; READ when it makes none.
    pub fn effect(&self, op: Op) -> Effect {
        let calls = self.method(op).map(|method| method.calls.as_slice()).unwrap_or_default();
        let declared = self.manifest.calls.iter().filter(|call| calls.contains(&call.name));
        declared
            .map(|call| call.effect())
            .max_by_key(|&effect| effect as i32)
            .unwrap_or(Effect::Read)
    }

    /// How many calls into the plugin are under way.
    pub fn calls_under_way(&self) -> usize {
        self.lifecycle.current().map_or(0, |instance| instance.calls_under_way())
    }

    /// Any call but a step: bytes in, bytes out. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// CAPABILITY_UNSUPPORTED before the plugin is called, PROVIDER_UNAVAILABLE, PLUGIN_FAULT, what
    /// egress refuses, and whatever the plugin answers.
    pub async fn call(
        &self,
        kind: CallKind,
        op: Op,
        request: &[u8],
        context: &CallContext,
    ) -> Result<Bytes, Error> {
        self.call_until(kind, op, request, context, None).await
    }

    /// As [`Provider::call`], for a caller who waits until `deadline`: a request upstream whose turn
    /// would come later is not queued for it.
    ///
    /// # Errors
    ///
    /// As [`Provider::call`]; DEADLINE_EXCEEDED at the deadline.
    pub async fn call_until(
        &self,
        kind: CallKind,
        op: Op,
        request: &[u8],
        context: &CallContext,
        deadline: Option<Instant>,
    ) -> Result<Bytes, Error> {
        if kind == CallKind::Step || kind != kind_of(op) {
            let (kind, op) = (kind.as_str_name(), op.as_str_name());
            let message = format!("{op} cannot be called as {kind}");
            return Err(Error::new(ErrorReason::Internal, message));
        }
        self.require(op)?;
        let instance = self.lifecycle.instance().await?;
        let scope = instance.scope(kind, op, &self.manifest, deadline, None);
        let limit = Instant::now() + CALL_LIMIT;
        let until = deadline.map_or(limit, |deadline| deadline.min(limit));
        let answer = instance.run(&scope, kind, op, context, request, until).await;
        let answer = self.settle(&instance, &scope, op, answer, deadline)?;
        if self.check_answers {
            answers::check(op, &answer)?;
        }
        Ok(answer)
    }

    /// One step of a write. It never fails, and it ends: a plugin that hangs is dropped, and a spend
    /// that was begun is awaited whatever the plugin does. To be awaited to its end.
    pub async fn step(
        &self,
        op: Op,
        request: &[u8],
        context: &CallContext,
        permits: Arc<dyn Permits>,
    ) -> Stepped {
        match Box::pin(self.step_inner(op, request, context, permits)).await {
            Ok(stepped) => stepped,
            Err(error) => Stepped { said: Err(error), spend: None },
        }
    }
}

impl Provider {
    pub(super) fn new(
        config: ProviderConfig,
        plugin: Option<&Plugin>,
        lifecycle: Lifecycle,
        identification: Identification,
        check_answers: bool,
    ) -> Self {
        let manifest = plugin.map(|plugin| Arc::clone(&plugin.manifest)).unwrap_or_default();
        let timing = Timing::new(&config, &manifest);
        let plugin = plugin.map(|plugin| Arc::new(PluginInfo::of(plugin)));
        let provider =
            Self { config, plugin, manifest, timing, lifecycle, identification, check_answers };
        provider.identify_from_configuration();
        provider
    }

    /// Refuses what the provider does not have before the plugin is called.
    fn require(&self, op: Op) -> Result<(), Error> {
        if let Availability::Unavailable { reason } = self.state() {
            return Err(Error::new(ErrorReason::ProviderUnavailable, reason)
                .with_metadata("provider", &self.config.id));
        }
        let is_canonical = !matches!(op::kind(op), OpKind::Engine);
        if is_canonical && self.method(op).is_none() {
            return Err(unsupported(op));
        }
        Ok(())
    }

    async fn step_inner(
        &self,
        op: Op,
        request: &[u8],
        context: &CallContext,
        permits: Arc<dyn Permits>,
    ) -> Result<Stepped, Error> {
        if op::kind(op) != OpKind::Write {
            let message = format!("{} is no step", op.as_str_name());
            return Err(Error::new(ErrorReason::Internal, message));
        }
        self.require(op)?;
        let instance = self.lifecycle.instance().await?;
        let scope = instance.scope(CallKind::Step, op, &self.manifest, None, Some(permits));
        let until = Instant::now() + self.timing.attempt_timeout + STEP_MARGIN;
        let answer = instance.run(&scope, CallKind::Step, op, context, request, until).await;
        let spend = match scope.end() {
            Some(begun) => Some(ended(begun).await),
            None => None,
        };
        let said = self.settle(&instance, &scope, op, answer, None).and_then(|bytes| {
            StepOutcome::decode(bytes).map_err(|error| answers::undecodable(error.to_string()))
        });
        self.note_rejection(said.as_ref().ok());
        Ok(Stepped { said, spend })
    }

    /// What a call comes to: a breach of contract before everything that the plugin said.
    fn settle(
        &self,
        instance: &Arc<Instance>,
        scope: &OpenScope,
        op: Op,
        answer: Result<Bytes, Fault>,
        deadline: Option<Instant>,
    ) -> Result<Bytes, Error> {
        if let Err(Fault::Panic(message)) = &answer {
            self.lifecycle.panicked(instance, message);
        }
        if let Some(breach) = scope.breach() {
            return Err(instance.sanitizer().error(breach));
        }
        answer.map_err(|fault| match fault {
            Fault::Said(error) => self.note_credential_error(error),
            Fault::UnknownOp => unsupported(op),
            Fault::TimedOut if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                Error::new(ErrorReason::DeadlineExceeded, "the provider did not answer in time")
            }
            Fault::TimedOut => Error::fault("the plugin did not answer in time"),
            Fault::Panic(message) => Error::fault("the plugin panicked").with_source(message),
            Fault::Undecodable(message) => answers::undecodable(message),
            Fault::Broken(message) => {
                Error::fault("the plugin broke the boundary's contract").with_source(message)
            }
        })
    }
}

impl PluginInfo {
    pub(super) fn of(plugin: &Plugin) -> Self {
        Self {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            sha256: plugin.sha256.clone(),
            abi_version: format!("{}.{}", purveyor_abi::raw::MAJOR, plugin.stamp.minor),
            generation: plugin.generation,
        }
    }
}

/// What a spend came to, also when its own task died.
async fn ended(begun: Begun) -> Spend {
    let Begun { call, effect, task, permitted } = begun;
    match task.await {
        Ok(spend) => spend,
        Err(error) => {
            tracing::error!(call, %error, "the task of a spend died");
            let attempt = super::egress::attempt(&permitted);
            let reason = "the host's task of the spend died".to_owned();
            let seen = match attempt {
                Some(_) => Seen::Unproven { reason },
                None => Seen::NotSent { reason },
            };
            Spend { call, effect, attempt, seen, answer: None }
        }
    }
}

/// The one kind of call that an op is for.
fn kind_of(op: Op) -> CallKind {
    match (op, op::kind(op)) {
        (Op::Plan, _) => CallKind::Plan,
        (Op::Baseline, _) => CallKind::Baseline,
        (Op::Poll, _) => CallKind::Poll,
        (Op::Find, _) => CallKind::Find,
        (Op::Identify, _) | (_, OpKind::Read) => CallKind::Read,
        (_, OpKind::Write) => CallKind::Step,
        (_, OpKind::Engine) => CallKind::Unspecified,
    }
}

fn unsupported(op: Op) -> Error {
    Error::unsupported(op.as_str_name().trim_start_matches("OP_").to_lowercase())
}
