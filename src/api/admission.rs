//! Who may work: so many calls of one connection and of all at a time. A call that only waits for its
//! operation gives its place back. It must not queue: who finds no place is told at once.

use std::sync::{Arc, Mutex, PoisonError};

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::limits::{Limits, OVERLOADED_RETRY};

/// The places of one connection, and of all.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    all: Arc<Semaphore>,
    connection: Arc<Semaphore>,
    per_connection: usize,
}

/// A call's right to work; given back at the latest when dropped.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<[OwnedSemaphorePermit; 2]>>);

impl Admission {
    /// The places of a server; each connection has its own part of them by [`Admission::connection`].
    pub(crate) fn new(limits: &Limits) -> Self {
        let per_connection = limits.working_calls_per_connection;
        Self {
            all: Arc::new(Semaphore::new(limits.working_calls)),
            connection: Arc::new(Semaphore::new(per_connection)),
            per_connection,
        }
    }

    /// The places of a new connection.
    pub(crate) fn connection(&self) -> Self {
        Self { connection: Arc::new(Semaphore::new(self.per_connection)), ..self.clone() }
    }

    /// A place for a call.
    ///
    /// # Errors
    ///
    /// OVERLOADED, with when to try again: nothing was done.
    pub(crate) fn enter(&self) -> Result<Place> {
        let own = Arc::clone(&self.connection).try_acquire_owned().map_err(|_| {
            overloaded(format!("{} calls of this connection are working", self.per_connection))
        })?;
        let shared = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| overloaded("as many calls are working as this server takes".to_owned()))?;
        Ok(Place(Mutex::new(Some([own, shared]))))
    }
}

impl Place {
    /// Gives the place back: from now on the call only waits.
    pub(crate) fn give_back(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn overloaded(message: String) -> Error {
    Error::new(ErrorReason::Overloaded, message).with_retry_after(OVERLOADED_RETRY)
}
