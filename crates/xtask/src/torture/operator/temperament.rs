//! When an operator speaks, and whether the words are true: dealt to each operation by the seed and its
//! request id. It must not know what an operation came to.

use std::time::Duration;

use crate::torture::dice::Dice;
use crate::torture::faults::TIMING;
use crate::torture::options::{Hazard, Options};

/// How one operation's operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temperament {
    /// Says what the ledger shows as soon as an operator is needed.
    Early,
    /// Says what the ledger shows once nothing more can change it.
    True,
    /// Lets two more windows pass before that.
    Late,
    /// Says at once, without a look into the ledger, that a purchase was not executed.
    Wrong { at_own_risk: bool },
}

impl Temperament {
    /// How long an operation has needed an operator before this one speaks.
    pub(crate) fn waits(self) -> Duration {
        match self {
            Self::Early | Self::Wrong { .. } => Duration::ZERO,
            Self::True => TIMING.past_settle(),
            Self::Late => TIMING.past_settle() + 2 * TIMING.settle(),
        }
    }
}

/// How the operators of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operators {
    /// All of them are true, and none speaks where nothing can be read.
    True,
    /// Each operation has its own.
    Dealt { seed: u64 },
    /// All of them are early: what the workload of a control is about.
    Early,
}

impl Operators {
    /// How they are in a run; `None`: there are none, since a control is to show what comes of its mistake
    /// by itself.
    pub(crate) fn of(options: &Options) -> Option<Self> {
        match (options.has(Hazard::Operators), options.workload()) {
            (true, Some(_)) => Some(Self::Early),
            (true, None) => Some(Self::Dealt { seed: options.seed }),
            (false, _) => options.control.is_none().then_some(Self::True),
        }
    }

    /// Whether somebody speaks where the upstream shows nothing of what it sold.
    pub(crate) fn speak_everywhere(self) -> bool {
        self != Self::True
    }

    /// How the operator of an operation is.
    pub(crate) fn deal(self, request_id: &str, purchase: bool) -> Temperament {
        let Self::Dealt { seed } = self else {
            return if self == Self::Early { Temperament::Early } else { Temperament::True };
        };
        // Request ids are random numbers already.
        let digits: String = request_id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        let mut dice = Dice::new(seed, u64::from_str_radix(&digits, 16).unwrap_or_default());
        match dice.roll(12) {
            0 if purchase => Temperament::Wrong { at_own_risk: dice.percent(50) },
            1..=4 => Temperament::Early,
            5..=7 => Temperament::Late,
            _ => Temperament::True,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Operators, Temperament};
    use crate::torture::controls::Control;
    use crate::torture::dice::Dice;
    use crate::torture::options::{Hazard, Options};
    use crate::torture::subject::named;
    use crate::torture::workload::orders;

    #[test]
    fn seed_and_request_id_deal_every_temperament() {
        let dealt = |seed, purchase| {
            let (mut names, mut counts) = (Dice::new(7, 4), BTreeMap::<String, usize>::new());
            for _ in 0..1200 {
                let temperament = Operators::Dealt { seed }.deal(&names.uuid(), purchase);
                *counts.entry(format!("{temperament:?}")).or_default() += 1;
            }
            counts
        };
        let counts = dealt(1, true);
        let near = |kind: &str, expected: usize| {
            let count = counts.get(kind).copied().unwrap_or_default();
            assert!(count.abs_diff(expected) < expected / 3, "{kind}: {count}");
        };
        near("Early", 400);
        near("Late", 300);
        near("True", 400);
        near("Wrong { at_own_risk: true }", 50);
        near("Wrong { at_own_risk: false }", 50);
        assert_eq!(counts, dealt(1, true));
        assert_ne!(counts, dealt(2, true));
        assert!(dealt(1, false).keys().all(|kind| !kind.starts_with("Wrong")));
    }

    #[test]
    fn test_runs_deal_every_temperament_where_most_is_asked() {
        for options in Options::of_test().iter().filter(|it| it.workload().is_none()) {
            let subjects = named("all").unwrap();
            let racknap = subjects.iter().position(|it| it.asks_a_person());
            let orders = orders(options, &subjects, 2).into_iter();
            let orders = orders.filter(|order| Some(order.subject) == racknap);
            let operators = Operators::of(options).unwrap();
            let dealt: Vec<_> = orders.map(|it| operators.deal(&it.request_id, true)).collect();
            let count =
                |which: fn(&Temperament) -> bool| dealt.iter().filter(|it| which(it)).count();
            let counts = [
                count(|it| *it == Temperament::Early),
                count(|it| *it == Temperament::Late),
                count(|it| matches!(it, Temperament::Wrong { .. })),
            ];
            assert!(counts[0] > 2 && counts[1] > 2 && counts[2] > 0, "{counts:?}");
        }
    }

    #[test]
    fn operators_are_as_the_run_asks() {
        let plain = Options::of_provider("racknap", 1);
        assert_eq!(Operators::of(&plain), Some(Operators::Dealt { seed: 1 }));
        let spared = Options { without: vec![Hazard::Operators], ..plain.clone() };
        assert_eq!(Operators::of(&spared), Some(Operators::True));
        assert_eq!(Operators::True.deal("id", true), Temperament::True);
        let control = |control| Options { control: Some(control), ..plain.clone() };
        assert_eq!(Operators::of(&control(Control::Naive)), None);
        assert_eq!(Operators::of(&control(Control::EarlyResolve)), Some(Operators::Early));
        let cured = Options { workload_of: Some(Control::EarlyResolve), ..plain.clone() };
        assert_eq!(Operators::of(&cured), Some(Operators::Early));
        let other = Options { workload_of: Some(Control::Naive), ..plain };
        assert_eq!(Operators::of(&other), Some(Operators::True));
    }
}
