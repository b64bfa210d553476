//! Transactions that write: each is run whole, begun again where others came first, and read back
//! where nobody said whether it was committed. It must not know what is written.
//!
//! What two transactions may both want is taken in one order, so that they do not wait for each other: the
//! operations' advisory locks, positions, rows of operations, locks, claims, services.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};

use super::changes::Place;
use super::fault::{self, Fault, RoundTripError};
use super::session::Connection;
use super::{Shared, changes};
use crate::store::StoreError;

/// How often a write is begun again when others come first. Each time somebody else got something
/// done, so more would mean that a lock is taken and given back all the time.
const TRIES: u32 = 20;

/// How long a transaction may take before its COMMIT, the server's own bounds included.
const WORK_MAX: Duration = Duration::from_secs(30);

/// How long the outcome of a COMMIT is asked for. Callers wait as long.
const READ_BACK_MAX: Duration = Duration::from_secs(15);

/// How often it is asked for: by then a server that was restarted may answer.
const READ_BACK_PAUSE: Duration = Duration::from_millis(50);

/// One write. It is run again from the beginning where that is needed, so it must keep nothing.
#[async_trait]
pub(super) trait Work: Send + Sync + 'static {
    type Output: Send + 'static;

    /// Looks, and writes what is wanted inside of a transaction.
    async fn run(&self, connection: &Connection) -> Result<Turn<Self::Output>, Fault>;
}

/// What a transaction shall become.
pub(super) enum Turn<T> {
    /// It is committed; the place is known where a lost acknowledgement has to be read back.
    Keep(T, Option<Place>),
    /// It is rolled back: this is only how things are.
    Leave(T),
}

impl Shared {
    /// Runs a write on a task of its own, so that it is finished even if the caller goes away.
    pub(super) async fn write<W: Work>(self: Arc<Self>, work: W) -> Result<W::Output, StoreError> {
        let writing = tokio::spawn(async move {
            let outcome = self.until_done(&work).await;
            // Only what was asked for being wrong is no fault of the server's.
            if matches!(&outcome, Err(error) if !matches!(error, StoreError::Invalid(_))) {
                self.became(false);
            }
            outcome
        });
        writing.await.unwrap_or_else(|_| {
            Err(StoreError::Ambiguous("the write ended without an answer".to_owned()))
        })
    }

    async fn until_done<W: Work>(&self, work: &W) -> Result<W::Output, StoreError> {
        for _ in 0..TRIES {
            match self.once(work).await {
                Err(Fault::Again) => {}
                Err(fault) => return Err(fault.into_error()),
                Ok(output) => return Ok(output),
            }
        }
        Err(fault::contended())
    }

    /// A connection that is dropped here is closed, which ends its transaction too.
    async fn once<W: Work>(&self, work: &W) -> Result<W::Output, Fault> {
        let connection = self.sessions.get().await?;
        connection.batch_execute("BEGIN").await?;
        let Ok(ran) = timeout(WORK_MAX, work.run(&connection)).await else {
            let what = format!("the transaction took longer than {WORK_MAX:?}");
            return Err(StoreError::Unavailable(what).into());
        };
        match ran {
            // A connection whose server failed is not asked to roll back.
            Err(fault @ Fault::Server(_)) => Err(fault),
            Err(fault) => {
                roll_back(connection).await?;
                Err(fault)
            }
            Ok(Turn::Leave(output)) => {
                roll_back(connection).await?;
                Ok(output)
            }
            Ok(Turn::Keep(output, place)) => {
                self.commit(connection, place).await?;
                Ok(output)
            }
        }
    }

    /// A COMMIT that nobody acknowledged in time may have happened.
    async fn commit(&self, connection: Connection, place: Option<Place>) -> Result<(), Fault> {
        let why = match connection.commit().await {
            Ok(()) => {
                connection.give_back();
                return Ok(self.committed(place)?);
            }
            Err(error) if fault::certainly_not_committed(&error) => return Err(error.into()),
            Err(error) => fault::text(&error),
        };
        drop(connection);
        let Some(place) = place else { return Err(StoreError::Ambiguous(why).into()) };
        tracing::warn!(why, "a commit was not acknowledged and is read back");
        self.read_back(place, why).await.map_err(Fault::Work)
    }

    /// Asks the server, over another connection, what became of a transaction.
    async fn read_back(&self, place: Place, why: String) -> Result<(), StoreError> {
        let end = Instant::now() + READ_BACK_MAX;
        while Instant::now() < end {
            // After a failover the same id can be another transaction's.
            if self.doubts.doubt().is_some() {
                break;
            }
            let asked = self.sessions.read(async |c| changes::became(c, place).await).await;
            match asked {
                Ok(Some(true)) => return self.committed(Some(place)),
                Ok(Some(false)) => return Err(StoreError::Unavailable(why)),
                // It still runs, or nobody can be asked.
                Ok(None) | Err(_) => sleep(READ_BACK_PAUSE).await,
            }
        }
        Err(StoreError::Ambiguous(why))
    }

    fn committed(&self, place: Option<Place>) -> Result<(), StoreError> {
        if let Some(place) = place {
            self.doubts.acknowledged(place).map_err(StoreError::Unavailable)?;
            self.news.committed(place);
        }
        self.became(true);
        Ok(())
    }
}

/// Takes everything back, and gives the connection back if that succeeded.
async fn roll_back(connection: Connection) -> Result<(), RoundTripError> {
    connection.batch_execute("ROLLBACK").await?;
    connection.give_back();
    Ok(())
}
