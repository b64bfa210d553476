//! Evidence: what became of an order whose answer was lost. Each item carries a mark of ours, which the
//! upstream shows with every order: the order with our marks is the one, and where none has them, there
//! is none.
//!
//! Without marks, which the configuration can ask for, what is new since the order was sent could be
//! anybody's: it is shown to a person, and only that nothing at all is new counts as absence.

use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, UpstreamRef};
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Resource, Result, Write, WriteRequest,
};

use super::{Klikk, cancellations};
use crate::checkpoint::{Before, Placed, encode};
use crate::model::{Order, id_of};
use crate::token;

/// The most orders that are asked for one by one, where the list does not tell their items.
const MAX_SINGLE_LOOKS: usize = 200;

pub(super) async fn baseline(klikk: &Klikk, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    if !matches!(asked.write.request, WriteRequest::CreateOrder(_)) {
        return Err(Error::unsupported("evidence of this write"));
    }
    let tokens = klikk.item_tokens;
    let mut before = Before { tokens, present: Vec::new() };
    if !tokens {
        before.present = klikk.client.orders(cx).await?.iter().map(|order| order.id).collect();
    }
    Ok(Evidence {
        evidence: encode(&before)?,
        // With its marks no order is like another.
        similarity: if tokens { token::of(&asked.write.request_id, 0) } else { String::new() },
        present_ids: before.present.iter().map(u64::to_string).collect(),
        ..Evidence::default()
    })
}

pub(super) async fn find(klikk: &Klikk, cx: &Cx, find: Find) -> Result<Finding> {
    let request = match &find.write.request {
        WriteRequest::CancelOrder(request) => {
            return cancellations::find(klikk, cx, request, &find).await;
        }
        WriteRequest::CreateOrder(request) => request,
        _ => return Err(Error::unsupported("a search for this write")),
    };
    let before = klikk.before(&find.evidence)?;
    if !find.upstream_id.is_empty() {
        return klikk.pointed_out(cx, &find, request, &before).await;
    }
    if before.tokens {
        klikk.marked(cx, &find.write, request).await
    } else {
        klikk.new_since(cx, &find, &before).await
    }
}

impl Klikk {
    /// The order that carries our marks.
    async fn marked(
        &self,
        cx: &Cx,
        write: &Write,
        request: &CreateOrderRequest,
    ) -> Result<Finding> {
        let marks = marks(write, request);
        let (told, untold): (Vec<Order>, Vec<Order>) =
            self.client.orders(cx).await?.into_iter().partition(|order| order.items.is_some());
        let mut ours: Vec<Order> = told.into_iter().filter(|it| carries(it, &marks)).collect();
        if ours.is_empty() {
            ours = self.marked_singly(cx, untold, &marks).await?;
        }
        match ours.as_slice() {
            [] => Ok(Finding::absent()),
            [one] => self.found(cx, write, one).await,
            several => Ok(Finding::unexplained(several.iter().map(candidate).collect())),
        }
    }

    /// As above, where the list does not tell items: the newest first, for ours is new. What cannot be
    /// looked at whole is no absence.
    async fn marked_singly(
        &self,
        cx: &Cx,
        mut untold: Vec<Order>,
        marks: &[String],
    ) -> Result<Vec<Order>> {
        untold.sort_by_key(|order| std::cmp::Reverse(order.id));
        for order in untold.iter().take(MAX_SINGLE_LOOKS) {
            match self.client.order(cx, order.id).await {
                Ok(told) if carries(&told, marks) => return Ok(vec![told]),
                Ok(_) => {}
                Err(error) if error.reason == ErrorReason::OrderNotFound => {}
                Err(error) => return Err(error),
            }
        }
        if untold.len() > MAX_SINGLE_LOOKS {
            return Err(Error::unavailable("there are more orders than can be looked at"));
        }
        Ok(Vec::new())
    }

    /// What is new and belongs to no other write; a person has to say whether it is the one.
    async fn new_since(&self, cx: &Cx, find: &Find, before: &Before) -> Result<Finding> {
        let listed = self.client.orders(cx).await?;
        let new = listed.iter().filter(|order| {
            !before.present.contains(&order.id) && !find.claimed_ids.contains(&order.id.to_string())
        });
        let new: Vec<UpstreamRef> = new.map(candidate).collect();
        Ok(if new.is_empty() { Finding::absent() } else { Finding::unexplained(new) })
    }

    /// The order that an operator names. One that was there before, or that carries the marks of
    /// another request, is not what the write made.
    async fn pointed_out(
        &self,
        cx: &Cx,
        find: &Find,
        request: &CreateOrderRequest,
        before: &Before,
    ) -> Result<Finding> {
        let Some(id) = id_of(&find.upstream_id) else { return Ok(Finding::absent()) };
        if before.present.contains(&id) {
            return Ok(Finding::absent());
        }
        match self.client.order(cx, id).await {
            Ok(told) if fits(&told, request, &marks(&find.write, request)) => {
                self.found(cx, &find.write, &told).await
            }
            Ok(_) => Ok(Finding::absent()),
            Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(Finding::absent()),
            Err(error) => Err(error),
        }
    }

    /// How the write goes on with the order that it turns out to have made.
    async fn found(&self, cx: &Cx, write: &Write, told: &Order) -> Result<Finding> {
        let servers = self.servers_of(cx, &[told]).await?;
        let order = self.own_order(write, told, &servers)?;
        let step = self.goes_on(Placed { order: told.id, looks: 0 }, order)?;
        Ok(Finding::found(told.id.to_string(), step.map(Resource::from)))
    }
}

fn marks(write: &Write, request: &CreateOrderRequest) -> Vec<String> {
    let count = request.order.as_ref().map_or(0, |order| order.items.len());
    (0..count).map(|index| token::of(&write.request_id, index)).collect()
}

/// Whether an order carries one of our marks: one alone is enough, for nobody else could have put it.
fn carries(order: &Order, marks: &[String]) -> bool {
    let mut of_items = order.items().iter().filter_map(|item| token::split(&item.reference).1);
    of_items.any(|mark| marks.iter().any(|ours| ours == mark))
}

/// Whether an order can be the request's: it carries its marks, or none and its names.
fn fits(order: &Order, request: &CreateOrderRequest, marks: &[String]) -> bool {
    let marked = order.items().iter().any(|item| token::split(&item.reference).1.is_some());
    if marked {
        return carries(order, marks);
    }
    let asked = request.order.as_ref().map(|order| order.items.as_slice()).unwrap_or_default();
    let mut asked: Vec<&str> = asked.iter().map(|item| item.display_name.as_str()).collect();
    let mut told: Vec<&str> = order.items().iter().map(|item| item.reference.as_str()).collect();
    asked.sort_unstable();
    told.sort_unstable();
    asked == told
}

fn candidate(order: &Order) -> UpstreamRef {
    UpstreamRef {
        id: order.id.to_string(),
        state: order.status.clone().unwrap_or_default(),
        message: order.message.clone(),
        ..UpstreamRef::default()
    }
}
