//! Every item of the document, at the place that the mapping gives it. What an item does in detail is
//! told by the tests of its noun; this one shows that nothing of the document is out of reach.

use std::time::Duration;

use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Call, Manifest, Op, resource};
use purveyor_sdk::prost_types::Struct;
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::testing::{Scope, TestHost};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::required_action::Kind as Action;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{
    CancelPolicy, Effect, ErrorReason, ListProductsRequest, ListProductsResponse, Order, OrderItem,
};
use purveyor_simulators::klikk::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{
    Bench, cancel, cancel_by, fields, item, order, order_name, order_of, parent, reason, vps,
};

const LIST: &str = include_str!("../../../../tests/data/scope/klikk.csv");

#[tokio::test]
async fn every_item_of_the_document_is_reachable() {
    let mut scope = Scope::of(LIST);
    let manifest = TestHost::<purveyor_klikk::Klikk>::manifest().unwrap();
    transport(&mut scope, &manifest).await;
    items(&mut scope).await;
    options(&mut scope).await;
    create(&mut scope).await;
    payment(&mut scope, &manifest).await;
    status(&mut scope).await;
    cancellation(&mut scope, &manifest).await;
    servers(&mut scope).await;
    scope.finish();
}

/// A delivery that takes an hour, so that an order can be seen being processed.
async fn slow() -> Bench {
    Bench::in_mode(Mode { delivery_ms: 3_600_000, ..Mode::default() }).await
}

async fn transport(scope: &mut Scope, manifest: &Manifest) {
    let bench = Bench::new().await;
    let one_address = |call: &Call| call.method == "POST" && call.path.is_empty();
    scope.shows("JSON REST API", manifest.calls.iter().all(one_address));
    let word = |call: &Call| call.word_pointer == "/action" && call.words == [call.name.clone()];
    bench.buy(&["a"]).await;
    let worded = manifest.calls.iter().all(word) && bench.asked("order_create") == 1;
    scope.shows("action", worded);
    let shape = |name: &str| manifest.calls.iter().find(|it| it.name == name)?.success.clone();
    let success = shape("order_create").unwrap();
    scope.shows("response: HTTP 2xx", (success.status_min, success.status_max) == (200, 299));

    let refused = FaultKind::Fault { code: 401, text: "x".to_owned() };
    bench.upstream.inject(Fault::next("order_create", refused));
    let proven = bench.run(&order(&["b"])).await.error().reason == ErrorReason::UpstreamCredentials;
    let write = order(&["c"]);
    bench.upstream.inject(Fault::next("order_create", FaultKind::Status { status: 400 }));
    let at = bench.first(&write).await;
    let unknown = matches!(bench.step_at(&write, &at).await, Ok(Stepped::Unknown(_)));
    scope.shows("error: HTTP status other than 2xx", proven && unknown);

    bench.upstream.set_status(73, None, 777, "?").unwrap();
    let strange = bench.get_order("73").await.unwrap();
    let verbatim = strange.upstream.as_ref().is_some_and(|it| it.state == "777");
    scope.shows("Status codes", strange.state() == State::Unspecified && verbatim);
}

async fn items(scope: &mut Scope) {
    let bench = Bench::new().await;
    let bought = bench.buy(&["My testserver 1", "other"]).await;
    let [first, second] = &bought.items[..] else { panic!("{bought:?}") };
    scope.shows("order_create", bench.asked("order_create") == 1);
    scope.shows(
        "order_create.items[]",
        (first.id < second.id) && bench.upstream.ledger().len() == 2,
    );
    let sent = attribute(first, "reference");
    let marked = sent.starts_with("My testserver 1 [") && first.display_name == "My testserver 1";
    scope.shows("order_create.items[].name", marked && second.display_name == "other");
    scope.shows("order_create.items[].product", refuses("/", None).await);
    let product = "providers/test/products/VPS";
    let sold = bench.upstream.ledger().iter().all(|line| line.sale.product_name == "VPS");
    scope.shows("order_create.items[].product.name", sold && first.product == product);
    let request = ListProductsRequest { parent: parent(), ..Default::default() };
    let page: ListProductsResponse =
        bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
    scope.shows("order_create.items[].product.name=VPS", page.products[0].name == product);
}

/// Each option is taken as it is given, and refused by its path where it is wrong.
async fn options(scope: &mut Scope) {
    const ALL: &str = "order_create.items[].product.options";
    let wrong = |value: &str| Some(purveyor_sdk::serde_json::from_str(value).unwrap());
    let mut shows = |name: &str, right: bool| scope.shows(&format!("{ALL}{name}"), right);
    shows("", refuses("/unknown", wrong("1")).await);
    shows(
        ".quantity_ram_gb",
        price_of("/quantity_ram_gb", "1", 2000).await
            && refuses("/quantity_ram_gb", wrong("-0.5")).await,
    );
    shows(
        ".quantity_cpu",
        price_of("/quantity_cpu", "10", 3000).await && refuses("/quantity_cpu", wrong("0.5")).await,
    );
    shows(
        ".quantity_storage_gb",
        price_of("/quantity_storage_gb", "30", 500).await
            && refuses("/quantity_storage_gb", wrong("0")).await,
    );
    shows(".os", price_of("/os", "\"Debian\"", 0).await && refuses("/os", wrong("true")).await);
    shows(
        ".features",
        price_of("/features", "{}", -1000).await && refuses("/features", wrong("1")).await,
    );
    shows(
        ".features.ipv4",
        price_of("/features/ipv4", "3", 2000).await
            && refuses("/features/ipv4", wrong("1.5")).await,
    );
    shows(".features.sshd", refuses("/features/sshd", wrong("[]")).await);
    shows(
        ".features.sshd.authorized_keys",
        refuses("/features/sshd/authorized_keys", wrong("\"ssh-rsa ......\"")).await,
    );
    shows(
        ".features.sshd.ip_allow",
        refuses("/features/sshd/ip_allow", wrong("\"fec0:::1\"")).await,
    );
    shows(
        ".features.sshd.public_ports_allow",
        refuses("/features/sshd/public_ports_allow", wrong("\"12010:12000\"")).await,
    );
}

/// Whether the document's example is sold, and with another value at `pointer` (none: without options)
/// is refused there before anything is sent.
async fn refuses(pointer: &str, value: Option<purveyor_sdk::serde_json::Value>) -> bool {
    let bench = Bench::new().await;
    let sold = bench.buy(&["a"]).await.items.len() == 1;
    let mut bad = item("b");
    bad.options = value.map(|value| fields(&changed(pointer, value)));
    let error = bench.run(&order_of(Order { items: vec![bad], ..Order::default() })).await.error();
    let path = format!("order.items[0].options{}", pointer.replace('/', "."));
    let named = |field: &str| field.starts_with(path.trim_end_matches('.'));
    let violations = &error.violations;
    sold && !violations.is_empty()
        && violations.iter().all(|it| named(&it.field))
        && bench.asked("order_create") == 1
}

/// Whether another value at `pointer` changes what the upstream charges by so many hundredths.
async fn price_of(pointer: &str, value: &str, difference: i64) -> bool {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    let mut other = item("b");
    let value = purveyor_sdk::serde_json::from_str(value).unwrap();
    other.options = Some(fields(&changed(pointer, value)));
    let write = order_of(Order { items: vec![other], ..Order::default() });
    bench.run(&super::driver::of_another(write)).await.order();
    let [one, two] = &bench.upstream.ledger()[..] else { panic!() };
    two.sale.amount.hundredths() - one.sale.amount.hundredths() == difference
}

fn changed(
    pointer: &str,
    value: purveyor_sdk::serde_json::Value,
) -> purveyor_sdk::serde_json::Value {
    let mut options = vps();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    options.pointer_mut(parent).unwrap()[name] = value;
    options
}

async fn create(scope: &mut Scope) {
    let bench = slow().await;
    // The simulator reads JSON as everybody does: with the example's comma nothing would be sold.
    let request = Order {
        items: vec![item("My testserver 1")],
        reference: "Optional order reference".to_owned(),
        ..Order::default()
    };
    let plain = order_of(Order { reference: String::new(), ..request.clone() });
    // The same marks in both, so that they differ in the reference alone.
    let write = order_of(request);
    let at = bench.first(&write).await;
    let Ok(Stepped::Pending(pending)) = bench.step_at(&write, &at).await else { panic!() };
    scope.shows(
        "order_create example: comma before authorized_keys",
        bench.upstream.ledger().len() == 1,
    );
    let at = bench.first(&plain).await;
    bench.step_at(&plain, &at).await.unwrap();
    let prints: Vec<_> =
        bench.upstream.ledger().into_iter().map(|it| it.sale.fingerprint).collect();
    let Some(resource::Kind::Order(seen)) = pending.view.unwrap().kind else { panic!() };
    // The upstream never shows it: our own record keeps it.
    let kept = seen.reference.is_empty() && prints[0] != prints[1];
    scope.shows("order_create.reference", kept);
    let upstream = seen.upstream.clone().unwrap();
    scope.shows("order_create response", seen.items.len() == 1);
    let named = upstream.id() == "73" && seen.name == order_name("73");
    scope.shows("order_create response.order_id", named);
    scope.shows("order_create response.status", upstream.state == "200");
    scope.shows("order_create response.status=200", seen.state() == State::Provisioning);
    let words = upstream.message == "Order is being processed";
    scope.shows("order_create response.message", words);
}

async fn payment(scope: &mut Scope, manifest: &Manifest) {
    let bench = Bench::poor(Mode::default()).await;
    let asked = bench.buy(&["a"]).await;
    let action = asked.required_action.unwrap();
    let waits = asked.state == i32::from(State::AwaitingPayment) && action.kind() == Action::Pay;
    let told = action.message.contains("Payment required");
    scope.shows(
        "order_create: warning not enough credit asks for payment",
        waits && told && notice(manifest, Op::CreateOrder, "NEEDS_CREDIT"),
    );
    let invoiced = action.invoice == "K-73" && action.amount_due.is_some();
    let noted = asked.notices.iter().any(|notice| notice.reason == "INVOICE_EXISTS");
    scope.shows(
        "order_create: warning the invoice is already created",
        invoiced && noted && notice(manifest, Op::CreateOrder, "INVOICE_EXISTS"),
    );
}

async fn status(scope: &mut Scope) {
    let bench = slow().await;
    for names in [&["My testserver 1"][..], &["other"]] {
        let write = order(names);
        let at = bench.first(&write).await;
        bench.step_at(&write, &at).await.unwrap();
    }
    let told = bench.get_order("73").await.unwrap();
    let upstream = told.upstream.clone().unwrap();
    scope.shows("order_status", bench.asked("order_status") == 1);
    let other = bench.get_order("74").await.unwrap().items[0].display_name == "other";
    scope.shows("order_status.order_id", other);
    let words = "Order is being processed";
    let mut shows =
        |name: &str, right: bool| scope.shows(&format!("order_status response.{name}"), right);
    shows("order_id", upstream.id() == "73");
    shows("status", upstream.state == "200");
    shows("status=200", told.state() == State::Provisioning);
    shows("message", upstream.message == words);
    let [item] = &told.items[..] else { panic!("{told:?}") };
    let upstream = item.upstream.clone().unwrap();
    shows("order_items[]", told.items.len() == 1);
    shows("order_items[].id", item.id == "1293" && upstream.id() == "1293");
    shows("order_items[].status", upstream.state == "200");
    shows("order_items[].status=200", item.state() == State::Provisioning);
    shows("order_items[].name", item.product == "providers/test/products/VPS");
    shows("order_items[].reference", item.display_name == "My testserver 1");
    shows("order_items[].message", upstream.message == words);

    let asked = bench.asked("order_list");
    let listed = bench.list_orders().await;
    scope.shows("order_list", bench.asked("order_list") == asked + 1 && listed.len() == 3);
    let members =
        listed[1].attributes.is_some() && !attribute(&listed[1].items[0], "reference").is_empty();
    scope.shows("order_list response", listed[1] == told && members);
}

async fn cancellation(scope: &mut Scope, manifest: &Manifest) {
    let at_end = |order: &Order| -> Vec<bool> {
        let items = order.items.iter();
        items.map(|item| item.cancellation() == CancelPolicy::AtTermEnd).collect()
    };
    let bench = Bench::new().await;
    bench.buy(&["a", "b"]).await;
    bench.run(&super::driver::of_another(order(&["c"]))).await.order();
    let one = at_end(&bench.run(&cancel("73", "1294")).await.order());
    scope.shows("order_cancel", bench.asked("order_cancel") == 1);
    scope.shows("order_cancel.order_id", at_end(&bench.get_order("74").await.unwrap()) == [false]);
    scope.shows("order_cancel.order_item_id", one == [false, true]);
    let empty_answer = at_end(&bench.get_order("73").await.unwrap()) == one;
    scope.shows("order_cancel response: empty 200 OK", empty_answer);
    let policy = bench.get_service("1294").await.unwrap().renewal_policy.unwrap();
    let noted = notice(manifest, Op::CancelOrder, "CANCELS_AT_TERM_END");
    scope.shows("order_cancel: warning not renewed", !policy.auto_renew() && noted);
    let alive = bench.get_service("1294").await.unwrap().state() == ServiceState::Active;
    let at_once = bench.run(&cancel_by(CancelPolicy::Immediately, "73", "")).await.error();
    bench.upstream.advance(Duration::from_secs(32 * 24 * 3600));
    let gone = reason(bench.get_service("1294").await) == ErrorReason::ServiceNotFound;
    scope.shows(
        "order_cancel: warning cancelled after the end of the period",
        alive && gone && policy.cancel_at_expiry() && at_once.violations[0].field == "policy",
    );
    let whole = at_end(&bench.run(&cancel("73", "")).await.order());
    scope.shows("order_cancel: the entire order", whole == [true, true]);
    bench.upstream.inject(Fault::next("order_cancel", FaultKind::Status { status: 404 }));
    let missing = bench.run(&cancel("74", "1295")).await.error();
    scope.shows(
        "order_cancel error: 404 not found",
        missing.reason == ErrorReason::OrderNotFound && missing.metadata["item_id"] == "1295",
    );
}

async fn servers(scope: &mut Scope) {
    let bench = Bench::new().await;
    let bought = bench.buy(&["a", "b"]).await;
    let all = bench.list_services("").await;
    scope.shows("server_list", bench.asked("server_list") > 0 && all.len() == 2);
    let filtered = bench.list_services("1294").await;
    let linked = bought.items[1].services == [filtered[0].name.clone()];
    let named = filtered.len() == 1 && filtered[0].order_item == "1294";
    scope.shows("server_list.order_item_id", named && linked);
    // What the document calls 0 or blank is a filter that is not set.
    scope.shows("server_list.order_item_id=0", all.len() == 2 && all[1] == filtered[0]);
    scope.shows("server_list.order_item_id blank", bench.list_services("").await == all);
    let fields = !all[0].endpoints.is_empty() && all[0].attributes.is_some();
    scope.shows("server_list response", fields && all[0].expire_time.is_some());
}

fn notice(manifest: &Manifest, op: Op, reason: &str) -> bool {
    let method = manifest.methods.iter().find(|method| method.op() == op).unwrap();
    let spends = manifest.calls.iter().any(|call| {
        method.calls.contains(&call.name)
            && matches!(call.effect(), Effect::Spend | Effect::Setting)
    });
    spends && method.notices.iter().any(|notice| notice.reason == reason)
}

fn attribute(item: &OrderItem, name: &str) -> String {
    let nothing = Struct::default();
    let attributes = item.attributes.as_ref().unwrap_or(&nothing);
    match attributes.fields.get(name).and_then(|value| value.kind.clone()) {
        Some(Kind::StringValue(text)) => text,
        _ => String::new(),
    }
}
