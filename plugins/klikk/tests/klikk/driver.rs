//! The plugin before its simulated upstream, and the requests that its tests make. How a write is driven
//! to its end is the SDK's.

use std::ops::Deref;

use purveyor_klikk::Klikk as Plugin;
use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{ListValue, Struct, Value as Given};
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Position, Setup, TestHost, write};
use purveyor_sdk::v1::{
    CancelOrderRequest, CancelPolicy, CreateOrderRequest, ErrorReason, GetOrderRequest,
    GetServiceRequest, ListOrdersRequest, ListOrdersResponse, ListServicesRequest,
    ListServicesResponse, Order, OrderItem, Service,
};
use purveyor_simulators::klikk::{AccountSeed, Klikk, Mode, Options};
use purveyor_simulators::{Cents, Simulator};

pub(crate) const TOKEN: &str = "klikk0account0token0000";

/// The plugin and its upstream.
pub(crate) struct Bench {
    pub(crate) upstream: Simulator<Klikk>,
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

    /// An account that can spend nothing.
    pub(crate) async fn poor(mode: Mode) -> Self {
        let account = AccountSeed { credit: Cents::ZERO, ..AccountSeed::default() };
        let options = Options { mode, accounts: vec![account], ..Options::default() };
        Self::with(options, json!({})).await
    }

    pub(crate) async fn with(options: Options, configuration: Value) -> Self {
        let upstream = Klikk::start(options).await.unwrap();
        let plugin = open(upstream.url(), configuration).unwrap();
        Self { upstream, plugin }
    }

    /// A plugin whose operator calls these messages refusals.
    pub(crate) async fn refusing(words: &[&str]) -> Self {
        let upstream = Klikk::start(Options::default()).await.unwrap();
        let setup = Setup::new(upstream.url()).credential("account-token", TOKEN);
        let refusal_words = words.iter().map(|&word| word.to_owned()).collect();
        let plugin = TestHost::open(Setup { refusal_words, ..setup }).unwrap();
        Self { upstream, plugin }
    }

    /// Changes switches of the upstream.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Mode)) {
        let mut mode = self.upstream.mode();
        change(&mut mode);
        self.upstream.set_mode(mode);
    }

    /// How often the upstream was asked for an action.
    pub(crate) fn asked(&self, action: &str) -> u64 {
        self.upstream.requests().get(action).copied().unwrap_or_default()
    }

    /// Buys items of these names and answers the order.
    pub(crate) async fn buy(&self, names: &[&str]) -> Order {
        self.run(&order(names)).await.order()
    }

    pub(crate) async fn get_order(&self, id: &str) -> Result<Order> {
        let request = GetOrderRequest { name: order_name(id) };
        self.plugin.read(Op::GetOrder, &request, id).await
    }

    pub(crate) async fn list_orders(&self) -> Vec<Order> {
        let request = ListOrdersRequest { parent: parent(), ..ListOrdersRequest::default() };
        let page: Result<ListOrdersResponse> = self.plugin.read(Op::ListOrders, &request, "").await;
        page.unwrap().orders
    }

    pub(crate) async fn get_service(&self, id: &str) -> Result<Service> {
        let request = GetServiceRequest { name: format!("providers/test/services/{id}") };
        self.plugin.read(Op::GetService, &request, id).await
    }

    pub(crate) async fn list_services(&self, item: &str) -> Vec<Service> {
        let order_item = item.to_owned();
        let request = ListServicesRequest { parent: parent(), order_item, ..Default::default() };
        let page: Result<ListServicesResponse> =
            self.plugin.read(Op::ListServices, &request, "").await;
        page.unwrap().services
    }

    /// Where a write is before its first step.
    pub(crate) async fn first(&self, write: &Write) -> Position {
        let at = Position { step: 1, ..Position::default() };
        self.prepared(write, at).await.unwrap()
    }
}

pub(crate) fn open(url: &str, configuration: Value) -> Result<TestHost<Plugin>> {
    TestHost::open(Setup::new(url).credential("account-token", TOKEN).configuration(configuration))
}

pub(crate) fn parent() -> String {
    "providers/test".to_owned()
}

pub(crate) fn order_name(id: &str) -> String {
    format!("providers/test/orders/{id}")
}

/// The document's example, with keys that are some.
pub(crate) fn vps() -> Value {
    json!({
        "quantity_ram_gb": 0.5, "quantity_cpu": 9, "quantity_storage_gb": 25, "os": 2,
        "features": { "ipv4": 1, "sshd": {
            "authorized_keys": "ssh-ed25519 \
                AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example",
            "ip_allow": "fec0:aaa:1:2::ff,192.168.0.0/24",
            "public_ports_allow": "80,443,12000:12010",
        } },
    })
}

pub(crate) fn item(name: &str) -> OrderItem {
    OrderItem {
        product: "providers/test/products/VPS".to_owned(),
        quantity: 1,
        display_name: name.to_owned(),
        options: Some(fields(&vps())),
        ..OrderItem::default()
    }
}

pub(crate) fn order(names: &[&str]) -> Write {
    order_of(Order { items: names.iter().map(|name| item(name)).collect(), ..Order::default() })
}

pub(crate) fn order_of(order: Order) -> Write {
    let request = CreateOrderRequest {
        parent: parent(),
        order: Some(order),
        ..CreateOrderRequest::default()
    };
    write(Op::CreateOrder, &request, "")
}

/// The same write as somebody else's request.
pub(crate) fn of_another(write: Write) -> Write {
    Write { request_id: "5c0a3f1e-4f3b-4f5e-9d53-222222222222".to_owned(), ..write }
}

pub(crate) fn cancel(order: &str, item: &str) -> Write {
    cancel_by(CancelPolicy::AtTermEnd, order, item)
}

pub(crate) fn cancel_by(policy: CancelPolicy, order: &str, item: &str) -> Write {
    let request = CancelOrderRequest {
        name: order_name(order),
        item_id: item.to_owned(),
        policy: policy.into(),
        ..CancelOrderRequest::default()
    };
    write(Op::CancelOrder, &request, order)
}

pub(crate) fn fields(value: &Value) -> Struct {
    let members = value.as_object().unwrap().iter();
    Struct { fields: members.map(|(name, value)| (name.clone(), given(value))).collect() }
}

fn given(value: &Value) -> Given {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(given).collect() })
        }
        Value::Object(_) => Kind::StructValue(fields(value)),
    };
    Given { kind: Some(kind) }
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason
}
