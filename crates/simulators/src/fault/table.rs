//! Seeded fault tables: weights from which each call of a method draws its fault. A draw must
//! depend on nothing but the seed, the method and how many times it was called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FaultKind, Strike, matches};

/// Weighted faults and the seed they are drawn with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The same seed gives each method the same sequence of faults.
    #[serde(default)]
    pub seed: u64,
    /// The weight of a call that goes well.
    #[serde(default)]
    pub well: u32,
    /// The faults.
    pub weights: Vec<Row>,
}

/// A fault with its weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The method, or its beginning followed by `*`.
    pub method: String,
    /// How likely, relative to the other rows of the method and to `well`.
    pub weight: u32,
    /// As in a fault on command.
    #[serde(default)]
    pub committed: bool,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// A table in use.
#[derive(Debug)]
pub(super) struct Draws {
    table: Table,
    calls: BTreeMap<String, u64>,
}

impl Draws {
    pub(super) fn new(table: Table) -> Self {
        Self { table, calls: BTreeMap::new() }
    }

    pub(super) fn draw(&mut self, method: &str) -> Option<Strike> {
        let rows: Vec<&Row> =
            self.table.weights.iter().filter(|row| matches(&row.method, method)).collect();
        let weight: u64 = rows.iter().map(|row| u64::from(row.weight)).sum();
        let total = weight + u64::from(self.table.well);
        if weight == 0 {
            return None;
        }
        let call = self.calls.entry(method.to_owned()).or_default();
        let mut ticket = number(self.table.seed, method, *call) % total;
        *call += 1;
        for row in rows {
            match ticket.checked_sub(u64::from(row.weight)) {
                Some(rest) => ticket = rest,
                None => return Some(Strike { kind: row.kind.clone(), committed: row.committed }),
            }
        }
        None
    }
}

/// The draw of one call: splitmix64's mixing steps over seed, method and call number.
fn number(seed: u64, method: &str, call: u64) -> u64 {
    let mix = |mut state: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    let named = method.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
    mix(named ^ call)
}

#[cfg(test)]
mod tests {
    use super::super::FaultKind;
    use super::{Draws, Row, Table};

    fn table(seed: u64) -> Table {
        let row = |method: &str, weight, kind| Row {
            method: method.into(),
            weight,
            committed: false,
            kind,
        };
        let weights = vec![
            row("buy", 1, FaultKind::DropBeforeCommit),
            row("b*", 2, FaultKind::DropAfterCommit),
        ];
        Table { seed, well: 7, weights }
    }

    fn draws(seed: u64, methods: &[&str]) -> Vec<Option<FaultKind>> {
        let mut draws = Draws::new(table(seed));
        methods.iter().map(|method| draws.draw(method).map(|strike| strike.kind)).collect()
    }

    #[test]
    fn a_seed_is_a_sequence_per_method() {
        let alone = draws(1, &["buy"; 200]);
        assert_eq!(alone, draws(1, &["buy"; 200]));
        assert_ne!(alone, draws(2, &["buy"; 200]));
        let between = draws(1, &["buy", "bet"].repeat(200));
        let of_buy: Vec<_> = between.into_iter().step_by(2).collect();
        assert_eq!(alone, of_buy, "calls of another method disturb the sequence");
    }

    #[test]
    fn weights_are_kept() {
        let drawn = draws(3, &["buy"; 10_000]);
        let check = |kind: Option<FaultKind>, expected: usize| {
            let share = drawn.iter().filter(|draw| **draw == kind).count();
            assert!(share.abs_diff(expected) < 200, "{kind:?}: {share}");
        };
        check(Some(FaultKind::DropBeforeCommit), 1000);
        check(Some(FaultKind::DropAfterCommit), 2000);
        check(None, 7000);
        assert_eq!(draws(3, &["sell"; 50]), vec![None; 50]);
    }
}
