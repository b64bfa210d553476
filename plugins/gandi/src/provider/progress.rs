//! Following what the upstream has accepted: one look at the list of operations for many writes, and at
//! the account where one has come to an end. A write is done when its effect shows; the upstream's word
//! alone ends it as a failure only. Reads only.

use std::collections::BTreeMap;
use std::time::Duration;

use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, Notice, Order};
use purveyor_sdk::{
    Cx, Error, PollItem, Progress, Resource, Result, Standing, WriteRequest, etag, time,
};

use super::delivery::{Reading, deliver};
use super::order_view::{Read, failure};
use super::services::product;
use super::wanted::Wanted;
use super::{Gandi, cancellations};
use crate::checkpoint::{Before, CancelProgress, OrderProgress, Sent, decode, encode};
use crate::client::{Listing, PAGE};
use crate::model::{Account, Kind, Operation, Owned, Stage};

/// The longest pause between two looks: what a published client waits.
const LONGEST_PAUSE: u64 = 20;

/// The longest pause that the upstream can ask for.
const LONGEST_ETA: i64 = 60;

/// How long, in seconds, an order waits for the counts that tell what came of which item. Then it takes
/// products that are alike and that nobody was given.
const UNTOLD_SECONDS: i64 = 10;

/// What was read for one poll.
struct Look {
    operations: BTreeMap<i64, Result<Operation>>,
    /// The purchases that are done, as far back as an order needs them.
    finished: Vec<Operation>,
    account: Option<Result<Account>>,
}

pub(super) async fn poll(gandi: &Gandi, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
    let mut ids = Vec::new();
    for item in &items {
        // A handle that cannot be read is told of with its item, below.
        ids.extend(followed(item).unwrap_or_default());
    }
    let mut operations = gandi.by_id(cx, &ids).await?;
    for (id, read) in &mut operations {
        if read.as_ref().is_err_and(|error| error.reason == ErrorReason::OrderNotFound) {
            *read = Ok(Operation::unknown(*id));
        }
    }
    let mut look = Look { operations, finished: Vec::new(), account: None };
    if let Some(lowest) = items.iter().filter_map(|item| look.lowest_maker(item)).min() {
        let listing = Listing { kind: Some(Kind::Add), steps: &["DONE"], ..Listing::default() };
        look.finished = gandi.client.all_operations(cx, listing, lowest).await?.rows;
    }
    // After the operations: what those that are done have made is among the products.
    if look.operations.values().flatten().any(|it| !it.is_under_way())
        || items.iter().any(|item| is_change(&item.write.request))
    {
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
        WriteRequest::CancelOrder(_) => cancellations::ids(&item.write.upstream_ids),
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
            found.extend(listed.rows.into_iter().map(|operation| (operation.id, Ok(operation))));
        }
        for id in ids {
            if !found.contains_key(id) {
                found.insert(*id, self.client.operation(cx, *id).await);
            }
        }
        Ok(found)
    }

    fn progress(&self, cx: &Cx, item: &PollItem, look: &Look) -> Result<Progress> {
        match &item.write.request {
            WriteRequest::CreateOrder(request) => self.order_progressed(cx, request, item, look),
            WriteRequest::CancelOrder(_) => self.cancellation_progressed(item, look),
            _ => self.change_progressed(cx, item, look),
        }
    }

    fn order_progressed(
        &self,
        cx: &Cx,
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
        let mut untold = false;
        let now = cx.now().seconds;
        let patient =
            progress.untold_since.is_none_or(|it| (0..UNTOLD_SECONDS).contains(&(now - it)));
        if read.operations.values().any(|operation| !operation.is_under_way()) {
            let products = look.account()?.products()?;
            let (operations, finished) = (&read.operations, look.finished.as_slice());
            let claimed = &item.claimed_ids;
            let reading = Reading { operations, finished, products, claimed, patient };
            let delivery = deliver(&lines, &mut progress, &reading);
            (read.missing, untold) = (delivery.missing, delivery.untold);
        }
        let order = self.own_order(&lines, &progress, &read)?;
        let open: Vec<_> = read.operations.values().filter(|it| it.is_under_way()).collect();
        let after = pause(progress.looks, open.iter().filter_map(|it| it.eta).max());
        progress.looks = progress.looks.saturating_add(1);
        // A word that may change counts for more than an effect that may show.
        let missing = read.missing.iter().filter_map(|id| read.operations.get(id));
        let missing = missing.max_by_key(|operation| operation.stage() == Stage::Unknown);
        let waits = open.is_empty() && missing.is_none() && untold;
        progress.untold_since = waits.then(|| progress.untold_since.unwrap_or(now));
        if !open.is_empty() || waits && patient {
            let handle = encode(&progress)?;
            return Ok(Progress::Pending { handle, after, view: Some(order.into()) });
        }
        match missing {
            Some(operation) => {
                let error = not_shown(operation, "no product that it made shows");
                stands(encode(&progress)?, after, order.into(), operation, error)
            }
            None => Ok(ended(order, &read, untold)),
        }
    }

    /// A cancellation is done when all that was to be cancelled reads so.
    fn cancellation_progressed(&self, item: &PollItem, look: &Look) -> Result<Progress> {
        let mut progress: CancelProgress = decode(&item.handle)?;
        let ids = cancellations::ids(&item.write.upstream_ids)?;
        let operations = ids.iter().map(|id| look.at(*id)).collect::<Result<Vec<_>>>()?;
        let order = self.order(&operations)?.into();
        let asked = || operations.iter().filter(|it| progress.cancelled.contains(&it.id));
        let open = asked().find(|it| it.is_under_way());
        let unknown = asked().find(|it| it.stage() == Stage::Unknown);
        let ended = asked().find(|it| it.stage() != Stage::Cancelled);
        let after = pause(progress.looks, None);
        progress.looks = progress.looks.saturating_add(1);
        let handle = encode(&progress)?;
        match (open, unknown, ended) {
            (Some(_), _, _) => Ok(Progress::Pending { handle, after, view: Some(order) }),
            (_, Some(operation), _) => {
                let error = not_shown(operation, "the order was to be cancelled");
                stands(handle, after, order, operation, error)
            }
            (_, _, Some(operation)) => {
                let word = operation.word();
                let message = match operation.stage() {
                    Stage::Done => {
                        format!("{word}: the upstream carried it out, not the cancellation")
                    }
                    _ => given_up(operation),
                };
                Ok(failed(Some(operation), message, order))
            }
            _ => Ok(Progress::Done(order)),
        }
    }

    /// A renewal, a changed quantity, or the end of a service.
    fn change_progressed(&self, cx: &Cx, item: &PollItem, look: &Look) -> Result<Progress> {
        let mut sent: Sent = decode(&item.handle)?;
        let operation = look.at(sent.operation)?;
        let wanted = self.wanted(&item.write, &[], &Before::default())?;
        let id = wanted.product.ok_or_else(|| Error::unsupported("following this write"))?;
        let owned = match (&look.account, operation.is_under_way()) {
            (None, true) => None,
            _ => look.product(id)?,
        };
        let delivered = wanted.effects(owned.map(Into::into)) > 0;
        let view = match (&item.write.request, owned) {
            (WriteRequest::CreateRenewal(request), _) => {
                let now = owned.filter(|_| delivered && !operation.is_under_way());
                self.own_renewal(&self.extension(request)?, operation, now)?.into()
            }
            (_, Some(owned)) => self.service(owned, &cx.now(), Some(operation))?.into(),
            (_, None) => self.gone_service(id, operation)?.into(),
        };
        let after = pause(sent.looks, operation.eta);
        sent.looks = sent.looks.saturating_add(1);
        let handle = encode(&sent)?;
        match operation.stage() {
            Stage::Open | Stage::Support => {
                Ok(Progress::Pending { handle, after, view: Some(view) })
            }
            Stage::Error | Stage::Cancelled => {
                Ok(failed(Some(operation), given_up(operation), view))
            }
            Stage::Done | Stage::Unknown if delivered => Ok(Progress::Done(view)),
            Stage::Done | Stage::Unknown => {
                let error = not_shown(operation, &shown(&wanted, id, owned)?);
                stands(handle, after, view, operation, error)
            }
        }
    }
}

impl Look {
    fn at(&self, id: i64) -> Result<&Operation> {
        match self.operations.get(&id) {
            Some(Ok(operation)) => Ok(operation),
            Some(Err(error)) => Err(error.again()),
            None => Err(Error::unavailable(format!("the upstream does not tell operation {id}"))),
        }
    }

    /// The lowest operation that may have made what one of an order's may have made.
    fn lowest_maker(&self, item: &PollItem) -> Option<i64> {
        let WriteRequest::CreateOrder(_) = item.write.request else { return None };
        let progress: OrderProgress = decode(&item.handle).ok()?;
        let unlinked = progress.placed.iter().filter(|id| !progress.services.contains_key(id));
        let mut stages = unlinked.filter_map(|id| self.at(*id).ok()).map(Operation::stage);
        let finished = stages.any(|stage| matches!(stage, Stage::Done | Stage::Unknown));
        finished.then(|| progress.lowest())
    }

    fn account(&self) -> Result<&Account> {
        match &self.account {
            Some(Ok(account)) => Ok(account),
            Some(Err(error)) => Err(error.again()),
            None => Err(Error::fault("the account was not read")),
        }
    }

    fn product(&self, id: i64) -> Result<Option<&Owned>> {
        product(self.account()?, id)
    }
}

/// How an order ends that goes no further, and of which nothing is missing.
fn ended(order: Order, read: &Read<'_>, untold: bool) -> Progress {
    if !matches!(order.state(), OrderState::Failed | OrderState::Cancelled) {
        let notice = Notice {
            reason: "SERVICES_NOT_TOLD".to_owned(),
            message: "the upstream does not tell which of several alike services this order made"
                .to_owned(),
            source: "hosting.account.info".to_owned(),
        };
        let notices = order.notices.iter().cloned().chain(untold.then_some(notice)).collect();
        return Progress::Done(etag::seal(Order { notices, ..order }).into());
    }
    let first = read.operations.values().copied().find(|it| it.has_ended());
    let message = first.map_or_else(|| "nothing of the order was delivered".to_owned(), given_up);
    failed(first, message, order.into())
}

/// What the account shows in the place of what was asked for.
fn shown(wanted: &Wanted, id: i64, owned: Option<&Owned>) -> Result<String> {
    Ok(match (wanted.kind, owned) {
        (_, None) => format!("service {id} is not there"),
        (Kind::Renew, Some(owned)) => {
            let end = owned.end.as_ref().map(time::to_rfc3339).transpose()?;
            format!("service {id} still ends {}", end.as_deref().unwrap_or("never"))
        }
        (Kind::Update, Some(owned)) => {
            format!("service {id} has the quantity {}", owned.quantity.unwrap_or_default())
        }
        (_, Some(_)) => format!("service {id} is still there"),
    })
}

/// EFFECT_NOT_SEEN: what the upstream says, and what it shows.
fn not_shown(operation: &Operation, shown: &str) -> Error {
    let message = format!("{}, and {shown}", operation.word());
    let error = Error::new(ErrorReason::EffectNotSeen, message);
    error.with_metadata("upstream_operation", operation.id)
}

fn stands(
    handle: Vec<u8>,
    after: Duration,
    view: Resource,
    operation: &Operation,
    error: Error,
) -> Result<Progress> {
    let standing = match operation.stage() {
        Stage::Unknown => Standing::Unclear,
        _ => Standing::EffectAwaited,
    };
    Ok(Progress::Stands { handle, after, view: Some(view), standing, error })
}

/// The upstream's own word that it gave an operation up.
fn given_up(operation: &Operation) -> String {
    match operation.stage() {
        Stage::Cancelled => "the operation was cancelled upstream".to_owned(),
        _ => format!("the upstream failed to carry it out: {}", failure(operation)),
    }
}

fn failed(operation: Option<&Operation>, message: String, view: Resource) -> Progress {
    let mut error = Error::new(ErrorReason::UpstreamFailed, message);
    if let Some(operation) = operation {
        error = error.with_metadata("upstream_operation", operation.id);
    }
    Progress::Failed { error, view: Some(view) }
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
