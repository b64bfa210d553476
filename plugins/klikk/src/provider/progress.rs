//! Following what the upstream has accepted: one look at the orders and one at the servers for many
//! writes. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, Order};
use purveyor_sdk::{
    Cx, Error, PollItem, Progress, Resource, Result, Standing, Step, Write, WriteRequest,
};

use super::Klikk;
use super::declare::{MARK_LOST, notice};
use super::delivery::{Beside, Judgement, Verdict, marks};
use super::order_view::in_order;
use crate::checkpoint::{Cancelling, Placed, decode, encode};
use crate::model;
use crate::model::{Item, Server, id_of};

/// The longest pause between two looks.
const LONGEST_PAUSE: u64 = 20;

/// What a write waits for.
enum Followed {
    Order(Placed),
    Cancellation(Cancelling),
}

pub(super) async fn poll(klikk: &Klikk, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
    let followed: Vec<Result<Followed>> = items.iter().map(followed).collect();
    let ids = followed.iter().flatten().map(Followed::order).collect();
    let orders = klikk.by_id(cx, &ids).await?;
    let told: Vec<&model::Order> = orders.values().flatten().collect();
    let servers = if orders.values().flatten().count() < orders.len() {
        // The servers of an order that is not found may show what came of it.
        klikk.client.servers(cx, None).await?.rows
    } else {
        klikk.servers_of(cx, &told).await?
    };
    let unmarked = |(item, followed): (&PollItem, &Result<Followed>)| match followed {
        Ok(Followed::Order(placed)) => placed.is_unmarked(&item.write, &orders),
        _ => false,
    };
    let listed = if items.iter().zip(&followed).any(unmarked) {
        klikk.client.orders(cx).await?.rows
    } else {
        Vec::new()
    };
    let beside = Beside { servers, listed };
    let progress = items.iter().zip(followed).map(|(item, followed)| {
        let progress = followed.and_then(|it| klikk.progress(&item.write, it, &orders, &beside));
        progress.unwrap_or_else(Progress::Unavailable)
    });
    Ok(progress.collect())
}

/// The pause before the next look: one second and growing.
pub(super) fn pause(looks: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(looks).min(LONGEST_PAUSE))
}

fn followed(item: &PollItem) -> Result<Followed> {
    match &item.write.request {
        WriteRequest::CreateOrder(_) => decode(&item.handle).map(Followed::Order),
        WriteRequest::CancelOrder(_) => decode(&item.handle).map(Followed::Cancellation),
        _ => Err(Error::unsupported("following this write")),
    }
}

impl Followed {
    fn order(&self) -> u64 {
        match self {
            Self::Order(placed) => placed.order,
            Self::Cancellation(cancelling) => cancelling.target.order,
        }
    }
}

impl Klikk {
    /// Orders by their identifiers: one is asked for by itself, as are those that are not listed yet,
    /// or without their items.
    async fn by_id(
        &self,
        cx: &Cx,
        ids: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Result<model::Order>>> {
        let mut found = BTreeMap::new();
        if ids.len() > 1 {
            let listed = self.client.orders(cx).await?.rows.into_iter();
            // One that is not whole is asked for by itself, and its own write waits.
            let whole = |it: &model::Order| it.items.is_some() && it.gaps.is_empty();
            let listed = listed.filter(|order| ids.contains(&order.id) && whole(order));
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
        followed: Followed,
        orders: &BTreeMap<u64, Result<model::Order>>,
        beside: &Beside,
    ) -> Result<Progress> {
        let told = match orders.get(&followed.order()) {
            Some(Ok(told)) => Some(told),
            Some(Err(error)) if error.reason == ErrorReason::OrderNotFound => None,
            Some(Err(error)) => return Err(error.again()),
            None => return Err(Error::fault("the order was not asked for")),
        };
        match (followed, &write.request, told) {
            (Followed::Order(placed), WriteRequest::CreateOrder(request), Some(told)) => {
                self.order_progress(write, request, placed, told, beside)
            }
            (Followed::Order(placed), WriteRequest::CreateOrder(request), None) => {
                self.vanished(write, request, placed, beside)
            }
            (Followed::Cancellation(cancelling), ..) => {
                self.cancellation_progress(cancelling, told, &beside.servers)
            }
            _ => Err(Error::unsupported("following this write")),
        }
    }

    /// How a write goes on with its order as it is read now.
    pub(super) fn order_progress(
        &self,
        write: &Write,
        request: &CreateOrderRequest,
        mut placed: Placed,
        told: &model::Order,
        beside: &Beside,
    ) -> Result<Progress> {
        let Judgement { verdict, mark_lost } =
            self.judge(write, request, &mut placed, told, beside);
        let mut order = self.own_order(write, request, told, &beside.servers)?;
        if mark_lost {
            order.notices.push(notice(MARK_LOST));
        }
        let view = Some(Resource::from(order.clone()));
        let after = pause(placed.looks);
        let handle = encode(&Placed { looks: placed.looks.saturating_add(1), ..placed })?;
        Ok(match verdict {
            Verdict::Done => Progress::Done(order.into()),
            Verdict::UnderWay => Progress::Pending { handle, after, view },
            Verdict::Stands(standing, why) => {
                Progress::Stands { handle, after, view, standing, error: stands(standing, why) }
            }
            Verdict::Failed(why) => {
                let message = format!("the upstream failed to deliver: {why}");
                Progress::Failed { error: Error::new(ErrorReason::UpstreamFailed, message), view }
            }
        })
    }

    /// As above, of an order that was accepted and is not found: its servers may show that it was
    /// delivered.
    fn vanished(
        &self,
        write: &Write,
        request: &CreateOrderRequest,
        placed: Placed,
        beside: &Beside,
    ) -> Result<Progress> {
        let told = shown_by_servers(placed.order, &beside.servers);
        let why = format!("the upstream does not know order {} any more", placed.order);
        Ok(match self.order_progress(write, request, placed, &told, beside)? {
            Progress::Done(Resource::Order(order)) => Progress::Done(completed(order).into()),
            Progress::Stands { handle, after, .. } | Progress::Pending { handle, after, .. } => {
                let standing = Standing::Unclear;
                let error = stands(standing, why);
                Progress::Stands { handle, after, view: None, standing, error }
            }
            other => other,
        })
    }

    /// What a search found, as the step that goes on with it: a poll tells what does not.
    pub(super) fn found_step(
        &self,
        write: &Write,
        request: &CreateOrderRequest,
        placed: Placed,
        told: &model::Order,
        servers: Vec<Server>,
    ) -> Result<Step<Resource>> {
        let failed = encode(&placed)?;
        let beside = Beside { servers, listed: Vec::new() };
        match self.order_progress(write, request, placed, told, &beside)? {
            Progress::Done(resource) => Ok(Step::Done(resource)),
            Progress::Pending { handle, after, view }
            | Progress::Stands { handle, after, view, .. } => {
                Ok(Step::Pending { handle, after, view })
            }
            Progress::Failed { view, .. } => {
                Ok(Step::Pending { handle: failed, after: pause(0), view })
            }
            _ => Err(Error::fault("an order is done, goes on, stands or has failed")),
        }
    }

    /// An order of ours, its items where the request has them.
    fn own_order(
        &self,
        write: &Write,
        request: &CreateOrderRequest,
        told: &model::Order,
        servers: &[Server],
    ) -> Result<Order> {
        let mut told = told.clone();
        let marks = marks(write, request);
        in_order(told.items.as_deref_mut().unwrap_or_default(), &marks);
        self.order(&told, servers)
    }
}

/// What stands is named by what it ends with.
pub(super) fn stands(standing: Standing, why: String) -> Error {
    match standing {
        Standing::NotDone => Error::new(ErrorReason::UpstreamFailed, why),
        _ => Error::new(ErrorReason::EffectNotSeen, why),
    }
}

/// An order as its servers show it.
fn shown_by_servers(id: u64, servers: &[Server]) -> model::Order {
    let own = servers.iter().filter(|it| it.order.as_deref().and_then(id_of) == Some(id));
    let items = own.map(|server| Item {
        id: server.item,
        product: server.product.clone().unwrap_or_default(),
        reference: server.reference.clone().unwrap_or_default(),
        auto_renew: server.auto_renew,
        ..Item::default()
    });
    model::Order { id, items: Some(items.collect()), ..model::Order::default() }
}

/// Every item has its server, whatever the order's status was.
fn completed(mut order: Order) -> Order {
    order.set_state(State::Completed);
    for item in &mut order.items {
        item.set_state(State::Completed);
    }
    order
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
