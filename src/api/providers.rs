//! The Providers service, the configured accounts: decode, one call of `engine::providers`, encode.

use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, GetProviderRequest, ListProvidersRequest,
    ListProvidersResponse, Provider,
};
use tonic::Request;

use crate::api::answer::{Answer, answer, arrived};
use crate::api::served::providers_server;
use crate::engine::providers;

/// The Providers service.
#[derive(Clone)]
pub(crate) struct Providers {
    providers: providers::Providers,
}

impl Providers {
    /// The service over what its methods mean.
    pub(crate) fn new(providers: providers::Providers) -> Self {
        Self { providers }
    }
}

#[tonic::async_trait]
impl providers_server::Providers for Providers {
    async fn list_providers(
        &self,
        request: Request<ListProvidersRequest>,
    ) -> Answer<ListProvidersResponse> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.providers.list(&arrival.call(), request).await)
    }

    async fn get_provider(&self, request: Request<GetProviderRequest>) -> Answer<Provider> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.providers.get(&arrival.call(), request).await)
    }

    async fn check_provider(
        &self,
        request: Request<CheckProviderRequest>,
    ) -> Answer<CheckProviderResponse> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.providers.check(&arrival.call(), request).await)
    }
}
