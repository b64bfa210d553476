//! The structs that cross the boundary, exactly as they lie in memory. Plain data: no behaviour but
//! what makes a borrowed slice, and nothing here may change but by appending to a struct that
//! carries its own size. `include/purveyor_plugin.h` says the same in C.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// First word of [`Host`]: `PRVYHOST`, read as a native integer.
pub const HOST_MAGIC: u64 = u64::from_ne_bytes(*b"PRVYHOST");
/// First word of [`Plugin`]: `PRVYPLUG`.
pub const PLUGIN_MAGIC: u64 = u64::from_ne_bytes(*b"PRVYPLUG");
/// First word of the stamp: `PRVYSTMP`.
pub const STAMP_MAGIC: u64 = u64::from_ne_bytes(*b"PRVYSTMP");

/// The major version this crate speaks. It is also part of the entry symbol's name.
pub const MAJOR: u16 = 1;
/// The minor version this crate speaks: it knows every field added up to here.
pub const MINOR: u16 = 0;
/// The entry symbol of a plugin, with the terminating zero that `dlsym` wants.
pub const ENTRY_SYMBOL: &[u8] = b"purveyor_plugin_v1\0";

/// What a poll answers while the future is not ready.
pub const PENDING: u32 = 0;
/// What a poll answers after it wrote its reply.
pub const READY: u32 = 1;

/// Begins both tables, for ever.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// [`HOST_MAGIC`] or [`PLUGIN_MAGIC`].
    pub magic: u64,
    /// Bytes of the whole table, this header included, in the version its maker knows.
    pub size: u32,
    /// Versions of another major cannot talk to each other.
    pub major: u16,
    /// Grows with every field that is appended.
    pub minor: u16,
}

/// Bytes borrowed for the duration of one call. `ptr` may be null when `len` is zero.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// The first byte.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

/// Frees what a [`Buf`] owns. Called at most once, on any thread.
pub type ReleaseFn = unsafe extern "C" fn(owner: *mut c_void);

/// Bytes that belong to whoever holds this, and are freed by whoever made them. They must not
/// change until then.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// The first byte; may be null when `len` is zero.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
    /// Passed to `release`, meaningless to anybody but the maker.
    pub owner: *mut c_void,
    /// Null for bytes that need no release.
    pub release: Option<ReleaseFn>,
}

/// What a future comes to.
#[repr(C)]
#[derive(Debug)]
pub struct Reply {
    /// One of the values of [`crate::Code`].
    pub code: u32,
    /// Zero.
    pub _pad: u32,
    /// The answer when the code is OK, the encoded error when it is ERROR, UTF-8 text otherwise.
    pub body: Buf,
    /// Bytes that travel beside the answer, such as the body of an HTTP response.
    pub attachment: Buf,
}

/// A waker in one word. Borrowed during a poll; `clone` makes one that is owned.
pub type Waker = *const WakerObject;

/// What a [`Waker`] points to. The maker's own data follows the vtable.
#[repr(C)]
#[derive(Debug)]
pub struct WakerObject {
    /// Never null while the waker lives.
    pub vtable: *const WakerVtable,
}

/// The four things that can be done with a waker, each on any thread. Complete: it never grows.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct WakerVtable {
    /// Makes an owned waker of an owned or borrowed one; null when that failed.
    pub clone: Option<unsafe extern "C" fn(Waker) -> Waker>,
    /// Wakes and consumes an owned waker.
    pub wake: Option<unsafe extern "C" fn(Waker)>,
    /// Wakes and leaves the waker as it is.
    pub wake_by_ref: Option<unsafe extern "C" fn(Waker)>,
    /// Drops an owned waker.
    pub drop: Option<unsafe extern "C" fn(Waker)>,
}

/// A future, polled by the side that did not make it.
#[repr(C)]
#[derive(Debug)]
pub struct Future {
    /// Passed to both functions of the vtable.
    pub data: *mut c_void,
    /// Lives as long as the code that made the future.
    pub vtable: *const FutureVtable,
}

/// Polls once: writes `out` and answers [`READY`], or answers [`PENDING`].
pub type PollFn = unsafe extern "C" fn(data: *mut c_void, waker: Waker, out: *mut Reply) -> u32;

/// How a [`Future`] is polled and dropped.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct FutureVtable {
    /// Bytes of this vtable in the version its maker knows.
    pub size: u32,
    /// Zero.
    pub _pad: u32,
    /// Never called again after it answered [`READY`].
    pub poll: Option<PollFn>,
    /// Called exactly once, at any stage; before the first poll and after ready too.
    pub drop: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

/// One call of a plugin's method. Borrowed for the `start` it is passed to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Bytes of this record in the version its maker knows.
    pub size: u32,
    /// The method, a number of a protobuf enum.
    pub op: u32,
    /// The kind of call, a number of a protobuf enum.
    pub kind: u32,
    /// Bits, none of which is given a meaning by this crate.
    pub flags: u32,
    /// Names the call in what the plugin asks of the host meanwhile.
    pub id: u64,
    /// Monotonic nanoseconds on the host's clock; 0 for none.
    pub deadline_ns: u64,
    /// Encoded context; may be empty.
    pub context: Slice,
}

/// One line for the host's log. Borrowed for the `log` it is passed to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct LogRecord {
    /// Bytes of this record in the version its maker knows.
    pub size: u32,
    /// One of the values of [`crate::Level`].
    pub level: u32,
    /// The call it belongs to; 0 for none.
    pub call: u64,
    /// UTF-8.
    pub target: Slice,
    /// UTF-8.
    pub message: Slice,
}

/// Writes the encoded manifest to `out`, or the message of a panic.
pub type ManifestFn = unsafe extern "C" fn(out: *mut Buf) -> u32;
/// Makes an instance. Takes `host_ctx` over, whatever it answers.
pub type OpenFn = unsafe extern "C" fn(
    host_ctx: *mut c_void,
    config: Slice,
    out: *mut *mut c_void,
    error: *mut Buf,
) -> u32;
/// Ends an instance; every future of `start` was dropped before.
pub type CloseFn = unsafe extern "C" fn(instance: *mut c_void);
/// Starts a call. `out` is written if and only if the answer is OK. May be called by several
/// threads at once.
pub type StartFn = unsafe extern "C" fn(
    instance: *mut c_void,
    call: *const Call,
    request: Slice,
    out: *mut Future,
) -> u32;

/// What a plugin offers.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// Magic, size and version.
    pub header: Header,
    /// See [`ManifestFn`].
    pub manifest: Option<ManifestFn>,
    /// See [`OpenFn`].
    pub open: Option<OpenFn>,
    /// See [`CloseFn`].
    pub close: Option<CloseFn>,
    /// See [`StartFn`].
    pub start: Option<StartFn>,
}

/// Asks a service of the host. `out` is written if and only if the answer is OK.
pub type HostCallFn = unsafe extern "C" fn(
    ctx: *mut c_void,
    op: u32,
    parent_call: u64,
    request: Slice,
    attachment: Slice,
    out: *mut Future,
) -> u32;
/// A future that is ready at a monotonic time. `out` is written if and only if the answer is OK.
pub type SleepUntilFn =
    unsafe extern "C" fn(ctx: *mut c_void, deadline_ns: u64, out: *mut Future) -> u32;
/// Takes `task` over, whatever it answers, and polls it to its end. `out` names it for `abort`.
pub type SpawnFn = unsafe extern "C" fn(ctx: *mut c_void, task: Future, out: *mut u64) -> u32;
/// Asks for a task to be dropped; it may still be running when this returns.
pub type AbortFn = unsafe extern "C" fn(ctx: *mut c_void, task: u64);
/// Nanoseconds on a clock that never goes back.
pub type MonotonicNowFn = unsafe extern "C" fn(ctx: *mut c_void) -> u64;
/// Nanoseconds since 1970, UTC.
pub type SystemNowFn = unsafe extern "C" fn(ctx: *mut c_void) -> i64;
/// Writes one line to the host's log.
pub type LogFn = unsafe extern "C" fn(ctx: *mut c_void, record: *const LogRecord);
/// Answers 1 when the caller of `call` no longer waits, otherwise 0.
pub type IsCancelledFn = unsafe extern "C" fn(ctx: *mut c_void, call: u64) -> u32;

/// What the host offers. Every function but `release` may be called by several threads at once.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Magic, size and version.
    pub header: Header,
    /// See [`HostCallFn`].
    pub call: Option<HostCallFn>,
    /// See [`SleepUntilFn`].
    pub sleep_until: Option<SleepUntilFn>,
    /// See [`SpawnFn`].
    pub spawn: Option<SpawnFn>,
    /// See [`AbortFn`].
    pub abort: Option<AbortFn>,
    /// See [`MonotonicNowFn`].
    pub monotonic_now: Option<MonotonicNowFn>,
    /// See [`SystemNowFn`].
    pub system_now: Option<SystemNowFn>,
    /// See [`LogFn`].
    pub log: Option<LogFn>,
    /// See [`IsCancelledFn`].
    pub is_cancelled: Option<IsCancelledFn>,
    /// Gives the context back. Called exactly once, and no other function with it afterwards.
    pub release: Option<ReleaseFn>,
}

/// The one exported symbol of a plugin. Checks the host's table and points `out` at the plugin's,
/// which lives as long as the plugin's code. May be called more than once.
pub type EntryFn = unsafe extern "C" fn(host: *const Host, out: *mut *const Plugin) -> u32;

/// Bytes of [`Plugin`] in version 1.0; a smaller table is refused.
pub const PLUGIN_SIZE_1_0: usize = 48;
/// Bytes of [`Host`] in version 1.0; a smaller table is refused.
pub const HOST_SIZE_1_0: usize = 88;
/// Bytes of [`FutureVtable`] in version 1.0; a smaller one is refused.
pub const FUTURE_VTABLE_SIZE_1_0: usize = 24;
/// Bytes of [`Call`] in version 1.0; a smaller one is refused.
pub const CALL_SIZE_1_0: usize = 48;
/// Bytes of [`LogRecord`] in version 1.0; a smaller one is dropped.
pub const LOG_RECORD_SIZE_1_0: usize = 48;

impl Slice {
    /// Lends `bytes`. The result must not be used after them.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes, or `None` for a null pointer with a length or an impossible length.
    ///
    /// # Safety
    ///
    /// `ptr` is null or valid for reads of `len` bytes, which do not change, for all of `'a`.
    pub unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        if self.len == 0 {
            return Some(&[]);
        }
        if self.ptr.is_null() || self.len > isize::MAX as usize {
            return None;
        }
        // SAFETY: not null, a possible length, and valid for `'a` as the caller promises.
        Some(unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }
}

impl Buf {
    /// No bytes, nothing to release.
    pub const EMPTY: Self =
        Self { ptr: std::ptr::null(), len: 0, owner: std::ptr::null_mut(), release: None };
}

/// Fails the build when a struct no longer lies as version 1 promises.
macro_rules! frozen {
    ($name:ty, size $size:literal, { $($field:ident: $offset:literal),* $(,)? }) => {
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            assert!(size_of::<$name>() == $size);
            assert!(align_of::<$name>() == 8);
            $(assert!(offset_of!($name, $field) == $offset);)*
        };
    };
}

frozen!(Header, size 16, { magic: 0, size: 8, major: 12, minor: 14 });
frozen!(Slice, size 16, { ptr: 0, len: 8 });
frozen!(Buf, size 32, { ptr: 0, len: 8, owner: 16, release: 24 });
frozen!(Reply, size 72, { code: 0, _pad: 4, body: 8, attachment: 40 });
frozen!(WakerObject, size 8, { vtable: 0 });
frozen!(WakerVtable, size 32, { clone: 0, wake: 8, wake_by_ref: 16, drop: 24 });
frozen!(Future, size 16, { data: 0, vtable: 8 });
frozen!(FutureVtable, size 24, { size: 0, _pad: 4, poll: 8, drop: 16 });
frozen!(Call, size 48, { size: 0, op: 4, kind: 8, flags: 12, id: 16, deadline_ns: 24, context: 32 });
frozen!(LogRecord, size 48, { size: 0, level: 4, call: 8, target: 16, message: 32 });
frozen!(Plugin, size 48, { header: 0, manifest: 16, open: 24, close: 32, start: 40 });
frozen!(Host, size 88, {
    header: 0, call: 16, sleep_until: 24, spawn: 32, abort: 40, monotonic_now: 48, system_now: 56,
    log: 64, is_cancelled: 72, release: 80,
});
