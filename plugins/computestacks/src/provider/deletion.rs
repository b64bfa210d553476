//! Deleting a product, and what has become of it when the answer was lost.

use purveyor_sdk::v1::{DeleteProductRequest, ErrorReason};
use purveyor_sdk::{Cx, Deleted, Error, Finding, Resource, Result, Step};

use super::ComputeStacks;
use crate::client::Sent;
use crate::error::proof;

/// What does not exist is told by a look, before anything is sent. From then on it exists, and what
/// is then called missing was deleted in the meantime, perhaps by an earlier request of this very
/// write: a search finds it gone, which is what was wanted.
pub(super) async fn delete(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &DeleteProductRequest,
) -> Result<Step<Deleted>> {
    let id = match stacks.product_id(&request.name, "name") {
        Err(error) if error.reason == ErrorReason::ProductNotFound && request.allow_missing => {
            return Ok(gone(request));
        }
        id => id?,
    };
    if stacks.client.product(cx, id).await?.is_none() {
        return match request.allow_missing {
            true => Ok(gone(request)),
            false => Err(Error::product_not_found(&request.name)),
        };
    }
    match stacks.client.delete(cx, id).await? {
        Sent::Accepted(_) => Ok(gone(request)),
        Sent::Refused { proof: proof::MISSING, .. } => {
            Ok(Step::unknown("the product was deleted while its deletion was sent"))
        }
        // A subscription that uses it is a state that can pass.
        Sent::Refused { proof: proof::INVALID, error }
            if error.reason == ErrorReason::UpstreamRejected =>
        {
            Ok(Step::rejected(proof::INVALID, error.with_reason(ErrorReason::StateConflict)))
        }
        Sent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
        Sent::Unknown(message) => Ok(Step::unknown(message)),
    }
}

/// A product that is gone is what a deletion comes to, whoever deleted it.
pub(super) async fn find(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &DeleteProductRequest,
) -> Result<Finding> {
    let id = stacks.product_id(&request.name, "name")?;
    Ok(match stacks.client.product(cx, id).await? {
        Some(_) => Finding::absent(),
        None => Finding::found("", gone(request).map(Resource::from)),
    })
}

fn gone(request: &DeleteProductRequest) -> Step<Deleted> {
    Step::Done(Deleted(request.name.clone()))
}
