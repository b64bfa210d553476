//! Orders: what is sent, what is written upstream, and what the gateway is told to keep.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::prost_types::value::Kind as Value;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{TestHost, write};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    CancelOrderRequest, ErrorReason, Order, OrderItem, OrderPricing, Term, UpstreamRef,
};
use purveyor_sdk::{Period, v1::Effect};
use purveyor_simulators::Kind;
use purveyor_simulators::racknap::Options;

use super::driver::{
    Bench, configuration, create, day, inr, item, of, options, order, reason, with,
};

const MESSAGE: &str =
    "Service ID: 1334 - Office 365 ( Essential Suite ) service has been created successfully.";

#[tokio::test]
async fn the_documents_example_is_written_as_it_stands_in_both_encodings() {
    for bench in Bench::both().await {
        let made = bench.run(&create(order())).await.order();
        let service = &bench.upstream.services()[0];
        let record = &service.record;
        assert_eq!((record.customer_id, record.quantity, record.pid), (652, 1, 0));
        assert_eq!((record.planid, record.serverid), (172, 0));
        assert_eq!(record.slserverid.as_deref(), Some("618e16ad6764"));
        assert_eq!(record.regdate.to_string(), "2019-07-23");
        assert_eq!(record.nextduedate.to_string(), "2020-07-23");
        assert_eq!(
            (record.billingcycle.as_str(), record.plan_billing_cycle.as_str()),
            ("Annually", "Annually")
        );
        for amount in [
            record.amount,
            record.recuring_amount,
            record.first_plan_price,
            record.recuring_plan_price,
            record.firstpayment,
        ] {
            assert_eq!(amount.to_string(), "528.14");
        }
        let upstream = UpstreamRef {
            ids: vec!["1334".to_owned()],
            state: "Success".to_owned(),
            message: MESSAGE.to_owned(),
            ..UpstreamRef::default()
        };
        assert_eq!((made.state(), made.upstream), (State::Completed, Some(upstream)));
        assert_eq!(made.items[0].services, ["providers/test/services/1334"]);
        assert_eq!(bench.upstream.ledger().len(), 1);
        assert_eq!(bench.sent(), ["service/create"]);
    }
}

#[tokio::test]
async fn what_the_gateway_keeps_of_the_service_is_in_the_order() {
    let bench = Bench::new().await;
    let asked = Order {
        partner: "7".to_owned(),
        reference: "mine".to_owned(),
        annotations: [("team".to_owned(), "blue".to_owned())].into(),
        ..of(OrderItem { quantity: 3, next_due_date: day(2020, 1, 15), ..item() })
    };
    let made = bench.run(&create(asked.clone())).await.order();
    let kept = &made.items[0];
    assert_eq!((made.customer.as_str(), made.partner.as_str()), ("652", "7"));
    assert_eq!((made.reference, made.annotations), (asked.reference, asked.annotations));
    assert_eq!((kept.state(), kept.id.as_str()), (State::Completed, "1334"));
    assert_eq!((&kept.product, kept.quantity), (&asked.items[0].product, 3));
    assert_eq!(kept.display_name, "Office 365 ( Essential Suite )");
    let term = kept.term.as_ref().unwrap();
    assert_eq!((term.period.as_str(), term.upstream_value.as_str()), ("P1Y", "Annually"));
    assert_eq!(kept.plan_term, kept.term);
    assert_eq!((kept.start_date, kept.next_due_date), (day(2019, 7, 23), day(2020, 1, 15)));
    assert_eq!((&kept.pricing, &kept.options), (&asked.items[0].pricing, &asked.items[0].options));
    assert_eq!(bench.upstream.services()[0].record.pid, 7);
    assert_eq!(bench.upstream.services()[0].record.nextduedate.to_string(), "2020-01-15");
    // A name that the caller gave stays; an empty partner is the main venture.
    let named = OrderItem { display_name: "mail".to_owned(), ..item() };
    let made = bench.run(&create(of(named))).await.order();
    assert_eq!((made.items[0].display_name.as_str(), made.partner.as_str()), ("mail", "0"));
}

#[tokio::test]
async fn every_amount_goes_to_its_own_parameter() {
    for bench in Bench::both().await {
        let pricing = OrderPricing {
            recurring_amount: inr("1.10"),
            purchase_amount: inr("2.05"),
            first_plan_price: inr("3"),
            recurring_plan_price: inr("4000000.99"),
            first_payment: inr("0"),
        };
        bench.run(&create(of(OrderItem { pricing: Some(pricing), ..item() }))).await.order();
        let record = &bench.upstream.services()[0].record;
        assert_eq!(record.amount.to_string(), "1.10");
        assert_eq!(record.recuring_amount.to_string(), "2.05");
        assert_eq!(record.first_plan_price.to_string(), "3.00");
        assert_eq!(record.recuring_plan_price.to_string(), "4000000.99");
        assert_eq!(record.firstpayment.to_string(), "0.00");
    }
}

#[tokio::test]
async fn thirteen_cycles_and_the_day_of_the_next_payment() {
    let bench = Bench::new().await;
    let months = |months| Term::recurring(Period::Months(months), "");
    let terms = [
        (Term::free(""), "Free", None),
        (Term::free_trial(""), "Free Trial", None),
        (Term::one_time(""), "One Time", None),
        (Term::recurring(Period::Seconds(3600), ""), "Hourly", None),
        (months(1), "Monthly", Some("2019-02-28")),
        (months(3), "Quarterly", Some("2019-04-30")),
        (months(6), "Semi-Annually", Some("2019-07-31")),
        (months(12), "Annually", Some("2020-01-31")),
        (months(24), "Biennially", Some("2021-01-31")),
        (months(36), "Triennially", Some("2022-01-31")),
        (months(48), "Quadrennial", Some("2023-01-31")),
        (months(60), "Quinquennial", Some("2024-01-31")),
        (months(120), "Decennial", Some("2029-01-31")),
    ];
    for (term, word, due) in terms {
        let asked = OrderItem { start_date: day(2019, 1, 31), term: Some(term.clone()), ..item() };
        let given = OrderItem { next_due_date: day(2019, 3, 1), ..asked.clone() };
        bench.run(&create(of(given))).await.order();
        let written = bench.upstream.services().pop().unwrap().record;
        assert_eq!(
            (written.billingcycle.as_str(), written.plan_billing_cycle.as_str()),
            (word, word)
        );
        assert_eq!(written.nextduedate.to_string(), "2019-03-01");
        let ended = bench.once(&create(of(asked.clone()))).await;
        match due {
            Some(due) => {
                let written = bench.upstream.services().pop().unwrap().record;
                assert_eq!(written.nextduedate.to_string(), due, "{word}");
            }
            None => {
                let error = ended.unwrap_err();
                assert_eq!(error.violations[0].field, "order.items[0].next_due_date", "{word}");
            }
        }
        // The plan behind it may have a cycle of its own.
        let plan = OrderItem {
            term: Some(months(1)),
            plan_term: Some(term),
            next_due_date: None,
            ..asked
        };
        let made = bench.run(&create(of(plan))).await.order();
        let written = bench.upstream.services().pop().unwrap().record;
        assert_eq!(
            (written.billingcycle.as_str(), written.plan_billing_cycle.as_str()),
            ("Monthly", word)
        );
        assert_eq!(made.items[0].plan_term.as_ref().unwrap().upstream_value, word);
    }
}

#[tokio::test]
async fn options_are_optional_and_as_given() {
    let bench = Bench::new().await;
    bench.run(&create(of(OrderItem { options: None, ..item() }))).await.order();
    let number = options(&[
        ("slserverid", Value::NumberValue(4242.0)),
        ("serverid", Value::NumberValue(9.0)),
    ]);
    bench.run(&create(of(OrderItem { options: Some(number), ..item() }))).await.order();
    let services = bench.upstream.services();
    assert_eq!((&services[0].record.slserverid, services[0].record.serverid), (&None, 0));
    assert_eq!(services[1].record.slserverid.as_deref(), Some("4242"));
    assert_eq!(services[1].record.serverid, 9);
}

#[tokio::test]
async fn a_quote_costs_what_the_caller_tells_and_sends_nothing() {
    let bench = Bench::new().await;
    let pricing = OrderPricing {
        first_payment: inr("100"),
        recurring_amount: inr("50.5"),
        ..item().pricing.unwrap()
    };
    let asked = of(OrderItem { pricing: Some(pricing), ..item() });
    let quote = bench.quote(&create(asked.clone())).await.unwrap();
    let price = quote.price.unwrap();
    assert_eq!((price.amount.clone(), price.tax()), (inr("100"), Tax::Included));
    assert_eq!(quote.recurring_price.unwrap().amount, inr("50.5"));
    let steps: Vec<_> = quote.steps.iter().map(|it| (it.call.as_str(), it.effect())).collect();
    assert_eq!(steps, [("service/create", Effect::Spend)]);
    assert!(!quote.upstream_asked && bench.sent().is_empty());
    // The call that spends tells the very price.
    bench.run(&create(asked.clone())).await.order();
    assert_eq!(bench.plugin.spend_prices(), [Some(price)]);
    // Where nobody has said whether tax is in it, the price does not say either.
    let silent = with(configuration(), "prices_include_tax", json!(null));
    let bench = Bench::with(Options::default(), silent).await;
    let quote = bench.quote(&create(asked)).await.unwrap();
    assert_eq!(quote.price.unwrap().tax(), Tax::Unspecified);
    let wrong = bench.quote(&create(Order { customer: String::new(), ..order() })).await;
    assert_eq!(reason(wrong), ErrorReason::FieldViolation);
}

#[tokio::test]
async fn a_refusal_of_the_upstream_is_one() {
    let bench = Bench::new().await;
    for (asked, code) in [
        (Order { customer: "653".to_owned(), ..order() }, "3001"),
        (Order { partner: "8".to_owned(), ..order() }, "3002"),
        (of(OrderItem { product: "providers/test/products/173".to_owned(), ..item() }), "3003"),
    ] {
        let Stepped::Rejected(rejected) = bench.once(&create(asked)).await.unwrap() else {
            panic!("{code}");
        };
        assert_eq!(rejected.proof, "refused");
        let error = rejected.error.unwrap();
        assert_eq!(error.reason(), ErrorReason::UpstreamRejected);
        assert_eq!(error.metadata["upstream_code"], code);
        assert!(error.message.ends_with("does not exist."), "{}", error.message);
    }
    assert!(bench.upstream.ledger().is_empty());
}

#[tokio::test]
async fn two_orders_alike_are_two_records() {
    let bench = Bench::new().await;
    let ids: Vec<String> =
        [bench.run(&create(order())).await.order(), bench.run(&create(order())).await.order()]
            .into_iter()
            .map(|order| order.upstream.unwrap().id().to_owned())
            .collect();
    assert_eq!(ids, ["1334", "1335"]);
    let kinds: Vec<_> = bench.upstream.ledger().iter().map(|entry| entry.sale.kind).collect();
    assert_eq!(kinds, [Kind::ServiceCreate, Kind::ServiceCreate]);
}

#[tokio::test]
async fn what_the_upstream_does_not_have_is_not_there() {
    let manifest = TestHost::<purveyor_racknap::RackNap>::manifest().unwrap();
    let mut ops: Vec<Op> = manifest.methods.iter().map(|method| method.op()).collect();
    ops.sort_unstable();
    let expected = [
        Op::ListProducts,
        Op::GetProduct,
        Op::CreateOrder,
        Op::SuspendService,
        Op::ResumeService,
        Op::TerminateService,
        Op::Plan,
        Op::Find,
    ];
    assert_eq!(ops, expected);
    let bench = Bench::new().await;
    let request = CancelOrderRequest::default();
    let cancelled = bench.once(&write(Op::CancelOrder, &request, "1334")).await;
    assert_eq!(reason(cancelled), ErrorReason::CapabilityUnsupported);
}
