//! Cancelling: the upstream stops renewing an order or one item of it, which lives on to the end of its
//! period. Sending it again ends in the same state.

use purveyor_sdk::v1::{CancelOrderRequest, CancelPolicy, ErrorReason, Order};
use purveyor_sdk::{Cx, Error, Find, Finding, Resource, Result, Step};

use super::Klikk;
use crate::client::Sent;
use crate::error::proof;
use crate::model;
use crate::model::{Item, id_of};

pub(super) async fn cancel(
    klikk: &Klikk,
    cx: &Cx,
    request: &CancelOrderRequest,
) -> Result<Step<Order>> {
    let (mut told, item) = klikk.cancellable(cx, request, cx.upstream_id()).await?;
    let servers = klikk.servers_of(cx, &[&told]).await?;
    if is_cancelled(&told, item) {
        return klikk.order(&told, &servers).map(Step::Done);
    }
    match klikk.client.cancel(cx, told.id, item).await? {
        Sent::Accepted(()) => {
            // Nothing may be asked after this; the answer says that it is so.
            for item in targets(told.items.as_deref_mut().unwrap_or_default(), item) {
                item.auto_renew = Some(false);
            }
            klikk.order(&told, &servers).map(Step::Done)
        }
        Sent::Refused { proof: proof::NOT_FOUND, error } => {
            let missing = not_found(request);
            let metadata = error.metadata.into_iter().chain(missing.metadata).collect();
            let error = Error::new(ErrorReason::OrderNotFound, missing.message);
            Ok(Step::rejected(proof::NOT_FOUND, Error { metadata, ..error }))
        }
        Sent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
        Sent::Unknown(message) => Ok(Step::Unknown(message)),
    }
}

/// What became of a cancellation: the items tell whether they renew. Where they do not tell, it is not
/// found, and is sent again after a while.
pub(super) async fn find(
    klikk: &Klikk,
    cx: &Cx,
    request: &CancelOrderRequest,
    find: &Find,
) -> Result<Finding> {
    let (told, item) = klikk.cancellable(cx, request, &find.write.upstream_id).await?;
    if !is_cancelled(&told, item) {
        return Ok(Finding::absent());
    }
    let servers = klikk.servers_of(cx, &[&told]).await?;
    let step = Step::Done(Resource::from(klikk.order(&told, &servers)?));
    // A cancellation makes nothing that could have an identifier.
    Ok(Finding::found("", step))
}

impl Klikk {
    /// The order, and the item of it that is to be cancelled; none: all.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of the policy; ORDER_NOT_FOUND, with `item_id` where an item is named.
    pub(super) async fn cancellable(
        &self,
        cx: &Cx,
        request: &CancelOrderRequest,
        upstream: &str,
    ) -> Result<(model::Order, Option<u64>)> {
        if request.policy() == CancelPolicy::Immediately {
            let description = "the upstream cancels at the end of the period only";
            return Err(Error::field("policy", description));
        }
        let told = self.upstream_order(cx, upstream, &request.name).await?;
        if request.item_id.is_empty() {
            return Ok((told, None));
        }
        let item = id_of(&request.item_id);
        let item = item.filter(|item| told.items().iter().any(|known| known.id == *item));
        item.map(|item| (told, Some(item))).ok_or_else(|| not_found(request))
    }
}

fn is_cancelled(order: &model::Order, item: Option<u64>) -> bool {
    let mut items = order.items().iter().filter(|known| item.is_none_or(|item| item == known.id));
    !order.items().is_empty() && items.all(|known| known.auto_renew == Some(false))
}

fn targets(items: &mut [Item], item: Option<u64>) -> impl Iterator<Item = &mut Item> {
    items.iter_mut().filter(move |known| item.is_none_or(|item| item == known.id))
}

/// The upstream does not say whether the order or the item is missing.
fn not_found(request: &CancelOrderRequest) -> Error {
    if request.item_id.is_empty() {
        return Error::order_not_found(&request.name);
    }
    let message = format!("there is no order {} with an item {}", request.name, request.item_id);
    Error::new(ErrorReason::OrderNotFound, message).with_metadata("item_id", &request.item_id)
}
