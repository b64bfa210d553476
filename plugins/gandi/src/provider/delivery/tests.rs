//! Which product came of which operation, and when that is not told.

use purveyor_sdk::prost_types::Timestamp;

use super::{Delivery, Line, Operation, OrderProgress, Owned, Reading, deliver};
use crate::model::{Duration, Kind};

/// Operations and products are written as number and time.
type Made = (i64, i64);

fn time(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// A finished purchase of two shares for a month.
fn operation((id, created): Made) -> Operation {
    Operation {
        id,
        kind: Kind::Add.word().to_owned(),
        step: "DONE".to_owned(),
        created: time(created),
        product_name: Some("shares".to_owned()),
        quantity: Some(2),
        duration: Some("1m".to_owned()),
        ..Operation::default()
    }
}

fn silent(made: Made) -> Operation {
    let Operation { id, kind, step, created, .. } = operation(made);
    Operation { id, kind, step, created, ..Operation::default() }
}

fn product((id, created): Made) -> Owned {
    let name = "shares".to_owned();
    Owned { id, name, quantity: Some(2), created: time(created), ..Owned::default() }
}

/// An order of one item, whose operation is 50; 40 was the highest before it, 30 was open, and there was
/// the product 3.
fn order() -> OrderProgress {
    OrderProgress {
        known: vec![3],
        placed: vec![50],
        highest: Some(40),
        open: vec![30],
        ..OrderProgress::default()
    }
}

/// The product that is told, and what else is said.
fn check(own: &Operation, others: &[Operation], products: &[Owned], expected: (Option<i64>, &str)) {
    check_beside(own, others, products, &[], expected);
    if expected == (None, "untold") {
        // When that stays so, it takes the lowest that fits and that nobody was given.
        let (told, said) = told(own, others, products, &[], false);
        let known = |owned: &&Owned| owned.id != 3;
        let lowest = products.iter().filter(known).map(|owned| owned.id).min();
        assert_eq!((told, said), (lowest, "untold"));
    }
}

/// As above, where other orders have been given some of the products.
fn check_beside(
    own: &Operation,
    others: &[Operation],
    products: &[Owned],
    given: &[i64],
    expected: (Option<i64>, &str),
) {
    let found = told(own, others, products, given, true);
    assert_eq!(found, expected, "{others:#?} {products:#?}");
}

fn told(
    own: &Operation,
    others: &[Operation],
    products: &[Owned],
    given: &[i64],
    patient: bool,
) -> (Option<i64>, &'static str) {
    let claimed: &[String] = &given.iter().map(i64::to_string).collect::<Vec<_>>();
    let line = Line { product: "shares", quantity: 2, duration: Duration::Month };
    let mut progress = order();
    let operations = [(50, own)].into();
    let reading = Reading { operations: &operations, finished: others, products, claimed, patient };
    let Delivery { missing, untold } = deliver(&[line], &mut progress, &reading);
    let said = match (missing.as_slice(), untold) {
        ([50], false) => "missing",
        ([], true) => "untold",
        ([], false) => "",
        other => panic!("{other:?}"),
    };
    (progress.services.get(&50).copied(), said)
}

#[test]
fn product_that_another_order_was_given_is_passed_over() {
    let own = operation((50, 100));
    let both = [operation((30, 90)), operation((60, 110))];
    let products = [3, 4, 5, 6].map(|id| product((id, 120)));
    check_beside(&own, &both, &products, &[4], (Some(5), ""));
    // By rank it would be 5, which another operation has been given.
    check_beside(&own, &both, &products, &[5], (Some(4), ""));
    check_beside(&own, &both, &products, &[4, 6], (Some(5), ""));
    check_beside(&own, &both[..1], &products[..3], &[5], (Some(4), ""));
}

#[test]
fn alike_operations_take_alike_products_lowest_to_lowest() {
    let own = operation((50, 100));
    let lower = [operation((30, 90))];
    let higher = [operation((60, 110))];
    let both = [operation((30, 90)), operation((60, 110))];
    let products = [3, 5, 4, 6].map(|id| product((id, 120)));
    check(&own, &[], &products[..2], (Some(5), ""));
    check(&own, &lower, &products[..3], (Some(5), ""));
    check(&own, &higher, &products[..3], (Some(4), ""));
    check(&own, &both, &products, (Some(5), ""));
    // One has no product yet, or an operation is not listed yet.
    check(&own, &both, &products[..3], (None, "untold"));
    check(&own, &[], &products[..1], (None, "missing"));
    check(&own, &lower, &products, (None, "untold"));
}

#[test]
fn operations_of_before_the_order_have_made_nothing_since() {
    let own = operation((50, 100));
    let others = [operation((35, 90)), operation((40, 95))];
    check(&own, &others, &[product((3, 90)), product((5, 100))], (Some(5), ""));
    // Its product shows only now, and is dated before the order's operation.
    check(&own, &others, &[product((3, 90)), product((4, 95))], (None, "missing"));
    check(&own, &others, &[product((4, 95)), product((5, 100))], (Some(5), ""));
}

#[test]
fn operations_that_were_not_listed_before_may_have_made_a_known_product() {
    let own = operation((50, 100));
    let others = [operation((45, 90))];
    check(&own, &others, &[product((3, 90)), product((5, 100))], (Some(5), ""));
    check(&own, &others, &[product((3, 10)), product((5, 100))], (None, "untold"));
    check(&own, &others, &[product((4, 91)), product((5, 100))], (Some(5), ""));
    check(&own, &others, &[product((4, 101)), product((5, 102))], (Some(4), ""));
    check(&own, &others, &[product((3, 90))], (None, "missing"));
}

#[test]
fn operation_that_was_done_in_the_same_second_may_have_made_what_shows_only_now() {
    let own = operation((50, 100));
    let others = [Operation { updated: time(100), ..operation((40, 99)) }];
    // It shows alone; both show; it has shown before.
    check(&own, &others, &[product((5, 100))], (None, "untold"));
    check(&own, &others, &[product((5, 100)), product((6, 100))], (Some(5), ""));
    check(&own, &others, &[product((3, 100)), product((5, 100))], (Some(5), ""));
    check(&own, &others, &[], (None, "missing"));
    let others = [Operation { updated: time(99), ..operation((40, 99)) }];
    check(&own, &others, &[product((5, 100))], (Some(5), ""));
}

#[test]
fn silent_operations_may_have_made_it_or_not() {
    let own = silent((50, 100));
    let others = [silent((60, 110))];
    let disk = Owned { name: "disk".to_owned(), ..product((6, 120)) };
    check(&own, &[], &[product((5, 100))], (Some(5), ""));
    check(&own, &others, &[product((5, 100)), product((6, 120))], (Some(5), ""));
    check(&own, &others, &[product((5, 100)), disk], (Some(5), ""));
    check(&own, &others, &[product((5, 100))], (None, "untold"));
    check(&own, &others, &[], (None, "missing"));
}

#[test]
fn told_products_are_taken_at_their_word() {
    let telling = |made, product_id| Operation { product_id: Some(product_id), ..operation(made) };
    let own = telling((50, 100), 6);
    let products = [5, 6, 7].map(|id| product((id, 100)));
    check(&own, &[], &products, (Some(6), ""));
    check(&own, &[], &products[..1], (None, "missing"));
    let others = [telling((60, 110), 5), telling((61, 110), 6)];
    check(&operation((50, 100)), &others, &products, (Some(7), ""));
    // A failed operation's product counts where it is told.
    let failed = Operation { step: "ERROR".to_owned(), ..own };
    check(&failed, &[], &products, (Some(6), ""));
}

#[test]
fn unknown_word_is_no_obstacle_for_a_product_that_shows() {
    let own = Operation { step: "HELD".to_owned(), ..operation((50, 100)) };
    check(&own, &[], &[product((5, 100))], (Some(5), ""));
    check(&Operation::unknown(50), &[], &[product((5, 100))], (Some(5), ""));
    check(&own, &[operation((60, 110))], &[product((5, 115))], (None, "untold"));
    let open = Operation { step: "RUN".to_owned(), ..own };
    check(&open, &[], &[product((5, 100))], (None, ""));
}
