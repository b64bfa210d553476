//! The Renewals service, paying for a further term: decode, one call of `engine::renewals`, encode.

use purveyor_sdk::v1::{
    CreateRenewalRequest, GetRenewalRequest, ListRenewalOptionsRequest, ListRenewalOptionsResponse,
    ListRenewalsRequest, ListRenewalsResponse, Operation, Renewal,
};
use tonic::Request;

use crate::api::answer::{Answer, answer, arrived, unreachable, write};
use crate::api::served::renewals_server;
use crate::engine::Engine;
use crate::engine::renewals;

/// The Renewals service.
#[derive(Clone)]
pub(crate) struct Renewals {
    engine: Engine,
    renewals: renewals::Renewals,
}

impl Renewals {
    /// The service over what its methods mean.
    pub(crate) fn new(engine: Engine, renewals: renewals::Renewals) -> Self {
        Self { engine, renewals }
    }
}

#[tonic::async_trait]
impl renewals_server::Renewals for Renewals {
    async fn list_renewal_options(
        &self,
        request: Request<ListRenewalOptionsRequest>,
    ) -> Answer<ListRenewalOptionsResponse> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.renewals.list_options(&arrival.call(), request).await)
    }

    async fn create_renewal(&self, request: Request<CreateRenewalRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.renewals.create(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn get_renewal(&self, request: Request<GetRenewalRequest>) -> Answer<Renewal> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.renewals.get(&arrival.call(), request).await)
    }

    async fn list_renewals(
        &self,
        request: Request<ListRenewalsRequest>,
    ) -> Answer<ListRenewalsResponse> {
        let (arrival, request) = arrived(request);
        let listed = self.renewals.list(&arrival.call(), request).await;
        answer(
            &arrival,
            listed.map(|listed| {
                let unreachable = unreachable(&listed.missed);
                ListRenewalsResponse { unreachable, ..listed.response }
            }),
        )
    }
}
