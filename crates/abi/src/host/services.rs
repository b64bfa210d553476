//! The host's table: [`Services`] as C functions. One table serves every plugin; the context tells
//! the instances apart. Nothing here may let a panic out.

use std::ffi::c_void;
use std::mem::size_of;
use std::sync::Arc;

use super::Services;
use crate::future::ReplyFuture;
use crate::panic;
use crate::raw::{self, Header, LogRecord, Slice};
use crate::reply::{Code, Level, Reply};

/// The table every plugin gets.
pub fn table() -> &'static raw::Host {
    &TABLE
}

static TABLE: raw::Host = raw::Host {
    header: Header {
        magic: raw::HOST_MAGIC,
        size: size_of::<raw::Host>() as u32,
        major: raw::MAJOR,
        minor: raw::MINOR,
    },
    call: Some(call),
    sleep_until: Some(sleep_until),
    spawn: Some(spawn),
    abort: Some(abort),
    monotonic_now: Some(monotonic_now),
    system_now: Some(system_now),
    log: Some(log),
    is_cancelled: Some(is_cancelled),
    release: Some(release),
};

/// What a context pointer leads to. Boxed because the pointer to a trait object is two words.
struct Context {
    services: Arc<dyn Services>,
}

/// Makes the context of one instance; the plugin releases it.
pub(super) fn context(services: Arc<dyn Services>) -> *mut c_void {
    Box::into_raw(Box::new(Context { services })).cast()
}

/// Writes what a plugin did wrong or the host panicked with, where nobody can be answered.
pub(super) fn report(services: &dyn Services, message: &str) {
    panic::contain(|| services.log(Level::ERROR, 0, "purveyor::abi", message));
}

/// # Safety
///
/// `ctx` was made by [`context`] and is not released.
unsafe fn services<'a>(ctx: *mut c_void) -> &'a Arc<dyn Services> {
    // SAFETY: as the caller promises; the plugin does not release a context that it is using.
    &unsafe { &*ctx.cast::<Context>() }.services
}

/// Runs a service that has no reply; a panic is logged and answered with `otherwise`.
fn run<T>(services: &dyn Services, otherwise: T, f: impl FnOnce() -> T) -> T {
    panic::catch(f).unwrap_or_else(|message| {
        report(services, &format!("a host service panicked: {message}"));
        otherwise
    })
}

/// Gives a future to the plugin; a panic when it is dropped is logged.
fn own<F>(services: &Arc<dyn Services>, future: F) -> raw::Future
where
    F: Future<Output = Reply> + Send + 'static,
{
    let services = Arc::clone(services);
    let report = move |message: &str| {
        report(&*services, &format!("a host service panicked in drop: {message}"));
    };
    ReplyFuture::new(future, report).into_raw()
}

/// Writes what `make` made to `out`; a panic becomes a future with that reply.
///
/// # Safety
///
/// `out` is null or writable.
unsafe fn give<F>(
    services: &Arc<dyn Services>,
    out: *mut raw::Future,
    make: impl FnOnce() -> Result<F, Code>,
) -> u32
where
    F: Future<Output = Reply> + Send + 'static,
{
    if out.is_null() {
        return Code::MALFORMED.0;
    }
    let future = match panic::catch(make) {
        Ok(Ok(future)) => own(services, future),
        // A refusal has to be one: the plugin reads `out` after OK, and nothing would be there.
        Ok(Err(Code::OK)) => return Code::MALFORMED.0,
        Ok(Err(code)) => return code.0,
        Err(message) => own(services, std::future::ready(Reply::panicked(message))),
    };
    // SAFETY: not null, so writable.
    unsafe { out.write(future) };
    Code::OK.0
}

unsafe extern "C" fn call(
    ctx: *mut c_void,
    op: u32,
    parent_call: u64,
    request: Slice,
    attachment: Slice,
    out: *mut raw::Future,
) -> u32 {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    // SAFETY: the plugin lends both for this call.
    let (Some(request), Some(attachment)) = (unsafe { (request.bytes(), attachment.bytes()) })
    else {
        return Code::MALFORMED.0;
    };
    // SAFETY: `out` is the plugin's to be written.
    unsafe { give(services, out, || services.call(op, parent_call, request, attachment)) }
}

unsafe extern "C" fn sleep_until(ctx: *mut c_void, deadline_ns: u64, out: *mut raw::Future) -> u32 {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    let make = || {
        let sleep = services.sleep_until(deadline_ns);
        Ok(async move {
            sleep.await;
            Reply::ok("")
        })
    };
    // SAFETY: `out` is the plugin's to be written.
    unsafe { give(services, out, make) }
}

unsafe extern "C" fn spawn(ctx: *mut c_void, task: raw::Future, out: *mut u64) -> u32 {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    // SAFETY: the task is given away with this call.
    let Some(task) = (unsafe { ReplyFuture::from_raw(task) }) else {
        return Code::MALFORMED.0;
    };
    if out.is_null() {
        return Code::MALFORMED.0;
    }
    match run(&**services, Err(Code::PANIC), || services.spawn(task)) {
        Ok(id) => {
            // SAFETY: not null, so writable.
            unsafe { out.write(id) };
            Code::OK.0
        }
        // Without an id the plugin must not read one.
        Err(Code::OK) => Code::MALFORMED.0,
        Err(code) => code.0,
    }
}

unsafe extern "C" fn abort(ctx: *mut c_void, task: u64) {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    run(&**services, (), || services.abort(task));
}

unsafe extern "C" fn monotonic_now(ctx: *mut c_void) -> u64 {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    run(&**services, 0, || services.monotonic_now())
}

unsafe extern "C" fn system_now(ctx: *mut c_void) -> i64 {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    run(&**services, 0, || services.system_now())
}

unsafe extern "C" fn is_cancelled(ctx: *mut c_void, call: u64) -> u32 {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    run(&**services, 0, || u32::from(services.is_cancelled(call)))
}

unsafe extern "C" fn log(ctx: *mut c_void, record: *const LogRecord) {
    // SAFETY: the plugin passes its own context.
    let services = unsafe { services(ctx) };
    // SAFETY: the plugin lends the record for this call.
    let Some((level, call, target, message)) = (unsafe { read_record(record) }) else {
        report(&**services, "the plugin wrote a malformed log record");
        return;
    };
    let line = || {
        let (target, message) = (String::from_utf8_lossy(target), String::from_utf8_lossy(message));
        services.log(level, call, &target, &message);
    };
    // The log itself is what panics are told to, so one of its own ends here.
    panic::contain(line);
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    // SAFETY: `context` made it, and the plugin releases it once.
    panic::contain(|| drop(unsafe { Box::from_raw(ctx.cast::<Context>()) }));
}

/// # Safety
///
/// `record` is null or keeps the contract of [`LogRecord`] for all of `'a`.
unsafe fn read_record<'a>(record: *const LogRecord) -> Option<(Level, u64, &'a [u8], &'a [u8])> {
    if record.is_null() || !record.is_aligned() {
        return None;
    }
    // SAFETY: not null and aligned; every record has at least its size, which is read first.
    let size = unsafe { (&raw const (*record).size).read() } as usize;
    if size < raw::LOG_RECORD_SIZE_1_0 {
        return None;
    }
    // SAFETY: the record is as long as that of 1.0, which is all this version knows.
    let record = unsafe { record.read() };
    // SAFETY: the plugin lends both texts for this call.
    let (target, message) = unsafe { (record.target.bytes()?, record.message.bytes()?) };
    Some((Level(record.level), record.call, target, message))
}
