//! The Products service, what the providers sell: decode, one call of `engine::products`, encode. Reads pass as
//! bytes.

use bytes::Bytes;
use prost::Message as _;
use purveyor_sdk::v1::{
    CreateProductRequest, DeleteProductRequest, ListProductsResponse, Operation,
    UpdateProductRequest,
};
use tonic::Request;

use crate::api::answer::{Answer, answer, arrived, arrived_raw, unreachable, write};
use crate::api::served::products_server;
use crate::engine::Engine;
use crate::engine::listing::Listed;
use crate::engine::products;

/// The Products service.
#[derive(Clone)]
pub(crate) struct Products {
    engine: Engine,
    products: products::Products,
}

impl Products {
    /// The service over what its methods mean.
    pub(crate) fn new(engine: Engine, products: products::Products) -> Self {
        Self { engine, products }
    }
}

#[tonic::async_trait]
impl products_server::Products for Products {
    async fn list_products(&self, request: Request<Bytes>) -> Answer<Bytes> {
        let (arrival, request) = arrived_raw(request);
        answer(&arrival, self.products.list_raw(&arrival.call(), request).await.map(joined))
    }

    async fn get_product(&self, request: Request<Bytes>) -> Answer<Bytes> {
        let (arrival, request) = arrived_raw(request);
        answer(&arrival, self.products.get_raw(&arrival.call(), request).await)
    }

    async fn create_product(&self, request: Request<CreateProductRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.products.create(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn update_product(&self, request: Request<UpdateProductRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.products.update(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn delete_product(&self, request: Request<DeleteProductRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.products.delete(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }
}

/// The bytes of a page and the providers that it lacks. Protobuf messages are joined by writing one
/// after the other, so the page itself is not touched.
fn joined(listed: Listed<Bytes>) -> Bytes {
    if listed.missed.is_empty() {
        return listed.response;
    }
    let unreachable = unreachable(&listed.missed);
    let lacking = ListProductsResponse { unreachable, ..ListProductsResponse::default() };
    [listed.response.as_ref(), &lacking.encode_to_vec()].concat().into()
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::Error;
    use purveyor_sdk::v1::{ErrorReason, Product};

    use super::*;
    use crate::engine::listing::Missed;

    #[test]
    fn a_page_and_what_it_lacks_are_one_message() {
        let page = ListProductsResponse {
            products: vec![Product { name: "providers/a/products/1".into(), ..Product::default() }],
            next_page_token: "more".into(),
            unreachable: Vec::new(),
        };
        let response = Bytes::from(page.encode_to_vec());
        let whole = Listed { response: response.clone(), missed: Vec::new() };
        assert_eq!(joined(whole), response);
        let error = Error::new(ErrorReason::UpstreamUnavailable, "no answer in time");
        let missed = vec![Missed { provider: "providers/b".into(), error }];
        let joined = joined(Listed { response, missed });
        let decoded = ListProductsResponse::decode(joined).unwrap();
        assert_eq!((decoded.products, decoded.next_page_token.as_str()), (page.products, "more"));
        assert_eq!(decoded.unreachable[0].provider, "providers/b");
        let reason = decoded.unreachable[0].reason.as_ref().unwrap();
        assert_eq!(reason.reason, "UPSTREAM_UNAVAILABLE");
    }
}
