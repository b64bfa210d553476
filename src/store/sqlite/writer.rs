//! The one thread that owns the one writing connection: it commits what is queued in groups, empties the
//! log, writes heartbeats, learns whether the disk does its work, and prunes when there is time. It must
//! not know what a job writes.
//!
//! After a failed fsync the kernel may hold as written what the disk never got. Nothing is built upon
//! that here: what was not acknowledged is written again from its first byte, because the next
//! transaction begins in the log where the last good one ended; the log is emptied into the file again
//! from where an fsync of the file last succeeded; and what an earlier process left in the log is emptied
//! when the file is opened, before anything is added to it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{oneshot, watch};

use super::age;
use super::changes;
use super::fault::{self, Fault};
use super::health::Health;
use super::log::{LogError, WriteAheadLog};
use super::open;
use super::queue::{Queue, Queued};
use super::watch::FileWatch;
use crate::store::StoreError;
use crate::store::heartbeat::{AgeClock, PERIOD, PRUNE_INTERVAL};
use crate::store::witness::Witness;

/// How many writes may wait; a task beyond that waits for its place. A few groups, so that the
/// thread never runs dry and memory stays bounded.
const QUEUE_MAX: usize = 1024;

/// How many writes share one commit at most. More would save next to nothing and lengthen the wait
/// of the first.
const GROUP_MAX: usize = 256;

/// How often it is noted how far the journal is, while it grows: so much a copy of it can be older
/// without being seen.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a lost file is reported again.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// What a probe writes: enough to need space of its own, little enough to be cheap.
const PROBE_BYTES: i64 = 64 * 1024;

/// The way to the writer thread. Dropping it lets the thread finish what is queued, and waits for
/// that.
pub(super) struct Writer {
    /// `None` only while this is being dropped.
    queue: Option<Queue<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    last_change: watch::Receiver<u64>,
}

/// What the thread begins with.
pub(super) struct Start {
    /// The file's one path.
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) last_change: u64,
    /// Without one nothing is noted.
    pub(super) witness: Option<Witness>,
    pub(super) health: Arc<Health>,
    pub(super) watch: Arc<FileWatch>,
    pub(super) clock: Arc<AgeClock>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(start: Start) -> io::Result<Self> {
        let Start { path, connection, last_change, witness, health, watch, clock } = start;
        let (queue, jobs) = Queue::new(QUEUE_MAX);
        let (last_change, seen) = watch::channel(last_change);
        let turn = Turns {
            log: WriteAheadLog::new(&path),
            path,
            connection,
            jobs,
            health,
            watch,
            clock,
            last_change,
            witness,
            saved: false,
            reported: None,
            heartbeat: Some(Instant::now()),
            probed: None,
            pruned: None,
            noted: None,
            read: None,
        };
        let thread =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || turn.serve())?;
        Ok(Self { queue: Some(queue), thread: Some(thread), last_change: seen })
    }

    /// Runs `work` in a transaction and answers when it is committed.
    ///
    /// Once queued it is carried out even if the caller is gone. `work` looks before it writes:
    /// what it has written when it returns `Ok` is kept, and what it has written when it returns
    /// `Err` is taken back without harm to the others of its group.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let ended = || StoreError::Unavailable("the store is closing".to_owned());
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), result: None, answer });
        self.queue.as_ref().ok_or_else(ended)?.push(job).await?;
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::Ambiguous("the writer ended before it answered".to_owned()))
        })
    }

    /// Sees the position of the last committed change.
    pub(super) fn last_change(&self) -> watch::Receiver<u64> {
        self.last_change.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// One queued write, whatever it answers.
trait Job: Send {
    /// Does the work, inside a savepoint. Whether to keep what it wrote; an error is the
    /// database's.
    fn run(&mut self, connection: &Connection) -> Result<bool, rusqlite::Error>;

    /// Answers, now that it is known what became of the group.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Write<T, W> {
    work: Option<W>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Write<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<bool, rusqlite::Error> {
        let Some(work) = self.work.take() else { return Ok(false) };
        let result = match work(connection) {
            Ok(value) => Ok(value),
            Err(Fault::Job(error)) => Err(error),
            Err(Fault::Database(error)) => return Err(error),
        };
        let keep = result.is_ok();
        self.result = Some(result);
        Ok(keep)
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let not_run = || Err(StoreError::Unavailable("the write was not run".to_owned()));
        let Self { result, answer, .. } = *self;
        // Nobody listens when the caller is gone; what was committed stays committed.
        answer.send(committed.and_then(|()| result.unwrap_or_else(not_run))).ok();
    }
}

/// The thread's own side.
struct Turns {
    path: PathBuf,
    connection: Connection,
    jobs: Receiver<Queued<Box<dyn Job>>>,
    health: Arc<Health>,
    /// Behind the connection, because it keeps the file locked.
    watch: Arc<FileWatch>,
    log: WriteAheadLog,
    clock: Arc<AgeClock>,
    last_change: watch::Sender<u64>,
    witness: Option<Witness>,
    /// Whether the log was emptied into a file that is lost.
    saved: bool,
    reported: Option<Instant>,
    heartbeat: Option<Instant>,
    probed: Option<Instant>,
    pruned: Option<Instant>,
    noted: Option<Instant>,
    read: Option<Instant>,
}

/// A thread that ended, by a panic too, commits nothing more.
impl Drop for Turns {
    fn drop(&mut self) {
        self.health.ended();
    }
}

impl Turns {
    /// Until the queue is dropped and empty.
    fn serve(mut self) {
        loop {
            match self.jobs.recv_timeout(self.until_heartbeat()) {
                Ok(first) => {
                    self.commit_group(first.job);
                    self.empty_log();
                }
                // Also while nobody writes, because a reader that kept the log may have gone.
                Err(RecvTimeoutError::Timeout) if self.health.well() => self.empty_log(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.watch.check().is_err() {
                // No heartbeat is written, but its time passes: the next wait is as long as ever.
                if due(&mut self.heartbeat, PERIOD) {
                    self.save();
                }
                continue;
            }
            self.read();
            self.advance_age();
            self.probe();
            self.prune();
            if due(&mut self.noted, NOTE_INTERVAL) {
                self.note();
            }
        }
        if self.watch.check().is_err() {
            return self.save();
        }
        // The log is emptied into the database, so that a closed store is one file.
        if let Err(error) = open::empty_log(&self.connection) {
            tracing::warn!(%error, "the store was closed without a checkpoint");
        }
    }

    /// Learns whether the file can still be read, also while all that is needed of it is in memory.
    fn read(&mut self) {
        if self.health.well()
            && due(&mut self.read, PERIOD)
            && let Err(error) = self.watch.read()
        {
            self.health.unreadable();
            tracing::error!(%error, "database file cannot be read");
        }
    }

    /// Empties the log into a file that is lost, once, so that what was acknowledged stands in one file
    /// that can be put back, and a log that stays behind is not taken for that of another file. After
    /// that nothing is written: what stands at the path may belong to somebody else.
    fn save(&mut self) {
        if !self.watch.lost() {
            return;
        }
        // Whoever noticed it has reported it.
        let first = self.reported.is_none();
        if due(&mut self.reported, REPORT_INTERVAL) && !first {
            self.watch.report();
        }
        if !self.watch.usable() {
            // The log is all that is left, and closing would write it into an empty file.
            let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            if let Err(error) = self.connection.set_db_config(keep, true) {
                tracing::warn!(%error, "the log may be lost when the store is closed");
            }
            return;
        }
        if self.saved {
            return;
        }
        match self.empty_log_at_once() {
            Ok(true) => {
                self.saved = true;
                tracing::warn!("the log was written into the database file that was lost");
            }
            Ok(false) => {
                tracing::warn!("a reader keeps the log from being written into the lost file");
            }
            Err(error) => {
                tracing::error!(%error, "the log was not written into the database file that was lost");
            }
        }
    }

    /// Whoever waits for an answer does not wait for a reader too: it is tried again.
    fn empty_log_at_once(&self) -> Result<bool, rusqlite::Error> {
        self.connection.busy_timeout(Duration::ZERO)?;
        open::empty_log(&self.connection)
    }

    /// How long nothing but a job has to be done; how soon a sick store is found well, too.
    fn until_heartbeat(&self) -> Duration {
        self.heartbeat.map_or(Duration::ZERO, |last| PERIOD.saturating_sub(last.elapsed()))
    }

    /// Advances the store's age. A heartbeat proves nothing for what a full disk refused, which needs more
    /// room.
    fn advance_age(&mut self) {
        if !due(&mut self.heartbeat, PERIOD) {
            return;
        }
        if let Err(error) = age::commit(&self.connection, &self.clock) {
            self.health.not_committed(&error);
            tracing::warn!(%error, "the heartbeat was not committed");
        }
    }

    /// Takes what is queued behind the first job, commits all of it, and only then answers.
    fn commit_group(&mut self, first: Box<dyn Job>) {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = self.jobs.try_recv()
        {
            group.push(next.job);
        }
        let outcome = self.run_group(&mut group);
        // A lost file has a report of its own.
        if let Err(error) = &outcome
            && !self.watch.lost()
        {
            tracing::error!(%error, writes = group.len(), "the store did not commit");
        }
        for job in group {
            job.answer(outcome.clone());
        }
    }

    fn run_group(&self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        // A lost file gets nothing more.
        self.watch.check()?;
        let changes_before = self.connection.total_changes();
        let last_change = self.write_group(group).map_err(|error| {
            self.roll_back();
            self.health.not_committed(&error);
            fault::unavailable(&error)
        })?;
        self.connection.execute_batch("COMMIT").map_err(|error| {
            self.roll_back();
            self.health.not_committed(&error);
            fault::failed_commit(&error)
        })?;
        // What was committed into a file that is lost is forgotten at the next start. It is not
        // ambiguous either: reading it back would find it in that file.
        if self.watch.check().is_err() {
            self.watch.check_known()?;
        }
        // A commit that wrote nothing proves nothing.
        if self.connection.total_changes() != changes_before {
            self.health.committed();
        }
        self.last_change
            .send_if_modified(|last| std::mem::replace(last, last_change) != last_change);
        Ok(())
    }

    /// All but the COMMIT; tells the position of the last change.
    fn write_group(&self, group: &mut [Box<dyn Job>]) -> Result<u64, rusqlite::Error> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for job in group {
            self.execute("SAVEPOINT job")?;
            if !job.run(&self.connection)? {
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        changes::last(&self.connection)
    }

    fn execute(&self, sql: &str) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Ends a transaction that SQLite has not ended by itself.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the store did not roll back");
        }
    }

    /// Empties the log into the file once it is long.
    fn empty_log(&mut self) {
        if self.watch.check().is_err() {
            return;
        }
        match self.log.empty(&self.connection) {
            Ok(()) => {}
            Err(LogError::Unreadable(error)) => self.health.failed(&error),
            Err(LogError::NotEmptied(error)) => {
                self.health.not_emptied();
                tracing::error!(%error, "the store's log cannot be emptied into the file");
            }
        }
    }

    /// Tries, while the store is sick, all that a disk may fail at, to learn when it is well. That also
    /// overwrites what a failed commit may have left in the log.
    fn probe(&mut self) {
        if self.health.well() || !due(&mut self.probed, PERIOD) {
            return;
        }
        match self.try_disk() {
            Ok(()) => self.health.proven(),
            Err(error) => {
                self.health.failed(&error);
                tracing::warn!(%error, "the store is still sick");
            }
        }
    }

    /// Writes, empties the log into the file, and reads the file over a connection that knows nothing
    /// of it yet.
    fn try_disk(&self) -> Result<(), rusqlite::Error> {
        self.connection.execute("UPDATE meta SET probe = zeroblob(?1)", [PROBE_BYTES])?;
        self.connection.execute("UPDATE meta SET probe = NULL", [])?;
        open::empty_log(&self.connection)?;
        changes::last(&open::read_anew(&self.path)?).map(drop)
    }

    /// Removes some of the changes that are too old.
    fn prune(&mut self) {
        if !self.health.well() || !due(&mut self.pruned, PRUNE_INTERVAL) {
            return;
        }
        match changes::prune(&self.connection) {
            // More may be left; the next turn goes on.
            Ok(changes::PRUNE_MAX) => self.pruned = None,
            Ok(_) => {}
            Err(error) => {
                self.health.not_committed(&error);
                tracing::warn!(%error, "old changes were not pruned");
            }
        }
    }

    /// Notes how far the journal is.
    fn note(&mut self) {
        let last_change = *self.last_change.borrow();
        if let Some(witness) = &mut self.witness
            && let Err(error) = witness.note_position(last_change)
        {
            tracing::warn!(%error, "high-water mark not written");
        }
    }
}

/// Whether `interval` has passed since `last`, which is then now.
fn due(last: &mut Option<Instant>, interval: Duration) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|last| now.duration_since(last) >= interval);
    if due {
        *last = Some(now);
    }
    due
}
