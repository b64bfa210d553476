//! The Orders service, buying, cancelling, paying: decode, one call of `engine::orders`, encode.

use purveyor_sdk::v1::{
    CancelOrderRequest, CreateOrderRequest, GetOrderRequest, GetOrderSecretsRequest,
    ListOrdersRequest, ListOrdersResponse, ListPaymentMethodsRequest, ListPaymentMethodsResponse,
    Operation, Order, OrderSecrets, PayOrderRequest,
};
use tonic::Request;

use crate::api::answer::{Answer, answer, arrived, unreachable, write};
use crate::api::served::orders_server;
use crate::engine::Engine;
use crate::engine::orders;

/// The Orders service.
#[derive(Clone)]
pub(crate) struct Orders {
    engine: Engine,
    orders: orders::Orders,
}

impl Orders {
    /// The service over what its methods mean.
    pub(crate) fn new(engine: Engine, orders: orders::Orders) -> Self {
        Self { engine, orders }
    }
}

#[tonic::async_trait]
impl orders_server::Orders for Orders {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.orders.create(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Answer<Order> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.orders.get(&arrival.call(), request).await)
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Answer<ListOrdersResponse> {
        let (arrival, request) = arrived(request);
        let listed = self.orders.list(&arrival.call(), request).await;
        answer(
            &arrival,
            listed.map(|listed| {
                let unreachable = unreachable(&listed.missed);
                ListOrdersResponse { unreachable, ..listed.response }
            }),
        )
    }

    async fn cancel_order(&self, request: Request<CancelOrderRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.orders.cancel(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn list_payment_methods(
        &self,
        request: Request<ListPaymentMethodsRequest>,
    ) -> Answer<ListPaymentMethodsResponse> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.orders.list_payment_methods(&arrival.call(), request).await)
    }

    async fn pay_order(&self, request: Request<PayOrderRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.orders.pay(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn get_order_secrets(
        &self,
        request: Request<GetOrderSecretsRequest>,
    ) -> Answer<OrderSecrets> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.orders.secrets(&arrival.call(), request).await)
    }
}
