//! What the test host offers to an instance: HTTP, time, tasks, a log. It must not decide anything
//! about requests; that is `egress`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use prost::Message;
use purveyor_abi::host::{BoxFuture, Services};
use purveyor_abi::{Code, Level, Reply, ReplyFuture};
use tokio::task::JoinHandle;

use super::egress::Egress;
use crate::plugin::v1::{self, HostOp, HttpRequest};

pub(super) struct HostServices {
    pub(super) egress: Arc<Egress>,
    origin: Instant,
    log: Mutex<Vec<String>>,
    tasks: Mutex<BTreeMap<u64, JoinHandle<()>>>,
}

impl HostServices {
    pub(super) fn new(egress: Egress) -> Self {
        Self {
            egress: Arc::new(egress),
            origin: Instant::now(),
            log: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    pub(super) fn log_lines(&self) -> Vec<String> {
        lock(&self.log).clone()
    }
}

impl Services for HostServices {
    fn call(
        &self,
        op: u32,
        parent_call: u64,
        request: &[u8],
        attachment: &[u8],
    ) -> Result<BoxFuture<Reply>, Code> {
        if op != HostOp::Http as u32 {
            return Err(Code::UNKNOWN_OP);
        }
        let request = HttpRequest::decode(request).map_err(|_| Code::MALFORMED)?;
        let (egress, body) = (Arc::clone(&self.egress), attachment.to_vec());
        Ok(Box::pin(async move {
            match egress.send(parent_call, request, body).await {
                Ok((head, body)) => Reply::ok(head.encode_to_vec()).with_attachment(body),
                Err(error) => Reply::error(v1::Error::from(error).encode_to_vec()),
            }
        }))
    }

    fn sleep_until(&self, deadline_ns: u64) -> BoxFuture<()> {
        let deadline = self.origin.checked_add(Duration::from_nanos(deadline_ns));
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        })
    }

    fn spawn(&self, task: ReplyFuture) -> Result<u64, Code> {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|_, task| !task.is_finished());
        let id = tasks.last_key_value().map_or(1, |(id, _)| id + 1);
        let task = tokio::spawn(async move {
            // The plugin's own side has told its panic to the log already.
            let _reply = task.await;
        });
        tasks.insert(id, task);
        Ok(id)
    }

    fn abort(&self, task: u64) {
        if let Some(task) = lock(&self.tasks).remove(&task) {
            task.abort();
        }
    }

    fn monotonic_now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn system_now(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
    }

    fn log(&self, level: Level, call: u64, target: &str, message: &str) {
        lock(&self.log).push(format!("{} {call} {target}: {message}", level.0));
    }

    fn is_cancelled(&self, call: u64) -> bool {
        !self.egress.is_running(call)
    }
}

/// The data behind these locks is whole after every statement, so a panic elsewhere is no reason to
/// stop.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
