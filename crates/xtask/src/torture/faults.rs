//! What goes wrong upstream and how often, and the times that make it decidable: the gateway is
//! configured with the very numbers that the simulators keep to. It must not know a provider.

use std::time::Duration;

use serde_json::{Value, json};

/// The times of a simulated upstream. The sum with the permit's two seconds is the settle window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long an attempt waits for its answer.
    pub(crate) attempt: Duration,
    /// A connection that brings no request is closed after this.
    pub(crate) idle: Duration,
    /// A sale is made at the latest so long after its connection is gone.
    pub(crate) processing: Duration,
    /// What is sold is listed after this at the latest.
    pub(crate) lag: Duration,
    /// What was done shows after this at the latest.
    pub(crate) effect: Duration,
}

/// Far below what an upstream takes, and far above what a busy machine adds.
pub(crate) const TIMING: Timing = Timing {
    attempt: Duration::from_millis(700),
    idle: Duration::from_millis(300),
    processing: Duration::from_millis(600),
    lag: Duration::from_millis(300),
    effect: Duration::from_secs(4),
};

/// How long what was done does not show, where effects lag.
pub(crate) const EFFECT_LAG_MS: u64 = 1800;

/// How long a permit lives; the gateway adds it to the settle window by itself.
const PERMIT: Duration = Duration::from_secs(2);

/// A sale that is made after its connection was closed comes so late.
const LATE_MS: u64 = 300;
/// One that an operator does not see who looks every 0.4 s and says so at once.
const LATER_MS: u64 = 500;
/// A sale that is made when it was presumed absent, and before a new attempt is refused.
const AFTER_WINDOW_MS: u64 = 4400;
/// What lies between a read and the request that follows it.
const SLOW_READ_MS: u64 = 500;
/// A sale that others catch up with.
const SLOW_SALE_MS: u64 = 300;
/// An answer that comes after its caller has given up.
const SLOWER_THAN_PATIENCE_MS: u64 = 900;

impl Timing {
    /// From a lost answer until absence is proof.
    pub(crate) fn settle(&self) -> Duration {
        PERMIT + self.attempt + self.idle + self.processing + self.lag
    }

    /// Longer than anybody waits for a sender that is held up.
    pub(crate) fn past_settle(&self) -> Duration {
        self.settle() + Duration::from_millis(800)
    }
}

/// How long the upstream hides each sale, far longer than the gateway is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hidden {
    pub(crate) time: Duration,
    /// From who asks for it by its id too; else from listings alone.
    pub(crate) from_status: bool,
}

/// Which things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Everything, as a bad upstream does it on a bad day.
    Everything,
    /// Answers are lost after the sale: what naive callers repeat.
    LostAnswers,
    /// Sales come after their connection is gone: what hasty callers take for absence.
    LateSales,
    /// They come later than the first look of an operator, and as late as they may.
    LaterSales,
    /// Sales take their time, so that many are under way at once.
    SlowSales,
    /// The first request of an order is executed after the window, and the second one is refused.
    RefusedAfterLate,
    /// Nothing.
    Nothing,
}

impl Mix {
    /// The table for the simulator's control API.
    pub(crate) fn table(self, sells: &[&str], lists: &[&str], seed: u64) -> Value {
        let sells = sells.iter().flat_map(|call| rows(call, self.selling()));
        let lists = lists.iter().flat_map(|call| rows(call, self.listing()));
        let weights: Vec<Value> = sells.chain(lists).collect();
        json!({ "seed": seed, "well": 60, "weights": weights })
    }

    /// The faults that are armed beside the table, which strike in this order.
    pub(crate) fn armed(self, sells: &[&str], lists: &[&str], orders: usize) -> Vec<Value> {
        if self != Self::RefusedAfterLate {
            return Vec::new();
        }
        let selling = sells.iter().flat_map(|call| {
            (0..orders).flat_map(move |order| {
                let late = json!({ "kind": "late_commit", "ms": AFTER_WINDOW_MS });
                let refused = json!({ "kind": "fault", "code": 422, "text": "is not wanted" });
                let of_order = [late, refused].into_iter().enumerate();
                of_order.map(move |(index, mut fault)| {
                    fault["method"] = (*call).into();
                    fault["after"] = (2 * order + index).into();
                    fault
                })
            })
        });
        let slow = |call: &&str| {
            let mut slow = json!({ "kind": "slow", "ms": SLOW_READ_MS, "committed": true });
            slow["method"] = (*call).into();
            slow["times"] = u32::MAX.into();
            slow
        };
        selling.chain(lists.iter().map(slow)).collect()
    }

    fn selling(self) -> Vec<(u32, bool, Value)> {
        let late = json!({ "kind": "late_commit", "ms": LATE_MS });
        let closed = json!({ "kind": "drop_after_commit" });
        let reset = json!({ "kind": "reset_after_commit" });
        match self {
            Self::Nothing | Self::RefusedAfterLate => Vec::new(),
            Self::LostAnswers => vec![(20, false, closed), (20, false, reset)],
            Self::LateSales => vec![(30, false, late)],
            Self::LaterSales => {
                vec![(30, false, json!({ "kind": "late_commit", "ms": LATER_MS }))]
            }
            Self::SlowSales => vec![(60, false, json!({ "kind": "slow", "ms": SLOW_SALE_MS }))],
            Self::Everything => vec![
                (4, false, json!({ "kind": "drop_before_commit" })),
                (2, false, json!({ "kind": "reset_before_commit" })),
                (6, false, closed),
                (4, false, reset),
                (4, false, json!({ "kind": "truncate_after_commit" })),
                (4, true, json!({ "kind": "status", "status": 500 })),
                (3, false, json!({ "kind": "status", "status": 502 })),
                (2, false, json!({ "kind": "status", "status": 422 })),
                (4, false, late),
                (3, false, json!({ "kind": "slow", "ms": 60 })),
                (2, true, json!({ "kind": "slow", "ms": 60 })),
                (1, false, json!({ "kind": "slow", "ms": SLOWER_THAN_PATIENCE_MS })),
                (1, true, json!({ "kind": "slow", "ms": SLOWER_THAN_PATIENCE_MS })),
                (2, false, json!({ "kind": "redirect" })),
            ],
        }
    }

    fn listing(self) -> Vec<(u32, bool, Value)> {
        match self {
            Self::Everything => vec![
                (2, false, json!({ "kind": "drop_before_commit" })),
                (2, false, json!({ "kind": "status", "status": 502 })),
                (1, false, json!({ "kind": "garbage" })),
                (1, false, json!({ "kind": "truncate_after_commit" })),
                (2, false, json!({ "kind": "slow", "ms": 40 })),
            ],
            _ => Vec::new(),
        }
    }
}

fn rows(call: &str, faults: Vec<(u32, bool, Value)>) -> Vec<Value> {
    let row = |(weight, committed, mut fault): (u32, bool, Value)| {
        fault["method"] = call.into();
        fault["weight"] = weight.into();
        fault["committed"] = committed.into();
        fault
    };
    faults.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        AFTER_WINDOW_MS, EFFECT_LAG_MS, LATE_MS, LATER_MS, Mix, SLOW_READ_MS,
        SLOWER_THAN_PATIENCE_MS, TIMING,
    };
    use crate::torture::operator::LOOK;

    #[test]
    fn the_simulators_keep_to_the_times_that_the_gateway_believes() {
        assert!(u128::from(LATE_MS.max(LATER_MS)) < TIMING.processing.as_millis());
        assert!(u128::from(LATER_MS) > LOOK.as_millis());
        let slowest = u128::from(SLOWER_THAN_PATIENCE_MS);
        assert!(slowest > TIMING.attempt.as_millis());
        assert!(slowest < (TIMING.attempt + TIMING.processing).as_millis());
        assert!(TIMING.past_settle() > TIMING.settle());
        assert!(u128::from(EFFECT_LAG_MS) < TIMING.effect.as_millis());
        let late = u128::from(AFTER_WINDOW_MS).checked_sub(TIMING.settle().as_millis());
        assert!(late.is_some_and(|late| late < 2 * u128::from(SLOW_READ_MS)));
    }

    #[test]
    fn armed_faults_strike_first_requests_and_second_ones_in_turn() {
        let armed = Mix::RefusedAfterLate.armed(&["buy"], &["list"], 2);
        let told: Vec<_> =
            armed.iter().map(|it| (it["kind"].as_str(), it["after"].as_u64())).collect();
        let (late, refused) = (Some("late_commit"), Some("fault"));
        let expected = [
            (late, Some(0)),
            (refused, Some(1)),
            (late, Some(2)),
            (refused, Some(3)),
            (Some("slow"), None),
        ];
        assert_eq!(told, expected);
        assert!(Mix::Everything.armed(&["buy"], &["list"], 2).is_empty());
    }

    #[test]
    fn a_table_names_its_calls() {
        let table = Mix::LateSales.table(&["buy"], &["list"], 7);
        let row = &table["weights"][0];
        assert_eq!((&table["seed"], &row["method"]), (&7.into(), &"buy".into()));
        assert_eq!((&row["kind"], &row["ms"]), (&"late_commit".into(), &LATE_MS.into()));
        assert!(table["weights"][1].is_null());
    }
}
