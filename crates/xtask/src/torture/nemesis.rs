//! Who ends the gateways: a thread for each, which starts its gateway, lets it live for a moment, ends
//! it in one of several ways, and begins again. It must not touch anything but its gateway's process.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xtask::faketime;
use xtask::process::Running;

use super::dice::Dice;
use super::fleet::{Doors, Gateway, Started};
use super::kill_plan::{End, Life, Rules};
use super::restoring::{Act, Restoring};

/// A gateway that does not come to the place where it is to abort is killed after this.
const ABORT_LATEST: Duration = Duration::from_millis(400);
/// How often a thread looks whether its gateway has ended.
const LOOK: Duration = Duration::from_millis(2);
/// A gateway that does not start because its database is away is started again after this.
const START_AGAIN: Duration = Duration::from_millis(100);
/// So often in a row; then it is no longer the database's fault.
const STARTS_MAX: u32 = 50;
/// So many of a hundred of its lives lack a provider.
const LACKING_RESTARTS: u64 = 30;
/// How long a gateway lives that is restarted all the time, milliseconds.
const RESTARTED_AFTER: (u64, u64) = (1500, 5000);

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) seed: u64,
    pub(crate) rules: Rules,
    pub(crate) doors: Arc<Doors>,
    /// The library that steps the wall clocks of gateways, where that is to happen.
    pub(crate) faketime: Option<PathBuf>,
    /// The backup that is restored, where one is.
    pub(crate) restoring: Option<Arc<Restoring>>,
    pub(crate) toll: Toll,
    /// Nobody is ended any more, and the last lives are calm.
    pub(crate) calm: AtomicBool,
    /// Everything is over.
    pub(crate) over: AtomicBool,
}

/// What was done to whom.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    /// How many gateways ended by force.
    pub(crate) crashes: AtomicU64,
    /// How often a gateway was stopped and continued.
    pub(crate) stops: AtomicU64,
    /// How often a wall clock was stepped.
    pub(crate) steps: AtomicU64,
    /// How often the gateway was restarted that is restarted all the time.
    pub(crate) restarts: AtomicU64,
    /// How often a gateway was started without one of its providers.
    pub(crate) lacking: AtomicU64,
    /// How often a backup was restored.
    pub(crate) restores: AtomicU64,
    /// How often a provider did not answer at all for a while.
    pub(crate) hangs: AtomicU64,
    /// How often the database was killed.
    pub(crate) databases: AtomicU64,
    /// How often connections to it were cut: one during a commit, or all at once.
    pub(crate) cuts: AtomicU64,
}

/// Begins.
pub(crate) fn unleash(gateways: Vec<Gateway>, fate: &Arc<Fate>) -> Vec<JoinHandle<()>> {
    let threads = gateways.into_iter().map(|gateway| {
        let fate = Arc::clone(fate);
        thread::spawn(move || {
            let all = if gateway.restarts { restarts } else { lives };
            if let Err(error) = all(&gateway, &fate) {
                fate.doors.break_off(format!("{error:#}"));
            }
        })
    });
    threads.collect()
}

fn lives(gateway: &Gateway, fate: &Fate) -> Result<()> {
    let mut dice = Dice::new(fate.seed, 1000 + gateway.index as u64);
    let mut failures = 0;
    while !fate.calm.load(Ordering::SeqCst) {
        restore(gateway, fate)?;
        let life = Life::draw(&mut dice, &fate.rules, gateway.index);
        if let Some(started) = start(gateway, fate, &life, &mut failures)? {
            live(gateway, fate, &life, started)?;
        }
    }
    let Some(started) = start_calm(gateway, fate, &mut failures)? else { return Ok(()) };
    fate.doors.open(gateway.index, started.address)?;
    while !fate.over.load(Ordering::SeqCst) {
        thread::sleep(LOOK);
    }
    fate.doors.close(gateway.index);
    end_life(started.running, &End::Age)
}

/// The lives of a gateway that is restarted for the whole run, and asked to stop every other time.
fn restarts(gateway: &Gateway, fate: &Fate) -> Result<()> {
    let mut dice = Dice::new(fate.seed, 1000 + gateway.index as u64);
    let (mut failures, mut asked) = (0, false);
    loop {
        let lacks_provider = fate.rules.rolling
            && dice.percent(LACKING_RESTARTS)
            && !fate.calm.load(Ordering::SeqCst);
        let life = Life { lacks_provider, ..Life::default() };
        let Some(started) = start_as(&life, gateway, fate, &mut failures)? else { return Ok(()) };
        // The last questions are for those that answer them.
        if !fate.calm.load(Ordering::SeqCst) {
            fate.doors.open(gateway.index, started.address)?;
        }
        let end = Instant::now() + millis(dice.between(RESTARTED_AFTER.0, RESTARTED_AFTER.1));
        while Instant::now() < end && !fate.over.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
            if fate.calm.load(Ordering::SeqCst) {
                fate.doors.close(gateway.index);
            }
        }
        fate.doors.close(gateway.index);
        asked = !asked;
        if asked {
            let status = started.running.stop()?;
            ensure!(status.success(), "a gateway that was asked to stop ended with {status}");
        } else {
            end_life(started.running, &End::Age)?;
        }
        fate.toll.restarts.fetch_add(1, Ordering::SeqCst);
    }
}

/// Begins a life in which nothing goes wrong. `None`: all is over.
fn start_calm(gateway: &Gateway, fate: &Fate, failures: &mut u32) -> Result<Option<Started>> {
    start_as(&Life::default(), gateway, fate, failures)
}

/// Begins a life, however long its database is away. `None`: all is over.
fn start_as(
    life: &Life,
    gateway: &Gateway,
    fate: &Fate,
    failures: &mut u32,
) -> Result<Option<Started>> {
    while !fate.over.load(Ordering::SeqCst) {
        let started = start(gateway, fate, life, failures)?;
        if started.is_some() {
            return Ok(started);
        }
    }
    Ok(None)
}

/// Begins a life. `None`: it ended before anybody could call, and for a good reason.
fn start(
    gateway: &Gateway,
    fate: &Fate,
    life: &Life,
    failures: &mut u32,
) -> Result<Option<Started>> {
    let error = match gateway.start(life, fate.faketime.as_deref()) {
        Ok(started) => {
            *failures = 0;
            fate.toll.lacking.fetch_add(u64::from(life.lacks_provider), Ordering::SeqCst);
            return Ok(Some(started));
        }
        Err(error) => error,
    };
    // It may have come to its place while it took up what an earlier process left.
    let lease = fate.rules.lease;
    if life.end == End::Abort && lease.is_none() {
        fate.toll.crashes.fetch_add(1, Ordering::SeqCst);
        return Ok(None);
    }
    // Its database may be away, and then it says so and ends.
    *failures += 1;
    if lease.is_none() || *failures > STARTS_MAX {
        return Err(error);
    }
    thread::sleep(START_AGAIN);
    Ok(None)
}

fn live(gateway: &Gateway, fate: &Fate, life: &Life, mut started: Started) -> Result<()> {
    fate.doors.open(gateway.index, started.address)?;
    match life.end {
        End::Kill(after) => rest(&mut started, fate, after)?,
        End::Abort => rest(&mut started, fate, ABORT_LATEST)?,
        End::Stop { after, pause, then } => {
            rest(&mut started, fate, after)?;
            // The number of a process that is gone may be another's.
            if started.running.runs()? {
                signal(&started.running, Signal::STOP)?;
                wait(fate, pause);
                signal(&started.running, Signal::CONT)?;
                fate.toll.stops.fetch_add(1, Ordering::SeqCst);
                rest(&mut started, fate, then)?;
            }
        }
        End::Age => rest(&mut started, fate, Duration::MAX)?,
    }
    let Started { running, continuing, clock, .. } = started;
    let steps = clock.map_or(0, |clock| clock.made());
    fate.toll.steps.fetch_add(steps, Ordering::SeqCst);
    let continued = continuing.as_ref().map_or(0, |continuing| continuing.continued());
    fate.toll.stops.fetch_add(continued, Ordering::SeqCst);
    drop(continuing);
    // Callers find out for themselves that it is gone.
    let process = running.id();
    let ended = end_life(running, &life.end);
    faketime::clean_up(process);
    ended?;
    fate.doors.close(gateway.index);
    fate.toll.crashes.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Ends a gateway, which has to live until then: nothing but an abort that was asked for may have ended it.
fn end_life(mut running: Running, how: &End) -> Result<()> {
    let Some(status) = running.ended()? else { return running.kill() };
    let aborted = status.signal() == Some(Signal::ABORT.as_raw());
    ensure!(
        *how == End::Abort && aborted,
        "a gateway ended by itself with {status}\n{}",
        running.last_words()
    );
    Ok(())
}

/// Lets it live for so long, unless it ends by itself, calm is wanted or its store is to be restored.
/// Meanwhile its clock is stepped, and its store is backed up.
fn rest(started: &mut Started, fate: &Fate, time: Duration) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time && started.running.runs()? && !fate.calm.load(Ordering::SeqCst) {
        if let Some(clock) = &mut started.clock {
            clock.follow()?;
        }
        match own_store(fate).and_then(Restoring::due) {
            None => {}
            Some(Act::BackUp) => own_store(fate).map_or(Ok(()), Restoring::back_up)?,
            Some(Act::Restore | Act::Settle) => return Ok(()),
        }
        thread::sleep(LOOK.min(time.saturating_sub(begin.elapsed())));
    }
    Ok(())
}

/// The backup of a store that is one gateway's alone; one at a server is its nemesis's.
fn own_store(fate: &Fate) -> Option<&Restoring> {
    fate.restoring.as_deref().filter(|_| fate.rules.lease.is_none())
}

/// Puts the backup in the place of the store of a gateway that has ended, or says that nothing is missing any
/// more, where that is due. What the store's witness knows stays.
fn restore(gateway: &Gateway, fate: &Fate) -> Result<()> {
    let Some(restoring) = own_store(fate) else { return Ok(()) };
    match restoring.due() {
        Some(Act::Restore) => {}
        Some(Act::Settle) => return restoring.confirm(),
        _ => return Ok(()),
    }
    for name in ["purveyor.db", "purveyor.db-wal", "purveyor.db-shm"] {
        let file = gateway.configuration.with_file_name(name);
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("cannot remove {file:?}"))?;
        }
    }
    restoring.restore()?;
    restoring.confirm()?;
    fate.toll.restores.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Lets so much time pass, unless calm is wanted.
fn wait(fate: &Fate, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end && !fate.calm.load(Ordering::SeqCst) {
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
}

fn signal(running: &Running, signal: Signal) -> Result<()> {
    let pid = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, signal)?;
    }
    Ok(())
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{End, Running, end_life};

    /// A program that has ended already.
    fn ended(text: &str) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", text]);
        let mut running = Running::start("sh", shell, folder.path().join("log")).unwrap();
        // Its output ends when it does.
        assert!(running.wait_for(|_| None::<()>).is_err());
        while running.runs().unwrap() {
            std::thread::yield_now();
        }
        running
    }

    #[test]
    fn gateway_that_ends_by_itself_is_no_planned_crash() {
        let kill = End::Kill(Duration::from_secs(1));
        for wrong in ["exit 0", "exit 101", "kill -SEGV $$"] {
            assert!(end_life(ended(wrong), &kill).is_err(), "{wrong}");
            assert!(end_life(ended(wrong), &End::Abort).is_err(), "{wrong}");
        }
        assert!(end_life(ended("kill -ABRT $$"), &End::Age).is_err());
        end_life(ended("kill -ABRT $$"), &End::Abort).unwrap();
    }
}
