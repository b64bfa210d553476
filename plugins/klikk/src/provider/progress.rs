//! Following what the upstream has accepted: one look at the orders and one at the servers for many
//! writes. Reads only.

use std::collections::BTreeMap;
use std::time::Duration;

use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{ErrorReason, Order};
use purveyor_sdk::{Cx, Error, PollItem, Progress, Result, Step, Write, WriteRequest};

use super::Klikk;
use super::order_view::{in_order, rests};
use crate::checkpoint::{Placed, decode, encode};
use crate::model::Server;
use crate::{model, token};

/// The longest pause between two looks.
const LONGEST_PAUSE: u64 = 20;

pub(super) async fn poll(klikk: &Klikk, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
    let placed: Vec<Result<Placed>> = items.iter().map(followed).collect();
    let ids: Vec<u64> = placed.iter().flatten().map(|placed| placed.order).collect();
    let orders = klikk.by_id(cx, &ids).await?;
    let told: Vec<&model::Order> = orders.values().flatten().collect();
    let servers = klikk.servers_of(cx, &told).await?;
    let progress = items.iter().zip(placed).map(|(item, placed)| {
        let progress =
            placed.and_then(|placed| klikk.progress(&item.write, placed, &orders, &servers));
        progress.unwrap_or_else(Progress::Unavailable)
    });
    Ok(progress.collect())
}

/// The pause before the next look: one second and growing.
fn pause(looks: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(looks).min(LONGEST_PAUSE))
}

/// The order that a write waits for.
fn followed(item: &PollItem) -> Result<Placed> {
    match &item.write.request {
        WriteRequest::CreateOrder(_) => decode(&item.handle),
        _ => Err(Error::unsupported("following this write")),
    }
}

impl Klikk {
    /// Orders by their identifiers: one is asked for by itself, as are those that are not listed yet,
    /// or without their items.
    async fn by_id(&self, cx: &Cx, ids: &[u64]) -> Result<BTreeMap<u64, Result<model::Order>>> {
        let mut found = BTreeMap::new();
        if ids.len() > 1 {
            let listed = self.client.orders(cx).await?.into_iter();
            let listed = listed.filter(|order| ids.contains(&order.id) && order.items.is_some());
            found.extend(listed.map(|order| (order.id, Ok(order))));
        }
        for id in ids {
            if !found.contains_key(id) {
                found.insert(*id, self.client.order(cx, *id).await);
            }
        }
        Ok(found)
    }

    fn progress(
        &self,
        write: &Write,
        placed: Placed,
        orders: &BTreeMap<u64, Result<model::Order>>,
        servers: &[Server],
    ) -> Result<Progress> {
        let order = match orders.get(&placed.order) {
            Some(Ok(told)) => self.own_order(write, told, servers)?,
            Some(Err(error)) => return Err(unavailable(error)),
            None => return Err(Error::unavailable("the upstream does not tell the order")),
        };
        Ok(match self.goes_on(placed, order)? {
            Step::Done(order) if order.state() == State::Failed => failed(order),
            Step::Done(order) => Progress::Done(order.into()),
            Step::Pending { handle, after, view } => {
                Progress::Pending { handle, after, view: view.map(Into::into) }
            }
            _ => return Err(Error::fault("an order is done or goes on")),
        })
    }

    /// An order of ours, its items where the request has them.
    pub(super) fn own_order(
        &self,
        write: &Write,
        told: &model::Order,
        servers: &[Server],
    ) -> Result<Order> {
        let count = told.items().len();
        let marks: Vec<_> = (0..count).map(|index| token::of(&write.request_id, index)).collect();
        let mut told = told.clone();
        in_order(told.items.as_deref_mut().unwrap_or_default(), &marks);
        self.order(&told, servers)
    }

    /// How a write goes on with its order as it is now: done, or looked at again.
    pub(super) fn goes_on(&self, placed: Placed, order: Order) -> Result<Step<Order>> {
        if rests(&order) {
            return Ok(Step::Done(order));
        }
        let after = pause(placed.looks);
        let handle = encode(&Placed { looks: placed.looks.saturating_add(1), ..placed })?;
        Ok(Step::Pending { handle, after, view: Some(order) })
    }
}

/// An order that was accepted and is not found has not come to be seen yet: that can pass.
fn unavailable(error: &Error) -> Error {
    let reason = match error.reason {
        ErrorReason::OrderNotFound => ErrorReason::UpstreamUnavailable,
        reason => reason,
    };
    let metadata = error.metadata.clone();
    Error { metadata, ..Error::new(reason, error.message.clone()) }
}

fn failed(order: Order) -> Progress {
    let told = order.upstream.as_ref().map(|upstream| upstream.message.as_str());
    let message = format!("the upstream failed to deliver: {}", told.unwrap_or_default());
    let error = Error::new(ErrorReason::UpstreamFailed, message);
    Progress::Failed { error, view: Some(order.into()) }
}

#[cfg(test)]
mod tests {
    use super::{Duration, pause};

    #[test]
    fn pauses_grow() {
        fn check(looks: u32, expected: u64) {
            assert_eq!(pause(looks), Duration::from_secs(expected), "{looks}");
        }
        check(0, 1);
        check(4, 16);
        check(5, 20);
        check(u32::MAX, 20);
    }
}
