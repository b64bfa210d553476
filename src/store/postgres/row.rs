//! An operation as a row of `operations` and back, exactly. It must not decide when a row is
//! written.

use std::borrow::Cow;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};
use uuid::Uuid;

use super::fault::Fault;
use super::session::Connection;
use super::text::{escaped, restored};
use crate::store::Lease;
use crate::store::columns::{
    AttemptColumns, ObservationColumns, OperationColumns, changed_attempts, operation_columns,
};
use crate::store::encoding::corrupt;
use crate::store::operation::{Attempt, Operation};

/// What is given to a statement.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// One parameter for each column.
macro_rules! parameters {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, \
         $38"
    };
}

/// The columns of `operations`.
pub(super) const COLUMNS: &str = operation_columns!();

/// How many there are.
const WIDTH: usize = 38;

/// Writes a new row, with its lease.
const INSERT: &str = concat!(
    "INSERT INTO operations (",
    operation_columns!(),
    ", lease_replica, lease_until) VALUES (",
    parameters!(),
    ", $39, $40) ON CONFLICT (request_id) DO NOTHING"
);

/// Replaces the row of the version before. A terminal one keeps its state.
const REPLACE: &str = concat!(
    "UPDATE operations SET (",
    operation_columns!(),
    ") = (",
    parameters!(),
    ") WHERE request_id = $1 AND version + 1 = $3 \
       AND (state NOT IN (7, 8, 9) OR state = $2)"
);

/// Writes a new operation without its attempts. False when its request id is taken.
pub(super) async fn insert(
    connection: &Connection,
    row: &Operation,
    lease: Option<&Lease>,
) -> Result<bool, Fault> {
    let row = sendable(row)?;
    let replica = lease.map(|lease| lease.replica);
    let until = lease.map(|lease| lease.until.as_nanos());
    let mut values = values(&row);
    values.extend([&replica as Value<'_>, &until]);
    let statement = connection.prepare_cached(INSERT).await?;
    Ok(connection.execute(&statement, &values).await? == 1)
}

/// Replaces an operation without its attempts. False when the stored one is another than the version
/// before.
pub(super) async fn replace(connection: &Connection, row: &Operation) -> Result<bool, Fault> {
    let row = sendable(row)?;
    let statement = connection.prepare_cached(REPLACE).await?;
    Ok(connection.execute(&statement, &values(&row)).await? == 1)
}

/// The columns with texts that can be sent.
fn sendable(row: &Operation) -> Result<OperationColumns<'_>, Fault> {
    let mut columns = OperationColumns::of(row)?;
    columns.owner = escaped(&row.owner);
    columns.actor = escaped(&row.actor);
    columns.trace_id = escaped(&row.trace_id);
    columns.provider = escaped(&row.provider);
    columns.account = escaped(&row.account);
    columns.account_key = escaped(&row.account_key);
    columns.target = escaped(&row.target);
    columns.message = escaped(&row.message);
    Ok(columns)
}

fn values<'a>(row: &'a OperationColumns<'_>) -> Vec<Value<'a>> {
    vec![
        &row.request_id,
        &row.state,
        &row.version,
        &row.create_time,
        &row.update_time,
        &row.wake_time,
        &row.tries,
        &row.step,
        &row.blocked_by,
        &row.protocol,
        &row.op,
        &row.owner,
        &row.actor,
        &row.trace_id,
        &row.provider,
        &row.account,
        &row.target,
        &row.upstream_targets,
        &row.start_before,
        &row.fingerprint,
        &row.exclusive,
        &row.upstream,
        &row.settle,
        &row.message,
        &row.error,
        &row.candidates,
        &row.notes,
        &row.handle,
        &row.baseline,
        &row.view,
        &row.request,
        &row.given_up,
        &row.duplicates,
        &row.create_age,
        &row.update_age,
        &row.account_key,
        &row.pending_end,
        &row.safety,
    ]
}

/// Writes those attempts that are new or have changed.
pub(super) async fn write_attempts(connection: &Connection, row: &Operation) -> Result<(), Fault> {
    let stored = stored_attempts(connection, row.request_id).await?;
    for attempt in changed_attempts(row, &stored)? {
        write_attempt(connection, row.request_id, &attempt).await?;
    }
    Ok(())
}

/// The attempts of an operation, without what the operation does not reflect yet.
async fn stored_attempts(connection: &Connection, request_id: Uuid) -> Result<Vec<Attempt>, Fault> {
    let sql = "SELECT number, step, nonce, call, effect, permit_time, outcome, message, upstream_id, \
               plugin, plugin_sha256, answer_status, answer, observed, permit_age, NULL::integer \
               FROM attempts WHERE request_id = $1 ORDER BY number";
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &[&request_id]).await?;
    let attempts = rows.iter().map(|row| {
        let mut fields = Fields::of(row);
        attempt(fields.value()?, &mut fields)
    });
    attempts.collect()
}

async fn write_attempt(
    connection: &Connection,
    request_id: Uuid,
    columns: &AttemptColumns<'_>,
) -> Result<(), Fault> {
    let sql = "INSERT INTO attempts (request_id, number, step, nonce, call, effect, permit_time, \
               outcome, message, upstream_id, plugin, plugin_sha256, answer_status, answer, \
               observed, permit_age) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
               ON CONFLICT (request_id, number) DO UPDATE SET (step, nonce, call, effect, \
               permit_time, outcome, message, upstream_id, plugin, plugin_sha256, answer_status, \
               answer, observed, permit_age) = \
               ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    let statement = connection.prepare_cached(sql).await?;
    let values: [Value<'_>; 16] = [
        &request_id,
        &columns.number,
        &columns.step,
        &columns.nonce,
        &escaped(&columns.call),
        &columns.effect,
        &columns.permit_time,
        &columns.outcome,
        &escaped(&columns.message),
        &escaped(&columns.upstream_id),
        &escaped(&columns.plugin),
        &escaped(&columns.plugin_sha256),
        &columns.answer_status,
        &columns.answer,
        &columns.observed,
        &columns.permit_age,
    ];
    connection.execute(&statement, &values).await?;
    Ok(())
}

/// A statement that shows operations with their attempts, which is one look at one moment: the rows
/// of `found` in the order of its column `place`.
pub(super) fn with_attempts(found: &str) -> String {
    format!(
        "WITH found AS ({found}), made AS (\
         SELECT request_id, number, step AS attempt_step, nonce, call, effect, permit_time, \
         outcome, message AS attempt_message, upstream_id, plugin, plugin_sha256, answer_status, \
         answer, observed, permit_age FROM attempts), late AS (\
         SELECT request_id, nonce, observed AS late_observed, upstream_id AS late_upstream_id, \
         content FROM observations) \
         SELECT {COLUMNS}, place, number, attempt_step, nonce, call, effect, permit_time, \
         outcome, attempt_message, upstream_id, plugin, plugin_sha256, answer_status, answer, \
         observed, permit_age, late_observed, late_upstream_id, content \
         FROM found LEFT JOIN made USING (request_id) LEFT JOIN late USING (request_id, nonce) \
         ORDER BY place, number"
    )
}

/// The operations of [`with_attempts`], each with its place.
pub(super) fn read(rows: &[Row]) -> Result<Vec<(i64, Operation)>, Fault> {
    let mut operations: Vec<(i64, Operation)> = Vec::new();
    for row in rows {
        let mut fields = Fields { row, next: WIDTH };
        let place: i64 = fields.value()?;
        if operations.last().is_none_or(|(last, _)| *last != place) {
            operations.push((place, operation(row)?));
        }
        let number: Option<i64> = fields.value()?;
        if let (Some(number), Some((_, operation))) = (number, operations.last_mut()) {
            operation.attempts.push(attempt(number, &mut fields)?);
        }
    }
    Ok(operations)
}

fn operation(row: &Row) -> Result<Operation, Fault> {
    let mut fields = Fields { row, next: 0 };
    let columns = OperationColumns {
        request_id: fields.value()?,
        state: fields.value()?,
        version: fields.value()?,
        create_time: fields.value()?,
        update_time: fields.value()?,
        wake_time: fields.value()?,
        tries: fields.value()?,
        step: fields.value()?,
        blocked_by: fields.value()?,
        protocol: fields.value()?,
        op: fields.value()?,
        owner: fields.text()?,
        actor: fields.text()?,
        trace_id: fields.text()?,
        provider: fields.text()?,
        account: fields.text()?,
        target: fields.text()?,
        upstream_targets: fields.bytes()?,
        start_before: fields.text()?,
        fingerprint: fields.bytes()?,
        exclusive: fields.bytes()?,
        upstream: fields.bytes()?,
        settle: fields.optional()?,
        message: fields.text()?,
        error: fields.optional()?,
        candidates: fields.bytes()?,
        notes: fields.bytes()?,
        handle: fields.bytes()?,
        baseline: fields.optional()?,
        view: fields.optional()?,
        request: fields.bytes()?,
        given_up: fields.optional()?,
        duplicates: fields.optional()?,
        create_age: fields.value()?,
        update_age: fields.value()?,
        account_key: fields.text()?,
        pending_end: fields.optional()?,
        safety: fields.optional()?,
    };
    Ok(columns.into_operation(Vec::new())?)
}

fn attempt(number: i64, fields: &mut Fields<'_>) -> Result<Attempt, Fault> {
    let columns = AttemptColumns {
        number,
        step: fields.value()?,
        nonce: fields.value()?,
        call: fields.text()?,
        effect: fields.value()?,
        permit_time: fields.value()?,
        outcome: fields.value()?,
        message: fields.text()?,
        upstream_id: fields.text()?,
        plugin: fields.text()?,
        plugin_sha256: fields.text()?,
        answer_status: fields.value()?,
        answer: fields.bytes()?,
        observed: fields.value()?,
        permit_age: fields.value()?,
    };
    let observation = match fields.value()? {
        None => None,
        Some(observed) => Some(ObservationColumns {
            observed,
            upstream_id: fields.text()?,
            content: fields.bytes()?,
        }),
    };
    Ok(columns.into_attempt(observation)?)
}

/// A row, read field by field in the order in which it was selected.
pub(super) struct Fields<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Fields<'a> {
    /// From the first field on.
    pub(super) fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next field.
    pub(super) fn value<T: FromSql<'a>>(&mut self) -> Result<T, Fault> {
        self.next += 1;
        Ok(self.row.try_get(self.next - 1)?)
    }

    /// The next field, a text.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        let text: &str = self.value()?;
        let column = self.row.columns().get(self.next - 1).map_or("", |column| column.name());
        Ok(restored(text).ok_or_else(|| corrupt(column, "a text that was never written"))?)
    }

    /// The next field, bytes.
    pub(super) fn bytes(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        Ok(Cow::Borrowed(self.value()?))
    }

    fn optional(&mut self) -> Result<Option<Cow<'a, [u8]>>, Fault> {
        Ok(self.value::<Option<&[u8]>>()?.map(Cow::Borrowed))
    }
}
