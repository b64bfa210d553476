//! A plugin and a host for the tests: every op of the plugin does one thing that can go right or
//! wrong, and the host remembers what it was told.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use purveyor_abi::guest::{Call, Host, Plugin};
use purveyor_abi::host::{BoxFuture, Instance, PluginTable, Services};
use purveyor_abi::{CallInfo, Code, Fault, Level, Payload, Reply, ReplyFuture};

pub(crate) mod op {
    pub(crate) const ECHO: u32 = 1;
    pub(crate) const PEND_ONCE: u32 = 2;
    pub(crate) const CALL_HOST: u32 = 3;
    pub(crate) const PANIC_IN_START: u32 = 4;
    pub(crate) const PANIC_IN_POLL: u32 = 5;
    pub(crate) const PANIC_IN_SECOND_POLL: u32 = 6;
    pub(crate) const PANIC_IN_DROP: u32 = 7;
    pub(crate) const PANIC_IN_TASK: u32 = 8;
    pub(crate) const PANIC_WITH_A_NUMBER: u32 = 9;
    pub(crate) const PANIC_IN_RELEASE: u32 = 10;
    pub(crate) const REFUSE_WITH_OK: u32 = 11;
    pub(crate) const SLEEP: u32 = 12;
    pub(crate) const DESCRIBE_CALL: u32 = 13;
    pub(crate) const CLOCKS: u32 = 14;
    pub(crate) const ABORT: u32 = 15;
    pub(crate) const NEWER_CODE: u32 = 16;
    pub(crate) const PANIC_AFTER_READY: u32 = 17;
}

pub(crate) mod service {
    pub(crate) const ECHO: u32 = 1;
    pub(crate) const PEND_ONCE: u32 = 2;
    pub(crate) const PANIC_IN_CALL: u32 = 3;
    pub(crate) const PANIC_IN_POLL: u32 = 4;
    pub(crate) const PANIC_IN_DROP: u32 = 5;
}

pub(crate) struct Sample {
    host: Host,
    close: Option<PanicInDrop>,
}

pub(crate) struct PanicInDrop(pub(crate) &'static str);

impl Drop for PanicInDrop {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// Bytes whose owner panics when it is released.
struct Thorny;

impl AsRef<[u8]> for Thorny {
    fn as_ref(&self) -> &[u8] {
        b"thorny"
    }
}

impl Drop for Thorny {
    fn drop(&mut self) {
        panic!("thorny release");
    }
}

impl Plugin for Sample {
    fn manifest() -> Vec<u8> {
        b"the manifest".to_vec()
    }

    fn open(host: Host, config: &[u8]) -> Result<Self, Vec<u8>> {
        match config {
            b"refuse" => Err(b"no such account".to_vec()),
            b"panic" => panic!("open gave up"),
            b"panic in close" => Ok(Self { host, close: Some(PanicInDrop("close gave up")) }),
            _ => Ok(Self { host, close: None }),
        }
    }

    fn start(&self, call: Call<'_>, request: &[u8]) -> Result<ReplyFuture, Code> {
        assert!(self.close.is_none(), "this instance is only for closing");
        let text = request.to_vec();
        let id = call.info.id;
        let host = self.host.clone();
        Ok(match call.info.op {
            op::ECHO => call.reply_with(async move { Reply::ok(text) }),
            op::PEND_ONCE => call.reply_with(async move {
                pend_once().await;
                Reply::ok(text)
            }),
            op::CALL_HOST => {
                let (service, rest) = request.split_first().ok_or(Code::MALFORMED)?;
                let asked = host.call(u32::from(*service), id, rest, b"beside")?;
                call.reply_with(asked)
            }
            op::SLEEP => call.reply_with(host.sleep_until(7)?),
            op::DESCRIBE_CALL => {
                let text = format!("{:?}", call.info);
                call.reply_with(async move { Reply::ok(text) })
            }
            op::CLOCKS => {
                let cancelled = host.is_cancelled(id);
                let text = format!("{} {} {cancelled}", host.monotonic_now(), host.system_now());
                call.reply_with(async move { Reply::ok(text) })
            }
            op::ABORT => {
                host.abort(host.spawn(std::future::pending())?);
                host.log(Level::DEBUG, id, "sample", "aborted");
                call.reply_with(async { Reply::ok("") })
            }
            op::NEWER_CODE => call.reply_with(async { Reply::new(Code(77), "") }),
            op::REFUSE_WITH_OK => return Err(Code::OK),
            other => return start_panic(other, call, host),
        })
    }
}

fn start_panic(op: u32, call: Call<'_>, host: Host) -> Result<ReplyFuture, Code> {
    Ok(match op {
        op::PANIC_IN_START => panic!("start gave up"),
        op::PANIC_IN_POLL => call.reply_with(async { panic!("poll gave up") }),
        op::PANIC_IN_SECOND_POLL => call.reply_with(async {
            pend_once().await;
            panic!("second poll gave up")
        }),
        op::PANIC_IN_DROP => call.reply_with(async {
            let _thorn = PanicInDrop("drop gave up");
            pend_once().await;
            Reply::ok("")
        }),
        op::PANIC_AFTER_READY => {
            let thorn = PanicInDrop("drop after ready gave up");
            call.reply_with(poll_fn(move |_| {
                let _kept_to_the_end = &thorn;
                Poll::Ready(Reply::ok("answered"))
            }))
        }
        op::PANIC_IN_TASK => {
            host.spawn(async { panic!("task gave up") })?;
            call.reply_with(async { Reply::ok("") })
        }
        op::PANIC_WITH_A_NUMBER => {
            call.reply_with(async { std::panic::panic_any(PanicInDrop("payload gave up")) })
        }
        op::PANIC_IN_RELEASE => call.reply_with(async {
            Reply::ok("").with_attachment(purveyor_abi::OwnedBuf::from_owner(Thorny))
        }),
        _ => return Err(Code::UNKNOWN_OP),
    })
}

/// Wakes itself through a clone of its waker, as a future that waits for something would.
pub(crate) async fn pend_once() {
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        let kept = cx.waker().clone();
        kept.wake();
        Poll::Pending
    })
    .await;
}

/// The host of the tests.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) tasks: Mutex<Vec<ReplyFuture>>,
    pub(crate) aborted: Mutex<Vec<u64>>,
    pub(crate) panics: bool,
}

impl Desk {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Services for Desk {
    fn call(
        &self,
        op: u32,
        parent_call: u64,
        request: &[u8],
        attachment: &[u8],
    ) -> Result<BoxFuture<Reply>, Code> {
        let answer = format!("{parent_call}: {}", String::from_utf8_lossy(request));
        let attachment = attachment.to_vec();
        Ok(match op {
            service::ECHO => Box::pin(async move { Reply::ok(answer).with_attachment(attachment) }),
            service::PEND_ONCE => Box::pin(async move {
                pend_once().await;
                Reply::ok(answer)
            }),
            service::PANIC_IN_CALL => panic!("service gave up"),
            service::PANIC_IN_POLL => Box::pin(async { panic!("service poll gave up") }),
            service::PANIC_IN_DROP => Box::pin(async {
                let _thorn = PanicInDrop("service drop gave up");
                std::future::pending().await
            }),
            _ => return Err(Code::UNKNOWN_OP),
        })
    }

    fn sleep_until(&self, _: u64) -> BoxFuture<()> {
        assert!(!self.panics, "sleep gave up");
        Box::pin(pend_once())
    }

    fn spawn(&self, task: ReplyFuture) -> Result<u64, Code> {
        assert!(!self.panics, "spawn gave up");
        let mut tasks = self.tasks.lock().unwrap();
        tasks.push(task);
        Ok(tasks.len() as u64)
    }

    fn abort(&self, task: u64) {
        assert!(!self.panics, "abort gave up");
        self.aborted.lock().unwrap().push(task);
    }

    fn monotonic_now(&self) -> u64 {
        assert!(!self.panics, "monotonic clock gave up");
        11
    }

    fn system_now(&self) -> i64 {
        assert!(!self.panics, "system clock gave up");
        -12
    }

    fn log(&self, level: Level, call: u64, target: &str, message: &str) {
        self.lines.lock().unwrap().push(format!("{} {call} {target}: {message}", level.0));
    }

    fn is_cancelled(&self, call: u64) -> bool {
        assert!(!self.panics, "is_cancelled gave up");
        call == 42
    }
}

pub(crate) fn sample() -> PluginTable {
    // SAFETY: an entry function of this crate's own making, in this very program.
    unsafe { PluginTable::from_entry(purveyor_abi::entry!(Sample)) }.unwrap()
}

pub(crate) fn open(desk: &Arc<Desk>) -> Instance {
    let services: Arc<dyn Services> = desk.clone();
    sample().open(services, b"").unwrap()
}

/// One call from start to end.
pub(crate) fn ask(instance: &Instance, op: u32, request: &[u8]) -> Result<Payload, Fault> {
    let info = CallInfo { op, id: 42, ..CallInfo::default() };
    pollster::block_on(instance.start(&info, request)?).into_result()
}

/// The result of a call as one line, for tables of expectations.
pub(crate) fn told(result: Result<Payload, Fault>) -> String {
    match result {
        Ok(Payload { body, attachment }) => {
            let (body, attachment) =
                (String::from_utf8_lossy(&body), String::from_utf8_lossy(&attachment));
            if attachment.is_empty() { body.into_owned() } else { format!("{body} + {attachment}") }
        }
        Err(fault) => format!("fault: {fault}"),
    }
}
