//! What an operation contradicts, and what it names; how often something has happened.

use purveyor_sdk::time::Zone;
use purveyor_sdk::xmlrpc::Value;

use super::{Before, Duration, Kind, Operation, Snapshot, State, Wanted};

pub(in crate::provider) fn operation(params: &[(&str, Value)]) -> Operation {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let value = Value::from([("id", Value::Int(1)), ("params", Value::Struct(params.collect()))]);
    Operation::read(&value, &Zone::UTC).unwrap()
}

pub(in crate::provider) fn creation() -> Wanted {
    Wanted {
        kind: Kind::Add,
        product: None,
        name: "shares".to_owned(),
        quantity: Some(2),
        duration: Some(Duration::Year),
        end: None,
    }
}

pub(in crate::provider) fn renewal() -> Wanted {
    let (kind, name) = (Kind::Renew, "shares".to_owned());
    let duration = Some(Duration::Month);
    Wanted { kind, product: Some(7), name, quantity: None, duration, end: Some(1_000_000_000) }
}

pub(in crate::provider) fn name(name: &str) -> (&'static str, Value) {
    ("product_name", name.into())
}

pub(in crate::provider) fn int(field: &'static str, number: i64) -> (&'static str, Value) {
    (field, Value::Int(number))
}

#[test]
fn only_what_is_told_contradicts() {
    fn check(wanted: Wanted, params: &[(&str, Value)], expected: bool) {
        assert_eq!(wanted.is_contradicted_by(&operation(params)), expected, "{params:?}");
    }
    check(creation(), &[], false);
    check(creation(), &[name("shares"), int("quantity", 2)], false);
    check(creation(), &[name("disk")], true);
    check(creation(), &[int("quantity", 3)], true);
    check(creation(), &[("duration", "1y".into())], false);
    check(creation(), &[("duration", "1m".into())], true);
    // A name that cannot be bought may be another word for what was.
    check(creation(), &[name("shares_fixed")], false);
    check(creation(), &[int("product_id", 9)], false);
    check(renewal(), &[int("product_id", 7)], false);
    check(renewal(), &[int("product_id", 8)], true);
    // What the upstream counts in a renewal is not known.
    check(renewal(), &[name("shares"), int("quantity", 99)], false);
    check(renewal(), &[name("ips")], true);
}

#[test]
fn operation_names_product_or_all_that_was_said() {
    let product =
        |id, name: &str| Snapshot { id, name: name.to_owned(), quantity: None, end: None };
    let one = [product(7, "shares"), product(8, "ips")];
    let twins = [product(7, "shares"), product(8, "shares")];
    let check = |wanted: &Wanted, products: &[Snapshot], params: &[(&str, Value)], expected| {
        let before = Before { products: products.to_vec(), ..Before::default() };
        let named = wanted.is_named_by(&operation(params), &before);
        assert_eq!(named, expected, "{wanted:?} {params:?}");
    };
    let (year, month) = (("duration", "1y".into()), ("duration", "1m".into()));
    let all = [name("shares"), int("quantity", 2), year.clone()];
    check(&creation(), &twins, &all, true);
    check(&creation(), &one, &all[..2], false);
    check(&creation(), &one, &[name("shares"), year.clone()], false);
    check(&creation(), &one, &[int("quantity", 2), year], false);
    check(&creation(), &one, &[], false);
    check(&renewal(), &twins, &[int("product_id", 7)], true);
    check(&renewal(), &one, &[int("product_id", 8), name("shares"), month.clone()], false);
    check(&renewal(), &one, &[name("shares"), month.clone()], true);
    check(&renewal(), &one, &[name("shares")], false);
    // Of two products of one name the name tells none.
    check(&renewal(), &twins, &[name("shares"), month], false);
    check(&renewal(), &one, &[], false);
    let change = Wanted { kind: Kind::Update, quantity: Some(5), duration: None, ..renewal() };
    check(&change, &one, &[name("shares"), int("quantity", 5)], true);
    check(&change, &one, &[name("shares"), int("quantity", 4)], false);
    let deletion = Wanted { kind: Kind::Delete, duration: None, ..renewal() };
    check(&deletion, &one, &[name("shares")], true);
    check(&deletion, &one, &[name("ips")], false);
}

#[test]
fn effects_count_by_amount() {
    const DAY: i64 = 86_400;
    let renewed = |duration, later: Option<i64>| {
        let wanted = Wanted { duration: Some(duration), ..renewal() };
        let end = later.map(|later| 1_000_000_000 + later);
        wanted.effects(Some(State { quantity: None, end }))
    };
    assert_eq!(renewed(Duration::Month, None), 0);
    assert_eq!(renewed(Duration::Month, Some(0)), 0);
    assert_eq!(renewed(Duration::Month, Some(-DAY)), 0);
    for (days, expected) in [(1, 1), (28, 1), (31, 1), (59, 2), (62, 2), (92, 3), (365, 12)] {
        assert_eq!(renewed(Duration::Month, Some(days * DAY)), expected, "{days}");
    }
    assert_eq!(renewed(Duration::Year, Some(31 * DAY)), 1);
    assert_eq!(renewed(Duration::Year, Some(366 * DAY)), 1);
    assert_eq!(renewed(Duration::Year, Some(731 * DAY)), 2);
    let endless = Wanted { end: None, ..renewal() };
    assert_eq!(endless.effects(Some(State { quantity: None, end: Some(5) })), 1);
    assert_eq!(renewal().effects(None), 0);

    let state = Some(State { quantity: Some(5), end: None });
    let change = |quantity| Wanted { kind: Kind::Update, quantity: Some(quantity), ..renewal() };
    assert_eq!(
        [change(5).effects(state), change(4).effects(state), change(5).effects(None)],
        [1, 0, 0]
    );
    let deletion = Wanted { kind: Kind::Delete, ..renewal() };
    assert_eq!([deletion.effects(state), deletion.effects(None)], [0, 1]);
    assert_eq!([creation().effects(state), creation().effects(None)], [0, 0]);
}
