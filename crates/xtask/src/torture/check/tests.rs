//! The checker finds every broken promise, and none where all are kept.

use purveyor_sdk::v1::operation::{Attempt, State};
use purveyor_sdk::v1::{Operation, UpstreamRef};

use super::{Evidence, Score, Verdict, check};
use crate::torture::journal::{Answer, Line};
use crate::torture::subject::{Entry, Order, named};

fn order(number: usize) -> Order {
    Order {
        number,
        subject: 0,
        provider: "gandi-0".to_owned(),
        account: 0,
        position: 2 * number,
        request_id: format!("id-{number}"),
        wrong: false,
    }
}

/// What the nth order is sold as.
fn sale(number: i64, id: &str) -> Entry {
    Entry {
        account: "AB3917-GANDI".to_owned(),
        kind: "product_add".to_owned(),
        operation_id: id.to_owned(),
        product_id: None,
        product_name: "shares".to_owned(),
        quantity: 1 + number,
        amount: "12.00".to_owned(),
        duration: Some("1m".to_owned()),
    }
}

fn operation(number: usize, state: State, id: &str) -> Operation {
    let mut operation =
        Operation { name: format!("operations/id-{number}"), ..Operation::default() };
    operation.set_state(state);
    operation.upstream = Some(UpstreamRef { id: id.to_owned(), ..UpstreamRef::default() });
    operation.attempts = vec![Attempt { upstream_id: id.to_owned(), ..Attempt::default() }];
    operation
}

fn line(order: usize, wrong: bool, state: State, id: &str) -> Line {
    let ids = vec![id.to_owned()];
    Line { order, wrong, answer: Answer::Operation { state: state.as_str_name().to_owned(), ids } }
}

fn judged(sales: Vec<Entry>, operations: &[Operation], told: &[Line]) -> Verdict {
    let subjects = named("gandi").unwrap();
    let orders = [order(0), order(1)];
    let evidence =
        Evidence { subjects: &subjects, orders: &orders, ledgers: &[sales], told, operations };
    check(&evidence)
}

fn both() -> [Operation; 2] {
    [operation(0, State::Succeeded, "a"), operation(1, State::Succeeded, "b")]
}

#[test]
fn one_sale_for_each_order_is_right() {
    let told = [line(0, false, State::Accepted, ""), line(0, false, State::Succeeded, "a")];
    let verdict = judged(vec![sale(0, "a"), sale(1, "b")], &both(), &told);
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert!(verdict.holds());
    assert_eq!(verdict.total(), Score { orders: 2, sales: 2, ..Score::default() });
}

#[test]
fn every_broken_promise_is_found() {
    let check = |sales: &[(i64, &str)], operations: &[Operation], expected: [usize; 4]| {
        let sales = sales.iter().map(|(number, id)| sale(*number, id)).collect();
        let verdict = judged(sales, operations, &[]);
        let Score { double, lost, orphan, needs_operator, .. } = verdict.total();
        assert_eq!([double, lost, orphan, needs_operator], expected, "{:?}", verdict.problems);
        assert!(!verdict.holds());
    };
    let with = |state, id| [operation(0, State::Succeeded, "a"), operation(1, state, id)];
    // Sold twice; the second sale is nobody's.
    check(&[(0, "a"), (1, "b"), (1, "c")], &both(), [1, 0, 1, 0]);
    // Told that it is sold, and it is not.
    check(&[(0, "a")], &both(), [0, 1, 0, 0]);
    // One sale for two orders.
    check(&[(0, "a"), (1, "b")], &with(State::Succeeded, "a"), [0, 1, 1, 0]);
    // A sale of another body.
    check(&[(0, "a"), (1, "b"), (1_000_001, "c")], &both(), [1, 0, 1, 0]);
    // The sale that is named is of something else.
    check(&[(0, "a"), (0, "b")], &both(), [1, 1, 0, 0]);
    // Still open, failed although sold, and left to a person where that must not be.
    check(&[(0, "a"), (1, "b")], &with(State::Reconciling, ""), [0, 1, 1, 0]);
    check(&[(0, "a"), (1, "b")], &with(State::Failed, ""), [0, 1, 1, 0]);
    check(&[(0, "a"), (1, "b")], &with(State::NeedsOperator, ""), [0, 1, 1, 1]);
    // Forgotten.
    check(&[(0, "a"), (1, "b")], &both()[..1], [0, 1, 1, 0]);
}

#[test]
fn what_was_told_has_to_stay_true() {
    let check = |told: Line| {
        let verdict = judged(vec![sale(0, "a"), sale(1, "b")], &both(), &[told]);
        assert_eq!(verdict.problems.len(), 1, "{:?}", verdict.problems);
        assert!(!verdict.holds());
    };
    check(line(0, false, State::Failed, "a"));
    check(line(0, false, State::Succeeded, "z"));
    check(line(0, true, State::Accepted, ""));
}
