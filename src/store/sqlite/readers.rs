//! A few threads with a read-only connection each. Reads see one snapshot of what is committed,
//! never wait for the writer, and take no thread of the runtime. It must not know what is read.

use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::health::Health;
use super::queue::{Queue, Queued};
use super::watch::FileWatch;
use crate::store::StoreError;

/// How many threads read. Reads are short and mostly from memory; more threads than these would
/// wait for processors.
pub(super) const READERS: usize = 3;

/// How many reads may wait; a task beyond that waits for its place.
const QUEUE_MAX: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;
type Jobs = Arc<Mutex<Receiver<Queued<Job>>>>;

/// The way to the reading threads. Dropping it waits until they have ended.
pub(super) struct Readers {
    /// `None` only while this is being dropped.
    queue: Option<Queue<Job>>,
    threads: Vec<JoinHandle<()>>,
    health: Arc<Health>,
    watch: Arc<FileWatch>,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(super) fn start(
        connections: Vec<Connection>,
        health: Arc<Health>,
        watch: Arc<FileWatch>,
    ) -> io::Result<Self> {
        let (queue, jobs) = Queue::new(QUEUE_MAX);
        let jobs: Jobs = Arc::new(Mutex::new(jobs));
        let mut readers = Self { queue: Some(queue), threads: Vec::new(), health, watch };
        for (number, connection) in connections.into_iter().enumerate() {
            let jobs = Arc::clone(&jobs);
            let thread = thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || serve(connection, &jobs))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `work` on one snapshot. Work of a caller that is gone is not begun.
    pub(super) async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let ended = || StoreError::Unavailable("the store's readers have ended".to_owned());
        let (answer, answered) = oneshot::channel();
        let (health, watch) = (Arc::clone(&self.health), Arc::clone(&self.watch));
        let job = Box::new(move |connection: &mut Connection| {
            if answer.is_closed() {
                return;
            }
            let result = snapshot(connection, work).map_err(|fault| {
                if let Fault::Database(error) = &fault {
                    health.failed(error);
                    // What a lost file reads as says nothing of what was stored.
                    if let Err(lost) = watch.check() {
                        return lost;
                    }
                }
                fault.into_error()
            });
            // The caller may have gone meanwhile; nothing was changed.
            answer.send(result).ok();
        });
        self.queue.as_ref().ok_or_else(ended)?.push(job).await?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader of the store panicked");
            }
        }
    }
}

fn serve(mut connection: Connection, jobs: &Mutex<Receiver<Queued<Job>>>) {
    loop {
        // The lock is held while one thread waits and free while it works, so the others wait in
        // turn.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        (next.job)(&mut connection);
    }
}

/// All that `work` reads is of one moment.
fn snapshot<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction()?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
