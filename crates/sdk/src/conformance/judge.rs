//! What may become of a write one of whose calls went wrong, by what the call does and by how the plugin
//! finds out. It must not ask anybody anything.

use super::losses::{Loss, Trace};
use super::report::Case;
use super::{Failure, Outcome};
use crate::v1::operation::State;
use crate::v1::{Effect, Evidence};

/// How a write ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) state: State,
    /// How often the call that went wrong was sent.
    pub(super) sent: u64,
    /// The kinds of what was sold, in order of their names.
    pub(super) sold: Vec<String>,
}

/// That an ending is allowed.
pub(super) fn judge(trace: &Trace, loss: &Loss, ending: &Ending) -> Outcome<()> {
    let times = loss.call.times;
    let whole = ending.sold == trace.sold;
    let nothing_of_it = ending.sold.len() < trace.sold.len();
    let succeeded = ending.state == State::Succeeded;
    let asks = ending.state == State::NeedsOperator;
    let known = trace.evidence != Evidence::None;
    let (allowed, expected) = match (loss.call.effect, loss.case) {
        // Nothing tells whether somebody else has set it since.
        (Effect::Setting, _) if !known => (
            (succeeded || asks) && (times..=times + 1).contains(&ending.sent),
            "it succeeds or a person is asked, and it is sent once more at most",
        ),
        // Sending it again ends in the same state.
        (Effect::Setting, _) => {
            (succeeded && ending.sent >= times, "it is sent again and succeeds")
        }
        // What was sent in vain leaves something behind that lapses, and nothing more.
        (Effect::Prepare, _) => (
            succeeded && left_over(trace, ending).is_some_and(|left| left + times <= ending.sent),
            "it is sent again and succeeds, and what is left over lapses",
        ),
        // A word that nobody declares says as little as none.
        (_, Case::LostAfter | Case::WordUnknown) if known => (
            succeeded && whole && ending.sent == times,
            "it is found, succeeds, and is not sent again",
        ),
        (_, Case::LostAfter | Case::WordUnknown) => {
            (asks && whole && ending.sent <= times, "a person is asked, and it is not sent again")
        }
        // The host has seen it succeed, so nothing follows it.
        (_, Case::PluginError) => (
            (succeeded || asks) && whole && ending.sent == times,
            "it is found by its answer and succeeds, or a person is asked; it is not sent again",
        ),
        // The answer is stored and counts, although another gateway has given it up.
        (_, Case::TakenOver) => (
            succeeded && whole && ending.sent == times,
            "its late answer counts: it succeeds and is not sent again",
        ),
        // Nobody but a person can tell whose it is; what would follow is not sent.
        (_, Case::Contested) => (
            asks && (whole || nothing_of_it) && ending.sent <= times,
            "a person is asked, and it is not sent again",
        ),
        // What has come back under an identifier may be that of before, so a person may be asked.
        (_, Case::BoughtAgain) => (
            (succeeded && whole || asks && (whole || nothing_of_it)) && ending.sent <= times,
            "it is found and succeeds, or a person is asked; it is not sent again",
        ),
        // Whether absence is proof is not told by the API; either way nothing is bought twice.
        (_, Case::LostBefore) if known => (
            (succeeded && whole && ending.sent == times + 1)
                || (asks && nothing_of_it && ending.sent <= times),
            "it is sent once more and succeeds, or a person is asked",
        ),
        (_, Case::LostBefore) => (
            asks && nothing_of_it && ending.sent <= times,
            "a person is asked, and it is not sent again",
        ),
        // A rejection that may be repeated, or one that proves nothing.
        _ => (
            (succeeded && whole && ending.sent > times) || (asks && nothing_of_it && !known),
            "it waits, is sent again and succeeds",
        ),
    };
    if allowed {
        return Ok(());
    }
    let Ending { state, sent, sold } = ending;
    let (state, before) = (state.as_str_name(), &trace.sold);
    Err(Failure::new(format_args!(
        "expected that {expected}; it ended {state}, was sent {sent} times instead of {times}, and \
         sold {sold:?} instead of {before:?}"
    )))
}

/// How many things were sold beyond what is sold when nothing goes wrong; `None` where one of those is
/// missing.
fn left_over(trace: &Trace, ending: &Ending) -> Option<u64> {
    let mut sold = ending.sold.clone();
    for kind in &trace.sold {
        let place = sold.iter().position(|found| found == kind)?;
        sold.swap_remove(place);
    }
    u64::try_from(sold.len()).ok()
}

#[cfg(test)]
mod tests {
    use super::{Case, Effect, Ending, Evidence, Loss, State, Trace, judge};
    use crate::conformance::losses::Traced;
    use crate::plugin::v1::Op;

    /// A call that is sent once and sells one thing.
    fn check(case: Case, effect: Effect, evidence: Evidence, allowed: &[(State, u64, usize)]) {
        let call = Traced { name: "buy".to_owned(), effect, times: 1, named: true };
        let sold = vec!["add".to_owned()];
        let trace = Trace {
            op: Op::CreateOrder,
            operation: String::new(),
            evidence,
            calls: vec![call.clone()],
            sold,
        };
        let loss = Loss { case, call };
        for state in [State::Succeeded, State::NeedsOperator, State::Failed] {
            for sent in 0..4 {
                for sales in 0..3 {
                    let sold = vec!["add".to_owned(); sales];
                    let found = judge(&trace, &loss, &Ending { state, sent, sold }).is_ok();
                    let expected = allowed.contains(&(state, sent, sales));
                    assert_eq!(found, expected, "{case:?} {effect:?} {state:?} {sent} {sales}");
                }
            }
        }
    }

    #[test]
    fn a_spend_is_made_once_or_a_person_is_asked() {
        use State::{NeedsOperator as Asks, Succeeded};
        let known = Evidence::Difference;
        let asked = [(Asks, 0, 1), (Asks, 1, 1)];
        for case in [Case::LostAfter, Case::WordUnknown] {
            check(case, Effect::Spend, known, &[(Succeeded, 1, 1)]);
            check(case, Effect::Spend, Evidence::None, &asked);
        }
        let either = [(Succeeded, 2, 1), (Asks, 0, 0), (Asks, 1, 0)];
        check(Case::LostBefore, Effect::Spend, known, &either);
        check(Case::LostBefore, Effect::Spend, Evidence::None, &[(Asks, 0, 0), (Asks, 1, 0)]);
        let accepted = [(Succeeded, 1, 1), (Asks, 1, 1)];
        for evidence in [known, Evidence::None] {
            check(Case::PluginError, Effect::Spend, evidence, &accepted);
            check(Case::TakenOver, Effect::Spend, evidence, &[(Succeeded, 1, 1)]);
            let asked = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(sent, sales)| (Asks, sent, sales));
            check(Case::Contested, Effect::Spend, evidence, &asked);
        }
        let owned = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(sent, sales)| (Asks, sent, sales));
        let owned = [&owned[..], &[(Succeeded, 0, 1), (Succeeded, 1, 1)]].concat();
        check(Case::BoughtAgain, Effect::Spend, known, &owned);
        let waits = [(Succeeded, 2, 1), (Succeeded, 3, 1)];
        check(Case::RateLimit, Effect::Spend, known, &waits);
    }

    #[test]
    fn a_setting_is_sent_again_and_succeeds() {
        let mut allowed = Vec::new();
        for sent in 1..4 {
            allowed.extend((0..3).map(|sales| (State::Succeeded, sent, sales)));
        }
        check(Case::LostBefore, Effect::Setting, Evidence::Natural, &allowed);
        check(Case::LostAfter, Effect::Setting, Evidence::Natural, &allowed);
    }

    #[test]
    fn setting_that_nobody_can_read_is_sent_once_more_at_most() {
        let mut allowed = Vec::new();
        for state in [State::Succeeded, State::NeedsOperator] {
            for sent in 1..3 {
                allowed.extend((0..3).map(|sales| (state, sent, sales)));
            }
        }
        check(Case::LostBefore, Effect::Setting, Evidence::None, &allowed);
    }

    #[test]
    fn a_preparation_leaves_no_more_behind_than_was_sent_in_vain() {
        let succeeded = |(sent, sales)| (State::Succeeded, sent, sales);
        let allowed = [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)].map(succeeded);
        check(Case::LostAfter, Effect::Prepare, Evidence::Natural, &allowed);
    }
}
