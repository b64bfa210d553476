//! The two ends of every handler: what came with the request, and how a result leaves. For writes,
//! the wait for the operation between. It must not know any method.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use purveyor_sdk::v1;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::Result as Outcome;
use purveyor_sdk::{Error, Result};
use tonic::{Request, Response, Status};
use tracing::Span;

use crate::api::arrival::Arrival;
use crate::api::codec::fits;
use crate::api::limits::{WAIT_DEFAULT, WAIT_MARGIN, WAIT_MAX};
use crate::api::operations::shown::shown;
use crate::api::status;
use crate::api::subject::{Addressed, Subject};
use crate::engine::Engine;
use crate::engine::call::{Call, Written};
use crate::engine::listing::Missed;
use crate::store::operation::Operation;

/// What a handler answers.
pub(crate) type Answer<T> = std::result::Result<Response<T>, Status>;

/// What came with a request, and its message. Without a gate before it (nothing sends such a request
/// but a test) the call has no deadline and no trace.
pub(crate) fn arrived<T: Addressed>(request: Request<T>) -> (Arrival, T) {
    about(request, Subject::of_request)
}

/// As [`arrived`], of a request that passes as bytes.
pub(crate) fn arrived_raw(request: Request<Bytes>) -> (Arrival, Bytes) {
    about(request, Subject::of_bytes)
}

fn about<T>(mut request: Request<T>, subject: impl FnOnce(&T) -> Subject) -> (Arrival, T) {
    let arrival: Arrival = request.extensions_mut().remove().unwrap_or_default();
    let message = request.into_inner();
    (Arrival { subject: subject(&message), ..arrival }, message)
}

/// A result as it leaves, unless it is too large to leave; an error says what it is about.
pub(crate) fn answer<T: Message>(arrival: &Arrival, result: Result<T>) -> Answer<T> {
    let result = result.and_then(|message| fits(message.encoded_len()).map(|()| message));
    result.map(Response::new).map_err(|error| status::grpc(&arrival.subject.stamp(error)))
}

/// Runs a write, which begins only when `wait` is one, and answers with its operation: done, or as it
/// is when the wait is over.
///
/// Who waits does not work: the call's place is given back as soon as the operation is stored.
pub(crate) async fn write<F: Future<Output = Result<Written>>>(
    engine: &Engine,
    arrival: &Arrival,
    call: &Call,
    request_id: &str,
    wait: Option<prost_types::Duration>,
    write: impl Fn() -> F,
) -> Answer<v1::Operation> {
    Span::current().record("request_id", request_id);
    let written = written(engine, request_id, write);
    answer(arrival, operation(engine, arrival, call, wait, written).await)
}

/// Of two that carry the same request at the same moment, one is accepted, and what it does may be
/// what the other is refused for: that one is a repeat by now, and is answered as such.
async fn written<F: Future<Output = Result<Written>>>(
    engine: &Engine,
    request_id: &str,
    write: impl Fn() -> F,
) -> Result<Written> {
    match write().await {
        Err(error) if error.reason != ErrorReason::RequestIdReused => {
            if engine.knows(request_id).await? { write().await } else { Err(error) }
        }
        written => written,
    }
}

async fn operation(
    engine: &Engine,
    arrival: &Arrival,
    call: &Call,
    wait: Option<prost_types::Duration>,
    write: impl Future<Output = Result<Written>>,
) -> Result<v1::Operation> {
    let wanted = duration("wait", wait)?.unwrap_or(WAIT_DEFAULT);
    let operation = match write.await? {
        Written::Operation(operation) => *operation,
        Written::Quote(quote) => return Ok(unstored(Outcome::Quote(*quote))),
        Written::Refused(error) => {
            let error = arrival.subject.stamp(error);
            return Ok(unstored(Outcome::Error(status::value(&error))));
        }
    };
    arrival.place.give_back();
    let waited = wait_for(engine, arrival, call, operation, wanted).await?;
    Ok(shown(&waited, &call.caller, |age| engine.wall_at(age)))
}

/// The operation when it is done, comes to need an operator, or `wanted` or the deadline or the server's
/// time is over.
pub(crate) async fn wait_for(
    engine: &Engine,
    arrival: &Arrival,
    call: &Call,
    operation: Operation,
    wanted: Duration,
) -> Result<Operation> {
    let timeout = arrival.bound(wanted, WAIT_MARGIN);
    if operation.done() || timeout.is_zero() {
        return Ok(operation);
    }
    tokio::select! {
        waited = engine.wait(&operation, timeout) => waited,
        () = arrival.left() => engine.operation(&call.caller, operation.request_id).await,
    }
}

/// A duration of a request that says how long to wait.
///
/// # Errors
///
/// FIELD_VIOLATION when it is negative, malformed, or longer than anybody should wait on one call.
pub(crate) fn duration(
    field: &str,
    value: Option<prost_types::Duration>,
) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    // Converting would put seconds and nanoseconds of different signs in order.
    let well_formed = (0..1_000_000_000).contains(&value.nanos);
    match Duration::try_from(value) {
        Ok(duration) if well_formed && duration <= WAIT_MAX => Ok(Some(duration)),
        _ => Err(Error::field(field, format!("must be from 0 s to {} s", WAIT_MAX.as_secs()))),
    }
}

/// The providers that a listing could not ask, as its answer names them.
pub(crate) fn unreachable(missed: &[Missed]) -> Vec<v1::Unreachable> {
    let named = |each: &Missed| v1::Unreachable {
        provider: each.provider.clone(),
        reason: Some(status::value(&each.error)),
    };
    missed.iter().map(named).collect()
}

/// The answer to `validate_only`: an operation that is done and was never stored.
fn unstored(outcome: Outcome) -> v1::Operation {
    v1::Operation { done: true, result: Some(outcome), ..v1::Operation::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |seconds, nanos, expected: Option<Duration>| {
            let value = prost_types::Duration { seconds, nanos };
            assert_eq!(duration("wait", Some(value)).ok().flatten(), expected, "{value:?}");
        };
        check(0, 0, Some(Duration::ZERO));
        check(5, 1, Some(Duration::new(5, 1)));
        check(3600, 0, Some(WAIT_MAX));
        check(3600, 1, None);
        check(-1, 0, None);
        check(0, -1, None);
        check(1, -1, None);
        check(1, 1_000_000_000, None);
        check(i64::MAX, i32::MAX, None);
        assert_eq!(duration("wait", None).unwrap(), None);
    }
}
