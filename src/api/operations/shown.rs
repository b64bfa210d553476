//! An operation as a caller sees it. Plain conversion: what is stored, in the contract's words.

use jiff::Timestamp;
use purveyor_sdk::Error;
use purveyor_sdk::op;
use purveyor_sdk::plugin::v1::resource::Kind;
use purveyor_sdk::v1;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::{Result as Outcome, State};

use crate::api::status;
use crate::engine::Caller;
use crate::engine::outcome::resource;
use crate::store::age::Age;
use crate::store::operation::{Attempt, Baseline, Note, Operation};

/// The most identifiers of a baseline that are shown.
const PRESENT_IDS_MAX: usize = 100;

/// `operation` as `caller` sees it. The upstream's own answers, what was there before, and what
/// operators said are for operators alone. `wall_at` tells the time of day of an age.
pub(crate) fn shown(
    operation: &Operation,
    caller: &Caller,
    wall_at: impl Fn(Age) -> Timestamp,
) -> v1::Operation {
    let attempt = |each: &Attempt| shown_attempt(each, caller);
    v1::Operation {
        name: name(operation.request_id),
        done: operation.done(),
        state: operation.state.into(),
        method: op::info(operation.op).map(|info| info.method.to_owned()).unwrap_or_default(),
        target: operation.target.clone(),
        caller: operation.owner.clone(),
        trace_id: operation.trace_id.clone(),
        blocked_by: operation.blocked_by.map(name).unwrap_or_default(),
        upstream: Some(operation.upstream.clone()),
        attempts: operation.attempts.iter().map(attempt).collect(),
        create_time: Some(time(operation.create_time)),
        update_time: Some(time(operation.update_time)),
        settle_time: operation.settle.as_ref().map(|settle| time(wall_at(settle.conclusive_at))),
        start_before: Some(time(operation.start_before)),
        message: operation.message.clone(),
        candidates: operation.candidates.iter().chain(&operation.duplicates).cloned().collect(),
        problem: problem(operation),
        baseline: operation.baseline.as_ref().filter(|_| caller.operator).map(shown_baseline),
        notes: operation.notes.iter().filter(|_| caller.operator).map(shown_note).collect(),
        result: outcome(operation),
        etag: operation.version.to_string(),
    }
}

/// An operation's name.
fn name(request_id: uuid::Uuid) -> String {
    format!("operations/{request_id}")
}

/// What came of it: the error of one that failed, else the resource as it was last seen.
fn outcome(operation: &Operation) -> Option<Outcome> {
    if let (State::Failed, Some(error)) = (operation.state, &operation.error) {
        return Some(Outcome::Error(status::ended(&error.clone().into())));
    }
    let resource = resource(operation).unwrap_or_else(|error| {
        // The operation itself is still worth showing.
        tracing::error!(request_id = %operation.request_id, %error, "a stored resource is unreadable");
        None
    });
    Some(match resource? {
        Kind::Product(product) => Outcome::Product(product),
        Kind::Order(order) => Outcome::Order(order),
        Kind::Service(service) => Outcome::Service(service),
        Kind::Renewal(renewal) => Outcome::Renewal(renewal),
        Kind::Deleted(name) => Outcome::Deleted(name),
    })
}

/// What a person has to look at, where there is a word for it.
fn problem(operation: &Operation) -> Option<v1::Status> {
    let error = if operation.turned_up_late() || !operation.duplicates.is_empty() {
        Error::new(ErrorReason::DuplicateDetected, operation.message.clone())
    } else if operation.state == State::NeedsOperator {
        operation.error.clone()?.into()
    } else {
        return None;
    };
    Some(status::ended(&error))
}

fn shown_baseline(baseline: &Baseline) -> v1::operation::Baseline {
    v1::operation::Baseline {
        present_ids: baseline.present_ids.iter().take(PRESENT_IDS_MAX).cloned().collect(),
        present_count: i32::try_from(baseline.present_ids.len()).unwrap_or(i32::MAX),
        similarity: baseline.similarity.clone(),
    }
}

fn shown_note(note: &Note) -> v1::operation::Note {
    v1::operation::Note {
        note_time: Some(time(note.time)),
        actor: note.actor.clone(),
        text: note.text.clone(),
    }
}

fn shown_attempt(attempt: &Attempt, caller: &Caller) -> v1::operation::Attempt {
    let answer = if caller.operator {
        String::from_utf8_lossy(&attempt.answer).into_owned()
    } else {
        String::new()
    };
    v1::operation::Attempt {
        number: i32::try_from(attempt.number).unwrap_or(i32::MAX),
        call: attempt.call.clone(),
        outcome: attempt.outcome.into(),
        send_time: Some(time(attempt.permit_time)),
        message: attempt.message.clone(),
        plugin_version: attempt.plugin.clone(),
        answer,
        answer_status: attempt.answer_status.into(),
        upstream_id: attempt.upstream_id.clone(),
        effect: attempt.effect.into(),
        plugin_sha256: attempt.plugin_sha256.clone(),
    }
}

fn time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
