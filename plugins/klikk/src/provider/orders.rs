//! Orders: one upstream call for all items. An answer that asks for payment has made the order too, and
//! ends the write: what follows is a person's.

use std::time::Duration;

use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{
    CreateOrderRequest, ErrorReason, GetOrderRequest, ListOrdersRequest, ListOrdersResponse,
    ListView, Order,
};
use purveyor_sdk::{Cx, Error, Result, Step, page, rows};

use super::Klikk;
use crate::checkpoint::{Before, Placed, decode, encode};
use crate::client::{Created, Sent};
use crate::model;
use crate::model::{Due, Server, id_of};

/// How long until an order is looked at that was just accepted.
const FIRST_LOOK: Duration = Duration::from_secs(1);

pub(super) async fn create(
    klikk: &Klikk,
    cx: &Cx,
    request: &CreateOrderRequest,
) -> Result<Step<Order>> {
    let before = klikk.before(cx.baseline())?;
    let lines = klikk.lines(request, cx.request_id(), before.tokens)?;
    let reference = request.order.as_ref().map(|order| order.reference.as_str());
    match klikk.client.create(cx, &lines, reference.unwrap_or_default()).await? {
        Sent::Accepted(created) => {
            let created = klikk.judged(created);
            let view = klikk.created(request, &lines, &created)?;
            if created.due.is_some() {
                return Ok(Step::Done(view));
            }
            let handle = encode(&Placed::new(created.order, Some(before.brief())))?;
            Ok(Step::Pending { handle, after: FIRST_LOOK, view: Some(view) })
        }
        Sent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
        Sent::Unknown(message) => Ok(Step::Unknown(message)),
    }
}

pub(super) async fn get(klikk: &Klikk, cx: &Cx, request: &GetOrderRequest) -> Result<Order> {
    let told = klikk.upstream_order(cx, cx.upstream_id(), &request.name).await?;
    let servers = klikk.servers_of(cx, &[&told]).await?;
    klikk.order(&told, &servers)
}

pub(super) async fn list(
    klikk: &Klikk,
    cx: &Cx,
    request: &ListOrdersRequest,
) -> Result<ListOrdersResponse> {
    let told = klikk.client.orders(cx).await?.shown(cx);
    let servers = klikk.servers_of(cx, &told.iter().collect::<Vec<_>>()).await?;
    let after = |order: &Order| {
        let moment = |time: &purveyor_sdk::prost_types::Timestamp| (time.seconds, time.nanos);
        let limit = request.create_after.as_ref().map(moment);
        // What tells no time is shown: it may be after.
        let time = order.create_time.as_ref().map(moment);
        limit.zip(time).is_none_or(|(limit, time)| time >= limit)
    };
    let wanted = |order: &Order| {
        let state = request.states.is_empty() || request.states.contains(&order.state);
        after(order)
            && (rows::is_incomplete(&order.notices) || state && request.customer.is_empty())
    };
    let shown = told.iter().map(|order| klikk.order(order, &servers));
    let shown =
        shown.filter(|row| row.as_ref().map_or(true, wanted)).collect::<Result<Vec<_>>>()?;
    let (mut orders, next_page_token) = page::of(shown, request.page_size, &request.page_token)?;
    if request.view() == ListView::Full {
        let mut whole = Vec::with_capacity(orders.len());
        for order in orders {
            whole.extend(klikk.with_items(cx, order, &servers).await?);
        }
        orders = whole;
    }
    Ok(ListOrdersResponse { orders, next_page_token, ..ListOrdersResponse::default() })
}

impl Klikk {
    /// A listed order with its items, read by itself where the list does not tell them; `None` where it went
    /// away meanwhile.
    async fn with_items(
        &self,
        cx: &Cx,
        listed: Order,
        servers: &[Server],
    ) -> Result<Option<Order>> {
        if !listed.items.is_empty() {
            return Ok(Some(listed));
        }
        let id = listed.upstream.as_ref().map(|upstream| upstream.id().to_owned());
        let told = self.upstream_order(cx, &id.unwrap_or_default(), &listed.name).await;
        let read = told.and_then(|told| self.order(&told, servers));
        rows::shown("order_status", read, |gaps| {
            let notices = listed.notices.into_iter().chain(gaps.notices()).collect();
            Ok(Order { notices, ..listed })
        })
    }

    /// What was known before the order is, or was, sent.
    pub(super) fn before(&self, evidence: &[u8]) -> Result<Before> {
        if evidence.is_empty() {
            return Ok(Before { tokens: self.item_tokens, ..Before::default() });
        }
        decode(evidence)
    }

    /// The upstream's order of this identifier; `name` is what the caller calls it.
    ///
    /// # Errors
    ///
    /// ORDER_NOT_FOUND.
    pub(super) async fn upstream_order(
        &self,
        cx: &Cx,
        upstream: &str,
        name: &str,
    ) -> Result<model::Order> {
        let id = id_of(upstream).ok_or_else(|| Error::order_not_found(name))?;
        self.client.order(cx, id).await.map_err(|error| match error.reason {
            ErrorReason::OrderNotFound => {
                Error { metadata: error.metadata, ..Error::order_not_found(name) }
            }
            _ => error,
        })
    }

    /// The servers that could be of these orders. Orders that wait for payment have none.
    pub(super) async fn servers_of(
        &self,
        cx: &Cx,
        orders: &[&model::Order],
    ) -> Result<Vec<Server>> {
        let paid = orders
            .iter()
            .filter(|order| self.statuses.state(order.status.as_deref()) != State::AwaitingPayment);
        match paid.collect::<Vec<_>>().as_slice() {
            [] => Ok(Vec::new()),
            [one] => match one.items() {
                [item] => Ok(self.client.servers(cx, Some(item.id)).await?.shown(cx)),
                _ => Ok(self.client.servers(cx, None).await?.shown(cx)),
            },
            _ => Ok(self.client.servers(cx, None).await?.shown(cx)),
        }
    }

    /// A success whose own status asks for payment asks for it as well.
    fn judged(&self, created: Created) -> Created {
        let asks = self.statuses.state(created.status.as_deref()) == State::AwaitingPayment;
        let due = created.due.or_else(|| asks.then(Due::default));
        Created { due, ..created }
    }
}
