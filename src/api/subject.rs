//! What an error is about. It is stamped here on every error that leaves: of a call by its request, and of an
//! operation by the operation, so that whoever makes an error need not know it.

use bytes::Bytes;
use prost::Message;
use purveyor_sdk::names::{
    OperationName, OrderName, ProductName, ProviderName, RenewalName, ServiceName, request_id_of,
};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, UPSTREAM_CODE};

use crate::api::status::{OPERATION, ORDER, PROVIDER, RESOURCE};
use crate::engine::machine::{UPSTREAM_STATUS, renewal_order};
use crate::store::operation::Operation;

/// A request that names a resource.
pub(crate) trait Addressed {
    /// The resource, or its parent, as the caller spelled it; empty where the request names none.
    fn resource(&self) -> &str;
    /// The request id of a write as the caller spelled it; else empty.
    fn request_id(&self) -> &str;
}

include!(concat!(env!("OUT_DIR"), "/addressed.rs"));

/// What an error is about; empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    resource: String,
    provider: String,
    /// The operation, where it is known to exist.
    operation: String,
    /// The operation that has the request id if any has.
    of_request_id: String,
    /// The order that a renewal has made.
    order: String,
}

impl Subject {
    /// What a request is about. What is no name is left out.
    pub(crate) fn of_request(request: &impl Addressed) -> Self {
        let subject = Self::of_name(request.resource());
        let id = request_id_of(request.request_id());
        let of_request_id = id.map(|id| format!("operations/{id}")).unwrap_or_default();
        Self { of_request_id, ..subject }
    }

    /// As [`Subject::of_request`], of a request that passes as bytes: its name is its first field.
    pub(crate) fn of_bytes(request: &Bytes) -> Self {
        #[derive(Message)]
        struct First {
            #[prost(string, tag = "1")]
            name: String,
        }
        // A request that cannot be read is refused for that, and is about nothing.
        First::decode(request.clone()).map(|first| Self::of_name(&first.name)).unwrap_or_default()
    }

    /// What a stored operation is about.
    pub(crate) fn of_operation(operation: &Operation) -> Self {
        Self {
            resource: operation.target.clone(),
            provider: format!("providers/{}", operation.provider),
            operation: format!("operations/{}", operation.request_id),
            of_request_id: String::new(),
            order: renewal_order(operation).unwrap_or_default(),
        }
    }

    fn of_name(name: &str) -> Self {
        let resource = name.to_owned();
        if name.parse::<OperationName>().is_ok() {
            return Self { operation: resource.clone(), resource, ..Self::default() };
        }
        match provider_of(name) {
            Some(provider) => Self { resource, provider, ..Self::default() },
            None => Self::default(),
        }
    }

    /// The error with what it is about. What its maker has said of it stays.
    pub(crate) fn stamp(&self, mut error: Error) -> Error {
        let reused = error.reason == ErrorReason::RequestIdReused;
        let reused = reused && !self.of_request_id.is_empty();
        let operation = if reused { &self.of_request_id } else { &self.operation };
        let told = error.metadata.get(RESOURCE).and_then(|name| provider_of(name));
        let provider = told.as_ref().unwrap_or(&self.provider);
        for (key, value) in [
            (RESOURCE, &self.resource),
            (PROVIDER, provider),
            (OPERATION, operation),
            (ORDER, &self.order),
        ] {
            if !value.is_empty() {
                error.metadata.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        let status = error.metadata.get(UPSTREAM_STATUS).and_then(|it| it.parse::<u16>().ok());
        if let Some(status @ 400..) = status {
            error.metadata.entry(UPSTREAM_CODE.to_owned()).or_insert_with(|| status.to_string());
        }
        error
    }
}

/// The provider that a name is of; `None` for what is no name.
fn provider_of(name: &str) -> Option<String> {
    let provider = name
        .parse::<ProviderName>()
        .or_else(|_| name.parse::<ProductName>().map(|it| it.provider().clone()))
        .or_else(|_| name.parse::<OrderName>().map(|it| it.provider().clone()))
        .or_else(|_| name.parse::<ServiceName>().map(|it| it.provider().clone()))
        .or_else(|_| name.parse::<RenewalName>().map(|it| it.provider().clone()));
    provider.ok().map(|provider| provider.to_string())
}
