//! How the engine stops: no permit is given any more, and every attempt that has one is waited for. An
//! attempt that is cut is one whose outcome nobody knows, and at some upstreams only a person finds out.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Engine;
use super::policy::PERMIT_LIFE;

/// What an attempt may take beside the upstream's answer: the permit's life, and then the plugin's return
/// and the commit of the outcome.
pub const ATTEMPT_MARGIN: Duration = PERMIT_LIFE.saturating_add(Duration::from_secs(3));

/// How long a stop may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// For what may be cut, because it can be read again: reads, and steps that have no permit yet.
    pub reads: Duration,
    /// For open attempts.
    pub attempts: Duration,
}

/// The attempts whose permit was given and whose outcome is not stored yet.
pub(super) struct OpenAttempts(watch::Sender<usize>);

/// One of them; it counts until it is dropped.
pub(super) struct OpenAttempt(watch::Sender<usize>);

impl Default for OpenAttempts {
    fn default() -> OpenAttempts {
        OpenAttempts(watch::Sender::new(0))
    }
}

impl OpenAttempts {
    pub(super) fn open(&self) -> OpenAttempt {
        self.0.send_modify(|open| *open += 1);
        OpenAttempt(self.0.clone())
    }

    pub(super) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there is none.
    async fn closed(&self) {
        // The sender is ours, so it is never gone.
        drop(self.0.subscribe().wait_for(|open| *open == 0).await);
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Engine {
    /// Begins nothing any more, and ends when nothing is under way. What may be cut is waited for as long
    /// as `drain` says, then open attempts alone. What is not finished by the end is what a crash would
    /// leave, and is taken up at the next start.
    pub async fn stop(&self, drain: Drain) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        self.inner.due.notify_one();
        self.inner.waiters.wake_all();
        wait(drain, self.inner.places.drained(), &self.inner.attempts).await;
        self.inner.stopped.store(true, Ordering::SeqCst);
        let mut tasks =
            std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        let dispatching =
            self.inner.dispatching.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = async { Some(dispatching?.await) }.await {
            tracing::error!(%error, "taking up what is due broke off");
        }
    }

    pub(super) fn stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::SeqCst)
    }

    /// Whether what cannot be stored is given up: what was observed of a spend when the drain has ended,
    /// everything else, which can be read again, when it begins.
    pub(super) fn gives_up(&self, spend: bool) -> bool {
        if spend { self.inner.stopped.load(Ordering::SeqCst) } else { self.stopping() }
    }

    /// How many attempts are open.
    pub fn open_attempts(&self) -> usize {
        self.inner.attempts.count()
    }
}

async fn wait(drain: Drain, at_rest: impl Future<Output = ()>, attempts: &OpenAttempts) {
    let reads = drain.reads.min(drain.attempts);
    if timeout(reads, at_rest).await.is_ok() {
        return;
    }
    tracing::warn!(after = ?reads, "operations are still under way; they go on at the next start");
    let open = attempts.count();
    if open == 0 {
        return;
    }
    tracing::info!(open, limit = ?drain.attempts, "waiting for open attempts");
    if timeout(drain.attempts - reads, attempts.closed()).await.is_err() {
        let open = attempts.count();
        tracing::error!(
            open, limit = ?drain.attempts,
            "the drain limit has passed; the outcome of open attempts is searched for at the next start"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{Drain, OpenAttempts, wait};

    const DRAIN: Drain =
        Drain { reads: Duration::from_secs(20), attempts: Duration::from_secs(185) };

    /// How long a stop takes while something is under way for ever, and attempts end after these seconds.
    async fn stopped_after(drain: Drain, attempts: &[u64]) -> Duration {
        let open = OpenAttempts::default();
        for after in attempts {
            let attempt = open.open();
            let after = Duration::from_secs(*after);
            tokio::spawn(async move {
                sleep(after).await;
                drop(attempt);
            });
        }
        let begin = Instant::now();
        wait(drain, pending(), &open).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn drain_ends_with_the_last_open_attempt_and_at_its_limit() {
        async fn check(drain: Drain, attempts: &[u64], expected: u64) {
            let took = stopped_after(drain, attempts).await.as_secs();
            assert_eq!(took, expected, "{drain:?} {attempts:?}");
        }
        check(DRAIN, &[], 20).await;
        check(DRAIN, &[5], 20).await;
        check(DRAIN, &[30], 30).await;
        check(DRAIN, &[30, 179], 179).await;
        check(DRAIN, &[30, 500], 185).await;
        let short = Drain { attempts: Duration::from_secs(7), ..DRAIN };
        check(short, &[30], 7).await;
    }

    #[tokio::test(start_paused = true)]
    async fn drain_ends_at_once_when_nothing_is_under_way() {
        let begin = Instant::now();
        wait(DRAIN, async {}, &OpenAttempts::default()).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
