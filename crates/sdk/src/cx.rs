//! What a method is told beside its request, and the services it has while it runs. It cannot be kept
//! past the call: whatever is sent belongs to the call that asked for it.

use std::time::Duration;

use prost_types::Timestamp;
use purveyor_abi::{Level, guest};

use crate::error::Result;
use crate::http::{Http, host_error};
use crate::plugin::v1::{CallContext, CallKind};
use crate::v1::ServiceRef;

/// One call of a plugin's method.
pub struct Cx {
    pub(crate) host: guest::Host,
    pub(crate) call_id: u64,
    pub(crate) kind: CallKind,
    pub(crate) context: CallContext,
    pub(crate) log_target: &'static str,
}

impl Cx {
    /// The way to the upstream.
    pub fn http(&self) -> Http<'_> {
        Http { host: &self.host, call_id: self.call_id }
    }

    /// What the call is for, which decides what it may send.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// The upstream's identifier of the resource that the request names, the first where it is several
    /// upstream objects; empty where it names none.
    pub fn upstream_id(&self) -> &str {
        self.context.upstream_ids.first().map_or("", String::as_str)
    }

    /// The identifiers of all the upstream objects that are the resource which the request names.
    pub fn upstream_ids(&self) -> &[String] {
        &self.context.upstream_ids
    }

    /// The handle that the step before returned; empty in the first step.
    pub fn handle(&self) -> &[u8] {
        &self.context.handle
    }

    /// The evidence that was taken before this step; empty where none was. While evidence is taken: what
    /// was taken when the step was tried before, for what that try has left behind.
    pub fn baseline(&self) -> &[u8] {
        &self.context.baseline
    }

    /// The operation's request id; empty outside operations.
    pub fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// The step, from 1; 0 outside steps.
    pub fn step(&self) -> i32 {
        self.context.step
    }

    /// In a payment of an order that a renewal of the same store made: the renewal's services, each with
    /// the end that it was to have when the order was made; else empty.
    pub fn guards(&self) -> &[ServiceRef] {
        &self.context.guards
    }

    /// Waits, unless the caller's deadline ends the call before.
    ///
    /// # Errors
    ///
    /// INTERNAL when the host cannot keep time.
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let deadline = self.host.monotonic_now().saturating_add(nanos);
        let future = self.host.sleep_until(deadline).map_err(|code| {
            crate::Error::new(crate::v1::ErrorReason::Internal, "the host keeps no time")
                .with_metadata("code", code)
        })?;
        future.await.into_result().map(|_| ()).map_err(host_error)
    }

    /// The host's time of day.
    pub fn now(&self) -> Timestamp {
        let nanos = self.host.system_now();
        let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or_default() }
    }

    /// A clock that never goes back, from an origin that means nothing.
    pub fn monotonic_now(&self) -> Duration {
        Duration::from_nanos(self.host.monotonic_now())
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.host.is_cancelled(self.call_id)
    }

    /// A line for the host's log, which needs no secrets.
    pub fn log(&self, level: Level, message: &str) {
        self.host.log(level, self.call_id, self.log_target, message);
    }
}
