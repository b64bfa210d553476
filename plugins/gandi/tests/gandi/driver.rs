//! The plugin before its simulated upstream, and the requests that its tests make. How a write is driven
//! to its end is the SDK's.

use std::ops::Deref;

use purveyor_gandi::Gandi as Plugin;
use purveyor_sdk::plugin::v1::step_outcome::Standing;
use purveyor_sdk::plugin::v1::{Op, Write, poll_outcome, resource, step_outcome};
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Position, Setup, TestHost, write};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, ErrorReason, Order, OrderItem, Payment, Renewal,
    Service, ServiceRef, Term, TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_sdk::{Period, Result};
use purveyor_simulators::gandi::{Gandi, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Simulator};

pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwx";

/// The plugin and its upstream.
pub(crate) struct Bench {
    pub(crate) upstream: Simulator<Gandi>,
    pub(crate) plugin: TestHost<Plugin>,
}

/// The bench's plugin drives writes.
impl Deref for Bench {
    type Target = TestHost<Plugin>;

    fn deref(&self) -> &TestHost<Plugin> {
        &self.plugin
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default(), json!({})).await
    }

    pub(crate) async fn in_mode(mode: Mode) -> Self {
        Self::with(Options { mode, ..Options::default() }, json!({})).await
    }

    pub(crate) async fn with(options: Options, configuration: Value) -> Self {
        let upstream = Gandi::start(options).await.unwrap();
        let plugin = open(upstream.url(), configuration, "").unwrap();
        Self { upstream, plugin }
    }

    /// Another instance for the same upstream.
    pub(crate) fn reopened(&self, configuration: Value, time_zone: &str) -> TestHost<Plugin> {
        open(self.upstream.url(), configuration, time_zone).unwrap()
    }

    /// Changes switches of the upstream.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Mode)) {
        let mut mode = self.upstream.mode();
        change(&mut mode);
        self.upstream.set_mode(mode).unwrap();
    }

    /// How often the upstream was asked for a method.
    pub(crate) fn asked(&self, method: &str) -> u64 {
        self.upstream.requests().get(method).copied().unwrap_or_default()
    }

    /// Buys one item and answers the order.
    pub(crate) async fn buy(&self, product: &str, quantity: i32, months: u32) -> Order {
        let write = order(vec![item(product, quantity, months)]);
        self.run(&write).await.order()
    }

    /// Buys one item and answers the service that came of it.
    pub(crate) async fn service(&self, product: &str, quantity: i32, months: u32) -> Service {
        let order = self.buy(product, quantity, months).await;
        let id = order.items[0].services[0].rsplit('/').next().unwrap().to_owned();
        self.get_service(&id).await.unwrap()
    }

    pub(crate) async fn get_service(&self, id: &str) -> Result<Service> {
        let request = purveyor_sdk::v1::GetServiceRequest { name: service_name(id) };
        self.plugin.read(Op::GetService, &request, id).await
    }
}

pub(crate) fn open(url: &str, configuration: Value, time_zone: &str) -> Result<TestHost<Plugin>> {
    let setup = Setup::new(url).credential("api-key", KEY).configuration(configuration);
    TestHost::open(Setup { time_zone: time_zone.to_owned(), ..setup })
}

pub(crate) fn item(product: &str, quantity: i32, months: u32) -> OrderItem {
    OrderItem {
        product: format!("providers/test/products/{product}"),
        quantity,
        term: Some(Term::recurring(Period::Months(months), "")),
        ..OrderItem::default()
    }
}

pub(crate) fn order(items: Vec<OrderItem>) -> Write {
    let order = Some(Order { items, ..Order::default() });
    let parent = "providers/test".to_owned();
    let request = CreateOrderRequest { parent, order, ..CreateOrderRequest::default() };
    write(Op::CreateOrder, &request, "")
}

pub(crate) fn renewal(service: &Service, months: u32) -> CreateRenewalRequest {
    let guard = ServiceRef {
        service: service.name.clone(),
        expected_expire_time: service.expire_time,
        ..ServiceRef::default()
    };
    let renewal = Renewal {
        service: service.name.clone(),
        services: vec![guard],
        term: Some(Term::recurring(Period::Months(months), "")),
        ..Renewal::default()
    };
    CreateRenewalRequest {
        parent: "providers/test".to_owned(),
        renewal: Some(renewal),
        payment: Some(Payment { choice: Some(Choice::DefaultMethod(true)) }),
        ..CreateRenewalRequest::default()
    }
}

pub(crate) fn service_name(id: &str) -> String {
    format!("providers/test/services/{id}")
}

/// The states of an order's items.
pub(crate) fn states(order: &Order) -> Vec<State> {
    order.items.iter().map(OrderItem::state).collect()
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason
}

/// Sends one step whose answer is lost, and answers what was known before.
pub(crate) async fn lose(bench: &Bench, write: &Write, kind: FaultKind) -> Position {
    let at = Position { step: 1, ..Position::default() };
    let at = bench.prepared(write, at).await.unwrap();
    bench.upstream.inject(Fault::next("hosting.product.*", kind));
    assert!(bench.step_at(write, &at).await.is_err());
    at
}

/// A change of the quantity to 5, a renewal for a month, and the end of a service.
pub(crate) fn changes(service: &Service) -> [Write; 3] {
    let id = service.upstream.as_ref().unwrap().id();
    let changed = Service { name: service.name.clone(), quantity: 5, ..Service::default() };
    let update = UpdateServiceRequest { service: Some(changed), ..Default::default() };
    let terminate = TerminateServiceRequest { name: service.name.clone(), ..Default::default() };
    [
        write(Op::UpdateService, &update, id),
        write(Op::CreateRenewal, &renewal(service, 1), ""),
        write(Op::TerminateService, &terminate, id),
    ]
}

/// Two services of one product, at an upstream whose operations do not tell what they are of.
pub(crate) async fn twins() -> (Bench, Service, Service) {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let other = bench.service("cores", 2, 1).await;
    bench.set(|mode| mode.operations_silent = true);
    (bench, service, other)
}

/// A person changes the quantity of a service, renews it for a month, or ends it, as `which` says.
pub(crate) fn person_changes(bench: &Bench, service: &Service, which: usize, quantity: i32) -> i32 {
    let id: i32 = service.upstream.as_ref().unwrap().id().parse().unwrap();
    let (method, params) = match which {
        0 => ("hosting.product.update", json!([id, { "quantity": quantity }])),
        1 => ("hosting.product.renew", json!([id, { "duration": "1m" }])),
        _ => ("hosting.product.delete", json!([id])),
    };
    person(bench, method, params, None)
}

/// A person buys so many of a product for a month.
pub(crate) fn person_buys(bench: &Bench, product: &str, quantity: i32, dated: Option<&str>) -> i32 {
    let bought = json!([{ "product_name": product, "quantity": quantity, "duration": "1m" }]);
    person(bench, "hosting.product.create", bought, dated)
}

fn person(bench: &Bench, method: &str, params: Value, dated: Option<&str>) -> i32 {
    let command = json!({ "method": method, "params": params, "date_created": dated });
    let command = purveyor_sdk::serde_json::from_value(command).unwrap();
    bench.upstream.person(command).unwrap().unwrap()
}

/// One poll of a write that goes on: its handle, its view and, where it does not, the standing with its
/// error's message.
pub(crate) async fn poll_on(
    bench: &Bench,
    write: &Write,
    handle: &[u8],
) -> (Vec<u8>, resource::Kind, Standing, String) {
    let polled = bench.poll_one(write, handle).await.unwrap();
    let poll_outcome::Outcome::Pending(pending) = polled else { panic!("{polled:?}") };
    let (standing, error) = (pending.standing(), pending.error.unwrap_or_default());
    (pending.handle, pending.view.unwrap().kind.unwrap(), standing, error.message)
}

/// The handle of a write whose only step the upstream takes.
pub(crate) async fn sent(bench: &Bench, write: &Write) -> Vec<u8> {
    let at = Position { step: 1, ..Position::default() };
    let at = bench.prepared(write, at).await.unwrap();
    let stepped = bench.step_at(write, &at).await.unwrap();
    let step_outcome::Outcome::Pending(pending) = stepped else { panic!("{stepped:?}") };
    pending.handle
}
