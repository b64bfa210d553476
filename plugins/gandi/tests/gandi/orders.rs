//! Orders: bought item by item, followed, listed; whole, in part, or not at all.

use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Op, Write, resource};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::required_action::Kind as Need;
use purveyor_sdk::v1::{
    ErrorReason, GetOrderRequest, ListOrdersRequest, ListOrdersResponse, Order,
};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, NullStyle, Options, ShortCredit};
use purveyor_simulators::{Cents, Fault, FaultKind, Simulator};

use super::driver::{Bench, item, order, reason, states};

async fn get(bench: &Bench, id: &str) -> purveyor_sdk::Result<Order> {
    get_several(bench, &[id]).await
}

async fn get_several(bench: &Bench, ids: &[&str]) -> purveyor_sdk::Result<Order> {
    let request = GetOrderRequest { name: format!("providers/test/orders/{}", ids[0]) };
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    bench.plugin.read_several(Op::GetOrder, &request, ids).await
}

fn account(prepaid: i64) -> Options {
    let account = AccountSeed { prepaid: Cents::new(prepaid), ..AccountSeed::default() };
    Options { accounts: vec![account], ..Options::default() }
}

fn sales(upstream: &Simulator<Gandi>) -> usize {
    upstream.ledger().len()
}

#[tokio::test]
async fn an_order_becomes_a_service() {
    for null_style in [NullStyle::EmptyString, NullStyle::Nil] {
        let bench = Bench::in_mode(Mode { null_style, ..Mode::default() }).await;
        let order = bench.buy("disk", 3, 12).await;
        assert_eq!(order.state(), State::Completed);
        let upstream = order.upstream.as_ref().unwrap();
        assert_eq!((upstream.id(), upstream.state.as_str()), ("637366", "DONE"));
        assert_eq!(upstream.r#type, "hosting_account_product_add");
        let one = &order.items[0];
        assert_eq!(one.term.as_ref().unwrap().period, "P1Y");
        assert_eq!((one.quantity, one.services.len()), (3, 1));
        let id = one.services[0].rsplit('/').next().unwrap();
        let service = bench.get_service(id).await.unwrap();
        assert_eq!((service.product.as_str(), service.quantity), (one.product.as_str(), 3));
        let sale = &bench.upstream.ledger()[0].sale;
        assert_eq!((sale.duration.as_deref(), sale.operation_id.as_str()), (Some("12m"), "637366"));
        assert!(order.attributes.unwrap().fields.contains_key("operations"));
    }
}

#[tokio::test]
async fn several_items_are_several_spends() {
    let bench = Bench::new().await;
    let write = order(vec![item("ips", 1, 1), item("cores", 2, 1), item("ips", 1, 1)]);
    let order = bench.run(&write).await.order();
    assert_eq!(order.state(), State::Completed);
    assert_eq!(order.upstream.as_ref().unwrap().ids, ["637366", "637367", "637368"]);
    assert_eq!(order.items.iter().map(|item| item.services.len()).sum::<usize>(), 3);
    assert!(order.items[0].services < order.items[2].services, "identical items in their order");
    assert_eq!(sales(&bench.upstream), 3);

    let read = get_several(&bench, &["637366", "637367", "637368"]).await.unwrap();
    assert_eq!((read.items.len(), read.state()), (3, State::Completed));
    assert_eq!(read.name, "providers/test/orders/637366");
    assert_eq!(read.items[1].product, "providers/test/products/cores");
    assert_eq!(
        reason(get_several(&bench, &["637366", "637369"]).await),
        ErrorReason::OrderNotFound
    );
}

#[tokio::test]
async fn a_refused_first_item_fails_the_order() {
    let bench = Bench::with(account(100), json!({})).await;
    let error = bench.run(&order(vec![item("shares", 1, 1)])).await.error();
    assert_eq!(error.reason, ErrorReason::InsufficientCredit);
    assert_eq!(error.metadata["upstream_code"], "521163");
    assert_eq!(sales(&bench.upstream), 0);
}

#[tokio::test]
async fn an_order_that_costs_more_than_there_is_buys_nothing() {
    let bench = Bench::with(account(1_500), json!({})).await;
    let error = bench.run(&order(vec![item("shares", 1, 1), item("cores", 1, 1)])).await.error();
    assert_eq!(error.reason, ErrorReason::InsufficientCredit);
    assert_eq!(bench.asked("hosting.product.create"), 0);
}

#[tokio::test]
async fn a_refused_later_item_leaves_the_order_partial() {
    let bench = Bench::new().await;
    let (code, text) = (521_163, "Error on object : OBJECT_PREPAID".to_owned());
    let fault = Fault::next("hosting.product.create", FaultKind::Fault { code, text });
    bench.upstream.inject(fault.after(1));
    let write = order(vec![item("ips", 1, 1), item("cores", 1, 1), item("disk", 1, 1)]);
    let order = bench.run(&write).await.order();
    assert_eq!(order.state(), State::Partial);
    assert_eq!(states(&order), [State::Completed, State::Failed, State::Failed]);
    let error = order.items[1].error.as_ref().unwrap();
    assert_eq!(error.reason, "INSUFFICIENT_CREDIT");
    assert_eq!(error.metadata["upstream_code"], "521163");
    assert!(order.items[2].error.as_ref().unwrap().message.starts_with("not ordered"));
    assert_eq!((sales(&bench.upstream), bench.asked("hosting.product.create")), (1, 2));
}

#[tokio::test]
async fn bad_requests_send_nothing() {
    let bench = Bench::new().await;
    let mut optioned = item("disk", 1, 1);
    optioned.pricing = Some(purveyor_sdk::v1::OrderPricing::default());
    for (items, expected) in [
        (vec![], ErrorReason::FieldViolation),
        (vec![item("disk", 0, 1)], ErrorReason::FieldViolation),
        (vec![item("disk", 1, 2)], ErrorReason::FieldViolation),
        (vec![item("ips", 1, 1), optioned], ErrorReason::FieldViolation),
        (vec![item("shares_fixed", 1, 1)], ErrorReason::ProductNotFound),
        (vec![item("disk", 1, 1); 21], ErrorReason::FieldViolation),
    ] {
        let error = bench.run(&order(items)).await.error();
        assert_eq!(error.reason, expected, "{error}");
    }
    assert_eq!(bench.asked("hosting.product.create"), 0);
}

#[tokio::test]
async fn violations_name_their_items() {
    let bench = Bench::new().await;
    let error = bench.run(&order(vec![item("disk", 1, 1), item("disk", 0, 7)])).await.error();
    let fields: Vec<_> = error.violations.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["order.items[1].quantity", "order.items[1].term"]);
}

#[tokio::test]
async fn steps_of_the_upstream_are_states_of_the_order() {
    let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    for (index, (step, expected, ends)) in [
        ("WAIT", State::Provisioning, false),
        ("RUN", State::Provisioning, false),
        ("SUPPORT", State::ActionRequired, false),
        ("DONE", State::Completed, true),
        ("CANCEL", State::Cancelled, true),
        ("ERROR", State::Failed, true),
    ]
    .into_iter()
    .enumerate()
    {
        let write = order(vec![item("ips", 1, 1)]);
        let (handle, id) = placed(&bench, &write).await;
        assert_eq!(id, 637_366 + i32::try_from(index).unwrap());
        bench.upstream.set_step(id, step, Some("out of racks")).unwrap();
        let read = get(&bench, &id.to_string()).await.unwrap();
        assert_eq!(read.state(), expected, "{step}");
        assert_eq!(read.upstream.as_ref().unwrap().state, step);
        let polled = bench.poll_one(&write, &handle).await.unwrap();
        assert_eq!(!matches!(polled, Polled::Pending(_)), ends, "{step}");
        if ["ERROR", "CANCEL"].contains(&step) {
            let Polled::Failed(failed) = polled else { panic!("{polled:?}") };
            let error = failed.error.unwrap();
            assert_eq!(error.reason(), ErrorReason::UpstreamFailed);
            assert_eq!(error.message.contains("out of racks"), step == "ERROR");
        } else if step == "SUPPORT" {
            let action = read.required_action.unwrap();
            assert_eq!(
                (action.kind(), action.message.as_str()),
                (Need::ContactUpstream, "out of racks")
            );
        }
    }
}

#[tokio::test]
async fn one_failed_operation_of_two_leaves_the_order_partial() {
    let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1), item("disk", 1, 1)]);
    let (handle, last) = placed(&bench, &write).await;
    bench.upstream.set_step(last, "ERROR", Some("broken")).unwrap();
    bench.upstream.set_step(last - 1, "DONE", None).unwrap();
    let order = bench.follow(&write, handle).await.order();
    assert_eq!(states(&order), [State::Completed, State::Failed]);
    assert_eq!(order.state(), State::Partial);
    assert_eq!(order.items[1].error.as_ref().unwrap().message, "broken");
}

#[tokio::test]
async fn an_operation_stuck_in_bill_is_waited_for() {
    let mode = Mode { short_credit: ShortCredit::StuckBill, ..Mode::default() };
    let bench = Bench::with(Options { mode, ..account(100) }, json!({})).await;
    let write = order(vec![item("shares", 1, 1)]);
    let (handle, id) = placed(&bench, &write).await;
    assert_eq!(get(&bench, &id.to_string()).await.unwrap().state(), State::Provisioning);
    let seed = AccountSeed { prepaid: Cents::new(5_000), ..AccountSeed::default() };
    bench.upstream.put_account(seed).unwrap();
    assert_eq!(bench.follow(&write, handle).await.order().state(), State::Completed);
}

#[tokio::test]
async fn a_quote_tells_price_balance_and_steps() {
    let bench = Bench::new().await;
    let write = order(vec![item("shares", 2, 1), item("ips", 1, 1)]);
    let quote = bench.quote(&write).await.unwrap();
    let decimal = |price: Option<purveyor_sdk::v1::Price>| {
        price.unwrap().amount.unwrap().to_decimal().unwrap()
    };
    assert_eq!(decimal(quote.price), "26");
    assert_eq!(decimal(quote.recurring_price), "26");
    assert_eq!(decimal(quote.balance), "1337.42");
    assert_eq!(quote.steps.len(), 2);
    assert!(quote.upstream_asked);
    assert_eq!(bench.asked("hosting.product.create"), 0);

    let mixed = bench.quote(&order(vec![item("shares", 2, 1), item("ips", 1, 12)])).await.unwrap();
    assert_eq!(decimal(mixed.price), "44");
    assert_eq!(mixed.recurring_price, None);
}

#[tokio::test]
async fn orders_are_listed_page_by_page_and_nothing_else_is() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.buy("ips", 1, 1).await;
    }
    let mut request = ListOrdersRequest {
        parent: "providers/test".to_owned(),
        page_size: 2,
        ..ListOrdersRequest::default()
    };
    let mut seen = Vec::new();
    loop {
        let page: ListOrdersResponse =
            bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
        seen.extend(page.orders.into_iter().map(|order| order.upstream.unwrap().id().to_owned()));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, ["637368", "637367", "637366", "637365"]);
    request.page_token = String::new();
    request.states = vec![State::Failed.into()];
    let none: ListOrdersResponse = bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
    assert_eq!(none.orders, []);
    request.page_token = "x".to_owned();
    let refused = bench.plugin.read::<ListOrdersResponse>(Op::ListOrders, &request, "").await;
    assert_eq!(reason(refused), ErrorReason::PageTokenInvalid);
}

#[tokio::test]
async fn unknown_orders_are_not_found() {
    let bench = Bench::new().await;
    for id in ["637366", "0", "abc", "1,,2", "", "99999999999"] {
        assert_eq!(reason(get(&bench, id).await), ErrorReason::OrderNotFound, "{id}");
    }
    assert_eq!(bench.asked("operation.info"), 1, "only what can be an identifier is asked for");
}

#[tokio::test]
async fn the_short_spelling_is_sent_when_it_is_configured() {
    let bench = Bench::with(Options::default(), json!({"spelling": "short"})).await;
    bench.buy("ips", 1, 1).await;
    assert_eq!((bench.asked("product.create"), bench.asked("hosting.product.create")), (1, 0));
}

#[tokio::test]
async fn the_host_finds_the_identifiers_that_it_saw_in_every_view() {
    let bench = Bench::new().await;
    let write = order(vec![item("ips", 1, 1), item("disk", 1, 1)]);
    let at = Position { step: 1, ..Default::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let Stepped::Next(next) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    let Some(resource::Kind::Order(view)) = next.view.and_then(|view| view.kind) else { panic!() };
    assert_eq!(view.upstream.as_ref().unwrap().id(), "637366");
    assert_eq!(states(&view), [State::Provisioning, State::Pending]);
}

/// Places every item and answers the handle and the last operation.
async fn placed(bench: &Bench, write: &Write) -> (Vec<u8>, i32) {
    let mut at = Position { step: 1, ..Default::default() };
    loop {
        at = bench.prepared(write, at).await.unwrap();
        match bench.step_at(write, &at).await.unwrap() {
            Stepped::Next(next) => {
                at = Position { step: at.step + 1, handle: next.handle, ..Default::default() };
            }
            Stepped::Pending(pending) => {
                let Some(resource::Kind::Order(view)) = pending.view.and_then(|view| view.kind)
                else {
                    panic!("no order");
                };
                let upstream = view.upstream.unwrap();
                let last = upstream.ids.last().unwrap().parse().unwrap();
                return (pending.handle, last);
            }
            other => panic!("{other:?}"),
        }
    }
}
