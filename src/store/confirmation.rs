//! A store that may lack what it acknowledged, and what an operator decides about it. It must not know how
//! that was noticed, nor what is searched for because of it.

use std::time::Duration;

use jiff::Timestamp;

use super::age::Age;
use super::operation::Operation;

/// A time in which operations may have been accepted and sent that the store does not know.
///
/// Upstreams date by the wall clock, so `from` is one; what decides is measured by the store's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostTime {
    /// Since when commits may be missing.
    pub from: Timestamp,
    /// An age of the store that is not later than `from`.
    pub from_age: Age,
    /// The age at the confirmation. Nothing that is missing was sent later.
    pub confirmed_age: Age,
    /// Until when operations are searched for before they spend, for people.
    pub until: Timestamp,
    /// As `until`, by the age.
    pub until_age: Age,
}

/// What an operator found out about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It holds all that was acknowledged.
    NothingLost,
    /// Commits since `from` may be missing. Until `until` each operation is searched for upstream before
    /// its next spend.
    Lost {
        /// Since when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
}

/// A decision, as the store records it for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub decision: Decision,
    /// The integrity alert that it ended; empty where there was none.
    pub alert: String,
}

impl Confirmation {
    /// The time that the store lacks from now on, as far as anybody knows; `age` is the store's age at the
    /// confirmation, and `earlier` what an earlier one said. What was missing then is still missing.
    pub(super) fn lost_time(&self, age: Age, earlier: Option<LostTime>) -> Option<LostTime> {
        let Decision::Lost { from, until } = self.decision else {
            // It is over; what was searched for because of it, and is not decided, still is.
            return earlier.map(|earlier| LostTime {
                until: earlier.until.min(self.time),
                until_age: earlier.until_age.min(age),
                ..earlier
            });
        };
        // The age advances no faster than time, so it was not less than this at `from`.
        let from_age = age - length(from, self.time);
        let until_age = age + length(self.time, until);
        let lost = LostTime { from, from_age, confirmed_age: age, until, until_age };
        Some(match earlier.filter(|earlier| earlier.lasts(age)) {
            None => lost,
            Some(earlier) => LostTime {
                from: lost.from.min(earlier.from),
                from_age: lost.from_age.min(earlier.from_age),
                until: lost.until.max(earlier.until),
                until_age: lost.until_age.max(earlier.until_age),
                ..lost
            },
        })
    }
}

impl LostTime {
    /// Whether operations are still searched for at an age.
    #[must_use]
    pub fn lasts(&self, age: Age) -> bool {
        age < self.until_age
    }
}

fn length(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default()
}

/// What can be told of a store that may lack what it acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// Why nothing is spent; `None`: nothing speaks against the store.
    pub alert: Option<String>,
    /// The last change that the store has; 0 where it has none.
    pub last_position: u64,
    /// When the last change was made.
    pub last_time: Option<Timestamp>,
    /// The last change that a witness knows of; `None`: there is no witness.
    pub witnessed_position: Option<u64>,
    /// What an earlier confirmation says that may be missing.
    pub lost: Option<LostTime>,
    /// Open operations, newest first, at most a page: what is searched for before it spends.
    pub open: Vec<Operation>,
    /// Earlier confirmations, the newest first.
    pub confirmations: Vec<Confirmation>,
}

#[cfg(test)]
mod tests {
    use super::{Age, Confirmation, Decision, Timestamp};

    #[test]
    fn lost_time_is_measured_by_the_age_at_the_confirmation() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let (from, until) = (at(40), at(1100));
        let confirmation = |decision| Confirmation {
            time: at(100),
            actor: "ann".to_owned(),
            decision,
            alert: String::new(),
        };
        let age = |seconds: i64| Age::from_nanos(seconds * 1_000_000_000);
        let decided = confirmation(Decision::Lost { from, until });
        let lost = decided.lost_time(age(500), None).unwrap();
        assert_eq!((lost.from, lost.until), (from, until));
        assert_eq!(
            (lost.from_age, lost.confirmed_age, lost.until_age),
            (age(440), age(500), age(1500))
        );
        assert!(lost.lasts(age(1499)) && !lost.lasts(age(1500)));
        // What an earlier confirmation said holds as well, until it is over.
        let later = confirmation(Decision::Lost { from: at(90), until: at(200) });
        let both = later.lost_time(age(600), Some(lost)).unwrap();
        assert_eq!((both.from, both.until_age, both.confirmed_age), (from, age(1500), age(600)));
        let alone = later.lost_time(age(1500), Some(lost)).unwrap();
        assert_eq!((alone.from, alone.until_age), (at(90), age(1600)));
        let nothing = confirmation(Decision::NothingLost);
        let over = nothing.lost_time(age(700), Some(lost)).unwrap();
        assert!(!over.lasts(age(700)) && over.from_age == lost.from_age);
        assert_eq!(nothing.lost_time(age(500), None), None);
    }
}
