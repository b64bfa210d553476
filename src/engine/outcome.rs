//! What came of an operation, as callers see it: the resource under its canonical name, with what was
//! asked for, also while nothing was seen yet. It is what was last seen and not what a read would show
//! now, so it carries no etag.

use purveyor_sdk::names::ProviderName;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::resource::Kind;
use purveyor_sdk::v1::{ErrorReason, UpstreamRef};
use purveyor_sdk::{Error, Result};

use super::made_here::recorded;
use crate::store::operation::Operation;

/// The resource of an operation; `None` where nothing is known of one.
///
/// # Errors
///
/// INTERNAL for a stored row that cannot be read any more.
pub fn resource(operation: &Operation) -> Result<Option<Kind>> {
    let provider = ProviderName::new(operation.provider.clone()).map_err(|error| {
        Error::new(ErrorReason::Internal, "a stored provider is no name").with_source(error)
    })?;
    let seen = operation.view.as_ref().and_then(|view| view.kind.clone());
    let mut resource = match (operation.op, seen) {
        (Op::CreateOrder, _) => Some(Kind::Order(recorded(&provider, operation)?)),
        (Op::CreateRenewal, _) => Some(Kind::Renewal(recorded(&provider, operation)?)),
        (_, seen) => seen,
    };
    match &mut resource {
        Some(Kind::Order(order)) => {
            order.name.clone_from(&operation.target);
            order.etag.clear();
        }
        Some(Kind::Renewal(renewal)) => renewal.etag.clear(),
        Some(Kind::Service(service)) => {
            service.name.clone_from(&operation.target);
            service.etag.clear();
        }
        Some(Kind::Product(product)) => product.etag.clear(),
        Some(Kind::Deleted(_)) | None => {}
    }
    Ok(resource)
}

/// What exists upstream: what was made or last seen, else the object that the operation is about.
pub fn upstream(operation: &Operation) -> UpstreamRef {
    let seen = &operation.upstream;
    if seen.ids.is_empty() && !operation.upstream_target.is_empty() {
        return UpstreamRef { ids: operation.upstream_target.clone(), ..seen.clone() };
    }
    seen.clone()
}
