//! Cancelling: the upstream stops renewing an order or one item of it, which lives on to the end of its
//! period. Sending it again ends in the same state.

use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{CancelOrderRequest, CancelPolicy, ErrorReason, Order};
use purveyor_sdk::{
    Cx, Error, Evidence, Find, Finding, Progress, Resource, Result, Standing, Step,
};

use super::Klikk;
use super::declare::{EFFECT_NOT_READ, notice};
use super::progress::{pause, stands};
use crate::checkpoint::{Cancelling, Identity, decode, encode};
use crate::client::Sent;
use crate::error::proof;
use crate::model;
use crate::model::{Item, Server, id_of};

/// Whether what is to be cancelled renews, as read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Renewal {
    /// Nothing of it does.
    Ended,
    /// This item does.
    Renews(u64),
    /// The upstream does not tell.
    Untold,
}

pub(super) async fn cancel(
    klikk: &Klikk,
    cx: &Cx,
    request: &CancelOrderRequest,
) -> Result<Step<Order>> {
    let (mut told, item) = klikk.cancellable(cx, request, cx.upstream_id()).await?;
    let servers = klikk.servers_of(cx, &[&told]).await?;
    let renewal = klikk.renewal(&told, item, &servers);
    if renewal == Renewal::Ended {
        return klikk.order(&told, &servers).map(Step::Done);
    }
    match klikk.client.cancel(cx, told.id, item).await? {
        Sent::Accepted(()) if renewal == Renewal::Untold => {
            // Nothing can be read: the answer says that it is so.
            for item in targets(told.items.as_deref_mut().unwrap_or_default(), item) {
                item.auto_renew = Some(false);
            }
            let mut order = klikk.order(&told, &servers)?;
            order.notices.push(notice(EFFECT_NOT_READ));
            Ok(Step::Done(order))
        }
        Sent::Accepted(()) => {
            let handle = encode(&Cancelling { item, target: identity(&told), looks: 0 })?;
            let view = Some(klikk.order(&told, &servers)?);
            Ok(Step::Pending { handle, after: pause(0), view })
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

/// What a cancellation is about, so that it is not sent again to another order of the same number.
pub(super) async fn baseline(
    klikk: &Klikk,
    cx: &Cx,
    request: &CancelOrderRequest,
    upstream: &str,
) -> Result<Evidence> {
    let (told, _) = klikk.cancellable(cx, request, upstream).await?;
    Ok(Evidence {
        evidence: encode(&identity(&told))?,
        similarity: format!("order_cancel {} {}", told.id, request.item_id),
        ..Evidence::default()
    })
}

/// What became of a cancellation: the items tell whether they renew.
pub(super) async fn find(
    klikk: &Klikk,
    cx: &Cx,
    request: &CancelOrderRequest,
    find: &Find,
) -> Result<Finding> {
    let (told, item) = match klikk.cancellable(cx, request, find.write.upstream_id()).await {
        Ok(found) => found,
        Err(error) if error.reason == ErrorReason::OrderNotFound => {
            return Ok(Finding::incomplete(error.message));
        }
        Err(error) => return Err(error),
    };
    if !find.evidence.is_empty() && decode::<Identity>(&find.evidence)? != identity(&told) {
        return Ok(Finding::incomplete(another(told.id)));
    }
    let servers = klikk.servers_of(cx, &[&told]).await?;
    Ok(match klikk.renewal(&told, item, &servers) {
        // A cancellation makes nothing that could have an identifier.
        Renewal::Ended => {
            Finding::found("", Step::Done(Resource::from(klikk.order(&told, &servers)?)))
        }
        Renewal::Renews(_) => Finding::absent(),
        Renewal::Untold => Finding::incomplete(untold(told.id)),
    })
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

    /// Whether an order, or an item of it, renews. Items and servers may tell; an item that has ended
    /// does not.
    fn renewal(&self, order: &model::Order, item: Option<u64>, servers: &[Server]) -> Renewal {
        let wanted = |known: &&Item| item.is_none_or(|item| item == known.id);
        let mut words = Vec::new();
        for known in order.items().iter().filter(wanted) {
            if self.statuses.state(known.status.as_deref()) == State::Cancelled {
                words.push(Some(false));
                continue;
            }
            let server = servers.iter().find(|server| server.item == known.id);
            let told = [known.auto_renew, server.and_then(|server| server.auto_renew)];
            if told.contains(&Some(true)) {
                return Renewal::Renews(known.id);
            }
            words.push(told.into_iter().flatten().next());
        }
        let ended = !words.is_empty() && words.iter().all(Option::is_some);
        if ended { Renewal::Ended } else { Renewal::Untold }
    }

    /// How far an accepted cancellation is: `told` is none where the order is not found.
    pub(super) fn cancellation_progress(
        &self,
        cancelling: Cancelling,
        told: Option<&model::Order>,
        servers: &[Server],
    ) -> Result<Progress> {
        let Cancelling { item, target, looks } = cancelling;
        let order = target.order;
        let view = told.map(|told| self.order(told, servers)).transpose()?;
        let (standing, why) = match told {
            None => {
                let why = format!("the upstream does not know order {order} any more");
                (Standing::Unclear, why)
            }
            Some(told) if identity(told) != target => (Standing::Unclear, another(order)),
            Some(told) => match self.renewal(told, item, servers) {
                Renewal::Ended => return Ok(Progress::Done(self.order(told, servers)?.into())),
                Renewal::Renews(item) => {
                    let why = format!("order_cancel is answered with success, and item {item}");
                    (Standing::EffectAwaited, format!("{why} of order {order} still renews"))
                }
                Renewal::Untold => (Standing::Unclear, untold(order)),
            },
        };
        let after = pause(looks);
        let looks = looks.saturating_add(1);
        let handle = encode(&Cancelling { item, target, looks })?;
        let (view, error) = (view.map(Resource::from), stands(standing, why));
        Ok(Progress::Stands { handle, after, view, standing, error })
    }
}

/// What the upstream never changes of an order.
fn identity(order: &model::Order) -> Identity {
    let mut items: Vec<u64> = order.items().iter().map(|item| item.id).collect();
    items.sort_unstable();
    Identity { order: order.id, created: order.created.map(|moment| moment.seconds), items }
}

fn another(order: u64) -> String {
    format!("order {order} is another order than the one that was to be cancelled")
}

fn untold(order: u64) -> String {
    format!("the upstream does not tell whether order {order} renews")
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
