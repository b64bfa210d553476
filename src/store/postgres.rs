//! The shared store: one PostgreSQL database, any number of gateways. It must not hold a transaction
//! or a lock while anybody thinks: each method is one transaction or one look.
//!
//! What keeps it safe are unique indexes and the version of a row; isolation is read committed. What
//! it costs: a write is a handful of round trips and one flush of the server's log; a read is one
//! round trip.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::config::Host;
use uuid::Uuid;

pub use self::open::OpenError;

use self::doubt::{Doubts, Look};
use self::due::{Release, Renew, TakeWaiting};
use self::fault::Fault;
use self::news::News;
use self::pulse::Pulse;
use self::retention::Prune;
use self::session::{Connection, Sessions};
use super::age::{Age, AgeReading};
use super::confirmation::{Confirmation, Examination, LostTime};
use super::operation::{Claim, HeldClaim, Observation, Operation};
use super::witness::Witness;
use super::{
    Accepted, AccountAdoption, AccountRecord, Change, Committed, EndedBefore, Identity, Lease,
    NewOperation, Positions, Query, ServiceRecord, Store, StoreError, StoredChange, Take, Wakes,
};

mod accounts;
mod backup;
mod changes;
mod confirmation;
mod doubt;
mod due;
mod fault;
mod holdings;
mod listing;
mod news;
mod observations;
mod open;
mod operations;
mod pooler;
mod pulse;
mod retention;
mod row;
mod services;
mod session;
mod text;
mod tls;
mod write;

/// Which database, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Hosts, database, user and password; its own mode of encryption is not looked at.
    pub server: tokio_postgres::Config,
    /// Whether TLS is spoken, and to whom.
    pub encryption: Encryption,
    /// The only certificate authorities to trust; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The most connections at a time, one that listens not counted.
    pub connections: usize,
    /// A file that remembers how far the store was, beside this gateway.
    pub witness_file: Option<PathBuf>,
}

impl PostgresConfig {
    /// Which database where, without a secret: for messages.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts = self.server.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        format!("database {} at {}", self.server.get_dbname().unwrap_or_default(), hosts.join(", "))
    }
}

/// Whether TLS is spoken, as PostgreSQL's own programs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Never.
    Disable,
    /// Where the server can; with anybody.
    Prefer,
    /// Always; with anybody, unless a file of authorities is given.
    Require,
    /// Always, and only with a server whose certificate is trusted and has its name.
    VerifyFull,
}

/// A journal in a database that others may use at the same time.
pub struct PostgresStore {
    shared: Arc<Shared>,
    identity: Identity,
    /// They end with the store.
    _tasks: JoinSet<()>,
}

/// What the store's tasks need.
struct Shared {
    sessions: Sessions,
    doubts: Arc<Doubts>,
    news: News,
    pulse: Pulse,
    healthy: watch::Sender<bool>,
}

impl PostgresStore {
    /// Opens the store in a database, or makes it there.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, is not fit or is not ours. May be repeated.
    pub async fn open(config: &PostgresConfig) -> Result<Self, OpenError> {
        // The first connection is not asked whether it is the store that was opened.
        let doubts = Arc::new(Doubts::default());
        let sessions = Sessions::new(config, Arc::clone(&doubts))?;
        let (connection, look) = open::open(&sessions).await?;
        let witness = config.witness_file.as_deref();
        doubts.open(&look, witness).map_err(|error| witness_fails(config, &error))?;
        let server = |error: StoreError| OpenError::Server(error.to_string());
        let pulse = Pulse::begin(&connection).await?;
        // It is closed: it was not checked as all others are.
        drop(connection);
        let last = sessions.read(async |c| changes::positions(c).await).await.map_err(server)?;
        let shared = Arc::new(Shared {
            sessions,
            doubts,
            news: News::new(i64::try_from(last.last).unwrap_or(i64::MAX)),
            pulse,
            healthy: watch::Sender::new(true),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(pulse::run(Arc::clone(&shared)));
        tasks.spawn(news::follow(Arc::clone(&shared)));
        tasks.spawn(news::tell(Arc::clone(&shared)));
        tasks.spawn(news::listen(Arc::clone(&shared)));
        let identity = Identity { store_id: look.meta.store_id, schema_version: open::VERSION };
        Ok(Self { shared, identity, _tasks: tasks })
    }

    /// What can be told of a database that may lack what was acknowledged.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::open`].
    pub async fn examine(config: &PostgresConfig) -> Result<Examination, OpenError> {
        let (connection, look) = open_unwatched(config).await?;
        examine(config, &connection, &look).await
    }

    /// Records what an operator decided about the database, which is trusted from then on; the alert that
    /// this ends is kept with it. Gateways that hold back spends go on within seconds.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::open`]; then nothing was recorded, unless it is the witness that cannot be
    /// written.
    pub async fn confirm(
        config: &PostgresConfig,
        confirmation: Confirmation,
    ) -> Result<(), OpenError> {
        let (connection, look) = open_unwatched(config).await?;
        let alert = examine(config, &connection, &look).await?.alert.unwrap_or_default();
        let confirmation = Confirmation { alert, ..confirmation };
        confirmation::confirm(&connection, &confirmation).await.map_err(failed)?;
        let Some(path) = &config.witness_file else { return Ok(()) };
        let look = Look::at(&connection, None).await?.map_err(OpenError::Server)?;
        let written = Witness::begin(path, look.noted());
        written.map(drop).map_err(|error| witness_fails(config, &error))
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

/// A database that is only looked at and confirmed.
async fn open_unwatched(config: &PostgresConfig) -> Result<(Connection, Look), OpenError> {
    let sessions = Sessions::new(config, Arc::new(Doubts::default()))?;
    open::open(&sessions).await
}

async fn examine(
    config: &PostgresConfig,
    connection: &Connection,
    look: &Look,
) -> Result<Examination, OpenError> {
    let (mut witnessed, mut unreadable) = (None, None);
    if let Some(path) = &config.witness_file {
        match Witness::read(path) {
            Ok(noted) => witnessed = noted,
            Err(error) => {
                unreadable = Some(format!("{} cannot be read: {error}", path.display()));
            }
        }
    }
    let examined = confirmation::examine(connection, look, witnessed.as_ref()).await;
    let examined = examined.map_err(failed)?;
    Ok(Examination { alert: examined.alert.or(unreadable), ..examined })
}

fn failed(fault: Fault) -> OpenError {
    OpenError::Server(fault.into_error().to_string())
}

fn witness_fails(config: &PostgresConfig, error: &std::io::Error) -> OpenError {
    let path = config.witness_file.clone().unwrap_or_default();
    OpenError::Witness { path, what: error.to_string() }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shared.sessions.close();
    }
}

impl Shared {
    fn became(&self, healthy: bool) {
        if self.healthy.send_replace(healthy) != healthy {
            tracing::warn!(healthy, "the store's health changed");
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, new: NewOperation) -> Result<Accepted, StoreError> {
        self.shared().write(new).await
    }

    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.shared().write(change).await
    }

    async fn observe(
        &self,
        request_id: Uuid,
        observation: Observation,
        now: Age,
    ) -> Result<(), StoreError> {
        self.shared().write(observations::Observe { request_id, observation, now }).await
    }

    async fn get(&self, request_id: Uuid) -> Result<Option<Operation>, StoreError> {
        self.shared.sessions.read(async |c| listing::known(c, request_id).await).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Operation>, StoreError> {
        self.shared.sessions.read(async |c| listing::list(c, query).await).await
    }

    async fn take_due(&self, take: &Take) -> Result<Vec<Operation>, StoreError> {
        self.shared().write(take.clone()).await
    }

    async fn take_waiting(&self, take: &Take) -> Result<Vec<Operation>, StoreError> {
        self.shared().write(TakeWaiting(take.clone())).await
    }

    async fn renew(&self, lease: &Lease, request_ids: &[Uuid]) -> Result<(), StoreError> {
        let renew = Renew { lease: *lease, request_ids: request_ids.to_vec() };
        self.shared().write(renew).await
    }

    async fn release(&self, replica: Uuid, request_ids: &[Uuid]) -> Result<(), StoreError> {
        self.shared().write(Release { replica, request_ids: request_ids.to_vec() }).await
    }

    async fn wakes(&self) -> Result<Wakes, StoreError> {
        self.shared.sessions.read(async |c| due::next(c).await).await
    }

    async fn unstarted(
        &self,
        before: Timestamp,
        after: Option<(Timestamp, Uuid)>,
    ) -> Result<Vec<Operation>, StoreError> {
        self.shared.sessions.read(async |c| listing::unstarted(c, before, after).await).await
    }

    async fn orphans(&self, now: Age) -> Result<Vec<Operation>, StoreError> {
        self.shared.sessions.read(async |c| listing::orphans(c, now).await).await
    }

    async fn claimant(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError> {
        self.shared.sessions.read(async |c| holdings::claimant(c, claim).await).await
    }

    async fn open_claims(
        &self,
        account: &str,
        upstream_id: &str,
    ) -> Result<Vec<HeldClaim>, StoreError> {
        self.shared
            .sessions
            .read(async |c| holdings::open_claims(c, account, upstream_id).await)
            .await
    }

    async fn closed_ids(&self, account: &str, since: Age) -> Result<Vec<String>, StoreError> {
        self.shared.sessions.read(async |c| holdings::closed_ids(c, account, since).await).await
    }

    async fn claimed_ids(
        &self,
        account: &str,
        except: Uuid,
        since: Age,
        closed_since: Age,
    ) -> Result<Vec<String>, StoreError> {
        self.shared
            .sessions
            .read(async |c| holdings::claimed_ids(c, account, except, since, closed_since).await)
            .await
    }

    async fn newest_claims(
        &self,
        account: &str,
        kind: &str,
        before: Age,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.shared
            .sessions
            .read(async |c| holdings::newest_claims(c, account, kind, before, limit).await)
            .await
    }

    async fn open_by_provider(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.shared.sessions.read(async |c| listing::open_by_provider(c).await).await
    }

    async fn blocked_by(&self, request_id: Uuid) -> Result<Vec<Operation>, StoreError> {
        self.shared.sessions.read(async |c| listing::blocked_by(c, request_id).await).await
    }

    async fn blocked(&self, limit: usize) -> Result<Vec<Operation>, StoreError> {
        self.shared.sessions.read(async |c| listing::blocked(c, limit).await).await
    }

    async fn changes(&self, position: u64, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        self.shared.news.own_shown().await;
        self.shared.sessions.read(async |c| changes::after(c, position, limit).await).await
    }

    async fn positions(&self) -> Result<Positions, StoreError> {
        self.shared.news.own_shown().await;
        self.shared.sessions.read(async |c| changes::positions(c).await).await
    }

    async fn changed(&self, position: u64) {
        self.shared.news.changed(position).await;
    }

    async fn prune(&self, ended: EndedBefore, limit: usize) -> Result<usize, StoreError> {
        self.shared().write(Prune { ended, limit }).await
    }

    async fn close_claims(&self, closes: Vec<HeldClaim>, now: Age) -> Result<(), StoreError> {
        self.shared().write(holdings::Close { closes, now }).await
    }

    async fn put_service(&self, record: ServiceRecord) -> Result<bool, StoreError> {
        self.shared().write(services::Put(record)).await
    }

    async fn service(
        &self,
        provider: &str,
        upstream_id: &str,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        self.shared.sessions.read(async |c| services::get(c, provider, upstream_id).await).await
    }

    async fn services(
        &self,
        provider: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ServiceRecord>, StoreError> {
        self.shared.sessions.read(async |c| services::after(c, provider, after, limit).await).await
    }

    async fn put_account(&self, adoption: AccountAdoption) -> Result<(), StoreError> {
        self.shared().write(adoption).await
    }

    async fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        self.shared.sessions.read(async |c| accounts::all(c).await).await
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn healthy(&self) -> bool {
        *self.shared.healthy.borrow()
    }

    /// The server looks after its own pages.
    fn checking(&self) -> bool {
        false
    }

    fn age(&self) -> AgeReading {
        self.shared.pulse.age()
    }

    async fn heartbeat(&self) -> Result<(), StoreError> {
        self.shared.heartbeat().await
    }

    fn replicas(&self) -> Option<u32> {
        Some(self.shared.pulse.replicas())
    }

    fn announce(&self, configuration: [u8; 32]) {
        self.shared.pulse.announce(configuration);
    }

    fn doubt(&self) -> Option<String> {
        self.shared.doubts.doubt()
    }

    fn lost_time(&self) -> Option<LostTime> {
        self.shared.doubts.lost_time()
    }
}
