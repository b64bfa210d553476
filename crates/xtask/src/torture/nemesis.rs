//! Who ends the gateways: a thread for each, which starts its gateway, lets it live for a moment, ends
//! it in one of several ways, and begins again. It must not touch anything but its gateway's process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use xtask::faketime;
use xtask::process::Running;

use super::dice::Dice;
use super::fleet::{Doors, Gateway, Started};
use super::kill_plan::{End, Life, Rules};

/// A gateway that does not come to the place where it is to abort is killed after this.
const ABORT_LATEST: Duration = Duration::from_millis(400);
/// How often a thread looks whether its gateway has ended.
const LOOK: Duration = Duration::from_millis(2);
/// A gateway that does not start because its database is away is started again after this.
const START_AGAIN: Duration = Duration::from_millis(100);
/// So often in a row; then it is no longer the database's fault.
const STARTS_MAX: u32 = 50;
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
        let life = Life::draw(&mut dice, &fate.rules, gateway.index);
        if let Some(started) = start(gateway, fate, &life, &mut failures)? {
            live(gateway, fate, &life, started)?;
        }
    }
    let started = start_calm(gateway, fate, &mut failures)?;
    fate.doors.open(gateway.index, started.address)?;
    while !fate.over.load(Ordering::SeqCst) {
        thread::sleep(LOOK);
    }
    fate.doors.close(gateway.index);
    drop(started);
    Ok(())
}

/// The lives of a gateway that is restarted for the whole run, and asked to stop every other time.
fn restarts(gateway: &Gateway, fate: &Fate) -> Result<()> {
    let mut dice = Dice::new(fate.seed, 1000 + gateway.index as u64);
    let (mut failures, mut asked) = (0, false);
    while !fate.over.load(Ordering::SeqCst) {
        let started = start_calm(gateway, fate, &mut failures)?;
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
            started.running.stop().map(drop)?
        } else {
            started.running.kill()?
        }
        fate.toll.restarts.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Begins a life in which nothing goes wrong, however long its database is away.
fn start_calm(gateway: &Gateway, fate: &Fate, failures: &mut u32) -> Result<Started> {
    loop {
        if let Some(started) = start(gateway, fate, &Life::default(), failures)? {
            return Ok(started);
        }
    }
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
            signal(&started.running, Signal::STOP)?;
            wait(fate, pause);
            signal(&started.running, Signal::CONT)?;
            fate.toll.stops.fetch_add(1, Ordering::SeqCst);
            rest(&mut started, fate, then)?;
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
    running.kill()?;
    faketime::clean_up(process);
    fate.doors.close(gateway.index);
    fate.toll.crashes.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Lets it live for so long, unless it ends by itself or calm is wanted. Meanwhile its clock is stepped.
fn rest(started: &mut Started, fate: &Fate, time: Duration) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time && started.running.runs()? && !fate.calm.load(Ordering::SeqCst) {
        if let Some(clock) = &mut started.clock {
            clock.follow()?;
        }
        thread::sleep(LOOK.min(time.saturating_sub(begin.elapsed())));
    }
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
