//! The one future type of both directions: made by one side, polled by the other. It must not know
//! which side it is on, and it never polls a future that was ready before.

use std::ffi::c_void;
use std::future::Future;
use std::mem::{ManuallyDrop, size_of};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::panic;
use crate::raw::{self, FutureVtable, PENDING, READY};
use crate::reply::Reply;
use crate::waker;

/// A future that comes to a [`Reply`], whichever side made it. Dropping it cancels it, and nothing
/// calls back after the drop returned.
///
/// A panic of the future comes out as a reply with [`crate::Code::PANIC`]. Polling again after
/// ready answers [`crate::Code::MALFORMED`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled, and dropping it cancels the call"]
pub struct ReplyFuture {
    /// Not dropped yet, with a vtable that was checked.
    raw: raw::Future,
    finished: bool,
}

// SAFETY: poll and drop of a `raw::Future` may be called on any thread, one at a time; that is part
// of the contract, and `new` asks `Send` of the futures of this side.
unsafe impl Send for ReplyFuture {}

impl ReplyFuture {
    /// Boxes `future`, in one allocation. `report` gets the message when dropping it panics, which
    /// is the one panic that has no reply to travel in.
    pub fn new<F, R>(future: F, report: R) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
        R: Fn(&str) + Send + 'static,
    {
        let shell = Box::new(Shell { future: Some(future), report });
        let data = Box::into_raw(shell).cast::<c_void>();
        Self { raw: raw::Future { data, vtable: &Shell::<F, R>::VTABLE }, finished: false }
    }

    /// Takes over a future of the other side, or answers `None` when its vtable is missing or
    /// incomplete; it cannot be dropped then, and is lost.
    ///
    /// # Safety
    ///
    /// `future` keeps the contract of [`raw::Future`], and nobody else uses it.
    pub unsafe fn from_raw(future: raw::Future) -> Option<Self> {
        if future.vtable.is_null() || !future.vtable.is_aligned() {
            return None;
        }
        // SAFETY: not null and aligned; every vtable has at least its size, which is read first.
        let size = unsafe { (&raw const (*future.vtable).size).read() } as usize;
        if size < raw::FUTURE_VTABLE_SIZE_1_0 {
            return None;
        }
        // SAFETY: the vtable is as long as that of 1.0, in which both fields lie.
        let (poll, drop) = unsafe { ((*future.vtable).poll, (*future.vtable).drop) };
        (poll.is_some() && drop.is_some()).then_some(Self { raw: future, finished: false })
    }

    /// Gives the future to the other side, which then polls and drops it.
    pub fn into_raw(self) -> raw::Future {
        if self.finished {
            // The one who gets it cannot know that it must not be polled.
            return Self::new(std::future::ready(polled_again()), |_: &str| {}).into_raw();
        }
        let this = ManuallyDrop::new(self);
        raw::Future { data: this.raw.data, vtable: this.raw.vtable }
    }
}

fn polled_again() -> Reply {
    Reply::malformed("the future was polled after it was ready")
}

impl Future for ReplyFuture {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        if self.finished {
            return Poll::Ready(polled_again());
        }
        // SAFETY: `new` and `from_raw` admit only a vtable that holds this field.
        let Some(poll) = (unsafe { (*self.raw.vtable).poll }) else {
            return Poll::Ready(Reply::malformed("the future has no poll function"));
        };
        // What is answered if the other side says "ready" and writes nothing.
        let mut out = raw::Reply {
            code: crate::Code::MALFORMED.0,
            _pad: 0,
            body: raw::Buf::EMPTY,
            attachment: raw::Buf::EMPTY,
        };
        let data = self.raw.data;
        // SAFETY: the future was neither dropped nor ready, `&mut self` excludes other polls, the
        // waker is lent for this call, and `out` is writable.
        let state = waker::lend(cx.waker(), |waker| unsafe { poll(data, waker, &mut out) });
        if state == PENDING {
            return Poll::Pending;
        }
        self.finished = true;
        if state != READY {
            return Poll::Ready(Reply::malformed("poll answered neither pending nor ready"));
        }
        // SAFETY: the other side wrote its reply and gave it away, or `out` is as made above.
        Poll::Ready(unsafe { Reply::from_raw(out) })
    }
}

impl Drop for ReplyFuture {
    fn drop(&mut self) {
        // SAFETY: `new` and `from_raw` admit only a vtable that holds this field.
        if let Some(drop) = unsafe { (*self.raw.vtable).drop } {
            // SAFETY: dropped once, here, and never polled again.
            unsafe { drop(self.raw.data) };
        }
    }
}

/// A future of this side, in the box the other side polls.
struct Shell<F, R> {
    /// Pinned: never moved out. `None` once it was ready or panicked.
    future: Option<F>,
    report: R,
}

impl<F, R> Shell<F, R>
where
    F: Future<Output = Reply> + Send + 'static,
    R: Fn(&str) + Send + 'static,
{
    const VTABLE: FutureVtable = FutureVtable {
        size: size_of::<FutureVtable>() as u32,
        _pad: 0,
        poll: Some(Self::poll),
        drop: Some(Self::drop),
    };

    unsafe extern "C" fn poll(data: *mut c_void, waker: raw::Waker, out: *mut raw::Reply) -> u32 {
        // SAFETY: `data` is the shell that `new` boxed, not dropped yet, polled by one at a time.
        let shell = unsafe { &mut *data.cast::<Self>() };
        // SAFETY: the caller lends a waker for this call.
        match unsafe { shell.advance(waker) } {
            Poll::Pending => PENDING,
            Poll::Ready(reply) => {
                // SAFETY: `out` is writable, and holds nothing that would have to be released.
                unsafe { out.write(reply.into_raw()) };
                READY
            }
        }
    }

    unsafe extern "C" fn drop(data: *mut c_void) {
        // SAFETY: `data` is the shell that `new` boxed, and it is dropped once.
        let mut shell = unsafe { Box::from_raw(data.cast::<Self>()) };
        shell.end();
        panic::contain(move || drop(shell));
    }

    /// # Safety
    ///
    /// As for [`waker::with_context`].
    unsafe fn advance(&mut self, waker: raw::Waker) -> Poll<Reply> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(polled_again());
        };
        // SAFETY: the shell is boxed, and its future is dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        // SAFETY: the waker is the caller's promise.
        let polled = panic::catch(|| unsafe { waker::with_context(waker, |cx| future.poll(cx)) });
        let reply = match polled {
            Ok(Some(Poll::Pending)) => return Poll::Pending,
            Ok(Some(Poll::Ready(reply))) => reply,
            Ok(None) => Reply::malformed("poll got no waker, or one with a null function"),
            Err(message) => Reply::panicked(message),
        };
        self.end();
        Poll::Ready(reply)
    }

    /// Drops the future where it lies and reports a panic of that.
    fn end(&mut self) {
        // Assignment drops in place and leaves `None` even when that drop unwinds.
        if let Err(message) = panic::catch(|| self.future = None) {
            panic::contain(|| (self.report)(&message));
        }
    }
}
