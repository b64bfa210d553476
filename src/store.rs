//! The journal: the one place where operations, what they hold and what they claim are kept.
//!
//! A store knows rows and uniqueness, not the protocol of a spend: it commits what the engine decided,
//! whole or not at all, and says exactly why not. SQL stands only behind this trait.

pub mod age;
pub mod backup;
pub mod confirmation;
pub mod operation;
pub mod postgres;
pub mod sqlite;

mod columns;
mod due;
mod encoding;
mod heartbeat;
mod witness;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::Service;
use purveyor_sdk::v1::operation::State;
use uuid::Uuid;

pub use self::due::{DueQueue, Lease, Share, Take, Wakes};

use self::age::{Age, AgeReading};
use self::confirmation::LostTime;
use self::operation::{Claim, HeldClaim, Lock, NewClaim, Observation, Operation, Origin};

/// The most rows that one listing returns.
pub const PAGE_MAX: usize = 200;

/// Where operations are kept. Every method may be called from any task; none holds a transaction
/// across a call. A commit that returned `Ok` survives kill -9 and power loss.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores a new operation with its locks, or shows why not. Atomic. A request id whose operation was
    /// pruned is never stored again.
    ///
    /// The operation's version is 1. May be repeated: a request id that is stored already answers
    /// `Exists`, whatever it carries; the caller compares fingerprints.
    async fn accept(&self, new: NewOperation) -> Result<Accepted, StoreError>;

    /// Replaces an operation, its locks and its attempts, adds and closes claims, and puts services on
    /// record. Atomic: all of `change` or nothing, but for its observation, which is stored whatever the
    /// answer is, unless that attempt has one already.
    ///
    /// Requires: `change.operation.version` is the stored version plus one, and no stored attempt is
    /// missing. A stored terminal operation is replaced only by one in the same state. Where an
    /// observation is stored that neither the stored nor the new attempts reflect, the change is stale:
    /// whoever made it did not know of it. Of several, a change that reflects one may leave those that its
    /// operation was read with ([`Attempt::unapplied`](operation::Attempt::unapplied)). Claims date from
    /// `change.operation.update_age`; a lease stays as it is.
    async fn commit(&self, change: Change) -> Result<Committed, StoreError>;

    /// Stores what the host observed of an attempt, unless that attempt has an observation already, and
    /// makes the operation due. May be repeated.
    async fn observe(
        &self,
        request_id: Uuid,
        observation: Observation,
        now: Age,
    ) -> Result<(), StoreError>;

    /// One operation. That there is none is certain: while a commit that may store it is under way and does
    /// not end, the answer is [`StoreError::Ambiguous`].
    async fn get(&self, request_id: Uuid) -> Result<Option<Operation>, StoreError>;

    /// Operations that match, newest first by (create_time, request_id).
    async fn list(&self, query: &Query) -> Result<Vec<Operation>, StoreError>;

    /// Takes operations whose `wake_time` has come and that nobody has leased, for `lease`: until it ends or
    /// is given back nobody is given them, not even the same replica. Of each share's queue those that are
    /// due longest come first; the shares come in their order. At most [`PAGE_MAX`] of each. A lease
    /// decides who tries, never whether a spend is allowed.
    ///
    /// What waits for its upstream is not among them, so that no amount of it stands before the rest.
    async fn take_due(&self, take: &Take) -> Result<Vec<Operation>, StoreError>;

    /// As [`Store::take_due`], of those that wait for their upstream.
    async fn take_waiting(&self, take: &Take) -> Result<Vec<Operation>, StoreError>;

    /// Goes on holding what the lease's replica was given, until the lease's new end. What it does not
    /// hold any more stays as it is.
    async fn renew(&self, lease: &Lease, request_ids: &[Uuid]) -> Result<(), StoreError>;

    /// Gives leases back, so that others may take the operations at once.
    async fn release(&self, replica: Uuid, request_ids: &[Uuid]) -> Result<(), StoreError>;

    /// When there will next be something to take: the earliest `wake_time` of each queue, where a lease
    /// that ends later counts until its end. It reads one row of each, however many are due.
    async fn wakes(&self) -> Result<Wakes, StoreError>;

    /// Operations in `Accepted` or `Running`, leased or not, whose `start_before` is earlier than `before`, by
    /// (start_before, request_id), after `after`; at most [`PAGE_MAX`]. Within a second the order is any
    /// that stays the same, and some of the second of `before` may come with a later call.
    async fn unstarted(
        &self,
        before: Timestamp,
        after: Option<(Timestamp, Uuid)>,
    ) -> Result<Vec<Operation>, StoreError>;

    /// Operations in `Running` that nobody has leased at `now`, oldest first: whoever worked on them
    /// may be dead. An embedded store ends all leases when it is opened, so there it is everything
    /// that an earlier process left.
    async fn orphans(&self, now: Age) -> Result<Vec<Operation>, StoreError>;

    /// The operation that claims an upstream object; where that claim is closed, the last that did.
    async fn claimant(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError>;

    /// The open claims of one account on an identifier, of whatever kind, by kind.
    async fn open_claims(
        &self,
        account: &str,
        upstream_id: &str,
    ) -> Result<Vec<HeldClaim>, StoreError>;

    /// The identifiers of one account, of whatever kind, whose claims were closed at or after `since`:
    /// what they named is gone, and they may come back. Sorted, each once.
    async fn closed_ids(&self, account: &str, since: Age) -> Result<Vec<String>, StoreError>;

    /// The identifiers of one account, of whatever kind, that operations other than `except` claim,
    /// among those claimed at or after `since` and not closed before `closed_since`; sorted, each once.
    async fn claimed_ids(
        &self,
        account: &str,
        except: Uuid,
        since: Age,
        closed_since: Age,
    ) -> Result<Vec<String>, StoreError>;

    /// The newest identifiers of one kind of an account that are claimed, and were before `before`: the
    /// newest first, at most `limit`.
    async fn newest_claims(
        &self,
        account: &str,
        kind: &str,
        before: Age,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// How many open operations each provider has that has some.
    async fn open_by_provider(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Operations blocked by `request_id`, oldest first.
    async fn blocked_by(&self, request_id: Uuid) -> Result<Vec<Operation>, StoreError>;

    /// Operations that wait for another, whichever it is: those that wait for the same one side by side,
    /// oldest first. At most `limit`.
    async fn blocked(&self, limit: usize) -> Result<Vec<Operation>, StoreError>;

    /// Changes after `position`, in commit order, at most [`PAGE_MAX`]. Every acceptance and every
    /// commit of an operation is one change; the last one is kept for ever, others for seven days.
    async fn changes(&self, position: u64, limit: usize) -> Result<Vec<StoredChange>, StoreError>;

    /// The position of the last change and of the oldest change that is still kept.
    async fn positions(&self) -> Result<Positions, StoreError>;

    /// Waits until a change beyond `position` was committed, here or by another replica.
    async fn changed(&self, position: u64);

    /// Removes operations that ended before `ended` on both clocks, those that ended first, with their
    /// attempts; at most `limit` and [`PAGE_MAX`]. Tells how many. May be repeated.
    ///
    /// Their request ids, fingerprints and ends stay for good, and so do their claims. An operation stays
    /// while it is open, holds a lock or made the last change; watchers are no longer shown changes of
    /// what was removed.
    async fn prune(&self, ended: EndedBefore, limit: usize) -> Result<usize, StoreError>;

    /// Closes those claims that are still open and the same operation's, whatever their origin: their
    /// objects are gone. May be repeated.
    async fn close_claims(&self, closes: Vec<HeldClaim>, now: Age) -> Result<(), StoreError>;

    /// Puts a service on record, replacing what stood there. False, and nothing is done, where the stored
    /// record is of another version than `record`.
    async fn put_service(&self, record: ServiceRecord) -> Result<bool, StoreError>;

    /// One service on record.
    async fn service(
        &self,
        provider: &str,
        upstream_id: &str,
    ) -> Result<Option<ServiceRecord>, StoreError>;

    /// Services on record at a provider, in the order of their upstream ids' bytes, after `after`; at
    /// most [`PAGE_MAX`].
    async fn services(
        &self,
        provider: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ServiceRecord>, StoreError>;

    /// Puts on record whose account a provider is, and brings what older versions and other settings hold
    /// and claim for it under its key: claims under one of `formers`, unless their operation is one of
    /// a provider in `foreign`; and locks of operations that are still of the version that was read.
    /// One transaction. May be repeated. What is held or claimed under the key already stays as it is.
    async fn put_account(&self, adoption: AccountAdoption) -> Result<(), StoreError>;

    /// Whose account each provider was when it was told last.
    async fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError>;

    /// What this store is: an identity made with it, and the schema's version.
    fn identity(&self) -> &Identity;

    /// Whether commits succeed at present. After a failed commit it is false until one succeeds.
    fn healthy(&self) -> bool;

    /// Whether what is stored is still being looked through, so that nothing shall be spent yet. It
    /// passes within seconds.
    fn checking(&self) -> bool;

    /// The age of the store as this process knows it. It advances between heartbeats, and stands still
    /// when they fail.
    fn age(&self) -> AgeReading;

    /// Writes a heartbeat at once, so that the age is fresh. One is written every second without this.
    async fn heartbeat(&self) -> Result<(), StoreError>;

    /// How many processes use the store at the same time, this one included; `None`: it is this
    /// process's alone.
    fn replicas(&self) -> Option<u32>;

    /// Tells the other replicas of the store the digest of the configuration that this one runs with. Another
    /// one's that differs is logged.
    fn announce(&self, configuration: [u8; 32]);

    /// Why nothing may be spent although commits succeed: what was acknowledged earlier may be
    /// missing, because another copy of the store took its place, or because it is damaged. For
    /// operators.
    fn doubt(&self) -> Option<String>;

    /// The time of which commits may be missing, as an operator confirmed it; it may be over.
    fn lost_time(&self) -> Option<LostTime>;
}

/// What ended before this, on both clocks, is old enough to be removed: a wall clock that was set ahead
/// removes nothing, and neither does an age that was stored wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedBefore {
    /// By the store's age, which counts only the time that somebody watched.
    pub age: Age,
    /// By the wall clock.
    pub wall: Timestamp,
}

/// What stays of an operation that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// SHA-256 over caller, method and content.
    pub fingerprint: [u8; 32],
    /// How it ended.
    pub state: State,
    /// When it ended.
    pub end_time: Timestamp,
}

/// A new operation and what it holds.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// The row; version 1.
    pub operation: Operation,
    /// What it holds from the beginning.
    pub locks: Vec<Lock>,
    /// The replica that takes it at once, and until when; so the inline wait is local.
    pub lease: Option<Lease>,
    /// Services on record from now on, each of the version that was read.
    pub services: Vec<ServiceRecord>,
}

impl NewOperation {
    /// A new operation that holds nothing and that nobody takes at once.
    pub fn of(operation: Operation) -> NewOperation {
        NewOperation { operation, locks: Vec::new(), lease: None, services: Vec::new() }
    }
}

impl Query {
    /// The query for each of the providers, whose listings are merged into this one.
    fn of_each_provider(&self) -> Vec<Query> {
        let Some(provider) = &self.provider else { return vec![self.clone()] };
        let of = |provider: &String| Query {
            provider: Some(provider.clone()),
            formerly: Vec::new(),
            ..self.clone()
        };
        std::iter::once(provider).chain(&self.formerly).map(of).collect()
    }

    /// Whether an operation is at one of the providers.
    pub fn is_at(&self, provider: &str) -> bool {
        let Some(named) = &self.provider else { return true };
        named == provider || self.formerly.iter().any(|other| other == provider)
    }

    /// The states whose listings are merged into this one, each once, so that however many operations
    /// are in other states is all the same; `None` where what succeeded can match, which is nearly all
    /// there is, or where no state is named.
    fn apart(&self) -> Option<Vec<i32>> {
        if self.target.is_some() || self.ended_after.is_some() || self.states.is_empty() {
            // A target has few operations, and few have just ended.
            return None;
        }
        let terminal = [State::Succeeded, State::Failed, State::Cancelled];
        let wanted = |state: &&State| !(self.open_only && terminal.contains(state));
        let mut states: Vec<i32> =
            self.states.iter().filter(wanted).map(|state| *state as i32).collect();
        states.sort_unstable();
        states.dedup();
        (!states.contains(&(State::Succeeded as i32))).then_some(states)
    }
}

/// The first rows of listings that were made one after the other: an operation never changes its provider, so
/// none is missed and none comes twice.
fn newest(mut found: Vec<Operation>, query: &Query) -> Vec<Operation> {
    if !query.formerly.is_empty() {
        found.sort_unstable_by_key(|it| std::cmp::Reverse((it.create_time, it.request_id)));
        found.truncate(query.limit.min(PAGE_MAX));
    }
    found
}

/// What became of a new operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// It is stored.
    Stored,
    /// The request id is taken; this is its operation.
    Exists(Box<Operation>),
    /// The request id was that of an operation which was removed long after its end.
    Pruned(Pruned),
    /// A lock is held.
    Held {
        /// Which.
        lock: Lock,
        /// By whom.
        by: Uuid,
    },
    /// The stored record of a service is of another version than the one that was read.
    Outdated,
}

/// One atomic replacement.
#[derive(Clone, Debug)]
pub struct Change {
    /// The row as it shall be.
    pub operation: Operation,
    /// All that it holds from now on.
    pub locks: Vec<Lock>,
    /// What it claims from now on, beside what it claims already.
    pub claims: Vec<NewClaim>,
    /// Claims that are closed, where they are still open and the same operation's, whatever their origin:
    /// the objects are gone.
    pub closes: Vec<HeldClaim>,
    /// Services on record from now on, each of the version that was read.
    pub services: Vec<ServiceRecord>,
    /// What the host observed of one of the operation's attempts.
    pub observation: Option<Observation>,
    /// What becomes of the operation that a claim is taken from. A lock that somebody else holds stands
    /// against it as well.
    pub loser: Option<Box<Change>>,
}

impl Change {
    /// A change of the row alone, which holds nothing from now on.
    pub fn of(operation: Operation) -> Change {
        Change {
            operation,
            locks: Vec::new(),
            claims: Vec::new(),
            closes: Vec::new(),
            services: Vec::new(),
            observation: None,
            loser: None,
        }
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    /// It is stored.
    Done,
    /// The stored version is another one, the operation is terminal, or an observation is stored that
    /// the change does not reflect.
    Stale,
    /// A lock is held.
    Held {
        /// Which.
        lock: Lock,
        /// By whom.
        by: Uuid,
    },
    /// An upstream object belongs to another operation.
    Claimed {
        /// Which.
        claim: Claim,
        /// Whose.
        by: Uuid,
        /// How that is known; `None`: the claim is closed.
        open: Option<Origin>,
    },
    /// The stored record of a service is of another version than the one that was read.
    Outdated,
}

/// Which operations a listing shows. Empty fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Whose.
    pub owner: Option<String>,
    /// In one of these states.
    pub states: Vec<State>,
    /// At this provider.
    pub provider: Option<String>,
    /// Or at one of these, where a provider is named.
    pub formerly: Vec<String>,
    /// About this target.
    pub target: Option<String>,
    /// Of one of these writes.
    pub ops: Vec<Op>,
    /// Not done.
    pub open_only: bool,
    /// Accepted at or after this time.
    pub create_after: Option<Timestamp>,
    /// Done, and last changed after this time.
    pub ended_after: Option<Timestamp>,
    /// Only rows that come after this one in the order of the listing.
    pub after: Option<(Timestamp, Uuid)>,
    /// At most so many, and never more than [`PAGE_MAX`].
    pub limit: usize,
}

/// One change as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChange {
    /// Its place in commit order.
    pub position: u64,
    /// The operation, as it is now.
    pub operation: Operation,
}

/// What a watcher can still ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The oldest change kept; 0 when there is none.
    pub oldest: u64,
    /// The last change; 0 when there is none.
    pub last: u64,
}

/// A service on record.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRecord {
    /// The provider's id.
    pub provider: String,
    /// The upstream's identifier.
    pub upstream_id: String,
    /// The operation that put it here.
    pub operation: Uuid,
    /// What is known of it.
    pub service: Service,
    /// Of a record that was read: its version, from 1. Of one that is written: the version that it
    /// replaces; 0 where there was none.
    pub version: u64,
    /// Since when reads show that the upstream has it no more; `None`: the last read showed it, or there
    /// was none.
    pub gone_since: Option<Age>,
}

/// Whose account a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The provider's id.
    pub provider: String,
    /// The plugin's name.
    pub plugin: String,
    /// Where the account was told: scheme, host and port.
    pub origin: String,
    /// The account as it was told.
    pub identity: String,
    /// What its claims and locks belong to.
    pub key: String,
    /// When it was told.
    pub seen_time: Timestamp,
}

/// An account, and what shall belong to its key from now on.
#[derive(Clone, Debug)]
pub struct AccountAdoption {
    /// The account.
    pub record: AccountRecord,
    /// Accounts of claims that are this account's claims as well.
    pub formers: Vec<String>,
    /// Providers whose claims under `formers` are another account's.
    pub foreign: Vec<String>,
    /// Operations, the versions that were read, and what they hold as well.
    pub holders: Vec<(Uuid, u64, Vec<Lock>)>,
}

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Made with the store, for ever the same.
    pub store_id: Uuid,
    /// The version of its tables.
    pub schema_version: u32,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The commit did not happen, or the read could not be done.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Whether the commit happened is not known; it has to be read back.
    #[error("the store did not acknowledge a commit: {0}")]
    Ambiguous(String),
    /// What is stored cannot be understood.
    #[error("the store holds what cannot be understood: {0}")]
    Corrupt(String),
    /// What shall be stored breaks the contract or is beyond what can be stored; a defect of the
    /// caller. Nothing was committed, and trying again does not help.
    #[error("the store was asked for what it cannot hold: {0}")]
    Invalid(String),
}
