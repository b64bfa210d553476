//! Evidence: what was there before a spend, and what became of one whose answer was lost. It is told by
//! the upstream's own list of operations, by the upstream's own clock. Absent means that nothing of the
//! kind is new: an operation that is new, unclaimed and does not fit is for a person to judge, because
//! what an operation tells of its product is documented nowhere.

use purveyor_sdk::v1::{ErrorReason, UpstreamRef};
use purveyor_sdk::{
    Baseline, Cx, Error, Evidence, Find, Finding, Resource, Result, Step, Write, WriteRequest,
};

use super::changes::{change, terminated};
use super::{Gandi, cancellations, upstream_id};
use crate::checkpoint::{Before, Snapshot, decode, encode};
use crate::client::{Listing, PAGE};
use crate::model::{Account, Kind, Operation, PRODUCTS, term_of};

/// How far before the newest operation that was listed a new one can be dated: an hour that a zone's
/// clocks are put back, and a minute by which the upstream's own clocks may differ.
const DATE_MARGIN_SECONDS: i64 = 3660;

/// What a spend is about, to be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    kind: Kind,
    /// The product that is changed; none where one is made.
    product: Option<i64>,
    /// Its name; empty where it is not known.
    name: String,
    /// For a creation alone: elsewhere it is not known what the upstream counts.
    quantity: Option<i64>,
    /// The term's word, where the call names one.
    duration: Option<&'static str>,
}

pub(super) async fn baseline(gandi: &Gandi, cx: &Cx, asked: Baseline) -> Result<Evidence> {
    if let WriteRequest::CancelOrder(request) = &asked.write.request {
        return cancellations::baseline(gandi, cx, request, &asked).await;
    }
    let account = gandi.client.account(cx).await?;
    let mut before = Before { gone: account.is_gone(), ..Before::default() };
    before.products = snapshots(&account);
    let wanted = gandi.wanted(&asked.write, &asked.handle, &before)?;
    let listed = gandi.listed_before(cx, wanted.kind, &mut before).await?;
    Ok(Evidence {
        evidence: encode(&before)?,
        similarity: similarity(&wanted, &listed),
        present_ids: before.operations.iter().map(i64::to_string).collect(),
        ..Evidence::default()
    })
}

pub(super) async fn find(gandi: &Gandi, cx: &Cx, find: Find) -> Result<Finding> {
    if let WriteRequest::CancelOrder(request) = &find.write.request {
        return cancellations::find(gandi, cx, request, &find).await;
    }
    let before: Before = decode(&find.evidence)?;
    let wanted = gandi.wanted(&find.write, &find.handle, &before)?;
    if !find.upstream_id.is_empty() {
        return gandi.pointed_out(cx, &find, &before, wanted.kind).await;
    }
    let since = before.since.as_deref();
    let listed = gandi.client.operations_after(cx, wanted.kind, since).await?;
    let claimed = |operation: &Operation| {
        let id = operation.id.to_string();
        find.claimed_ids.contains(&id)
    };
    let new = listed.into_iter().filter(|operation| {
        operation.is(wanted.kind)
            && !before.operations.contains(&operation.id)
            && !claimed(operation)
    });
    let new: Vec<Operation> = new.collect();
    let fitting: Vec<&Operation> = new.iter().filter(|it| !contradicts(it, &wanted)).collect();
    match (fitting.as_slice(), new.as_slice()) {
        ([one], _) => gandi.found(cx, &find, &before, one).await,
        ([], []) => gandi.absent(cx, &wanted, &find.write, &before).await,
        ([], all) => Ok(Finding::unexplained(all.iter().map(Operation::upstream).collect())),
        (several, _) => Ok(Finding::unexplained(several.iter().map(|it| it.upstream()).collect())),
    }
}

impl Gandi {
    /// What the step that is about to begin, or was lost, is about.
    fn wanted(&self, write: &Write, handle: &[u8], before: &Before) -> Result<Wanted> {
        let named = |kind, id: i64, duration| {
            let snapshot = before.products.iter().find(|product| product.id == id);
            let name = snapshot.map(|product| product.name.clone()).unwrap_or_default();
            Wanted { kind, product: Some(id), name, quantity: None, duration }
        };
        match &write.request {
            WriteRequest::CreateOrder(request) => {
                let lines = self.lines(request)?;
                let progress = self.order_progress(handle, before)?;
                let line = lines.get(progress.placed.len());
                let line = line.ok_or_else(|| Error::fault("the order has no such item"))?;
                Ok(Wanted {
                    kind: Kind::Add,
                    product: None,
                    name: line.product.to_owned(),
                    quantity: Some(line.quantity.into()),
                    duration: Some(line.duration.word()),
                })
            }
            WriteRequest::UpdateService(request) => {
                Ok(named(Kind::Update, change(request, &write.upstream_id)?.service, None))
            }
            WriteRequest::TerminateService(request) => {
                Ok(named(Kind::Delete, terminated(request, &write.upstream_id)?, None))
            }
            WriteRequest::CreateRenewal(request) => {
                let extension = self.extension(request)?;
                Ok(named(Kind::Renew, extension.service, Some(extension.duration.word())))
            }
            _ => Err(Error::unsupported("evidence of this write")),
        }
    }

    /// The operations of a kind that a new one could be taken for, put into the evidence.
    async fn listed_before(
        &self,
        cx: &Cx,
        kind: Kind,
        before: &mut Before,
    ) -> Result<Vec<Operation>> {
        let listing = Listing { kind: Some(kind), size: PAGE, ..Listing::default() };
        let mut listed = self.client.operations(cx, listing).await?;
        // The spelling of times sorts as they do.
        let newest = listed.iter().filter_map(|operation| operation.created_text.as_deref()).max();
        before.since =
            newest.map(|text| self.client.earlier(text, DATE_MARGIN_SECONDS)).transpose()?;
        if listed.len() == PAGE {
            listed = self.client.operations_after(cx, kind, before.since.as_deref()).await?;
        }
        before.operations = listed.iter().map(|operation| operation.id).collect();
        Ok(listed)
    }

    /// The operation that an operator names. One that was there before the spend, or is of another
    /// kind, is not what the spend made.
    async fn pointed_out(
        &self,
        cx: &Cx,
        find: &Find,
        before: &Before,
        kind: Kind,
    ) -> Result<Finding> {
        let Some(id) = upstream_id(&find.upstream_id) else { return Ok(Finding::absent()) };
        match self.client.operation(cx, id).await {
            Ok(operation) if operation.is(kind) && !before.operations.contains(&id) => {
                self.found(cx, find, before, &operation).await
            }
            Ok(_) => Ok(Finding::absent()),
            Err(error) if error.reason == ErrorReason::OrderNotFound => Ok(Finding::absent()),
            Err(error) => Err(error),
        }
    }

    /// How the write goes on with the operation that it turns out to have made.
    async fn found(
        &self,
        cx: &Cx,
        find: &Find,
        before: &Before,
        operation: &Operation,
    ) -> Result<Finding> {
        let write = &find.write;
        let step: Step<Resource> = match &write.request {
            WriteRequest::CreateOrder(request) => {
                let progress = self.order_progress(&find.handle, before)?;
                self.placed(&self.lines(request)?, progress, operation)?.map(Resource::from)
            }
            WriteRequest::UpdateService(request) => {
                let id = change(request, &write.upstream_id)?.service;
                self.change_found(cx, id, operation).await?
            }
            WriteRequest::TerminateService(request) => {
                let id = terminated(request, &write.upstream_id)?;
                self.change_found(cx, id, operation).await?
            }
            WriteRequest::CreateRenewal(request) => {
                self.renewal_pending(&self.extension(request)?, operation)?.map(Resource::from)
            }
            _ => return Err(Error::unsupported("a search for this write")),
        };
        Ok(Finding::Found { upstream_id: operation.id.to_string(), step: Box::new(step) })
    }

    async fn change_found(
        &self,
        cx: &Cx,
        id: i64,
        operation: &Operation,
    ) -> Result<Step<Resource>> {
        let account = self.client.account(cx).await?;
        Ok(self.change_pending(cx, &account, id, operation)?.map(Resource::from))
    }

    /// Nothing new is listed. Where the product itself has changed as it was to, that is no absence
    /// but a contradiction, and a person has to look.
    async fn absent(
        &self,
        cx: &Cx,
        wanted: &Wanted,
        write: &Write,
        before: &Before,
    ) -> Result<Finding> {
        let Some(id) = wanted.product else { return Ok(Finding::absent()) };
        let was = before.products.iter().find(|product| product.id == id);
        let account = self.client.account(cx).await?;
        let is = account.products()?.iter().find(|owned| owned.id == id);
        let changed = match (wanted.kind, was, is) {
            (Kind::Delete, Some(_), None) => Some("the product is gone"),
            (Kind::Renew, Some(was), Some(is)) if was.end != is.end.map(|end| end.seconds) => {
                Some("the product's end has moved")
            }
            (Kind::Update, Some(was), Some(is)) if was.quantity != is.quantity => {
                let asked = change_of(write)?;
                (is.quantity == Some(asked)).then_some("the product has the new quantity")
            }
            _ => None,
        };
        Ok(changed.map_or(Finding::absent(), |message| {
            Finding::unexplained(vec![UpstreamRef {
                id: id.to_string(),
                message: format!("{message}, and no operation is listed"),
                ..UpstreamRef::default()
            }])
        }))
    }
}

fn change_of(write: &Write) -> Result<i64> {
    match &write.request {
        WriteRequest::UpdateService(request) => {
            Ok(change(request, &write.upstream_id)?.quantity.into())
        }
        _ => Err(Error::unsupported("a quantity of this write")),
    }
}

fn snapshots(account: &Account) -> Vec<Snapshot> {
    // An account whose products are gone has none to compare with.
    let products = account.products().unwrap_or_default();
    let snapshot = |owned: &crate::model::Owned| Snapshot {
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
                word.push_str(wanted.duration.unwrap_or_default());
            }
            word
        }
        _ => kind.to_owned(),
    }
}

/// Whether an operation cannot be the wanted one. What it does not tell contradicts nothing, and
/// neither does a name that is not the documents' own.
fn contradicts(operation: &Operation, wanted: &Wanted) -> bool {
    fn differ<T: PartialEq>(told: Option<T>, wanted: Option<T>) -> bool {
        told.zip(wanted).is_some_and(|(told, wanted)| told != wanted)
    }
    let name = operation.product_name.as_deref();
    let both_for_sale = names_product(operation) && is_for_sale(&wanted.name);
    let period = |word: &str| term_of(word).period;
    differ(operation.product_id, wanted.product)
        || (both_for_sale && name != Some(wanted.name.as_str()))
        || differ(operation.quantity, wanted.quantity)
        || differ(operation.duration.as_deref().map(period), wanted.duration.map(period))
}

fn names_product(operation: &Operation) -> bool {
    operation.product_name.as_deref().is_some_and(is_for_sale)
}

fn is_for_sale(name: &str) -> bool {
    PRODUCTS.contains(&name)
}

#[cfg(test)]
mod tests;
