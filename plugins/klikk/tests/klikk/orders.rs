//! Orders from the request to the servers, and those that somebody has to pay for first.

use std::time::Duration;

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::poll_request::Item;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{PollRequest, resource};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::Ended;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::required_action::Kind as Action;
use purveyor_sdk::v1::{
    Date, ErrorReason, ListOrdersRequest, ListOrdersResponse, ListView, Order, OrderItem, Term,
};
use purveyor_sdk::{Error, Period, Standing};
use purveyor_simulators::klikk::{AccountSeed, Mode, Options, ShortCredit};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, item, of_another, order, order_of, parent, reason, vps};

fn states(order: &Order) -> Vec<State> {
    order.items.iter().map(OrderItem::state).collect()
}

#[tokio::test]
async fn an_order_goes_from_the_request_to_its_servers() {
    let bench = Bench::in_mode(Mode { delivery_ms: 3_600_000, ..Mode::default() }).await;
    let write = order(&["My testserver 1", "", "other"]);
    let at = bench.first(&write).await;
    let Stepped::Pending(pending) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    let Some(resource::Kind::Order(seen)) = pending.view.unwrap().kind else { panic!() };
    assert_eq!(seen.name, "providers/test/orders/73");
    assert_eq!((seen.state(), states(&seen)), (State::Provisioning, vec![State::Provisioning; 3]));
    assert_eq!(seen.items[0].display_name, "My testserver 1");
    assert_eq!(seen.upstream.unwrap().message, "Order is being processed");

    let Polled::Pending(pending) = bench.poll_one(&write, &pending.handle).await.unwrap() else {
        panic!()
    };
    bench.upstream.advance(Duration::from_secs(3600));
    let done = bench.follow(&write, pending.handle).await.order();
    assert_eq!((done.state(), states(&done)), (State::Completed, vec![State::Completed; 3]));
    let names: Vec<_> = done.items.iter().map(|item| item.display_name.as_str()).collect();
    assert_eq!(names, ["My testserver 1", "", "other"]);
    let item = &done.items[1];
    assert_eq!(
        (item.id.as_str(), item.services.as_slice()),
        ("1294", &["providers/test/services/1294".to_owned()][..])
    );
    assert_eq!(item.product, "providers/test/products/VPS");
    // One call for all items, and one sale of each.
    assert_eq!((bench.asked("order_create"), bench.upstream.ledger().len()), (1, 3));
    assert_eq!(bench.get_order("73").await.unwrap(), done);
}

#[tokio::test]
async fn what_the_upstream_calls_processing_is_completed_by_its_servers() {
    let bench = Bench::new().await;
    let write = order(&["a", "b"]);
    let at = bench.first(&write).await;
    let Stepped::Pending(pending) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    bench.get_order("73").await.unwrap();
    for item in [1293, 1294] {
        bench.upstream.set_status(73, Some(item), 200, "Order is being processed").unwrap();
    }
    bench.upstream.set_status(73, None, 200, "Order is being processed").unwrap();
    let done = bench.follow(&write, pending.handle.clone()).await.order();
    assert_eq!((done.state(), done.upstream.unwrap().state), (State::Completed, "200".to_owned()));
    // A status that nobody knows leaves the state open, and ends with the servers all the same.
    bench.upstream.set_status(73, None, 299, "?").unwrap();
    let done = bench.follow(&write, pending.handle).await.order();
    assert_eq!(
        (done.state(), done.upstream.unwrap().state),
        (State::Unspecified, "299".to_owned())
    );
}

#[tokio::test]
async fn items_of_an_order_end_differently() {
    let check = async |item: u16, order_status: u16, expected: Result<State, ErrorReason>| {
        let bench = Bench::in_mode(Mode { delivery_ms: 3_600_000, ..Mode::default() }).await;
        let write = order(&["a", "b"]);
        let at = bench.first(&write).await;
        let Stepped::Pending(pending) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
        bench.upstream.set_status(73, Some(1293), item, "No capacity").unwrap();
        bench.upstream.advance(Duration::from_secs(3600));
        bench.get_order("73").await.unwrap();
        bench.upstream.set_status(73, None, order_status, "told").unwrap();
        let ended = match bench.follow(&write, pending.handle).await {
            Ended::Done(resource::Kind::Order(order)) => Ok(order.state()),
            Ended::Failed(error, Some(_)) => Err(error.reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(ended, expected, "{item} {order_status}");
    };
    check(500, 200, Ok(State::Partial)).await;
    check(500, 201, Ok(State::Partial)).await;
    check(500, 500, Err(ErrorReason::UpstreamFailed)).await;
    check(201, 410, Err(ErrorReason::UpstreamFailed)).await;
}

#[tokio::test]
async fn an_order_that_asks_for_payment_is_made_and_waits_for_a_person() {
    let bench = Bench::poor(Mode::default()).await;
    let order = bench.buy(&["a"]).await;
    assert_eq!(
        (order.state(), states(&order)),
        (State::AwaitingPayment, vec![State::AwaitingPayment])
    );
    let action = order.required_action.clone().unwrap();
    assert_eq!((action.kind(), action.invoice.as_str()), (Action::Pay, "K-73"));
    assert!(action.message.starts_with("Payment required"));
    assert_eq!(action.amount_due.unwrap().amount.unwrap().to_string(), "325 NOK");
    assert!(action.due_time.is_some());
    assert_eq!(order.notices[0].reason, "INVOICE_EXISTS");
    // Nothing is asked after the spend.
    assert_eq!(bench.sent(), ["order_list", "order_create"]);
    let read = bench.get_order("73").await.unwrap();
    assert_eq!(
        (read.state(), read.required_action.unwrap().invoice),
        (State::AwaitingPayment, "K-73".to_owned())
    );

    bench.upstream.pay(73).unwrap();
    let paid = bench.get_order("73").await.unwrap();
    assert_eq!((paid.state(), paid.required_action), (State::Completed, None));
}

#[tokio::test]
async fn an_amount_due_in_any_spelling_hides_nothing_of_the_order() {
    let check = async |value: &str, expected: &str, understood: bool| {
        let bench = Bench::poor(Mode::default()).await;
        let (from, to) =
            (r#""amount_due":"325.00""#.to_owned(), format!(r#""amount_due":{value}"#));
        let fault = Fault::next("order_*", FaultKind::Respell { from, to });
        bench.upstream.inject(fault.times(u32::MAX));
        let made = bench.buy(&["a"]).await;
        let read = bench.get_order("73").await.unwrap();
        for order in [made, read] {
            let action = order.required_action.unwrap();
            assert_eq!((action.kind(), action.invoice.as_str()), (Action::Pay, "K-73"));
            let due = action.amount_due.unwrap();
            let [amount, ceiling] = [due.amount, due.ceiling.map(|it| *it)]
                .map(|amount| amount.map(|amount| amount.to_string()).unwrap_or_default());
            assert_eq!(format!("{amount}|{ceiling}|{}", due.display_text), expected, "{value}");
            let mut reasons = order.notices.iter().map(|notice| notice.reason.as_str());
            assert_eq!(reasons.all(|it| it != "PRICE_NOT_UNDERSTOOD"), understood, "{value}");
        }
        let parent = parent();
        let request = ListOrdersRequest { parent, ..ListOrdersRequest::default() };
        let listed: ListOrdersResponse =
            bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
        assert!(listed.orders.iter().any(|it| it.name.ends_with("orders/73")), "{value}");
        assert!(listed.orders.len() > 1, "{value}");
    };
    check("325.0000000001", "325 NOK|325.000000001 NOK|325.0000000001", true).await;
    check("3.25e2", "325 NOK||", true).await;
    check(r#""0.1000000000""#, "0.1 NOK||", true).await;
    check("-325", "-325 NOK||", true).await;
    for none in ["1 200,-", "NaN", "1,234.50"] {
        check(&format!("{none:?}"), &format!("||{none}"), false).await;
    }
    check("1e400", "||1e400", false).await;
    check(r#""""#, "||", false).await;
    check("true", "||true", false).await;
}

#[tokio::test]
async fn an_unpaid_order_lapses() {
    let bench = Bench::poor(Mode::default()).await;
    bench.buy(&["a"]).await;
    bench.upstream.advance(Duration::from_secs(15 * 24 * 3600));
    let lapsed = bench.get_order("73").await.unwrap();
    assert_eq!((lapsed.state(), states(&lapsed)), (State::Expired, vec![State::Expired]));
}

#[tokio::test]
async fn an_answer_that_asks_for_payment_without_an_order_is_unknown_and_found() {
    let bench =
        Bench::poor(Mode { short_credit: ShortCredit::NamesNothing, ..Mode::default() }).await;
    let write = order(&["a"]);
    let at = bench.first(&write).await;
    let stepped = bench.step_at(&write, &at).await.unwrap();
    assert!(matches!(stepped, Stepped::Unknown(_)), "{stepped:?}");
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    let super::lost::Found::Found(found) = found else { panic!("{found:?}") };
    let Some(Stepped::Done(done)) = found.outcome.unwrap().outcome else { panic!() };
    let Some(resource::Kind::Order(order)) = done.resource.unwrap().kind else { panic!() };
    assert_eq!((order.state(), order.items[0].id.as_str()), (State::AwaitingPayment, "1293"));
}

/// What one answer to order_create comes to: the proof and the reason, or nothing.
async fn told(bench: &Bench, fault: Fault) -> Option<(String, ErrorReason)> {
    let code = match &fault.kind {
        FaultKind::Fault { code, .. } => code.to_string(),
        FaultKind::Word { status, .. } => status.to_string(),
        other => panic!("{other:?}"),
    };
    bench.upstream.inject(fault);
    let write = order(&["a"]);
    let at = bench.first(&write).await;
    match bench.step_at(&write, &at).await.unwrap() {
        Stepped::Rejected(rejected) => {
            let error = Error::from(rejected.error.unwrap());
            assert_eq!(error.metadata["upstream_code"], code);
            Some((rejected.proof, error.reason))
        }
        Stepped::Unknown(_) => None,
        other => panic!("{other:?}"),
    }
}

fn refused(code: i32, text: &str) -> Fault {
    Fault::next("order_create", FaultKind::Fault { code, text: text.to_owned() })
}

#[tokio::test]
async fn undeclared_refusal_of_order_is_unknown() {
    let bench = Bench::new().await;
    let proven = told(&bench, refused(401, "Invalid account token")).await;
    assert_eq!(proven, Some(("unauthenticated".to_owned(), ErrorReason::UpstreamCredentials)));
    for code in [400, 403, 404, 408, 409, 422, 425, 429, 500, 503] {
        for text in ["items is missing", "Betaling mislukt", "Payment is required", ""] {
            assert_eq!(told(&bench, refused(code, text)).await, None, "{code} {text}");
        }
    }
    assert!(bench.upstream.ledger().is_empty());
}

#[tokio::test]
async fn order_made_under_an_undeclared_refusal_is_found() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = bench.first(&write).await;
    bench.upstream.inject(refused(400, "Betaling mislukt").committed());
    let stepped = bench.step_at(&write, &at).await.unwrap();
    assert!(matches!(stepped, Stepped::Unknown(_)), "{stepped:?}");
    assert_eq!(bench.upstream.ledger().len(), 1);
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    let super::lost::Found::Found(found) = found else { panic!("{found:?}") };
    assert_eq!(found.upstream_id, "73");
}

#[tokio::test]
async fn configured_word_proves_a_refusal() {
    let bench = Bench::refusing(&["Ugyldig forespørsel", "Not from here"]).await;
    let word = |word: &str, status| {
        Fault::next("order_create", FaultKind::Word { word: word.into(), status })
    };
    for (fault, expected) in [
        (word("UGYLDIG FORESPØRSEL", 400), Some(("refused_400", ErrorReason::UpstreamRejected))),
        (word(" not from here ", 403), Some(("refused_403", ErrorReason::UpstreamCredentials))),
        (refused(422, "Ugyldig forespørsel"), Some(("refused_422", ErrorReason::UpstreamRejected))),
        (refused(400, "Ugyldig"), None),
        (refused(400, "Ugyldig forespørsel: betaling"), None),
        (refused(402, "Ugyldig forespørsel"), None),
        (refused(404, "Ugyldig forespørsel"), None),
        (refused(409, "Ugyldig forespørsel"), None),
        (refused(429, "Ugyldig forespørsel"), None),
        (refused(500, "Ugyldig forespørsel"), None),
    ] {
        let expected = expected.map(|(proof, reason)| (proof.to_owned(), reason));
        assert_eq!(told(&bench, fault.clone()).await, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn locked_account_buys_nothing_and_its_refusal_is_unknown() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = bench.first(&write).await;
    let locked = AccountSeed { locked: true, ..AccountSeed::default() };
    bench.upstream.put_account(locked).unwrap();
    let stepped = bench.step_at(&write, &at).await.unwrap();
    assert!(matches!(stepped, Stepped::Unknown(_)), "{stepped:?}");
    assert!(bench.upstream.ledger().is_empty());
    assert_eq!(reason(bench.get_order("73").await), ErrorReason::UpstreamCredentials);
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let good = || item("a");
    let with = |change: &dyn Fn(&mut OrderItem)| {
        let mut bad = good();
        change(&mut bad);
        order_of(Order { items: vec![good(), bad], ..Order::default() })
    };
    let options = |pointer: &str, value: purveyor_sdk::serde_json::Value| {
        let mut options = vps();
        *options.pointer_mut(pointer).unwrap() = value;
        super::driver::fields(&options)
    };
    let ports = "order.items[1].options.features.sshd.public_ports_allow";
    let check = async |write: &purveyor_sdk::plugin::v1::Write, field: &str| {
        let error = bench.run(write).await.error();
        let fields: Vec<_> = error.violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, [field], "{error}");
        let quoted = bench.quote(write).await.unwrap_err();
        assert_eq!(quoted.violations[0].field, field);
    };
    let sshd = "/features/sshd/public_ports_allow";
    check(&with(&|it| it.options = Some(options(sshd, json!("80,0")))), ports).await;
    let quantity = "order.items[1].quantity";
    check(&with(&|it| it.quantity = 2), quantity).await;
    check(&with(&|it| it.quantity = 0), quantity).await;
    check(&with(&|it| it.display_name = "x".repeat(90)), "order.items[1].display_name").await;
    check(&with(&|it| it.display_name = "x [01234567]".to_owned()), "order.items[1].display_name")
        .await;
    check(&with(&|it| it.display_name = "a\nb".to_owned()), "order.items[1].display_name").await;
    check(
        &with(&|it| it.term = Some(Term::recurring(Period::Months(1), ""))),
        "order.items[1].term",
    )
    .await;
    check(&with(&|it| it.start_date = Some(Date::default())), "order.items[1].start_date").await;
    check(&with(&|it| it.plan_term = Some(Term::default())), "order.items[1].plan_term").await;
    check(&with(&|it| it.product = "x".to_owned()), "order.items[1].product").await;
    let customer = Order { items: vec![good()], customer: "7".to_owned(), ..Order::default() };
    check(&order_of(customer), "order.customer").await;
    check(&order(&[]), "order.items").await;
    check(&order(&["a"; 51]), "order.items").await;
    let unknown = with(&|it| it.product = "providers/test/products/CPU".to_owned());
    assert_eq!(bench.run(&unknown).await.error().reason, ErrorReason::ProductNotFound);
    // All mistakes of an order at once.
    let mut bad = good();
    (bad.quantity, bad.options) = (0, None);
    let write = order_of(Order { items: vec![bad.clone(), bad], ..Order::default() });
    assert_eq!(bench.run(&write).await.error().violations.len(), 10);
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn orders_are_listed_and_read() {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    bench.run(&of_another(order(&["b", "c"]))).await.order();
    let listed = bench.list_orders().await;
    let names: Vec<_> = listed.iter().map(|order| order.name.as_str()).collect();
    assert_eq!(names, [72, 73, 74].map(|id| format!("providers/test/orders/{id}")));
    assert_eq!(listed[2], bench.get_order("74").await.unwrap());
    for id in ["75", "x", "073", ""] {
        assert_eq!(reason(bench.get_order(id).await), ErrorReason::OrderNotFound, "{id}");
    }
    let list = async |request: ListOrdersRequest| -> Vec<Order> {
        let request = ListOrdersRequest { parent: parent(), ..request };
        let page: ListOrdersResponse =
            bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
        page.orders
    };
    let failed = ListOrdersRequest { states: vec![State::Failed.into()], ..Default::default() };
    assert!(list(failed).await.is_empty());
    let done = ListOrdersRequest { states: vec![State::Completed.into()], ..Default::default() };
    assert_eq!(list(done).await.len(), 2);
    let customer = ListOrdersRequest { customer: "x".to_owned(), ..Default::default() };
    assert!(list(customer).await.is_empty());
    let later = listed[2]
        .create_time
        .map(|time| purveyor_sdk::prost_types::Timestamp { seconds: time.seconds + 3600, ..time });
    let after = ListOrdersRequest { create_after: later, ..Default::default() };
    assert!(list(after).await.is_empty());
    let one = ListOrdersRequest { page_size: 1, page_token: "2".to_owned(), ..Default::default() };
    assert_eq!(list(one).await[0].name, "providers/test/orders/74");
    // A list that does not tell items is read order by order, but only where all is asked for.
    bench.set(|mode| mode.list_items = false);
    let (basic, asked) = (bench.list_orders().await, bench.asked("order_status"));
    assert_eq!((basic[0].items.len(), basic[0].etag.as_str()), (0, ""));
    let full = ListOrdersRequest { view: ListView::Full.into(), ..Default::default() };
    assert_eq!(list(full).await, listed);
    assert_eq!(bench.asked("order_status"), asked + 3);
}

#[tokio::test]
async fn many_writes_are_followed_by_one_look() {
    let bench = Bench::new().await;
    let writes = [order(&["a"]), of_another(order(&["b"]))];
    let mut items = Vec::new();
    for write in &writes {
        let at = bench.first(write).await;
        let Stepped::Pending(pending) = bench.step_at(write, &at).await.unwrap() else { panic!() };
        items.push(Item { write: Some(write.clone()), handle: pending.handle, ..Item::default() });
    }
    items.push(Item { handle: b"[1,{\"order\":99,\"looks\":0}]".to_vec(), ..items[0].clone() });
    items.push(Item { handle: b"[2]".to_vec(), ..items[0].clone() });
    let asked = bench.asked("order_list");
    let polled = bench.plugin.poll(&PollRequest { items }).await.unwrap().outcomes;
    let [one, two, missing, unreadable] = &polled[..] else { panic!("{polled:?}") };
    for done in [one, two] {
        assert!(matches!(done.outcome, Some(Polled::Done(_))), "{done:?}");
    }
    let Some(Polled::Pending(missing)) = &missing.outcome else { panic!("{missing:?}") };
    assert_eq!(missing.standing(), Standing::Unclear);
    let Some(Polled::Unavailable(error)) = &unreadable.outcome else { panic!("{unreadable:?}") };
    assert_eq!(error.reason(), ErrorReason::PluginFault);
    assert_eq!((bench.asked("order_list") - asked, bench.asked("server_list")), (1, 1));
}

#[tokio::test]
async fn a_caller_with_a_login_buys_too() {
    let account = AccountSeed { login: Some("kari:secret".to_owned()), ..AccountSeed::default() };
    let options = Options { accounts: vec![account], ..Options::default() };
    let bench = Bench::with(options, json!({})).await;
    let setup = purveyor_sdk::testing::Setup::new(bench.upstream.url())
        .credential("login", "kari:secret")
        .configuration(json!({ "authentication": "basic" }));
    let plugin = purveyor_sdk::testing::TestHost::<purveyor_klikk::Klikk>::open(setup).unwrap();
    assert_eq!(plugin.run(&order(&["a"])).await.order().state(), State::Completed);
}
