//! The embedded store: one SQLite file, one thread that writes and a few that read. It must not be
//! shared between processes, and a lock on the file itself sees to that.
//!
//! What it costs: a write waits for one fsync, which it shares with all writes that are queued at
//! the same time; a read waits for nothing but a free reading thread and sees what was committed
//! before it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

pub use self::open::OpenError;

use self::age::BeginError;
use self::check::Check;
use self::fault::Fault;
use self::health::Health;
use self::integrity::IntegrityError;
use self::readers::Readers;
use self::watch::FileWatch;
use self::writer::{Start, Writer};
use super::age::{Age, AgeReading};
use super::confirmation::{Confirmation, Examination, LostTime};
use super::heartbeat::AgeClock;
use super::operation::{Claim, HeldClaim, Observation, Operation};
use super::witness::Witness;
use super::{
    Accepted, AccountAdoption, AccountRecord, Change, Committed, EndedBefore, Identity, Lease,
    NewOperation, Positions, Query, ServiceRecord, Store, StoreError, StoredChange, Take, Wakes,
};

mod accounts;
mod age;
mod backup;
mod changes;
mod check;
mod due;
mod fault;
mod health;
mod holdings;
mod integrity;
mod listing;
mod location;
mod lock;
mod log;
mod observations;
mod open;
mod operations;
mod queue;
mod readers;
mod retention;
mod row;
mod schema;
mod services;
mod watch;
mod writer;

/// What SQLite keeps beside a database while it is open: the log, and the log's index.
const LOG_SUFFIXES: [&str; 2] = ["-wal", "-shm"];

/// The file beside a database whose name ends with `suffix`.
fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A journal in one file. Dropping it finishes what is queued, closes the file and frees its lock;
/// that waits for the disk.
pub struct SqliteStore {
    // In the order in which they end: nobody reads, then nobody writes, then others may open it.
    check: Check,
    readers: Readers,
    writer: Writer,
    health: Arc<Health>,
    clock: Arc<AgeClock>,
    identity: Identity,
    doubt: Option<String>,
    lost: Option<LostTime>,
    /// Last, because it keeps the file locked until SQLite has closed it.
    watch: Arc<FileWatch>,
}

impl SqliteStore {
    /// Opens the store in a file, or makes it. Waits for the disk: not for an async task.
    ///
    /// Beside the file stand its log (`-wal`, `-shm`), the lock of earlier versions (`.lock`), how far it
    /// was (`.seen`) and when it was last found whole (`.whole`); all are made readable by the owner
    /// alone. Leases of an earlier process are over.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let opened = open::open(path)?;
        // Bound first, and so dropped last where something fails from here on.
        let watch = Arc::new(opened.watch);
        let open::Opened { path, writer, readers, check, .. } = opened;
        let fails = |error| failed(&path, error);
        let noted = integrity::noted(&path, &writer).map_err(fails)?;
        let file = integrity::witness_path(&path);
        let witnessed = Witness::read(&file).map_err(witness_fails(&path))?;
        let alert = integrity::alert(&writer, &noted, witnessed.as_ref(), &file);
        let alert = alert.map_err(|error| fails(error.into()))?;
        let lost = integrity::lost_time(&writer).map_err(fails)?;
        let doubt = alert.map(|alert| {
            let what = "stop the gateway and run `purveyor store confirm` once it was looked at";
            let doubt = format!("{alert}; {what}");
            tracing::error!(doubt, "nothing is spent");
            doubt
        });
        let (store_id, last_change) = (noted.store_id, noted.position);
        // Where the store is doubted, what was known before stays noted.
        let witness = match doubt {
            Some(_) => None,
            None => Some(Witness::begin(&file, noted).map_err(witness_fails(&path))?),
        };
        let clock = age::begin(&writer).map_err(|error| match error {
            BeginError::Machine(source) => OpenError::Machine(source),
            BeginError::Sqlite(source) => OpenError::Sqlite { path: path.clone(), source },
        })?;
        let clock = Arc::new(clock);
        let health = Arc::new(Health::new());
        let start = Start {
            path,
            connection: writer,
            last_change,
            witness,
            health: Arc::clone(&health),
            watch: Arc::clone(&watch),
            clock: Arc::clone(&clock),
        };
        Ok(Self {
            check,
            readers: Readers::start(readers, Arc::clone(&health), Arc::clone(&watch))
                .map_err(OpenError::Thread)?,
            writer: Writer::start(start).map_err(OpenError::Thread)?,
            health,
            clock,
            identity: Identity { store_id, schema_version: schema::VERSION },
            doubt,
            lost,
            watch,
        })
    }

    /// Looks through the file for damage, which takes as long as it is big, and changes nothing. Waits
    /// for the disk.
    ///
    /// # Errors
    ///
    /// [`OpenError::Corrupt`] with the first damage, and as [`SqliteStore::open`], also while a gateway
    /// has the file.
    pub fn look_through(path: &Path) -> Result<(), OpenError> {
        open::look_through(path)
    }

    /// What can be told of a file that may lack what was acknowledged. Waits for the disk.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`], also while a gateway has the file.
    pub fn examine(path: &Path) -> Result<Examination, OpenError> {
        let opened = open::open(path)?;
        examine(&opened)
    }

    /// Records what an operator decided about the file, which is trusted from then on; the alert that this
    /// ends is kept with it. Waits for the disk.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`], also while a gateway has the file.
    pub fn confirm(path: &Path, confirmation: Confirmation) -> Result<(), OpenError> {
        // All of it stays open, and so locked, until the confirmation is written.
        let opened = open::open(path)?;
        let (path, writer) = (&opened.path, &opened.writer);
        let alert = examine(&opened)?.alert.unwrap_or_default();
        let confirmation = Confirmation { alert, ..confirmation };
        integrity::confirm(writer, &confirmation).map_err(|error| failed(path, error))?;
        let noted = integrity::noted(path, writer).map_err(|error| failed(path, error))?;
        let witness = Witness::begin(&integrity::witness_path(path), noted);
        witness.map(drop).map_err(witness_fails(path))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, new: NewOperation) -> Result<Accepted, StoreError> {
        self.writer.write(move |connection| operations::accept(connection, &new)).await
    }

    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.writer.write(move |connection| operations::commit(connection, &change)).await
    }

    async fn observe(
        &self,
        request_id: Uuid,
        observation: Observation,
        now: Age,
    ) -> Result<(), StoreError> {
        self.writer
            .write(move |connection| {
                observations::observe(connection, request_id, &observation, now)
            })
            .await
    }

    async fn get(&self, request_id: Uuid) -> Result<Option<Operation>, StoreError> {
        self.readers.read(move |connection| listing::get(connection, request_id)).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Operation>, StoreError> {
        let query = query.clone();
        self.readers.read(move |connection| listing::list(connection, &query)).await
    }

    async fn take_due(&self, take: &Take) -> Result<Vec<Operation>, StoreError> {
        let take = take.clone();
        self.writer.write(move |connection| due::take(connection, &take)).await
    }

    async fn take_waiting(&self, take: &Take) -> Result<Vec<Operation>, StoreError> {
        let take = take.clone();
        self.writer.write(move |connection| due::take_waiting(connection, &take)).await
    }

    async fn renew(&self, lease: &Lease, request_ids: &[Uuid]) -> Result<(), StoreError> {
        let (lease, request_ids) = (*lease, request_ids.to_vec());
        self.writer.write(move |connection| due::renew(connection, &lease, &request_ids)).await
    }

    async fn release(&self, replica: Uuid, request_ids: &[Uuid]) -> Result<(), StoreError> {
        let request_ids = request_ids.to_vec();
        self.writer.write(move |connection| due::release(connection, replica, &request_ids)).await
    }

    async fn wakes(&self) -> Result<Wakes, StoreError> {
        self.readers.read(due::next).await
    }

    async fn unstarted(
        &self,
        before: Timestamp,
        after: Option<(Timestamp, Uuid)>,
    ) -> Result<Vec<Operation>, StoreError> {
        self.readers.read(move |connection| listing::unstarted(connection, before, after)).await
    }

    async fn orphans(&self, now: Age) -> Result<Vec<Operation>, StoreError> {
        self.readers.read(move |connection| listing::orphans(connection, now)).await
    }

    async fn claimant(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError> {
        let claim = claim.clone();
        self.readers.read(move |connection| holdings::claimant(connection, &claim)).await
    }

    async fn open_claims(
        &self,
        account: &str,
        upstream_id: &str,
    ) -> Result<Vec<HeldClaim>, StoreError> {
        let (account, upstream_id) = (account.to_owned(), upstream_id.to_owned());
        self.readers
            .read(move |connection| holdings::open_claims(connection, &account, &upstream_id))
            .await
    }

    async fn closed_ids(&self, account: &str, since: Age) -> Result<Vec<String>, StoreError> {
        let account = account.to_owned();
        self.readers.read(move |connection| holdings::closed_ids(connection, &account, since)).await
    }

    async fn claimed_ids(
        &self,
        account: &str,
        except: Uuid,
        since: Age,
        closed_since: Age,
    ) -> Result<Vec<String>, StoreError> {
        let account = account.to_owned();
        self.readers
            .read(move |connection| {
                holdings::claimed_ids(connection, &account, except, since, closed_since)
            })
            .await
    }

    async fn newest_claims(
        &self,
        account: &str,
        kind: &str,
        before: Age,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let (account, kind) = (account.to_owned(), kind.to_owned());
        self.readers
            .read(move |connection| {
                holdings::newest_claims(connection, &account, &kind, before, limit)
            })
            .await
    }

    async fn open_by_provider(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.readers.read(listing::open_by_provider).await
    }

    async fn blocked_by(&self, request_id: Uuid) -> Result<Vec<Operation>, StoreError> {
        self.readers.read(move |connection| listing::blocked_by(connection, request_id)).await
    }

    async fn blocked(&self, limit: usize) -> Result<Vec<Operation>, StoreError> {
        self.readers.read(move |connection| listing::blocked(connection, limit)).await
    }

    async fn changes(&self, position: u64, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        self.readers.read(move |connection| changes::after(connection, position, limit)).await
    }

    async fn positions(&self) -> Result<Positions, StoreError> {
        self.readers.read(changes::positions).await
    }

    async fn changed(&self, position: u64) {
        let mut last = self.writer.last_change();
        // The writer that sends lives as long as this store does, so this ends only with a change.
        last.wait_for(|last| *last > position).await.ok();
    }

    async fn prune(&self, ended: EndedBefore, limit: usize) -> Result<usize, StoreError> {
        self.writer.write(move |connection| retention::prune(connection, ended, limit)).await
    }

    async fn close_claims(&self, closes: Vec<HeldClaim>, now: Age) -> Result<(), StoreError> {
        self.writer.write(move |connection| holdings::close(connection, &closes, now)).await
    }

    async fn put_service(&self, record: ServiceRecord) -> Result<bool, StoreError> {
        self.writer.write(move |connection| services::put(connection, record)).await
    }

    async fn service(
        &self,
        provider: &str,
        upstream_id: &str,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let (provider, upstream_id) = (provider.to_owned(), upstream_id.to_owned());
        self.readers
            .read(move |connection| services::get(connection, &provider, &upstream_id))
            .await
    }

    async fn services(
        &self,
        provider: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ServiceRecord>, StoreError> {
        let (provider, after) = (provider.to_owned(), after.to_owned());
        self.readers
            .read(move |connection| services::after(connection, &provider, &after, limit))
            .await
    }

    async fn put_account(&self, adoption: AccountAdoption) -> Result<(), StoreError> {
        self.writer.write(move |connection| accounts::put(connection, &adoption)).await
    }

    async fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        self.readers.read(accounts::all).await
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn healthy(&self) -> bool {
        // Asked first, so that it is noticed also while something else is wrong.
        self.watch.check().is_ok() && self.health.well()
    }

    fn checking(&self) -> bool {
        self.check.checking()
    }

    fn age(&self) -> AgeReading {
        self.clock.reading()
    }

    async fn heartbeat(&self) -> Result<(), StoreError> {
        let clock = Arc::clone(&self.clock);
        let written = move |connection: &rusqlite::Connection| Ok(age::write(connection, &clock)?);
        self.clock.acknowledged(self.writer.write(written).await?);
        Ok(())
    }

    /// One process uses the file.
    fn announce(&self, _configuration: [u8; 32]) {}

    fn replicas(&self) -> Option<u32> {
        None
    }

    fn doubt(&self) -> Option<String> {
        self.doubt.clone().or_else(|| self.check.damage())
    }

    fn lost_time(&self) -> Option<LostTime> {
        self.lost
    }
}

fn examine(opened: &open::Opened) -> Result<Examination, OpenError> {
    let (path, writer) = (&opened.path, &opened.writer);
    let fails = |error| failed(path, error);
    let now = integrity::noted(path, writer).map_err(fails)?;
    let file = integrity::witness_path(path);
    let (witnessed, unreadable) = match Witness::read(&file) {
        Ok(witnessed) => (witnessed, None),
        Err(error) => (None, Some(format!("{} cannot be read: {error}", file.display()))),
    };
    let examined = integrity::examine(writer, &now, witnessed.as_ref(), &file).map_err(fails)?;
    Ok(Examination { alert: unreadable.or(examined.alert), ..examined })
}

fn failed(path: &Path, error: IntegrityError) -> OpenError {
    match error {
        IntegrityError::Io(source) => witness_fails(path)(source),
        IntegrityError::Database(Fault::Database(source)) => {
            OpenError::Sqlite { path: path.to_owned(), source }
        }
        IntegrityError::Database(Fault::Job(source)) => {
            OpenError::Unreadable { path: path.to_owned(), source }
        }
    }
}

fn witness_fails(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    |source| OpenError::Witness { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use purveyor_sdk::plugin::v1::Op;

    use tempfile::TempDir;
    use tokio::time::timeout;

    use jiff::Timestamp;

    use super::{Accepted, Age, NewOperation, Operation, SqliteStore, Store, StoreError, Uuid};

    /// An operation whose request takes so many bytes.
    fn operation(n: u128, bytes: usize) -> NewOperation {
        let time = Timestamp::UNIX_EPOCH;
        let operation = Operation {
            fingerprint: [0; 32],
            request: vec![1; bytes],
            start_before: time,
            wake_time: None,
            ..Operation::new(Uuid::from_u128(n), Op::CreateOrder, "", time, Age::from_nanos(0))
        };
        NewOperation::of(operation)
    }

    /// The most pages that the file may have from now on.
    async fn limit_pages(store: &SqliteStore, pages: i64) {
        let limit = move |connection: &rusqlite::Connection| {
            let limit = format!("PRAGMA max_page_count = {pages}");
            Ok(connection.query_one(&limit, [], |row| row.get::<_, i64>(0))?)
        };
        store.writer.write(limit).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_told_keeps_what_there_was_and_ends_by_itself() {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(&folder.path().join("journal.db")).unwrap();
        assert_eq!(store.accept(operation(1, 10)).await, Ok(Accepted::Stored));
        // SQLite takes the present size where the limit is below it.
        limit_pages(&store, 1).await;
        let refused = store.accept(operation(2, 1 << 20)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(!store.healthy());
        // A commit that writes nothing proves nothing.
        assert!(matches!(store.accept(operation(1, 10)).await, Ok(Accepted::Exists(_))));
        assert!(!store.healthy());
        assert_eq!(store.get(Uuid::from_u128(2)).await, Ok(None));
        assert!(store.get(Uuid::from_u128(1)).await.unwrap().is_some());

        let mut health = store.health.watch();
        limit_pages(&store, 1 << 30).await;
        // Nobody writes: the writer finds out alone.
        let well = health.wait_for(|sick| sick.well());
        let patience = Duration::from_secs(60);
        timeout(patience, well).await.expect("the store stays sick").unwrap();
        assert_eq!(store.accept(operation(2, 1 << 20)).await, Ok(Accepted::Stored));
        assert!(store.healthy());
    }

    #[tokio::test]
    async fn a_write_that_commits_ends_the_sickness_too() {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(&folder.path().join("journal.db")).unwrap();
        limit_pages(&store, 1).await;
        assert!(store.accept(operation(1, 1 << 20)).await.is_err());
        limit_pages(&store, 1 << 30).await;
        assert_eq!(store.accept(operation(1, 1 << 20)).await, Ok(Accepted::Stored));
        assert!(store.healthy());
    }

    #[tokio::test]
    async fn all_of_a_group_fail_with_the_one_that_fills_the_disk() {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(&folder.path().join("journal.db")).unwrap();
        limit_pages(&store, 1).await;
        // The writer is held until both are queued, so they make one group.
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (hold, held) = mpsc::channel::<()>();
        let holding = store.writer.write(move |_| {
            begin.send(()).ok();
            Ok(held.recv().is_ok())
        });
        let (mut holding, mut small, mut large) = (
            Box::pin(holding),
            Box::pin(store.accept(operation(1, 10))),
            Box::pin(store.accept(operation(2, 1 << 20))),
        );
        assert!(now(&mut holding).await.is_none());
        begun.await.unwrap();
        assert!(now(&mut small).await.is_none());
        assert!(now(&mut large).await.is_none());
        hold.send(()).unwrap();
        assert_eq!(holding.await, Ok(true));
        let (small, large) = tokio::join!(small, large);
        assert!(matches!(large, Err(StoreError::Unavailable(_))), "{large:?}");
        assert_eq!(small, large);
        assert_eq!(store.get(Uuid::from_u128(1)).await, Ok(None));
    }

    #[test]
    fn what_was_queued_is_finished_before_the_store_is_closed() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("journal.db");
        let store = SqliteStore::open(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (hold, held) = mpsc::channel::<()>();
        runtime.block_on(async {
            // Queued, and then their callers go away.
            let held = store.writer.write(move |_| Ok(held.recv().is_ok()));
            assert!(now(&mut Box::pin(held)).await.is_none());
            assert!(now(&mut Box::pin(store.accept(operation(1, 10)))).await.is_none());
        });
        hold.send(()).unwrap();
        drop(store);
        let store = SqliteStore::open(&path).unwrap();
        let found = runtime.block_on(store.get(Uuid::from_u128(1))).unwrap();
        assert!(found.is_some(), "a queued write was lost");
    }

    /// What a future answers when it is polled once: a write is queued by that, and not yet
    /// answered.
    async fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
