//! One open instance of a plugin, and the one way in which it is called. An instance is closed when
//! the last handle and the last call are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use purveyor_abi::host::PluginTable;
use purveyor_abi::{CallInfo, Fault as Foreign};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{self, CallContext, CallKind, Manifest, Op};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::answers;
use crate::plugin::clock::Clock;
use crate::plugin::egress::Egress;
use crate::plugin::permits::Permits;
use crate::plugin::sanitize::{self, Sanitizer};
use crate::plugin::scope::polling::{self, InCall};
use crate::plugin::scope::{OpenScope, Scopes};
use crate::plugin::services::{HostServices, Tasks};

/// How long `open` may take. It has no way to the upstream yet, so it only reads its configuration.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// An open instance.
#[derive(Debug)]
pub(super) struct Instance {
    abi: purveyor_abi::host::Instance,
    scopes: Arc<Scopes>,
    tasks: Arc<Tasks>,
    clock: Arc<dyn Clock>,
    egress: Arc<Egress>,
    broken: AtomicBool,
}

/// What an instance is opened with, again and again.
#[derive(Debug)]
pub(in crate::plugin) struct Opening {
    pub(in crate::plugin) provider: String,
    pub(in crate::plugin) table: PluginTable,
    pub(in crate::plugin) egress: Arc<Egress>,
    pub(in crate::plugin) clock: Arc<dyn Clock>,
    /// Makes the encoded OpenRequest. Made anew each time, so that the secrets in it do not stay.
    pub(in crate::plugin) request: crate::plugin::registry::Request,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The plugin refused in its own words.
    Said(Error),
    UnknownOp,
    TimedOut,
    Panic(String),
    /// Its answer is none of the op's.
    Undecodable(String),
    /// Anything else that a plugin of the SDK does not do.
    Broken(String),
}

impl Instance {
    /// Opens an instance, on a thread of its own: a plugin that never returns from `open` costs that
    /// thread and nothing else.
    pub(super) async fn open(opening: &Opening) -> Result<Self, String> {
        let scopes = Arc::new(Scopes::default());
        let tasks = Arc::new(Tasks::default());
        let services = Arc::new(HostServices::new(
            &opening.provider,
            Arc::clone(&scopes),
            Arc::clone(&opening.egress),
            Arc::clone(&opening.clock),
            Arc::clone(&tasks),
            Handle::current(),
        ));
        let (table, request) = (opening.table, opening.request.encode());
        let (sender, opened) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("open {}", opening.provider));
        let spawned = thread.spawn(move || {
            // When nobody waits any more, the instance that comes too late is closed here.
            let _late = sender.send(table.open(services, &request));
        });
        spawned.map_err(|error| format!("no thread can be made to open the plugin: {error}"))?;
        match tokio::time::timeout(OPEN_LIMIT, opened).await {
            Ok(Ok(Ok(abi))) => {
                let (clock, egress) = (Arc::clone(&opening.clock), Arc::clone(&opening.egress));
                Ok(Self { abi, scopes, tasks, clock, egress, broken: AtomicBool::new(false) })
            }
            Ok(Ok(Err(fault))) => {
                let sanitizer = opening.egress.sanitizer();
                Err(refusal(Fault::from(fault).sanitized(sanitizer)))
            }
            Ok(Err(_)) => Err("the thread that opened the plugin died".to_owned()),
            Err(_) => Err(format!("the plugin did not open in {OPEN_LIMIT:?}")),
        }
    }

    /// Opens a scope for one call.
    pub(super) fn scope(
        &self,
        kind: CallKind,
        op: Op,
        manifest: &Manifest,
        deadline: Option<Instant>,
        permits: Option<Arc<dyn Permits>>,
    ) -> OpenScope {
        self.scopes.open(kind, op, manifest, deadline, permits)
    }

    /// What cleans everything that the plugin says.
    pub(super) fn sanitizer(&self) -> &Sanitizer {
        self.egress.sanitizer()
    }

    /// Calls the plugin and waits for its answer, until `until` at most; the call is dropped then. What it
    /// says is clean.
    pub(super) async fn run(
        &self,
        scope: &OpenScope,
        kind: CallKind,
        op: Op,
        context: &CallContext,
        request: &[u8],
        until: Instant,
    ) -> Result<Bytes, Fault> {
        let answer = self.answer(scope, kind, op, context, request, until).await;
        let answer = answer.map_err(|fault| fault.sanitized(self.sanitizer()))?;
        let Some(name) = answers::message(op) else { return Ok(answer) };
        let stored = kind != CallKind::Read;
        self.sanitizer().message(name, answer, stored).map_err(Fault::Undecodable)
    }

    async fn answer(
        &self,
        scope: &OpenScope,
        kind: CallKind,
        op: Op,
        context: &CallContext,
        request: &[u8],
        until: Instant,
    ) -> Result<Bytes, Fault> {
        let left = until.saturating_duration_since(Instant::now());
        let future = {
            let context = context.encode_to_vec();
            let info = CallInfo {
                op: op as u32,
                kind: kind as u32,
                flags: 0,
                id: scope.id(),
                deadline_ns: self.clock.boot().plus(left).ns,
                context: &context,
            };
            polling::enter(scope.id(), || self.abi.start(&info, request))?
        };
        let reply = timeout_at(until, InCall::new(scope.id(), future)).await;
        let reply = reply.map_err(|_| Fault::TimedOut)?;
        Ok(Bytes::from_owner(reply.into_result()?.body))
    }

    pub(super) fn calls_under_way(&self) -> usize {
        self.scopes.len()
    }

    /// Whether the instance has to be made anew before the next call.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire) || self.tasks.have_panicked()
    }

    /// Whether a task that the instance spawned has panicked.
    pub(super) fn tasks_have_panicked(&self) -> bool {
        self.tasks.have_panicked()
    }

    pub(super) fn set_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Tasks hold what the plugin gave them; aborted before the plugin closes, so that nothing of
        // an instance outlives it.
        self.tasks.close();
    }
}

impl Fault {
    fn sanitized(self, sanitizer: &Sanitizer) -> Self {
        match self {
            Self::Said(error) => {
                let encoded = v1::Error::from(error).encode_to_vec();
                let cleaned = sanitizer.message(sanitize::ERROR, encoded.into(), true);
                let decoded =
                    cleaned.and_then(|it| v1::Error::decode(it).map_err(|it| it.to_string()));
                match decoded {
                    Ok(error) => Self::Said(error.into()),
                    Err(error) => Self::Broken(format!("its error cannot be read: {error}")),
                }
            }
            Self::Panic(message) => Self::Panic(sanitizer.text(&message)),
            Self::Broken(message) => Self::Broken(sanitizer.text(&message)),
            Self::Undecodable(message) => Self::Undecodable(sanitizer.text(&message)),
            Self::UnknownOp | Self::TimedOut => self,
        }
    }
}

impl From<Foreign> for Fault {
    fn from(fault: Foreign) -> Self {
        match fault {
            Foreign::Error(body) => match v1::Error::decode(&*body) {
                Ok(error) => Self::Said(error.into()),
                Err(error) => Self::Broken(format!("its error cannot be decoded: {error}")),
            },
            Foreign::UnknownOp => Self::UnknownOp,
            Foreign::Panic(message) => Self::Panic(message),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// Why an instance was not opened, for a person.
fn refusal(fault: Fault) -> String {
    match fault {
        Fault::Said(error) => {
            let violations = error.violations.iter();
            let fields: Vec<_> =
                violations.map(|one| format!("{}: {}", one.field, one.description)).collect();
            if fields.is_empty() { error.message } else { fields.join("; ") }
        }
        Fault::Panic(message) => format!("the plugin panicked when it was opened: {message}"),
        Fault::Broken(message) | Fault::Undecodable(message) => {
            format!("the plugin could not be opened: {message}")
        }
        Fault::UnknownOp | Fault::TimedOut => "the plugin could not be opened".to_owned(),
    }
}
