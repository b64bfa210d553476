//! An operation as a caller sees it. Plain conversion: what is stored, in the contract's words.

use jiff::Timestamp;
use prost::Message as _;
use purveyor_sdk::Error;
use purveyor_sdk::op;
use purveyor_sdk::plugin::v1::resource::Kind;
use purveyor_sdk::v1;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::{Result as Outcome, State};

use crate::api::limits::OPERATION_MAX_BYTES;
use crate::api::status::{self, retry::Stage};
use crate::api::subject::Subject;
use crate::engine::Caller;
use crate::engine::outcome::{resource, upstream};
use crate::store::age::Age;
use crate::store::operation::{Attempt, Baseline, Decision, Note, Operation};

/// What is said of an object that was bought for an operation beside its own one.
pub(crate) const BOUGHT_AS_WELL: &str = "was bought for this operation as well";
/// Stands for an answer that is not shown.
const LEFT_OUT: &str = "[left out: the operation has too many large answers]";
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
    let duplicates = operation.duplicates.iter().map(shown_duplicate);
    let shown = v1::Operation {
        name: name(operation.request_id),
        done: operation.done(),
        state: operation.state.into(),
        method: op::info(operation.op).map(|info| info.method.to_owned()).unwrap_or_default(),
        target: operation.target.clone(),
        caller: operation.owner.clone(),
        trace_id: operation.trace_id.clone(),
        blocked_by: operation.blocked_by.map(name).unwrap_or_default(),
        upstream: Some(upstream(operation)),
        attempts: operation.attempts.iter().map(attempt).collect(),
        create_time: Some(time(operation.create_time)),
        update_time: Some(time(operation.update_time)),
        settle_time: operation.settle.as_ref().map(|settle| time(wall_at(settle.conclusive_at))),
        start_before: Some(time(operation.start_before)),
        message: operation.message.clone(),
        candidates: operation.candidates.iter().cloned().chain(duplicates).collect(),
        problem: problem(operation),
        baseline: operation.baseline.as_ref().filter(|_| caller.operator).map(shown_baseline),
        notes: operation.notes.iter().filter(|_| caller.operator).map(shown_note).collect(),
        result: outcome(operation),
        etag: operation.version.to_string(),
        // A store counts the version in 64 bits with a sign.
        revision: i64::try_from(operation.version).unwrap_or(i64::MAX),
    };
    bounded(shown)
}

/// The operation without the upstream's older answers, where it is too large with them.
fn bounded(mut shown: v1::Operation) -> v1::Operation {
    let mut bytes = shown.encoded_len();
    let older = shown.attempts.len().saturating_sub(1);
    for attempt in &mut shown.attempts[..older] {
        if bytes <= OPERATION_MAX_BYTES {
            break;
        }
        bytes -= attempt.answer.len();
        attempt.answer = LEFT_OUT.to_owned();
    }
    shown
}

/// An operation's name.
fn name(request_id: uuid::Uuid) -> String {
    format!("operations/{request_id}")
}

/// What came of it: the error of one that failed, else the resource as it was last seen.
fn outcome(operation: &Operation) -> Option<Outcome> {
    if let (State::Failed, Some(error)) = (operation.state, &operation.error) {
        let error = Subject::of_operation(operation).stamp(error.clone().into());
        let stage = Stage::of_failed(operation);
        return Some(Outcome::Error(status::of_operation(&error, stage)));
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

/// What a person has to look at, where there is a word for it: first what keeps the operation from going
/// on, then what was bought too often.
fn problem(operation: &Operation) -> Option<v1::Status> {
    let error = match &operation.error {
        Some(error) if operation.state == State::NeedsOperator => error.clone().into(),
        _ => Error::new(ErrorReason::DuplicateDetected, bought_as_well(operation)?),
    };
    let error = Subject::of_operation(operation).stamp(error);
    Some(status::of_operation(&error, Stage::Problem))
}

/// What was bought beside what the operation shows as its own, for a person. The operation's own message
/// may tell of something later.
fn bought_as_well(operation: &Operation) -> Option<String> {
    if operation.duplicates.is_empty() {
        return operation.turned_up_late().then(|| operation.message.clone());
    }
    let late = operation.candidates.iter().filter(|_| operation.turned_up_late());
    let ids: Vec<_> = operation.duplicates.iter().chain(late).map(|it| it.id()).collect();
    let were =
        if ids.len() == 1 { BOUGHT_AS_WELL } else { "were bought for this operation as well" };
    Some(format!("{} {were}", ids.join(", ")))
}

fn shown_duplicate(duplicate: &v1::UpstreamRef) -> v1::UpstreamRef {
    let message = match duplicate.message.as_str() {
        "" => BOUGHT_AS_WELL.to_owned(),
        more => format!("{BOUGHT_AS_WELL}; {more}"),
    };
    v1::UpstreamRef { message, ..duplicate.clone() }
}

fn shown_baseline(baseline: &Baseline) -> v1::operation::Baseline {
    v1::operation::Baseline {
        present_ids: baseline.present_ids.iter().take(PRESENT_IDS_MAX).cloned().collect(),
        present_count: i32::try_from(baseline.present_ids.len()).unwrap_or(i32::MAX),
        highest_id: baseline.highest_id.clone(),
        similarity: baseline.similarity.clone(),
    }
}

fn shown_note(note: &Note) -> v1::operation::Note {
    v1::operation::Note {
        note_time: Some(time(note.time)),
        actor: note.actor.clone(),
        text: note.text.clone(),
        decision: decision(note.decision).into(),
        at_own_risk: note.at_own_risk,
        waits: note.waits_until.is_some(),
        overruled: note.overruled,
    }
}

fn decision(decision: Decision) -> v1::operation::note::Decision {
    use v1::operation::note::Decision as Shown;
    match decision {
        Decision::Unknown => Shown::Unspecified,
        Decision::Executed => Shown::Executed,
        Decision::NotExecuted => Shown::NotExecuted,
        Decision::TryAgain => Shown::TryAgain,
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

#[cfg(test)]
mod tests {
    use purveyor_sdk::plugin::v1::Op;

    use super::*;

    fn reference(id: &str) -> v1::UpstreamRef {
        v1::UpstreamRef::of(id.to_owned())
    }

    fn operation(state: State) -> Operation {
        let id = uuid::Uuid::from_u128(1);
        let now = Timestamp::UNIX_EPOCH;
        let new = Operation::new(id, Op::CreateOrder, "acme".to_owned(), now, Age::from_nanos(0));
        Operation { state, wake_time: None, ..new }
    }

    #[track_caller]
    fn check(operation: &Operation, expected: Option<(&str, &str)>) {
        let told = problem(operation);
        let told = told.as_ref().map(|told| (told.reason.as_str(), told.message.as_str()));
        assert_eq!(told, expected);
    }

    #[test]
    fn problem_of_duplicates_names_them_whatever_the_message_says() {
        let mut bought = operation(State::Running);
        bought.duplicates = vec![reference("7")];
        let expected = "7 was bought for this operation as well";
        check(&bought, Some(("DUPLICATE_DETECTED", expected)));
        // What turns up late is told beside it.
        bought.state = State::Succeeded;
        bought.message = "8 turned up".to_owned();
        bought.candidates = vec![reference("8")];
        let expected = "7, 8 were bought for this operation as well";
        check(&bought, Some(("DUPLICATE_DETECTED", expected)));
        bought.duplicates.clear();
        check(&bought, Some(("DUPLICATE_DETECTED", "8 turned up")));
        bought.candidates.clear();
        check(&bought, None);
    }

    #[test]
    fn problem_that_stops_an_operation_comes_before_its_duplicates() {
        let mut stopped = operation(State::NeedsOperator);
        stopped.duplicates = vec![reference("7")];
        stopped.error = Some(Error::new(ErrorReason::AccountChanged, "another account").into());
        check(&stopped, Some(("ACCOUNT_CHANGED", "another account")));
        stopped.error = None;
        let expected = "7 was bought for this operation as well";
        check(&stopped, Some(("DUPLICATE_DETECTED", expected)));
        // Why a write failed is its result.
        stopped.duplicates.clear();
        stopped.state = State::Failed;
        stopped.error = Some(Error::new(ErrorReason::UpstreamRejected, "no").into());
        check(&stopped, None);
    }

    #[test]
    fn candidates_tell_what_could_be_it_from_what_was_bought_as_well() {
        let mut stopped = operation(State::NeedsOperator);
        stopped.candidates = vec![reference("6")];
        let owned = "belongs to operations/x".to_owned();
        stopped.duplicates =
            vec![reference("7"), v1::UpstreamRef { message: owned, ..reference("8") }];
        let caller = Caller::local();
        let shown = shown(&stopped, &caller, |_| Timestamp::UNIX_EPOCH);
        let told: Vec<_> =
            shown.candidates.iter().map(|it| (it.id(), it.message.as_str())).collect();
        let expected = [
            ("6", ""),
            ("7", "was bought for this operation as well"),
            ("8", "was bought for this operation as well; belongs to operations/x"),
        ];
        assert_eq!(told, expected);
    }
}
