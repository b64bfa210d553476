//! A plugin as the host sees it: its table, its instances, its calls. An instance is closed only
//! after the last of its futures is gone, whatever order the host drops them in.

use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::mem::{MaybeUninit, size_of};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Services, services};
use crate::buf::OwnedBuf;
use crate::future::ReplyFuture;
use crate::raw::{self, Buf, EntryFn, Slice};
use crate::reply::{CallInfo, Code, Fault, Reply};
use crate::table::{Table, TableError, field};

/// The functions of a plugin whose table was checked, copied out so that no call checks again.
#[derive(Clone, Copy)]
pub struct PluginTable {
    manifest: raw::ManifestFn,
    open: raw::OpenFn,
    close: raw::CloseFn,
    start: raw::StartFn,
    minor: u16,
}

/// One provider's instance of a plugin. A clone is a handle to the same instance; it is closed with
/// the last handle, future included.
#[derive(Clone)]
pub struct Instance {
    inner: Arc<Inner>,
}

/// A call of a plugin. Dropping it cancels the call. Keeps the instance open.
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled, and dropping it cancels the call"]
pub struct PluginFuture {
    // Dropped first, because the plugin may look at the instance while it drops a call.
    future: ReplyFuture,
    _instance: Instance,
}

impl PluginTable {
    /// Calls the entry function and checks the table it gives.
    ///
    /// # Errors
    ///
    /// A [`TableError`] for whatever makes the table unusable; nothing else of it was called then.
    ///
    /// # Safety
    ///
    /// `entry` is the entry function of a plugin that keeps the contract of this crate, and its
    /// code stays loaded for ever.
    pub unsafe fn from_entry(entry: EntryFn) -> Result<Self, TableError> {
        let mut table = ptr::null();
        // SAFETY: the host's table is static and `table` is writable.
        let code = Code(unsafe { entry(services::table(), &mut table) });
        if code != Code::OK {
            return Err(TableError::Refused(code));
        }
        // SAFETY: the plugin says that this is its table.
        unsafe { Self::from_table(table) }
    }

    /// # Safety
    ///
    /// As for [`Table::check`]; the functions stay callable for ever.
    unsafe fn from_table(table: *const raw::Plugin) -> Result<Self, TableError> {
        // SAFETY: as the caller promises.
        let table = unsafe { Table::check(table, raw::PLUGIN_MAGIC, raw::PLUGIN_SIZE_1_0) }?;
        Ok(Self {
            manifest: table.require(&field!(raw::Plugin, manifest))?,
            open: table.require(&field!(raw::Plugin, open))?,
            close: table.require(&field!(raw::Plugin, close))?,
            start: table.require(&field!(raw::Plugin, start))?,
            minor: table.minor(),
        })
    }

    /// The minor version of the plugin's table.
    pub fn minor(&self) -> u16 {
        self.minor
    }

    /// The plugin's encoded manifest. May be repeated.
    ///
    /// # Errors
    ///
    /// [`Fault::Panic`], or whatever a plugin in another language answers.
    pub fn manifest(&self) -> Result<OwnedBuf, Fault> {
        let mut out = Buf::EMPTY;
        // SAFETY: the function was checked, `out` is writable and holds nothing.
        let code = Code(unsafe { (self.manifest)(&mut out) });
        // SAFETY: the plugin wrote and gave away the buffer, or it is still empty.
        let body = unsafe { OwnedBuf::from_raw(out) };
        finish(code, body.ok())
    }

    /// Makes an instance; `services` are kept until the plugin has released them.
    ///
    /// # Errors
    ///
    /// [`Fault::Error`] with the plugin's encoded error, [`Fault::Panic`] with its message.
    pub fn open(&self, services: Arc<dyn Services>, config: &[u8]) -> Result<Instance, Fault> {
        let ctx = services::context(services);
        let (mut instance, mut error) = (ptr::null_mut(), Buf::EMPTY);
        // SAFETY: the function was checked; the context is given away, `config` is lent for the
        // call, and both results are writable.
        let code = Code(unsafe { (self.open)(ctx, Slice::new(config), &mut instance, &mut error) });
        // SAFETY: the plugin wrote and gave away the buffer, or it is still empty.
        let error = unsafe { OwnedBuf::from_raw(error) };
        finish(code, error.ok())?;
        Ok(Instance { inner: Arc::new(Inner { table: *self, instance }) })
    }
}

/// What a code with its buffer comes to; `None` is a buffer that was refused.
fn finish(code: Code, body: Option<OwnedBuf>) -> Result<OwnedBuf, Fault> {
    let Some(body) = body else {
        return Err(Fault::Malformed("the plugin wrote an impossible buffer".to_owned()));
    };
    if code == Code::OK { Ok(body) } else { Err(Fault::new(code, body)) }
}

impl Instance {
    /// Starts a call. `request` is decoded before this returns; the future borrows nothing.
    ///
    /// # Errors
    ///
    /// [`Fault::UnknownOp`], [`Fault::Malformed`], or whatever a plugin in another language
    /// answers. A panic in `start` comes out of the future, so that its message does too.
    pub fn start(&self, call: &CallInfo<'_>, request: &[u8]) -> Result<PluginFuture, Fault> {
        let call = raw::Call {
            size: size_of::<raw::Call>() as u32,
            op: call.op,
            kind: call.kind,
            flags: call.flags,
            id: call.id,
            deadline_ns: call.deadline_ns,
            context: Slice::new(call.context),
        };
        let mut out = MaybeUninit::<raw::Future>::zeroed();
        let Inner { table, instance, .. } = &*self.inner;
        // SAFETY: the instance is open; record and request are lent for the call; `out` is writable.
        let code =
            Code(unsafe { (table.start)(*instance, &call, Slice::new(request), out.as_mut_ptr()) });
        if code != Code::OK {
            return Err(Fault::new(code, OwnedBuf::new()));
        }
        // SAFETY: zeroes are a valid value of this struct, so it is initialised whether the plugin
        // wrote it or not; what it wrote is given away. A null vtable is refused by `from_raw`.
        let future = unsafe { ReplyFuture::from_raw(out.assume_init()) };
        let future = future.ok_or_else(|| {
            Fault::Malformed("the plugin's future has no vtable, or an incomplete one".to_owned())
        })?;
        Ok(PluginFuture { future, _instance: self.clone() })
    }
}

struct Inner {
    table: PluginTable,
    instance: *mut c_void,
}

// SAFETY: `start` may be called by several threads at once and `close` on any thread, which is part
// of the contract.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // The plugin catches its own panics and logs them; none can unwind through `extern "C"`.
        // SAFETY: this was the last handle, so every future is gone, and it is closed once.
        unsafe { (self.table.close)(self.instance) };
    }
}

impl Future for PluginFuture {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        Pin::new(&mut self.future).poll(cx)
    }
}

impl fmt::Debug for PluginTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginTable").field("minor", &self.minor).finish_non_exhaustive()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}
