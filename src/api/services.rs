//! The Services service, what was delivered: decode, one call of `engine::services`, encode.

use purveyor_sdk::v1::{
    AdoptServiceRequest, GetServiceRequest, ListServicesRequest, ListServicesResponse, Operation,
    ResumeServiceRequest, Service, SuspendServiceRequest, TerminateServiceRequest,
    UpdateServiceRequest,
};
use tonic::Request;

use crate::api::answer::{Answer, answer, arrived, unreachable, write};
use crate::api::served::services_server;
use crate::engine::Engine;
use crate::engine::services;

/// The Services service.
#[derive(Clone)]
pub(crate) struct Services {
    engine: Engine,
    services: services::Services,
}

impl Services {
    /// The service over what its methods mean.
    pub(crate) fn new(engine: Engine, services: services::Services) -> Self {
        Self { engine, services }
    }
}

#[tonic::async_trait]
impl services_server::Services for Services {
    async fn list_services(
        &self,
        request: Request<ListServicesRequest>,
    ) -> Answer<ListServicesResponse> {
        let (arrival, request) = arrived(request);
        let listed = self.services.list(&arrival.call(), request).await;
        answer(
            &arrival,
            listed.map(|listed| {
                let unreachable = unreachable(&listed.missed);
                ListServicesResponse { unreachable, ..listed.response }
            }),
        )
    }

    async fn get_service(&self, request: Request<GetServiceRequest>) -> Answer<Service> {
        let (arrival, request) = arrived(request);
        answer(&arrival, self.services.get(&arrival.call(), request).await)
    }

    async fn adopt_service(&self, request: Request<AdoptServiceRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.services.adopt(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn update_service(&self, request: Request<UpdateServiceRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.services.update(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn suspend_service(&self, request: Request<SuspendServiceRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.services.suspend(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn resume_service(&self, request: Request<ResumeServiceRequest>) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.services.resume(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }

    async fn terminate_service(
        &self,
        request: Request<TerminateServiceRequest>,
    ) -> Answer<Operation> {
        let (arrival, mut request) = arrived(request);
        let (call, wait) = (arrival.call(), request.wait.take());
        let request_id = request.request_id.clone();
        let written = || Box::pin(self.services.terminate(&call, request.clone()));
        write(&self.engine, &arrival, &call, &request_id, wait, written).await
    }
}
