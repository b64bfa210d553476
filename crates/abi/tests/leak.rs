//! Cancelling at every stage, many times, under an allocator that counts: nothing may be left. Alone
//! in its program, because other tests would allocate meanwhile.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a program of tests: a failed unwrap is a failed test"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use purveyor_abi::guest::{Call, Host, Plugin};
use purveyor_abi::host::{BoxFuture, Instance, PluginTable, Services};
use purveyor_abi::{CallInfo, Code, Level, Reply, ReplyFuture};

struct Counting;

static BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: forwards to the system's allocator and only counts beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Asks the host, waits as often as the request says, and answers with bytes of its own.
struct Waiter(Host);

impl Plugin for Waiter {
    fn manifest() -> Vec<u8> {
        vec![1; 100]
    }

    fn open(host: Host, config: &[u8]) -> Result<Self, Vec<u8>> {
        if config.is_empty() { Ok(Self(host)) } else { Err(config.to_vec()) }
    }

    fn start(&self, call: Call<'_>, request: &[u8]) -> Result<ReplyFuture, Code> {
        let request = request.to_vec();
        let asked = self.0.call(1, call.info.id, &request, b"beside")?;
        Ok(call.reply_with(async move {
            let reply = asked.await;
            wait(1).await;
            Reply::ok(request).with_attachment(reply.attachment)
        }))
    }
}

struct Desk;

impl Services for Desk {
    fn call(&self, _: u32, _: u64, body: &[u8], beside: &[u8]) -> Result<BoxFuture<Reply>, Code> {
        let (body, beside) = (body.to_vec(), beside.to_vec());
        Ok(Box::pin(async move {
            wait(2).await;
            Reply::ok(body).with_attachment(beside)
        }))
    }

    fn sleep_until(&self, _: u64) -> BoxFuture<()> {
        Box::pin(std::future::pending())
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

/// Pending so many times; keeps a clone of the waker until it goes on or is dropped.
async fn wait(times: u32) {
    let (mut left, mut kept) = (times, None);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        kept = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
    drop(kept);
}

struct Silent;

impl Wake for Silent {
    fn wake(self: Arc<Self>) {}
}

/// Starts a call and drops it after so many polls; whether it was ready by then.
fn cancel_after(instance: &Instance, polls: usize, waker: &Waker) -> bool {
    let mut future = pin!(instance.start(&CallInfo::default(), &[9; 500]).unwrap());
    (0..polls).any(|_| future.as_mut().poll(&mut Context::from_waker(waker)).is_ready())
}

#[test]
fn nothing_is_left_of_a_cancelled_call() {
    // SAFETY: an entry function of this crate's own making, in this very program.
    let table = unsafe { PluginTable::from_entry(purveyor_abi::entry!(Waiter)) }.unwrap();
    let waker = Waker::from(Arc::new(Silent));
    let round = || {
        let instance = table.open(Arc::new(Desk), b"").unwrap();
        for (polls, ready) in [(0, false), (1, false), (2, false), (3, false), (4, true)] {
            assert_eq!(cancel_after(&instance, polls, &waker), ready, "after {polls} polls");
        }
        // A call outlives the last handle to its instance, and closes it.
        let call = instance.start(&CallInfo::default(), b"last").unwrap();
        drop(instance);
        drop(call);
        assert!(table.open(Arc::new(Desk), b"no").is_err());
        drop(table.manifest().unwrap());
    };
    // What the runtime allocates once is not counted.
    round();
    let before = BYTES.load(Ordering::Relaxed);
    for _ in 0..1_000 {
        round();
    }
    assert_eq!(BYTES.load(Ordering::Relaxed), before, "bytes are left after 1,000 rounds");
}
