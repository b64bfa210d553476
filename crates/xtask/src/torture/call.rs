//! The public API as the torture's clients and its checker call it. It must not interpret an answer
//! beyond its form.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost_reflect::prost::Message;
use purveyor_sdk::v1::operation::{Result as Made, State};
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateProductRequest, CreateRenewalRequest, DeleteProductRequest,
    ListOperationsRequest, ListOperationsResponse, Operation, OperationFilter,
    ResolveOperationRequest, TerminateServiceRequest, UpstreamRef, WaitOperationRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::raw::Raw;

/// How many operations are listed at a time.
const PAGE: i32 = 200;
/// How long an answer may take whose caller is patient.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A purchase, however the provider is bought from.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Order(CreateOrderRequest),
    Renewal(CreateRenewalRequest),
    Product(CreateProductRequest),
    /// Ends a product.
    Deletion(DeleteProductRequest),
    /// Ends a service.
    Termination(TerminateServiceRequest),
}

impl Write {
    /// Sends it under a request id; the answer may wait so long for the operation's end.
    ///
    /// # Errors
    /// Whatever became of the call.
    pub(crate) async fn send(
        self,
        channel: Channel,
        request_id: &str,
        wait: Duration,
        patience: Duration,
    ) -> Result<Operation, Status> {
        let (id, wait) = (request_id.to_owned(), proto(wait));
        match self {
            Self::Order(request) => {
                let request = CreateOrderRequest { request_id: id, wait, ..request };
                unary(channel, "Orders/CreateOrder", &request, patience).await
            }
            Self::Renewal(request) => {
                let request = CreateRenewalRequest { request_id: id, wait, ..request };
                unary(channel, "Renewals/CreateRenewal", &request, patience).await
            }
            Self::Product(request) => {
                let request = CreateProductRequest { request_id: id, wait, ..request };
                unary(channel, "Products/CreateProduct", &request, patience).await
            }
            Self::Deletion(request) => {
                let request = DeleteProductRequest { request_id: id, wait, ..request };
                unary(channel, "Products/DeleteProduct", &request, patience).await
            }
            Self::Termination(request) => {
                let request = TerminateServiceRequest { request_id: id, wait, ..request };
                unary(channel, "Services/TerminateService", &request, patience).await
            }
        }
    }
}

/// Waits for the end of an operation.
///
/// # Errors
/// Whatever became of the call.
pub(crate) async fn wait(
    channel: Channel,
    request_id: &str,
    timeout: Duration,
    patience: Duration,
) -> Result<Operation, Status> {
    let name = format!("operations/{request_id}");
    let request = WaitOperationRequest { name, timeout: proto(timeout) };
    unary(channel, "Operations/WaitOperation", &request, patience).await
}

/// Tells what a person found out about an operation.
///
/// # Errors
/// Whatever became of the call.
pub(crate) async fn resolve(
    channel: Channel,
    request: &ResolveOperationRequest,
) -> Result<Operation, Status> {
    unary(channel, "Operations/ResolveOperation", request, PATIENCE).await
}

/// Every operation, or those alone that have not ended.
///
/// # Errors
/// When the gateway does not list them.
pub(crate) async fn operations(channel: &Channel, open_only: bool) -> Result<Vec<Operation>> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let filter = Some(OperationFilter { open_only, ..OperationFilter::default() });
        let request = ListOperationsRequest { filter, page_size: PAGE, page_token };
        let listed: ListOperationsResponse =
            unary(channel.clone(), "Operations/ListOperations", &request, PATIENCE)
                .await
                .map_err(|status| anyhow::anyhow!("{:?}: {}", status.code(), status.message()))
                .context("the operations cannot be listed")?;
        all.extend(listed.operations);
        page_token = listed.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// Every upstream id that an operation names as its own.
pub(crate) fn ids(operation: &Operation) -> Vec<String> {
    let mut named: Vec<&UpstreamRef> = operation.upstream.iter().collect();
    match &operation.result {
        // Ids of its items are of another kind; what an order is upstream, it names itself.
        Some(Made::Order(order)) => named.extend(&order.upstream),
        Some(Made::Renewal(renewal)) => named.extend(&renewal.upstream),
        Some(Made::Product(product)) => named.extend(&product.upstream),
        _ => {}
    }
    let attempts = operation.attempts.iter().map(|attempt| attempt.upstream_id.as_str());
    let mut ids: Vec<String> = named
        .into_iter()
        .map(|upstream| upstream.id())
        .chain(attempts)
        .flat_map(|id| id.split(','))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Every item's id that an order names.
pub(crate) fn items(operation: &Operation) -> Vec<String> {
    let Some(Made::Order(order)) = &operation.result else { return Vec::new() };
    order.items.iter().map(|item| item.id.clone()).filter(|id| !id.is_empty()).collect()
}

/// Why an operation failed, in one word; empty where it did not.
pub(crate) fn reason(operation: &Operation) -> &str {
    match &operation.result {
        Some(Made::Error(error)) => &error.reason,
        _ => "",
    }
}

/// Whether nothing more comes of an operation by itself.
pub(crate) fn rests(state: State) -> bool {
    matches!(state, State::Succeeded | State::Failed | State::Cancelled | State::NeedsOperator)
}

async fn unary<M: Message, A: Message + Default>(
    channel: Channel,
    method: &str,
    request: &M,
    patience: Duration,
) -> Result<A, Status> {
    let internal = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
    let path = PathAndQuery::try_from(format!("/purveyor.v1.{method}"));
    let path = path.map_err(|error| internal(&error))?;
    let mut client = tonic::client::Grpc::new(channel);
    let called = async {
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(Bytes::from(request.encode_to_vec()));
        request.set_timeout(patience);
        client.unary(request, path, Raw).await
    };
    let answer = tokio::time::timeout(patience, called).await;
    let answer = answer.map_err(|_| Status::new(Code::DeadlineExceeded, "gave up waiting"))??;
    A::decode(answer.into_inner()).map_err(|error| internal(&error))
}

fn proto(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}
