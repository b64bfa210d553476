//! One watcher: what matches, then each change in commit order, with heartbeats between. It reads the
//! journal and must not write it; a slow reader costs a bounded queue and is ended in time.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::StreamExt as _;
use purveyor_sdk::v1::watch_operations_response::Event;
use purveyor_sdk::v1::{ErrorReason, OperationFilter, WatchOperationsResponse};
use purveyor_sdk::{Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::filter;
use super::shown::shown;
use super::token::{Cursor, fingerprint, open_watch, seal_watch};
use crate::api::arrival::Arrival;
use crate::api::limits::{
    DEADLINE_MARGIN, WATCH_BEHIND_MAX, WATCH_HEARTBEAT, WATCH_PAGE, WATCH_QUEUE,
};
use crate::engine::page_token::PageTokens;
use crate::engine::{Caller, Engine, wall_at};
use crate::plugin::Clock;
use crate::store::operation::Operation;
use crate::store::{Query, Store};

/// One watcher.
pub(super) struct Watch {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tokens: PageTokens,
    caller: Caller,
    query: Query,
    list: Vec<u8>,
    arrival: Arrival,
}

/// Why a watcher's stream ends.
enum End {
    /// Nobody reads any more, or the server stops: there is nothing to say.
    Quiet,
    /// The reader is told.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Watch {
    /// A watcher of what the filter names.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION when the filter names what does not exist.
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tokens: PageTokens,
        arrival: Arrival,
        filter: Option<OperationFilter>,
    ) -> Result<Self> {
        let caller = arrival.call().caller;
        let mut query = filter::query(filter.as_ref())?;
        query.limit = WATCH_PAGE;
        if !caller.operator {
            query.owner = Some(caller.owner.clone());
        }
        Ok(Self {
            store,
            clock,
            tokens,
            list: fingerprint(&caller, filter.as_ref()),
            caller,
            query,
            arrival,
        })
    }

    /// Watches what was accepted under each id of the provider that the filter names.
    #[must_use]
    pub(super) fn at_all_ids(mut self, engine: &Engine) -> Self {
        engine.at_all_ids(&mut self.query);
        self
    }

    /// Begins, or goes on after `resume_token`.
    ///
    /// # Errors
    ///
    /// PAGE_TOKEN_INVALID, RESUME_TOKEN_EXPIRED, STORE_UNAVAILABLE.
    pub(super) async fn begin(
        self,
        resume_token: &str,
    ) -> Result<impl Stream<Item = Result<WatchOperationsResponse>> + Send + use<>> {
        let kept = self.store.positions().await?;
        let cursor = if resume_token.is_empty() {
            // Taken before anything is listed: what changes meanwhile is sent again, never missed.
            Cursor { position: kept.last, listing: Some(None) }
        } else {
            open_watch(&self.tokens, &self.list, resume_token, self.clock.wall(), kept)?
        };
        let (queue, events) = mpsc::channel(WATCH_QUEUE);
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            let mut sender =
                Sender { watch: self, cursor, queue, seen: cursor.position, caught_up: false };
            if let Err(End::Failed(error)) = sender.run().await {
                // Who does not read any more is not told.
                drop(end.send(error));
            }
        });
        let ending = futures_util::stream::once(ended)
            .filter_map(|ended| std::future::ready(ended.ok().map(Err)));
        Ok(ReceiverStream::new(events).map(Ok).chain(ending))
    }
}

/// The task behind a watcher's stream.
struct Sender {
    watch: Watch,
    cursor: Cursor,
    queue: mpsc::Sender<WatchOperationsResponse>,
    /// The last change known to exist.
    seen: u64,
    /// Whether everything that was there has been sent; who is still catching up is not behind.
    caught_up: bool,
}

impl Sender {
    /// Sends until nobody reads, the deadline comes or the reader is too far behind.
    async fn run(&mut self) -> std::result::Result<(), End> {
        self.list().await?;
        loop {
            let store = Arc::clone(&self.watch.store);
            let changes = store.changes(self.cursor.position, WATCH_PAGE).await?;
            let more = changes.len() == WATCH_PAGE;
            for change in changes {
                self.cursor.position = change.position;
                self.seen = self.seen.max(change.position);
                if filter::sends(&self.watch.query, &self.watch.caller, &change.operation) {
                    self.show(&change.operation).await?;
                }
            }
            if !more {
                self.caught_up = true;
                self.idle().await?;
            }
        }
    }

    /// Sends what matches, unless the reader had it all, and says that this was all.
    async fn list(&mut self) -> std::result::Result<(), End> {
        while let Some(after) = self.cursor.listing {
            let query = Query { after, ..self.watch.query.clone() };
            let rows = self.watch.store.list(&query).await?;
            for row in &rows {
                self.cursor.listing = Some(Some((row.create_time, row.request_id)));
                self.show(row).await?;
            }
            if rows.len() < WATCH_PAGE {
                self.cursor.listing = None;
                self.send(Event::Synchronized(true)).await?;
            }
        }
        Ok(())
    }

    /// Waits for the next change, with a heartbeat when none comes.
    async fn idle(&mut self) -> std::result::Result<(), End> {
        let store = Arc::clone(&self.watch.store);
        let heartbeat = Instant::now() + WATCH_HEARTBEAT;
        tokio::select! {
            () = store.changed(self.cursor.position) => Ok(()),
            () = sleep_until(heartbeat) => self.send(Event::Heartbeat(true)).await,
            () = self.queue.closed() => Err(End::Quiet),
            () = self.watch.arrival.left() => Err(End::Quiet),
            end = self.deadline() => Err(end),
        }
    }

    async fn show(&mut self, operation: &Operation) -> std::result::Result<(), End> {
        let (store, clock) = (&*self.watch.store, &*self.watch.clock);
        let shown = shown(operation, &self.watch.caller, |age| wall_at(store, clock, age));
        self.send(Event::Operation(shown)).await
    }

    /// Sends one event; while the reader is slow, watches how far it falls behind.
    async fn send(&mut self, event: Event) -> std::result::Result<(), End> {
        let watch = &self.watch;
        let now = watch.clock.wall();
        let message = WatchOperationsResponse {
            event: Some(event),
            resume_token: seal_watch(&watch.tokens, &watch.list, self.cursor, now),
        };
        loop {
            tokio::select! {
                biased;
                place = self.queue.reserve() => {
                    place.map_err(|_| End::Quiet)?.send(message);
                    return Ok(());
                }
                () = watch.store.changed(self.seen), if self.caught_up => {
                    self.seen = watch.store.positions().await?.last;
                    if self.seen.saturating_sub(self.cursor.position) > WATCH_BEHIND_MAX {
                        return Err(End::Failed(behind()));
                    }
                }
                () = watch.arrival.left() => return Err(End::Quiet),
                end = self.deadline() => return Err(end),
            }
        }
    }

    /// The caller's deadline, if there is one.
    async fn deadline(&self) -> End {
        match self.watch.arrival.deadline.and_then(|end| end.checked_sub(DEADLINE_MARGIN)) {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
        let message = "the call's deadline came; go on with the last resume token";
        End::Failed(Error::new(ErrorReason::DeadlineExceeded, message))
    }
}

fn behind() -> Error {
    let message = format!(
        "the reader is more than {WATCH_BEHIND_MAX} changes behind; go on with the last resume token"
    );
    // Going on with the token is another call, and safe at once; the same call would begin anew.
    Error::new(ErrorReason::Overloaded, message)
}
