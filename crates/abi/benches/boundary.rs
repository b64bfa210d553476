//! What the boundary costs: a call that is ready at once, one that waits once, one that asks the
//! host four times, each beside the boxed future it stands for. Within one program, so without the
//! loader; answers are empty, so without what encoding costs.

#![allow(missing_docs, reason = "criterion writes undocumented functions")]

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use purveyor_abi::guest::{Call, Host, Plugin};
use purveyor_abi::host::{BoxFuture, Instance, PluginTable, Services};
use purveyor_abi::{CallInfo, Code, Level, Reply, ReplyFuture};

const READY: u32 = 1;
const PENDING_ONCE: u32 = 2;
const FOUR_HOST_CALLS: u32 = 3;

struct Bench(Host);

impl Plugin for Bench {
    fn manifest() -> Vec<u8> {
        Vec::new()
    }

    fn open(host: Host, _: &[u8]) -> Result<Self, Vec<u8>> {
        Ok(Self(host))
    }

    fn start(&self, call: Call<'_>, _: &[u8]) -> Result<ReplyFuture, Code> {
        match call.info.op {
            READY => Ok(call.reply_with(async { Reply::ok("") })),
            PENDING_ONCE => Ok(call.reply_with(async {
                pend_once().await;
                Reply::ok("")
            })),
            FOUR_HOST_CALLS => {
                let host = self.0.clone();
                Ok(call.reply_with(async move {
                    for op in 0..4 {
                        match host.call(op, 0, b"", b"") {
                            Ok(asked) => drop(asked.await),
                            Err(code) => return Reply::new(code, ""),
                        }
                    }
                    Reply::ok("")
                }))
            }
            _ => Err(Code::UNKNOWN_OP),
        }
    }
}

struct Desk;

impl Services for Desk {
    fn call(&self, _: u32, _: u64, _: &[u8], _: &[u8]) -> Result<BoxFuture<Reply>, Code> {
        Ok(Box::pin(async { Reply::ok("") }))
    }

    fn sleep_until(&self, _: u64) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    fn spawn(&self, _: ReplyFuture) -> Result<u64, Code> {
        Err(Code::ERROR)
    }

    fn abort(&self, _: u64) {}

    fn monotonic_now(&self) -> u64 {
        0
    }

    fn system_now(&self) -> i64 {
        0
    }

    fn log(&self, _: Level, _: u64, _: &str, _: &str) {}

    fn is_cancelled(&self, _: u64) -> bool {
        false
    }
}

async fn pend_once() {
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls until it is ready; every future here wakes itself, so nothing has to be waited for.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

fn through_the_boundary(instance: &Instance, op: u32) -> Code {
    let info = CallInfo { op: black_box(op), ..CallInfo::default() };
    match instance.start(&info, black_box(b"")) {
        Ok(future) => finish(future).code,
        Err(fault) => panic!("the call did not start: {fault}"),
    }
}

fn native(op: u32) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
    match black_box(op) {
        READY => Box::pin(async { Reply::ok("") }),
        _ => Box::pin(async {
            pend_once().await;
            Reply::ok("")
        }),
    }
}

fn boundary(c: &mut Criterion) {
    // SAFETY: an entry function of this crate's own making, in this very program.
    let table = unsafe { PluginTable::from_entry(purveyor_abi::entry!(Bench)) };
    let instance = match table.map(|table| table.open(Arc::new(Desk), b"")) {
        Ok(Ok(instance)) => instance,
        other => panic!("the plugin did not open: {other:?}"),
    };
    for op in [READY, PENDING_ONCE, FOUR_HOST_CALLS] {
        assert_eq!(through_the_boundary(&instance, op), Code::OK);
    }
    c.bench_function("native/ready", |b| b.iter(|| finish(native(READY)).code));
    c.bench_function("native/pending_once", |b| b.iter(|| finish(native(PENDING_ONCE)).code));
    let mut bench = |name: &str, op: u32| {
        c.bench_function(name, |b| b.iter(|| through_the_boundary(&instance, op)));
    };
    bench("boundary/ready", READY);
    bench("boundary/pending_once", PENDING_ONCE);
    bench("boundary/four_host_calls", FOUR_HOST_CALLS);
}

criterion_group!(benches, boundary);
criterion_main!(benches);
