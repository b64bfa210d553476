//! What is the same in every store: which columns operations, attempts and observations have and what
//! stands in them, the conditions of indexes, and what may follow what is stored. It must not know how a
//! store binds or reads a value.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use uuid::Uuid;

use super::age::Age;
use super::encoding::{self, corrupt};
use super::operation::{Attempt, NewClaim, Observation, Observed, Operation, Origin};
use super::{PAGE_MAX, Pruned, StoreError};

/// The columns of an operation, in the order of the fields of [`OperationColumns`].
macro_rules! operation_columns {
    () => {
        "request_id, state, version, create_time, update_time, wake_time, tries, step, \
         blocked_by, protocol, op, owner, actor, trace_id, provider, account, target, \
         upstream_targets, start_before, fingerprint, exclusive, upstream, settle, message, error, \
         candidates, notes, handle, baseline, view, request, given_up, duplicates, create_age, \
         update_age, account_key, pending_end, safety"
    };
}
pub(super) use operation_columns;

/// The condition of the index `operations_open`; 7, 8 and 9 are the terminal states.
pub(super) const OPEN: &str = "state NOT IN (7, 8, 9)";

/// The condition of the index `operations_listed_by_state`; 7 is Succeeded.
pub(super) const UNSUCCESSFUL: &str = "state <> 7";

/// The condition of the index `operations_ended_at`.
pub(super) const ENDED: &str = "state IN (7, 8, 9)";

/// The condition of the index `operations_unstarted`; 1 is Accepted, 2 is Running.
pub(super) const UNSTARTED: &str = "state IN (1, 2)";

/// A text that sorts behind every stored `start_before` up to the end of a time's second, and before all
/// later ones: what stands behind the second differs in length, so it does not sort by time.
pub(super) fn after_second(time: Timestamp) -> String {
    format!("{}~", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// How long a change is kept, by the store's age: as long as a resume token is valid.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The limit of a query, which is never more than a page.
pub(super) fn page(limit: usize) -> i64 {
    // PAGE_MAX is far below what a database counts to.
    i64::try_from(limit.min(PAGE_MAX)).unwrap_or(0)
}

/// An operation without its attempts. Times are nanoseconds since 1970, and ages are nanoseconds; what
/// no query looks into is one protobuf message.
pub(super) struct OperationColumns<'a> {
    pub(super) request_id: Uuid,
    pub(super) state: i32,
    pub(super) version: i64,
    pub(super) create_time: i64,
    pub(super) update_time: i64,
    pub(super) wake_time: Option<i64>,
    pub(super) tries: i64,
    pub(super) step: i64,
    pub(super) blocked_by: Option<Uuid>,
    pub(super) protocol: i64,
    pub(super) op: i32,
    pub(super) owner: Cow<'a, str>,
    pub(super) actor: Cow<'a, str>,
    pub(super) trace_id: Cow<'a, str>,
    pub(super) provider: Cow<'a, str>,
    pub(super) account: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    pub(super) upstream_targets: Cow<'a, [u8]>,
    /// RFC 3339 with nanoseconds: a caller may name any year.
    pub(super) start_before: Cow<'a, str>,
    pub(super) fingerprint: Cow<'a, [u8]>,
    pub(super) exclusive: Cow<'a, [u8]>,
    pub(super) upstream: Cow<'a, [u8]>,
    pub(super) settle: Option<Cow<'a, [u8]>>,
    pub(super) message: Cow<'a, str>,
    pub(super) error: Option<Cow<'a, [u8]>>,
    pub(super) candidates: Cow<'a, [u8]>,
    pub(super) notes: Cow<'a, [u8]>,
    pub(super) handle: Cow<'a, [u8]>,
    pub(super) baseline: Option<Cow<'a, [u8]>>,
    pub(super) view: Option<Cow<'a, [u8]>>,
    pub(super) request: Cow<'a, [u8]>,
    /// NULL in nearly every row.
    pub(super) given_up: Option<Cow<'a, [u8]>>,
    /// NULL in nearly every row.
    pub(super) duplicates: Option<Cow<'a, [u8]>>,
    pub(super) create_age: i64,
    pub(super) update_age: i64,
    pub(super) account_key: Cow<'a, str>,
    /// NULL in nearly every row.
    pub(super) pending_end: Option<Cow<'a, [u8]>>,
    /// NULL in operations of older versions.
    pub(super) safety: Option<Cow<'a, [u8]>>,
}

impl<'a> OperationColumns<'a> {
    /// What is written of an operation.
    ///
    /// # Errors
    ///
    /// `Invalid` for a time or a number that no column can hold.
    pub(super) fn of(row: &'a Operation) -> Result<Self, StoreError> {
        Ok(Self {
            request_id: row.request_id,
            state: row.state as i32,
            version: integer("version", row.version)?,
            create_time: nanoseconds("create_time", row.create_time)?,
            update_time: nanoseconds("update_time", row.update_time)?,
            wake_time: row.wake_time.map(Age::as_nanos),
            tries: row.tries.into(),
            step: row.step.into(),
            blocked_by: row.blocked_by,
            protocol: row.protocol.into(),
            op: row.op as i32,
            owner: Cow::Borrowed(&row.owner),
            actor: Cow::Borrowed(&row.actor),
            trace_id: Cow::Borrowed(&row.trace_id),
            provider: Cow::Borrowed(&row.provider),
            account: Cow::Borrowed(&row.account),
            target: Cow::Borrowed(&row.target),
            upstream_targets: encoding::names(&row.upstream_target).into(),
            start_before: row.start_before.to_string().into(),
            fingerprint: Cow::Borrowed(&row.fingerprint),
            exclusive: encoding::names(&row.exclusive).into(),
            upstream: row.upstream.encode_to_vec().into(),
            settle: row.settle.as_ref().map(|settle| encoding::settle(settle).into()),
            message: Cow::Borrowed(&row.message),
            error: row.error.as_ref().map(|error| error.encode_to_vec().into()),
            candidates: encoding::sequence(&row.candidates).into(),
            notes: encoding::notes(&row.notes).into(),
            handle: Cow::Borrowed(&row.handle),
            baseline: row.baseline.as_ref().map(|baseline| encoding::baseline(baseline).into()),
            view: row.view.as_ref().map(|view| view.encode_to_vec().into()),
            request: Cow::Borrowed(&row.request),
            given_up: encoding::given_up(&row.given_up).map(Cow::Owned),
            duplicates: (!row.duplicates.is_empty())
                .then(|| encoding::sequence(&row.duplicates).into()),
            create_age: row.create_age.as_nanos(),
            update_age: row.update_age.as_nanos(),
            account_key: Cow::Borrowed(&row.account_key),
            pending_end: row.pending_end.as_ref().map(|end| encoding::pending_end(end).into()),
            safety: row.safety.as_ref().map(|safety| encoding::safety(safety).into()),
        })
    }

    /// The operation that was written.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what [`OperationColumns::of`] never writes.
    pub(super) fn into_operation(self, attempts: Vec<Attempt>) -> Result<Operation, StoreError> {
        let fingerprint = self.fingerprint.as_ref();
        Ok(Operation {
            request_id: self.request_id,
            protocol: small("protocol", self.protocol)?,
            owner: self.owner.into_owned(),
            actor: self.actor.into_owned(),
            trace_id: self.trace_id.into_owned(),
            op: encoding::number("op", self.op.into())?,
            provider: self.provider.into_owned(),
            account: self.account.into_owned(),
            account_key: self.account_key.into_owned(),
            target: self.target.into_owned(),
            upstream_target: encoding::from_names("upstream_targets", &self.upstream_targets)?,
            exclusive: encoding::from_names("exclusive", &self.exclusive)?,
            fingerprint: fingerprint.try_into().map_err(|e| corrupt("fingerprint", e))?,
            request: self.request.into_owned(),
            state: encoding::number("state", self.state.into())?,
            version: unsigned("version", self.version)?,
            create_time: timestamp(self.create_time),
            update_time: timestamp(self.update_time),
            create_age: Age::from_nanos(self.create_age),
            update_age: Age::from_nanos(self.update_age),
            start_before: self.start_before.parse().map_err(|e| corrupt("start_before", e))?,
            wake_time: self.wake_time.map(Age::from_nanos),
            tries: small("tries", self.tries)?,
            step: small("step", self.step)?,
            handle: self.handle.into_owned(),
            baseline: self.baseline.as_deref().map(encoding::from_baseline).transpose()?,
            attempts,
            given_up: self.given_up.as_deref().map_or(Ok(Vec::new()), encoding::from_given_up)?,
            upstream: encoding::message("upstream", &self.upstream)?,
            view: optional("view", self.view.as_deref())?,
            error: optional("error", self.error.as_deref())?,
            message: self.message.into_owned(),
            candidates: encoding::from_sequence("candidates", &self.candidates)?,
            duplicates: self
                .duplicates
                .as_deref()
                .map_or(Ok(Vec::new()), |bytes| encoding::from_sequence("duplicates", bytes))?,
            blocked_by: self.blocked_by,
            settle: self.settle.as_deref().map(encoding::from_settle).transpose()?,
            pending_end: self.pending_end.as_deref().map(encoding::from_pending_end).transpose()?,
            safety: self.safety.as_deref().map(encoding::from_safety).transpose()?,
            notes: encoding::from_notes(&self.notes)?,
        })
    }
}

/// One attempt.
#[derive(PartialEq)]
pub(super) struct AttemptColumns<'a> {
    pub(super) number: i64,
    pub(super) step: i64,
    pub(super) nonce: Uuid,
    pub(super) call: Cow<'a, str>,
    pub(super) effect: i32,
    pub(super) permit_time: i64,
    pub(super) permit_age: i64,
    pub(super) outcome: i32,
    pub(super) message: Cow<'a, str>,
    pub(super) upstream_id: Cow<'a, str>,
    pub(super) plugin: Cow<'a, str>,
    pub(super) plugin_sha256: Cow<'a, str>,
    pub(super) answer_status: i32,
    pub(super) answer: Cow<'a, [u8]>,
    pub(super) observed: i32,
}

/// One observation.
pub(super) struct ObservationColumns<'a> {
    pub(super) observed: i32,
    pub(super) upstream_id: Cow<'a, str>,
    pub(super) content: Cow<'a, [u8]>,
}

impl ObservationColumns<'_> {
    /// The observation of the attempt with that nonce.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a number that is never written.
    pub(super) fn into_observation(self, nonce: Uuid) -> Result<Observation, StoreError> {
        Ok(Observation {
            nonce,
            observed: one_of("observations.observed", self.observed, &Observed::ALL)?,
            upstream_id: self.upstream_id.into_owned(),
            content: self.content.into_owned(),
        })
    }
}

/// The origin of a claim by its number.
///
/// # Errors
///
/// `Corrupt` for a number that is never written.
pub(super) fn origin(number: i32) -> Result<Origin, StoreError> {
    one_of("claims.origin", number, &Origin::ALL)
}

fn one_of<T: Copy + Into<i32>>(column: &str, number: i32, all: &[T]) -> Result<T, StoreError> {
    let found = all.iter().copied().find(|it| (*it).into() == number);
    found.ok_or_else(|| corrupt(column, format_args!("{number} is never written")))
}

impl From<Observed> for i32 {
    fn from(observed: Observed) -> i32 {
        observed as i32
    }
}

impl From<Origin> for i32 {
    fn from(origin: Origin) -> i32 {
        origin as i32
    }
}

impl<'a> AttemptColumns<'a> {
    /// What is written of an attempt.
    ///
    /// # Errors
    ///
    /// `Invalid` for a time that no column can hold.
    pub(super) fn of(attempt: &'a Attempt) -> Result<Self, StoreError> {
        Ok(Self {
            number: attempt.number.into(),
            step: attempt.step.into(),
            nonce: attempt.nonce,
            call: Cow::Borrowed(&attempt.call),
            effect: attempt.effect as i32,
            permit_time: nanoseconds("attempts.permit_time", attempt.permit_time)?,
            permit_age: attempt.permit_age.as_nanos(),
            outcome: attempt.outcome as i32,
            message: Cow::Borrowed(&attempt.message),
            upstream_id: Cow::Borrowed(&attempt.upstream_id),
            plugin: Cow::Borrowed(&attempt.plugin),
            plugin_sha256: Cow::Borrowed(&attempt.plugin_sha256),
            answer_status: attempt.answer_status.into(),
            answer: Cow::Borrowed(&attempt.answer),
            observed: attempt.observed.into(),
        })
    }

    /// The attempt that was written.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what [`AttemptColumns::of`] never writes.
    pub(super) fn into_attempt(
        self,
        observation: Option<ObservationColumns<'_>>,
    ) -> Result<Attempt, StoreError> {
        let observed = one_of("attempts.observed", self.observed, &Observed::ALL)?;
        let unapplied = observation.filter(|_| observed == Observed::Nothing);
        let unapplied =
            unapplied.map(|columns| columns.into_observation(self.nonce)).transpose()?;
        Ok(Attempt {
            number: small("attempts.number", self.number)?,
            step: small("attempts.step", self.step)?,
            nonce: self.nonce,
            call: self.call.into_owned(),
            effect: encoding::number("attempts.effect", self.effect.into())?,
            permit_time: timestamp(self.permit_time),
            permit_age: Age::from_nanos(self.permit_age),
            outcome: encoding::number("attempts.outcome", self.outcome.into())?,
            message: self.message.into_owned(),
            upstream_id: self.upstream_id.into_owned(),
            plugin: self.plugin.into_owned(),
            plugin_sha256: self.plugin_sha256.into_owned(),
            answer_status: u16::try_from(self.answer_status)
                .map_err(|e| corrupt("attempts.answer_status", e))?,
            answer: self.answer.into_owned(),
            observed,
            unapplied: unapplied.map(Box::new),
        })
    }
}

/// The attempts of an operation that are not stored as they are now. Any of them may have changed: what was
/// sent long ago can still turn up.
///
/// # Errors
///
/// `Invalid` when some are missing, or for a time that no column can hold.
pub(super) fn changed_attempts<'a>(
    row: &'a Operation,
    stored: &[Attempt],
) -> Result<Vec<AttemptColumns<'a>>, StoreError> {
    let (count, stored_count) = (row.attempts.len(), stored.len());
    if count < stored_count {
        let what = format!("{count} attempts where {stored_count} are stored");
        return Err(StoreError::Invalid(what));
    }
    let mut changed = Vec::new();
    for (index, attempt) in row.attempts.iter().enumerate() {
        let columns = AttemptColumns::of(attempt)?;
        let stored = stored.get(index).map(AttemptColumns::of).transpose()?;
        if stored.as_ref() != Some(&columns) {
            changed.push(columns);
        }
    }
    Ok(changed)
}

/// Whether an operation follows what is stored: it is of the next version, and reflects each observation
/// that the stored attempts do not reflect. Several are reflected one after the other: what reflects one
/// may leave those that it was read with.
pub(super) fn follows(next: &Operation, stored_version: i64, unapplied: &[Uuid]) -> bool {
    let attempt = |nonce: &Uuid| next.attempts.iter().find(|attempt| attempt.nonce == *nonce);
    let reflects = |nonce: &Uuid| attempt(nonce).is_some_and(|it| it.observed != Observed::Nothing);
    let leaves = |nonce: &Uuid| attempt(nonce).is_some_and(|it| it.unapplied.is_some());
    let before = next.version.checked_sub(1);
    let is_next = before.is_some_and(|before| i64::try_from(before) == Ok(stored_version));
    let knows = |nonce: &Uuid| reflects(nonce) || leaves(nonce);
    let applies = unapplied.is_empty() || unapplied.iter().any(reflects);
    is_next && applies && unapplied.iter().all(knows)
}

/// Whether a new claim passes one of the operation `by`, which is closed since a time or open.
pub(super) fn passes(new: &NewClaim, by: Uuid, closed: Option<i64>) -> bool {
    let Some(closed) = closed else { return new.takes_from == Some(by) };
    new.closed_before.is_none_or(|before| Age::from_nanos(closed) < before)
}

/// A time as it is compared: nanoseconds since 1970.
pub(super) fn nanoseconds(column: &str, time: Timestamp) -> Result<i64, StoreError> {
    i64::try_from(time.as_nanosecond())
        .map_err(|_| StoreError::Invalid(format!("{column} {time} is not in 1677 to 2262")))
}

/// What stays of an operation that was removed.
///
/// # Errors
///
/// `Corrupt` for what no store writes.
pub(super) fn pruned(fingerprint: &[u8], state: i64, end_time: i64) -> Result<Pruned, StoreError> {
    Ok(Pruned {
        fingerprint: fingerprint.try_into().map_err(|e| corrupt("pruned.fingerprint", e))?,
        state: encoding::number("pruned.state", state)?,
        end_time: timestamp(end_time),
    })
}

/// The time of [`nanoseconds`].
pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    // Every i64 of nanoseconds lies within jiff's range, so nothing is cut off here.
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::MAX)
}

/// A number as databases have them, which is with a sign.
pub(super) fn integer(column: &str, number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Invalid(format!("{column} {number} is too big")))
}

/// A number of [`integer`].
pub(super) fn unsigned(column: &str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt(column, format_args!("{number} is negative")))
}

/// A number that was 32 bits wide.
fn small(column: &str, number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| corrupt(column, format_args!("{number} is out of range")))
}

fn optional<M: Message + Default>(
    column: &str,
    bytes: Option<&[u8]>,
) -> Result<Option<M>, StoreError> {
    bytes.map(|bytes| encoding::message(column, bytes)).transpose()
}
