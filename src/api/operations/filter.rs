//! Which operations a caller means: the filter of ListOperations and WatchOperations as a question to
//! the store, and the same question asked of one operation.

use std::str::FromStr as _;

use jiff::Timestamp;
use purveyor_sdk::names::ProviderName;
use purveyor_sdk::op::{OPS, OpKind};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::OperationFilter;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::{Error, Result};

use crate::engine::Caller;
use crate::store::Query;
use crate::store::operation::Operation;

/// A filter as a question to the store. Who may see what is not asked here.
///
/// # Errors
///
/// FIELD_VIOLATION for a state, provider, method or time that does not exist.
pub(super) fn query(filter: Option<&OperationFilter>) -> Result<Query> {
    let Some(filter) = filter else { return Ok(Query::default()) };
    Ok(Query {
        states: states(&filter.states)?,
        provider: provider(&filter.provider)?,
        target: Some(filter.target.clone()).filter(|target| !target.is_empty()),
        ops: op(&filter.method)?.into_iter().collect(),
        open_only: filter.open_only,
        create_after: filter.create_after.map(time).transpose()?,
        ..Query::default()
    })
}

/// Whether a watcher is sent a change that made `operation` what it is.
///
/// What ends is sent whatever state was asked for, so that nobody waits for one that is over: who
/// watches what is open learns of its end, and learns it again after a resumed stream.
pub(super) fn sends(query: &Query, caller: &Caller, operation: &Operation) -> bool {
    let state =
        operation.done() || query.states.is_empty() || query.states.contains(&operation.state);
    state
        && (caller.operator || caller.owner == operation.owner)
        && query.is_at(&operation.provider)
        && query.target.as_ref().is_none_or(|target| *target == operation.target)
        && (query.ops.is_empty() || query.ops.contains(&operation.op))
        && query.create_after.is_none_or(|after| operation.create_time >= after)
}

fn states(numbers: &[i32]) -> Result<Vec<State>> {
    let known = |(place, number): (usize, &i32)| match State::try_from(*number) {
        Ok(state) if state != State::Unspecified => Ok(state),
        _ => Err(Error::field(format!("filter.states[{place}]"), format!("{number} is no state"))),
    };
    numbers.iter().enumerate().map(known).collect()
}

fn provider(name: &str) -> Result<Option<String>> {
    if name.is_empty() {
        return Ok(None);
    }
    let name = ProviderName::from_str(name).map_err(|error| error.field("filter.provider"))?;
    Ok(Some(name.id().to_owned()))
}

fn op(method: &str) -> Result<Option<Op>> {
    if method.is_empty() {
        return Ok(None);
    }
    let found = OPS.iter().find(|info| info.kind != OpKind::Read && info.method == method);
    found.map(|info| Some(info.op)).ok_or_else(|| {
        Error::field("filter.method", format!("{method} is no write; Orders.CreateOrder is one"))
    })
}

fn time(time: prost_types::Timestamp) -> Result<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).map_err(|error| {
        Error::field("filter.create_after", "is no time of the years 1 to 9999").with_source(error)
    })
}
