//! An upstream that writes what it is told and shows none of it: what the gateway knows is its own
//! record, and a lost answer is a person's business.

use purveyor_sdk::prost_types;
use purveyor_sdk::term::Period;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{
    AdoptServiceRequest, CreateOrderRequest, Date, Money, Operation, Order, OrderItem,
    OrderPricing, ResolveOperationRequest, ResumeServiceRequest, Service, SuspendServiceRequest,
    Term, UpstreamRef,
};
use purveyor_simulators::racknap::{Options, RackNap};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use tonic::Code;
use xtask::configuration::Provider;

use crate::support::client::{Client, failure, order, succeeded, told};
use crate::support::requests::{end, request_id};
use crate::support::{Gateway, configuration};

const TOKEN: &str = "racknap-token-0001";

/// The provider that points to a simulator of such an upstream.
pub(crate) fn provider(upstream: &Simulator<RackNap>) -> Provider {
    let currencies: toml::Table = [("INR".to_owned(), toml::Value::from(1))].into_iter().collect();
    Provider::new("racknap", upstream.url())
        .credential("token", TOKEN)
        .setting("currencies", currencies)
        .setting("prices_include_tax", true)
        .timing("attempt_timeout_ms", 1000)
        .timing("upstream_idle_ms", 20)
        .timing("upstream_processing_ms", 20)
}

struct Desk {
    _gateway: Gateway,
    client: Client,
    upstream: Simulator<RackNap>,
}

impl Desk {
    async fn open() -> Self {
        let upstream = RackNap::start(Options::default()).await.expect("the simulator starts");
        let provider = provider(&upstream);
        let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
        let client = gateway.client().await;
        Self { _gateway: gateway, client, upstream }
    }

    async fn suspended(&self, service: &str) -> Operation {
        let request = SuspendServiceRequest {
            name: service.to_owned(),
            request_id: request_id(),
            wait: Some(prost_types::Duration::default()),
            ..SuspendServiceRequest::default()
        };
        let accepted = self.client.services().suspend_service(request).await;
        self.client.done(&accepted.expect("it is accepted").into_inner().name).await
    }

    fn records(&self) -> usize {
        let entries = self.upstream.ledger();
        entries.iter().filter(|entry| entry.sale.kind == Kind::ServiceCreate).count()
    }
}

fn rupees(units: i64) -> Option<Money> {
    Some(Money { currency_code: "INR".to_owned(), units, nanos: 0 })
}

fn day(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

fn purchase() -> CreateOrderRequest {
    purchase_at("racknap")
}

/// An order at a provider of that id.
pub(crate) fn purchase_at(provider: &str) -> CreateOrderRequest {
    let pricing = OrderPricing {
        recurring_amount: rupees(500),
        purchase_amount: rupees(600),
        first_plan_price: rupees(500),
        recurring_plan_price: rupees(500),
        first_payment: rupees(600),
    };
    let item = OrderItem {
        product: format!("providers/{provider}/products/172"),
        quantity: 2,
        term: Some(Term::recurring(Period::Months(1), "")),
        pricing: Some(pricing),
        start_date: day(2026, 1, 31),
        ..OrderItem::default()
    };
    let order = Order {
        customer: "652".to_owned(),
        items: vec![item],
        annotations: [("team".to_owned(), "blue".to_owned())].into(),
        ..Order::default()
    };
    CreateOrderRequest {
        parent: format!("providers/{provider}"),
        order: Some(order),
        request_id: request_id(),
        wait: Some(prost_types::Duration::default()),
        ..CreateOrderRequest::default()
    }
}

fn resolution(operation: &Operation, resolution: Resolution) -> ResolveOperationRequest {
    ResolveOperationRequest {
        name: operation.name.clone(),
        etag: operation.etag.clone(),
        note: "seen in the upstream's own pages".to_owned(),
        resolution: Some(resolution),
    }
}

fn executed(id: &str) -> Resolution {
    Resolution::Executed(Executed { upstream_id: id.to_owned() })
}

#[tokio::test]
async fn what_was_ordered_is_on_record_and_nowhere_else() {
    let desk = Desk::open().await;
    let request = purchase();
    let name = format!("providers/racknap/orders/{}", request.request_id);
    let operation = succeeded(desk.client.ordered(request).await);
    assert_eq!(operation.upstream.as_ref().map(|it| it.id()), Some("1334"));
    assert!(operation.upstream.expect("told").message.starts_with("Service ID: 1334 - "));

    let order = desk.client.get_order(&name).await.expect("it is on record");
    assert_eq!((order.state(), order.customer.as_str()), (OrderState::Completed, "652"));
    assert_eq!(
        order.items[0].pricing.as_ref().and_then(|it| it.purchase_amount.clone()),
        rupees(600)
    );
    let alias =
        desk.client.get_order("providers/racknap/orders/1334").await.expect("by its number");
    assert_eq!(alias.name, name);
    assert_eq!(desk.client.all_orders("racknap").await.len(), 1);

    let service = desk.client.service("providers/racknap/services/1334").await.expect("on record");
    assert_eq!((service.state(), service.recorded_only), (ServiceState::Active, true));
    assert_eq!((service.order.as_str(), service.order_item.as_str()), (name.as_str(), "1334"));
    assert_eq!(service.product, "providers/racknap/products/172");
    assert_eq!(service.display_name, "Office 365 ( Essential Suite )");
    assert_eq!((service.customer.as_str(), service.partner.as_str()), ("652", "0"));
    assert_eq!((service.quantity, service.annotations["team"].as_str()), (2, "blue"));
    assert_eq!(service.term.as_ref().map(|it| it.upstream_value.as_str()), Some("Monthly"));
    assert_eq!((service.start_date, service.next_due_date), (day(2026, 1, 31), day(2026, 2, 28)));
    assert_eq!(service.price.as_ref().and_then(|it| it.amount.clone()), rupees(500));
    assert_eq!(desk.client.all_services("racknap").await.expect("listed"), [service]);

    succeeded(desk.suspended("providers/racknap/services/1334").await);
    let service = desk.client.service("providers/racknap/services/1334").await.expect("on record");
    assert_eq!((service.state(), service.quantity), (ServiceState::Suspended, 2));
    let told = service.upstream.expect("told");
    assert_eq!(told.message, "Service has been suspended successfully.");
}

#[tokio::test]
async fn services_of_others_are_adopted_or_acted_upon_unseen() {
    let desk = Desk::open().await;
    let unseen = desk.upstream.make_service("racknap", 24).expect("made");
    let adopted = desk.upstream.make_service("racknap", 24).expect("made");
    let name = |id: i64| format!("providers/racknap/services/{id}");
    let missing = desk.client.service(&name(unseen)).await.expect_err("nobody has told of it");
    assert_eq!(missing.code(), Code::NotFound);

    succeeded(desk.suspended(&name(unseen)).await);
    let service = desk.client.service(&name(unseen)).await.expect("on record now");
    assert_eq!(service.state(), ServiceState::Suspended);

    let upstream = UpstreamRef::of(adopted.to_string());
    let service = Service {
        upstream: Some(upstream),
        customer: "652".to_owned(),
        state: ServiceState::Active.into(),
        ..Service::default()
    };
    let request = AdoptServiceRequest {
        parent: "providers/racknap".to_owned(),
        service: Some(service),
        request_id: request_id(),
        ..AdoptServiceRequest::default()
    };
    let adoption = desk.client.services().adopt_service(request).await.expect("adopted");
    succeeded(adoption.into_inner());
    assert_eq!(desk.upstream.requests().get("suspend"), Some(&1), "an adoption sends nothing");
    let resumed = ResumeServiceRequest {
        name: name(unseen),
        request_id: request_id(),
        ..ResumeServiceRequest::default()
    };
    let resumed = desk.client.services().resume_service(resumed).await.expect("accepted");
    succeeded(desk.client.done(&resumed.into_inner().name).await);
    let ended = desk.client.services().terminate_service(end(&name(adopted))).await;
    succeeded(desk.client.done(&ended.expect("accepted").into_inner().name).await);
    let services = desk.client.all_services("racknap").await.expect("listed");
    let states: Vec<_> = services.iter().map(Service::state).collect();
    assert_eq!(states, [ServiceState::Active, ServiceState::Terminated]);
    assert_eq!(services[1].customer, "652");
}

#[tokio::test]
async fn a_lost_record_waits_for_a_person_who_names_the_service() {
    let desk = Desk::open().await;
    desk.upstream.inject(Fault::next("create", FaultKind::DropAfterCommit));
    let asking = desk.client.ordered(purchase()).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    assert_eq!(asking.attempts[0].outcome(), Outcome::Unknown);
    let operations = || desk.client.operations();
    let wrong = operations().resolve_operation(resolution(&asking, executed("x"))).await;
    let (code, _, field) = told(&wrong.expect_err("that is no service"));
    assert_eq!((code, field.as_str()), (Code::InvalidArgument, "executed.upstream_id"));

    let told = operations().resolve_operation(resolution(&asking, executed("1334"))).await;
    let done = succeeded(desk.client.done(&told.expect("it was this").into_inner().name).await);
    assert_eq!(order(&done).items[0].services, ["providers/racknap/services/1334"]);
    let service = desk.client.service("providers/racknap/services/1334").await.expect("on record");
    assert_eq!((service.state(), service.quantity), (ServiceState::Active, 2));
    assert_eq!(service.next_due_date, day(2026, 2, 28));
    assert_eq!((desk.records(), desk.upstream.requests()["create"]), (1, 1));
}

#[tokio::test]
async fn what_a_person_calls_not_executed_is_sent_again_once() {
    let desk = Desk::open().await;
    desk.upstream.inject(Fault::next("create", FaultKind::ResetBeforeCommit));
    let asking = desk.client.ordered(purchase()).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    let again = Resolution::NotExecuted(NotExecuted { try_again: true, ..NotExecuted::default() });
    let told = desk.client.operations().resolve_operation(resolution(&asking, again)).await;
    succeeded(desk.client.done(&told.expect("told").into_inner().name).await);
    assert_eq!(desk.records(), 1);
}

#[tokio::test]
async fn lost_change_that_nobody_can_read_is_not_sent_again_and_a_refusal_is_final() {
    let desk = Desk::open().await;
    let id = desk.upstream.make_service("racknap", 172).expect("made");
    let name = format!("providers/racknap/services/{id}");
    desk.upstream.inject(Fault::next("suspend", FaultKind::DropAfterCommit));
    // A person may have resumed it since.
    let asking = desk.suspended(&name).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    let outcomes: Vec<_> = asking.attempts.iter().map(|attempt| attempt.outcome()).collect();
    assert_eq!((outcomes, desk.upstream.requests()["suspend"]), (vec![Outcome::Unknown], 1));

    let refused = desk.suspended("providers/racknap/services/99").await;
    let error = failure(&refused);
    assert_eq!(
        (error.reason.as_str(), error.metadata["upstream_code"].as_str()),
        ("UPSTREAM_REJECTED", "4001")
    );
    let mut unknown = purchase();
    unknown.order.as_mut().expect("an order").customer = "653".to_owned();
    let failed = desk.client.ordered(unknown).await;
    assert_eq!(failure(&failed).metadata["upstream_code"], "3001");
    assert_eq!(desk.records(), 1, "only the one that was made elsewhere");
}

#[tokio::test]
async fn a_limit_is_compared_with_the_first_payment() {
    let desk = Desk::open().await;
    let limited = |units| CreateOrderRequest { max_price: rupees(units), ..purchase() };
    let failed = desk.client.ordered(limited(599)).await;
    assert_eq!(failure(&failed).reason, "PRICE_LIMIT");
    assert_eq!(desk.records(), 0);
    succeeded(desk.client.ordered(limited(600)).await);
    assert_eq!(desk.records(), 1);
}
