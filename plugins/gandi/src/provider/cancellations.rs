//! Cancelling an order: one spend for each of its operations that the upstream lets go of, for each
//! gives money back. Which operation a step cancels was chosen with its evidence, so that a lost answer
//! is looked for where it was sent.

use std::time::Duration;

use purveyor_sdk::v1::{CancelOrderRequest, CancelPolicy, ErrorReason, Order};
use purveyor_sdk::{Baseline, CarryOn, Cx, Error, Evidence, Find, Finding, Resource, Result, Step};

use super::Gandi;
use crate::checkpoint::{Before, CancelProgress, decode, encode};
use crate::client::Spent;
use crate::error;
use crate::model::{Operation, Stage};

pub(super) async fn cancel(
    gandi: &Gandi,
    cx: &Cx,
    request: &CancelOrderRequest,
) -> Result<Step<Order>> {
    let mut progress = progress_of(cx.handle())?;
    let before: Before = decode(cx.baseline())?;
    let operations = gandi.operations_of(cx, cx.upstream_ids(), &request.name).await?;
    check(request, &operations)?;
    let Some(target) = before.target else {
        let handle = encode(&progress)?;
        let view = Some(gandi.order(&operations.iter().collect::<Vec<_>>())?);
        if progress.cancelled.is_empty() {
            return Err(nothing_to_cancel());
        }
        return Ok(Step::Pending { handle, after: Duration::ZERO, view });
    };
    match gandi.client.cancel(cx, target).await? {
        Spent::Accepted(()) => {
            progress.cancelled.push(target);
            gandi.cancelled(&operations, progress, &request.item_id)
        }
        Spent::Refused { proof, error } => {
            let error = in_words(error);
            // What was cancelled before stays so.
            let carry_on = if progress.cancelled.is_empty() {
                None
            } else {
                let view = Some(gandi.order(&operations.iter().collect::<Vec<_>>())?);
                Some(CarryOn { handle: encode(&progress)?, view })
            };
            Ok(Step::Rejected { proof, error, carry_on })
        }
        Spent::Unknown(message) => Ok(Step::Unknown(message)),
    }
}

/// Evidence: which operation the step is about to cancel. Its own step tells whether it was.
pub(super) async fn baseline(
    gandi: &Gandi,
    cx: &Cx,
    request: &CancelOrderRequest,
    asked: &Baseline,
) -> Result<Evidence> {
    let progress = progress_of(&asked.handle)?;
    let upstream = &asked.write.upstream_ids;
    let operations = gandi.operations_of(cx, upstream, &request.name).await?;
    let next = next_target(&operations, &progress, &request.item_id);
    // Which one a lost request has cancelled is seen by its step.
    let lost = asked.lost_since.and_then(|_| {
        let cancelled = |it: &&Operation| {
            it.stage() == Stage::Cancelled
                && !progress.cancelled.contains(&it.id)
                && (request.item_id.is_empty() || is_item(it, &request.item_id))
        };
        operations.iter().find(cancelled)
    });
    let target = lost.or(next).map(|it| it.id);
    let before = Before { target, ..Before::default() };
    let similarity = target.map(|id| format!("operation.cancel {id}")).unwrap_or_default();
    let evidence = encode(&before)?;
    Ok(Evidence { evidence, similarity, without_lost: true, ..Evidence::default() })
}

/// What became of a cancellation: the operation's own step says it.
pub(super) async fn find(
    gandi: &Gandi,
    cx: &Cx,
    request: &CancelOrderRequest,
    find: &Find,
) -> Result<Finding> {
    let before: Before = decode(&find.evidence)?;
    let mut progress = progress_of(&find.handle)?;
    let Some(target) = before.target else { return Ok(Finding::absent()) };
    let operations = gandi.operations_of(cx, &find.write.upstream_ids, &request.name).await?;
    let cancelled =
        |operation: &Operation| operation.id == target && operation.stage() == Stage::Cancelled;
    if !operations.iter().any(cancelled) {
        return Ok(Finding::absent());
    }
    progress.cancelled.push(target);
    let step = gandi.cancelled(&operations, progress, &request.item_id)?;
    // A cancellation makes nothing that could have an identifier.
    Ok(Finding::Found { upstream_id: String::new(), step: Box::new(step.map(Resource::from)) })
}

impl Gandi {
    /// What a cancellation would do: the operations that the upstream may let go of.
    pub(super) async fn cancellable(
        &self,
        cx: &Cx,
        request: &CancelOrderRequest,
        upstream: &[String],
    ) -> Result<usize> {
        let operations = self.operations_of(cx, upstream, &request.name).await?;
        check(request, &operations)?;
        let mut progress = CancelProgress::default();
        while let Some(next) = next_target(&operations, &progress, &request.item_id) {
            progress.cancelled.push(next.id);
        }
        if progress.cancelled.is_empty() {
            Err(nothing_to_cancel())
        } else {
            Ok(progress.cancelled.len())
        }
    }

    fn cancelled(
        &self,
        operations: &[Operation],
        progress: CancelProgress,
        item: &str,
    ) -> Result<Step<Order>> {
        let view = Some(self.order(&operations.iter().collect::<Vec<_>>())?);
        let more = next_target(operations, &progress, item).is_some();
        let handle = encode(&progress)?;
        Ok(if more {
            Step::Next { handle, view, price: None }
        } else {
            Step::Pending { handle, after: Duration::ZERO, view }
        })
    }
}

/// The next operation to be cancelled: of those that have not ended the one that has come least far,
/// for which steps the upstream lets go of is not documented.
fn next_target<'a>(
    operations: &'a [Operation],
    progress: &CancelProgress,
    item: &str,
) -> Option<&'a Operation> {
    let open = operations.iter().filter(|operation| {
        !operation.has_ended()
            && !progress.cancelled.contains(&operation.id)
            && (item.is_empty() || is_item(operation, item))
    });
    open.min_by_key(|operation| match operation.step.as_str() {
        "BILL" => 0,
        "WAIT" => 1,
        "RUN" => 2,
        _ => 3,
    })
}

fn is_item(operation: &Operation, item: &str) -> bool {
    operation.id.to_string() == item
}

/// Refuses what can never be cancelled.
fn check(request: &CancelOrderRequest, operations: &[Operation]) -> Result<()> {
    if request.policy() == CancelPolicy::AtTermEnd {
        return Err(Error::field("policy", "the upstream cancels at once only"));
    }
    let item = request.item_id.as_str();
    if item.is_empty() || operations.iter().any(|operation| is_item(operation, item)) {
        return Ok(());
    }
    let message = format!("the order {} has no item {item}", request.name);
    Err(Error::new(ErrorReason::OrderNotFound, message).with_metadata("item_id", item))
}

fn nothing_to_cancel() -> Error {
    Error::state("nothing of the order can be cancelled any more")
}

/// The upstream's refusal because of the step is about the order's state.
fn in_words(error: Error) -> Error {
    if error::is_wrong_step(&error) { error.with_reason(ErrorReason::StateConflict) } else { error }
}

fn progress_of(handle: &[u8]) -> Result<CancelProgress> {
    if handle.is_empty() { Ok(CancelProgress::default()) } else { decode(handle) }
}

/// The operations behind an order's identifiers.
///
/// # Errors
///
/// PLUGIN_FAULT: a cancellation that was accepted had one that could be read.
pub(super) fn ids(upstream: &[String]) -> Result<Vec<i64>> {
    let ids = upstream.iter().map(|id| super::upstream_id(id)).collect::<Option<Vec<_>>>();
    ids.ok_or_else(|| Error::fault("an identifier of the order cannot be read"))
}
