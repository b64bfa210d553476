//! What an operation holds in each state, and the invariants that no event may break.

use std::collections::BTreeSet;
use std::time::Duration;

use purveyor_sdk::names::{OrderName, ServiceName};
use purveyor_sdk::plugin::v1::{Op, Resource, resource};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, UpstreamRef};

use super::{Policy, sold};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::store::age::Age;
use crate::store::operation::{Attempt, EndKind, Lock, Operation};

/// When something is to be looked at that waits for `after`: at the next tick of a clock that ticks at
/// least eight times in that. So what waits for one upstream is due together, and one poll asks for many,
/// whenever each began to wait and whichever replica looks.
pub(super) fn tick(now: Age, after: Duration) -> Age {
    let at = (now + after).as_nanos();
    // Powers of two, so that the ticks of long waits are ticks of short ones as well.
    let Some(power) = (after.as_nanos() / 8).checked_ilog2() else { return now + after };
    let past = at.rem_euclid(1 << power.min(62));
    Age::from_nanos(if past == 0 { at } else { (at - past).saturating_add(1 << power.min(62)) })
}

/// What the operation holds as it is now.
///
/// Its targets until it has ended, which needs the effect; but an order that a purchase has made and that
/// only has to be followed may be paid and cancelled by others. Each target is held by its name, as older
/// versions hold it, and by account, noun and upstream identifier, so that all providers of one account hold
/// it together. Where an unknown outcome is found out by
/// comparing listings: the account's gate while a spend is prepared or under way, and the similar
/// spends of the account until the outcome is known.
pub fn locks(operation: &Operation, policy: &Policy) -> Vec<Lock> {
    let mut locks = Vec::new();
    if operation.done() {
        return locks;
    }
    let followed = operation.state == State::WaitingUpstream;
    let mut names: Vec<&str> = Vec::new();
    if !(followed && operation.op == Op::CreateOrder) {
        names.extend(operation.exclusive.iter().map(String::as_str));
    }
    let renewal_order = renewal_order(operation);
    names.extend(renewal_order.as_deref());
    locks.extend(names.iter().map(|name| Lock((*name).to_owned())));
    let made = made_order(operation).filter(|_| !followed);
    let objects = names.iter().flat_map(|name| upstream_objects(operation, name)).chain(made);
    #[cfg(feature = "failpoints")]
    let objects = objects.filter(|_| !failpoint::control(failpoint::Control::LockByProvider));
    for object in objects.collect::<BTreeSet<_>>() {
        let accounts = std::iter::once(&policy.gate).chain(&policy.aliases);
        let accounts = accounts.filter(|account| !account.is_empty());
        locks.extend(accounts.map(|account| Lock(format!("{account} {object}"))));
    }
    if policy.evidence == Evidence::Difference && policy.effect == Effect::Spend {
        let running = operation.state == State::Running;
        let similarity =
            operation.baseline.as_ref().map_or("", |baseline| baseline.similarity.as_str());
        let unknown = operation.unresolved().is_some() && !running;
        let accounts = || policy.legacy_gate.iter().chain(&policy.aliases).chain([&policy.gate]);
        if running || (unknown && similarity.is_empty()) {
            locks.extend(accounts().map(|account| Lock(format!("gate {account}"))));
        }
        if !similarity.is_empty() && (running || unknown) {
            let similar = |account| Lock(format!("similar {account} {similarity}"));
            locks.extend(accounts().map(similar));
        }
    }
    locks
}

/// Whether a lock is a target's by account, and not one by name or of an account as a whole.
pub fn is_by_account(lock: &Lock, policy: &Policy) -> bool {
    let mut accounts = std::iter::once(&policy.gate).chain(&policy.aliases);
    accounts.any(|account| {
        let object = lock.0.strip_prefix(account.as_str());
        !account.is_empty() && object.is_some_and(|object| object.starts_with(' '))
    })
}

/// The name among an operation's targets that a lock stands for: a key is no name for callers.
pub fn target_of<'a>(operation: &'a Operation, lock: &Lock) -> &'a str {
    let stands_for = |name: &&String| {
        **name == lock.0
            || upstream_objects(operation, name).iter().any(|object| {
                lock.0.strip_suffix(object.as_str()).is_some_and(|it| it.ends_with(' '))
            })
    };
    operation.exclusive.iter().find(stands_for).unwrap_or(&operation.target)
}

/// What a canonical name stands for upstream: noun and identifier. Nothing for the name of what the
/// operation itself makes: no other operation has that name.
fn upstream_objects(operation: &Operation, name: &str) -> Vec<String> {
    let mut parts = name.rsplitn(3, '/');
    let (Some(id), Some(noun)) = (parts.next(), parts.next()) else { return Vec::new() };
    if id == operation.request_id.to_string() {
        return Vec::new();
    }
    // An order may be named by its request id, or be several upstream objects.
    let known = name == operation.target && !operation.upstream_target.is_empty();
    let object = |id: &str| format!("{noun}/{id}");
    if known {
        return operation.upstream_target.iter().map(|id| object(id)).collect();
    }
    vec![object(id)]
}

/// The order that a purchase has made, once the upstream has told it: its next step may pay it.
fn made_order(operation: &Operation) -> impl Iterator<Item = String> {
    let makes = operation.op == Op::CreateOrder;
    operation.upstream.ids.iter().filter(move |_| makes).map(|id| format!("orders/{id}"))
}

/// The order that a renewal has made, by its one name, once the upstream has told it.
pub fn renewal_order(operation: &Operation) -> Option<String> {
    let resource::Kind::Renewal(renewal) = operation.view.as_ref()?.kind.as_ref()? else {
        return None;
    };
    let order: OrderName = renewal.order.parse().ok()?;
    (order.provider().id() == operation.provider).then(|| order.to_string())
}

/// The identifiers of the services that an order became.
pub fn delivered(operation: &Operation) -> Vec<String> {
    let seen = operation.view.as_ref().and_then(|view| view.kind.as_ref());
    let (Op::CreateOrder, Some(resource::Kind::Order(order))) = (operation.op, seen) else {
        return Vec::new();
    };
    let names = order.items.iter().flat_map(|item| &item.services);
    names.filter_map(|name| Some(name.parse::<ServiceName>().ok()?.id().to_owned())).collect()
}

/// Whether an error may pass by itself, so that asking again later makes sense.
pub fn transient(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::UpstreamUnavailable
            | ErrorReason::UpstreamRateLimit
            | ErrorReason::ProviderUnavailable
            | ErrorReason::StoreUnavailable
            | ErrorReason::Overloaded
            | ErrorReason::DeadlineExceeded
    )
}

/// Whether accepted work is not found any more, or the plugin cannot follow it.
pub fn is_gone(reason: ErrorReason) -> bool {
    is_not_found(reason) || reason == ErrorReason::PluginFault
}

/// Whether the upstream says that something is not there.
pub(super) fn is_not_found(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::OrderNotFound
            | ErrorReason::ServiceNotFound
            | ErrorReason::RenewalNotFound
            | ErrorReason::ProductNotFound
    )
}

/// Whether the order that an operation is about was made by an operation of this store: its name is not the
/// upstream's, or it holds the services of the renewal that made it.
pub(super) fn is_made_here(operation: &Operation) -> bool {
    let renamed = operation
        .target
        .parse::<OrderName>()
        .is_ok_and(|name| operation.upstream_target.first().is_some_and(|id| id != name.id()));
    renamed || operation.exclusive.iter().any(|name| *name != operation.target)
}

/// The first invariant that the operation breaks, in words.
pub fn broken_invariant(operation: &Operation) -> Option<&'static str> {
    let unresolved = |outcome| matches!(outcome, Outcome::Unspecified | Outcome::Unknown);
    let attempts = &operation.attempts;
    let last = operation.current();
    let open = attempts.last().is_some_and(|attempt| attempt.outcome == Outcome::Unspecified);
    let spends_unresolved = attempts
        .iter()
        .filter(|attempt| attempt.effect == Effect::Spend && unresolved(attempt.outcome))
        .count();
    let unknown = last.is_some_and(|attempt| attempt.outcome == Outcome::Unknown);
    let refused = operation.pending_end.as_ref().is_some_and(|end| end.kind == EndKind::Refused);
    let begins_again = operation.state == State::Accepted
        && attempts.iter().any(|it| it.step == operation.step && sold(it));
    let rules: [(bool, &'static str); 12] = [
        (ends_without_waiting(operation), "a pending end of an operation that waits for nothing"),
        (begins_again, "a step that begins again although the upstream accepted it"),
        (
            attempts.iter().any(|it| sold(it) && it.outcome == Outcome::Absent),
            "a spend that the upstream accepted and that is taken for absent",
        ),
        (spends_unresolved > 1, "more than one unresolved attempt"),
        (open && operation.state != State::Running, "an open permit outside a running step"),
        (applied_twice(operation), "an attempt after one that was applied in the same step"),
        (
            unknown
                && last.is_some_and(|attempt| attempt.effect == Effect::Spend)
                && matches!(operation.state, State::Accepted | State::Cancelled),
            "an unknown spend that is forgotten",
        ),
        (
            match operation.state {
                State::Failed => operation.error.is_none(),
                State::NeedsOperator => false,
                _ => operation.error.is_some(),
            },
            "failure without an error, or an error where nobody has to look",
        ),
        (
            operation.done()
                && operation.wake_time.is_some()
                && operation.given_up.is_empty()
                && !operation.has_unapplied(),
            "a terminal state that wakes",
        ),
        (
            matches!(
                operation.state,
                State::Accepted
                    | State::WaitingUpstream
                    | State::OutcomeUnknown
                    | State::Reconciling
            ) && operation.wake_time.is_none(),
            "an open state that nobody wakes",
        ),
        (
            matches!(operation.state, State::OutcomeUnknown | State::Reconciling)
                && (!(unknown || refused) || operation.settle.is_none()),
            "an unknown state without an unknown attempt, or a refusal, or its window",
        ),
        (
            attempts.iter().zip(1..).any(|(attempt, number)| attempt.number != number),
            "attempts out of order",
        ),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, rule)| rule)
}

fn ends_without_waiting(operation: &Operation) -> bool {
    use State::{Accepted, NeedsOperator, Reconciling, Running, WaitingUpstream};
    let Some(end) = &operation.pending_end else { return false };
    match end.kind {
        EndKind::Missing => !matches!(operation.state, Accepted | Running),
        _ => !matches!(operation.state, WaitingUpstream | Reconciling | NeedsOperator),
    }
}

/// Whether an attempt follows one that was applied in the same step, and nobody is told.
fn applied_twice(operation: &Operation) -> bool {
    let told = operation.turned_up_late()
        || !operation.duplicates.is_empty()
        // A person has seen it.
        || !operation.notes.is_empty();
    let follows = |attempt: &Attempt, earlier: &Attempt| {
        !matches!(attempt.outcome, Outcome::NotSent | Outcome::Rejected)
            && earlier.step == attempt.step
            // An upstream may answer a repeated request with what it has made already.
            && (earlier.upstream_id.is_empty() || earlier.upstream_id != attempt.upstream_id)
            && attempt.effect == Effect::Spend
            && matches!(earlier.outcome, Outcome::Applied | Outcome::Pending)
    };
    let mut attempts = operation.attempts.iter().enumerate();
    !told
        && attempts.any(|(index, attempt)| {
            operation.attempts[..index].iter().any(|earlier| follows(attempt, earlier))
        })
}

/// What the upstream says of a resource.
pub(super) fn upstream(view: &Resource) -> Option<&UpstreamRef> {
    match view.kind.as_ref()? {
        resource::Kind::Product(product) => product.upstream.as_ref(),
        resource::Kind::Order(order) => order.upstream.as_ref(),
        resource::Kind::Service(service) => service.upstream.as_ref(),
        resource::Kind::Renewal(renewal) => renewal.upstream.as_ref(),
        resource::Kind::Deleted(_) => None,
    }
}

/// Whether a view names an identifier that the host read in the answer: alone, or as one of several,
/// of the resource or of one of an order's items. A view without a resource, and
/// one of a thing that is gone, has nothing to name.
pub(super) fn names_id(view: Option<&Resource>, id: &str) -> bool {
    let Some(kind) = view.and_then(|view| view.kind.as_ref()) else { return false };
    match kind {
        resource::Kind::Deleted(_) => true,
        resource::Kind::Order(order) => order
            .upstream
            .iter()
            .chain(order.items.iter().filter_map(|item| item.upstream.as_ref()))
            .any(|upstream| upstream.names(id)),
        // What was changed keeps its own identifier; the upstream's answer is about the change.
        resource::Kind::Service(_) => true,
        resource::Kind::Product(_) | resource::Kind::Renewal(_) => {
            view.and_then(upstream).is_some_and(|it| it.names(id))
        }
    }
}
