//! A backup that is made while callers buy and put in the store's place later, as an operator does it with the
//! gateway's own commands; and what callers and persons have to know of that. It must not start or end a
//! gateway.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tokio::sync::watch;

/// The store is backed up when so many of ten orders have ended, and restored when so many have.
const BACKED_UP: usize = 2;
const RESTORED: usize = 4;
/// How long after the backup it is restored: not before the one, and not after the other.
const LOST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(12));

/// Which part of the run it is. Times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is no backup yet.
    #[default]
    Before,
    /// One is to be made, as soon as nobody ends anything.
    Wanted,
    /// There is one, and what happens now is lost.
    Lost { from_ms: i64 },
    /// The store was restored and confirmed.
    After { from_ms: i64, until_ms: i64 },
    /// Nothing is missing any more: whoever was told something in that time has asked again.
    Settled { from_ms: i64, until_ms: i64 },
}

impl Phase {
    /// The time that the restored store lacks.
    pub(crate) fn lost(self) -> Option<(i64, i64)> {
        match self {
            Self::After { from_ms, until_ms } | Self::Settled { from_ms, until_ms } => {
                Some((from_ms, until_ms))
            }
            _ => None,
        }
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    BackUp,
    Restore,
    /// Say that nothing is missing any more.
    Settle,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// How many callers end something.
    ends: usize,
    /// How many orders were begun before the store was restored, and may have to be asked for again.
    unsettled: usize,
    /// When the backup was made.
    since: Option<Instant>,
}

/// The backup of a run.
#[derive(Debug)]
pub(crate) struct Restoring {
    program: PathBuf,
    /// The configuration that leads to the store.
    store: PathBuf,
    /// The one that leads to where the backup is restored.
    target: PathBuf,
    backup: PathBuf,
    orders: usize,
    done: Arc<AtomicUsize>,
    state: watch::Sender<State>,
}

impl Restoring {
    /// A backup into `folder` of the store of one configuration, which is restored to that of another.
    pub(crate) fn new(
        folder: &Path,
        (store, target): (PathBuf, PathBuf),
        (orders, done): (usize, Arc<AtomicUsize>),
    ) -> Self {
        let (program, backup) = (folder.join("purveyor"), folder.join("backup"));
        Self { program, store, target, backup, orders, done, state: watch::Sender::default() }
    }

    /// What is to be done now.
    pub(crate) fn due(&self) -> Option<Act> {
        let ended = |of_ten| 10 * self.done.load(Ordering::SeqCst) >= of_ten * self.orders;
        let mut due = None;
        self.state.send_if_modified(|state| {
            match state.phase {
                Phase::Before if ended(BACKED_UP) => {
                    state.phase = Phase::Wanted;
                    return true;
                }
                Phase::Wanted if state.ends == 0 => due = Some(Act::BackUp),
                Phase::Lost { .. } => {
                    let lost = state.since.map(|since| since.elapsed()).unwrap_or_default();
                    if lost >= LOST.1 || (lost >= LOST.0 && ended(RESTORED)) {
                        due = Some(Act::Restore);
                    }
                }
                Phase::After { .. } if state.unsettled == 0 => due = Some(Act::Settle),
                _ => {}
            }
            false
        });
        due
    }

    /// Makes the backup, while gateways use the store.
    ///
    /// # Errors
    /// When the gateway's program cannot.
    pub(crate) fn back_up(&self) -> Result<()> {
        let from_ms = now_ms()?;
        // Whoever is told something from now on may have to ask again.
        self.state.send_modify(|state| {
            state.phase = Phase::Lost { from_ms };
            state.since = Some(Instant::now());
        });
        self.run(&["backup", "--config"], &self.store, &["--to"], Some(&self.backup))
    }

    /// Puts the backup where no store is.
    ///
    /// # Errors
    /// When the gateway's program cannot.
    pub(crate) fn restore(&self) -> Result<()> {
        self.run(&["restore", "--config"], &self.target, &["--from"], Some(&self.backup))
    }

    /// Says what may be missing, and spends go on; or that nothing is any more.
    ///
    /// # Errors
    /// When the gateway's program cannot.
    pub(crate) fn confirm(&self) -> Result<()> {
        if let Phase::After { from_ms, until_ms } = self.phase() {
            let told = ["--actor", "operator", "--nothing-lost"];
            self.run(&["store", "confirm", "--config"], &self.store, &told, None)?;
            let settled = Phase::Settled { from_ms, until_ms };
            self.state.send_modify(|state| state.phase = settled);
            return Ok(());
        }
        let Phase::Lost { from_ms } = self.phase() else { return Ok(()) };
        let from = prost_types::Timestamp {
            seconds: from_ms.div_euclid(1000),
            nanos: i32::try_from(from_ms.rem_euclid(1000))? * 1_000_000,
        };
        let from = from.to_string();
        let told = ["--actor", "operator", "--lost-from"];
        self.run(&["store", "confirm", "--config"], &self.store, &told, Some(Path::new(&from)))?;
        let until_ms = now_ms()?;
        self.state.send_modify(|state| state.phase = Phase::After { from_ms, until_ms });
        Ok(())
    }

    /// Which part of the run it is.
    pub(crate) fn phase(&self) -> Phase {
        self.state.borrow().phase
    }

    /// Waits until the store was restored, and tells what is lost.
    ///
    /// # Errors
    /// When nobody can restore it any more.
    pub(crate) async fn restored(&self) -> Result<(i64, i64)> {
        let mut seen = self.state.subscribe();
        let restored = |state: &State| state.phase.lost().is_some();
        let phase = seen.wait_for(restored).await.context("nobody restores the store")?.phase;
        phase.lost().context("nobody restores the store")
    }

    /// An order is begun. Whether it has to be settled: it was begun before the store was restored.
    pub(crate) fn begin(&self) -> bool {
        let mut early = false;
        self.state.send_modify(|state| {
            early = state.phase.lost().is_none();
            state.unsettled += usize::from(early);
        });
        early
    }

    /// What became of such an order is in the store for good.
    pub(crate) fn settle(&self) {
        self.state.send_modify(|state| state.unsettled -= 1);
    }

    /// Waits until something may be ended. What is bought and ended while the store is lost leaves no trace at
    /// some upstreams, and who ended it would not buy it again.
    ///
    /// # Errors
    /// When nobody can restore the store any more.
    pub(crate) async fn begin_end(&self) -> Result<()> {
        let mut seen = self.state.subscribe();
        loop {
            let mut begun = false;
            self.state.send_if_modified(|state| {
                begun = state.phase == Phase::Before || state.phase.lost().is_some();
                state.ends += usize::from(begun);
                begun
            });
            if begun {
                return Ok(());
            }
            seen.changed().await.context("nobody restores the store")?;
        }
    }

    /// It has ended.
    pub(crate) fn ended(&self) {
        self.state.send_modify(|state| state.ends -= 1);
    }

    fn run(&self, before: &[&str], file: &Path, after: &[&str], what: Option<&Path>) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(before).arg(file).args(after).args(what);
        let ran = command.output().with_context(|| format!("cannot run {command:?}"))?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{command:?} ended with {}\n{said}", ran.status);
        Ok(())
    }
}

/// The time of day.
///
/// # Errors
/// When it is before 1970.
pub(crate) fn now_ms() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

#[cfg(test)]
mod tests {
    use super::{Act, Arc, AtomicUsize, Ordering, Path, Phase, Restoring};

    #[tokio::test]
    async fn backup_waits_for_ends_and_ends_wait_for_the_restored_store() {
        let done = Arc::new(AtomicUsize::new(1));
        let files = (Path::new("store").into(), Path::new("target").into());
        let restoring =
            Arc::new(Restoring::new(Path::new("folder"), files, (10, Arc::clone(&done))));
        assert_eq!(restoring.due(), None);
        assert!(restoring.begin());
        restoring.begin_end().await.unwrap();
        done.store(2, Ordering::SeqCst);
        assert_eq!((restoring.due(), restoring.phase()), (None, Phase::Wanted));
        assert_eq!(restoring.due(), None, "somebody ends something");
        let waiting = Arc::clone(&restoring);
        let later = tokio::spawn(async move { waiting.begin_end().await });
        tokio::task::yield_now().await;
        restoring.ended();
        assert_eq!(restoring.due(), Some(Act::BackUp));
        assert!(!later.is_finished());
        restoring.state.send_modify(|state| state.phase = Phase::After { from_ms: 1, until_ms: 2 });
        later.await.unwrap().unwrap();
        assert_eq!(restoring.restored().await.unwrap(), (1, 2));
        assert_eq!(restoring.due(), None, "an order that was begun before is not settled");
        assert!(!restoring.begin());
        restoring.settle();
        assert_eq!(restoring.due(), Some(Act::Settle));
    }
}
