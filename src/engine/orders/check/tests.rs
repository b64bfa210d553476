//! Orders and cancellations that are right and wrong.

use purveyor_sdk::Error;
use purveyor_sdk::names::ProviderName;
use purveyor_sdk::plugin::v1::Method;
use purveyor_sdk::term::Period;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{Money, Order, OrderItem, OrderPricing, Term, UpstreamRef};

use super::{ITEMS, Mistakes, method, order, policy};

fn item() -> OrderItem {
    OrderItem {
        product: "providers/acme/products/disk".to_owned(),
        quantity: 1,
        ..OrderItem::default()
    }
}

fn checked(given: Option<Order>) -> (Order, Vec<String>) {
    let mut mistakes = Mistakes::default();
    let parent = ProviderName::new("acme").unwrap();
    let stored = order(given, &parent, &mut mistakes);
    (stored, fields(mistakes))
}

fn fields(mistakes: Mistakes) -> Vec<String> {
    let error = mistakes.finish().err();
    let violations = error.map(|error: Error| error.violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

#[test]
fn what_is_wrong_is_named() {
    fn check(change: impl FnOnce(&mut OrderItem), expected: &[&str]) {
        let mut changed = item();
        change(&mut changed);
        let given = Order { items: vec![item(), changed], ..Order::default() };
        assert_eq!(checked(Some(given)).1, expected);
    }
    check(|_| {}, &[]);
    check(|item| item.quantity = 0, &["order.items[1].quantity"]);
    check(|item| item.product.clear(), &["order.items[1].product"]);
    check(
        |item| item.product = "providers/other/products/disk".to_owned(),
        &["order.items[1].product"],
    );
    check(
        |item| item.term = Some(Term { period: "P1M".to_owned(), ..Term::default() }),
        &["order.items[1].term.period"],
    );
    check(
        |item| {
            let amount = |code: &str| Money::parse(code, "1.5").ok();
            item.pricing = Some(OrderPricing {
                recurring_amount: amount("EUR"),
                first_payment: amount("USD"),
                ..OrderPricing::default()
            });
        },
        &["order.items[1].pricing"],
    );
    assert_eq!(checked(None).1, ["order"]);
    assert_eq!(checked(Some(Order::default())).1, ["order.items"]);
    let many = Order { items: vec![item(); ITEMS + 1], ..Order::default() };
    assert_eq!(checked(Some(many)).1, ["order.items"]);
}

#[test]
fn output_fields_are_dropped_and_terms_are_normal() {
    let mut given = item();
    given.id = "7".to_owned();
    given.state = State::Completed.into();
    given.services = vec!["providers/acme/services/1".to_owned()];
    given.term = Some(Term::recurring(Period::Months(12), "12m"));
    let given = Order {
        name: "providers/acme/orders/1".to_owned(),
        state: State::Completed.into(),
        upstream: Some(UpstreamRef::default()),
        etag: "x".to_owned(),
        items: vec![given],
        reference: "mine".to_owned(),
        ..Order::default()
    };
    let (stored, mistakes) = checked(Some(given));
    assert_eq!(mistakes, [""; 0]);
    let expected = OrderItem { term: Some(Term::recurring(Period::Months(12), "")), ..item() };
    let expected =
        Order { items: vec![expected], reference: "mine".to_owned(), ..Order::default() };
    assert_eq!(stored, expected);
}

#[test]
fn the_method_limits_items_and_terms() {
    fn check(max_items: i32, terms: &[&str], term: Option<Term>, expected: &[&str]) {
        let given = OrderItem { term, ..item() };
        let order = Order { items: vec![given.clone(), given], ..Order::default() };
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        let allowed = Method { max_items, terms, ..Method::default() };
        let mut mistakes = Mistakes::default();
        method(&order, &allowed, &mut mistakes);
        assert_eq!(fields(mistakes), expected);
    }
    let month = || Some(Term::recurring(Period::Months(1), ""));
    check(0, &[], None, &[]);
    check(2, &[], month(), &[]);
    check(1, &[], None, &["order.items"]);
    check(0, &["P1M", "P1Y"], month(), &[]);
    check(0, &["P1Y"], month(), &["order.items[0].term", "order.items[1].term"]);
    check(0, &["P1Y"], None, &["order.items[0].term", "order.items[1].term"]);
}

#[test]
fn policies() {
    fn check(given: i32, allowed: &[i32], expected: Result<i32, ()>) {
        let mut mistakes = Mistakes::default();
        let found = policy(given, allowed, &mut mistakes);
        assert_eq!(
            mistakes.finish().map(|()| found).map_err(drop),
            expected,
            "{given} {allowed:?}"
        );
    }
    check(0, &[], Ok(0));
    check(0, &[2], Ok(2));
    check(0, &[1, 2], Err(()));
    check(1, &[1, 2], Ok(1));
    check(1, &[2], Err(()));
    check(1, &[], Ok(1));
}
