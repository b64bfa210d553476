//! The plugin before its simulated upstream, and the requests that its tests make. How a write is driven
//! to its end is the SDK's.

use std::ops::Deref;

use purveyor_racknap::RackNap as Plugin;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::prost_types::{Struct, Value as Field, value::Kind};
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Position, Setup, TestHost, write};
use purveyor_sdk::v1::{
    CreateOrderRequest, Date, ErrorReason, Money, Order, OrderItem, OrderPricing,
    ResumeServiceRequest, SuspendServiceRequest, Term, TerminateServiceRequest,
};
use purveyor_sdk::{Error, Period, Result};
use purveyor_simulators::Simulator;
use purveyor_simulators::racknap::{Mode, Options, RackNap};

pub(crate) const TOKEN: &str = "racknap-token-0001";

/// The plugin and its upstream.
pub(crate) struct Bench {
    pub(crate) upstream: Simulator<RackNap>,
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
        Self::with(Options::default(), configuration()).await
    }

    pub(crate) async fn in_mode(mode: Mode) -> Self {
        Self::with(Options { mode, ..Options::default() }, configuration()).await
    }

    pub(crate) async fn with(options: Options, configuration: Value) -> Self {
        let upstream = RackNap::start(options).await.unwrap();
        let plugin = open(upstream.url(), configuration, TOKEN).unwrap();
        Self { upstream, plugin }
    }

    /// Both encodings, each with an upstream of its own.
    pub(crate) async fn both() -> [Self; 2] {
        let form = with(configuration(), "encoding", json!("form"));
        [Self::new().await, Self::with(Options::default(), form).await]
    }

    /// One step, as it is answered.
    pub(crate) async fn once(&self, write: &Write) -> Result<Stepped> {
        self.step_at(write, &Position { step: 1, ..Position::default() }).await
    }

    /// How often the upstream was asked for an action.
    pub(crate) fn asked(&self, action: &str) -> u64 {
        self.upstream.requests().get(action).copied().unwrap_or_default()
    }
}

pub(crate) fn configuration() -> Value {
    json!({
        "currencies": { "INR": 1, "USD": 2 }, "currency": "INR", "plans": [172, 24],
        "prices_include_tax": true
    })
}

pub(crate) fn with(mut configuration: Value, key: &str, value: Value) -> Value {
    configuration[key] = value;
    configuration
}

pub(crate) fn open(url: &str, configuration: Value, token: &str) -> Result<TestHost<Plugin>> {
    TestHost::open(Setup::new(url).credential("token", token).configuration(configuration))
}

/// The document's example of a new service.
pub(crate) fn item() -> OrderItem {
    let amount = || inr("528.14");
    OrderItem {
        product: "providers/test/products/172".to_owned(),
        quantity: 1,
        term: Some(Term::recurring(Period::Months(12), "")),
        options: Some(options(&[
            ("slserverid", Kind::StringValue("618e16ad6764".to_owned())),
            ("serverid", Kind::NumberValue(0.0)),
        ])),
        pricing: Some(OrderPricing {
            recurring_amount: amount(),
            purchase_amount: amount(),
            first_plan_price: amount(),
            recurring_plan_price: amount(),
            first_payment: amount(),
        }),
        start_date: day(2019, 7, 23),
        ..OrderItem::default()
    }
}

pub(crate) fn order() -> Order {
    Order { customer: "652".to_owned(), items: vec![item()], ..Order::default() }
}

/// The order of one item like this.
pub(crate) fn of(item: OrderItem) -> Order {
    Order { items: vec![item], ..order() }
}

pub(crate) fn create(order: Order) -> Write {
    let parent = "providers/test".to_owned();
    let request =
        CreateOrderRequest { parent, order: Some(order), ..CreateOrderRequest::default() };
    write(Op::CreateOrder, &request, "")
}

pub(crate) fn suspend(id: &str) -> Write {
    let request = SuspendServiceRequest { name: service_name(id), ..Default::default() };
    write(Op::SuspendService, &request, id)
}

pub(crate) fn resume(id: &str) -> Write {
    let request = ResumeServiceRequest { name: service_name(id), ..Default::default() };
    write(Op::ResumeService, &request, id)
}

pub(crate) fn terminate(id: &str) -> Write {
    let request = TerminateServiceRequest { name: service_name(id), ..Default::default() };
    write(Op::TerminateService, &request, id)
}

pub(crate) fn service_name(id: &str) -> String {
    format!("providers/test/services/{id}")
}

pub(crate) fn inr(amount: &str) -> Option<Money> {
    Some(Money::parse("INR", amount).unwrap())
}

pub(crate) fn day(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

pub(crate) fn options(members: &[(&str, Kind)]) -> Struct {
    let field = |kind: &Kind| Field { kind: Some(kind.clone()) };
    let fields = members.iter().map(|(name, kind)| ((*name).to_owned(), field(kind)));
    Struct { fields: fields.collect() }
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason
}

/// The fields that an error names.
pub(crate) fn fields(error: &Error) -> Vec<&str> {
    error.violations.iter().map(|violation| violation.field.as_str()).collect()
}
