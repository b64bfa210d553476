//! Orders that cannot be sent: every mistake is told at once with the path of its field, and nothing is
//! sent.

use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::v1::{ErrorReason, Money, Order, OrderItem, OrderPricing, Term};

use super::driver::{Bench, create, day, fields, inr, item, of, options, order};

#[tokio::test]
async fn every_mistake_has_its_path() {
    let bench = Bench::new().await;
    let check = async |asked: Order, expected: &[&str]| {
        let error = bench.once(&create(asked.clone())).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::FieldViolation, "{asked:?}");
        let expected: Vec<String> =
            expected.iter().map(|field| field.replace("i.", "order.items[0].")).collect();
        assert_eq!(fields(&error), expected, "{asked:?}");
        // A quote says the same.
        let quoted = bench.quote(&create(asked)).await.unwrap_err();
        assert_eq!(fields(&quoted), expected);
    };
    check(Order { customer: String::new(), ..order() }, &["order.customer"]).await;
    check(Order { customer: "acme".to_owned(), ..order() }, &["order.customer"]).await;
    check(Order { customer: "0652".to_owned(), ..order() }, &["order.customer"]).await;
    check(Order { partner: "x".to_owned(), ..order() }, &["order.partner"]).await;
    check(Order { items: vec![], ..order() }, &["order.items"]).await;
    check(Order { items: vec![item(), item()], ..order() }, &["order.items"]).await;
    check(of(OrderItem { quantity: 0, ..item() }), &["i.quantity"]).await;
    check(of(OrderItem { product: "172".to_owned(), ..item() }), &["i.product"]).await;
    check(of(OrderItem { term: None, ..item() }), &["i.term"]).await;
    check(of(OrderItem { term: Some(Term::metered("")), ..item() }), &["i.term"]).await;
    check(of(OrderItem { plan_term: Some(Term::metered("")), ..item() }), &["i.plan_term"]).await;
    check(of(OrderItem { start_date: None, ..item() }), &["i.start_date"]).await;
    check(of(OrderItem { start_date: day(2019, 2, 30), ..item() }), &["i.start_date"]).await;
    check(of(OrderItem { next_due_date: day(2019, 2, 30), ..item() }), &["i.next_due_date"]).await;
    check(of(OrderItem { next_due_date: day(2019, 7, 22), ..item() }), &["i.next_due_date"]).await;
    check(of(OrderItem { start_date: day(9999, 1, 1), ..item() }), &["i.next_due_date"]).await;
    let once = OrderItem { term: Some(Term::one_time("")), ..item() };
    check(of(once), &["i.next_due_date"]).await;
    let wrong = options(&[
        ("color", Kind::StringValue("red".to_owned())),
        ("serverid", Kind::NumberValue(0.5)),
        ("slserverid", Kind::BoolValue(true)),
    ]);
    let paths = ["i.options.color", "i.options.serverid", "i.options.slserverid"];
    check(of(OrderItem { options: Some(wrong), ..item() }), &paths).await;
    assert!(bench.sent().is_empty() && bench.upstream.ledger().is_empty());
}

#[tokio::test]
async fn no_amount_is_invented_and_none_is_of_another_currency() {
    let bench = Bench::new().await;
    let names = [
        "recurring_amount",
        "purchase_amount",
        "first_plan_price",
        "recurring_plan_price",
        "first_payment",
    ];
    let paths = |suffix: &str| -> Vec<String> {
        names.iter().map(|name| format!("order.items[0].pricing.{name}{suffix}")).collect()
    };
    let error = bench.once(&create(of(OrderItem { pricing: None, ..item() }))).await.unwrap_err();
    assert_eq!(fields(&error), paths(""));
    let pricing = |amount: &dyn Fn() -> Option<Money>| {
        let pricing = OrderPricing {
            recurring_amount: amount(),
            purchase_amount: amount(),
            first_plan_price: amount(),
            recurring_plan_price: amount(),
            first_payment: amount(),
        };
        create(of(OrderItem { pricing: Some(pricing), ..item() }))
    };
    let dollars = || Some(Money::parse("USD", "5").unwrap());
    let error = bench.once(&pricing(&dollars)).await.unwrap_err();
    assert_eq!(fields(&error), paths(".currency_code"));
    let error = bench.once(&pricing(&|| inr("-0.01"))).await.unwrap_err();
    assert_eq!(fields(&error), paths(""));
    let torn = || Some(Money { currency_code: "INR".to_owned(), units: 1, nanos: -1 });
    let error = bench.once(&pricing(&torn)).await.unwrap_err();
    assert_eq!(fields(&error), paths(""));
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn all_mistakes_are_told_at_once() {
    let bench = Bench::new().await;
    let item = OrderItem { quantity: 0, pricing: None, start_date: None, ..item() };
    let asked = Order { customer: String::new(), ..of(OrderItem { term: None, ..item }) };
    let error = bench.once(&create(asked)).await.unwrap_err();
    let first = ["order.customer", "order.items[0].quantity", "order.items[0].term"];
    assert_eq!(fields(&error)[..3], first);
    assert_eq!(error.violations.len(), 9);
}

#[tokio::test]
async fn a_plan_of_another_provider_does_not_exist() {
    let bench = Bench::new().await;
    for product in ["providers/other/products/172", "providers/test/products/office"] {
        let asked = of(OrderItem { product: product.to_owned(), ..item() });
        let error = bench.once(&create(asked)).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::ProductNotFound, "{product}");
    }
}
