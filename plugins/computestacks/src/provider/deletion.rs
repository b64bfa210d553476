//! Deleting a product, and what has become of it when the answer was lost.

use std::time::Duration;

use purveyor_sdk::v1::{DeleteProductRequest, ErrorReason};
use purveyor_sdk::{Cx, Deleted, Error, Finding, Progress, Resource, Result, Standing, Step};

use super::ComputeStacks;
use super::delivered::Presence;
use crate::checkpoint::{Before, Handle, decode, encode};
use crate::client::Sent;
use crate::error::proof;
use crate::model::{Identity, Likeness};

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
            return Ok(Step::Done(gone(request)));
        }
        id => id?,
    };
    let Some(row) = stacks.client.product(cx, id).await? else {
        let gone_indeed = stacks.presence(cx, id, None).await? == Presence::Gone;
        return match (request.allow_missing, gone_indeed) {
            (_, false) => Err(Error::unavailable("the upstream lists the product and has none")),
            (true, true) => Ok(Step::Done(gone(request))),
            (false, true) => Err(Error::product_not_found(&request.name)),
        };
    };
    match target(cx.baseline())?.map(|before| before.compare(&row)) {
        Some(Likeness::Other) => return Ok(Step::Done(gone(request))),
        Some(Likeness::Unsure) => {
            let message = format!("{} was changed, or is another product now", request.name);
            return Err(Error::state(message));
        }
        Some(Likeness::Same) | None => {}
    }
    match stacks.client.delete(cx, id).await? {
        Sent::Accepted(_) => {
            let handle = Handle::Gone { product: id, identity: Identity::of(&row) };
            Ok(Step::pending(encode(&handle)?, Duration::ZERO))
        }
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

/// A product that is gone is what a deletion comes to, whoever deleted it. One that is there is deleted
/// again only where it is the same.
pub(super) async fn find(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &DeleteProductRequest,
    evidence: &[u8],
) -> Result<Finding> {
    let id = stacks.product_id(&request.name, "name")?;
    let before = if evidence.is_empty() { None } else { target(evidence)? };
    Ok(match stacks.presence(cx, id, before).await? {
        Presence::Gone => Finding::found("", Step::<Resource>::Done(gone(request).into())),
        Presence::There => Finding::absent(),
        Presence::Unsure => Finding::incomplete(format!(
            "{} is there, and was changed or is another product than before",
            request.name
        )),
    })
}

/// How far a deletion is that the upstream accepted.
pub(super) async fn progress(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: &DeleteProductRequest,
    (product, identity): (i64, Identity),
    handle: &[u8],
) -> Result<Progress> {
    if stacks.presence(cx, product, Some(identity)).await? == Presence::Gone {
        return Ok(Progress::Done(gone(request).into()));
    }
    let message = format!("the upstream says that it deleted {}, and still shows it", request.name);
    Ok(Progress::Stands {
        handle: handle.to_vec(),
        after: super::progress::PAUSE,
        view: None,
        standing: Standing::EffectAwaited,
        error: Error::new(ErrorReason::UpstreamFailed, message),
    })
}

/// The product that the evidence of a setting is about.
fn target(evidence: &[u8]) -> Result<Option<Identity>> {
    if evidence.is_empty() {
        return Ok(None);
    }
    Ok(match decode(evidence)? {
        Before::Target { identity, .. } => Some(identity),
        _ => None,
    })
}

fn gone(request: &DeleteProductRequest) -> Deleted {
    Deleted(request.name.clone())
}
