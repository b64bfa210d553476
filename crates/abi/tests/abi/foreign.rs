//! Futures made the way another language makes them: nothing of this crate is on their side, so what
//! the poller promises them is seen as it is.

use std::ffi::c_void;
use std::future::Future as _;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use purveyor_abi::{Reply, ReplyFuture, raw};

/// What a future saw. It is the future's data, and outlives it.
struct Seen {
    polls: usize,
    drops: usize,
    waker: raw::Waker,
}

unsafe extern "C" fn drop_seen(data: *mut c_void) {
    // SAFETY: every future below has a `Seen` of its test as its data.
    unsafe { (*data.cast::<Seen>()).drops += 1 };
}

/// Ready at once, with an empty answer.
unsafe extern "C" fn ready(data: *mut c_void, waker: raw::Waker, out: *mut raw::Reply) -> u32 {
    // SAFETY: as in `drop_seen`; the poller passes a writable reply.
    unsafe {
        (*data.cast::<Seen>()).polls += 1;
        (*data.cast::<Seen>()).waker = waker;
        (*out).code = 0;
    }
    raw::READY
}

/// Does everything with the waker that can be done, and stays pending.
unsafe extern "C" fn wakes(data: *mut c_void, waker: raw::Waker, _: *mut raw::Reply) -> u32 {
    // SAFETY: as in `drop_seen`; the waker is borrowed for this call, its clones are owned.
    unsafe {
        (*data.cast::<Seen>()).polls += 1;
        let vtable = |waker: raw::Waker| &*(*waker).vtable;
        let owned = vtable(waker).clone.unwrap()(waker);
        let second = vtable(owned).clone.unwrap()(owned);
        vtable(owned).wake_by_ref.unwrap()(owned);
        vtable(second).wake.unwrap()(second);
        vtable(owned).drop.unwrap()(owned);
        vtable(waker).wake_by_ref.unwrap()(waker);
    }
    raw::PENDING
}

static READY: raw::FutureVtable =
    raw::FutureVtable { size: 24, _pad: 0, poll: Some(ready), drop: Some(drop_seen) };
static WAKES: raw::FutureVtable = raw::FutureVtable { poll: Some(wakes), ..READY };

/// Runs `test` with a foreign future and says what that future saw.
fn with(vtable: &'static raw::FutureVtable, test: impl FnOnce(ReplyFuture)) -> Seen {
    let mut seen = Seen { polls: 0, drops: 0, waker: ptr::null() };
    let raw = raw::Future { data: (&raw mut seen).cast(), vtable };
    // SAFETY: the functions above keep the contract, and `seen` outlives the future.
    test(unsafe { ReplyFuture::from_raw(raw) }.unwrap());
    seen
}

fn poll(future: &mut ReplyFuture, waker: &Waker) -> Poll<Reply> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn it_is_polled_until_ready_and_dropped_once() {
    let seen = with(&READY, |mut future| {
        for _ in 0..3 {
            assert!(poll(&mut future, Waker::noop()).is_ready());
        }
        // Whoever gets it now cannot know that it was ready.
        // SAFETY: `into_raw` keeps the contract of a raw future.
        let mut future = unsafe { ReplyFuture::from_raw(future.into_raw()) }.unwrap();
        assert!(poll(&mut future, Waker::noop()).is_ready());
    });
    assert_eq!((seen.polls, seen.drops), (1, 1));
    let seen = with(&READY, drop);
    assert_eq!((seen.polls, seen.drops), (0, 1));
}

#[test]
fn its_wakers_are_counted_and_let_go() {
    struct Bell(AtomicUsize);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let bell = Arc::new(Bell(0.into()));
    let waker = Waker::from(bell.clone());
    let seen = with(&WAKES, |mut future| assert!(poll(&mut future, &waker).is_pending()));
    assert_eq!((seen.polls, seen.drops), (1, 1));
    assert_eq!(bell.0.load(Ordering::Relaxed), 3);
    drop(waker);
    assert_eq!(Arc::strong_count(&bell), 1, "a clone of the waker is lost");
}

#[test]
fn a_foreign_waker_is_handed_on_as_it_is() {
    unsafe extern "C" fn same(waker: raw::Waker) -> raw::Waker {
        waker
    }
    unsafe extern "C" fn nothing(_: raw::Waker) {}
    static VTABLE: raw::WakerVtable = raw::WakerVtable {
        clone: Some(same),
        wake: Some(nothing),
        wake_by_ref: Some(nothing),
        drop: Some(nothing),
    };
    let object = raw::WakerObject { vtable: &VTABLE };
    let seen = with(&READY, |future| {
        // A future of this side between two of the other.
        let outer = ReplyFuture::new(future, |_: &str| {}).into_raw();
        let mut out =
            raw::Reply { code: 9, _pad: 0, body: raw::Buf::EMPTY, attachment: raw::Buf::EMPTY };
        // SAFETY: the waker lives, `out` is writable, and the future is dropped once, after this.
        unsafe {
            let vtable = &*outer.vtable;
            let state = vtable.poll.unwrap()(outer.data, &raw const object, &mut out);
            assert_eq!((state, out.code), (raw::READY, 0));
            vtable.drop.unwrap()(outer.data);
        }
    });
    assert_eq!(seen.waker, &raw const object);
    assert_eq!((seen.polls, seen.drops), (1, 1));
}
