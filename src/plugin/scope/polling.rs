//! Which call is being polled on this thread. A request with consequences must come out of its own
//! call's future, so that neither a spawned task nor a thread of the plugin can make one.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// The call that is being polled on this thread; 0 for none.
pub(in crate::plugin) fn current() -> u64 {
    CURRENT.get()
}

/// Runs `f` as a part of the call `id`.
pub(in crate::plugin) fn enter<T>(id: u64, f: impl FnOnce() -> T) -> T {
    let _restored = Restore(CURRENT.replace(id));
    f()
}

/// A future every poll of which is a part of the call `id`.
pub(in crate::plugin) struct InCall<F> {
    id: u64,
    future: F,
}

impl<F> InCall<F> {
    pub(in crate::plugin) fn new(id: u64, future: F) -> Self {
        Self { id, future }
    }
}

impl<F: Future + Unpin> Future for InCall<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        enter(self.id, || Pin::new(&mut self.future).poll(cx))
    }
}

struct Restore(u64);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}
