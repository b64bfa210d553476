//! What one instance of a plugin can ask of the host. Each question is taken apart here and answered
//! elsewhere; nothing here decides what may be sent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use purveyor_abi::host::{BoxFuture, Services};
use purveyor_abi::{Code, Level, OwnedBuf, Reply, ReplyFuture};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{self, HostOp, HttpRequest, Op};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::egress::{self, Egress, Priority, Refused, SpendTask};
use super::scope::{Begun, Scope, Scopes, Turn};

mod tasks;

pub(super) use tasks::Tasks;

/// The most bytes of one line of a plugin's log.
const MAX_LOG_BYTES: usize = 4 * 1024;
/// The most bytes of its target.
const MAX_TARGET_BYTES: usize = 128;

/// The services of one instance.
pub(super) struct HostServices {
    inner: Arc<Inner>,
    tasks: Arc<Tasks>,
}

struct Inner {
    provider: String,
    scopes: Arc<Scopes>,
    egress: Arc<Egress>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
}

impl HostServices {
    pub(super) fn new(
        provider: &str,
        scopes: Arc<Scopes>,
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
        tasks: Arc<Tasks>,
        runtime: Handle,
    ) -> Self {
        let provider = provider.to_owned();
        Self { inner: Arc::new(Inner { provider, scopes, egress, clock, runtime }), tasks }
    }
}

impl Services for HostServices {
    fn call(
        &self,
        op: u32,
        parent_call: u64,
        request: &[u8],
        attachment: &[u8],
    ) -> Result<BoxFuture<Reply>, Code> {
        if i32::try_from(op) != Ok(HostOp::Http.into()) {
            return Err(Code::UNKNOWN_OP);
        }
        let request = HttpRequest::decode(request).map_err(|_| Code::MALFORMED)?;
        let body = Bytes::copy_from_slice(attachment);
        let inner = Arc::clone(&self.inner);
        // Nothing happens before the first poll, so a future that is only made sends nothing.
        Ok(Box::pin(async move {
            match inner.http(parent_call, request, body).await {
                Ok((head, body)) => {
                    Reply::ok(head.encode_to_vec()).with_attachment(OwnedBuf::from_owner(body))
                }
                Err(error) => Reply::error(v1::Error::from(error).encode_to_vec()),
            }
        }))
    }

    fn sleep_until(&self, deadline_ns: u64) -> BoxFuture<()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let left = deadline_ns.saturating_sub(inner.clock.boot().ns);
            tokio::time::sleep(Duration::from_nanos(left)).await;
        })
    }

    fn spawn(&self, task: ReplyFuture) -> Result<u64, Code> {
        self.tasks.spawn(&self.inner.runtime, task)
    }

    fn abort(&self, task: u64) {
        self.tasks.abort(task);
    }

    fn monotonic_now(&self) -> u64 {
        self.inner.clock.boot().ns
    }

    fn system_now(&self) -> i64 {
        // Nanoseconds in 64 bits reach to 2262.
        i64::try_from(self.inner.clock.wall().as_nanosecond()).unwrap_or(i64::MAX)
    }

    fn log(&self, level: Level, call: u64, target: &str, message: &str) {
        let sanitizer = self.inner.egress.sanitizer();
        let provider = &self.inner.provider;
        let target = printable(&sanitizer.text(target), MAX_TARGET_BYTES);
        let message = printable(&sanitizer.text(message), MAX_LOG_BYTES);
        match level {
            Level::ERROR => tracing::error!(provider, call, target, message, "plugin"),
            Level::WARN => tracing::warn!(provider, call, target, message, "plugin"),
            Level::INFO => tracing::info!(provider, call, target, message, "plugin"),
            Level::DEBUG => tracing::debug!(provider, call, target, message, "plugin"),
            _ => tracing::trace!(provider, call, target, message, "plugin"),
        }
    }

    fn is_cancelled(&self, call: u64) -> bool {
        !self.inner.scopes.contains(call)
    }
}

impl Inner {
    /// One upstream request on behalf of a call.
    async fn http(
        &self,
        parent_call: u64,
        request: HttpRequest,
        body: Bytes,
    ) -> Result<egress::Reply, Error> {
        let name = request.call.clone();
        let admitted = self.admit(parent_call, request, body);
        let (scope, prepared, turn) = admitted.inspect_err(|error| {
            let (provider, sanitizer) = (&self.provider, self.egress.sanitizer());
            let (name, error) = (sanitizer.text(&name), sanitizer.text(&error.to_string()));
            tracing::warn!(provider, call = name, %error, "a request of a plugin was refused");
        })?;
        match turn {
            Turn::Free(_turn) => {
                let priority = Priority::of(scope.kind);
                let reply = self.egress.read(prepared, priority, &scope).await?;
                // What this call is refused stands in its own answer: the identity, or an error.
                if scope.op != Op::Identify {
                    self.egress.note_status(reply.0.status);
                }
                Ok(reply)
            }
            Turn::Spend(permits) => {
                let (reply, answered) = oneshot::channel();
                let egress = Arc::clone(&self.egress);
                let permitted = Arc::new(AtomicU32::new(0));
                let (call, effect) = (prepared.call.name.clone(), prepared.call.effect());
                let noted = Arc::clone(&permitted);
                let slot = scope.slot.clone();
                let task = SpendTask { egress, prepared, permits, slot, reply, permitted: noted };
                let task = self.runtime.spawn(task.run());
                scope.keep(Begun { call, effect, task, permitted });
                answered.await.unwrap_or_else(|_| Err(Error::fault("the spend's task has died")))
            }
        }
    }

    fn admit(
        &self,
        parent_call: u64,
        request: HttpRequest,
        body: Bytes,
    ) -> Result<(Arc<Scope>, egress::Prepared, Turn), Error> {
        let scope = self.scopes.get(parent_call)?;
        let prepared = self.egress.prepare(request, body).map_err(|refused| match refused {
            Refused::Breach(message) => scope.breach(message),
            Refused::Invalid(error) => error,
        })?;
        let turn = scope.admit(&prepared.call)?;
        Ok((scope, prepared, turn))
    }
}

/// A plugin's text, cut to a length and without what could deceive in a log.
fn printable(text: &str, max_bytes: usize) -> String {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace(|character: char| character.is_control(), " ")
}

impl fmt::Debug for HostServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostServices")
            .field("provider", &self.inner.provider)
            .finish_non_exhaustive()
    }
}
