//! An operation as a row of `operations` and back, exactly. It must not decide when a row is
//! written.

use jiff::Timestamp;
use prost::Message;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::StoreError;
use crate::store::encoding::{self, corrupt};
use crate::store::operation::{Attempt, Operation};

/// The columns that an operation is made of, in the order of [`write`]'s parameters.
macro_rules! columns {
    () => {
        "request_id, state, version, create_time, update_time, wake_time, tries, step, \
         blocked_by, protocol, op, owner, actor, trace_id, provider, account, target, \
         upstream_target, start_before, fingerprint, exclusive, upstream, settle, message, error, \
         candidates, notes, handle, baseline, view, request"
    };
}
/// One placeholder for each of [`columns`].
macro_rules! placeholders {
    () => {
        "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
         ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31"
    };
}

/// What a query that shows operations selects.
pub(super) const COLUMNS: &str = columns!();

/// Writes a new row.
pub(super) const INSERT: &str =
    concat!("INSERT INTO operations (", columns!(), ") VALUES (", placeholders!(), ")");

/// Replaces the row that has this request id.
pub(super) const REPLACE: &str = concat!(
    "UPDATE operations SET (",
    columns!(),
    ") = (",
    placeholders!(),
    ") WHERE request_id = ?1"
);

/// Runs [`INSERT`] or [`REPLACE`] for an operation without its attempts.
pub(super) fn write(connection: &Connection, sql: &str, row: &Operation) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute(params![
        row.request_id.as_bytes(),
        i64::from(row.state as i32),
        integer("version", row.version)?,
        nanoseconds("create_time", row.create_time)?,
        nanoseconds("update_time", row.update_time)?,
        row.wake_time.map(|time| nanoseconds("wake_time", time)).transpose()?,
        row.tries,
        row.step,
        row.blocked_by.as_ref().map(Uuid::as_bytes),
        row.protocol,
        i64::from(row.op as i32),
        row.owner,
        row.actor,
        row.trace_id,
        row.provider,
        row.account,
        row.target,
        row.upstream_target,
        row.start_before.to_string(),
        row.fingerprint,
        encoding::names(&row.exclusive),
        row.upstream.encode_to_vec(),
        row.settle.as_ref().map(encoding::settle),
        row.message,
        row.error.as_ref().map(Message::encode_to_vec),
        encoding::candidates(&row.candidates),
        encoding::notes(&row.notes),
        row.handle,
        row.baseline.as_ref().map(encoding::baseline),
        row.view.as_ref().map(Message::encode_to_vec),
        row.request,
    ])?;
    Ok(())
}

/// The operation of a row of [`COLUMNS`], with its attempts.
pub(super) fn read(connection: &Connection, row: &Row<'_>) -> Result<Operation, Fault> {
    let request_id = uuid(row, "request_id")?;
    Ok(Operation {
        request_id,
        protocol: row.get("protocol")?,
        owner: row.get("owner")?,
        actor: row.get("actor")?,
        trace_id: row.get("trace_id")?,
        op: number(row, "op")?,
        provider: row.get("provider")?,
        account: row.get("account")?,
        target: row.get("target")?,
        upstream_target: row.get("upstream_target")?,
        exclusive: encoding::from_names("exclusive", blob(row, "exclusive")?)?,
        fingerprint: row.get("fingerprint")?,
        request: row.get("request")?,
        state: number(row, "state")?,
        version: unsigned("version", row.get("version")?)?,
        create_time: timestamp(row.get("create_time")?),
        update_time: timestamp(row.get("update_time")?),
        start_before: start_before(row)?,
        wake_time: row.get::<_, Option<i64>>("wake_time")?.map(timestamp),
        tries: row.get("tries")?,
        step: row.get("step")?,
        handle: row.get("handle")?,
        baseline: optional(row, "baseline", encoding::from_baseline)?,
        attempts: attempts(connection, request_id)?,
        upstream: encoding::message("upstream", blob(row, "upstream")?)?,
        view: optional(row, "view", |bytes| encoding::message("view", bytes))?,
        error: optional(row, "error", |bytes| encoding::message("error", bytes))?,
        message: row.get("message")?,
        candidates: encoding::from_sequence("candidates", blob(row, "candidates")?)?,
        blocked_by: optional(row, "blocked_by", |bytes| encoding::uuid("blocked_by", bytes))?,
        settle: optional(row, "settle", encoding::from_settle)?,
        notes: encoding::from_notes(blob(row, "notes")?)?,
    })
}

/// Writes those attempts that are new or can have changed: all but the last two are as they were.
pub(super) fn write_attempts(connection: &Connection, row: &Operation) -> Result<(), Fault> {
    let stored = "SELECT count(*) FROM attempts WHERE request_id = ?1";
    let stored: u32 = connection
        .prepare_cached(stored)?
        .query_one([row.request_id.as_bytes()], |found| found.get(0))?;
    let stored = stored as usize;
    if row.attempts.len() < stored {
        let what = format!("{} attempts where {stored} are stored", row.attempts.len());
        return Err(StoreError::Invalid(what).into());
    }
    let first = row.attempts.len().saturating_sub(2).min(stored);
    for attempt in &row.attempts[first..] {
        write_attempt(connection, row.request_id, attempt)?;
    }
    Ok(())
}

fn write_attempt(
    connection: &Connection,
    request_id: Uuid,
    attempt: &Attempt,
) -> Result<(), Fault> {
    let sql = "INSERT INTO attempts (request_id, number, step, nonce, call, effect, permit_time, \
               outcome, message, upstream_id, plugin, plugin_sha256, answer_status, answer) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
               ON CONFLICT (request_id, number) DO UPDATE SET (step, nonce, call, effect, \
               permit_time, outcome, message, upstream_id, plugin, plugin_sha256, answer_status, \
               answer) = (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    connection.prepare_cached(sql)?.execute(params![
        request_id.as_bytes(),
        attempt.number,
        attempt.step,
        attempt.nonce.as_bytes(),
        attempt.call,
        i64::from(attempt.effect as i32),
        nanoseconds("attempts.permit_time", attempt.permit_time)?,
        i64::from(attempt.outcome as i32),
        attempt.message,
        attempt.upstream_id,
        attempt.plugin,
        attempt.plugin_sha256,
        attempt.answer_status,
        attempt.answer,
    ])?;
    Ok(())
}

fn attempts(connection: &Connection, request_id: Uuid) -> Result<Vec<Attempt>, Fault> {
    let sql = "SELECT number, step, nonce, call, effect, permit_time, outcome, message, \
               upstream_id, plugin, plugin_sha256, answer_status, answer \
               FROM attempts WHERE request_id = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([request_id.as_bytes()])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        attempts.push(Attempt {
            number: row.get("number")?,
            step: row.get("step")?,
            nonce: uuid(row, "nonce")?,
            call: row.get("call")?,
            effect: number(row, "effect")?,
            permit_time: timestamp(row.get("permit_time")?),
            outcome: number(row, "outcome")?,
            message: row.get("message")?,
            upstream_id: row.get("upstream_id")?,
            plugin: row.get("plugin")?,
            plugin_sha256: row.get("plugin_sha256")?,
            answer_status: row.get("answer_status")?,
            answer: row.get("answer")?,
        });
    }
    Ok(attempts)
}

/// A time as it is compared: nanoseconds since 1970.
pub(super) fn nanoseconds(column: &str, time: Timestamp) -> Result<i64, StoreError> {
    i64::try_from(time.as_nanosecond())
        .map_err(|_| StoreError::Invalid(format!("{column} {time} is not in 1677 to 2262")))
}

/// The time of [`nanoseconds`].
pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    // Every i64 of nanoseconds lies within jiff's range, so nothing is cut off here.
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::MAX)
}

/// A number as SQLite has them, which is with a sign.
pub(super) fn integer(column: &str, number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Invalid(format!("{column} {number} is too big")))
}

/// A number of [`integer`].
pub(super) fn unsigned(column: &str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt(column, format_args!("{number} is negative")))
}

/// A column of sixteen bytes.
pub(super) fn uuid(row: &Row<'_>, column: &str) -> Result<Uuid, Fault> {
    Ok(encoding::uuid(column, blob(row, column)?)?)
}

fn start_before(row: &Row<'_>) -> Result<Timestamp, Fault> {
    let text = row.get_ref("start_before")?.as_str().map_err(|e| corrupt("start_before", e))?;
    Ok(text.parse().map_err(|e| corrupt("start_before", e))?)
}

fn number<E: TryFrom<i32>>(row: &Row<'_>, column: &str) -> Result<E, Fault> {
    Ok(encoding::number(column, row.get(column)?)?)
}

fn blob<'r>(row: &'r Row<'_>, column: &str) -> Result<&'r [u8], Fault> {
    Ok(row.get_ref(column)?.as_blob().map_err(|e| corrupt(column, e))?)
}

fn optional<T>(
    row: &Row<'_>,
    column: &str,
    decode: impl FnOnce(&[u8]) -> Result<T, StoreError>,
) -> Result<Option<T>, Fault> {
    let bytes = row.get_ref(column)?.as_blob_or_null().map_err(|e| corrupt(column, e))?;
    Ok(bytes.map(decode).transpose()?)
}
