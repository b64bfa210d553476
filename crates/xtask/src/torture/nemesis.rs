//! Who ends the gateways: a thread for each, which starts its gateway, lets it live for a moment, ends
//! it in one of several ways, and begins again. It must not touch anything but its gateway's process.

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
    /// How many processes ended by force.
    pub(crate) crashes: AtomicU64,
    /// Nobody is ended any more, and the last lives are calm.
    pub(crate) calm: AtomicBool,
    /// Everything is over.
    pub(crate) over: AtomicBool,
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
    while !fate.calm.load(Ordering::SeqCst) {
        let life = Life::draw(&mut dice, fate.temper, fate.control);
        live(gateway, fate, &life)?;
    }
    let (running, address) = gateway.start("")?;
    fate.doors.open(gateway.index, address)?;
    while !fate.over.load(Ordering::SeqCst) {
        thread::sleep(LOOK);
    }
    fate.doors.close(gateway.index);
    drop(running);
    Ok(())
}

fn live(gateway: &Gateway, fate: &Fate, life: &Life) -> Result<()> {
    let started = gateway.start(&life.failpoints);
    let (mut running, address) = match started {
        Ok(started) => started,
        // It may have come to its place while it took up what an earlier process left.
        Err(_) if life.end == End::Abort => {
            fate.crashes.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
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
    fate.crashes.fetch_add(1, Ordering::SeqCst);
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
    fn draw(dice: &mut Dice, temper: Temper, control: Option<Control>) -> Self {
        let mut failpoints = vec![format!("seed={}", dice.roll(1 << 32))];
        failpoints.extend(control.map(|control| format!("control={}", control.word())));
        let end = match temper {
            Temper::Mild => {
                failpoints.push(format!("stall=30:{}", TIMING.past_settle().as_millis()));
                End::Age
            }
            Temper::Rough => End::Kill(millis(dice.between(1500, 4000))),
            Temper::Cruel => Self::cruel(dice, &mut failpoints),
        };
        Self { failpoints: failpoints.join(","), end }
    }

    fn cruel(dice: &mut Dice, failpoints: &mut Vec<String>) -> End {
        match dice.roll(100) {
            0..54 => End::Kill(millis(dice.between(5, 150))),
            54..86 => {
                let (place, nth) = (dice.between(1, PLACES), dice.between(1, 12));
                // Some come to their place, and end while the bytes are on their way.
                let micros = if dice.percent(50) { 0 } else { dice.between(20, 4000) };
                failpoints.push(format!("abort={place}:{nth}:{micros}"));
                End::Abort
            }
            86..96 => End::Stop {
                after: millis(dice.between(5, 100)),
                pause: millis(dice.between(5, 300)),
                then: millis(dice.between(5, 60)),
            },
            96..99 => End::Kill(millis(dice.between(300, 1500))),
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
