//! Bad input: each its own clear error, nothing in the journal, nothing sent that costs money.

use purveyor_sdk::prost_types::{Duration, FieldMask, Struct, Timestamp, Value, value};
use purveyor_sdk::term::Period;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{
    CancelOrderRequest, CreateOrderRequest, CreateRenewalRequest, GetOrderRequest,
    GetServiceRequest, ListOrdersRequest, ListServicesRequest, Operation, OrderItem, OrderPricing,
    Payment, SuspendServiceRequest, Term, UpdateServiceRequest,
};
use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::Gandi;
use tonic::{Code, Status};

use crate::support::client::{Client, reason, told};
use crate::support::requests::{end, money, purchase, quantity, renewal, request_id};
use crate::support::{Gateway, configuration, gandi, spends};

/// A gateway with one provider, at which nothing is ever bought.
struct Counter {
    _gateway: Gateway,
    client: Client,
    upstream: Simulator<Gandi>,
}

impl Counter {
    async fn open() -> Self {
        let (upstream, provider) = gandi().await;
        let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
        let client = gateway.client().await;
        Self { _gateway: gateway, client, upstream }
    }

    /// That a call was refused as expected, and that nothing came of it.
    async fn refused<T: std::fmt::Debug>(
        &self,
        what: &str,
        answer: Result<tonic::Response<T>, Status>,
        (code, reason, field): (Code, &str, &str),
    ) {
        let found = told(&answer.expect_err(what));
        assert_eq!(found, (code, reason.to_owned(), field.to_owned()), "{what}");
        let journal = self.client.all_operations().await;
        assert_eq!(journal, Vec::<Operation>::new(), "{what}: it stands in the journal");
        assert_eq!(spends(&self.upstream), 0, "{what}: something was sent");
    }
}

const INVALID: Code = Code::InvalidArgument;
const VIOLATION: &str = "FIELD_VIOLATION";

#[tokio::test]
async fn a_bad_order_is_refused_by_the_field_that_is_wrong() {
    let counter = Counter::open().await;
    let check = async |what: &str, change: &dyn Fn(&mut CreateOrderRequest), expected| {
        let mut request = purchase("gandi", &[("shares", 1)]);
        change(&mut request);
        let answer = counter.client.orders().create_order(request).await;
        counter.refused(what, answer, expected).await;
    };
    let field = |field| (INVALID, VIOLATION, field);
    check("no parent", &|it| it.parent.clear(), field("parent")).await;
    check("no name", &|it| it.parent = "gandi".into(), field("parent")).await;
    check("all", &|it| it.parent = "providers/-".into(), field("parent")).await;
    check(
        "unknown provider",
        &|it| it.parent = "providers/nobody".into(),
        (Code::NotFound, "PROVIDER_NOT_FOUND", ""),
    )
    .await;
    check("no order", &|it| it.order = None, field("order")).await;
    check("no items", &|it| items(it).clear(), field("order.items")).await;
    check("too many", &|it| *items(it) = vec![one(it); 21], field("order.items")).await;
    check("absurdly many", &|it| *items(it) = vec![one(it); 5000], field("order.items")).await;
    for quantity in [0, -1, i32::MIN, i32::MAX] {
        let change = |it: &mut CreateOrderRequest| items(it)[0].quantity = quantity;
        check(&format!("{quantity} pieces"), &change, field("order.items[0].quantity")).await;
    }
    check("no term", &|it| items(it)[0].term = None, field("order.items[0].term")).await;
    for months in [2, 3, 13, 24] {
        let change = |it: &mut CreateOrderRequest| {
            items(it)[0].term = Some(Term::recurring(Period::Months(months), ""));
        };
        check(&format!("{months} months"), &change, field("order.items[0].term")).await;
    }
    for period in ["", "1 month", "P", "-P1M", "P1M; DROP TABLE"] {
        let change = |it: &mut CreateOrderRequest| {
            let mut term = Term::recurring(Period::Months(1), "");
            term.period = period.to_owned();
            items(it)[0].term = Some(term);
        };
        check(&format!("term {period:?}"), &change, field("order.items[0].term.period")).await;
    }
    let product = "order.items[0].product";
    check("no product", &|it| items(it)[0].product.clear(), field(product)).await;
    let elsewhere = "providers/other/products/shares";
    check("elsewhere", &|it| items(it)[0].product = elsewhere.into(), field(product)).await;
    for unknown in ["shares_fixed", "gold", "SHARES"] {
        let change = |it: &mut CreateOrderRequest| {
            items(it)[0].product = format!("providers/gandi/products/{unknown}");
        };
        check(unknown, &change, (Code::NotFound, "PRODUCT_NOT_FOUND", "")).await;
    }
    let unfit = |it: &mut CreateOrderRequest| {
        let value = Value { kind: Some(value::Kind::BoolValue(true)) };
        let fields = [("turbo".to_owned(), value)].into();
        items(it)[0].options = Some(Struct { fields });
    };
    check("options", &unfit, field("order.items[0].options.turbo")).await;
    let priced = |it: &mut CreateOrderRequest| {
        items(it)[0].pricing = Some(OrderPricing::default());
    };
    check("pricing", &priced, field("order.items[0].pricing")).await;
}

fn items(request: &mut CreateOrderRequest) -> &mut Vec<OrderItem> {
    &mut request.order.as_mut().expect("an order").items
}

fn one(request: &CreateOrderRequest) -> OrderItem {
    request.order.as_ref().expect("an order").items[0].clone()
}

#[tokio::test]
async fn a_bad_frame_of_a_write_is_refused() {
    let counter = Counter::open().await;
    let check = async |what: &str, change: &dyn Fn(&mut CreateOrderRequest), expected| {
        let mut request = purchase("gandi", &[("shares", 1)]);
        change(&mut request);
        let answer = counter.client.orders().create_order(request).await;
        counter.refused(what, answer, expected).await;
    };
    let field = |field| (INVALID, VIOLATION, field);
    let required = (INVALID, "REQUEST_ID_REQUIRED", "");
    check("no request id", &|it| it.request_id.clear(), required).await;
    for id in ["00000000-0000-0000-0000-000000000000", "7", "not-a-uuid", "5f0a1b52 "] {
        check(id, &|it| it.request_id = id.to_owned(), field("request_id")).await;
    }
    let time = |seconds, nanos| Some(Timestamp { seconds, nanos });
    check("past", &|it| it.start_before = time(1, 0), field("start_before")).await;
    check("no time", &|it| it.start_before = time(1, -1), field("start_before")).await;
    check("never", &|it| it.start_before = time(i64::MAX, 0), field("start_before")).await;
    let wait = |seconds, nanos| Some(Duration { seconds, nanos });
    check("negative wait", &|it| it.wait = wait(-1, 0), field("wait")).await;
    check("no duration", &|it| it.wait = wait(1, -5), field("wait")).await;
    check("limit below zero", &|it| it.max_price = money("EUR", -1), field("max_price")).await;
    let code = "max_price.currency_code";
    for currency in ["", "eur", "EURO", "€"] {
        check(currency, &|it| it.max_price = money(currency, 100), field(code)).await;
    }
    let other = (INVALID, "CURRENCY_MISMATCH", "");
    check("other currency", &|it| it.max_price = money("USD", 1000), other).await;
    let long = "x".repeat(10_000);
    let reference = |it: &mut CreateOrderRequest| {
        it.order.as_mut().expect("an order").reference.clone_from(&long);
    };
    check("long reference", &reference, field("order.reference")).await;
    let tagged = |it: &mut CreateOrderRequest| {
        let tags = &mut it.order.as_mut().expect("an order").annotations;
        tags.extend((0..33).map(|number| (number.to_string(), String::new())));
    };
    check("too many tags", &tagged, field("order.annotations")).await;
}

#[tokio::test]
async fn a_bad_write_on_a_service_is_refused() {
    let counter = Counter::open().await;
    let client = &counter.client;
    let free = "providers/gandi/services/11153";
    let nobody = "providers/gandi/services/999999";
    let missing = (Code::NotFound, "SERVICE_NOT_FOUND", "");
    let field = |field| (INVALID, VIOLATION, field);

    let update = async |what: &str, request: UpdateServiceRequest, expected| {
        let answer = client.services().update_service(request).await;
        counter.refused(what, answer, expected).await;
    };
    update("unknown", quantity(nobody, 2), missing).await;
    update("no name", quantity("", 2), field("service.name")).await;
    update("of another kind", quantity("providers/gandi/orders/1", 2), field("service.name")).await;
    update("none", quantity(free, 0), field("update_mask")).await;
    update("minus one", quantity(free, -1), field("service.quantity")).await;
    let mut masked = quantity(free, 13);
    masked.update_mask = Some(FieldMask { paths: vec!["display_name".to_owned()] });
    update("what cannot be changed", masked.clone(), field("update_mask")).await;
    masked.update_mask = Some(FieldMask { paths: vec!["colour".to_owned()] });
    update("what does not exist", masked, field("update_mask")).await;
    let mut stale = quantity(free, 13);
    stale.service.as_mut().expect("a service").etag = "stale".to_owned();
    update("stale", stale, (Code::Aborted, "ETAG_MISMATCH", "")).await;

    let terminated = client.services().terminate_service(end(nobody)).await;
    counter.refused("end of an unknown one", terminated, missing).await;

    let unsupported = (Code::Unimplemented, "CAPABILITY_UNSUPPORTED", "");
    let before = counter.upstream.requests();
    let suspend = SuspendServiceRequest {
        name: free.to_owned(),
        request_id: request_id(),
        ..SuspendServiceRequest::default()
    };
    let suspended = client.services().suspend_service(suspend).await;
    counter.refused("suspend", suspended, unsupported).await;
    assert_eq!(counter.upstream.requests(), before, "the upstream was asked");

    let renew = async |what: &str, change: &dyn Fn(&mut CreateRenewalRequest), expected| {
        let mut request = renewal(free, None);
        change(&mut request);
        let answer = client.renewals().create_renewal(request).await;
        counter.refused(what, answer, expected).await;
    };
    let unpaid = (Code::FailedPrecondition, "PAYMENT_REQUIRED", "");
    renew("unpaid", &|it| it.payment = None, unpaid).await;
    renew("paid with nothing", &|it| it.payment = Some(Payment::default()), field("payment")).await;
    let two_months = Some(Term::recurring(Period::Months(2), ""));
    let term = |it: &mut CreateRenewalRequest| {
        it.renewal.as_mut().expect("a renewal").term.clone_from(&two_months);
    };
    renew("two months", &term, field("renewal.term")).await;
    renew("none", &|it| it.renewal = None, field("renewal")).await;
}

#[tokio::test]
async fn a_bad_read_is_refused() {
    let counter = Counter::open().await;
    let client = &counter.client;
    let field = |field| (INVALID, VIOLATION, field);
    let get = async |name: &str, expected| {
        let request = GetOrderRequest { name: name.to_owned() };
        let answer = client.orders().get_order(request).await;
        counter.refused(name, answer, expected).await;
    };
    let missing = (Code::NotFound, "ORDER_NOT_FOUND", "");
    get("", field("name")).await;
    get("providers/gandi", field("name")).await;
    get("providers/gandi/orders/", field("name")).await;
    get("providers/gandi/orders/a/b", field("name")).await;
    get("providers/gandi/orders/%2e%2e%2fetc", field("name")).await;
    get("providers/gandi/orders/1", missing).await;
    get("providers/gandi/orders/99999999999999999999", missing).await;
    get("providers/gandi/orders/5f0a1b52-6d0c-4a43-9d0e-ffffffffffff", missing).await;
    get("providers/none/orders/1", (Code::NotFound, "PROVIDER_NOT_FOUND", "")).await;

    let request = GetServiceRequest { name: "providers/gandi/services/1".to_owned() };
    let answer = client.services().get_service(request).await;
    let expected = (Code::NotFound, "SERVICE_NOT_FOUND", "");
    counter.refused("an unknown service", answer, expected).await;

    let parent = || "providers/gandi".to_owned();
    let list = async |what: &str, request: ListOrdersRequest, expected| {
        let answer = client.orders().list_orders(request).await;
        counter.refused(what, answer, expected).await;
    };
    let sized = ListOrdersRequest { parent: parent(), page_size: -1, ..Default::default() };
    list("negative size", sized, field("page_size")).await;
    let invalid = (INVALID, "PAGE_TOKEN_INVALID", "");
    for token in ["x", "50", "AAAA", "\u{0}"] {
        let page_token = token.to_owned();
        let forged = ListOrdersRequest { parent: parent(), page_token, ..Default::default() };
        list(&format!("token {token:?}"), forged, invalid).await;
    }
    let request = ListServicesRequest { parent: parent(), page_size: 1, ..Default::default() };
    let page = client.services().list_services(request).await.expect("services").into_inner();
    let page_token = page.next_page_token;
    assert_ne!(page_token, "", "two services fit on a page of one");
    let other = ListOrdersRequest { parent: parent(), page_token, ..Default::default() };
    list("a token of another list", other, invalid).await;
}

#[tokio::test]
async fn a_bad_cancellation_is_refused() {
    let counter = Counter::open().await;
    let check = async |what: &str, change: &dyn Fn(&mut CancelOrderRequest), expected| {
        let mut request = CancelOrderRequest {
            name: "providers/gandi/orders/1".to_owned(),
            request_id: request_id(),
            ..CancelOrderRequest::default()
        };
        change(&mut request);
        let answer = counter.client.orders().cancel_order(request).await;
        counter.refused(what, answer, expected).await;
    };
    let field = |field| (INVALID, VIOLATION, field);
    check("no name", &|it| it.name.clear(), field("name")).await;
    check("at the end of the term", &|it| it.policy = 2, field("policy")).await;
    check("no policy of ours", &|it| it.policy = 77, field("policy")).await;
    let required = (INVALID, "REQUEST_ID_REQUIRED", "");
    check("no request id", &|it| it.request_id.clear(), required).await;
}

#[tokio::test]
async fn cancelling_what_nobody_knows_sends_nothing() {
    let counter = Counter::open().await;
    let request = CancelOrderRequest {
        name: "providers/gandi/orders/1".to_owned(),
        request_id: request_id(),
        ..CancelOrderRequest::default()
    };
    let accepted = counter.client.orders().cancel_order(request).await.expect("it is tried");
    let operation = counter.client.done(&accepted.into_inner().name).await;
    assert_eq!((operation.state(), reason(&operation)), (State::Failed, "ORDER_NOT_FOUND"));
    assert_eq!((operation.attempts.len(), spends(&counter.upstream)), (0, 0));
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let counter = Counter::open().await;
    let mut request = purchase("gandi", &[("shares", 1)]);
    items(&mut request)[0].display_name = "x".repeat(5 << 20);
    let answer = counter.client.orders().create_order(request).await;
    counter.refused("five megabytes", answer, (INVALID, VIOLATION, "")).await;
}
