//! How far the log of changes can be shown, and who waits for more. It looks when something was
//! committed here, when another replica says so (NOTIFY), and again and again in case nobody said
//! anything. It must not be trusted to be prompt: what it tells is true, and may be late.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;

use super::Shared;
use super::changes::{self, Place};
use super::fault::{self, RoundTripError};
use super::session::{CONNECT_MAX, bounded};
use crate::store::Positions;

/// How often it is looked when nobody says anything.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How soon it is looked again when something of ours is committed and cannot be shown yet, at
/// first; each time it doubles.
const LOOK_SOON: Duration = Duration::from_millis(1);

/// How long a reader waits until what this process was told is committed can be shown. A long
/// transaction of somebody else keeps it back, and readers do not wait for that.
const OWN_MAX: Duration = Duration::from_secs(1);

/// How long until a lost listener is replaced.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// How often the listener's connection is tried, which nothing else is asked of.
const LISTENER_CHECK: Duration = Duration::from_secs(10);

/// What is known of the log.
pub(super) struct News {
    shown: watch::Sender<i64>,
    /// The last change that was acknowledged here.
    own: AtomicI64,
    /// Something was committed, here or elsewhere.
    look: Notify,
    /// Something was committed here, and others shall hear of it.
    tell: Notify,
}

impl News {
    /// Shown is what was there at the start.
    pub(super) fn new(last: i64) -> Self {
        let shown = watch::Sender::new(last);
        Self { shown, own: AtomicI64::new(0), look: Notify::new(), tell: Notify::new() }
    }

    /// A change was committed here.
    pub(super) fn committed(&self, place: Place) {
        self.own.fetch_max(place.position, Ordering::SeqCst);
        self.look.notify_one();
        self.tell.notify_one();
    }

    /// Waits until a change beyond `position` can be shown.
    pub(super) async fn changed(&self, position: u64) {
        let beyond = |last: &i64| u64::try_from(*last).is_ok_and(|last| last > position);
        // The sender lives as long as this does, so this ends only with a change.
        self.shown.subscribe().wait_for(beyond).await.ok();
    }

    /// Waits, a bounded time, until what was acknowledged here can be shown.
    pub(super) async fn own_shown(&self) {
        let own = self.own.load(Ordering::SeqCst);
        let mut shown = self.shown.subscribe();
        // Afterwards it is shown as it is.
        timeout(OWN_MAX, shown.wait_for(|last| *last >= own)).await.ok();
    }

    fn saw(&self, positions: Positions) -> bool {
        let last = i64::try_from(positions.last).unwrap_or(i64::MAX);
        self.shown.send_if_modified(|shown| {
            let further = *shown < last;
            *shown = last.max(*shown);
            further
        });
        last >= self.own.load(Ordering::SeqCst)
    }
}

/// Looks for ever.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut pause = LOOK_AGAIN;
    loop {
        // Where nobody says anything it is simply looked.
        timeout(pause, shared.news.look.notified()).await.ok();
        let seen = shared.sessions.read(async |c| changes::positions(c).await).await;
        pause = match seen {
            Ok(positions) if shared.news.saw(positions) => LOOK_AGAIN,
            Ok(_) if pause == LOOK_AGAIN => LOOK_SOON,
            Ok(_) => (pause * 2).min(LOOK_AGAIN / 2),
            // The health tells of it.
            Err(_) => LOOK_AGAIN,
        };
    }
}

/// Tells other replicas that something was committed, once for all that was committed while it told.
pub(super) async fn tell(shared: Arc<Shared>) {
    loop {
        shared.news.tell.notified().await;
        let told = shared
            .sessions
            .read(async |connection| Ok(connection.batch_execute("NOTIFY purveyor").await?))
            .await;
        if let Err(error) = told {
            // They look by themselves.
            tracing::debug!(%error, "other replicas were not told of changes");
        }
    }
}

/// Listens to other replicas, over a connection of its own that is replaced when it ends.
pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        if let Err(error) = listen_once(&shared).await {
            tracing::debug!(error = fault::text(&error), "changes of others are not listened to");
        }
        sleep(LISTEN_AGAIN).await;
    }
}

/// Listens until the connection ends or a server that is asked now and then does not answer.
async fn listen_once(shared: &Shared) -> Result<(), RoundTripError> {
    let (server, tls) = shared.sessions.server();
    let connected = timeout(CONNECT_MAX, server.connect(tls.clone())).await;
    let (client, mut connection) =
        connected.map_err(|_| RoundTripError::Timeout(CONNECT_MAX))??;
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
    let listening = async {
        bounded(client.batch_execute("LISTEN purveyor")).await?;
        loop {
            sleep(LISTENER_CHECK).await;
            bounded(client.batch_execute("")).await?;
        }
    };
    let mut listening = std::pin::pin!(listening);
    loop {
        let message = tokio::select! {
            ended = &mut listening => return ended,
            message = messages.next() => message,
        };
        match message {
            Some(Ok(AsyncMessage::Notification(_))) => shared.news.look.notify_one(),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(()),
        }
    }
}
