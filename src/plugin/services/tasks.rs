//! Tasks that an instance has spawned. They end with the instance, and what they ask of the host is
//! not part of any call's own future, so they can read and nothing more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use purveyor_abi::{Code, Fault, ReplyFuture};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// The most tasks of one instance: what they wait for is upstream, where few requests go at a time.
const MAX_TASKS: usize = 64;

/// The tasks of one instance.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Tasks {
    state: Mutex<State>,
    panicked: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    closed: bool,
    running: HashMap<u64, AbortHandle>,
}

impl Tasks {
    pub(super) fn spawn(
        self: &Arc<Self>,
        runtime: &Handle,
        task: ReplyFuture,
    ) -> Result<u64, Code> {
        let mut state = self.state();
        if state.closed || state.running.len() >= MAX_TASKS {
            return Err(Code::CANCELLED);
        }
        state.last += 1;
        let id = state.last;
        // The end of the task waits for the lock that is held here, so it finds its own entry.
        let tasks = Arc::downgrade(self);
        let running = runtime.spawn(async move {
            let ended = task.await.into_result();
            let Some(tasks) = tasks.upgrade() else { return };
            if let Err(Fault::Panic(message)) = ended {
                tracing::error!(message, "a task of a plugin panicked");
                tasks.panicked.store(true, Ordering::Release);
            }
            tasks.state().running.remove(&id);
        });
        state.running.insert(id, running.abort_handle());
        Ok(id)
    }

    pub(super) fn abort(&self, task: u64) {
        if let Some(running) = self.state().running.remove(&task) {
            running.abort();
        }
    }

    /// Whether one of the tasks panicked.
    pub(in crate::plugin) fn have_panicked(&self) -> bool {
        self.panicked.load(Ordering::Acquire)
    }

    /// Aborts all tasks, and takes no more.
    pub(in crate::plugin) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        for (_, running) in state.running.drain() {
            running.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
