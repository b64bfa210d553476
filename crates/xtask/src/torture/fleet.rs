//! The gateways: each a process that can be started and killed again and again on the same
//! configuration, and the way to whichever of them lives. It must not decide who dies when.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use xtask::process::Running;
use xtask::{faketime, gateway};

use super::clock::SteppedClock;
use super::continuing::Continuing;
use super::dice::Dice;
use super::kill_plan::Life;

/// One gateway's program and configuration.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) index: usize,
    pub(crate) program: PathBuf,
    pub(crate) configuration: PathBuf,
    /// The same without one of the providers.
    pub(crate) lacking: PathBuf,
    /// It is restarted every few seconds for the whole run, and nothing else happens to it.
    pub(crate) restarts: bool,
}

/// A gateway that accepts calls.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    /// Its wall clock, where that is stepped.
    pub(crate) clock: Option<SteppedClock>,
    /// Continues it after it has stopped itself.
    pub(crate) continuing: Option<Continuing>,
}

/// Who lives, and how to reach them.
#[derive(Debug)]
pub(crate) struct Doors {
    open: watch::Sender<Vec<Option<Channel>>>,
    runtime: Handle,
    /// What went wrong with the harness itself; the first counts.
    broken: Mutex<Option<String>>,
}

impl Gateway {
    /// Begins a life, and returns when it accepts calls. `faketime`: the library that steps clocks.
    ///
    /// # Errors
    /// When it ends or is not ready in time.
    pub(crate) fn start(&self, life: &Life, faketime: Option<&Path>) -> Result<Started> {
        let file = self.configuration.with_file_name("clock");
        let mut variables = vec![("PURVEYOR_FAILPOINTS", life.failpoints.as_str())];
        let mut clock = None;
        if let (Some(library), Some(steps)) = (faketime, &life.steps) {
            clock = Some(SteppedClock::start(&file, steps)?);
            variables.extend(faketime::variables(library, &file));
        }
        let configuration = if life.lacks_provider { &self.lacking } else { &self.configuration };
        let mut running = gateway::begin_with(&self.program, configuration, &variables)?;
        // It may come to its place before it is ready.
        let continuing = life.stopped_for.map(|pause| Continuing::watch(running.id(), pause));
        match gateway::ready(&mut running) {
            Ok(address) => Ok(Started { running, address, clock, continuing }),
            Err(error) => {
                faketime::clean_up(running.id());
                Err(error)
            }
        }
    }
}

impl Doors {
    /// So many gateways, none of which lives yet.
    pub(crate) fn new(gateways: usize) -> Self {
        let open = watch::Sender::new(vec![None; gateways]);
        Self { open, runtime: Handle::current(), broken: Mutex::default() }
    }

    /// A gateway lives, and can be reached there.
    ///
    /// # Errors
    /// When the address is none.
    pub(crate) fn open(&self, index: usize, address: SocketAddr) -> Result<()> {
        // A channel makes its connection on the runtime.
        let _entered = self.runtime.enter();
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let channel = endpoint.context("the gateway's address is none")?.connect_lazy();
        self.open.send_modify(|open| open[index] = Some(channel));
        Ok(())
    }

    /// A gateway is about to die.
    pub(crate) fn close(&self, index: usize) {
        self.open.send_modify(|open| open[index] = None);
    }

    /// One of those that live, as soon as one does. Now and then it has died meanwhile.
    ///
    /// # Errors
    /// When the harness cannot go on.
    pub(crate) async fn any(&self, dice: &mut Dice) -> Result<Channel> {
        let mut seen = self.open.subscribe();
        loop {
            let living: Vec<Channel> = seen.borrow_and_update().iter().flatten().cloned().collect();
            // Asked after that look, or whoever breaks off between the two would wake nobody.
            if let Some(why) = self.broken() {
                bail!("{why}");
            }
            let chosen = usize::try_from(dice.roll(living.len() as u64)).unwrap_or_default();
            if let Some(channel) = living.into_iter().nth(chosen) {
                return Ok(channel);
            }
            // The sender is ours, so this cannot fail.
            let _changed = seen.changed().await;
        }
    }

    /// Says that the harness cannot go on, to those too who wait for a gateway.
    pub(crate) fn break_off(&self, why: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.open.send_modify(|_| {});
    }

    /// Why the harness cannot go on, if so.
    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Dice, Doors};

    #[tokio::test(start_paused = true)]
    async fn break_off_ends_the_wait_for_a_gateway() {
        let doors = Arc::new(Doors::new(1));
        let waiting = Arc::clone(&doors);
        let waiting = tokio::spawn(async move { waiting.any(&mut Dice::new(1, 1)).await });
        tokio::task::yield_now().await;
        doors.break_off("no gateway starts".to_owned());
        // Time passes when everybody waits, and then at once.
        let ended = tokio::time::timeout(Duration::from_secs(1), waiting).await;
        let error = ended.unwrap().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "no gateway starts");
    }
}
