//! The negative controls: gateways with one known mistake each, and the faults, the kill plan and the
//! workload under which that mistake has to buy twice or to leave an order to a person.

use std::time::Duration;

use clap::ValueEnum;

use super::check::Score;
use super::faults::{Hidden, Mix};
use super::kill_plan::Temper;
use super::options::{Hazard, Store};

/// The mistakes; those whose runs take longest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Control {
    /// A success that is seen after a take-over is dropped.
    LateAnswerDropped,
    /// The key of an account lacks the origin of its endpoint.
    SharedAccountKey,
    /// A success that the host has seen may be presumed absent.
    SuccessMayBeAbsent,
    /// What broke is sent again at once.
    Naive,
    /// A refusal ends an operation without a search for an earlier attempt's effect.
    RefusalWithoutLook,
    /// What nothing explains, a list that is not whole and an effect do not speak against absence.
    BlindAbsence,
    /// The connection is made after the permit.
    NoPreconnect,
    /// Targets are locked by the provider's name alone.
    LockByProvider,
    /// An operator's "not executed" counts before absence does.
    EarlyResolve,
    /// Absence is proof at once.
    NoSettle,
    /// The upstream's last word counts, whether its effect shows or not.
    WordIsSuccess,
    /// Ages come from the wall clock.
    ClockBelieved,
    /// Nothing is searched for before the next spend on a restored store.
    RestoredBackup,
}

impl Control {
    /// Its name, here and for the gateway.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::NoSettle => "no-settle",
            Self::EarlyResolve => "early-resolve",
            Self::NoPreconnect => "no-preconnect",
            Self::SuccessMayBeAbsent => "success-may-be-absent",
            Self::SharedAccountKey => "shared-account-key",
            Self::LockByProvider => "lock-by-provider",
            Self::LateAnswerDropped => "late-answer-dropped",
            Self::ClockBelieved => "clock-believed",
            Self::BlindAbsence => "blind-absence",
            Self::WordIsSuccess => "word-is-success",
            Self::RefusalWithoutLook => "refusal-without-look",
            Self::RestoredBackup => "restored-backup",
        }
    }

    /// The faults that its mistake is about.
    pub(crate) fn mix(self) -> Mix {
        match self {
            Self::Naive | Self::BlindAbsence => Mix::LostAnswers,
            Self::RefusalWithoutLook => Mix::RefusedAfterLate,
            Self::NoSettle | Self::ClockBelieved => Mix::LateSales,
            Self::EarlyResolve => Mix::LaterSales,
            // Both twins have to be under way at once.
            Self::LockByProvider => Mix::SlowSales,
            Self::NoPreconnect
            | Self::WordIsSuccess
            | Self::SuccessMayBeAbsent
            | Self::SharedAccountKey
            | Self::RestoredBackup
            | Self::LateAnswerDropped => Mix::Nothing,
        }
    }

    /// How its gateways are treated: they have to live long enough to make the mistake.
    pub(crate) fn temper(self) -> Temper {
        match self {
            Self::Naive | Self::NoSettle => Temper::Rough,
            // Its senders have to live for a whole settle window.
            Self::NoPreconnect => Temper::Mild,
            Self::LateAnswerDropped => Temper::Stopped,
            Self::ClockBelieved => Temper::Stepped,
            Self::SuccessMayBeAbsent
            | Self::SharedAccountKey
            | Self::LockByProvider
            | Self::BlindAbsence
            | Self::WordIsSuccess
            | Self::EarlyResolve
            | Self::RestoredBackup
            | Self::RefusalWithoutLook => Temper::Calm,
        }
    }

    /// What else is part of its workload.
    pub(crate) fn hazards(self) -> &'static [Hazard] {
        match self {
            Self::SharedAccountKey => &[Hazard::TwoUpstreams],
            Self::LockByProvider => &[Hazard::TwoEntries],
            Self::SuccessMayBeAbsent => &[Hazard::PluginErrors],
            Self::LateAnswerDropped => &[Hazard::Stops],
            Self::ClockBelieved => &[Hazard::ClockSteps],
            Self::BlindAbsence => &[Hazard::CutNames],
            Self::WordIsSuccess => &[Hazard::EffectLag],
            Self::EarlyResolve => &[Hazard::Operators],
            Self::RestoredBackup => &[Hazard::RestoredBackup],
            Self::Naive | Self::NoSettle | Self::NoPreconnect | Self::RefusalWithoutLook => &[],
        }
    }

    /// How the upstream hides sales: the answer to the purchase is then the only witness. Who has seen
    /// the answer and keeps it may ask for the sale by its id where it is hidden from listings alone.
    pub(crate) fn hidden(self) -> Option<Hidden> {
        match self {
            Self::SuccessMayBeAbsent => {
                Some(Hidden { time: Duration::from_secs(9), from_status: true })
            }
            Self::LateAnswerDropped => {
                Some(Hidden { time: Duration::from_secs(15), from_status: false })
            }
            _ => None,
        }
    }

    /// So many of a hundred answered steps end with a plugin error.
    pub(crate) fn plugin_errors(self) -> u64 {
        if self == Self::SuccessMayBeAbsent { 50 } else { 0 }
    }

    /// The provider that can make the mistake.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            // Its renewals have a natural key, so that two of them can be one intent.
            Self::LockByProvider => "ovh",
            // It tells whose account it is, so that accounts at two upstreams can have one identity.
            Self::SharedAccountKey | Self::WordIsSuccess => "gandi",
            // Each of its accounts has a simulator of its own, so that it is known which request is which.
            Self::RefusalWithoutLook => "computestacks",
            // Nothing can be read there, so that an operator is asked at once about each lost answer.
            Self::EarlyResolve => "racknap",
            _ => "klikk",
        }
    }

    /// The store under which the mistake can be made.
    pub(crate) fn store(self) -> Store {
        match self {
            Self::LateAnswerDropped => Store::Postgres,
            _ => Store::Sqlite,
        }
    }

    /// Gateways, where it takes more than the store's default.
    pub(crate) fn replicas(self) -> Option<u8> {
        (self == Self::LateAnswerDropped).then_some(3)
    }

    /// Accounts at each provider, where the mistake shows for certain only if one buys everything, or each one
    /// thing.
    pub(crate) fn accounts(self) -> Option<usize> {
        match self {
            Self::SharedAccountKey => Some(1),
            // What an account was sold before would show that its list hides sales.
            Self::LateAnswerDropped => Some(24),
            _ => None,
        }
    }

    /// Clients at a time, where the mistake takes some time and not all orders at once.
    pub(crate) fn clients(self) -> Option<usize> {
        match self {
            Self::LateAnswerDropped => Some(8),
            // An operator speaks about one after another, each before its sale shows.
            Self::EarlyResolve => Some(2),
            // Some are bought before the backup, some are lost and some come after it.
            Self::RestoredBackup => Some(4),
            _ => None,
        }
    }

    /// How many orders it takes to make the mistake for certain.
    pub(crate) fn orders(self) -> usize {
        match self {
            Self::Naive | Self::NoSettle | Self::NoPreconnect | Self::ClockBelieved => 150,
            Self::EarlyResolve => 60,
            Self::SuccessMayBeAbsent
            | Self::LockByProvider
            | Self::BlindAbsence
            | Self::RestoredBackup => 40,
            Self::RefusalWithoutLook | Self::WordIsSuccess => 16,
            Self::LateAnswerDropped | Self::SharedAccountKey => 24,
        }
    }

    /// What its run lacks to show its mistake, in words that follow its name.
    pub(crate) fn missing(self, score: &Score) -> Option<&'static str> {
        match self {
            // Where two accounts have one key, each sale of one is taken for a duplicate of the other's,
            // which a person has to see: orders are lost, and none is bought twice. A gateway that hangs
            // loses orders too, and asks nobody.
            Self::SharedAccountKey => (score.needs_operator + score.double == 0)
                .then_some("bought nothing twice and left nothing to a person"),
            Self::WordIsSuccess | Self::RefusalWithoutLook => {
                (score.told_wrong == 0).then_some("told nobody what is not so")
            }
            _ => (score.double == 0).then_some("bought nothing twice"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{Control, Score};
    use crate::torture::faults::TIMING;
    use crate::torture::site::LEASE;

    #[test]
    fn hidden_sale_outlasts_the_reconciliation_window() {
        for hidden in Control::value_variants().iter().filter_map(|it| it.hidden()) {
            assert!(hidden.time > LEASE + TIMING.settle());
        }
    }

    #[test]
    fn gateway_that_hangs_shows_no_mistake() {
        let hangs = Score { orders: 24, sales: 3, lost: 21, ..Score::default() };
        let asks = Score { needs_operator: 1, ..hangs.clone() };
        let wrong = Score { told_wrong: 1, ..hangs.clone() };
        let twice = Score { double: 1, ..hangs.clone() };
        for control in Control::value_variants() {
            assert!(control.missing(&hangs).is_some(), "{control:?}");
            let by_word = matches!(control, Control::WordIsSuccess | Control::RefusalWithoutLook);
            assert_eq!(control.missing(&twice).is_some(), by_word, "{control:?}");
            assert_eq!(control.missing(&wrong).is_none(), by_word, "{control:?}");
            let for_a_person = *control == Control::SharedAccountKey;
            assert_eq!(control.missing(&asks).is_none(), for_a_person, "{control:?}");
        }
    }
}
