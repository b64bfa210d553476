//! The store's own beat: it says that this process lives, learns who else does, what time it is on
//! the server and whether commits succeed, and removes what is too old. It must not know what the
//! store is used for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, interval, timeout};
use uuid::Uuid;

use super::doubt::Cluster;
use super::fault::Fault;
use super::row::Fields;
use super::session::Connection;
use super::write::{Turn, Work};
use super::{Shared, changes};
use crate::store::columns::timestamp;

/// How often it beats: how soon a server that is gone is told, and another replica is counted.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a beat may take before the store is held to be sick.
const BEAT_MAX: Duration = Duration::from_secs(5);

/// After so long without a beat a process is held to be gone.
const GONE: Duration = Duration::from_secs(10);

/// How often old changes are looked for. A minute more or less does not matter against seven days.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// What the last beat told.
pub(super) struct Pulse {
    replica: Uuid,
    last: Mutex<Beat>,
}

/// What time it was, and how many processes there were.
#[derive(Clone, Copy)]
struct Beat {
    /// On the server's clock, nanoseconds since 1970.
    time: i64,
    /// At that moment on this machine's clock, which counts from its boot and is never set.
    boot: Duration,
    replicas: u32,
}

impl Pulse {
    /// The first beat, without which nothing is begun: so every process is counted before it works.
    pub(super) async fn begin(connection: &Connection) -> Result<Self, Fault> {
        let replica = Uuid::new_v4();
        Ok(Self { replica, last: Mutex::new(beat(connection, replica).await?) })
    }

    /// The time on the server's clock, as far as it is known from here: the server's at the last
    /// beat, and what has passed on this machine since.
    pub(super) fn now(&self) -> Timestamp {
        let last = self.last();
        let since = i64::try_from(since_boot().saturating_sub(last.boot).as_nanos());
        timestamp(last.time.saturating_add(since.unwrap_or(i64::MAX)))
    }

    /// How many processes share the store, this one included.
    pub(super) fn replicas(&self) -> u32 {
        self.last().replicas
    }

    fn last(&self) -> Beat {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A beat as a write, so that it proves that commits succeed.
struct Beating(Uuid);

#[async_trait]
impl Work for Beating {
    type Output = Beat;

    async fn run(&self, connection: &Connection) -> Result<Turn<Beat>, Fault> {
        Ok(Turn::Keep(beat(connection, self.0).await?, None))
    }
}

async fn beat(connection: &Connection, replica: Uuid) -> Result<Beat, Fault> {
    let sql = "WITH clock AS (\
               SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS time), \
               gone AS (DELETE FROM replicas USING clock \
               WHERE seen_time < clock.time - $2 AND replica <> $1), \
               beat AS (INSERT INTO replicas (replica, seen_time) SELECT $1, time FROM clock \
               ON CONFLICT (replica) DO UPDATE SET seen_time = excluded.seen_time) \
               SELECT clock.time, 1 + (SELECT count(*) FROM replicas \
               WHERE replica <> $1 AND seen_time >= clock.time - $2) FROM clock";
    let statement = connection.prepare_cached(sql).await?;
    let gone = i64::try_from(GONE.as_nanos()).unwrap_or(i64::MAX);
    let before = since_boot();
    let row = connection.query_one(&statement, &[&replica, &gone]).await?;
    let after = since_boot();
    let mut fields = Fields::of(&row);
    let time = fields.value()?;
    let replicas = u32::try_from(fields.value::<i64>()?).unwrap_or(u32::MAX);
    // The server looked at its clock somewhere between.
    Ok(Beat { time, boot: before + after.saturating_sub(before) / 2, replicas })
}

/// Beats for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pruned: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let beating = Arc::clone(&shared).write(Beating(shared.pulse.replica));
        match timeout(BEAT_MAX, beating).await {
            Ok(Ok(beat)) => {
                *shared.pulse.last.lock().unwrap_or_else(PoisonError::into_inner) = beat;
            }
            Ok(Err(error)) => tracing::warn!(%error, "the store does not commit"),
            Err(_) => {
                shared.became(false);
                tracing::warn!("the store does not answer");
            }
        }
        look(&shared).await;
        if pruned.is_none_or(|last| last.elapsed() >= PRUNE_INTERVAL) {
            // More may be left; the next beat goes on.
            let more = shared.sessions.read(async |c| changes::prune(c).await).await;
            pruned = (more != Ok(true)).then(Instant::now);
        }
    }
}

/// Whether it is still the same server, and whether an operator has approved another.
async fn look(shared: &Shared) {
    let looked = shared.sessions.read(async |connection| {
        let cluster = Cluster::of(connection).await?;
        Ok(shared.doubts.see(connection, cluster).await?)
    });
    match looked.await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            shared.became(false);
            tracing::error!(why, "the store is not used");
        }
        // The next beat tells of it.
        Err(error) => tracing::debug!(%error, "the store was not looked at"),
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // The kernel never gives a negative time since boot.
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}
