//! The store's heartbeat: it advances the store's age, says that this process lives, learns who else does
//! and whether commits succeed, and removes what is too old. It must not know what the store is used
//! for.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval, timeout};
use tokio_postgres::Row;
use uuid::Uuid;

use super::doubt::{Doubts, TIMELINE};
use super::fault::{self, Fault};
use super::open::OpenError;
use super::row::Fields;
use super::session::Connection;
use super::{Shared, changes};
use crate::store::StoreError;
use crate::store::age::{Age, AgeReading};
use crate::store::heartbeat::{AgeClock, Heartbeat, Machine, PERIOD, PRUNE_INTERVAL};

/// How long a heartbeat may take before the store is held to be sick.
const BEAT_MAX: Duration = Duration::from_secs(5);

/// How often it is looked where a new connection leads: so long a gateway may work on a server that was left.
const LOOK_ANEW: Duration = Duration::from_secs(5);

/// After so long without a heartbeat, by the store's age, a process is held to be gone.
const GONE: Duration = Duration::from_secs(10);

/// How often a heartbeat is tried again at once because another process came first.
const TRIES: u32 = 20;

/// What the last heartbeats told.
pub(super) struct Pulse {
    replica: Uuid,
    clock: AgeClock,
    /// The last acknowledged age, and on which timeline: no stored one there is less later. Another timeline
    /// may have stood still since.
    acknowledged: Mutex<Option<(Age, i64)>>,
    /// How many processes there were.
    replicas: AtomicU32,
    /// The digest of the configuration that this process runs with, once it is told.
    configuration: OnceLock<[u8; 32]>,
    /// The processes whose digest differs, as they were logged.
    differing: Mutex<BTreeMap<Uuid, Vec<u8>>>,
}

impl Pulse {
    /// The first heartbeat, without which nothing is begun: so every process is counted before it works.
    pub(super) async fn begin(connection: &Connection) -> Result<Self, OpenError> {
        let boot_id = |error| OpenError::Setup(format!("the boot id cannot be read: {error}"));
        let clock = AgeClock::new(true).map_err(boot_id)?;
        let pulse = Self {
            replica: Uuid::new_v4(),
            clock,
            acknowledged: Mutex::default(),
            replicas: AtomicU32::new(1),
            configuration: OnceLock::new(),
            differing: Mutex::default(),
        };
        let advanced = pulse.advance(connection, &Doubts::default()).await;
        advanced.map_err(|fault| OpenError::Server(fault.into_error().to_string()))?;
        Ok(pulse)
    }

    /// The age as it is known here.
    pub(super) fn age(&self) -> AgeReading {
        self.clock.reading()
    }

    fn acknowledged(&self) -> Option<(Age, i64)> {
        *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many processes share the store, this one included.
    pub(super) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }

    /// What is written with the next heartbeats. It is told once.
    pub(super) fn announce(&self, configuration: [u8; 32]) {
        self.configuration.get_or_init(|| configuration);
    }

    /// Says that this process lives at that age, and tells which others do, each with the digest of its
    /// configuration.
    async fn register(
        &self,
        connection: &Connection,
        age: Age,
    ) -> Result<BTreeMap<Uuid, Option<Vec<u8>>>, Fault> {
        let sql = "WITH gone AS (DELETE FROM replicas WHERE seen_time < $3 AND replica <> $1), \
                   alive AS (INSERT INTO replicas (replica, seen_time, configuration) \
                   VALUES ($1, $2, $4) ON CONFLICT (replica) DO UPDATE \
                   SET seen_time = excluded.seen_time, configuration = excluded.configuration) \
                   SELECT replica, configuration FROM replicas \
                   WHERE replica <> $1 AND seen_time >= $3";
        let statement = connection.prepare_cached(sql).await?;
        let (gone, age) = ((age - GONE).as_nanos(), age.as_nanos());
        let configuration = self.configuration.get().map(<[u8; 32]>::as_slice);
        let values: [super::row::Value<'_>; 4] = [&self.replica, &age, &gone, &configuration];
        let rows = connection.query(&statement, &values).await?;
        let others = rows.iter().map(|row| {
            let mut fields = Fields::of(row);
            Ok((fields.value()?, fields.value()?))
        });
        others.collect()
    }

    /// Logs each process that runs with another configuration, once for each change. One that has not told
    /// its digest yet, or is of an older version, is passed over.
    fn compare(&self, others: &BTreeMap<Uuid, Option<Vec<u8>>>) {
        let Some(ours) = self.configuration.get() else { return };
        let differs = |(id, theirs): (&Uuid, &Option<Vec<u8>>)| {
            let theirs = theirs.clone().filter(|theirs| theirs != ours)?;
            Some((*id, theirs))
        };
        let found: BTreeMap<Uuid, Vec<u8>> = others.iter().filter_map(differs).collect();
        let mut known = self.differing.lock().unwrap_or_else(PoisonError::into_inner);
        for (replica, theirs) in found.iter().filter(|(id, theirs)| known.get(*id) != Some(theirs))
        {
            tracing::warn!(
                configuration = hex::encode(ours), %replica, its_configuration = hex::encode(theirs),
                "replica runs with another configuration"
            );
        }
        if found.is_empty() && !known.is_empty() {
            tracing::info!(
                configuration = hex::encode(ours),
                "all replicas run with one configuration"
            );
        }
        *known = found;
    }

    /// Advances the age by compare-and-set, and counts the processes. Each statement commits by itself,
    /// so a process that is stopped between them delays no other.
    async fn advance(&self, connection: &Connection, doubts: &Doubts) -> Result<(), Fault> {
        for _ in 0..TRIES {
            let acknowledged = self.acknowledged();
            let (stored, timeline) = stored(connection).await?;
            let back = |(age, on): (Age, i64)| on == timeline && stored.age < age;
            if acknowledged.is_some_and(back) {
                doubts.age_went_back();
            }
            let next = self.clock.next(&stored);
            if write(connection, stored.age, &next).await? {
                self.clock.acknowledged(next);
                *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((next.age, timeline));
                let others = self.register(connection, next.age).await?;
                let replicas = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1);
                self.replicas.store(replicas, Ordering::Relaxed);
                self.compare(&others);
                return Ok(());
            }
        }
        Err(fault::contended().into())
    }
}

/// The last heartbeat that was stored, and the server's timeline.
async fn stored(connection: &Connection) -> Result<(Heartbeat, i64), Fault> {
    let sql = format!("SELECT age, boot_id, time_namespace, boot_ns, {TIMELINE} FROM meta");
    let statement = connection.prepare_cached(&sql).await?;
    let row: Row = connection.query_one(&statement, &[]).await?;
    let mut fields = Fields::of(&row);
    let age = Age::from_nanos(fields.value()?);
    let (boot_id, time_namespace): (Option<Uuid>, i64) = (fields.value()?, fields.value()?);
    let machine = boot_id.map(|boot_id| Machine { boot_id, time_namespace });
    Ok((Heartbeat { age, machine, boot_ns: fields.value()? }, fields.value()?))
}

/// Writes a heartbeat over the one of that age. False when another process came first.
async fn write(connection: &Connection, read: Age, next: &Heartbeat) -> Result<bool, Fault> {
    let sql = "UPDATE meta SET age = $1, boot_id = $2, time_namespace = $3, boot_ns = $4 \
               WHERE age = $5";
    let statement = connection.prepare_cached(sql).await?;
    let boot_id = next.machine.map(|machine| machine.boot_id);
    let time_namespace = next.machine.map_or(0, |machine| machine.time_namespace);
    let (age, read) = (next.age.as_nanos(), read.as_nanos());
    let values: [super::row::Value<'_>; 5] =
        [&age, &boot_id, &time_namespace, &next.boot_ns, &read];
    Ok(connection.execute(&statement, &values).await? == 1)
}

impl Shared {
    /// Writes one heartbeat. It is a commit, so it proves whether commits succeed.
    ///
    /// It runs on a task of its own, so that a caller who goes away does not cost a connection.
    pub(super) async fn heartbeat(self: &Arc<Self>) -> Result<(), StoreError> {
        let shared = Arc::clone(self);
        let advancing = tokio::spawn(async move {
            let Shared { sessions, pulse, doubts, .. } = &*shared;
            let advancing = sessions.read(async |c| pulse.advance(c, doubts).await);
            shared.in_time(advancing).await
        });
        let advanced = advancing
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the heartbeat broke off".to_owned())));
        self.became(advanced.is_ok());
        advanced
    }

    /// What a part of a heartbeat answers within [`BEAT_MAX`]. Its connection is closed where it does not.
    async fn in_time<T>(
        &self,
        part: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = timeout(BEAT_MAX, part).await;
        answer.unwrap_or_else(|_| {
            self.sessions.renew();
            let what = format!("the server did not answer within {BEAT_MAX:?}");
            Err(StoreError::Unavailable(what))
        })
    }
}

/// Writes heartbeats for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut pruned, mut anew): (Option<Instant>, Instant) = (None, Instant::now());
    loop {
        ticks.tick().await;
        let advanced = shared.heartbeat().await;
        if let Err(error) = &advanced {
            tracing::warn!(%error, "the store does not commit");
        }
        if anew.elapsed() >= LOOK_ANEW {
            anew = Instant::now();
            if let Err(error) = shared.sessions.check_anew().await {
                // Where none can be had any more, the next heartbeat tells of it.
                tracing::warn!(%error, "a new connection to the store is refused");
            }
        }
        look(&shared).await;
        note(&shared).await;
        if advanced.is_ok() && pruned.is_none_or(|last| last.elapsed() >= PRUNE_INTERVAL) {
            // More may be left; the next heartbeat goes on.
            let more = shared.sessions.read(async |c| changes::prune(c).await).await;
            pruned = (more != Ok(true)).then(Instant::now);
        }
    }
}

/// Whether it is still the same server, and whether an operator has approved another.
async fn look(shared: &Shared) {
    if shared.doubts.take_stale() {
        tracing::warn!(
            "the store is on another timeline: connections to the earlier server are closed"
        );
        shared.sessions.renew();
    }
    let looked = shared.sessions.read(async |connection| shared.doubts.see(connection).await);
    match shared.in_time(looked).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            // The others lead there as well.
            shared.sessions.renew();
            shared.became(false);
            tracing::error!(why, "the store is not used");
        }
        // The next heartbeat tells of it.
        Err(error) => tracing::debug!(%error, "the store was not looked at"),
    }
}

/// Notes how far the store is, where there is a witness.
async fn note(shared: &Shared) {
    let doubts = Arc::clone(&shared.doubts);
    // It waits for the disk.
    match tokio::task::spawn_blocking(move || doubts.note()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "high-water mark not written"),
        Err(error) => tracing::error!(%error, "writing the high-water mark broke off"),
    }
}
