//! Tables of older, newer and broken sides, in both directions; unknown ops and values.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use purveyor_abi::host::{self, PluginTable};
use purveyor_abi::{CallInfo, Code, EntryFn, Fault, TableError, raw};

use crate::sample::{Desk, Sample, ask, op, open, service, told};

/// A table of a newer side: 64 bytes nobody here knows follow it.
#[repr(C)]
struct Newer<T> {
    table: T,
    unknown: [u64; 8],
}

fn entry() -> EntryFn {
    purveyor_abi::entry!(Sample)
}

fn plugin_table() -> raw::Plugin {
    let mut out = ptr::null();
    // SAFETY: an entry function of this crate's own making, in this very program.
    assert_eq!(unsafe { entry()(host::table(), &mut out) }, Code::OK.0);
    // SAFETY: the table is static.
    unsafe { *out }
}

/// Runs `from_entry` on an entry function that gives the table that `$change` made.
macro_rules! plugin_with {
    (|$table:ident| $change:expr) => {{
        unsafe extern "C" fn entry(_: *const raw::Host, out: *mut *const raw::Plugin) -> u32 {
            let mut $table = plugin_table();
            $change;
            let newer = Box::new(Newer { table: $table, unknown: [u64::MAX; 8] });
            // Leaked, because a table lives as long as its code.
            // SAFETY: the host passes a writable pointer.
            unsafe { out.write(&raw const Box::leak(newer).table) };
            Code::OK.0
        }
        // SAFETY: the table keeps the contract, or says of itself that it does not.
        unsafe { PluginTable::from_entry(entry) }
    }};
}

#[test]
fn a_broken_table_of_a_plugin_is_refused() {
    let check = |found: Result<PluginTable, TableError>, expected: TableError| {
        assert_eq!(found.unwrap_err(), expected);
    };
    check(
        plugin_with!(|table| table.header.magic ^= 1),
        TableError::WrongMagic { found: raw::PLUGIN_MAGIC ^ 1 },
    );
    check(
        plugin_with!(|table| table.header.magic = raw::HOST_MAGIC),
        TableError::WrongMagic { found: raw::HOST_MAGIC },
    );
    check(plugin_with!(|table| table.header.major = 2), TableError::WrongMajor { found: 2 });
    check(plugin_with!(|table| table.header.major = 0), TableError::WrongMajor { found: 0 });
    let small = |size| TableError::TooSmall { size, least: 48 };
    check(plugin_with!(|table| table.header.size = 47), small(47));
    check(plugin_with!(|table| table.header.size = 16), small(16));
    check(plugin_with!(|table| table.header.size = 0), small(0));
    let null = |name| TableError::NullFunction { name };
    check(plugin_with!(|table| table.manifest = None), null("manifest"));
    check(plugin_with!(|table| table.open = None), null("open"));
    check(plugin_with!(|table| table.close = None), null("close"));
    check(plugin_with!(|table| table.start = None), null("start"));
}

#[test]
fn an_entry_function_may_refuse_or_give_nothing() {
    fn check(entry: EntryFn, expected: TableError) {
        // SAFETY: neither entry function does anything.
        assert_eq!(unsafe { PluginTable::from_entry(entry) }.unwrap_err(), expected);
    }
    unsafe extern "C" fn nothing(_: *const raw::Host, _: *mut *const raw::Plugin) -> u32 {
        Code::OK.0
    }
    unsafe extern "C" fn refuses(_: *const raw::Host, _: *mut *const raw::Plugin) -> u32 {
        Code::ERROR.0
    }
    unsafe extern "C" fn crooked(_: *const raw::Host, out: *mut *const raw::Plugin) -> u32 {
        // SAFETY: the host passes a writable pointer.
        unsafe { out.write(ptr::without_provenance(4)) };
        Code::OK.0
    }
    check(nothing, TableError::Missing);
    check(refuses, TableError::Refused(Code::ERROR));
    check(crooked, TableError::Misaligned);
}

#[test]
fn a_newer_plugin_works() {
    let table = plugin_with!(|table| {
        table.header.size += 64;
        table.header.minor += 1;
    })
    .unwrap();
    assert_eq!(table.minor(), 1);
    let instance = table.open(Arc::new(Desk::default()), b"").unwrap();
    assert_eq!(told(ask(&instance, op::ECHO, b"hello")), "hello");
}

#[test]
fn a_broken_table_of_a_host_is_refused() {
    fn check(change: impl FnOnce(&mut raw::Host)) {
        let mut table = *host::table();
        change(&mut table);
        let mut out = ptr::null();
        // SAFETY: the table is readable, and `out` writable.
        let code = unsafe { entry()(&table, &mut out) };
        assert_eq!(Code(code), Code::MALFORMED);
        assert!(out.is_null());
    }
    check(|table| table.header.magic = raw::PLUGIN_MAGIC);
    check(|table| table.header.major = 2);
    check(|table| table.header.size = 87);
    check(|table| table.header.size = 0);
    check(|table| table.call = None);
    check(|table| table.sleep_until = None);
    check(|table| table.spawn = None);
    check(|table| table.abort = None);
    check(|table| table.monotonic_now = None);
    check(|table| table.system_now = None);
    check(|table| table.log = None);
    check(|table| table.is_cancelled = None);
    check(|table| table.release = None);
    // SAFETY: null is allowed for both.
    unsafe {
        assert_eq!(entry()(ptr::null(), &mut ptr::null()), Code::MALFORMED.0);
        assert_eq!(entry()(host::table(), ptr::null_mut()), Code::MALFORMED.0);
    }
}

#[test]
fn a_newer_host_works() {
    unsafe extern "C" fn newer(_: *const raw::Host, out: *mut *const raw::Plugin) -> u32 {
        let mut newer = Newer { table: *host::table(), unknown: [u64::MAX; 8] };
        newer.table.header.size += 64;
        newer.table.header.minor += 1;
        assert_eq!(newer.unknown.len() * 8, 64);
        // SAFETY: the plugin copies what it needs before this returns; `out` is passed on.
        unsafe { purveyor_abi::entry!(Sample)(&raw const newer.table, out) }
    }
    // SAFETY: the entry function above keeps the contract.
    let table = unsafe { PluginTable::from_entry(newer) }.unwrap();
    let instance = table.open(Arc::new(Desk::default()), b"").unwrap();
    assert_eq!(told(ask(&instance, op::CALL_HOST, b"\x01hello")), "42: hello + beside");
}

#[test]
fn every_service_reaches_its_host() {
    let desk = Arc::new(Desk::default());
    let instance = open(&desk);
    assert_eq!(told(ask(&instance, op::CLOCKS, b"")), "11 -12 true");
    assert_eq!(told(ask(&instance, op::SLEEP, b"")), "");
    assert_eq!(told(ask(&instance, op::PEND_ONCE, b"hello")), "hello");
    let request = [service::PEND_ONCE as u8, b'x'];
    assert_eq!(told(ask(&instance, op::CALL_HOST, &request)), "42: x");
    assert_eq!(told(ask(&instance, op::ABORT, b"")), "");
    assert_eq!(*desk.aborted.lock().unwrap(), [1]);
    assert_eq!(desk.lines(), ["4 42 sample: aborted"]);
    // The task holds the host that holds the task.
    desk.tasks.lock().unwrap().clear();
}

#[test]
fn a_call_arrives_whole() {
    let instance = open(&Arc::new(Desk::default()));
    let context: &[u8] = &[1, 2];
    let info =
        CallInfo { op: op::DESCRIBE_CALL, kind: 2, flags: 3, id: 4, deadline_ns: 5, context };
    let reply = pollster::block_on(instance.start(&info, b"").unwrap());
    assert_eq!(told(reply.into_result()), format!("{info:?}"));
}

#[test]
fn unknown_ops_and_misuse_are_told() {
    let instance = open(&Arc::new(Desk::default()));
    let check = |op: u32, request: &[u8], expected: &str| {
        assert_eq!(told(ask(&instance, op, request)), expected);
    };
    check(9999, b"", "fault: the op is not known to the other side");
    check(op::CALL_HOST, &[200], "fault: the op is not known to the other side");
    check(op::CALL_HOST, b"", "fault: malformed");
    check(op::REFUSE_WITH_OK, b"", "fault: malformed");
    check(op::NEWER_CODE, b"", "fault: answered with code 77, which is unknown here");
}

/// Calls `start` with a record that this test made.
fn start_raw(change: impl FnOnce(&mut raw::Call, &mut raw::Slice)) -> Code {
    let table = plugin_table();
    let instance = RawInstance::open();
    let empty = raw::Slice::new(b"");
    let mut call = raw::Call {
        size: 48,
        op: op::ECHO,
        kind: 0,
        flags: 0,
        id: 0,
        deadline_ns: 0,
        context: empty,
    };
    let mut request = empty;
    change(&mut call, &mut request);
    let mut out = raw::Future { data: ptr::null_mut(), vtable: ptr::null() };
    // SAFETY: the instance is open and every pointer is valid for the call.
    let code = Code(unsafe { (table.start.unwrap())(instance.0, &call, request, &mut out) });
    // SAFETY: written if the code is OK, and null otherwise.
    assert_eq!(unsafe { purveyor_abi::ReplyFuture::from_raw(out) }.is_some(), code == Code::OK);
    instance.close(&table);
    code
}

struct RawInstance(*mut c_void);

impl RawInstance {
    /// Opens with no context, under a table whose `release` knows that.
    fn open() -> Self {
        unsafe extern "C" fn release(_: *mut c_void) {}
        let mut quiet = *host::table();
        quiet.release = Some(release);
        let (mut table, mut instance, mut error) = (ptr::null(), ptr::null_mut(), raw::Buf::EMPTY);
        // An entry function of its own, since the last host's table counts and tests run at once.
        let entry = purveyor_abi::entry!(Sample);
        let config = raw::Slice::new(b"");
        // SAFETY: the table is readable, and the plugin does nothing with the context but release.
        unsafe {
            assert_eq!(entry(&quiet, &mut table), Code::OK.0);
            let open = (*table).open.unwrap();
            assert_eq!(open(ptr::null_mut(), config, &mut instance, &mut error), Code::OK.0);
        }
        Self(instance)
    }

    fn close(self, table: &raw::Plugin) {
        // SAFETY: opened above, closed once.
        unsafe { (table.close.unwrap())(self.0) };
    }
}

#[test]
fn a_malformed_record_is_refused() {
    fn check(change: impl FnOnce(&mut raw::Call, &mut raw::Slice), expected: Code) {
        assert_eq!(start_raw(change), expected);
    }
    let impossible = raw::Slice { ptr: ptr::null(), len: 1 };
    let endless = raw::Slice { ptr: b"x".as_ptr(), len: usize::MAX };
    check(|_, _| {}, Code::OK);
    check(|call, _| call.size = 48 + 64, Code::OK);
    check(|call, _| call.size = 47, Code::MALFORMED);
    check(|call, _| call.context = impossible, Code::MALFORMED);
    check(|_, request| *request = impossible, Code::MALFORMED);
    check(|_, request| *request = endless, Code::MALFORMED);
}

#[test]
fn a_plugin_that_gives_no_future_is_told() {
    unsafe extern "C" fn start(
        _: *mut c_void,
        _: *const raw::Call,
        _: raw::Slice,
        _: *mut raw::Future,
    ) -> u32 {
        Code::OK.0
    }
    let table = plugin_with!(|table| table.start = Some(start)).unwrap();
    let instance = table.open(Arc::new(Desk::default()), b"").unwrap();
    let Err(Fault::Malformed(reason)) = instance.start(&CallInfo::default(), b"") else {
        panic!("a missing future is not noticed");
    };
    assert_eq!(reason, "the plugin's future has no vtable, or an incomplete one");
}
