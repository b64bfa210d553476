//! What a caller was told about one order while everything went wrong: each word has to be true at the
//! end.

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::State;

use super::super::call::{ids, items, reason, rests};
use super::super::journal::{Answer, Line};
use super::books::Bought;

/// Whether the line says that the order was accepted.
pub(super) fn is_accepted(line: &Line) -> bool {
    matches!(line.answer, Answer::Operation { .. }) && !line.wrong && !line.ends
}

/// Whether the caller was told that the order's end succeeded.
pub(super) fn is_ended(told: &[&Line]) -> bool {
    let succeeded = State::Succeeded.as_str_name();
    told.iter()
        .filter(|line| line.ends)
        .any(|line| matches!(&line.answer, Answer::Operation { state, .. } if state == succeeded))
}

/// When the caller was first told of that state of the order.
pub(super) fn told_at(told: &[&Line], wanted: State) -> Option<i64> {
    let wanted = wanted.as_str_name();
    let of_order = told.iter().filter(|line| !line.wrong && !line.ends && line.at_ms > 0);
    let mut states = of_order
        .filter(|line| matches!(&line.answer, Answer::Operation { state, .. } if state == wanted));
    states.next().map(|line| line.at_ms)
}

/// The first thing that was told and is not so. `ended`: what the order made was ended, by the ledger. What
/// was told in the time that is `lost` was of a store that is gone.
pub(super) fn wrong(bought: &Bought<'_>, ended: bool, lost: Option<(i64, i64)>) -> Option<String> {
    let mut accepted = false;
    let is_lost = |line: &Line| {
        !line.wrong && lost.is_some_and(|(from, until)| (from..=until).contains(&line.at_ms))
    };
    for line in bought.told.iter().filter(|line| !is_lost(line)) {
        let wrong = match &line.answer {
            Answer::Operation { .. } if line.wrong => {
                Some("another body was accepted under its request id".to_owned())
            }
            Answer::Operation { state, .. } if line.ends => wrong_end(state, ended),
            Answer::Operation { .. } => {
                accepted = true;
                bought.operation.and_then(|now| changed(&line.answer, now))
            }
            Answer::Error { code, .. } if !line.wrong && !line.ends => {
                let contradicts = matches!(code.as_str(), "NotFound" | "AlreadyExists");
                (accepted && contradicts).then(|| format!("{code}, after it was accepted"))
            }
            Answer::Error { .. } | Answer::HungUp => None,
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    let mut ends = bought.told.iter().filter(|line| line.ends).peekable();
    let refused =
        ends.peek().is_some() && !ends.any(|line| matches!(line.answer, Answer::Operation { .. }));
    refused.then(|| "its end was never accepted".to_owned())
}

/// A state that was told as final stays, with all that belongs to it.
fn changed(told: &Answer, now: &Operation) -> Option<String> {
    let Answer::Operation { state, ids: named, items: listed, reason: why } = told else {
        return None;
    };
    let was = State::from_str_name(state).unwrap_or_default();
    if !rests(was) || was == State::NeedsOperator {
        return None;
    }
    let same = now.state() == was && ids(now) == *named && items(now) == *listed;
    let is = now.state().as_str_name();
    (!same || reason(now) != why)
        .then(|| format!("{state} {named:?} {listed:?} {why:?}, and it is {is} {:?}", ids(now)))
}

fn wrong_end(state: &str, ended: bool) -> Option<String> {
    match State::from_str_name(state) {
        Some(State::Succeeded) if !ended => {
            Some("its end succeeded, and did not happen".to_owned())
        }
        Some(State::Failed | State::Cancelled) if ended => {
            Some(format!("its end is {state}, and happened"))
        }
        _ => None,
    }
}
