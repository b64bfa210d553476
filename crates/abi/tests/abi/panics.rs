//! Panics in every place where one can happen: the message is kept, the other side lives, and the
//! next call goes as if nothing had been.

use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};

use purveyor_abi::host::{Instance, Services};
use purveyor_abi::{CallInfo, Fault, guest};

use crate::sample::{Desk, ask, op, open, sample, service, told};

fn check_alive(instance: &Instance) {
    assert_eq!(told(ask(instance, op::ECHO, b"still here")), "still here");
}

#[test]
fn a_panic_comes_back_as_a_reply() {
    fn check(op: u32, request: &[u8], expected: &str) {
        let desk = Arc::new(Desk::default());
        let instance = open(&desk);
        assert_eq!(told(ask(&instance, op, request)), expected);
        assert_eq!(desk.lines(), [""; 0]);
        check_alive(&instance);
    }
    check(op::PANIC_IN_START, b"", "fault: panicked: start gave up");
    check(op::PANIC_IN_POLL, b"", "fault: panicked: poll gave up");
    check(op::PANIC_IN_SECOND_POLL, b"", "fault: panicked: second poll gave up");
    check(op::PANIC_WITH_A_NUMBER, b"", "fault: panicked: panicked with a value that is no text");
    check(op::PANIC_IN_RELEASE, b"", " + thorny");
    check(op::CALL_HOST, &[service::PANIC_IN_CALL as u8], "fault: panicked: service gave up");
    check(op::CALL_HOST, &[service::PANIC_IN_POLL as u8], "fault: panicked: service poll gave up");
}

#[test]
fn a_panic_with_no_reply_to_travel_in_is_logged() {
    fn check(op: u32, request: &[u8], expected: &str) {
        let desk = Arc::new(Desk::default());
        let instance = open(&desk);
        let info = CallInfo { op, id: 42, ..CallInfo::default() };
        let mut future = Box::pin(instance.start(&info, request).unwrap());
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(future);
        assert_eq!(desk.lines(), [expected]);
        check_alive(&instance);
    }
    check(op::PANIC_IN_DROP, b"", "1 42 plugin: panicked in drop: drop gave up");
    let request = [service::PANIC_IN_DROP as u8];
    let expected = "1 0 purveyor::abi: a host service panicked in drop: service drop gave up";
    check(op::CALL_HOST, &request, expected);
}

#[test]
fn a_panic_after_ready_keeps_the_reply_and_is_logged() {
    let desk = Arc::new(Desk::default());
    let instance = open(&desk);
    assert_eq!(told(ask(&instance, op::PANIC_AFTER_READY, b"")), "answered");
    assert_eq!(desk.lines(), ["1 42 plugin: panicked in drop: drop after ready gave up"]);
    // Dropped within the last poll, before it could answer.
    assert_eq!(told(ask(&instance, op::PANIC_IN_DROP, b"")), "fault: panicked: drop gave up");
    check_alive(&instance);
}

#[test]
fn open_and_close_keep_their_panics() {
    let desk = Arc::new(Desk::default());
    let services: Arc<dyn Services> = desk.clone();
    let Err(Fault::Panic(message)) = sample().open(services.clone(), b"panic") else {
        panic!("the panic of open is lost");
    };
    assert_eq!(message, "open gave up");
    let Err(Fault::Error(error)) = sample().open(services.clone(), b"refuse") else {
        panic!("the error of open is lost");
    };
    assert_eq!(&*error, b"no such account");

    drop(sample().open(services.clone(), b"panic in close").unwrap());
    assert_eq!(desk.lines(), ["1 0 plugin: panicked in close: close gave up"]);
    drop(services);
    assert_eq!(Arc::strong_count(&desk), 1, "a context is not released");
    check_alive(&open(&desk));
}

#[test]
fn a_manifest_may_panic() {
    struct NoManifest;
    impl guest::Plugin for NoManifest {
        fn manifest() -> Vec<u8> {
            panic!("manifest gave up")
        }
        fn open(_: guest::Host, _: &[u8]) -> Result<Self, Vec<u8>> {
            Ok(Self)
        }
        fn start(
            &self,
            _: guest::Call<'_>,
            _: &[u8],
        ) -> Result<purveyor_abi::ReplyFuture, purveyor_abi::Code> {
            Err(purveyor_abi::Code::UNKNOWN_OP)
        }
    }
    // SAFETY: an entry function of this crate's own making, in this very program.
    let table =
        unsafe { purveyor_abi::host::PluginTable::from_entry(purveyor_abi::entry!(NoManifest)) }
            .unwrap();
    assert_eq!(table.manifest().unwrap_err().to_string(), "panicked: manifest gave up");
    assert_eq!(&*sample().manifest().unwrap(), b"the manifest");
}

#[test]
fn a_spawned_task_may_panic() {
    let desk = Arc::new(Desk::default());
    let instance = open(&desk);
    assert_eq!(told(ask(&instance, op::PANIC_IN_TASK, b"")), "");
    let task = desk.tasks.lock().unwrap().pop().unwrap();
    // The instance is closed first: a task owns what it needs.
    drop(instance);
    assert_eq!(told(pollster::block_on(task).into_result()), "fault: panicked: task gave up");
}

#[test]
fn services_without_a_reply_log_their_panics() {
    let desk = Arc::new(Desk { panics: true, ..Desk::default() });
    let instance = open(&desk);
    assert_eq!(told(ask(&instance, op::CLOCKS, b"")), "0 0 false");
    assert_eq!(told(ask(&instance, op::SLEEP, b"")), "fault: panicked: sleep gave up");
    assert_eq!(told(ask(&instance, op::PANIC_IN_TASK, b"")), "fault: panicked: ");
    let lines: Vec<String> = desk
        .lines()
        .iter()
        .map(|line| line.replace("1 0 purveyor::abi: a host service panicked: ", ""))
        .collect();
    assert_eq!(
        lines,
        [
            "is_cancelled gave up",
            "monotonic clock gave up",
            "system clock gave up",
            "spawn gave up"
        ]
    );
    check_alive(&instance);
}
