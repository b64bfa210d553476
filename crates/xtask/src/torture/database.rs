//! The database that several gateways share, and what happens to it: it is killed, every connection
//! to it is cut, and single ones around a COMMIT. It must not look into the database.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::faketime;
use xtask::network::{Cut, Network};
use xtask::postgres::{ROLE, Server};

use super::dice::Dice;
use super::kill_plan::{self, Temper};
use super::nemesis::Fate;
use super::restoring::{Act, Restoring};

/// How often the thread looks whether everything is over.
const LOOK: Duration = Duration::from_millis(10);

/// So many of a hundred blows are a step of its wall clock.
const STEPPED: u64 = 15;

/// What the gateways use, and what a backup is restored to before it takes that one's place.
const NAME: &str = "gateways";
const RESTORED: &str = "restored";

/// A PostgreSQL of the run's own behind a network that breaks.
#[derive(Debug)]
pub(crate) struct Database {
    server: Server,
    network: Network,
    /// How many seconds its wall clock is ahead.
    ahead: i64,
    /// The file that its wall clock follows.
    clock: PathBuf,
    _folder: TempDir,
}

impl Database {
    /// Starts it, with nothing going wrong yet. `faketime`: the library that steps its wall clock.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub(crate) async fn start(faketime: Option<&Path>) -> Result<Self> {
        // The server has a user of its own, who can look into no folder of ours.
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir();
        let folder = folder.context("no folder for the server's clock")?;
        let clock = folder.path().join("clock");
        faketime::set(&clock, 0)?;
        let server = match faketime {
            Some(library) => Server::start_with_clock(library, &clock)?,
            None => Server::start()?,
        };
        server.execute("postgres", &format!("CREATE DATABASE {NAME}"))?;
        let network = Network::start(server.socket(), b"").await?;
        Ok(Self { server, network, clock, ahead: 0, _folder: folder })
    }

    /// Its address for gateways, which leads through the network.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{NAME}", self.network.port())
    }

    /// For an operator, who sits beside it: the address of what the gateways use, and of what a backup is
    /// restored to.
    pub(crate) fn urls_beside(&self) -> (String, String) {
        (self.server.url(NAME), self.server.url(RESTORED))
    }

    /// Begins. The database lives until whoever waits for the thread drops it: a gateway that is started
    /// meanwhile would not start without it.
    pub(crate) fn unleash(mut self, fate: &Arc<Fate>) -> JoinHandle<Self> {
        let fate = Arc::clone(fate);
        thread::spawn(move || {
            if let Err(error) = self.suffer(&fate) {
                fate.doors.break_off(format!("{error:#}"));
            }
            self
        })
    }

    fn suffer(&mut self, fate: &Fate) -> Result<()> {
        let mut dice = Dice::new(fate.seed, 2000);
        let cruel = fate.rules.temper == Temper::Cruel;
        while !fate.calm.load(Ordering::SeqCst) {
            rest(fate, dice.between(200, 1200));
            if cruel {
                self.blow(fate, &mut dice)?;
            }
            if let Some(restoring) = &fate.restoring
                && self.restore(restoring)?
            {
                fate.toll.restores.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.network.disarm();
        while !fate.over.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
        }
        fate.toll.cuts.fetch_add(self.network.struck(), Ordering::SeqCst);
        Ok(())
    }

    /// Backs the store up, or puts the backup in its place while gateways live, and tells whether it did that.
    /// The name leads nowhere meanwhile: a gateway that found an empty database would begin a store of its own.
    fn restore(&self, restoring: &Restoring) -> Result<bool> {
        match restoring.due() {
            None => Ok(false),
            Some(Act::BackUp) => restoring.back_up().map(|()| false),
            Some(Act::Settle) => restoring.confirm().map(|()| false),
            Some(Act::Restore) => {
                self.server.execute("postgres", &format!("CREATE DATABASE {RESTORED}"))?;
                restoring.restore()?;
                self.server.execute("postgres", &format!("DROP DATABASE {NAME} WITH (FORCE)"))?;
                let rename = format!("ALTER DATABASE {RESTORED} RENAME TO {NAME}");
                self.server.execute("postgres", &rename)?;
                restoring.confirm()?;
                Ok(true)
            }
        }
    }

    fn blow(&mut self, fate: &Fate, dice: &mut Dice) -> Result<()> {
        if fate.faketime.is_some() && dice.percent(STEPPED) {
            self.ahead += kill_plan::clock_step(dice);
            faketime::set(&self.clock, self.ahead)?;
            fate.toll.steps.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        match dice.roll(100) {
            0..40 => self.network.arm(Cut::Answer),
            40..75 => self.network.arm(Cut::Commit),
            75..96 => {
                self.network.sever();
                fate.toll.cuts.fetch_add(1, Ordering::SeqCst);
            }
            _ => {
                self.server.crash()?;
                fate.toll.databases.fetch_add(1, Ordering::SeqCst);
                rest(fate, dice.between(50, 1500));
                self.server.resume()?;
            }
        }
        Ok(())
    }
}

/// Lets so many milliseconds pass, unless calm is wanted.
fn rest(fate: &Fate, millis: u64) {
    let end = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < end && !fate.calm.load(Ordering::SeqCst) {
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
}
