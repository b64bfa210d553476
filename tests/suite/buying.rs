//! Buying, from the request to the service: once, in whole or in part, within a limit, in time, and
//! taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use purveyor_sdk::prost_types::{self, Struct, Value, value};
use purveyor_sdk::v1::operation::{Result as Came, State};
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::{CancelOrderRequest, CreateOrderRequest, Operation, OrderPricing};
use purveyor_simulators::gandi::{AccountSeed, CatalogStyle, Gandi, Mode, Options};
use purveyor_simulators::{Cents, Fault, FaultKind, Kind, Simulator};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::client::{Client, failure, order, reason, succeeded, told};
use crate::support::requests::{end, euros, purchase, request_id};
use crate::support::{Gateway, asked, configuration, elsewhere, provider, sold, spends, upstream};

const CREATE: &str = "hosting.product.create";
const ADD: Kind = Kind::ProductAdd;

struct Shop {
    _gateway: Gateway,
    client: Client,
    upstream: Simulator<Gandi>,
}

impl Shop {
    async fn open() -> Self {
        Self::with(Options::default()).await
    }

    async fn in_mode(mode: Mode) -> Self {
        Self::with(Options { mode, ..Options::default() }).await
    }

    async fn with(options: Options) -> Self {
        let upstream = upstream(options).await;
        let provider = provider(&upstream).setting("prices_include_tax", true);
        let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
        let client = gateway.client().await;
        Self { _gateway: gateway, client, upstream }
    }

    async fn buy(&self, items: &[(&str, i32)]) -> Operation {
        self.client.ordered(purchase("gandi", items)).await
    }
}

fn account(cents: i64) -> Options {
    let account = AccountSeed { prepaid: Cents::new(cents), ..AccountSeed::default() };
    Options { accounts: vec![account], ..Options::default() }
}

#[tokio::test]
async fn an_order_becomes_a_service() {
    let shop = Shop::open().await;
    let request = purchase("gandi", &[("shares", 2)]);
    let name = format!("providers/gandi/orders/{}", request.request_id);
    let operation = succeeded(shop.client.ordered(request).await);
    assert_eq!((operation.target.as_str(), operation.attempts.len()), (name.as_str(), 1));

    let order = shop.client.get_order(&name).await.expect("the order is there");
    assert_eq!((order.name.as_str(), order.state()), (name.as_str(), OrderState::Completed));
    assert_eq!(order.operation, operation.name);
    let sales = sold(&shop.upstream, ADD);
    assert_eq!(order.upstream.as_ref().map(|upstream| upstream.ids.clone()), Some(sales));
    let service = shop.client.service(&order.items[0].services[0]).await.expect("it is there");
    assert_eq!((service.quantity, service.order.as_str()), (2, name.as_str()));
}

#[tokio::test]
async fn an_order_is_found_by_the_upstream_name_and_listed_once_under_ours() {
    let shop = Shop::open().await;
    let operation = succeeded(shop.buy(&[("shares", 2)]).await);
    let ours = order(&operation);
    let alias = format!("providers/gandi/orders/{}", ours.upstream.as_ref().expect("sold").id());
    let found = shop.client.get_order(&alias).await.expect("the alias leads to it");
    assert_eq!(found.name, ours.name);
    assert_eq!(found.aliases, [alias]);
    let listed = shop.client.all_orders("gandi").await;
    assert_eq!(listed.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), [ours.name.as_str()]);
}

#[tokio::test]
async fn an_order_made_elsewhere_is_listed_and_shown_under_its_upstream_name() {
    let shop = Shop::open().await;
    let ours = succeeded(shop.buy(&[("shares", 1)]).await).target;
    let id = elsewhere::buy(&shop.upstream, "disk", 7).await;
    let theirs = format!("providers/gandi/orders/{id}");
    let listed: BTreeSet<String> =
        shop.client.all_orders("gandi").await.into_iter().map(|order| order.name).collect();
    assert_eq!(listed, BTreeSet::from([ours, theirs.clone()]));
    let shown = shop.client.get_order(&theirs).await.expect("it is there");
    assert_eq!((shown.items[0].quantity, shown.operation.as_str()), (7, ""));
    assert_eq!(shown.items[0].product, "providers/gandi/products/disk");
}

#[tokio::test]
async fn several_items_are_several_sales_of_one_order() {
    let shop = Shop::open().await;
    let operation = succeeded(shop.buy(&[("shares", 2), ("disk", 5), ("ips", 1)]).await);
    let sales = sold(&shop.upstream, ADD);
    assert_eq!((sales.len(), asked(&shop.upstream, CREATE), operation.attempts.len()), (3, 3, 3));
    let order = order(&operation);
    assert_eq!(order.upstream.as_ref().map(|upstream| upstream.ids.clone()), Some(sales.clone()));
    for (item, quantity) in order.items.iter().zip([2, 5, 1]) {
        let service = shop.client.service(&item.services[0]).await.expect("it is there");
        assert_eq!((service.quantity, &service.product), (quantity, &item.product));
    }
    for sale in &sales {
        let part = format!("providers/gandi/orders/{sale}");
        assert_eq!(
            shop.client.get_order(&part).await.expect("a part leads to it").name,
            order.name
        );
    }
    assert_eq!(shop.client.all_orders("gandi").await.len(), 1);
}

#[tokio::test]
async fn an_order_whose_later_item_is_refused_is_partial() {
    let shop = Shop::open().await;
    let text = "Error on object : OBJECT_PREPAID (CAUSE_NOT_ENOUGH_MONEY)".to_owned();
    let fault = Fault::next(CREATE, FaultKind::Fault { code: 521_163, text });
    shop.upstream.inject(fault.after(1));
    let operation = succeeded(shop.buy(&[("shares", 2), ("disk", 5), ("ips", 1)]).await);
    let order = order(&operation);
    assert_eq!(order.state(), OrderState::Partial);
    let states: Vec<OrderState> = order.items.iter().map(|item| item.state()).collect();
    assert_eq!(states, [OrderState::Completed, OrderState::Failed, OrderState::Failed]);
    assert_eq!(order.items[0].services.len(), 1);
    assert_eq!(order.items[1].error.as_ref().map(|it| &*it.reason), Some("INSUFFICIENT_CREDIT"));
    assert_eq!((sold(&shop.upstream, ADD).len(), asked(&shop.upstream, CREATE)), (1, 2));
}

#[tokio::test]
async fn validate_only_buys_nothing_and_stores_nothing() {
    let shop = Shop::open().await;
    let mut request = purchase("gandi", &[("shares", 2), ("disk", 1)]);
    request.validate_only = true;
    let answer = shop.client.order(request.clone()).await.expect("a quote");
    assert_eq!((answer.name.as_str(), answer.done), ("", true));
    let Some(Came::Quote(quote)) = answer.result else { panic!("no quote: {answer:?}") };
    let charged = |price: Option<purveyor_sdk::v1::Price>| price.and_then(|price| price.amount);
    assert!(charged(quote.price).is_some_and(|amount| amount.units > 0 || amount.nanos > 0));
    assert_eq!(charged(quote.balance).map(|amount| amount.currency_code), Some("EUR".to_owned()));
    assert!(quote.upstream_asked);
    assert_eq!((spends(&shop.upstream), shop.client.all_operations().await.len()), (0, 0));
    // It has not used up the request id.
    request.validate_only = false;
    succeeded(shop.client.ordered(request).await);
}

#[tokio::test]
async fn the_same_request_again_is_the_same_operation() {
    let shop = Shop::open().await;
    let request = purchase("gandi", &[("shares", 2)]);
    let first = succeeded(shop.client.ordered(request.clone()).await);
    let again = shop.client.order(CreateOrderRequest { wait: None, ..request }).await;
    assert_eq!(again.expect("the same operation"), first);
    assert_eq!(asked(&shop.upstream, CREATE), 1);
}

/// A caller reckons its deadline anew for each try, and a library fills in what is empty.
#[tokio::test]
async fn repeat_with_another_deadline_and_empty_fields_is_the_same_operation() {
    let shop = Shop::open().await;
    let request = purchase("gandi", &[("shares", 2)]);
    let first = succeeded(shop.client.ordered(request.clone()).await);
    let mut again = request.clone();
    again.start_before = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let item = &mut again.order.get_or_insert_default().items[0];
    item.pricing = Some(OrderPricing::default());
    let null = Value { kind: Some(value::Kind::NullValue(0)) };
    item.options = Some(Struct { fields: [("nothing".to_owned(), null)].into() });
    assert_eq!(shop.client.order(again).await.expect("the same operation"), first);
    // What it may cost is content.
    let dearer = CreateOrderRequest { max_price: euros(1000), ..request };
    let refused = shop.client.order(dearer).await.expect_err("another request");
    assert_eq!(told(&refused).1, "REQUEST_ID_REUSED");
    assert!(refused.message().contains("max_price"), "{refused:?}");
    assert!(refused.message().contains(&first.name), "{refused:?}");
    assert_eq!(asked(&shop.upstream, CREATE), 1);
}

#[tokio::test]
async fn the_same_request_twenty_times_at_once_is_one_sale() {
    let shop = Shop::open().await;
    let request = purchase("gandi", &[("shares", 2)]);
    let same = (0..20).map(|_| shop.client.ordered(request.clone()));
    let names: BTreeSet<String> =
        join_all(same).await.into_iter().map(|operation| succeeded(operation).name).collect();
    assert_eq!(names.len(), 1);
    assert_eq!((sold(&shop.upstream, ADD).len(), asked(&shop.upstream, CREATE)), (1, 1));
}

#[tokio::test]
async fn a_request_id_is_never_used_for_something_else() {
    let shop = Shop::open().await;
    let request = purchase("gandi", &[("shares", 2)]);
    let first = succeeded(shop.client.ordered(request.clone()).await);
    let service = order(&first).items[0].services[0].clone();
    let reused = (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned(), String::new());
    let mut other = purchase("gandi", &[("shares", 3)]);
    other.request_id = request.request_id.to_uppercase();
    let status = shop.client.order(other).await.expect_err("another body");
    assert_eq!(told(&status), reused);
    assert!(!status.message().contains("shares"), "it shows what the other was");
    assert!(status.message().contains("order.items[0].quantity"), "{status:?}");
    let about = status.get_details_resource_info().expect("it is about something");
    assert_eq!(about.resource_name, first.name);
    let facts = status.get_details_error_info().expect("it has facts").metadata;
    assert_eq!(facts["provider"], "providers/gandi");
    assert_eq!(facts["resource"], "providers/gandi");
    assert_eq!((facts["operation"].as_str(), facts["retry"].as_str()), (&*first.name, "NEVER"));
    let mut method = end(&service);
    method.request_id.clone_from(&request.request_id);
    let status =
        shop.client.services().terminate_service(method).await.expect_err("another method");
    assert_eq!(told(&status), reused);
    assert_eq!((spends(&shop.upstream), shop.client.all_operations().await.len()), (1, 1));
}

#[tokio::test]
async fn a_price_limit_is_never_ignored() {
    let mode = |catalog| Mode { catalog, ..Mode::default() };
    let check = async |catalog, taxed: Option<bool>, limit, expected: &str| {
        let upstream = upstream(Options { mode: mode(catalog), ..Options::default() }).await;
        let mut account = provider(&upstream);
        if let Some(taxed) = taxed {
            account = account.setting("prices_include_tax", taxed);
        }
        let gateway = Gateway::start(configuration().provider("gandi", account)).await;
        let mut request = purchase("gandi", &[("shares", 2), ("disk", 1)]);
        request.max_price = euros(limit);
        let operation = gateway.client().await.ordered(request).await;
        let sales = if expected.is_empty() { 2 } else { 0 };
        assert_eq!(reason(&operation), expected, "{catalog:?} {taxed:?} {limit}: {operation:#?}");
        assert_eq!(spends(&upstream), sales, "{catalog:?} {taxed:?} {limit}");
    };
    check(CatalogStyle::Priced, Some(true), 1000, "").await;
    check(CatalogStyle::Priced, Some(true), 1, "PRICE_LIMIT").await;
    check(CatalogStyle::Priced, Some(false), 1000, "PRICE_UNKNOWN").await;
    check(CatalogStyle::Priced, None, 1000, "PRICE_UNKNOWN").await;
    check(CatalogStyle::Unpriced, Some(true), 1000, "PRICE_UNKNOWN").await;
    check(CatalogStyle::Absent, Some(true), 1000, "PRICE_UNKNOWN").await;
}

#[tokio::test]
async fn without_credit_nothing_is_bought_until_somebody_pays_in() {
    let shop = Shop::with(account(100)).await;
    let request = purchase("gandi", &[("shares", 2)]);
    let failed = shop.client.ordered(request.clone()).await;
    assert_eq!((failed.state(), reason(&failed)), (State::Failed, "INSUFFICIENT_CREDIT"));
    assert_eq!(failure(&failed).metadata.get("upstream_code").map(String::as_str), Some("521163"));

    let api_key = crate::support::API_KEY.to_owned();
    let paid = AccountSeed { api_key, prepaid: Cents::new(100_000), ..AccountSeed::default() };
    shop.upstream.put_account(paid).expect("the account is known");
    // A terminal state never changes: who wants it now asks anew.
    assert_eq!(shop.client.order(request).await.expect("the same operation"), failed);
    succeeded(shop.buy(&[("shares", 2)]).await);
    assert_eq!((sold(&shop.upstream, ADD).len(), asked(&shop.upstream, CREATE)), (1, 2));
}

#[tokio::test]
async fn nobody_buys_what_was_wanted_yesterday() {
    let shop = Shop::open().await;
    succeeded(shop.buy(&[("shares", 1)]).await);
    shop.upstream.inject(Fault::next("*", FaultKind::DropBeforeCommit).times(100_000));
    let mut request = purchase("gandi", &[("shares", 1)]);
    let soon = Timestamp::now() + Duration::from_secs(2);
    request.start_before =
        Some(prost_types::Timestamp { seconds: soon.as_second(), nanos: soon.subsec_nanosecond() });
    let operation = shop.client.ordered(request).await;
    assert_eq!((operation.state(), reason(&operation)), (State::Failed, "NOT_STARTED"));
    assert!(Timestamp::now() >= soon, "it gave up too early");
    assert_eq!((operation.attempts.len(), asked(&shop.upstream, CREATE)), (0, 1));
}

#[tokio::test]
async fn who_does_not_wait_is_answered_at_once_and_who_waits_when_it_is_done() {
    let shop = Shop::open().await;
    shop.upstream.inject(Fault::next(CREATE, FaultKind::Slow { ms: 300 }));
    let first = shop.client.order(purchase("gandi", &[("shares", 1)])).await.expect("accepted");
    assert!(matches!(first.state(), State::Accepted | State::Running), "{first:#?}");
    assert!(!first.done);
    succeeded(shop.client.done(&first.name).await);
    let patient = CreateOrderRequest { wait: None, ..purchase("gandi", &[("disk", 1)]) };
    succeeded(shop.client.order(patient).await.expect("accepted"));
}

fn cancel(name: &str) -> CancelOrderRequest {
    CancelOrderRequest {
        name: name.to_owned(),
        request_id: request_id(),
        ..CancelOrderRequest::default()
    }
}

#[tokio::test]
async fn an_order_is_cancelled_while_the_upstream_lets_go_of_it() {
    let shop = Shop::in_mode(Mode { bill_ms: 4000, ..Mode::default() }).await;
    let request = purchase("gandi", &[("shares", 2)]);
    let accepted = shop.client.order(request).await.expect("accepted");
    let waiting = shop.client.reaches(&accepted.name, State::WaitingUpstream).await;
    let cancelled = shop.client.orders().cancel_order(cancel(&waiting.target)).await;
    let cancelled = cancelled.expect("it is tried").into_inner();
    let cancelled = succeeded(shop.client.done(&cancelled.name).await);
    assert_eq!(order(&cancelled).state(), OrderState::Cancelled);
    assert_eq!(order(&cancelled).name, waiting.target);
    assert_eq!(sold(&shop.upstream, Kind::Refund), sold(&shop.upstream, ADD));
    // What the upstream lets go of is not delivered.
    let bought = shop.client.done(&accepted.name).await;
    assert_eq!(
        (bought.state(), reason(&bought)),
        (State::Failed, "UPSTREAM_FAILED"),
        "{bought:#?}"
    );
    let shown = shop.client.get_order(&waiting.target).await.expect("it is shown");
    assert_eq!(shown.state(), OrderState::Cancelled, "{shown:#?}");
}

#[tokio::test]
async fn an_order_that_is_delivered_cannot_be_cancelled() {
    let shop = Shop::open().await;
    let bought = succeeded(shop.buy(&[("shares", 2)]).await);
    let answer = shop.client.orders().cancel_order(cancel(&bought.target)).await;
    let operation = shop.client.done(&answer.expect("it is tried").into_inner().name).await;
    assert_eq!((operation.state(), reason(&operation)), (State::Failed, "STATE_CONFLICT"));
    assert_eq!((spends(&shop.upstream), sold(&shop.upstream, Kind::Refund).len()), (1, 0));
}

#[tokio::test]
async fn an_order_that_the_upstream_works_on_is_not_let_go() {
    let shop = Shop::in_mode(Mode { bill_ms: 4000, ..Mode::default() }).await;
    let accepted = shop.client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    let waiting = shop.client.reaches(&accepted.name, State::WaitingUpstream).await;
    let id = sold(&shop.upstream, ADD)[0].parse().expect("a number");
    shop.upstream.set_step(id, "RUN", None).expect("it moves on");
    let answer = shop.client.orders().cancel_order(cancel(&waiting.target)).await;
    let operation = shop.client.done(&answer.expect("it is tried").into_inner().name).await;
    assert_eq!((operation.state(), reason(&operation)), (State::Failed, "STATE_CONFLICT"));
    shop.upstream.set_step(id, "DONE", None).expect("it moves on");
    succeeded(shop.client.done(&accepted.name).await);
    assert_eq!(sold(&shop.upstream, Kind::Refund).len(), 0);
}
