//! The place that a call is made from: whoever limits how much is at work learns when a call waits for
//! something else than its upstream, and whether the upstream answers. It must not know who counts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// An answer that takes longer than this is as good as none to whoever waits for the place.
const PROMPT: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// A task works on one operation at a time, and every call that it makes belongs to that. Reads of
    /// callers have none.
    static CURRENT: Arc<dyn WorkSlot>;
}

/// A place among those at work.
#[async_trait]
pub trait WorkSlot: std::fmt::Debug + Send + Sync {
    /// The work waits for a rate, a lock or a backoff: others may have the place meanwhile, unless a
    /// request of this work is under way.
    fn pause(&self);

    /// A request is about to be sent: waits for a place where there is none any more.
    async fn resume(&self);

    /// A request that [`WorkSlot::resume`] let through is under way no more.
    fn request_ended(&self);

    /// Whether the upstream answered a request.
    fn answered(&self, answered: bool);
}

/// Works from a place.
pub async fn work_from<F: Future>(slot: Arc<dyn WorkSlot>, work: F) -> F::Output {
    CURRENT.scope(slot, work).await
}

/// This task waits for something else than an upstream's answer.
pub fn pause_work() {
    if let Some(slot) = current() {
        slot.pause();
    }
}

/// The place of this task; `None`: nobody counts what it does.
pub(super) fn current() -> Option<Arc<dyn WorkSlot>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Tells whether a request was answered that took so long.
pub(super) fn tell(slot: Option<&Arc<dyn WorkSlot>>, answered: bool, took: Duration) {
    if let Some(slot) = slot {
        slot.answered(answered && took < PROMPT);
    }
}
