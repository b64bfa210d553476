//! A caller of the public API over real gRPC. It checks nothing but that calls which must be answered
//! are.

use std::net::SocketAddr;
use std::time::Instant;

use purveyor::api::client::operations_client::OperationsClient;
use purveyor::api::client::orders_client::OrdersClient;
use purveyor::api::client::products_client::ProductsClient;
use purveyor::api::client::providers_client::ProvidersClient;
use purveyor::api::client::renewals_client::RenewalsClient;
use purveyor::api::client::services_client::ServicesClient;
use purveyor_sdk::prost_types::Duration;
use purveyor_sdk::v1::operation::{Result as Came, State};
use purveyor_sdk::v1::{
    CreateOrderRequest, GetOperationRequest, GetOrderRequest, GetServiceRequest,
    ListOperationsRequest, ListOrdersRequest, ListServicesRequest, Operation, Order, Service,
    Status as Failure, WaitOperationRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{PATIENCE, until};

/// The one operation that a simulated account of Gandi begins with.
const OLD_ORDER: &str = "637365";

/// A caller with one connection.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
}

/// What a refused call tells: code, reason, and the first field that was wrong.
pub(crate) fn told(status: &Status) -> (Code, String, String) {
    let reason = status.get_details_error_info().map(|info| {
        assert_eq!(info.domain, "purveyor");
        info.reason
    });
    let violations = status.get_details_bad_request().map(|it| it.field_violations);
    let field = violations.into_iter().flatten().next().map(|violation| violation.field);
    (status.code(), reason.expect("every error has its info"), field.unwrap_or_default())
}

/// Why an operation failed.
#[track_caller]
pub(crate) fn failure(operation: &Operation) -> &Failure {
    match &operation.result {
        Some(Came::Error(error)) => error,
        other => panic!("{} has not failed: {other:?}, {}", operation.name, operation.message),
    }
}

/// The reason why an operation failed; empty where it has not.
pub(crate) fn reason(operation: &Operation) -> &str {
    match &operation.result {
        Some(Came::Error(error)) => &error.reason,
        _ => "",
    }
}

/// The order that came of an operation.
#[track_caller]
pub(crate) fn order(operation: &Operation) -> &Order {
    match &operation.result {
        Some(Came::Order(order)) => order,
        other => panic!("{} shows no order: {other:?}", operation.name),
    }
}

/// Asserts that an operation has succeeded, and hands it on.
#[track_caller]
pub(crate) fn succeeded(operation: Operation) -> Operation {
    assert_eq!(operation.state(), State::Succeeded, "{operation:#?}");
    operation
}

impl Client {
    /// Connects to a gateway.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("the gateway accepts connections");
        Self { channel }
    }

    /// The Orders service.
    pub(crate) fn orders(&self) -> OrdersClient<Channel> {
        OrdersClient::new(self.channel.clone())
    }

    /// The Operations service.
    pub(crate) fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.channel.clone())
    }

    /// The Services service.
    pub(crate) fn services(&self) -> ServicesClient<Channel> {
        ServicesClient::new(self.channel.clone())
    }

    /// The Renewals service.
    pub(crate) fn renewals(&self) -> RenewalsClient<Channel> {
        RenewalsClient::new(self.channel.clone())
    }

    /// The Products service.
    pub(crate) fn products(&self) -> ProductsClient<Channel> {
        ProductsClient::new(self.channel.clone())
    }

    /// The Providers service.
    pub(crate) fn providers(&self) -> ProvidersClient<Channel> {
        ProvidersClient::new(self.channel.clone())
    }

    /// Orders; the operation as it is in the first answer.
    pub(crate) async fn order(&self, request: CreateOrderRequest) -> Result<Operation, Status> {
        Ok(self.orders().create_order(request).await?.into_inner())
    }

    /// Orders something that must be accepted, and waits until it is done or needs a person.
    pub(crate) async fn ordered(&self, request: CreateOrderRequest) -> Operation {
        let accepted = self.order(request).await.expect("the order is accepted");
        self.done(&accepted.name).await
    }

    /// Orders one thing, and tells the service that it became.
    pub(crate) async fn bought(&self, request: CreateOrderRequest) -> Service {
        let operation = succeeded(self.ordered(request).await);
        let name = order(&operation).items[0].services[0].clone();
        self.service(&name).await.expect("the service is there")
    }

    /// The operation once it is done or needs a person, whose word does not wait for its time.
    pub(crate) async fn done(&self, name: &str) -> Operation {
        let begin = Instant::now();
        let mut operation = self.operation(name).await;
        let asks = |operation: &Operation| {
            let word_waits = operation.notes.last().is_some_and(|note| note.waits);
            operation.state() == State::NeedsOperator && !word_waits
        };
        while !operation.done && !asks(&operation) {
            assert!(begin.elapsed() < PATIENCE, "still open after {PATIENCE:?}: {operation:#?}");
            // A short wait: one that begins when the operation needs a person already lasts its time.
            operation = self.waited(name, Duration { seconds: 1, nanos: 0 }).await;
        }
        operation
    }

    /// The operation when it is done, or comes to need a person, or when that time is over.
    pub(crate) async fn waited(&self, name: &str, timeout: Duration) -> Operation {
        let request = WaitOperationRequest { name: name.to_owned(), timeout: Some(timeout) };
        let waited = self.operations().wait_operation(request).await;
        waited.expect("the operation is known").into_inner()
    }

    /// The operation as soon as it is in a state.
    pub(crate) async fn reaches(&self, name: &str, state: State) -> Operation {
        let what = format!("{name} in {}", state.as_str_name());
        until(&what, || async { self.operation(name).await.state() == state }).await;
        self.operation(name).await
    }

    /// The operation as it is now.
    pub(crate) async fn operation(&self, name: &str) -> Operation {
        let request = GetOperationRequest { name: name.to_owned() };
        let shown = self.operations().get_operation(request).await;
        shown.expect("the operation is known").into_inner()
    }

    /// The operation of a request, as the caller sees it who was not told its name.
    pub(crate) async fn of_request(&self, request_id: &str) -> Result<Operation, Status> {
        let request = GetOperationRequest { name: format!("operations/{request_id}") };
        Ok(self.operations().get_operation(request).await?.into_inner())
    }

    /// All operations; a scenario has fewer than a page of them.
    pub(crate) async fn all_operations(&self) -> Vec<Operation> {
        let request = ListOperationsRequest { page_size: 200, ..Default::default() };
        let page = self.operations().list_operations(request).await.expect("they can be listed");
        let page = page.into_inner();
        assert_eq!(page.next_page_token, "", "a scenario has fewer operations");
        page.operations
    }

    /// One order.
    pub(crate) async fn get_order(&self, name: &str) -> Result<Order, Status> {
        let request = GetOrderRequest { name: name.to_owned() };
        Ok(self.orders().get_order(request).await?.into_inner())
    }

    /// All orders of a provider, page by page, but the one that a simulated account of Gandi begins with.
    pub(crate) async fn all_orders(&self, provider: &str) -> Vec<Order> {
        let parent = format!("providers/{provider}");
        let mut request = ListOrdersRequest { parent, ..ListOrdersRequest::default() };
        let mut orders = Vec::new();
        loop {
            let page = self.orders().list_orders(request.clone()).await;
            let page = page.expect("orders can be listed").into_inner();
            let is_old = |it: &Order| it.upstream.as_ref().is_some_and(|it| it.id() == OLD_ORDER);
            orders.extend(page.orders.into_iter().filter(|it| !is_old(it)));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return orders;
            }
        }
    }

    /// One service.
    pub(crate) async fn service(&self, name: &str) -> Result<Service, Status> {
        let request = GetServiceRequest { name: name.to_owned() };
        Ok(self.services().get_service(request).await?.into_inner())
    }

    /// The services of a provider; a scenario has fewer than a page of them.
    pub(crate) async fn all_services(&self, provider: &str) -> Result<Vec<Service>, Status> {
        let parent = format!("providers/{provider}");
        let request = ListServicesRequest { parent, page_size: 200, ..Default::default() };
        Ok(self.services().list_services(request).await?.into_inner().services)
    }
}
