//! The host's side: what the host must offer, and the plugin as it sees it. Used by the loader and
//! the executor. Nothing here opens files, loads libraries or knows a runtime.

use std::future::Future;
use std::pin::Pin;

use crate::future::ReplyFuture;
use crate::reply::{Code, Level, Reply};

mod plugin;
mod services;

pub use plugin::{Instance, PluginFuture, PluginTable};
pub use services::table;

/// A boxed future of the host.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the host offers to one instance of a plugin. A panic in here reaches the plugin as
/// [`Code::PANIC`] where there is a reply, and [`Services::log`] where there is none.
pub trait Services: Send + Sync + 'static {
    /// Starts a service. Both slices are only valid until this returns. `parent_call` is the call
    /// on whose behalf the plugin asks, 0 for none.
    ///
    /// # Errors
    ///
    /// [`Code::UNKNOWN_OP`] or [`Code::MALFORMED`]; everything else belongs into the reply.
    fn call(
        &self,
        op: u32,
        parent_call: u64,
        request: &[u8],
        attachment: &[u8],
    ) -> Result<BoxFuture<Reply>, Code>;

    /// Ready at `deadline_ns` on the clock of [`Services::monotonic_now`].
    fn sleep_until(&self, deadline_ns: u64) -> BoxFuture<()>;

    /// Polls `task` to its end, independently of any call, and names it. The reply is OK, or
    /// [`Code::PANIC`] when the task panicked. A task of a plugin holds these services: whoever
    /// keeps tasks inside them makes a circle, and must break it.
    ///
    /// # Errors
    ///
    /// A code when the host takes no task.
    fn spawn(&self, task: ReplyFuture) -> Result<u64, Code>;

    /// Drops a task, soon. A task that has ended is no error.
    fn abort(&self, task: u64);

    /// Nanoseconds on a clock that never goes back.
    fn monotonic_now(&self) -> u64;

    /// Nanoseconds since 1970, UTC.
    fn system_now(&self) -> i64;

    /// Writes one line to the log. `call` is 0 for none. The texts are the plugin's: not to be
    /// trusted with more than being printed.
    fn log(&self, level: Level, call: u64, target: &str, message: &str);

    /// Whether the caller of `call` no longer waits.
    fn is_cancelled(&self, call: u64) -> bool;
}
