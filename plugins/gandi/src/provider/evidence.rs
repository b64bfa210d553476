//! Evidence: what was there before a spend, and what became of one whose answer was lost. It is told by
//! the upstream's own list of operations, whole and by the upstream's own clock, beside the account's
//! products. What an operation tells of its product is documented nowhere: one that is new, unclaimed and
//! names nothing of the request is ours only where the effect shows, and else speaks against absence.

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, UpstreamRef};
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Resource, Result, Step, Traces, WriteRequest,
};

use super::changes::{change, terminated};
use super::services::product;
use super::wanted::{Wanted, is_for_sale, names_product};
use super::{Gandi, cancellations, upstream_id};
use crate::checkpoint::{Before, Snapshot, decode, encode};
use crate::client::{Listing, Operations, PAGE};
use crate::model::{Account, Duration, Kind, Operation, Owned};

/// How far before the newest operation that was listed a new one can be dated: an hour that a zone's
/// clocks are put back, and a minute by which the upstream's own clocks may differ.
const DATE_MARGIN_SECONDS: i64 = 3660;

/// How far before now, by the gateway's clock, a new one can be dated: a zone that is not the configured
/// one, and two hours. A row that is dated ahead must not hide what is new.
const CLOCK_MARGIN_SECONDS: i64 = 26 * 3600;

/// How many of the operations that a whole listing shows are kept.
const KNOWN: usize = 3;

pub(super) async fn baseline(gandi: &Gandi, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    if let WriteRequest::CancelOrder(request) = &asked.write.request {
        return cancellations::baseline(gandi, cx, request, &asked).await;
    }
    if let Some(since) = asked.lost_since {
        return gandi.before_lost(cx, &asked, &since).await;
    }
    // The products first: what an operation that is done by then has made is among them.
    let account = gandi.client.account(cx).await?;
    let mut before = Before { gone: account.is_gone(), ..Before::default() };
    before.products = snapshots(&account);
    before.nameless = account.nameless.len();
    let wanted = gandi.wanted(&asked.write, &asked.handle, &before)?;
    if let Some(target) = wanted.product.map(|id| product(&account, id)).transpose()?.flatten() {
        target.check_whole()?;
    }
    let of_kind = gandi.listed_before(cx, wanted.kind, &mut before).await?;
    Ok(Evidence {
        evidence: encode(&before)?,
        similarity: similarity(&wanted, &of_kind),
        highest_id: before.operations.first().map(i64::to_string).unwrap_or_default(),
        ..Evidence::default()
    })
}

pub(super) async fn find(gandi: &Gandi, cx: &Cx, find: Find) -> Result<Finding> {
    if let WriteRequest::CancelOrder(request) = &find.write.request {
        return cancellations::find(gandi, cx, request, &find).await;
    }
    let before: Before = decode(&find.evidence)?;
    if let WriteRequest::CreateOrder(request) = &find.write.request
        && !find.upstream_id.is_empty()
        && gandi.order_progress(&find.handle, &before)?.placed.len() == request_items(request)
    {
        // All its operations are known, and the one that an operator names is none of them.
        return Ok(Finding::absent());
    }
    let wanted = gandi.wanted(&find.write, &find.handle, &before)?;
    let account = gandi.client.account(cx).await?;
    if !find.upstream_id.is_empty() {
        return gandi.pointed_out(cx, &find, &before, wanted.kind, &account).await;
    }
    let listing = Listing { after: before.since.clone(), ..Listing::default() };
    let listing = gandi.client.all_operations(cx, listing, 0).await?;
    if let Some(unread) = unread(&wanted, &before, &account, &listing) {
        return Ok(Finding::incomplete(unread));
    }
    let listed = listing.rows;
    let products = match account.products() {
        Ok(products) => products,
        Err(error) => return Ok(Finding::incomplete(error.message)),
    };
    let claimed = |id: i64| find.claimed_ids.contains(&id.to_string());
    let rows: Vec<&Operation> = listed
        .iter()
        .filter(|it| it.is(wanted.kind) && it.id > before.highest() && !claimed(it.id))
        .collect();
    let new = |owned: &&Owned| before.product(owned.id).is_none() && !claimed(owned.id);
    let mut made: Vec<&Owned> =
        products.iter().filter(|owned| wanted.product.is_none() && new(owned)).collect();
    let (is, was) = match wanted.product {
        Some(id) => (products.iter().find(|owned| owned.id == id), before.product(id)),
        None => (None, None),
    };
    let effects = wanted.effects(is.map(Into::into)) - wanted.effects(was.map(Into::into));
    let shows = effects > 0 || made.iter().any(|owned| wanted.is_like(owned));
    let fitting = rows.iter().copied().filter(|it| !wanted.is_contradicted_by(it));
    let fitting: Vec<&Operation> = fitting.collect();
    if let [one] = fitting.as_slice()
        && (shows || wanted.is_named_by(one, &before))
    {
        return gandi.found(cx, &find, &before, &account, one);
    }
    if before.lost {
        // Whatever else is new was made for a request that the gateway lacks, or by somebody else.
        let incomplete = gandi.incomplete(cx, &find, &before, &listed, &account).await?;
        return Ok(Finding::Absent(of_lost(&wanted, &fitting, &made, effects, incomplete)));
    }
    // Each row explains one product, and so does each earlier item that was not done before this one.
    let earlier = gandi.earlier_items_done(&find, &before, &listed)?;
    made.sort_unstable_by_key(|owned| owned.id);
    let unexplained = made.into_iter().skip(rows.len() + earlier).map(|owned| UpstreamRef {
        ids: vec![owned.id.to_string()],
        message: format!("a new product, {}, and no operation that made it is listed", owned.name),
        ..UpstreamRef::default()
    });
    let alike = rows.iter().filter(|it| wanted.is_named_by(it, &before));
    Ok(Finding::Absent(Traces {
        alike_ids: alike.map(|it| it.id.to_string()).collect(),
        unexplained: rows.iter().map(|it| it.upstream()).chain(unexplained).collect(),
        incomplete: gandi.incomplete(cx, &find, &before, &listed, &account).await?,
        effects: effects.max(0),
        ..Traces::default()
    }))
}

impl Gandi {
    /// The account as it was before a moment, as far as it can be told now. What is dated later is left out;
    /// the product that is to be changed is shown unchanged, so that a change shows.
    async fn before_lost(&self, cx: &Cx, asked: &Baseline, since: &Timestamp) -> Result<Evidence> {
        let account = self.client.account(cx).await?;
        let limit = since.seconds - DATE_MARGIN_SECONDS;
        let dated = |at: Option<Timestamp>| at.is_none_or(|at| at.seconds < limit);
        let mut before = Before { gone: account.is_gone(), lost: true, ..Before::default() };
        let products = account.products().unwrap_or_default();
        let earlier: Vec<i64> =
            products.iter().filter(|it| dated(it.created)).map(|it| it.id).collect();
        before.products = snapshots(&account);
        before.nameless = account.nameless.len();
        before.products.retain(|product| earlier.contains(&product.id));
        let of_kind = self.listed_before_lost(cx, since, limit, &mut before).await?;
        let wanted = self.wanted(&asked.write, &asked.handle, &before)?;
        if let Some(id) = wanted.product {
            let unchanged = |name| Snapshot { id, name, quantity: None, end: wanted.end };
            match before.products.iter_mut().find(|product| product.id == id) {
                Some(product) => *product = unchanged(product.name.clone()),
                // It is gone, which may be what was asked for.
                None => before.products.push(unchanged(String::new())),
            }
        }
        let of_kind: Vec<Operation> =
            of_kind.into_iter().filter(|operation| operation.is(wanted.kind)).collect();
        Ok(Evidence {
            evidence: encode(&before)?,
            similarity: similarity(&wanted, &of_kind),
            highest_id: before.operations.first().map(i64::to_string).unwrap_or_default(),
            without_lost: true,
            ..Evidence::default()
        })
    }

    /// The operations since shortly before a moment; those before it are put into the evidence.
    async fn listed_before_lost(
        &self,
        cx: &Cx,
        since: &Timestamp,
        limit: i64,
        before: &mut Before,
    ) -> Result<Vec<Operation>> {
        let earlier = |it: &&Operation| it.created.is_some_and(|at| at.seconds < limit);
        let newest =
            self.client.operations(cx, Listing { size: PAGE, ..Listing::default() }).await?.rows;
        // A whole listing shows one that was there before.
        let shown = newest.iter().filter(earlier).filter_map(|it| it.created_text.as_deref()).max();
        let by_clock = self.client.before(since, CLOCK_MARGIN_SECONDS)?;
        let after = match shown {
            Some(shown) => by_clock.min(self.client.earlier(shown, DATE_MARGIN_SECONDS)?),
            None => by_clock,
        };
        let listing = Listing { after: Some(after.clone()), ..Listing::default() };
        let listing = self.client.all_operations(cx, listing, 0).await?;
        before.nameless += listing.nameless.len();
        let mut listed = listing.rows;
        listed.sort_unstable_by_key(|operation| std::cmp::Reverse(operation.id));
        // Numbers only grow: whatever is below the lowest new one is old, however it is dated.
        let lowest = listed.iter().filter(|it| !earlier(it)).map(|it| it.id).min();
        let known = listed.iter().filter(earlier).map(|it| it.id);
        let known = known.filter(|id| lowest.is_none_or(|lowest| *id < lowest)).take(KNOWN);
        before.operations = match lowest {
            Some(lowest) => std::iter::once(lowest - 1).chain(known).collect(),
            None => known.collect(),
        };
        before.operations.dedup();
        before.since = Some(after);
        Ok(listed)
    }

    /// The operations of a kind that tell what the account's operations tell; of all operations, what a
    /// search needs is put into the evidence.
    async fn listed_before(
        &self,
        cx: &Cx,
        kind: Kind,
        before: &mut Before,
    ) -> Result<Vec<Operation>> {
        let listing = Listing { size: PAGE, ..Listing::default() };
        let newest = self.client.operations(cx, listing.clone()).await?;
        before.nameless += newest.nameless.len();
        let mut listed = newest.rows;
        // The spelling of times sorts as they do.
        let newest = listed.iter().filter_map(|operation| operation.created_text.as_deref()).max();
        if let Some(newest) = newest {
            let by_clock = self.client.before(&cx.now(), CLOCK_MARGIN_SECONDS)?;
            let by_rows = self.client.earlier(newest, DATE_MARGIN_SECONDS)?;
            before.since = Some(by_clock.min(by_rows));
        }
        let open = listed.iter().filter(|it| it.is(Kind::Add) && !it.has_ended());
        before.open = open.map(|operation| operation.id).collect();
        listed.sort_unstable_by_key(|operation| std::cmp::Reverse(operation.id));
        let shown = |it: &&Operation| it.created_text > before.since;
        let highest = listed.iter().take(1).filter(|it| !shown(it));
        let known = listed.iter().filter(shown).take(KNOWN);
        before.operations = highest.chain(known).map(|operation| operation.id).collect();
        listed.retain(|operation| operation.is(kind));
        if listed.is_empty() {
            let listing = Listing { kind: Some(kind), ..listing };
            listed = self.client.operations(cx, listing).await?.rows;
        }
        Ok(listed)
    }

    /// Why the lists of operations and products are not whole; empty: they are.
    async fn incomplete(
        &self,
        cx: &Cx,
        find: &Find,
        before: &Before,
        listed: &[Operation],
        account: &Account,
    ) -> Result<String> {
        if let Some(unread) = nameless("a product", &account.nameless) {
            return Ok(unread);
        }
        let mut known = before.operations.clone();
        known.sort_unstable_by(|one, other| other.cmp(one));
        let known: Vec<String> = known.iter().map(i64::to_string).collect();
        let is_listed = |id: &str| listed.iter().any(|it| it.id.to_string() == id);
        find.incomplete(&known, is_listed, |id| self.is_due(cx, id, before)).await
    }

    /// Whether an operation exists and is dated as those that were listed.
    async fn is_due(&self, cx: &Cx, id: String, before: &Before) -> Result<bool> {
        let Some(id) = upstream_id(&id) else { return Ok(false) };
        match self.client.operation(cx, id).await {
            Ok(operation) => Ok(operation.created_text > before.since),
            Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many of an order's items have been delivered since this one was begun.
    fn earlier_items_done(
        &self,
        find: &Find,
        before: &Before,
        listed: &[Operation],
    ) -> Result<usize> {
        if !matches!(find.write.request, WriteRequest::CreateOrder(_)) {
            return Ok(0);
        }
        let placed = self.order_progress(&find.handle, before)?.placed;
        let done = |id: &&i64| listed.iter().any(|it| it.id == **id && it.has_ended());
        Ok(placed.iter().filter(|id| before.open.contains(id)).filter(done).count())
    }

    /// The operation that an operator names. One that was there before the spend, or is of another
    /// kind, is not what the spend made.
    async fn pointed_out(
        &self,
        cx: &Cx,
        find: &Find,
        before: &Before,
        kind: Kind,
        account: &Account,
    ) -> Result<Finding> {
        let Some(id) = upstream_id(&find.upstream_id) else { return Ok(Finding::absent()) };
        match self.client.operation(cx, id).await {
            Ok(operation) if operation.is(kind) && id > before.highest() => {
                self.found(cx, find, before, account, &operation)
            }
            Ok(_) => Ok(Finding::absent()),
            Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(Finding::absent()),
            Err(error) => Err(error),
        }
    }

    /// How the write goes on with the operation that it turns out to have made.
    fn found(
        &self,
        cx: &Cx,
        find: &Find,
        before: &Before,
        account: &Account,
        operation: &Operation,
    ) -> Result<Finding> {
        let write = &find.write;
        let step: Step<Resource> = match &write.request {
            WriteRequest::CreateOrder(request) => {
                let progress = self.order_progress(&find.handle, before)?;
                self.placed(&self.lines(request)?, progress, operation)?.map(Resource::from)
            }
            WriteRequest::UpdateService(request) => {
                let id = change(request, write.upstream_id())?.service;
                self.change_pending(cx, account, id, operation)?.map(Resource::from)
            }
            WriteRequest::TerminateService(request) => {
                let id = terminated(request, write.upstream_id())?;
                self.change_pending(cx, account, id, operation)?.map(Resource::from)
            }
            WriteRequest::CreateRenewal(request) => {
                self.renewal_pending(&self.extension(request)?, operation)?.map(Resource::from)
            }
            _ => return Err(Error::unsupported("a search for this write")),
        };
        Ok(Finding::found(operation.id.to_string(), step))
    }
}

fn request_items(request: &CreateOrderRequest) -> usize {
    request.order.as_ref().map_or(0, |order| order.items.len())
}

/// What speaks against the absence of a request that the gateway may lack: rows that can be it, and where
/// there are none, products like it.
fn of_lost(
    wanted: &Wanted,
    fitting: &[&Operation],
    made: &[&Owned],
    effects: i32,
    incomplete: String,
) -> Traces {
    let product = |owned: &&Owned| UpstreamRef {
        ids: vec![owned.id.to_string()],
        message: format!("a new product, {}, and no operation that made it is listed", owned.name),
        ..UpstreamRef::default()
    };
    let like = made.iter().copied().filter(|owned| wanted.is_like(owned) && fitting.is_empty());
    Traces {
        alike_ids: fitting.iter().map(|it| it.id.to_string()).collect(),
        unexplained: fitting
            .iter()
            .map(|it| it.upstream())
            .chain(like.map(|it| product(&it)))
            .collect(),
        incomplete,
        effects: effects.max(0),
        ..Traces::default()
    }
}

/// Why a row that may be the request's own cannot be told from others; `None`: all can. A row that is known,
/// or tells that it is of another kind, is none of its own, whatever else it does not tell.
fn unread(
    wanted: &Wanted,
    before: &Before,
    account: &Account,
    listed: &Operations,
) -> Option<String> {
    if before.nameless > 0 {
        return Some("a row had no identifier before the request, and may look new now".to_owned());
    }
    let target = wanted.product.map(|id| product(account, id));
    if let Some(Ok(Some(target))) = target {
        target.check_whole().err().map(|error| error.message)
    } else if wanted.product.is_some() {
        nameless("a product", &account.nameless)
    } else {
        None
    }
    .or_else(|| nameless("an operation", &listed.nameless))
    .or_else(|| {
        let may_be = |it: &&Operation| it.may_be_any() && it.id > before.highest();
        let one = listed.rows.iter().find(may_be)?;
        Some(format!("what operation {} does cannot be read", one.id))
    })
}

fn nameless(what: &str, errors: &[Error]) -> Option<String> {
    errors.first().map(|error| format!("{what} has no identifier: {}", error.message))
}

fn snapshots(account: &Account) -> Vec<Snapshot> {
    // An account whose products are gone has none to compare with.
    let products = account.products().unwrap_or_default();
    let snapshot = |owned: &Owned| Snapshot {
        id: owned.id,
        name: owned.name.clone(),
        quantity: owned.quantity,
        end: owned.end.map(|end| end.seconds),
    };
    products.iter().map(snapshot).collect()
}

/// The word that two spends share when the upstream's operations cannot tell them apart. Only what the
/// operations of the account are seen to tell may tell spends apart.
///
/// Where none was seen there is no word, and the whole account waits: a word that says less than one of
/// the next spend, which has seen more, would not keep that one from being sent.
fn similarity(wanted: &Wanted, listed: &[Operation]) -> String {
    if listed.is_empty() {
        return String::new();
    }
    let kind = wanted.kind.word();
    let told = |tells: fn(&Operation) -> bool| listed.iter().all(tells);
    match wanted.product {
        Some(id) if told(|it| it.product_id.is_some()) => format!("{kind} {id}"),
        Some(_) if told(names_product) && is_for_sale(&wanted.name) => {
            format!("{kind} {}", wanted.name)
        }
        None if told(|it| names_product(it) && it.quantity.is_some()) => {
            let quantity = wanted.quantity.unwrap_or_default();
            let mut word = format!("{kind} {} {quantity}", wanted.name);
            if told(|it| it.duration.is_some()) {
                word.push(' ');
                word.push_str(wanted.duration.map(Duration::word).unwrap_or_default());
            }
            word
        }
        _ => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests;
