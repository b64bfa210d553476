//! An operation as a row of `operations` and back, exactly. It must not decide when a row is
//! written.

use std::borrow::Cow;

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::columns::{
    AttemptColumns, ObservationColumns, OperationColumns, changed_attempts, operation_columns,
};
use crate::store::encoding::{self, corrupt};
use crate::store::operation::{Attempt, Operation};

/// One parameter for each column.
macro_rules! parameters {
    () => {
        "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
         ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, \
         ?38"
    };
}

/// What a query that shows operations selects.
pub(super) const COLUMNS: &str = operation_columns!();

/// Writes a new row.
pub(super) const INSERT: &str =
    concat!("INSERT INTO operations (", operation_columns!(), ") VALUES (", parameters!(), ")");

/// Replaces the row that has this request id.
pub(super) const REPLACE: &str = concat!(
    "UPDATE operations SET (",
    operation_columns!(),
    ") = (",
    parameters!(),
    ") WHERE request_id = ?1"
);

/// Runs [`INSERT`] or [`REPLACE`] for an operation without its attempts.
pub(super) fn write(connection: &Connection, sql: &str, row: &Operation) -> Result<(), Fault> {
    let row = OperationColumns::of(row)?;
    connection.prepare_cached(sql)?.execute(params![
        row.request_id.as_bytes(),
        row.state,
        row.version,
        row.create_time,
        row.update_time,
        row.wake_time,
        row.tries,
        row.step,
        row.blocked_by.as_ref().map(Uuid::as_bytes),
        row.protocol,
        row.op,
        row.owner,
        row.actor,
        row.trace_id,
        row.provider,
        row.account,
        row.target,
        row.upstream_targets,
        row.start_before,
        row.fingerprint,
        row.exclusive,
        row.upstream,
        row.settle,
        row.message,
        row.error,
        row.candidates,
        row.notes,
        row.handle,
        row.baseline,
        row.view,
        row.request,
        row.given_up,
        row.duplicates,
        row.create_age,
        row.update_age,
        row.account_key,
        row.pending_end,
        row.safety,
    ])?;
    Ok(())
}

/// The operation of a row of [`COLUMNS`], with its attempts.
pub(super) fn read(connection: &Connection, row: &Row<'_>) -> Result<Operation, Fault> {
    let request_id = uuid(row, "request_id")?;
    let attempts = attempts(connection, request_id)?;
    let columns = OperationColumns {
        request_id,
        state: row.get("state")?,
        version: row.get("version")?,
        create_time: row.get("create_time")?,
        update_time: row.get("update_time")?,
        wake_time: row.get("wake_time")?,
        tries: row.get("tries")?,
        step: row.get("step")?,
        blocked_by: optional(row, "blocked_by")?
            .map(|bytes| encoding::uuid("blocked_by", &bytes))
            .transpose()?,
        protocol: row.get("protocol")?,
        op: row.get("op")?,
        owner: text(row, "owner")?,
        actor: text(row, "actor")?,
        trace_id: text(row, "trace_id")?,
        provider: text(row, "provider")?,
        account: text(row, "account")?,
        target: text(row, "target")?,
        upstream_targets: blob(row, "upstream_targets")?,
        start_before: text(row, "start_before")?,
        fingerprint: blob(row, "fingerprint")?,
        exclusive: blob(row, "exclusive")?,
        upstream: blob(row, "upstream")?,
        settle: optional(row, "settle")?,
        message: text(row, "message")?,
        error: optional(row, "error")?,
        candidates: blob(row, "candidates")?,
        notes: blob(row, "notes")?,
        handle: blob(row, "handle")?,
        baseline: optional(row, "baseline")?,
        view: optional(row, "view")?,
        request: blob(row, "request")?,
        given_up: optional(row, "given_up")?,
        duplicates: optional(row, "duplicates")?,
        create_age: row.get("create_age")?,
        update_age: row.get("update_age")?,
        account_key: text(row, "account_key")?,
        pending_end: optional(row, "pending_end")?,
        safety: optional(row, "safety")?,
    };
    Ok(columns.into_operation(attempts)?)
}

/// Writes those attempts that are new or have changed.
pub(super) fn write_attempts(connection: &Connection, row: &Operation) -> Result<(), Fault> {
    let stored = attempts(connection, row.request_id)?;
    for attempt in changed_attempts(row, &stored)? {
        write_attempt(connection, row.request_id, &attempt)?;
    }
    Ok(())
}

fn write_attempt(
    connection: &Connection,
    request_id: Uuid,
    attempt: &AttemptColumns<'_>,
) -> Result<(), Fault> {
    let sql = "INSERT INTO attempts (request_id, number, step, nonce, call, effect, permit_time, \
               outcome, message, upstream_id, plugin, plugin_sha256, answer_status, answer, \
               observed, permit_age) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
               ON CONFLICT (request_id, number) DO UPDATE SET (step, nonce, call, effect, \
               permit_time, outcome, message, upstream_id, plugin, plugin_sha256, answer_status, \
               answer, observed, permit_age) = \
               (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    connection.prepare_cached(sql)?.execute(params![
        request_id.as_bytes(),
        attempt.number,
        attempt.step,
        attempt.nonce.as_bytes(),
        attempt.call,
        attempt.effect,
        attempt.permit_time,
        attempt.outcome,
        attempt.message,
        attempt.upstream_id,
        attempt.plugin,
        attempt.plugin_sha256,
        attempt.answer_status,
        attempt.answer,
        attempt.observed,
        attempt.permit_age,
    ])?;
    Ok(())
}

fn attempts(connection: &Connection, request_id: Uuid) -> Result<Vec<Attempt>, Fault> {
    let sql = "SELECT number, step, nonce, call, effect, permit_time, outcome, message, \
               attempts.upstream_id, plugin, plugin_sha256, answer_status, answer, \
               attempts.observed, permit_age, observations.observed AS late_observed, \
               observations.upstream_id AS late_upstream_id, content \
               FROM attempts LEFT JOIN observations USING (request_id, nonce) \
               WHERE request_id = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([request_id.as_bytes()])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = AttemptColumns {
            number: row.get("number")?,
            step: row.get("step")?,
            nonce: uuid(row, "nonce")?,
            call: text(row, "call")?,
            effect: row.get("effect")?,
            permit_time: row.get("permit_time")?,
            outcome: row.get("outcome")?,
            message: text(row, "message")?,
            upstream_id: text(row, "upstream_id")?,
            plugin: text(row, "plugin")?,
            plugin_sha256: text(row, "plugin_sha256")?,
            answer_status: row.get("answer_status")?,
            answer: blob(row, "answer")?,
            observed: row.get("observed")?,
            permit_age: row.get("permit_age")?,
        };
        let observation = match row.get("late_observed")? {
            None => None,
            Some(observed) => Some(ObservationColumns {
                observed,
                upstream_id: text(row, "late_upstream_id")?,
                content: blob(row, "content")?,
            }),
        };
        attempts.push(columns.into_attempt(observation)?);
    }
    Ok(attempts)
}

/// A column of sixteen bytes.
pub(super) fn uuid(row: &Row<'_>, column: &str) -> Result<Uuid, Fault> {
    Ok(encoding::uuid(column, &blob(row, column)?)?)
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: &str) -> Result<Cow<'r, str>, Fault> {
    Ok(row.get_ref(column)?.as_str().map_err(|e| corrupt(column, e))?.into())
}

fn blob<'r>(row: &'r Row<'_>, column: &str) -> Result<Cow<'r, [u8]>, Fault> {
    Ok(row.get_ref(column)?.as_blob().map_err(|e| corrupt(column, e))?.into())
}

fn optional<'r>(row: &'r Row<'_>, column: &str) -> Result<Option<Cow<'r, [u8]>>, Fault> {
    let bytes = row.get_ref(column)?.as_blob_or_null().map_err(|e| corrupt(column, e))?;
    Ok(bytes.map(Cow::Borrowed))
}
