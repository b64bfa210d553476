//! Decodes what a plugin answered, to see that it is what the op promises. Answers that are passed on
//! as bytes are checked so in debug builds, and wherever it is asked for.

use prost::{DecodeError, Message};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{
    BaselineResponse, FindResponse, IdentifyResponse, Op, PollResponse, StepOutcome,
};
use purveyor_sdk::v1::{
    CheckProviderResponse, ListOrdersResponse, ListPaymentMethodsResponse, ListProductsResponse,
    ListRenewalOptionsResponse, ListRenewalsResponse, ListServicesResponse, Order, OrderSecrets,
    Product, Quote, Renewal, Service,
};

/// Refuses bytes that are not the answer of `op`. Ops that no plugin is asked have none.
///
/// # Errors
///
/// PLUGIN_FAULT.
pub(super) fn check(op: Op, answer: &[u8]) -> Result<(), Error> {
    let decoded = match op {
        Op::Unspecified | Op::AdoptService => Ok(()),
        Op::ListProducts => decode::<ListProductsResponse>(answer),
        Op::GetProduct => decode::<Product>(answer),
        Op::GetOrder => decode::<Order>(answer),
        Op::ListOrders => decode::<ListOrdersResponse>(answer),
        Op::ListPaymentMethods => decode::<ListPaymentMethodsResponse>(answer),
        Op::GetOrderSecrets => decode::<OrderSecrets>(answer),
        Op::ListServices => decode::<ListServicesResponse>(answer),
        Op::GetService => decode::<Service>(answer),
        Op::ListRenewalOptions => decode::<ListRenewalOptionsResponse>(answer),
        Op::GetRenewal => decode::<Renewal>(answer),
        Op::ListRenewals => decode::<ListRenewalsResponse>(answer),
        Op::CheckProvider => decode::<CheckProviderResponse>(answer),
        Op::Identify => decode::<IdentifyResponse>(answer),
        Op::Plan => decode::<Quote>(answer),
        Op::Baseline => decode::<BaselineResponse>(answer),
        Op::Poll => decode::<PollResponse>(answer),
        Op::Find => decode::<FindResponse>(answer),
        Op::CreateProduct
        | Op::UpdateProduct
        | Op::DeleteProduct
        | Op::CreateOrder
        | Op::CancelOrder
        | Op::PayOrder
        | Op::UpdateService
        | Op::SuspendService
        | Op::ResumeService
        | Op::TerminateService
        | Op::CreateRenewal => decode::<StepOutcome>(answer),
    };
    decoded.map_err(|error| undecodable(error.to_string()))
}

/// The full name of the message that answers `op`; `None` for ops that no plugin is asked.
pub(super) fn message(op: Op) -> Option<&'static str> {
    Some(match op {
        Op::Unspecified | Op::AdoptService => return None,
        Op::ListProducts => "purveyor.v1.ListProductsResponse",
        Op::GetProduct => "purveyor.v1.Product",
        Op::GetOrder => "purveyor.v1.Order",
        Op::ListOrders => "purveyor.v1.ListOrdersResponse",
        Op::ListPaymentMethods => "purveyor.v1.ListPaymentMethodsResponse",
        Op::GetOrderSecrets => "purveyor.v1.OrderSecrets",
        Op::ListServices => "purveyor.v1.ListServicesResponse",
        Op::GetService => "purveyor.v1.Service",
        Op::ListRenewalOptions => "purveyor.v1.ListRenewalOptionsResponse",
        Op::GetRenewal => "purveyor.v1.Renewal",
        Op::ListRenewals => "purveyor.v1.ListRenewalsResponse",
        Op::CheckProvider => "purveyor.v1.CheckProviderResponse",
        Op::Identify => "purveyor.plugin.v1.IdentifyResponse",
        Op::Plan => "purveyor.v1.Quote",
        Op::Baseline => "purveyor.plugin.v1.BaselineResponse",
        Op::Poll => "purveyor.plugin.v1.PollResponse",
        Op::Find => "purveyor.plugin.v1.FindResponse",
        Op::CreateProduct
        | Op::UpdateProduct
        | Op::DeleteProduct
        | Op::CreateOrder
        | Op::CancelOrder
        | Op::PayOrder
        | Op::UpdateService
        | Op::SuspendService
        | Op::ResumeService
        | Op::TerminateService
        | Op::CreateRenewal => "purveyor.plugin.v1.StepOutcome",
    })
}

/// The error of an answer that cannot be decoded.
pub(super) fn undecodable(error: String) -> Error {
    Error::fault("the plugin's answer cannot be decoded").with_source(error)
}

fn decode<M: Message + Default>(answer: &[u8]) -> Result<(), DecodeError> {
    M::decode(answer).map(drop)
}
