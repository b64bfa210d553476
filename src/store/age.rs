//! The store's age: the time that somebody watched it. Windows, leases, wake times and retention are
//! differences of ages. No age can be mixed with the wall clock, which may be stepped.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the store's own timeline, in nanoseconds.
///
/// The timeline advances with real time while a process watches the store, and stands still while
/// nobody does; but between two processes in one boot of one machine all the time counts. It begins where
/// the wall clock stood when the store was made; nothing depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(i64);

impl Age {
    /// The age of so many nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Age {
        Age(nanos)
    }

    /// Its nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// How much later it is than `earlier`; zero when it is not.
    pub fn since(self, earlier: Age) -> Duration {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
    }
}

/// Later; at the end of the timeline it stays there.
impl Add<Duration> for Age {
    type Output = Age;

    fn add(self, duration: Duration) -> Age {
        Age(self.0.saturating_add(nanos(duration)))
    }
}

/// Earlier; at the beginning of the timeline it stays there.
impl Sub<Duration> for Age {
    type Output = Age;

    fn sub(self, duration: Duration) -> Age {
        Age(self.0.saturating_sub(nanos(duration)))
    }
}

/// What a process knows of the age at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgeReading {
    /// The age; never ahead of the time that was watched.
    pub age: Age,
    /// Whether a heartbeat of this process was acknowledged shortly before. A stale age lags behind,
    /// and what begins with it would end early.
    pub fresh: bool,
    /// What a duration that begins now is longer by, so that no other process ends it early.
    pub slack: Duration,
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Age, Duration};

    #[test]
    fn age_arithmetic_stays_on_the_timeline() {
        let second = Duration::from_secs(1);
        let check = |age: i64, later: i64, earlier: i64| {
            let age = Age::from_nanos(age);
            assert_eq!((age + second).as_nanos(), later);
            assert_eq!((age - second).as_nanos(), earlier);
        };
        check(0, 1_000_000_000, -1_000_000_000);
        check(i64::MAX, i64::MAX, i64::MAX - 1_000_000_000);
        check(i64::MIN, i64::MIN + 1_000_000_000, i64::MIN);
        assert_eq!(Age(5).since(Age(2)), Duration::from_nanos(3));
        assert_eq!(Age(2).since(Age(5)), Duration::ZERO);
        assert_eq!(Age(i64::MAX).since(Age(i64::MIN)), Duration::from_nanos(u64::MAX));
        assert_eq!(Age(0) + Duration::MAX, Age(i64::MAX));
    }
}
