//! The bounded way from tasks to the threads that own a connection. A task that finds the queue
//! full waits, and nothing is thrown away. It must not know what the jobs do.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::StoreError;

/// The sending side.
pub(super) struct Queue<J> {
    slots: Arc<Semaphore>,
    jobs: Sender<Queued<J>>,
}

/// A job with the place that it takes in the queue, which is free again when this is dropped.
pub(super) struct Queued<J> {
    pub(super) job: J,
    _slot: OwnedSemaphorePermit,
}

impl<J> Queue<J> {
    /// A queue of at most `limit` jobs. The receiver gets what was queued even after the queue was
    /// dropped.
    pub(super) fn new(limit: usize) -> (Self, Receiver<Queued<J>>) {
        let (jobs, receiver) = mpsc::channel();
        (Self { slots: Arc::new(Semaphore::new(limit)), jobs }, receiver)
    }

    /// Queues a job. When this is dropped before it returned, the job is not queued.
    pub(super) async fn push(&self, job: J) -> Result<(), StoreError> {
        let ended = || StoreError::Unavailable("the store's thread has ended".to_owned());
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| ended())?;
        self.jobs.send(Queued { job, _slot: slot }).map_err(|_| ended())
    }
}
