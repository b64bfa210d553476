//! The plugin before its simulated upstream, and the requests that its tests make. How a write is driven
//! to its end is the SDK's.

use std::ops::Deref;

use purveyor_gandi::Gandi as Plugin;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Setup, TestHost, write};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, ErrorReason, Order, OrderItem, Payment, Renewal,
    Service, ServiceRef, Term,
};
use purveyor_sdk::{Period, Result};
use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::{Gandi, Mode, Options};

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
