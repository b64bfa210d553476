//! What has come of an order, as read: one judgement for polls and searches. The upstream's word alone
//! ends nothing as a success: each item has to have its server.

use std::collections::BTreeMap;

use purveyor_sdk::names::ProductName;
use purveyor_sdk::v1::CreateOrderRequest;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::{Result, Standing, Write, WriteRequest};

use super::Klikk;
use crate::checkpoint::Placed;
use crate::model::{Item, Life, Order, Server};
use crate::token;

/// What has come of an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Each item has its server, or will have none beside others that have theirs; or a person has
    /// to pay.
    Done,
    /// The upstream works on it.
    UnderWay,
    /// The upstream does not go on, and not everything is there; what is missing.
    Stands(Standing, String),
    /// The upstream's final word is that it will not be delivered.
    Failed(String),
}

/// A verdict, and whether the order is taken for ours although our marks are lost.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) mark_lost: bool,
}

/// What is read beside an order that is followed.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) servers: Vec<Server>,
    /// All orders; read only where an order that is followed lacks its marks.
    pub(super) listed: Vec<Order>,
}

/// Whose an order is, by the marks in its names.
#[derive(Debug, PartialEq)]
pub(super) enum Owner<'a> {
    Ours,
    /// It carries no mark.
    Unmarked,
    /// It carries this mark, which is not ours.
    Another(&'a str),
}

/// What has come of one item.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    There,
    Installing,
    Ended,
    /// A word that nobody knows.
    Unknown,
    Unpaid,
    /// Nobody has paid in time.
    Lapsed,
    /// It will not be delivered.
    Lost,
    /// The upstream works on it.
    Processing,
    /// The upstream calls it delivered, and its server is not listed.
    Awaited,
}

impl Klikk {
    /// What has come of the order that a write follows. Notes in `placed` that it carries our mark.
    pub(super) fn judge(
        &self,
        write: &Write,
        request: &CreateOrderRequest,
        placed: &mut Placed,
        told: &Order,
        beside: &Beside,
    ) -> Judgement {
        let id = told.id;
        let unclear = |why: String| Judgement {
            verdict: Verdict::Stands(Standing::Unclear, why),
            mark_lost: false,
        };
        let marks = marks(write, request);
        match owner(told, &marks) {
            Owner::Ours => placed.ours = true,
            Owner::Another(mark) if !placed.ours => {
                return unclear(format!("order {id} carries the mark {mark} of another request"));
            }
            Owner::Another(_) | Owner::Unmarked => {}
        }
        // What an earlier plugin wrote does not tell how the order was sent.
        let before = placed.before.as_ref().filter(|_| !placed.ours);
        if before.is_some_and(|before| before.stood(id)) {
            return unclear(format!("order {id} was there before the request, without its marks"));
        }
        if !is_as_asked(told, request) {
            return unclear(format!("order {id} has other items than were asked for"));
        }
        let marked = |other: &&Order| other.id != id && owner(other, &marks) == Owner::Ours;
        if let Some(other) = before.and_then(|_| beside.listed.iter().find(marked)) {
            let other = other.id;
            return unclear(format!(
                "order {id} carries no mark, and order {other} carries its own"
            ));
        }
        Judgement {
            verdict: self.verdict(told, &beside.servers),
            mark_lost: before.is_some_and(|before| before.tokens),
        }
    }

    fn verdict(&self, told: &Order, servers: &[Server]) -> Verdict {
        let fates: Vec<Fate> = told.items().iter().map(|item| self.fate(item, servers)).collect();
        let any = |fate: Fate| fates.contains(&fate);
        let said = self.statuses.state(told.status.as_deref());
        let stands = |standing| Verdict::Stands(standing, self.missing(told, servers));
        if fates.iter().all(|fate| *fate == Fate::There) {
            return Verdict::Done;
        }
        match said {
            State::AwaitingPayment => return Verdict::Done,
            State::Failed | State::Cancelled | State::Expired => {
                let own = |server: &&Server| told.items().iter().any(|it| it.id == server.item);
                let mut own = servers.iter().filter(own);
                if own.any(|server| server.life != Life::Running) {
                    return stands(Standing::Unclear);
                }
                return match said {
                    State::Expired => stands(Standing::NotDone),
                    _ => Verdict::Failed(self.missing(told, servers)),
                };
            }
            State::Provisioning | State::Completed => {}
            _ if any(Fate::Installing) => {}
            _ => return stands(Standing::Unclear),
        }
        if any(Fate::Unpaid) {
            Verdict::Done
        } else if any(Fate::Installing) {
            Verdict::UnderWay
        } else if any(Fate::Unknown) || any(Fate::Ended) {
            stands(Standing::Unclear)
        } else if any(Fate::Processing) && said != State::Completed {
            Verdict::UnderWay
        } else if any(Fate::Processing) || any(Fate::Awaited) {
            stands(Standing::EffectAwaited)
        } else if any(Fate::There) {
            Verdict::Done
        } else if any(Fate::Lapsed) {
            stands(Standing::NotDone)
        } else {
            Verdict::Failed(self.missing(told, servers))
        }
    }

    fn fate(&self, item: &Item, servers: &[Server]) -> Fate {
        match life(item, servers) {
            Some(Life::Running) => Fate::There,
            Some(Life::Installing) => Fate::Installing,
            Some(Life::Ended) => Fate::Ended,
            Some(Life::Unknown) => Fate::Unknown,
            None => match self.statuses.state(item.status.as_deref()) {
                State::Provisioning => Fate::Processing,
                State::Completed => Fate::Awaited,
                State::AwaitingPayment => Fate::Unpaid,
                State::Expired => Fate::Lapsed,
                State::Cancelled | State::Failed => Fate::Lost,
                _ => Fate::Unknown,
            },
        }
    }

    /// What the upstream says of an order, and of the first item that has no server that runs.
    fn missing(&self, told: &Order, servers: &[Server]) -> String {
        let word = |status: &Option<String>| status.clone().unwrap_or_else(|| "nothing".to_owned());
        let order = format!("order {} says {} ({})", told.id, word(&told.status), told.message);
        let missing = |item: &&Item| self.fate(item, servers) != Fate::There;
        let Some(item) = told.items().iter().find(missing) else { return order };
        let server = servers.iter().find(|server| server.item == item.id);
        let server = server.map_or_else(
            || "has no server".to_owned(),
            |server| format!("has a server that says {}", word(&server.state)),
        );
        let (id, said, message) = (item.id, word(&item.status), &item.message);
        format!("{order}, and its item {id}, which says {said} ({message}), {server}")
    }
}

impl Placed {
    /// Whether the order that is followed was sent with marks, and shows none of them.
    pub(super) fn is_unmarked(&self, write: &Write, orders: &BTreeMap<u64, Result<Order>>) -> bool {
        let (Some(Ok(told)), WriteRequest::CreateOrder(request)) =
            (orders.get(&self.order), &write.request)
        else {
            return false;
        };
        let sent_with = self.before.as_ref().is_some_and(|before| before.tokens);
        sent_with && !self.ours && owner(told, &marks(write, request)) == Owner::Unmarked
    }
}

/// The marks of a request's items, in their order.
pub(super) fn marks(write: &Write, request: &CreateOrderRequest) -> Vec<String> {
    let count = request.order.as_ref().map_or(0, |order| order.items.len());
    (0..count).map(|index| token::of(&write.request_id, index)).collect()
}

/// Everything in an order's names that is formed like a mark.
pub(super) fn marks_in(order: &Order) -> impl Iterator<Item = &str> {
    order.items().iter().flat_map(|item| token::all(&item.reference))
}

/// One of our marks alone is enough, for nobody else could have put it.
pub(super) fn owner<'a>(order: &'a Order, marks: &[String]) -> Owner<'a> {
    if marks_in(order).any(|mark| marks.iter().any(|ours| ours == mark)) {
        return Owner::Ours;
    }
    marks_in(order).next().map_or(Owner::Unmarked, Owner::Another)
}

/// Whether an order has as many items of each product as the request.
pub(super) fn is_as_asked(order: &Order, request: &CreateOrderRequest) -> bool {
    let asked = request.order.as_ref().map(|order| order.items.as_slice()).unwrap_or_default();
    let parsed = asked.iter().map(|item| item.product.parse::<ProductName>().ok());
    let mut asked: Vec<String> =
        parsed.map(|name| name.map(|name| name.id().to_owned()).unwrap_or_default()).collect();
    let mut told: Vec<&str> = order.items().iter().map(|item| item.product.as_str()).collect();
    asked.sort_unstable();
    told.sort_unstable();
    asked == told
}

fn life(item: &Item, servers: &[Server]) -> Option<Life> {
    servers.iter().find(|server| server.item == item.id).map(|server| server.life)
}
