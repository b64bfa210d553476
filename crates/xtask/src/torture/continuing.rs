//! Continues a process that has stopped itself, after a while. It must not signal a process that has
//! ended: whoever ends it drops this first.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often it is looked whether the process has stopped.
const LOOK: Duration = Duration::from_millis(5);

/// Watches a process as long as this lives.
#[derive(Debug)]
pub(crate) struct Continuing {
    over: Arc<AtomicBool>,
    continued: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Continuing {
    /// Begins to watch.
    pub(crate) fn watch(process: u32, pause: Duration) -> Self {
        let (over, continued) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, count) = (Arc::clone(&over), Arc::clone(&continued));
        let thread = thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                thread::sleep(LOOK);
                if !is_stopped(process) {
                    continue;
                }
                let end = Instant::now() + pause;
                while Instant::now() < end && !until.load(Ordering::SeqCst) {
                    thread::sleep(LOOK);
                }
                if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
                    // It may have been killed meanwhile.
                    let _gone = kill_process(pid, Signal::CONT);
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { over, continued, thread: Some(thread) }
    }

    /// How often it has continued the process.
    pub(crate) fn continued(&self) -> u64 {
        self.continued.load(Ordering::SeqCst)
    }
}

impl Drop for Continuing {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ended = thread.join();
        }
    }
}

fn is_stopped(process: u32) -> bool {
    // The state follows the name, which may hold anything but ends with the last bracket.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::Continuing;

    #[test]
    fn watch_continues_a_process_that_stopped_itself() {
        let mut shell = Command::new("sh").args(["-c", "kill -STOP $$"]).spawn().unwrap();
        let continuing = Continuing::watch(shell.id(), Duration::from_millis(20));
        assert!(shell.wait().unwrap().success());
        drop(continuing);
    }
}
