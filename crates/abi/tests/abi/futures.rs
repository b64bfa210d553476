//! The one future of both directions, its wakers and its buffers: what is polled once too often,
//! what is broken, what must not be copied, what must not be called again.

use std::ffi::c_void;
use std::future::Future as _;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use purveyor_abi::{Code, OwnedBuf, Reply, ReplyFuture, raw};

use crate::sample::{pend_once, told};

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn quiet(_: &str) {}

fn own(future: impl Future<Output = Reply> + Send + 'static) -> ReplyFuture {
    ReplyFuture::new(future, quiet)
}

/// The same future after it went over the boundary as the other side's would.
fn cross(future: ReplyFuture) -> ReplyFuture {
    // SAFETY: `into_raw` keeps the contract of a raw future.
    unsafe { ReplyFuture::from_raw(future.into_raw()) }.unwrap()
}

fn poll(future: &mut ReplyFuture, waker: &Waker) -> Poll<String> {
    Pin::new(future).poll(&mut Context::from_waker(waker)).map(|reply| told(reply.into_result()))
}

#[test]
fn a_future_is_never_polled_again() {
    const AGAIN: &str = "fault: malformed: the future was polled after it was ready";
    let mut future = own(async { Reply::ok("once") });
    assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready("once".to_owned()));
    assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(AGAIN.to_owned()));
    // Nor by somebody else who gets it afterwards.
    let mut future = cross(future);
    assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(AGAIN.to_owned()));

    let mut future = own(async { panic!("once") });
    assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready("fault: panicked: once".to_owned()));
    assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(AGAIN.to_owned()));
}

#[test]
fn the_maker_guards_itself_against_a_second_poll() {
    let future = own(async { Reply::ok("once") }).into_raw();
    // SAFETY: every vtable made by this crate lives for ever.
    let vtable = unsafe { &*future.vtable };
    let object = raw::WakerObject { vtable: ptr::null() };
    let once = |waker: raw::Waker| {
        let mut out =
            raw::Reply { code: 0, _pad: 0, body: raw::Buf::EMPTY, attachment: raw::Buf::EMPTY };
        // SAFETY: the future is not dropped, and `out` is writable.
        assert_eq!(unsafe { vtable.poll.unwrap()(future.data, waker, &mut out) }, raw::READY);
        // SAFETY: the reply was given away with that poll.
        let body = unsafe { OwnedBuf::from_raw(out.body) }.unwrap();
        (Code(out.code), String::from_utf8(body.to_vec()).unwrap())
    };
    let bad_waker = "poll got no waker, or one with a null function".to_owned();
    assert_eq!(once(ptr::null()), (Code::MALFORMED, bad_waker));
    let again = "the future was polled after it was ready".to_owned();
    assert_eq!(once(&raw const object), (Code::MALFORMED, again));
    // SAFETY: dropped once.
    unsafe { vtable.drop.unwrap()(future.data) };
}

#[test]
fn a_broken_vtable_is_no_future() {
    unsafe extern "C" fn poll(_: *mut c_void, _: raw::Waker, _: *mut raw::Reply) -> u32 {
        raw::PENDING
    }
    unsafe extern "C" fn drop(_: *mut c_void) {}
    let good = raw::FutureVtable { size: 24, _pad: 0, poll: Some(poll), drop: Some(drop) };
    let check = |vtable: raw::FutureVtable, expected: bool| {
        let raw = raw::Future { data: ptr::null_mut(), vtable: Box::leak(Box::new(vtable)) };
        // SAFETY: the vtable keeps the contract, or lacks what is looked for.
        assert_eq!(unsafe { ReplyFuture::from_raw(raw) }.is_some(), expected);
    };
    check(good, true);
    check(raw::FutureVtable { size: 24 + 64, ..good }, true);
    check(raw::FutureVtable { size: 23, ..good }, false);
    check(raw::FutureVtable { poll: None, ..good }, false);
    check(raw::FutureVtable { drop: None, ..good }, false);
    let none = raw::Future { data: ptr::null_mut(), vtable: ptr::null() };
    // SAFETY: a null vtable is looked for.
    assert!(unsafe { ReplyFuture::from_raw(none) }.is_none());
}

#[test]
fn a_future_that_answers_nonsense_is_told() {
    unsafe extern "C" fn nothing_written(_: *mut c_void, _: raw::Waker, _: *mut raw::Reply) -> u32 {
        raw::READY
    }
    unsafe extern "C" fn unknown_state(_: *mut c_void, _: raw::Waker, _: *mut raw::Reply) -> u32 {
        7
    }
    unsafe extern "C" fn bad_buffer(_: *mut c_void, _: raw::Waker, out: *mut raw::Reply) -> u32 {
        // SAFETY: the poller passes a writable reply.
        unsafe { (*out).code = 0 };
        // SAFETY: as above.
        unsafe { (*out).body.len = 1 };
        raw::READY
    }
    unsafe extern "C" fn drop(_: *mut c_void) {}
    let check = |poll_fn: raw::PollFn, expected: &str| {
        let vtable = raw::FutureVtable { size: 24, _pad: 0, poll: Some(poll_fn), drop: Some(drop) };
        let raw = raw::Future { data: ptr::null_mut(), vtable: Box::leak(Box::new(vtable)) };
        // SAFETY: the functions touch nothing but the reply.
        let mut future = unsafe { ReplyFuture::from_raw(raw) }.unwrap();
        assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(expected.to_owned()));
    };
    check(nothing_written, "fault: malformed");
    check(unknown_state, "fault: malformed: poll answered neither pending nor ready");
    check(bad_buffer, "fault: malformed: the reply holds an impossible buffer");
}

#[test]
fn a_wake_goes_through_any_number_of_boundaries() {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let inner = cross(own(async {
        pend_once().await;
        Reply::ok("through")
    }));
    let mut outer = cross(own(cross(own(inner))));
    assert!(poll(&mut outer, &waker).is_pending());
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut outer, &waker), Poll::Ready("through".to_owned()));
    drop(outer);
    drop(waker);
    assert_eq!(Arc::strong_count(&bell), 1, "a clone of the waker is lost");
}

#[test]
fn a_waker_that_comes_back_is_recognised() {
    let waker = Waker::from(Arc::new(Bell::default()));
    let kept = waker.clone();
    let looks = std::future::poll_fn(move |cx| {
        let same = cx.waker().will_wake(&kept);
        Poll::Ready(Reply::ok(if same { "same" } else { "another" }))
    });
    let mut future = cross(own(cross(own(looks))));
    assert_eq!(poll(&mut future, &waker), Poll::Ready("same".to_owned()));
}

/// A waker made the way another language makes one: counts what is done with it.
#[repr(C)]
struct CountingWaker {
    object: raw::WakerObject,
    clones: AtomicUsize,
    wakes: AtomicUsize,
    drops: AtomicUsize,
}

impl CountingWaker {
    fn new(vtable: &'static raw::WakerVtable) -> Self {
        let zero = || AtomicUsize::new(0);
        let object = raw::WakerObject { vtable };
        Self { object, clones: zero(), wakes: zero(), drops: zero() }
    }

    fn raw(&self) -> raw::Waker {
        ptr::from_ref(self).cast()
    }

    fn counts(&self) -> [usize; 3] {
        [&self.clones, &self.wakes, &self.drops].map(|count| count.load(Ordering::Relaxed))
    }
}

unsafe fn counting<'a>(waker: raw::Waker) -> &'a CountingWaker {
    // SAFETY: only called through the vtables below, whose objects are of this type.
    unsafe { &*waker.cast::<CountingWaker>() }
}

unsafe extern "C" fn count_clone(waker: raw::Waker) -> raw::Waker {
    // SAFETY: as in `counting`.
    unsafe { counting(waker) }.clones.fetch_add(1, Ordering::Relaxed);
    waker
}

unsafe extern "C" fn cannot_clone(_: raw::Waker) -> raw::Waker {
    ptr::null()
}

unsafe extern "C" fn count_wake(waker: raw::Waker) {
    // SAFETY: as in `counting`.
    unsafe { counting(waker) }.wakes.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn count_drop(waker: raw::Waker) {
    // SAFETY: as in `counting`.
    unsafe { counting(waker) }.drops.fetch_add(1, Ordering::Relaxed);
}

static COUNTING: raw::WakerVtable = raw::WakerVtable {
    clone: Some(count_clone),
    wake: Some(count_wake),
    wake_by_ref: Some(count_wake),
    drop: Some(count_drop),
};
static NO_CLONE: raw::WakerVtable = raw::WakerVtable { clone: Some(cannot_clone), ..COUNTING };
static NO_WAKE: raw::WakerVtable = raw::WakerVtable { wake: None, ..COUNTING };

/// Polls once with a foreign waker; the code of the reply, or `None` while it is pending.
fn poll_raw(future: &raw::Future, waker: &CountingWaker) -> Option<Code> {
    let mut out =
        raw::Reply { code: 99, _pad: 0, body: raw::Buf::EMPTY, attachment: raw::Buf::EMPTY };
    // SAFETY: the future is not dropped, the waker lives, `out` is writable.
    let state = unsafe { (*future.vtable).poll.unwrap()(future.data, waker.raw(), &mut out) };
    if state == raw::PENDING {
        return None;
    }
    // SAFETY: the reply was given away with that poll.
    drop(unsafe { OwnedBuf::from_raw(out.body) }.unwrap());
    Some(Code(out.code))
}

fn drop_raw(future: raw::Future) {
    // SAFETY: nobody else has it.
    drop(unsafe { ReplyFuture::from_raw(future) });
}

#[test]
fn a_foreign_waker_is_borrowed_unless_it_is_cloned() {
    let waker = CountingWaker::new(&COUNTING);
    let future = own(std::future::pending()).into_raw();
    assert_eq!(poll_raw(&future, &waker), None);
    assert_eq!(waker.counts(), [0, 0, 0]);
    drop_raw(future);

    // `wake` consumes the clone, so only a clone that was not woken is dropped.
    let future = own(async {
        pend_once().await;
        std::future::poll_fn(|cx| {
            drop(cx.waker().clone());
            cx.waker().wake_by_ref();
            Poll::Ready(Reply::ok(""))
        })
        .await
    })
    .into_raw();
    assert_eq!(poll_raw(&future, &waker), None);
    assert_eq!(waker.counts(), [1, 1, 0]);
    assert_eq!(poll_raw(&future, &waker), Some(Code::OK));
    assert_eq!(waker.counts(), [2, 2, 1]);
    drop_raw(future);
    assert_eq!(waker.counts(), [2, 2, 1]);
}

#[test]
fn a_foreign_waker_that_fails_is_a_reply_not_a_hang() {
    let check = |vtable: &'static raw::WakerVtable, expected: Code| {
        let future = own(async {
            pend_once().await;
            Reply::ok("")
        })
        .into_raw();
        assert_eq!(poll_raw(&future, &CountingWaker::new(vtable)), Some(expected));
        drop_raw(future);
    };
    check(&NO_CLONE, Code::PANIC);
    check(&NO_WAKE, Code::MALFORMED);
}

#[test]
fn a_buffer_crosses_without_being_copied() {
    let bytes = vec![7_u8; 4096];
    let place = bytes.as_ptr();
    let reply = Reply::ok("").with_attachment(bytes);
    let mut future = pin!(cross(own(std::future::ready(reply))));
    let Poll::Ready(reply) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a ready future is pending");
    };
    let attachment = Bytes::from_owner(reply.attachment);
    assert_eq!(attachment.as_ptr(), place);
    // And back again, from `Bytes`.
    let back = OwnedBuf::from_owner(attachment.slice(1..));
    assert_eq!(back.as_ptr(), place.wrapping_add(1));
    assert_eq!(back.len(), 4095);
}

#[test]
fn an_impossible_buffer_is_refused_and_released() {
    static RELEASED: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn release(_: *mut c_void) {
        RELEASED.fetch_add(1, Ordering::Relaxed);
    }
    let check = |ptr: *const u8, len: usize, expected: bool| {
        let before = RELEASED.load(Ordering::Relaxed);
        let raw = raw::Buf { ptr, len, owner: ptr::null_mut(), release: Some(release) };
        // SAFETY: the bytes are static, or refused.
        let buf = unsafe { OwnedBuf::from_raw(raw) };
        assert_eq!(buf.is_ok(), expected);
        drop(buf);
        assert_eq!(RELEASED.load(Ordering::Relaxed), before + 1);
    };
    check(b"x".as_ptr(), 1, true);
    check(ptr::null(), 0, true);
    check(ptr::null(), 1, false);
    check(b"x".as_ptr(), usize::MAX, false);
}
