//! The host as a plugin sees it: safe methods over the host's table. It must not keep anything but
//! the table and the context, so that an older host's table is enough.

use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::mem::{MaybeUninit, size_of};
use std::sync::Arc;

use crate::future::ReplyFuture;
use crate::raw::{self, LogRecord, Slice};
use crate::reply::{Code, Level, Reply};
use crate::table::{Table, TableError, field};

/// A handle to the host, for one instance. Clones are cheap; the host's context is released with
/// the last one.
#[derive(Clone)]
pub struct Host {
    context: Arc<HostContext>,
}

/// A task of [`Host::spawn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId(u64);

impl Host {
    /// Asks a service of the host. Both slices are copied or decoded before this returns.
    /// `parent_call` is the call on whose behalf it is asked, 0 for none.
    ///
    /// # Errors
    ///
    /// [`Code::UNKNOWN_OP`] when this host has no such service, [`Code::MALFORMED`] when it cannot
    /// decode the request. Everything else is in the reply.
    pub fn call(
        &self,
        op: u32,
        parent_call: u64,
        request: &[u8],
        attachment: &[u8],
    ) -> Result<ReplyFuture, Code> {
        let (request, attachment) = (Slice::new(request), Slice::new(attachment));
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives until the last handle is gone; the slices outlive the call.
        receive(|out| unsafe { (functions.call)(*ctx, op, parent_call, request, attachment, out) })
    }

    /// A future that is ready at `deadline_ns` on the clock of [`Host::monotonic_now`].
    ///
    /// # Errors
    ///
    /// A code of the host when it cannot keep time for the plugin.
    pub fn sleep_until(&self, deadline_ns: u64) -> Result<ReplyFuture, Code> {
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives until the last handle is gone.
        receive(|out| unsafe { (functions.sleep_until)(*ctx, deadline_ns, out) })
    }

    /// Runs `task` in the host's runtime, independently of any call. It may outlive the instance.
    /// A panic ends the task and is told in the host's log.
    ///
    /// # Errors
    ///
    /// A code of the host when it takes no task; the task is dropped then.
    pub fn spawn<F>(&self, task: F) -> Result<TaskId, Code>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.own_future(0, async move {
            task.await;
            Reply::ok("")
        });
        let mut id = 0;
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives; the task is given away with this call, `id` is writable.
        let code = Code(unsafe { (functions.spawn)(*ctx, task.into_raw(), &mut id) });
        if code == Code::OK { Ok(TaskId(id)) } else { Err(code) }
    }

    /// Asks for a task to be dropped. It may still be running when this returns; a task that has
    /// ended already is no error.
    pub fn abort(&self, task: TaskId) {
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives until the last handle is gone.
        unsafe { (functions.abort)(*ctx, task.0) };
    }

    /// Nanoseconds on the host's monotonic clock.
    pub fn monotonic_now(&self) -> u64 {
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives until the last handle is gone.
        unsafe { (functions.monotonic_now)(*ctx) }
    }

    /// Nanoseconds since 1970, UTC.
    pub fn system_now(&self) -> i64 {
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives until the last handle is gone.
        unsafe { (functions.system_now)(*ctx) }
    }

    /// Writes one line to the host's log. `call` is 0 for none.
    pub fn log(&self, level: Level, call: u64, target: &str, message: &str) {
        let record = LogRecord {
            size: size_of::<LogRecord>() as u32,
            level: level.0,
            call,
            target: Slice::new(target.as_bytes()),
            message: Slice::new(message.as_bytes()),
        };
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives; the record and its texts outlive the call.
        unsafe { (functions.log)(*ctx, &record) };
    }

    /// Whether the caller of `call` no longer waits.
    pub fn is_cancelled(&self, call: u64) -> bool {
        let HostContext { functions, ctx } = &*self.context;
        // SAFETY: the context lives until the last handle is gone.
        unsafe { (functions.is_cancelled)(*ctx, call) != 0 }
    }

    /// # Safety
    ///
    /// `ctx` belongs to the host of `functions`, and is given away with this call.
    pub(super) unsafe fn new(functions: HostFunctions, ctx: *mut c_void) -> Self {
        Self { context: Arc::new(HostContext { functions, ctx }) }
    }

    pub(super) fn own_future<F>(&self, call: u64, future: F) -> ReplyFuture
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let host = self.clone();
        ReplyFuture::new(future, move |message: &str| host.report_panic(call, "drop", message))
    }

    pub(super) fn report_panic(&self, call: u64, place: &str, message: &str) {
        self.log(Level::ERROR, call, "plugin", &format!("panicked in {place}: {message}"));
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Calls a function that writes a future if and only if it answers OK.
fn receive(call: impl FnOnce(*mut raw::Future) -> u32) -> Result<ReplyFuture, Code> {
    let mut out = MaybeUninit::<raw::Future>::zeroed();
    let code = Code(call(out.as_mut_ptr()));
    if code != Code::OK {
        return Err(code);
    }
    // SAFETY: zeroes are a valid value of this struct, so it is initialised whether the host wrote
    // it or not; what it wrote is given away. A null vtable is refused by `from_raw`.
    unsafe { ReplyFuture::from_raw(out.assume_init()) }.ok_or(Code::MALFORMED)
}

struct HostContext {
    functions: HostFunctions,
    ctx: *mut c_void,
}

// SAFETY: every function of the host but `release` may be called by several threads at once, and
// `release` on any thread.
unsafe impl Send for HostContext {}
// SAFETY: as above.
unsafe impl Sync for HostContext {}

impl Drop for HostContext {
    fn drop(&mut self) {
        // SAFETY: this was the last handle, so nothing uses the context any more.
        unsafe { (self.functions.release)(self.ctx) };
    }
}

/// The functions of a host's table that was checked, copied out so that no call checks again.
#[derive(Clone, Copy)]
pub(super) struct HostFunctions {
    call: raw::HostCallFn,
    sleep_until: raw::SleepUntilFn,
    spawn: raw::SpawnFn,
    abort: raw::AbortFn,
    monotonic_now: raw::MonotonicNowFn,
    system_now: raw::SystemNowFn,
    log: raw::LogFn,
    is_cancelled: raw::IsCancelledFn,
    release: raw::ReleaseFn,
}

impl HostFunctions {
    /// # Safety
    ///
    /// As for [`Table::check`], during this call; the functions stay callable for ever.
    pub(super) unsafe fn bind(table: *const raw::Host) -> Result<Self, TableError> {
        // SAFETY: as the caller promises.
        let table = unsafe { Table::check(table, raw::HOST_MAGIC, raw::HOST_SIZE_1_0) }?;
        Ok(Self {
            call: table.require(&field!(raw::Host, call))?,
            sleep_until: table.require(&field!(raw::Host, sleep_until))?,
            spawn: table.require(&field!(raw::Host, spawn))?,
            abort: table.require(&field!(raw::Host, abort))?,
            monotonic_now: table.require(&field!(raw::Host, monotonic_now))?,
            system_now: table.require(&field!(raw::Host, system_now))?,
            log: table.require(&field!(raw::Host, log))?,
            is_cancelled: table.require(&field!(raw::Host, is_cancelled))?,
            release: table.require(&field!(raw::Host, release))?,
        })
    }
}
