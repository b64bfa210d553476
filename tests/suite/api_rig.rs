//! A server of the gateway's own making over handlers that do what a test tells them: everything
//! before and after a handler is real, and so are the sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use purveyor::api::health::Health;
use purveyor::api::limits::Limits;
use purveyor::api::served::operations_server::{self, OperationsServer};
use purveyor::api::served::products_server::{self, ProductsServer};
use purveyor::api::server::{Server, Stopped};
use purveyor_sdk::v1::{
    CancelOperationRequest, CreateProductRequest, DeleteProductRequest, GetOperationRequest,
    ListOperationsRequest, ListOperationsResponse, Operation, ResolveOperationRequest,
    UpdateProductRequest, WaitOperationRequest, WatchOperationsRequest, WatchOperationsResponse,
};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a test tells the handlers, and what it sees of them.
#[derive(Clone)]
pub(crate) struct Handlers {
    /// Handlers that were reached, ever.
    pub(crate) reached: watch::Sender<usize>,
    /// One permit lets one handler answer.
    pub(crate) answers: Arc<Semaphore>,
}

impl Handlers {
    /// Handlers that answer at once.
    pub(crate) fn prompt() -> Self {
        Self::with(Semaphore::MAX_PERMITS)
    }

    /// Handlers that wait for a permit.
    pub(crate) fn stuck() -> Self {
        Self::with(0)
    }

    fn with(permits: usize) -> Self {
        Self { reached: watch::channel(0).0, answers: Arc::new(Semaphore::new(permits)) }
    }

    /// Waits until `count` handlers were reached.
    pub(crate) async fn reached(&self, count: usize) {
        let mut reached = self.reached.subscribe();
        let enough = reached.wait_for(|reached| *reached >= count);
        tokio::time::timeout(PATIENCE, enough).await.expect("handlers are reached").unwrap();
    }

    /// How many were reached so far.
    pub(crate) fn count(&self) -> usize {
        *self.reached.borrow()
    }

    async fn answer<T: Default>(&self) -> Result<Response<T>, Status> {
        self.reached.send_modify(|reached| *reached += 1);
        self.answers.acquire().await.unwrap().forget();
        Ok(Response::new(T::default()))
    }
}

#[tonic::async_trait]
impl products_server::Products for Handlers {
    async fn list_products(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        self.answer().await
    }

    async fn get_product(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        panic!("a handler that panics");
    }

    async fn create_product(
        &self,
        _request: Request<CreateProductRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }

    async fn update_product(
        &self,
        _request: Request<UpdateProductRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }

    async fn delete_product(
        &self,
        _request: Request<DeleteProductRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }
}

#[tonic::async_trait]
impl operations_server::Operations for Handlers {
    async fn get_operation(
        &self,
        _request: Request<GetOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }

    async fn list_operations(
        &self,
        _request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        self.answer().await
    }

    async fn wait_operation(
        &self,
        _request: Request<WaitOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }

    type WatchOperationsStream = tokio_stream::Empty<Result<WatchOperationsResponse, Status>>;

    async fn watch_operations(
        &self,
        _request: Request<WatchOperationsRequest>,
    ) -> Result<Response<Self::WatchOperationsStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn cancel_operation(
        &self,
        _request: Request<CancelOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }

    async fn resolve_operation(
        &self,
        _request: Request<ResolveOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        self.answer().await
    }
}

/// A running server.
pub(crate) struct Rig {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What its handlers do.
    pub(crate) handlers: Handlers,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Stopped>,
}

impl Rig {
    /// A server under `limits` whose handlers are `handlers`.
    pub(crate) async fn start(limits: Limits, handlers: Handlers) -> Self {
        let products = ProductsServer::new(handlers.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip);
        let operations = OperationsServer::new(handlers.clone());
        let routes = Routes::new(products).add_service(operations);
        Self::serve(limits, handlers, routes, Health::new()).await
    }

    /// A server of `routes`.
    pub(crate) async fn serve(
        limits: Limits,
        handlers: Handlers,
        routes: Routes,
        health: Health,
    ) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = server.serve(routes, health, async { drop(stopped.await) });
        let served = tokio::spawn(serving);
        Self { address, handlers, stop: Some(stop), served }
    }

    /// A client with one connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has.
    pub(crate) async fn stopped(self) -> Stopped {
        self.served.await.unwrap()
    }
}
