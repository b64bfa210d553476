//! One sale more is excused where an operator's wrong word may have caused it, and nothing else is.

use std::collections::BTreeSet;

use purveyor_sdk::v1::operation::note::Decision;
use purveyor_sdk::v1::operation::{Attempt, Note, Result as Made, State};
use purveyor_sdk::v1::{Operation, Status};

use super::{attempt, nothing, operation, order, sale};
use crate::torture::check::{Evidence, Score, check};
use crate::torture::operator::Words;
use crate::torture::person::Object;
use crate::torture::subject::{Entry, Order, named};

/// What an operator has said of the second order, which needs the note to be kept with it.
fn denied(mut operation: Operation, overruled: bool, told: bool) -> Operation {
    let mut note = Note { overruled, ..Note::default() };
    note.set_decision(Decision::TryAgain);
    operation.notes = vec![note];
    let problem = Status { reason: "DUPLICATE_DETECTED".to_owned(), ..Status::default() };
    operation.problem = told.then_some(problem);
    operation
}

fn wrong_word() -> Words {
    Words { wrong: BTreeSet::from(["id-1".to_owned()]), ..Words::default() }
}

/// Double, lost, told wrong, orphan, and sold more by wrong words.
fn counts(score: &Score) -> [usize; 5] {
    let Score { double, lost, told_wrong, orphan, of_wrong_words, .. } = score;
    [*double, *lost, *told_wrong, *orphan, *of_wrong_words]
}

#[test]
fn wrong_word_may_sell_once_more_where_the_operation_tells_it() {
    let subjects = named("gandi").unwrap();
    let orders = [order(0), order(1)];
    let check = |words: &Words, second: Operation, sold: &[&str], expected: [usize; 5]| {
        let sales = sold.iter().map(|id| sale(1, id)).chain([sale(0, "a")]).collect();
        let operations = [operation(0, State::Succeeded, "a"), second];
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers: &[sales],
            operations: &operations,
            words,
            ..nothing()
        };
        let verdict = check(&evidence);
        assert_eq!(counts(&verdict.total()), expected, "{:?}", verdict.problems);
        assert_eq!(verdict.holds(), expected[..4] == [0; 4]);
        verdict.total().wrong_words
    };
    let (wrong, right) = (wrong_word(), Words::default());
    let named = |state, ids: &[&str]| {
        let mut operation = operation(1, state, ids[0]);
        operation.attempts = ids.iter().map(|id| attempt(id)).collect();
        operation
    };
    let won = || operation(1, State::Succeeded, "c");
    let twice = ["b", "c"];
    assert_eq!(check(&wrong, denied(won(), false, true), &twice, [0, 0, 0, 0, 1]), 1);
    // It names both.
    let both = || named(State::Succeeded, &twice);
    check(&wrong, denied(both(), false, true), &twice, [0, 0, 0, 0, 1]);
    check(&right, denied(both(), false, true), &twice, [1, 0, 1, 2, 0]);
    // It has failed, and was sold.
    let failed = || operation(1, State::Failed, "");
    check(&wrong, denied(failed(), false, true), &["b"], [0, 0, 0, 0, 0]);
    check(&wrong, denied(failed(), false, false), &["b"], [0, 0, 1, 0, 0]);
    // The store did not know that it was sent, and what is found may be anybody's.
    let presumed = Operation { attempts: vec![Attempt::default()], ..failed() };
    check(&wrong, denied(presumed, false, false), &["b"], [0, 0, 0, 0, 0]);
    // Nobody is told.
    check(&wrong, denied(won(), false, false), &twice, [1, 0, 0, 1, 0]);
    // What was overruled is sold once.
    check(&wrong, denied(won(), true, false), &["c"], [0, 0, 0, 0, 0]);
    check(&wrong, denied(won(), true, false), &twice, [1, 0, 0, 1, 0]);
    // One word is no excuse for two sales more, nor for what waits for ever.
    check(&wrong, denied(won(), false, true), &["b", "c", "d"], [1, 0, 0, 1, 1]);
    let waits = operation(1, State::NeedsOperator, "");
    check(&wrong, denied(waits, false, true), &twice, [0, 1, 0, 0, 1]);
    // Who was only early is overruled where it shows.
    let hasty = Words { hasty: wrong_word().wrong, ..Words::default() };
    check(&hasty, denied(won(), false, true), &twice, [1, 0, 0, 1, 0]);
    // The gateway did not take the word, or the operator was right.
    assert_eq!(check(&wrong, won(), &twice, [1, 0, 0, 1, 0]), 0);
    assert_eq!(check(&right, denied(won(), false, true), &twice, [1, 0, 0, 1, 0]), 0);
}

#[test]
fn wrong_word_needs_no_telling_where_nothing_shows_what_it_sold() {
    let subjects = named("gandi").unwrap();
    let hasty = Words { hasty: wrong_word().wrong, ..Words::default() };
    let check_of = |words: &Words, account, shared, disguised: &BTreeSet<Object>, holds| {
        let orders = [0, 1].map(|number| Order { account, ..order(number) });
        let holder = subjects[0].holder(account);
        let sold = |number, id| Entry { account: holder.clone(), ..sale(number, id) };
        let operations = [
            operation(0, State::Succeeded, "a"),
            denied(operation(1, State::Succeeded, "c"), false, false),
        ];
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers: &[vec![sold(0, "a"), sold(1, "b"), sold(1, "c")]],
            operations: &operations,
            shared,
            disguised,
            words,
            ..nothing()
        };
        let verdict = check(&evidence);
        assert_eq!(verdict.holds(), holds, "{:?}", verdict.problems);
        assert_eq!(verdict.total().of_wrong_words, usize::from(holds));
    };
    let none = BTreeSet::new();
    let check = |account: usize, shared: bool, disguised: &BTreeSet<Object>, holds: bool| {
        for words in [&wrong_word(), &hasty] {
            check_of(words, account, shared, disguised, holds);
        }
    };
    check(1, true, &none, true);
    check(0, true, &none, false);
    check(1, false, &none, false);
    let changed = |id: &str| [(0, subjects[0].holder(0), id.to_owned())].into();
    check(0, false, &changed("b"), true);
    check(0, false, &changed("a"), false);
}

#[test]
fn sale_of_a_wrong_word_is_not_that_of_an_order_alike_that_failed() {
    let subjects = named("gandi").unwrap();
    let orders = [order(0), Order { position: 0, ..order(1) }];
    let mut failed = operation(0, State::Failed, "");
    let refused = Status { reason: "UPSTREAM_REJECTED".to_owned(), ..Status::default() };
    failed.result = Some(Made::Error(refused));
    let check = |sold: &[&str], words: &Words, expected: [usize; 5]| {
        let second = denied(operation(1, State::Succeeded, "c"), false, true);
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers: &[sold.iter().map(|id| sale(0, id)).collect()],
            operations: &[failed.clone(), second],
            words,
            ..nothing()
        };
        let verdict = check(&evidence);
        assert_eq!(counts(&verdict.total()), expected, "{:?}", verdict.problems);
    };
    check(&["b", "c"], &wrong_word(), [0, 0, 0, 0, 0]);
    check(&["b", "c"], &Words::default(), [0, 0, 1, 0, 0]);
    check(&["b", "c", "d"], &wrong_word(), [0, 0, 0, 1, 1]);
}
