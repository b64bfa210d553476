//! Following what the upstream has accepted: one look at the list of operations for many writes, and at
//! the account where something came of one. Reads only.

use std::collections::BTreeMap;
use std::time::Duration;

use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason};
use purveyor_sdk::{Cx, Error, PollItem, Progress, Resource, Result, WriteRequest};

use super::changes::{change, terminated};
use super::order_view::{Read, failure, rests};
use super::orders::Line;
use super::{Gandi, cancellations};
use crate::checkpoint::{CancelProgress, OrderProgress, Sent, decode, encode};
use crate::client::{Listing, PAGE};
use crate::model::{Account, Operation, Owned, Stage, term_of};

/// The longest pause between two looks: what a published client waits.
const LONGEST_PAUSE: u64 = 20;

/// The longest pause that the upstream can ask for.
const LONGEST_ETA: i64 = 60;

/// What was read for one poll.
struct Look {
    operations: BTreeMap<i64, Result<Operation>>,
    account: Option<Result<Account>>,
}

pub(super) async fn poll(gandi: &Gandi, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
    let mut ids = Vec::new();
    for item in &items {
        // A handle that cannot be read is told of with its item, below.
        ids.extend(followed(item).unwrap_or_default());
    }
    let mut look = Look { operations: gandi.by_id(cx, &ids).await?, account: None };
    let any_done = look.operations.values().flatten().any(|it| it.stage() == Stage::Done);
    if any_done || items.iter().any(|item| is_change(&item.write.request)) {
        look.account = Some(gandi.client.account(cx).await);
    }
    let progress = items
        .iter()
        .map(|item| gandi.progress(cx, item, &look).unwrap_or_else(Progress::Unavailable));
    Ok(progress.collect())
}

/// How long until something is looked at that was just accepted.
pub(super) fn first_look(eta: Option<i64>) -> Duration {
    pause(0, eta)
}

/// The pause before the next look: what the upstream expects, else one second and growing.
fn pause(looks: u32, eta: Option<i64>) -> Duration {
    match eta {
        Some(eta @ 1..) => Duration::from_secs(eta.min(LONGEST_ETA).unsigned_abs()),
        _ => Duration::from_secs(2_u64.saturating_pow(looks).min(LONGEST_PAUSE)),
    }
}

/// The operations that a write waits for.
fn followed(item: &PollItem) -> Result<Vec<i64>> {
    match &item.write.request {
        WriteRequest::CreateOrder(_) => Ok(decode::<OrderProgress>(&item.handle)?.placed),
        // The order's own operations, the cancelled ones among them.
        WriteRequest::CancelOrder(_) => cancellations::ids(&item.write.upstream_id),
        _ => Ok(vec![decode::<Sent>(&item.handle)?.operation]),
    }
}

fn is_change(request: &WriteRequest) -> bool {
    matches!(request, WriteRequest::UpdateService(_) | WriteRequest::TerminateService(_))
}

impl Gandi {
    /// Operations by their identifiers. One that is not listed (yet) is asked for by itself.
    pub(super) async fn by_id(
        &self,
        cx: &Cx,
        ids: &[i64],
    ) -> Result<BTreeMap<i64, Result<Operation>>> {
        let mut found = BTreeMap::new();
        if let [one] = ids {
            found.insert(*one, self.client.operation(cx, *one).await);
            return Ok(found);
        }
        for ids in ids.chunks(PAGE) {
            let listing = Listing { ids, size: PAGE, ..Listing::default() };
            let listed = self.client.operations(cx, listing).await?;
            found.extend(listed.into_iter().map(|operation| (operation.id, Ok(operation))));
        }
        for id in ids {
            if !found.contains_key(id) {
                found.insert(*id, self.client.operation(cx, *id).await);
            }
        }
        Ok(found)
    }

    fn progress(&self, cx: &Cx, item: &PollItem, look: &Look) -> Result<Progress> {
        let upstream = &item.write.upstream_id;
        match &item.write.request {
            WriteRequest::CreateOrder(request) => self.order_progressed(request, item, look),
            WriteRequest::CancelOrder(_) => self.cancellation_progressed(item, look),
            WriteRequest::UpdateService(request) => {
                self.change_progressed(cx, change(request, upstream)?.service, item, look)
            }
            WriteRequest::TerminateService(request) => {
                self.change_progressed(cx, terminated(request, upstream)?, item, look)
            }
            WriteRequest::CreateRenewal(request) => {
                let sent: Sent = decode(&item.handle)?;
                let (extension, operation) = (self.extension(request)?, look.at(sent.operation)?);
                let service = match operation.stage() {
                    Stage::Done => look.product(extension.service)?,
                    _ => None,
                };
                let view = self.own_renewal(&extension, operation, service)?.into();
                match operation.stage() {
                    Stage::Done | Stage::Support | Stage::Cancelled => Ok(Progress::Done(view)),
                    Stage::Error => Ok(failed(operation, view)),
                    Stage::Open | Stage::Unknown => again(sent, operation, view),
                }
            }
            _ => Err(Error::unsupported("following this write")),
        }
    }

    fn order_progressed(
        &self,
        request: &CreateOrderRequest,
        item: &PollItem,
        look: &Look,
    ) -> Result<Progress> {
        let lines = self.lines(request)?;
        let mut progress: OrderProgress = decode(&item.handle)?;
        let mut read = Read::default();
        for id in &progress.placed {
            read.operations.insert(*id, look.at(*id)?);
        }
        if read.operations.values().any(|operation| operation.stage() == Stage::Done) {
            read.services = services(&lines, &progress, &read, look.account()?.products()?);
        }
        let order = self.own_order(&lines, &progress, &read)?;
        if rests(&order) {
            let first = read.operations.values().find(|it| it.stage() == Stage::Error);
            return Ok(match (order.state(), first) {
                (OrderState::Failed, Some(operation)) => failed(operation, order.into()),
                (OrderState::Failed, None) => failed_by_refusal(order.into()),
                _ => Progress::Done(order.into()),
            });
        }
        let eta =
            read.operations.values().filter(|it| !it.has_ended()).filter_map(|it| it.eta).max();
        let after = pause(progress.looks, eta);
        progress.looks = progress.looks.saturating_add(1);
        Ok(Progress::Pending { handle: encode(&progress)?, after, view: Some(order.into()) })
    }

    /// A cancellation is done when none of what was cancelled is under way any more.
    fn cancellation_progressed(&self, item: &PollItem, look: &Look) -> Result<Progress> {
        let mut progress: CancelProgress = decode(&item.handle)?;
        let ids = cancellations::ids(&item.write.upstream_id)?;
        let operations = ids.iter().map(|id| look.at(*id)).collect::<Result<Vec<_>>>()?;
        let order = self.order(&operations)?;
        let open = operations
            .iter()
            .any(|operation| progress.cancelled.contains(&operation.id) && !operation.has_ended());
        if !open {
            return Ok(Progress::Done(order.into()));
        }
        let after = pause(progress.looks, None);
        progress.looks = progress.looks.saturating_add(1);
        Ok(Progress::Pending { handle: encode(&progress)?, after, view: Some(order.into()) })
    }

    fn change_progressed(
        &self,
        cx: &Cx,
        id: i64,
        item: &PollItem,
        look: &Look,
    ) -> Result<Progress> {
        let sent: Sent = decode(&item.handle)?;
        let operation = look.at(sent.operation)?;
        let deleted = matches!(item.write.request, WriteRequest::TerminateService(_));
        let done = operation.stage() == Stage::Done;
        let service = match look.product(id)? {
            Some(owned) if !(deleted && done) => self.service(owned, &cx.now(), Some(operation))?,
            _ => self.gone_service(id, operation)?,
        };
        match operation.stage() {
            Stage::Done => Ok(Progress::Done(service.into())),
            Stage::Error | Stage::Cancelled => Ok(failed(operation, service.into())),
            Stage::Open | Stage::Support | Stage::Unknown => again(sent, operation, service.into()),
        }
    }
}

impl Look {
    fn at(&self, id: i64) -> Result<&Operation> {
        match self.operations.get(&id) {
            Some(Ok(operation)) => Ok(operation),
            Some(Err(error)) => Err(same(error)),
            None => Err(Error::unavailable(format!("the upstream does not tell operation {id}"))),
        }
    }

    fn account(&self) -> Result<&Account> {
        match &self.account {
            Some(Ok(account)) => Ok(account),
            Some(Err(error)) => Err(same(error)),
            None => Err(Error::fault("the account was not read")),
        }
    }

    fn product(&self, id: i64) -> Result<Option<&Owned>> {
        Ok(self.account()?.products()?.iter().find(|owned| owned.id == id))
    }
}

/// One error for several items.
fn same(error: &Error) -> Error {
    let metadata = error.metadata.clone();
    Error { metadata, ..Error::new(error.reason, error.message.clone()) }
}

fn again(mut sent: Sent, operation: &Operation, view: Resource) -> Result<Progress> {
    let after = pause(sent.looks, operation.eta);
    sent.looks = sent.looks.saturating_add(1);
    Ok(Progress::Pending { handle: encode(&sent)?, after, view: Some(view) })
}

fn failed(operation: &Operation, view: Resource) -> Progress {
    let message = match operation.stage() {
        Stage::Cancelled => "the operation was cancelled upstream".to_owned(),
        _ => format!("the upstream failed to carry it out: {}", failure(operation)),
    };
    let error = Error::new(ErrorReason::UpstreamFailed, message);
    let error = error.with_metadata("upstream_operation", operation.id);
    Progress::Failed { error, view: Some(view) }
}

fn failed_by_refusal(view: Resource) -> Progress {
    let message = "nothing of the order was delivered";
    let error = Error::new(ErrorReason::UpstreamFailed, message);
    Progress::Failed { error, view: Some(view) }
}

/// Which of the account's products came of which operation. The operation's own word counts where it
/// has one. Else the products that are new, and just like the item, are taken in the order of their
/// identifiers, if there are as many as items like it: with more, somebody else's are among them, and
/// none is taken.
fn services(
    lines: &[Line],
    progress: &OrderProgress,
    read: &Read<'_>,
    products: &[Owned],
) -> BTreeMap<i64, i64> {
    let new: Vec<&Owned> =
        products.iter().filter(|owned| !progress.known.contains(&owned.id)).collect();
    let mut linked = BTreeMap::new();
    let mut alike: BTreeMap<&Line, Vec<i64>> = BTreeMap::new();
    for (line, id) in lines.iter().zip(&progress.placed) {
        let Some(operation) = read.operations.get(id) else { continue };
        if operation.stage() != Stage::Done {
            continue;
        }
        let told = operation.product_id.or(operation.subject_id);
        let told = told.filter(|told| new.iter().any(|owned| owned.id == *told));
        match told.filter(|told| !linked.values().any(|taken| taken == told)) {
            Some(told) => _ = linked.insert(*id, told),
            None => alike.entry(line).or_default().push(*id),
        }
    }
    for (line, mut operations) in alike {
        let candidates = new.iter().filter(|owned| is_like(owned, line));
        let mut candidates: Vec<i64> = candidates
            .map(|owned| owned.id)
            .filter(|id| !linked.values().any(|taken| taken == id))
            .collect();
        if candidates.len() == operations.len() {
            candidates.sort_unstable();
            operations.sort_unstable();
            linked.extend(operations.into_iter().zip(candidates));
        }
    }
    linked
}

/// Whether a product could be what an item ordered.
fn is_like(owned: &Owned, line: &Line) -> bool {
    let period = owned.duration.as_deref().map(|word| term_of(word).period);
    owned.name == line.product
        && owned.quantity == Some(line.quantity.into())
        && period.is_none_or(|period| period == line.duration.term().period)
}

#[cfg(test)]
mod tests {
    use super::{Duration, pause};

    #[test]
    fn pauses_grow_and_follow_the_upstream() {
        fn check(looks: u32, eta: Option<i64>, expected: u64) {
            assert_eq!(pause(looks, eta), Duration::from_secs(expected), "{looks} {eta:?}");
        }
        check(0, None, 1);
        check(1, None, 2);
        check(4, None, 16);
        check(5, None, 20);
        check(u32::MAX, None, 20);
        check(3, Some(7), 7);
        check(0, Some(3600), 60);
        check(0, Some(0), 1);
        check(1, Some(-1_863_666), 2);
    }
}
