//! Evidence: what became of an order whose answer was lost. Each item carries a mark of ours, which the
//! upstream shows with every order: an order with our marks is the one. Names can be cut or changed, so
//! an order that is new and that nothing explains forbids absence.
//!
//! Without marks, which the configuration can ask for, what is new could be anybody's: it is shown to a
//! person.

use std::collections::BTreeSet;

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, UpstreamRef};
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Result, Traces, Write, WriteRequest, rows,
};

use super::delivery::{Owner, is_as_asked, marks, marks_in, owner};
use super::lines::MAX_ITEMS;
use super::{Klikk, cancellations};
use crate::checkpoint::{Before, Placed, encode};
use crate::client::Listed;
use crate::model::{Order, id_of};
use crate::token;

/// How far before a moment an order that was made after it can be dated: an hour that a zone's clocks are put
/// back, and a minute by which the upstream's own clocks may differ.
const DATE_MARGIN_SECONDS: i64 = 3660;

/// The most orders that are asked for one by one, where the list does not tell their items.
const MAX_SINGLE_LOOKS: usize = 200;

/// How many listed orders a baseline keeps, of which one shows later that a list is whole.
const MAX_KNOWN: usize = 3;

/// No upstream is assumed to cut names to fewer characters: a shorter one is another name.
const SHORTEST_CUT: usize = 8;

pub(super) async fn baseline(klikk: &Klikk, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    let tokens = klikk.item_tokens;
    match &asked.write.request {
        WriteRequest::CancelOrder(request) => {
            return cancellations::baseline(klikk, cx, request, asked.write.upstream_id()).await;
        }
        // What cannot be sold is refused before anything is asked.
        WriteRequest::CreateOrder(request) => {
            klikk.lines(request, &asked.write.request_id, tokens)?;
        }
        _ => return Err(Error::unsupported("evidence of this write")),
    }
    let listed = klikk.client.orders(cx).await?.rows;
    let mut known: Vec<u64> = listed.iter().map(|it| it.id).collect();
    known.sort_unstable_by(|one, other| other.cmp(one));
    known.truncate(MAX_KNOWN);
    let highest = match &asked.lost_since {
        None => known.first().copied(),
        Some(since) => highest_before(&listed, since),
    };
    let before = Before {
        tokens,
        present: Vec::new(),
        highest: Some(highest.unwrap_or_default()),
        known,
        lost: asked.lost_since.is_some(),
    };
    Ok(Evidence {
        without_lost: before.lost,
        evidence: encode(&before)?,
        // With its marks no order is like another.
        similarity: if tokens { token::of(&asked.write.request_id, 0) } else { String::new() },
        highest_id: highest.map(|id| id.to_string()).unwrap_or_default(),
        ..Evidence::default()
    })
}

/// The highest order that was certainly made before a moment. Identifiers only grow, so one that does not
/// tell its date is older than one that does.
fn highest_before(listed: &[Order], since: &Timestamp) -> Option<u64> {
    let limit = since.seconds - DATE_MARGIN_SECONDS;
    let earlier = |order: &&Order| order.created.is_some_and(|created| created.seconds < limit);
    listed.iter().filter(earlier).map(|order| order.id).max()
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
    klikk.searched(cx, &find, request, &before).await
}

impl Klikk {
    /// Searches one list of all orders for the one that carries our marks, and for what speaks against
    /// its absence.
    async fn searched(
        &self,
        cx: &Cx,
        find: &Find,
        request: &CreateOrderRequest,
        before: &Before,
    ) -> Result<Finding> {
        let Listed { rows: mut listed, nameless } = self.client.orders(cx).await?;
        listed.sort_by_key(|order| order.id);
        let claimed = |order: &Order| find.claimed_ids.contains(&order.id.to_string());
        self.tell_items(cx, &mut listed, before, claimed).await?;
        let marks = marks(&find.write, request);
        let ours = |order: &&Order| owner(order, &marks) == Owner::Ours;
        // A request that was sent again may have made more than one: what is new and is nobody's
        // belongs to the attempt that is searched for.
        let mut groups: [Vec<&Order>; 3] = Default::default();
        for order in listed.iter().filter(ours) {
            let group = if before.stood(order.id) { 2 } else { usize::from(claimed(order)) };
            groups[group].push(order);
        }
        match groups.iter().find(|group| !group.is_empty()).map(Vec::as_slice) {
            Some([one]) => return self.found(cx, find, request, before, one).await,
            Some(several) => {
                return Ok(Finding::Absent(Traces {
                    alike_ids: several.iter().map(|order| order.id.to_string()).collect(),
                    unexplained: several.iter().copied().map(candidate).collect(),
                    ..Traces::default()
                }));
            }
            None => {}
        }
        if before.highest.is_none() && before.tokens {
            return Ok(Finding::incomplete("no orders were listed before the request was sent"));
        }
        let unread = |it: &&Order| !it.gaps.is_empty() && !before.stood(it.id) && !claimed(it);
        let unread =
            listed.iter().find(unread).map(|it| it.gaps.check(&format!("order {}", it.id)));
        let unread = unread.and_then(Result::err).or_else(|| nameless.first().map(Error::again));
        if let Some(error) = unread {
            // It may bear the marks.
            return Ok(Finding::incomplete(error.message));
        }
        let explained = explained(&listed, &find.other_request_ids);
        let new = listed.iter().filter(|it| !before.stood(it.id) && !claimed(it));
        // The marks of requests that the gateway lacks are marks of others as well, and what was not
        // asked for here was made by one of them or by somebody else.
        let of_others = |order: &Order| {
            explained.contains(&order.id)
                || (before.lost
                    && (owner(order, &marks) != Owner::Unmarked || !is_as_asked(order, request)))
        };
        let (marked, unexplained): (Vec<&Order>, Vec<&Order>) =
            new.partition(|order| of_others(order));
        let alike = unexplained.iter().filter(|it| fits(it, &find.write, request, before));
        Ok(Finding::Absent(Traces {
            alike_ids: alike.map(|order| order.id.to_string()).collect(),
            unexplained: unexplained.into_iter().map(candidate).collect(),
            incomplete: self.incomplete(cx, find, before, &listed).await?,
            marked_ids: marked.iter().map(|order| order.id.to_string()).collect(),
            ..Traces::default()
        }))
    }

    /// Reads the items of new orders by themselves where the list does not tell them: first of those that
    /// nobody has claimed, the newest first. What cannot be read so keeps telling none, and nothing
    /// explains it.
    async fn tell_items(
        &self,
        cx: &Cx,
        listed: &mut [Order],
        before: &Before,
        claimed: impl Fn(&Order) -> bool,
    ) -> Result<()> {
        let untold =
            listed.iter_mut().rev().filter(|it| it.items.is_none() && !before.stood(it.id));
        let (last, first): (Vec<_>, Vec<_>) = untold.partition(|order| claimed(order));
        for order in first.into_iter().chain(last).take(MAX_SINGLE_LOOKS) {
            match self.client.order(cx, order.id).await {
                Ok(told) => *order = told,
                Err(error) if error.reason == ErrorReason::OrderNotFound => {}
                Err(error) if rows::is_of_one_row(&error) => order.gaps.add("order_status", &error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Why a list is not whole; empty: it is.
    async fn incomplete(
        &self,
        cx: &Cx,
        find: &Find,
        before: &Before,
        listed: &[Order],
    ) -> Result<String> {
        let ids: BTreeSet<String> = listed.iter().map(|order| order.id.to_string()).collect();
        let mut known = before.known.clone();
        if known.is_empty() {
            // As an earlier plugin kept them.
            known.clone_from(&before.present);
            known.sort_unstable_by(|one, other| other.cmp(one));
            known.truncate(MAX_KNOWN);
        }
        let known: Vec<String> = known.iter().map(u64::to_string).collect();
        let exists = |id: String| async move {
            let Some(id) = id_of(&id) else { return Ok(false) };
            match self.client.order(cx, id).await {
                Ok(_) => Ok(true),
                Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(false),
                // It is not known to be gone.
                Err(error) if rows::is_of_one_row(&error) => Ok(true),
                Err(error) => Err(error),
            }
        };
        find.incomplete(&known, |id| ids.contains(id), exists).await
    }

    /// The order that an operator names. One that was there before, that carries the marks of another
    /// request or has other items is not what the write made.
    async fn pointed_out(
        &self,
        cx: &Cx,
        find: &Find,
        request: &CreateOrderRequest,
        before: &Before,
    ) -> Result<Finding> {
        let Some(id) = id_of(&find.upstream_id) else { return Ok(Finding::absent()) };
        match self.client.order(cx, id).await {
            Ok(told) => match owner(&told, &marks(&find.write, request)) {
                Owner::Ours => self.found(cx, find, request, before, &told).await,
                Owner::Unmarked if !before.stood(id) && can_be(&told, find, request, before) => {
                    self.found(cx, find, request, before, &told).await
                }
                _ => Ok(Finding::absent()),
            },
            Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(Finding::absent()),
            Err(error) => Err(error),
        }
    }

    /// How the write goes on with the order that it turns out to have made.
    async fn found(
        &self,
        cx: &Cx,
        find: &Find,
        request: &CreateOrderRequest,
        before: &Before,
        told: &Order,
    ) -> Result<Finding> {
        let servers = self.servers_of(cx, &[told]).await?;
        // What an earlier plugin kept does not tell what was there.
        let before = before.highest.map(|_| before.brief());
        let placed = Placed::new(told.id, before);
        let step = self.found_step(&find.write, request, placed, told, servers)?;
        Ok(Finding::found(told.id.to_string(), step))
    }
}

/// Whether an order that an operator names can be the request's. Names that were sent with marks may
/// have been changed since.
fn can_be(order: &Order, find: &Find, request: &CreateOrderRequest, before: &Before) -> bool {
    let changed = before.tokens && is_as_asked(order, request);
    changed || fits(order, &find.write, request, before)
}

/// Whether an order is what was asked for, and its names are what was sent or the beginning of it.
fn fits(order: &Order, write: &Write, request: &CreateOrderRequest, before: &Before) -> bool {
    let asked = request.order.as_ref().map(|order| order.items.as_slice()).unwrap_or_default();
    let sent = asked.iter().enumerate().map(|(index, item)| {
        let mark = before.tokens.then(|| token::of(&write.request_id, index));
        let whole = mark.map(|mark| token::put(&item.display_name, &mark));
        whole.unwrap_or_else(|| item.display_name.clone())
    });
    let sent: Vec<String> = sent.collect();
    let is_cut = |told: &str, sent: &str| {
        told == sent || (sent.starts_with(told) && told.chars().count() >= SHORTEST_CUT)
    };
    let mut told = order.items().iter().map(|item| item.reference.as_str());
    is_as_asked(order, request) && told.all(|told| sent.iter().any(|sent| is_cut(told, sent)))
}

/// The orders that the marks of other requests explain: the oldest order with the marks of a request,
/// unless it carries those of another as well.
fn explained(listed: &[Order], requests: &[String]) -> BTreeSet<u64> {
    let marks = |request: &String| -> BTreeSet<String> {
        (0..MAX_ITEMS).map(|index| token::of(request, index)).collect()
    };
    let marks: Vec<BTreeSet<String>> = requests.iter().map(marks).collect();
    let carries = |order: &Order, of: &BTreeSet<String>| marks_in(order).any(|it| of.contains(it));
    let oldest = marks.iter().filter_map(|of| listed.iter().find(|order| carries(order, of)));
    let of_one = |order: &&Order| marks.iter().filter(|of| carries(order, of)).count() == 1;
    oldest.filter(of_one).map(|order| order.id).collect()
}

fn candidate(order: &Order) -> UpstreamRef {
    UpstreamRef {
        ids: vec![order.id.to_string()],
        state: order.status.clone().unwrap_or_default(),
        message: order.message.clone(),
        ..UpstreamRef::default()
    }
}
