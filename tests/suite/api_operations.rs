//! The Operations service over a real engine and a real journal, as a client sees it. The engine holds:
//! it accepts and stores, and sends nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use purveyor::api;
use purveyor::api::client::operations_client::OperationsClient;
use purveyor::api::health::Health;
use purveyor::api::limits::Limits;
use purveyor::engine::{Engine, EngineConfig};
use purveyor::plugin::{Clock, Environment, PluginsConfig, ProviderConfig, Registry, SystemClock};
use purveyor::store::age::Age;
use purveyor::store::operation::{Lock, Operation};
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{Accepted, Change, Committed, NewOperation, Store};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::{Result as Outcome, State};
use purveyor_sdk::v1::order;
use purveyor_sdk::v1::resolve_operation_request::{NotExecuted, Resolution};
use purveyor_sdk::v1::watch_operations_response::Event;
use purveyor_sdk::v1::{
    CancelOperationRequest, GetOperationRequest, ListOperationsRequest, OperationFilter,
    ResolveOperationRequest, WaitOperationRequest, WatchOperationsRequest,
};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::api_rig::{Handlers, Rig};

/// A gateway with a provider that has no plugin, and its journal.
struct Gateway {
    rig: Rig,
    store: Arc<dyn Store>,
    _folder: TempDir,
}

impl Gateway {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::new(folder.path());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path.join("journal.db")).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::open().unwrap());
        let plugins = PluginsConfig { directory: path.to_owned(), ..PluginsConfig::default() };
        let environment = Environment::new(Arc::clone(&clock));
        let endpoint = "https://upstream.example/".parse().unwrap();
        let acme = vec![ProviderConfig::new("acme", "acme", endpoint)];
        let registry = Arc::new(Registry::open(plugins, acme, environment).await);
        let config = EngineConfig { hold: true, ..EngineConfig::default() };
        let engine = Engine::start(config, Arc::clone(&store), registry, clock).await.unwrap();
        let health = Health::new();
        let routes = api::routes(&engine, &health, true).await.unwrap();
        let rig = Rig::serve(Limits::default(), Handlers::prompt(), routes, health).await;
        Self { rig, store, _folder: folder }
    }

    /// Puts an operation into the journal, as if it had been accepted.
    async fn accepted(&self, number: u128) -> String {
        let operation = operation(number);
        let name = format!("operations/{}", operation.request_id);
        let new = NewOperation::of(operation);
        assert_eq!(self.store.accept(new).await.unwrap(), Accepted::Stored);
        name
    }

    /// Puts an operation into the journal that needs an operator.
    async fn needing_operator(&self, number: u128) -> String {
        let name = self.accepted(number).await;
        let accepted = operation(number);
        let next = Operation {
            version: 2,
            state: State::NeedsOperator,
            wake_time: None,
            message: "somebody has to look".to_owned(),
            ..self.store.get(accepted.request_id).await.unwrap().unwrap()
        };
        assert_eq!(self.store.commit(Change::of(next)).await.unwrap(), Committed::Done);
        name
    }

    async fn client(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.rig.channel().await)
    }
}

fn operation(number: u128) -> Operation {
    let now = Timestamp::now();
    Operation {
        owner: "local".to_owned(),
        actor: "local".to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        target: format!("providers/acme/orders/{}", Uuid::from_u128(number)),
        exclusive: vec![format!("providers/acme/orders/{}", Uuid::from_u128(number))],
        fingerprint: [0; 32],
        start_before: now + Duration::from_secs(600),
        ..Operation::new(Uuid::from_u128(number), Op::CreateOrder, "acme", now, Age::from_nanos(0))
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("every error has its info").reason
}

#[tokio::test]
async fn an_operation_is_shown_as_it_is_stored() {
    let gateway = Gateway::start().await;
    let name = gateway.accepted(7).await;
    let mut client = gateway.client().await;
    let request = GetOperationRequest { name: name.clone() };
    let shown = client.get_operation(request).await.unwrap().into_inner();
    assert_eq!((shown.name.as_str(), shown.done), (name.as_str(), false));
    assert_eq!(shown.state(), State::Accepted);
    assert_eq!(shown.method, "Orders.CreateOrder");
    assert_eq!(shown.caller, "local");
    assert_eq!(shown.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(shown.etag, "1");
    let Some(Outcome::Order(order)) = shown.result else { panic!("no order: {shown:?}") };
    assert_eq!(order.state(), order::State::Pending);
    assert_eq!(order.name, shown.target);

    let check = async |name: &str, code: Code, expected: &str| {
        let mut client = gateway.client().await;
        let request = GetOperationRequest { name: name.to_owned() };
        let status = client.get_operation(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{name}");
    };
    let nobody = format!("operations/{}", Uuid::from_u128(8));
    check(&nobody, Code::NotFound, "OPERATION_NOT_FOUND").await;
    check("", Code::InvalidArgument, "FIELD_VIOLATION").await;
    check("operations/7", Code::InvalidArgument, "FIELD_VIOLATION").await;
    check(&name.replace("operations", "orders"), Code::InvalidArgument, "FIELD_VIOLATION").await;
}

#[tokio::test]
async fn pages_hold_every_operation_once() {
    let gateway = Gateway::start().await;
    let names: BTreeSet<_> =
        join_all((1..=7).map(|number| gateway.accepted(number))).await.into_iter().collect();
    let mut client = gateway.client().await;
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListOperationsRequest { page_size: 3, page_token, ..Default::default() };
        let page = client.list_operations(request).await.unwrap().into_inner();
        assert!(page.operations.len() <= 3);
        seen.extend(page.operations.into_iter().map(|operation| operation.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), names.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), names);

    let first = ListOperationsRequest { page_size: 1, ..Default::default() };
    let token = client.list_operations(first).await.unwrap().into_inner().next_page_token;
    let filter = Some(OperationFilter { open_only: true, ..OperationFilter::default() });
    let other = ListOperationsRequest { filter, page_token: token.clone(), ..Default::default() };
    let status = client.list_operations(other).await.unwrap_err();
    assert_eq!(reason(&status), "PAGE_TOKEN_INVALID");
    let negative = ListOperationsRequest { page_size: -1, ..Default::default() };
    assert_eq!(reason(&client.list_operations(negative).await.unwrap_err()), "FIELD_VIOLATION");
}

#[tokio::test]
async fn waiting_ends_in_time_and_with_the_operation() {
    let gateway = Gateway::start().await;
    let name = gateway.accepted(1).await;
    let mut client = gateway.client().await;
    let wait = |timeout| WaitOperationRequest { name: name.clone(), timeout };
    let millis =
        |millis: i32| Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 });
    let begin = Instant::now();
    let waited = client.wait_operation(wait(millis(50))).await.unwrap().into_inner();
    assert!(!waited.done && begin.elapsed() >= Duration::from_millis(49));
    // The deadline bounds the wait, and the operation is still answered.
    let mut request = tonic::Request::new(wait(None));
    request.set_timeout(Duration::from_millis(400));
    assert!(!client.wait_operation(request).await.unwrap().into_inner().done);
    let negative = client.wait_operation(wait(millis(-1))).await.unwrap_err();
    assert_eq!(reason(&negative), "FIELD_VIOLATION");

    let mut waiting = gateway.client().await;
    let long = wait(Some(prost_types::Duration { seconds: 600, nanos: 0 }));
    let waiting = tokio::spawn(async move { waiting.wait_operation(long).await });
    let cancel = CancelOperationRequest { name: name.clone(), etag: "9".to_owned() };
    let status = client.cancel_operation(cancel.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let cancel = CancelOperationRequest { etag: "1".to_owned(), ..cancel };
    let cancelled = client.cancel_operation(cancel).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(waiting.await.unwrap().unwrap().into_inner(), cancelled);
}

#[tokio::test]
async fn wait_for_what_needs_an_operator_lasts_its_time_or_until_that_changes() {
    let gateway = Gateway::start().await;
    let name = gateway.needing_operator(1).await;
    let mut client = gateway.client().await;
    let wait = |timeout: Duration| WaitOperationRequest {
        name: name.clone(),
        timeout: Some(timeout.try_into().unwrap()),
    };
    let short = Duration::from_millis(60);
    let begin = Instant::now();
    for _ in 0..3 {
        let waited = client.wait_operation(wait(short)).await.unwrap().into_inner();
        assert_eq!((waited.state(), waited.etag.as_str()), (State::NeedsOperator, "2"));
    }
    assert!(begin.elapsed() >= 3 * short, "{:?}", begin.elapsed());
    // The call's deadline bounds it all the same.
    let mut bounded = tonic::Request::new(wait(Duration::from_secs(600)));
    bounded.set_timeout(Duration::from_millis(400));
    assert!(!client.wait_operation(bounded).await.unwrap().into_inner().done);

    let mut waiting = gateway.client().await;
    let long = wait(Duration::from_secs(600));
    let waiting = tokio::spawn(async move { waiting.wait_operation(long).await });
    let resolution = ResolveOperationRequest {
        name: name.clone(),
        etag: "2".to_owned(),
        note: "it is not there".to_owned(),
        resolution: Some(Resolution::NotExecuted(NotExecuted {
            try_again: false,
            ..NotExecuted::default()
        })),
    };
    let resolved = client.resolve_operation(resolution).await.unwrap().into_inner();
    assert_eq!(resolved.state(), State::Failed);
    assert_eq!(waiting.await.unwrap().unwrap().into_inner(), resolved);
}

#[tokio::test]
async fn resolve_of_what_another_operation_holds_names_that_one() {
    let gateway = Gateway::start().await;
    let name = gateway.needing_operator(1).await;
    let holder = operation(2);
    let lock = Lock(operation(1).target);
    let new = NewOperation { locks: vec![lock.clone()], ..NewOperation::of(holder.clone()) };
    assert_eq!(gateway.store.accept(new).await.unwrap(), Accepted::Stored);
    let resolution = ResolveOperationRequest {
        name,
        etag: "2".to_owned(),
        note: "it is not there".to_owned(),
        resolution: Some(Resolution::NotExecuted(NotExecuted {
            try_again: true,
            ..NotExecuted::default()
        })),
    };
    let status = gateway.client().await.resolve_operation(resolution).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::Aborted, "OPERATION_IN_PROGRESS"));
    let named = format!("operations/{}", holder.request_id);
    assert_eq!(status.get_details_error_info().unwrap().metadata["operation"], named);
    let message = format!("{} has a write that has not ended: {named}, which is ACCEPTED", lock.0);
    assert_eq!(status.message(), message);
}

#[tokio::test]
async fn a_watcher_sees_changes_and_leaves_with_the_server() {
    let mut gateway = Gateway::start().await;
    let name = gateway.accepted(1).await;
    let mut client = gateway.client().await;
    let watched = client.watch_operations(WatchOperationsRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Operation(operation)) if operation.name == name));
    let synchronized = watched.message().await.unwrap().unwrap();
    assert_eq!(synchronized.event, Some(Event::Synchronized(true)));
    let cancel = CancelOperationRequest { name, etag: String::new() };
    let cancelled = client.cancel_operation(cancel).await.unwrap().into_inner();
    let change = watched.message().await.unwrap().unwrap();
    assert_eq!(change.event, Some(Event::Operation(cancelled)));
    gateway.rig.stop();
    assert_eq!(watched.message().await.unwrap(), None);
}
