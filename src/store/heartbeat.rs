//! The heartbeat that advances the store's age: what the next one writes over the stored one, and what a
//! process knows of the age between two heartbeats.
//!
//! # Why no duration ends early
//!
//! Each heartbeat writes an age together with the moment on CLOCK_BOOTTIME at which it is true. That
//! moment is read after the stored heartbeat was read and before the new one is sent, and the write is a
//! compare-and-set on the age that was read. So a heartbeat `j` that follows a heartbeat `i` was true
//! later, and its age is the greatest of
//!
//! - one nanosecond more than the stored age;
//! - the age of an earlier heartbeat and the time since, at most [`INTERVAL_MAX`]: of this process's last
//!   one, or of the stored one where it was written in this boot of this machine;
//! - at the first heartbeat of a process, the stored age and all the time since, where the stored one was
//!   written in this boot. The compare-and-set proves that nobody has advanced the age meanwhile.
//!
//! Let `a` be the age and `t` the real moment of a heartbeat. The first and the third give
//! `a[j] - a[i] <= t[j] - t[i]` where `i` is the one before `j`. The second gives the same for every `i`
//! that its earlier heartbeat is not older than, and `a[j] <= a[i] + INTERVAL_MAX` for every later `i`,
//! because ages only grow. A chain of heartbeats after `i` takes an older one at most once, so in general
//!
//! `a[j] <= a[i] + (t[j] - t[i]) + INTERVAL_MAX`.
//!
//! A duration begins on a fresh reading: this process's own heartbeat `i`, at most [`FRESH_MAX`] old, and
//! the time since, which is exact. It is judged on a reading of another process: a heartbeat `j` and at
//! most the time since. So a duration ends at most `INTERVAL_MAX` early, and never early once that is
//! added to it. That is the slack of a store that several processes share.
//!
//! Merging this process's own line into what another wrote, instead of adding nothing where another came
//! first, lets every process have its own acknowledged heartbeat each second: only such a one is fresh.
//!
//! A store that one process uses at a time needs no slack: every heartbeat is based on the one before it.
//! After a crash the next process goes on from the last acknowledged heartbeat, with the exact time since
//! it in the same boot, and with less in another one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use super::age::{Age, AgeReading};

/// How often a heartbeat is written, also while it is idle.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// How often old changes are looked for. A minute more or less does not matter against seven days.
pub(super) const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// The most that one interval between two heartbeats counts. A process that was stopped for longer did
/// not watch.
pub(super) const INTERVAL_MAX: Duration = Duration::from_secs(2);

/// A heartbeat that was acknowledged longer ago is stale.
const FRESH_MAX: Duration = Duration::from_secs(2);

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const TIME_NAMESPACE: &str = "/proc/self/ns/time";

/// One boot of one machine, as far as moments on its CLOCK_BOOTTIME can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The kernel's name of the boot.
    pub(super) boot_id: Uuid,
    /// The time namespace, which may shift the clock; 0 where the kernel has none.
    pub(super) time_namespace: i64,
}

impl Machine {
    /// The one that this process runs on.
    pub(super) fn here() -> io::Result<Machine> {
        let boot_id = fs::read_to_string(BOOT_ID)?;
        let boot_id = Uuid::parse_str(boot_id.trim()).map_err(io::Error::other)?;
        let namespace = fs::metadata(TIME_NAMESPACE).map_or(0, |metadata| metadata.ino());
        Ok(Machine { boot_id, time_namespace: namespace.cast_signed() })
    }
}

/// A heartbeat as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heartbeat {
    /// The age.
    pub(super) age: Age,
    /// Who wrote it; `None`: nobody yet.
    pub(super) machine: Option<Machine>,
    /// The moment at which the age is true, on that machine's CLOCK_BOOTTIME, nanoseconds.
    pub(super) boot_ns: i64,
}

/// The heartbeat that this machine writes over `stored` at `now`. `own` is the last one of this process
/// that was acknowledged.
///
/// Requires: `now` was read after `stored`.
fn next(own: Option<&Heartbeat>, stored: &Heartbeat, here: Machine, now: i64) -> Heartbeat {
    let on = |heartbeat: &Heartbeat, most: Duration| {
        let since = u64::try_from(now.saturating_sub(heartbeat.boot_ns)).unwrap_or_default();
        heartbeat.age + Duration::from_nanos(since).min(most)
    };
    let most = if own.is_some() { INTERVAL_MAX } else { Duration::MAX };
    let same_boot = stored.machine == Some(here) && stored.boot_ns <= now;
    let stored_line = same_boot.then(|| on(stored, most));
    let own_line = own.map(|own| on(own, INTERVAL_MAX));
    let least = stored.age + Duration::from_nanos(1);
    let age = [stored_line, own_line].into_iter().flatten().fold(least, Age::max);
    Heartbeat { age, machine: Some(here), boot_ns: now }
}

/// What this process knows of the age.
pub(super) struct AgeClock {
    here: Machine,
    slack: Duration,
    /// The last heartbeat of this process that was acknowledged.
    own: Mutex<Option<Heartbeat>>,
}

impl AgeClock {
    /// Before the first heartbeat. `shared`: several processes may use the store at a time.
    ///
    /// # Errors
    ///
    /// When the kernel's boot id cannot be read.
    pub(super) fn new(shared: bool) -> io::Result<AgeClock> {
        let slack = if shared { INTERVAL_MAX } else { Duration::ZERO };
        Ok(AgeClock { here: Machine::here()?, slack, own: Mutex::default() })
    }

    /// The heartbeat to write over `stored`, which has just been read. It counts once
    /// [`AgeClock::acknowledged`] is told.
    pub(super) fn next(&self, stored: &Heartbeat) -> Heartbeat {
        next(self.own().as_ref(), stored, self.here, boot_ns())
    }

    /// A heartbeat was committed.
    pub(super) fn acknowledged(&self, heartbeat: Heartbeat) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_none_or(|own| own.age < heartbeat.age) {
            *own = Some(heartbeat);
        }
    }

    /// The age now.
    pub(super) fn reading(&self) -> AgeReading {
        let Some(own) = self.own() else {
            return AgeReading { age: Age::from_nanos(0), fresh: false, slack: self.slack };
        };
        reading(&own, self.slack, boot_ns())
    }

    fn own(&self) -> Option<Heartbeat> {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reading(own: &Heartbeat, slack: Duration, now: i64) -> AgeReading {
    let since = u64::try_from(now.saturating_sub(own.boot_ns)).unwrap_or_default();
    let since = Duration::from_nanos(since);
    AgeReading { age: own.age + since.min(INTERVAL_MAX), fresh: since <= FRESH_MAX, slack }
}

/// CLOCK_BOOTTIME, which no administrator can set.
fn boot_ns() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::{Age, Duration, Heartbeat, Machine, Uuid, next, reading};

    const SECOND: i64 = 1_000_000_000;
    const HERE: Machine = Machine { boot_id: Uuid::from_u128(1), time_namespace: 5 };
    const OTHER_BOOT: Machine = Machine { boot_id: Uuid::from_u128(2), ..HERE };
    const OTHER_NAMESPACE: Machine = Machine { time_namespace: 6, ..HERE };

    /// A heartbeat of an age, at a moment; both in tenths of a second.
    fn heartbeat(age: i64, machine: Machine, moment: i64) -> Heartbeat {
        Heartbeat {
            age: Age::from_nanos(age * SECOND / 10),
            machine: Some(machine),
            boot_ns: moment * SECOND / 10,
        }
    }

    /// The age that the next heartbeat writes at a moment, in nanoseconds beyond `base` tenths.
    fn check(own: Option<Heartbeat>, stored: Heartbeat, now: i64, expected: (i64, i64)) {
        let written = next(own.as_ref(), &stored, HERE, now * SECOND / 10);
        let (tenths, nanos) = expected;
        let age = Age::from_nanos(tenths * SECOND / 10 + nanos);
        assert_eq!(written.age, age, "{own:?} over {stored:?} at {now}");
        assert_eq!((written.machine, written.boot_ns), (Some(HERE), now * SECOND / 10));
    }

    #[test]
    fn next_heartbeat_counts_at_most_two_seconds_of_its_own_interval() {
        let alone = |now, expected| {
            let own = heartbeat(1000, HERE, 100);
            check(Some(own), own, now, expected);
        };
        alone(110, (1010, 0));
        alone(120, (1020, 0));
        alone(121, (1020, 0));
        alone(36_100, (1020, 0));
        // Not even a clock that went back makes the age go back.
        alone(90, (1000, 1));
    }

    #[test]
    fn next_heartbeat_never_adds_its_interval_to_what_another_process_advanced() {
        let own = heartbeat(1000, OTHER_BOOT, 100);
        // Another machine is as far, a little behind, or ahead.
        let own = Heartbeat { machine: Some(HERE), ..own };
        check(Some(own), heartbeat(1010, OTHER_BOOT, 7), 110, (1010, 1));
        check(Some(own), heartbeat(1004, OTHER_BOOT, 7), 110, (1010, 0));
        check(Some(own), heartbeat(1300, OTHER_BOOT, 7), 110, (1300, 1));
        // A process that was stopped for an hour finds that the others went on.
        check(Some(own), heartbeat(37_000, OTHER_BOOT, 7), 36_100, (37_000, 1));
        // Another process of this machine: its moment is known.
        check(Some(own), heartbeat(1005, HERE, 105), 110, (1010, 0));
        check(Some(own), heartbeat(1005, HERE, 105), 200, (1025, 0));
        check(Some(own), heartbeat(1005, HERE, 111), 110, (1010, 0));
    }

    #[test]
    fn first_heartbeat_counts_the_gap_in_the_same_boot_only() {
        let stored = |machine| heartbeat(1000, machine, 100);
        check(None, stored(HERE), 36_100, (37_000, 0));
        check(None, stored(HERE), 100, (1000, 1));
        check(None, stored(HERE), 50, (1000, 1));
        check(None, stored(OTHER_BOOT), 36_100, (1000, 1));
        check(None, stored(OTHER_NAMESPACE), 36_100, (1000, 1));
        let never = Heartbeat { machine: None, ..stored(HERE) };
        check(None, never, 36_100, (1000, 1));
    }

    #[test]
    fn reading_is_fresh_for_two_seconds_and_stands_still_after_them() {
        let check = |now: i64, age: i64, fresh: bool| {
            let read = reading(&heartbeat(1000, HERE, 100), Duration::ZERO, now * SECOND / 10);
            assert_eq!((read.age, read.fresh), (heartbeat(age, HERE, 0).age, fresh), "{now}");
        };
        check(100, 1000, true);
        check(115, 1015, true);
        check(120, 1020, true);
        check(121, 1020, false);
        check(36_100, 1020, false);
    }
}
