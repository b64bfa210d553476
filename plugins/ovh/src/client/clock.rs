//! The upstream's clock, by which requests are signed: how far it is from the host's, kept for a
//! while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use purveyor_sdk::prost_types::Timestamp;

/// How long a difference is trusted: clocks drift by seconds a day, and the upstream allows minutes.
const LIFE: Duration = Duration::from_secs(3600);

/// The difference between the upstream's clock and the host's.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<Option<Difference>>);

#[derive(Debug, Clone, Copy)]
struct Difference {
    /// The upstream's seconds minus the host's.
    seconds: i64,
    /// The host's steady clock when it was taken.
    taken: Duration,
}

impl Clock {
    /// The upstream's time, if it is known; in seconds since 1970.
    pub(crate) fn now(&self, host: &Timestamp, steady: Duration) -> Option<i64> {
        let difference = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = difference.filter(|it| steady.saturating_sub(it.taken) < LIFE)?;
        host.seconds.checked_add(fresh.seconds)
    }

    /// Keeps what the upstream told.
    pub(crate) fn set(&self, upstream: i64, host: &Timestamp, steady: Duration) {
        let seconds = upstream.saturating_sub(host.seconds);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Difference { seconds, taken: steady });
    }

    /// Forgets it, because the upstream says that it is wrong.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Duration, Timestamp};

    #[test]
    fn a_difference_is_kept_for_an_hour() {
        let clock = Clock::default();
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        let steady = Duration::from_secs;
        assert_eq!(clock.now(&at(1000), steady(5)), None);
        clock.set(1090, &at(1000), steady(5));
        assert_eq!(clock.now(&at(1001), steady(6)), Some(1091));
        assert_eq!(clock.now(&at(4604), steady(3604)), Some(4694));
        assert_eq!(clock.now(&at(4605), steady(3605)), None);
        clock.forget();
        assert_eq!(clock.now(&at(1001), steady(6)), None);
    }
}
