//! The Operations service: decode, one call of the engine, encode.

mod filter;
pub(crate) mod shown;
mod token;
mod watch;

use std::pin::Pin;
use std::str::FromStr as _;

use prost::Message as _;
use purveyor_sdk::names::OperationName;
use purveyor_sdk::v1::{
    self, CancelOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, ResolveOperationRequest, WaitOperationRequest, WatchOperationsRequest,
    WatchOperationsResponse,
};
use purveyor_sdk::{Error, Result};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tracing::Span;
use uuid::Uuid;

use self::shown::shown;
use self::token::fingerprint;
use self::watch::Watch;
use crate::api::answer::{Answer, answer, arrived, duration, wait_for};
use crate::api::arrival::Arrival;
use crate::api::codec::fits;
use crate::api::limits::{PAGE_MAX_BYTES, WAIT_MARGIN, WAIT_OPERATION_DEFAULT};
use crate::api::served::operations_server;
use crate::api::status;
use crate::engine::Engine;
use crate::engine::call::Call;
use crate::engine::page_token::PageTokens;
use crate::store::operation::Operation;

/// The Operations service.
#[derive(Clone)]
pub(crate) struct Operations {
    engine: Engine,
    tokens: PageTokens,
}

impl Operations {
    /// The service over `engine`.
    pub(crate) fn new(engine: Engine, tokens: PageTokens) -> Self {
        Self { engine, tokens }
    }

    fn shown(&self, call: &Call, operation: &Operation) -> v1::Operation {
        shown(operation, &call.caller, |age| self.engine.wall_at(age))
    }

    async fn get(&self, call: &Call, request: GetOperationRequest) -> Result<v1::Operation> {
        let request_id = request_id(&request.name)?;
        let operation = self.engine.operation_in_full(&call.caller, request_id).await?;
        Ok(self.shown(call, &operation))
    }

    async fn list(
        &self,
        call: &Call,
        request: ListOperationsRequest,
    ) -> Result<ListOperationsResponse> {
        let mut query = filter::query(request.filter.as_ref())?;
        query.limit = purveyor_sdk::page::size(request.page_size)?;
        let list = fingerprint(&call.caller, request.filter.as_ref());
        query.after = token::open_page(&self.tokens, &list, &request.page_token)?;
        let limit = query.limit;
        let operations = self.engine.operations(&call.caller, query).await?;
        let mut bytes = 0;
        let shown = operations.iter().map(|each| self.shown(call, each));
        // The first row stands on the page whatever its size, or the list would never go on.
        let shown = shown.take_while(|row| {
            let is_first = bytes == 0;
            bytes += row.encoded_len();
            is_first || bytes <= PAGE_MAX_BYTES
        });
        let rows: Vec<_> = shown.collect();
        let goes_on = operations.len() >= limit || rows.len() < operations.len();
        let next = rows.len().checked_sub(1).and_then(|last| operations.get(last));
        let next = next.filter(|_| goes_on);
        Ok(ListOperationsResponse {
            next_page_token: next
                .map(|last| token::seal_page(&self.tokens, &list, last))
                .unwrap_or_default(),
            operations: rows,
        })
    }

    async fn wait(
        &self,
        arrival: &Arrival,
        call: &Call,
        request: WaitOperationRequest,
    ) -> Result<v1::Operation> {
        let request_id = request_id(&request.name)?;
        let wanted = duration("timeout", request.timeout)?
            .unwrap_or_else(|| arrival.time_left(WAIT_MARGIN).unwrap_or(WAIT_OPERATION_DEFAULT));
        let operation = self.engine.operation(&call.caller, request_id).await?;
        let waited = wait_for(&self.engine, arrival, call, operation, wanted).await?;
        Ok(self.shown(call, &waited))
    }

    async fn cancel(&self, call: &Call, request: CancelOperationRequest) -> Result<v1::Operation> {
        let request_id = request_id(&request.name)?;
        let cancelled = self.engine.cancel(&call.caller, request_id, &request.etag).await?;
        Ok(self.shown(call, &cancelled))
    }

    async fn resolve(
        &self,
        call: &Call,
        request: ResolveOperationRequest,
    ) -> Result<v1::Operation> {
        let request_id = request_id(&request.name)?;
        let resolving = Box::pin(self.engine.resolve(&call.caller, request, request_id));
        let resolved = resolving.await?;
        Ok(self.shown(call, &resolved))
    }
}

#[tonic::async_trait]
impl operations_server::Operations for Operations {
    async fn get_operation(&self, request: Request<GetOperationRequest>) -> Answer<v1::Operation> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.get(&arrival.call(), request).await)
    }

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Answer<ListOperationsResponse> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.list(&arrival.call(), request).await)
    }

    async fn wait_operation(
        &self,
        request: Request<WaitOperationRequest>,
    ) -> Answer<v1::Operation> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.wait(&arrival, &arrival.call(), request).await)
    }

    type WatchOperationsStream =
        Pin<Box<dyn Stream<Item = std::result::Result<WatchOperationsResponse, Status>> + Send>>;

    async fn watch_operations(
        &self,
        request: Request<WatchOperationsRequest>,
    ) -> Answer<Self::WatchOperationsStream> {
        let (arrival, request) = arrived(request);
        let subject = arrival.subject.clone();
        let (store, clock) = (self.engine.store().clone(), self.engine.clock().clone());
        let watch = Watch::new(store, clock, self.tokens.clone(), arrival, request.filter)
            .map(|watch| watch.at_all_ids(&self.engine));
        let begun = match watch {
            Ok(watch) => watch.begin(&request.resume_token).await,
            Err(error) => Err(error),
        };
        let begun = begun.map_err(|error| status::grpc(&subject.stamp(error)))?;
        let events = tokio_stream::StreamExt::map(begun, move |event: Result<_>| {
            let event = event.and_then(|event: WatchOperationsResponse| {
                fits(event.encoded_len()).map(|()| event)
            });
            event.map_err(|error| status::grpc(&subject.stamp(error)))
        });
        Ok(Response::new(Box::pin(events) as Self::WatchOperationsStream))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Answer<v1::Operation> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.cancel(&arrival.call(), request).await)
    }

    async fn resolve_operation(
        &self,
        request: Request<ResolveOperationRequest>,
    ) -> Answer<v1::Operation> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.resolve(&arrival.call(), request).await)
    }
}

/// The request id in an operation's name.
fn request_id(name: &str) -> Result<Uuid> {
    Span::current().record("request_id", name);
    let parsed = OperationName::from_str(name).map_err(|error| error.field("name"))?;
    Uuid::parse_str(parsed.request_id())
        .map_err(|error| Error::field("name", "must end in a UUID").with_source(error))
}
