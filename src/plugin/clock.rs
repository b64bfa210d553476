//! Time as the host sees it: the wall, for people, and the time since boot, for deadlines. Nothing
//! here waits, and no deadline of a spend is computed from the wall clock.

use std::fmt;
use std::fs;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where the host reads the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time of day; may be set back.
    fn wall(&self) -> Timestamp;

    /// The time since boot, suspension included; never goes back within one boot.
    fn boot(&self) -> BootInstant;
}

/// A moment on the clock that counts from boot. Moments of two boots cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootInstant {
    /// The kernel's name of the boot.
    pub boot_id: Uuid,
    /// Nanoseconds since the boot.
    pub ns: u64,
}

impl BootInstant {
    /// The moment `after` later; at the end of time it stays there.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        let ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Self { ns: self.ns.saturating_add(ns), ..self }
    }

    /// Whether a deadline at this moment is missed at `now`. A deadline of another boot always is,
    /// because nobody can tell how long the machine was down.
    pub fn is_past(self, now: Self) -> bool {
        self.boot_id != now.boot_id || now.ns >= self.ns
    }

    /// The time from `earlier` to this moment; `None` when they are of different boots.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        (self.boot_id == earlier.boot_id)
            .then(|| Duration::from_nanos(self.ns.saturating_sub(earlier.ns)))
    }
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot_id: Uuid,
}

impl SystemClock {
    /// Reads the boot id.
    ///
    /// # Errors
    ///
    /// When the kernel's boot id cannot be read or is no UUID.
    pub fn open() -> io::Result<Self> {
        let text = fs::read_to_string(BOOT_ID)?;
        let boot_id = Uuid::parse_str(text.trim()).map_err(io::Error::other)?;
        Ok(Self { boot_id })
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boot(&self) -> BootInstant {
        let time = clock_gettime(ClockId::Boottime);
        // The kernel never gives a negative time since boot, nor one beyond 584 years.
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        BootInstant { boot_id: self.boot_id, ns: seconds * 1_000_000_000 + nanos }
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(Timestamp, BootInstant)>,
}

impl ManualClock {
    /// Stands at `wall`, one hour after a boot with a name of its own.
    pub fn new(wall: Timestamp) -> Self {
        let boot = BootInstant { boot_id: Uuid::new_v4(), ns: 3_600_000_000_000 };
        Self { now: Mutex::new((wall, boot)) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 = now.0.saturating_add(by).unwrap_or(Timestamp::MAX);
        now.1 = now.1.plus(by);
    }

    /// Boots the machine anew: another boot id, and the time since boot begins at zero.
    pub fn reboot(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.1 = BootInstant { boot_id: Uuid::new_v4(), ns: 0 };
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn boot(&self) -> BootInstant {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_boot_moves_on() {
        let clock = SystemClock::open().unwrap();
        let first = clock.boot();
        let second = clock.boot();
        assert!(second.ns >= first.ns && first.ns > 0);
        assert_eq!(first.boot_id, second.boot_id);
    }

    #[test]
    fn a_deadline_is_missed_in_time_and_after_any_reboot() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let deadline = clock.boot().plus(Duration::from_secs(2));
        assert!(!deadline.is_past(clock.boot()));
        clock.advance(Duration::from_millis(1_999));
        assert!(!deadline.is_past(clock.boot()));
        clock.advance(Duration::from_millis(1));
        assert!(deadline.is_past(clock.boot()));
        let far = clock.boot().plus(Duration::from_secs(86_400));
        clock.reboot();
        assert!(far.is_past(clock.boot()), "a deadline of another boot has passed");
        assert_eq!(far.since(clock.boot()), None);
    }
}
