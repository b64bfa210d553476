//! Orders and renewals that were made here: what the upstream tells of them under our name, with what
//! only we know, and what our records tell while the upstream knows nothing.
//!
//! Pure: an operation and a message in, a message out. What the upstream tells wins over what was
//! asked for; a lost outcome wins over both.

mod order;
mod renewal;
#[cfg(test)]
pub(super) mod tests;

use prost_types::Timestamp;
use purveyor_sdk::etag::{self, Tagged};
use purveyor_sdk::names::ProviderName;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::{Error, Result};

use crate::store::operation::Operation;

/// A noun that writes of ours make and that is named by their request id.
pub(super) trait Made: Tagged {
    /// The write that makes one.
    const MADE_BY: Op;
    /// The read of one.
    const GET: Op;
    /// The reason where there is none.
    const NOT_FOUND: ErrorReason;

    /// The name of one that the upstream calls `id`.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for what is no identifier.
    fn name_of(provider: &ProviderName, id: &str) -> Result<String>;

    /// What was asked for, with what was last seen.
    ///
    /// # Errors
    ///
    /// INTERNAL for a stored request that cannot be decoded.
    fn stored(operation: &Operation) -> Result<Self>;

    /// The state that follows from the operation alone; a state that was seen stays where the
    /// operation says nothing else.
    fn follow(&mut self, progress: Progress);

    /// What the upstream tells now, filled up with what is stored.
    fn filled(live: Self, stored: Self, progress: Progress) -> Self;

    /// What the upstream calls it; empty where nothing is told.
    fn upstream_ids(&self) -> &[String];

    /// The fields that both nouns have.
    fn common(&mut self) -> Common<'_>;
}

/// The fields that orders and renewals share.
pub(super) struct Common<'a> {
    pub name: &'a mut String,
    pub aliases: &'a mut Vec<String>,
    pub operation: &'a mut String,
    pub create_time: &'a mut Option<Timestamp>,
}

/// How far an operation has come, as far as its resource shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is to be sent.
    Pending,
    /// All was sent, and the upstream works on it.
    Waiting,
    /// What became of the last request is not known.
    Unknown,
    /// Done.
    Succeeded,
    /// Not done.
    Failed,
    /// Taken back.
    Cancelled,
}

/// How far an operation has come.
pub(super) fn progress(operation: &Operation) -> Progress {
    let unknown = operation.unresolved().is_some_and(|last| last.outcome == Outcome::Unknown);
    match operation.state {
        State::Succeeded => Progress::Succeeded,
        State::Failed => Progress::Failed,
        State::Cancelled => Progress::Cancelled,
        State::OutcomeUnknown | State::Reconciling => Progress::Unknown,
        State::NeedsOperator if unknown => Progress::Unknown,
        State::WaitingUpstream => Progress::Waiting,
        State::Unspecified | State::Accepted | State::Running | State::NeedsOperator => {
            Progress::Pending
        }
    }
}

/// What the upstream calls what an operation made; empty while it does not know it.
pub(super) fn upstream_ids(operation: &Operation) -> Vec<String> {
    if !operation.upstream.ids.is_empty() {
        return operation.upstream.ids.clone();
    }
    let mut told = operation.attempts.iter().map(|attempt| &attempt.upstream_id);
    let told = told.find(|id| !id.is_empty() && !operation.is_duplicate(id));
    told.into_iter().cloned().collect()
}

/// From our records alone.
///
/// # Errors
///
/// As [`Made::stored`].
pub(super) fn recorded<T: Made>(provider: &ProviderName, operation: &Operation) -> Result<T> {
    let mut made = T::stored(operation)?;
    made.follow(progress(operation));
    Ok(etag::seal(named(made, provider, operation)))
}

/// As the upstream tells it now. Only what was read in full has an etag.
///
/// # Errors
///
/// As [`Made::stored`].
pub(super) fn dressed<T: Made>(
    live: T,
    provider: &ProviderName,
    operation: &Operation,
    full: bool,
) -> Result<T> {
    let filled = T::filled(live, T::stored(operation)?, progress(operation));
    let mut named = named(filled, provider, operation);
    if full {
        return Ok(etag::seal(named));
    }
    named.etag_mut().clear();
    Ok(named)
}

/// One that was made elsewhere, under the one name that the upstream's identifier gives it.
///
/// # Errors
///
/// PLUGIN_FAULT for an identifier that can be part of no name.
pub(super) fn foreign<T: Made>(
    mut live: T,
    provider: &ProviderName,
    asked: &str,
    maker: Option<&Operation>,
) -> Result<T> {
    let id = live.upstream_ids().first().map_or(asked, String::as_str);
    let name = T::name_of(provider, id).map_err(|error| {
        Error::fault("the plugin told an identifier that is none").with_source(error)
    })?;
    let common = live.common();
    common.aliases.retain(|alias| *alias != name);
    *common.name = name;
    *common.operation = maker
        .filter(|maker| matches!(maker.op, Op::CreateOrder | Op::CreateRenewal))
        .map(|maker| format!("operations/{}", maker.request_id))
        .unwrap_or_default();
    Ok(live)
}

fn named<T: Made>(mut made: T, provider: &ProviderName, operation: &Operation) -> T {
    let told = made.upstream_ids();
    let ids = if told.is_empty() { upstream_ids(operation) } else { told.to_vec() };
    // An identifier that can be part of no name is no alias either.
    let names = ids.iter().filter_map(|id| T::name_of(provider, id).ok());
    let mut aliases: Vec<String> = names.collect();
    let common = made.common();
    aliases.append(common.aliases);
    aliases.sort_unstable();
    aliases.dedup();
    aliases.retain(|alias| *alias != operation.target);
    *common.aliases = aliases;
    common.name.clone_from(&operation.target);
    *common.operation = format!("operations/{}", operation.request_id);
    common.create_time.get_or_insert_with(|| timestamp(operation.create_time));
    made
}

/// A moment as the contract writes it.
pub(super) fn timestamp(moment: jiff::Timestamp) -> Timestamp {
    let (mut seconds, mut nanos) = (moment.as_second(), moment.subsec_nanosecond());
    if nanos < 0 {
        // Nanoseconds of the contract count forward, also before 1970.
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    Timestamp { seconds, nanos }
}

/// A stored request that this version cannot decode any more.
fn undecodable(error: prost::DecodeError) -> Error {
    Error::new(ErrorReason::Internal, "a stored request cannot be decoded").with_source(error)
}
