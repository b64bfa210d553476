//! The functions of a plugin's table, for any type that implements [`Plugin`]. Public only for the
//! macros; nothing here may let a panic out.

use std::ffi::c_void;
use std::mem::size_of;
use std::sync::{PoisonError, RwLock};

use super::host::HostFunctions;
use super::{Call, Host, Plugin};
use crate::buf::OwnedBuf;
use crate::future::ReplyFuture;
use crate::panic;
use crate::raw::{self, Buf, Header, Slice};
use crate::reply::{CallInfo, Code, Reply};

/// Joins a plugin with the place its host's functions are kept in. Implemented by `entry!`.
pub trait Export: 'static {
    /// What is exported.
    type Plugin: Plugin;

    /// One static per entry function.
    fn slot() -> &'static HostSlot;
}

/// The functions of the host that called the entry function last; every `open` copies them.
pub struct HostSlot(RwLock<Option<HostFunctions>>);

impl HostSlot {
    /// Before the entry function was called.
    #[expect(clippy::new_without_default, reason = "made in a static, which needs a const fn")]
    pub const fn new() -> Self {
        Self(RwLock::new(None))
    }

    fn set(&self, functions: HostFunctions) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(functions);
    }

    fn get(&self) -> Option<HostFunctions> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry function of `E`.
///
/// # Safety
///
/// `host` is null or points to a table that keeps the contract of [`raw::Host`]; `out` is null or
/// writable.
pub unsafe extern "C" fn entry<E: Export>(
    host: *const raw::Host,
    out: *mut *const raw::Plugin,
) -> u32 {
    if out.is_null() {
        return Code::MALFORMED.0;
    }
    // SAFETY: as the caller promises.
    let Ok(functions) = (unsafe { HostFunctions::bind(host) }) else {
        return Code::MALFORMED.0;
    };
    E::slot().set(functions);
    // SAFETY: not null, so writable.
    unsafe { out.write(&const { table::<E>() }) };
    Code::OK.0
}

const fn table<E: Export>() -> raw::Plugin {
    raw::Plugin {
        header: Header {
            magic: raw::PLUGIN_MAGIC,
            size: size_of::<raw::Plugin>() as u32,
            major: raw::MAJOR,
            minor: raw::MINOR,
        },
        manifest: Some(manifest::<E>),
        open: Some(open::<E>),
        close: Some(close::<E>),
        start: Some(start::<E>),
    }
}

/// What the host's instance pointer leads to.
struct Instance<P> {
    plugin: P,
    host: Host,
}

unsafe extern "C" fn manifest<E: Export>(out: *mut Buf) -> u32 {
    let (code, body) = match panic::catch(E::Plugin::manifest) {
        Ok(manifest) => (Code::OK, manifest),
        Err(message) => (Code::PANIC, message.into_bytes()),
    };
    // SAFETY: the host passes a writable buffer that holds nothing.
    unsafe { out.write(OwnedBuf::from(body).into_raw()) };
    code.0
}

unsafe extern "C" fn open<E: Export>(
    host_ctx: *mut c_void,
    config: Slice,
    out: *mut *mut c_void,
    error: *mut Buf,
) -> u32 {
    let opened = panic::catch(|| {
        // `open` is only reachable through the table, which `entry` gives out after it set the slot.
        let Some(functions) = E::slot().get() else {
            return Err((Code::MALFORMED, b"opened before the entry function ran".to_vec()));
        };
        // SAFETY: the context comes from the host whose functions these are.
        let host = unsafe { Host::new(functions, host_ctx) };
        // SAFETY: the host lends the bytes for this call.
        let Some(config) = (unsafe { config.bytes() }) else {
            return Err((Code::MALFORMED, b"the config is an impossible slice".to_vec()));
        };
        let plugin = E::Plugin::open(host.clone(), config).map_err(|error| (Code::ERROR, error))?;
        Ok(Box::new(Instance { plugin, host }))
    });
    let refused = match opened {
        Ok(Ok(instance)) => {
            // SAFETY: the host passes a writable pointer.
            unsafe { out.write(Box::into_raw(instance).cast()) };
            return Code::OK.0;
        }
        Ok(Err(refused)) => refused,
        Err(message) => (Code::PANIC, message.into_bytes()),
    };
    // SAFETY: the host passes a writable buffer that holds nothing.
    unsafe { error.write(OwnedBuf::from(refused.1).into_raw()) };
    refused.0.0
}

unsafe extern "C" fn close<E: Export>(instance: *mut c_void) {
    // SAFETY: `open` made it of this type, and the host closes it once.
    let Instance { plugin, host } =
        *unsafe { Box::from_raw(instance.cast::<Instance<E::Plugin>>()) };
    if let Err(message) = panic::catch(move || drop(plugin)) {
        panic::contain(|| host.report_panic(0, "close", &message));
    }
}

unsafe extern "C" fn start<E: Export>(
    instance: *mut c_void,
    call: *const raw::Call,
    request: Slice,
    out: *mut raw::Future,
) -> u32 {
    // SAFETY: `open` made it of this type, and the host has not closed it.
    let Instance { plugin, host } = unsafe { &*instance.cast::<Instance<E::Plugin>>() };
    // SAFETY: the host lends the record and what it points to for this call.
    let (Some(info), Some(request)) = (unsafe { read_call(call) }, unsafe { request.bytes() })
    else {
        return Code::MALFORMED.0;
    };
    let future = match panic::catch(|| plugin.start(Call { info, host }, request)) {
        Ok(Ok(future)) => future,
        // A refusal has to be one: the host reads `out` after OK, and nothing would be there.
        Ok(Err(Code::OK)) => return Code::MALFORMED.0,
        Ok(Err(code)) => return code.0,
        // The message needs a reply to travel in.
        Err(message) => {
            ReplyFuture::new(std::future::ready(Reply::panicked(message)), |_: &str| {})
        }
    };
    // SAFETY: the host passes a writable future that holds nothing.
    unsafe { out.write(future.into_raw()) };
    Code::OK.0
}

/// # Safety
///
/// `call` is null or keeps the contract of [`raw::Call`] for all of `'a`.
unsafe fn read_call<'a>(call: *const raw::Call) -> Option<CallInfo<'a>> {
    if call.is_null() || !call.is_aligned() {
        return None;
    }
    // SAFETY: not null and aligned; every record has at least its size, which is read first.
    let size = unsafe { (&raw const (*call).size).read() } as usize;
    if size < raw::CALL_SIZE_1_0 {
        return None;
    }
    // SAFETY: the record is as long as that of 1.0, which is all this version knows.
    let call = unsafe { call.read() };
    Some(CallInfo {
        op: call.op,
        kind: call.kind,
        flags: call.flags,
        id: call.id,
        deadline_ns: call.deadline_ns,
        // SAFETY: the host lends the bytes for this call.
        context: unsafe { call.context.bytes() }?,
    })
}
