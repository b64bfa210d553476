//! Which changes are on their way into the store: decided at a time that may be long past when they
//! are stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// The times of changes that are being committed, and how many have each.
#[derive(Debug, Default)]
pub(super) struct Committing(Mutex<BTreeMap<Timestamp, usize>>);

/// A change that is being committed, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    committing: &'a Committing,
    time: Timestamp,
}

impl Committing {
    /// A change that was decided at `time` is about to be committed.
    pub(super) fn begin(&self, time: Timestamp) -> UnderWay<'_> {
        *self.times().entry(time).or_default() += 1;
        UnderWay { committing: self, time }
    }

    /// The last time up to `now` that no change under way belongs to.
    pub(super) fn settled(&self, now: Timestamp) -> Timestamp {
        let times = self.times();
        let Some(oldest) = times.keys().next() else { return now };
        oldest.saturating_sub(SignedDuration::from_nanos(1)).map_or(now, |before| before.min(now))
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<Timestamp, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut times = self.committing.times();
        if let Some(count) = times.get_mut(&self.time) {
            *count -= 1;
            if *count == 0 {
                times.remove(&self.time);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Committing, Timestamp};

    #[test]
    fn settled_stays_before_the_oldest_change_under_way() {
        let at = |nanos: i128| Timestamp::from_nanosecond(nanos).unwrap();
        let committing = Committing::default();
        assert_eq!(committing.settled(at(9)), at(9));
        let (five, again, seven) =
            (committing.begin(at(5)), committing.begin(at(5)), committing.begin(at(7)));
        assert_eq!(committing.settled(at(9)), at(4));
        assert_eq!(committing.settled(at(3)), at(3));
        drop(five);
        assert_eq!(committing.settled(at(9)), at(4));
        drop(again);
        assert_eq!(committing.settled(at(9)), at(6));
        drop(seven);
        assert_eq!(committing.settled(at(9)), at(9));
    }
}
