//! The engine: accepts writes into the journal, carries them out at most once, and finds out what
//! became of those whose answer was lost.
//!
//! What may follow what stands in `machine`, and only there. A caller's task never spends: it stores
//! and waits, and the executor's own tasks do the rest, whatever becomes of the caller.

pub mod accept;
pub mod account;
pub mod blocker;
pub mod call;
mod committing;
pub mod drain;
pub mod executor;
mod expiry;
pub mod fields;
pub mod line;
pub mod listing;
pub mod look;
pub mod machine;
pub mod made_here;
pub mod naming;
mod observation;
pub mod operations;
pub mod options;
pub mod orders;
#[cfg(feature = "failpoints")]
mod other_gateway;
pub mod outcome;
pub mod page_token;
pub mod policy;
pub mod poll;
mod presume;
pub mod price;
pub mod products;
pub mod providers;
pub mod reading;
pub mod records;
pub mod renewals;
mod repeat;
mod replicas;
pub mod retention;
pub mod services;
pub mod step;
mod unconfigured;
mod unstored;
pub mod waiters;
pub mod writing;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{Timestamp, Unit};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::{Error, Result};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use self::account::Adopted;
use self::committing::Committing;
use self::drain::OpenAttempts;
use self::executor::Places;
use self::line::Lines;
use self::machine::{Backoff, Now, is_by_account};
use self::poll::PollPlaces;
use self::records::Gone;
use self::replicas::UnderWay;
use self::retention::RETENTION_MIN;
use self::unconfigured::Unconfigured;
use self::waiters::Waiters;
use crate::failpoint::{self, Place};
use crate::plugin::{Clock, Registry};
use crate::store::age::Age;
use crate::store::operation::{Claim, Lock, NewClaim, Operation};
use crate::store::{Change, Committed, Store, StoreError};

/// How the engine works; every field has a default that suits production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The most steps, polls and searches under way at a time: the places that accounts share. Each holds
    /// one upstream connection.
    pub concurrent_operations: usize,
    /// How long a replica may be silent before another may take over what it works on.
    pub lease: Duration,
    /// How attempts that may be repeated are spaced.
    pub retry: Backoff,
    /// How looks at an unknown outcome are spaced.
    pub look: Backoff,
    /// `start_before` of a write that names none.
    pub start_within: Duration,
    /// How long an operation is kept after it ended; at least [`RETENTION_MIN`].
    pub retention: Duration,
    /// Accept and store, but send nothing.
    pub hold: bool,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            concurrent_operations: 256,
            lease: Duration::from_secs(60),
            retry: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
            look: Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(60) },
            start_within: Duration::from_secs(600),
            retention: RETENTION_MIN,
            hold: false,
        }
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose operations they are; survives a rotated credential.
    pub owner: String,
    /// The credential that was used.
    pub actor: String,
    /// Whether the caller may see and resolve what needs a person.
    pub operator: bool,
}

impl Caller {
    /// Everybody who can reach a loopback address.
    pub fn local() -> Caller {
        Caller { owner: "local".into(), actor: "local".into(), operator: true }
    }
}

/// The engine. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    config: EngineConfig,
    store: Arc<dyn Store>,
    providers: Arc<Registry>,
    clock: Arc<dyn Clock>,
    /// This process among those that share the store.
    replica: Uuid,
    waiters: Waiters,
    adopted: Adopted,
    gone: Gone,
    committing: Committing,
    lines: Lines,
    /// Something may be due.
    due: Arc<Notify>,
    /// Where operations are worked on.
    places: Places,
    polls: PollPlaces,
    under_way: UnderWay,
    unconfigured: Unconfigured,
    /// Takes up what is due, and ends by itself when the engine stops.
    dispatching: Mutex<Option<JoinHandle<()>>>,
    /// What works until the engine has stopped.
    tasks: Mutex<JoinSet<()>>,
    /// The attempts that a stop waits for.
    attempts: OpenAttempts,
    stopping: AtomicBool,
    /// The drain has ended.
    stopped: AtomicBool,
}

impl Engine {
    /// Takes up what an earlier process left, and begins to work.
    ///
    /// # Errors
    ///
    /// When the store cannot tell what was left.
    pub async fn start(
        config: EngineConfig,
        store: Arc<dyn Store>,
        providers: Arc<Registry>,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, StoreError> {
        let due = Arc::new(Notify::new());
        let engine = Engine {
            inner: Arc::new(Inner {
                config,
                store,
                providers,
                clock,
                replica: Uuid::new_v4(),
                waiters: Waiters::default(),
                adopted: Adopted::default(),
                gone: Gone::default(),
                committing: Committing::default(),
                lines: Lines::default(),
                places: Places::new(config.concurrent_operations, Arc::clone(&due)),
                due,
                polls: PollPlaces::default(),
                under_way: UnderWay::default(),
                unconfigured: Unconfigured::default(),
                dispatching: Mutex::default(),
                tasks: Mutex::default(),
                attempts: OpenAttempts::default(),
                stopping: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
            }),
        };
        if let Some(replicas) = engine.inner.store.replicas() {
            engine.inner.providers.shared_by(replicas);
        }
        engine.count_unconfigured().await?;
        if let Some(lost) = engine.lost_time() {
            let (from, until) = (lost.from, lost.until);
            tracing::warn!(%from, %until, "store may lack commits, operations are searched for first");
        }
        engine.recall_accounts().await?;
        engine.take_over().await?;
        engine.line_up().await?;
        *engine.inner.dispatching.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(tokio::spawn(engine.clone().dispatch()));
        engine.spawn(Engine::keep_leases);
        engine.spawn(Engine::forget);
        engine.spawn(Engine::end_unstarted);
        engine.spawn(Engine::watch_unconfigured);
        if engine.inner.store.replicas().is_some() {
            engine.spawn(Engine::look_around);
            engine.spawn(Engine::follow);
        }
        Ok(engine)
    }

    /// Does something until the engine has stopped.
    fn spawn<F>(&self, work: fn(Engine) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(work(self.clone()));
    }

    /// The journal.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The configured providers.
    pub fn providers(&self) -> &Arc<Registry> {
        &self.inner.providers
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The time of day on this machine.
    pub(super) fn wall(&self) -> Timestamp {
        self.inner.clock.wall()
    }

    /// The store's age, which may be stale: good for looking whether something has come, and never to
    /// begin a duration with.
    pub(super) fn age(&self) -> Age {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::ClockBelieved) {
            return self.believed_age();
        }
        self.inner.store.age().age
    }

    /// The mistake of a negative control: an age by a clock that can be stepped.
    #[cfg(feature = "failpoints")]
    fn believed_age(&self) -> Age {
        let wall = self.wall().as_nanosecond();
        Age::from_nanos(i64::try_from(wall).unwrap_or_default())
    }

    /// As [`wall_at`].
    pub fn wall_at(&self, age: Age) -> Timestamp {
        wall_at(&*self.inner.store, &*self.inner.clock, age)
    }

    /// A time up to which everything that this process has decided is stored as well, so that whoever
    /// reads the store now sees it.
    pub(super) fn settled_time(&self) -> Timestamp {
        self.inner.committing.settled(self.wall())
    }

    /// Looks for due operations at once; after the clock was moved by hand.
    pub fn wake(&self) {
        self.inner.due.notify_one();
    }

    /// The time that a decision is taken at. Durations begin with it, so its age is fresh: a process
    /// that was stopped for an hour writes a heartbeat before it decides anything.
    ///
    /// # Errors
    ///
    /// When the store acknowledges no heartbeat.
    async fn now(&self) -> Result<Now, StoreError> {
        let mut reading = self.inner.store.age();
        if !reading.fresh {
            self.inner.store.heartbeat().await?;
            reading = self.inner.store.age();
        }
        if !reading.fresh {
            let what = "the last acknowledged heartbeat is too old".to_owned();
            return Err(StoreError::Unavailable(what));
        }
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::ClockBelieved) {
            reading.age = self.believed_age();
        }
        Ok(Now { wall: self.wall(), age: reading.age, slack: reading.slack })
    }

    /// Whether nothing new may be begun, and why.
    fn held(&self) -> Option<String> {
        if self.inner.config.hold {
            return Some("held: engine.hold is set".to_owned());
        }
        if self.inner.store.checking() {
            return Some("held: the store is still being looked through".to_owned());
        }
        self.inner.store.doubt().map(|doubt| format!("held: {doubt}"))
    }

    /// Commits what the machine decided, as the next version, and wakes whoever waits for it.
    ///
    /// A lost acknowledgement is read back, never assumed. Boxed, because it holds operations by value
    /// and is awaited from everywhere.
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(Committed, Operation), StoreError>> {
        Box::pin(self.commit_inner(change))
    }

    async fn commit_inner(&self, mut change: Change) -> Result<(Committed, Operation), StoreError> {
        self.refuse_unconfigured(&change)?;
        let _committing = self.inner.committing.begin(change.operation.update_time);
        change.operation.version += 1;
        let operation = change.operation.clone();
        self.claim_by_every_name(&mut change);
        let tells = matches!(operation.state, State::Succeeded | State::WaitingUpstream);
        let committed = loop {
            if tells {
                // In the same commit, so that nothing comes between success and what it tells.
                change.services = self.records_of(&operation).await?;
                change.closes = self.closed_by(&operation).await?;
            }
            let committed = match self.inner.store.commit(change.clone()).await {
                Err(StoreError::Ambiguous(message)) => self.read_back(&operation, message).await?,
                other => other?,
            };
            match &committed {
                Committed::Outdated => {}
                Committed::Held { lock, .. } if self.can_spare(&operation, lock) => {
                    change.locks.retain(|held| held != lock);
                }
                // Whoever loses what it found sends nothing more before it has asked for its locks again.
                Committed::Held { lock, .. } if !change.locks.contains(lock) => {
                    let Some(loser) = change.loser.as_mut() else { break committed };
                    loser.locks.retain(|held| held != lock);
                }
                _ => break committed,
            }
        };
        if committed == Committed::Done {
            failpoint::pass(Place::Closed);
            for told in [Some(&operation), change.loser.as_ref().map(|it| &it.operation)] {
                let Some(told) = told else { continue };
                self.inner.waiters.wake(told.request_id);
                if told.state == State::NeedsOperator {
                    tracing::error!(
                        request_id = %told.request_id,
                        provider = told.provider,
                        target = told.target,
                        reason = told.message,
                        "an operation needs an operator"
                    );
                }
            }
        }
        Ok((committed, operation))
    }

    /// Whether an operation may be stored without a lock that another one holds: a target's by account,
    /// while nothing is about to be sent. An operation that was accepted before its account was known,
    /// or by an older version, has its target by name alone; what became of it is kept all the same, and
    /// it asks for the lock again at its next step, whose permit needs it.
    fn can_spare(&self, operation: &Operation, lock: &Lock) -> bool {
        operation.state != State::Running && is_by_account(lock, &self.policy(operation))
    }

    /// What belongs to an account belongs to it under the name of older versions too, which may run
    /// beside this one, and under its name by another setting of the configuration.
    fn claim_by_every_name(&self, change: &mut Change) {
        if change.claims.is_empty() {
            return;
        }
        let policy = self.policy(&change.operation);
        let also: Vec<NewClaim> = change
            .claims
            .iter()
            .filter(|new| new.claim.account == policy.gate)
            .flat_map(|new| {
                let names = policy.aliases.iter().chain(&policy.legacy_gate);
                names.map(|name| NewClaim {
                    claim: Claim { account: name.clone(), ..new.claim.clone() },
                    ..new.clone()
                })
            })
            .collect();
        change.claims.extend(also);
    }

    async fn read_back(
        &self,
        intended: &Operation,
        message: String,
    ) -> Result<Committed, StoreError> {
        match self.inner.store.get(intended.request_id).await? {
            Some(stored) if stored == *intended => Ok(Committed::Done),
            Some(stored) if stored.version < intended.version => {
                // It may still be committed.
                Err(StoreError::Ambiguous(message))
            }
            _ => Ok(Committed::Stale),
        }
    }
}

/// An age as the time of day that it will be or was then, as far as the wall clock tells now: to the
/// second, because two clocks never agree to a nanosecond.
pub fn wall_at(store: &dyn Store, clock: &dyn Clock, age: Age) -> Timestamp {
    let (now, wall) = (store.age().age, clock.wall());
    let wall = match age >= now {
        true => wall.saturating_add(age.since(now)),
        false => wall.saturating_sub(now.since(age)),
    };
    wall.ok().and_then(|wall| wall.round(Unit::Second).ok()).unwrap_or(Timestamp::MAX)
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::Corrupt(_) => {
                Error::new(ErrorReason::Internal, "the journal cannot be read").with_source(error)
            }
            StoreError::Invalid(_) => {
                Error::new(ErrorReason::Internal, "the journal refused a row").with_source(error)
            }
            StoreError::Unavailable(_) | StoreError::Ambiguous(_) => {
                Error::new(ErrorReason::StoreUnavailable, "the journal cannot commit at present")
                    .with_source(error)
            }
        }
    }
}
