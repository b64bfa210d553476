//! Names that stand for something and names that do not, with a real store and a provider whose plugin
//! is not there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::names::{OrderName, ProviderName};
use purveyor_sdk::plugin::v1::{Call as Declared, Manifest, Method, Op, Success};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, GetOrderRequest, Order, OrderItem};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Source, declared_source, from_records, kinds, parse};
use crate::engine::call::{Call, Written};
use crate::engine::made_here::tests::operation;
use crate::engine::orders::Orders;
use crate::engine::{Caller, Engine, EngineConfig};
use crate::plugin::{
    Environment, ManualClock, PluginsConfig, ProviderConfig, Registry, TimingOverride,
};
use crate::store::sqlite::SqliteStore;
use crate::store::{NewOperation, Store};

/// How long a list of the provider may lag.
pub(in crate::engine) const LAG: Duration = Duration::from_secs(60);

const ID: &str = "00000000-0000-0000-0000-000000000007";

fn manifest(ops: &[Op]) -> Manifest {
    let method = |op: &Op| Method { op: (*op).into(), ..Method::default() };
    Manifest { methods: ops.iter().map(method).collect(), ..Manifest::default() }
}

#[test]
fn reads_come_from_the_upstream_or_from_what_was_done_here() {
    fn check(ops: &[Op], expected: Option<Source>) {
        let found = declared_source(&manifest(ops), Op::GetOrder, &[Op::CreateOrder]);
        assert_eq!(found, expected, "{ops:?}");
    }
    check(&[Op::GetOrder], Some(Source::Upstream));
    check(&[Op::GetOrder, Op::CreateOrder], Some(Source::Upstream));
    check(&[Op::CreateOrder], Some(Source::Records));
    check(&[Op::ListOrders], None);
    check(&[], None);
}

#[test]
fn what_our_records_add_to_a_provider() {
    fn check(ops: &[Op], expected: &[&str]) {
        assert_eq!(from_records(&manifest(ops)), expected, "{ops:?}");
    }
    check(&[Op::ListProducts, Op::CreateProduct], &[]);
    check(
        &[Op::SuspendService],
        &["Services.GetService", "Services.ListServices", "Services.AdoptService"],
    );
    check(&[Op::CreateOrder, Op::GetOrder, Op::ListOrders, Op::GetService, Op::ListServices], &[]);
    check(&[Op::CreateRenewal, Op::ListRenewals], &["Renewals.GetRenewal"]);
}

#[test]
fn the_kinds_that_orders_and_renewals_claim() {
    let call = |name: &str, kind: &str| Declared {
        name: name.to_owned(),
        success: Some(Success { id_kind: kind.to_owned(), ..Success::default() }),
        ..Declared::default()
    };
    let method = |op: Op, calls: &[&str]| Method {
        op: op.into(),
        calls: calls.iter().map(|call| (*call).to_owned()).collect(),
        ..Method::default()
    };
    let manifest = Manifest {
        calls: vec![call("order", "order"), call("info", ""), call("product", "product")],
        methods: vec![
            method(Op::CreateOrder, &["order", "info"]),
            method(Op::CreateRenewal, &["order"]),
            method(Op::CreateProduct, &["product"]),
        ],
        ..Manifest::default()
    };
    assert_eq!(kinds(&manifest), ["order"]);
}

#[test]
fn a_wrong_name_names_its_field() {
    fn check(text: &str, expected: bool) {
        let parsed = parse::<OrderName>(text, "name");
        assert_eq!(parsed.is_ok(), expected, "{text}");
        if let Err(error) = parsed {
            assert_eq!(error.violations[0].field, "name");
        }
    }
    check("providers/acme/orders/1", true);
    check("providers/acme/services/1", false);
    check("providers/-/orders/1", false);
    check("providers/acme/orders/", false);
    check("providers/acme/orders/%41", false);
}

/// An engine that sends nothing, and one configured provider without a plugin.
pub(in crate::engine) async fn engine(folder: &TempDir) -> Engine {
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&folder.path().join("journal.db")).unwrap());
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_700_000_000).unwrap()));
    let endpoint = "https://upstream.example/".parse().unwrap();
    let plugins = PluginsConfig { directory: folder.path().to_owned(), ..PluginsConfig::default() };
    let timing = TimingOverride { listing_lag: Some(LAG), ..TimingOverride::default() };
    let accounts = vec![ProviderConfig { timing, ..ProviderConfig::new("acme", "acme", endpoint) }];
    let registry = Registry::open(plugins, accounts, Environment::new(clock.clone())).await;
    let config = EngineConfig { hold: true, ..EngineConfig::default() };
    Engine::start(config, store, Arc::new(registry), clock).await.unwrap()
}

fn call() -> Call {
    Call { caller: Caller::local(), trace_id: String::new(), deadline: None }
}

fn asked(request_id: &str, quantity: i32) -> CreateOrderRequest {
    let item = OrderItem {
        product: "providers/acme/products/disk".to_owned(),
        quantity,
        ..OrderItem::default()
    };
    CreateOrderRequest {
        parent: "providers/acme".to_owned(),
        order: Some(Order { items: vec![item], ..Order::default() }),
        request_id: request_id.to_owned(),
        ..CreateOrderRequest::default()
    }
}

#[tokio::test]
async fn providers_that_are_not_there_and_those_that_do_not_work() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let check = |name: &str, expected: ErrorReason| {
        let name = ProviderName::new(name).unwrap();
        let error = engine.able(&name, Op::CreateOrder).unwrap_err();
        assert_eq!(error.reason, expected, "{name}");
        assert_eq!(error.metadata["provider"], name.to_string());
    };
    check("other", ErrorReason::ProviderNotFound);
    // Not CAPABILITY_UNSUPPORTED: nobody knows what it could do.
    check("acme", ErrorReason::ProviderUnavailable);
}

#[tokio::test]
async fn our_request_id_is_the_orders_name() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let provider = engine.configured(&ProviderName::new("acme").unwrap()).unwrap();
    let mut ours = operation(Op::CreateOrder, State::Succeeded);
    ours.upstream.ids = vec!["41".to_owned()];
    let new = NewOperation::of(ours.clone());
    engine.store().accept(new).await.unwrap();
    let acme = ProviderName::new("acme").unwrap();
    let found = engine.find_made::<Order>(&provider, &acme, ID).await.unwrap();
    assert_eq!((found.name, found.upstream_ids), (ours.target, ours.upstream.ids));
    // A request id of another noun is no order's name; only the upstream could know such an order.
    let error = engine.find_made::<purveyor_sdk::v1::Renewal>(&provider, &acme, ID).await;
    assert_eq!(error.unwrap_err().reason, ErrorReason::ProviderUnavailable);
}

#[tokio::test]
async fn a_repeat_is_answered_whatever_became_of_the_provider() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let orders = Orders::new(engine.clone());
    let refused = orders.create(&call(), asked(ID, 1)).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::ProviderUnavailable);
    assert_eq!(engine.store().get(Uuid::parse_str(ID).unwrap()).await.unwrap(), None);

    // As it would have been accepted while the provider worked.
    let stored = CreateOrderRequest { request_id: String::new(), ..asked(ID, 1) };
    let provider = engine.configured(&ProviderName::new("acme").unwrap()).unwrap();
    let submission = crate::engine::accept::Submission {
        account: crate::engine::account::AccountOf::default(),
        caller: Caller::local(),
        trace_id: String::new(),
        op: Op::CreateOrder,
        provider,
        request_id: Uuid::parse_str(ID).unwrap(),
        request: stored.encode_to_vec(),
        target: format!("providers/acme/orders/{ID}"),
        upstream_target: Vec::new(),
        exclusive: vec![format!("providers/acme/orders/{ID}")],
        start_before: None,
        wait: Duration::ZERO,
    };
    let first = engine.submit(submission).await.unwrap();
    match orders.create(&call(), asked(&ID.to_uppercase(), 1)).await.unwrap() {
        Written::Operation(again) => assert_eq!(*again, first),
        other => panic!("{other:?}"),
    }
    let reused = orders.create(&call(), asked(ID, 2)).await.unwrap_err();
    assert_eq!(reused.reason, ErrorReason::RequestIdReused);
    let missing = orders.create(&call(), asked("", 1)).await.unwrap_err();
    assert_eq!(missing.reason, ErrorReason::RequestIdRequired);
    let name = "providers/acme/orders/41".to_owned();
    let error = orders.get(&call(), GetOrderRequest { name }).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ProviderUnavailable);
}
