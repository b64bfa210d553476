//! Who ends the gateways: a thread for each, which starts its gateway, lets it live for a moment, ends
//! it in one of several ways, and begins again. It must not touch anything but its gateway's process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use xtask::process::Running;

use super::dice::Dice;
use super::faults::TIMING;
use super::fleet::{Doors, Gateway};
use super::options::Control;

/// A gateway that does not come to the place where it is to abort is killed after this.
const ABORT_LATEST: Duration = Duration::from_millis(400);
/// How often a thread looks whether its gateway has ended.
const LOOK: Duration = Duration::from_millis(2);
/// The places along a spend, from 1.
const PLACES: u64 = 14;
/// A gateway that does not start because its database is away is started again after this.
const START_AGAIN: Duration = Duration::from_millis(100);
/// So often in a row; then it is no longer the database's fault.
const STARTS_MAX: u32 = 50;

/// How the gateways are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// As badly as possible.
    Cruel,
    /// Killed now and then: a control has to live long enough to do its mistake.
    Rough,
    /// Left alone.
    Mild,
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) seed: u64,
    pub(crate) temper: Temper,
    pub(crate) control: Option<Control>,
    pub(crate) doors: Arc<Doors>,
    /// How long a gateway that is held up keeps what it works on from others, where there are any.
    pub(crate) lease: Option<Duration>,
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
    /// How often the database was killed.
    pub(crate) databases: AtomicU64,
    /// How often connections to it were cut: one during a commit, or all at once.
    pub(crate) cuts: AtomicU64,
}

/// One life of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    /// What the process is told of itself.
    failpoints: String,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// `kill -9` after this.
    Kill(Duration),
    /// It ends by itself at its place.
    Abort,
    /// It is stopped, goes on, and is killed.
    Stop { after: Duration, pause: Duration, then: Duration },
    /// It lives until all is over.
    Age,
}

/// Begins.
pub(crate) fn unleash(gateways: Vec<Gateway>, fate: &Arc<Fate>) -> Vec<JoinHandle<()>> {
    let threads = gateways.into_iter().map(|gateway| {
        let fate = Arc::clone(fate);
        thread::spawn(move || {
            if let Err(error) = lives(&gateway, &fate) {
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
        let life = Life::draw(&mut dice, fate);
        if let Some(started) = start(gateway, fate, &life, &mut failures)? {
            live(gateway, fate, &life, started)?;
        }
    }
    let calm = Life { failpoints: String::new(), end: End::Age };
    let (running, address) = loop {
        if let Some(started) = start(gateway, fate, &calm, &mut failures)? {
            break started;
        }
    };
    fate.doors.open(gateway.index, address)?;
    while !fate.over.load(Ordering::SeqCst) {
        thread::sleep(LOOK);
    }
    fate.doors.close(gateway.index);
    drop(running);
    Ok(())
}

/// Begins a life. `None`: it ended before anybody could call, and for a good reason.
fn start(
    gateway: &Gateway,
    fate: &Fate,
    life: &Life,
    failures: &mut u32,
) -> Result<Option<(Running, SocketAddr)>> {
    let error = match gateway.start(&life.failpoints) {
        Ok(started) => {
            *failures = 0;
            return Ok(Some(started));
        }
        Err(error) => error,
    };
    // It may have come to its place while it took up what an earlier process left.
    if life.end == End::Abort && fate.lease.is_none() {
        fate.toll.crashes.fetch_add(1, Ordering::SeqCst);
        return Ok(None);
    }
    // Its database may be away, and then it says so and ends.
    *failures += 1;
    if fate.lease.is_none() || *failures > STARTS_MAX {
        return Err(error);
    }
    thread::sleep(START_AGAIN);
    Ok(None)
}

fn live(gateway: &Gateway, fate: &Fate, life: &Life, started: (Running, SocketAddr)) -> Result<()> {
    let (mut running, address) = started;
    fate.doors.open(gateway.index, address)?;
    match life.end {
        End::Kill(after) => rest(&mut running, fate, after)?,
        End::Abort => rest(&mut running, fate, ABORT_LATEST)?,
        End::Stop { after, pause, then } => {
            rest(&mut running, fate, after)?;
            signal(&running, Signal::STOP)?;
            thread::sleep(pause);
            signal(&running, Signal::CONT)?;
            rest(&mut running, fate, then)?;
        }
        End::Age => rest(&mut running, fate, Duration::MAX)?,
    }
    // Callers find out for themselves that it is gone.
    running.kill()?;
    fate.doors.close(gateway.index);
    fate.toll.crashes.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Lets it live for so long, unless it ends by itself or calm is wanted.
fn rest(running: &mut Running, fate: &Fate, time: Duration) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time && running.runs()? && !fate.calm.load(Ordering::SeqCst) {
        thread::sleep(LOOK.min(time.saturating_sub(begin.elapsed())));
    }
    Ok(())
}

fn signal(running: &Running, signal: Signal) -> Result<()> {
    let pid = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, signal)?;
    }
    Ok(())
}

impl Life {
    fn draw(dice: &mut Dice, fate: &Fate) -> Self {
        let mut failpoints = vec![format!("seed={}", dice.roll(1 << 32))];
        failpoints.extend(fate.control.map(|control| format!("control={}", control.word())));
        let end = match fate.temper {
            Temper::Mild => {
                failpoints.push(format!("stall=30:{}", TIMING.past_settle().as_millis()));
                End::Age
            }
            Temper::Rough => End::Kill(millis(dice.between(1500, 4000))),
            Temper::Cruel => Self::cruel(dice, fate.lease, &mut failpoints),
        };
        Self { failpoints: failpoints.join(","), end }
    }

    fn cruel(dice: &mut Dice, lease: Option<Duration>, failpoints: &mut Vec<String>) -> End {
        match (dice.roll(100), lease) {
            // Where each commit is several round trips, some have to live for a purchase or two.
            (20..54, Some(_)) => End::Kill(millis(dice.between(200, 4000))),
            // Held up until others have taken over what it holds, and decided it; then it goes on.
            (84..86, Some(lease)) => End::Stop {
                after: millis(dice.between(5, 100)),
                pause: lease + TIMING.past_settle() + millis(dice.between(0, 1500)),
                then: millis(dice.between(5, 500)),
            },
            (0..54, _) => End::Kill(millis(dice.between(5, 150))),
            (54..86, _) => {
                let (place, nth) = (dice.between(1, PLACES), dice.between(1, 12));
                // Some come to their place, and end while the bytes are on their way.
                let micros = if dice.percent(50) { 0 } else { dice.between(20, 4000) };
                failpoints.push(format!("abort={place}:{nth}:{micros}"));
                End::Abort
            }
            (86..96, _) => End::Stop {
                after: millis(dice.between(5, 100)),
                pause: millis(dice.between(5, 300)),
                then: millis(dice.between(5, 60)),
            },
            (96..99, _) => End::Kill(millis(dice.between(300, 1500))),
            // Senders that are held up past the settle window have to live that long.
            _ => {
                let stall = TIMING.past_settle();
                failpoints.push(format!("stall=30:{}", stall.as_millis()));
                End::Kill(stall + millis(1000))
            }
        }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
