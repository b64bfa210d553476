//! Who looks at which operation when: due times and leases. It must not be taken for permission: a
//! lease decides who tries, never whether a spend is allowed.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::fault::Fault;
use super::listing;
use super::row;
use crate::store::age::Age;
use crate::store::columns::page;
use crate::store::operation::Operation;
use crate::store::{DueQueue, Lease, Share, Take, Wakes};

/// What is not taken by who polls, and what is: the conditions of the indexes; 3 is WaitingUpstream.
const DUE: (&str, &str) = ("operations_due", "state <> 3");
const WAITING: (&str, &str) = ("operations_waiting", "state = 3");

/// Which operations of one queue are due, those that are due longest first.
fn of_queue((index, condition): (&str, &str)) -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY {index} \
         WHERE {condition} AND account_key = ?3 AND provider = ?4 AND due_time <= ?1 \
         ORDER BY due_time, request_id LIMIT ?2",
        row::COLUMNS
    )
}

pub(super) fn due_query() -> String {
    of_queue(DUE)
}

pub(super) fn waiting_query() -> String {
    of_queue(WAITING)
}

/// When the first of the first queue is due, or of the first behind a queue. One step in the index leads
/// there, however much of a queue is due.
fn first_of_next((index, condition): (&str, &str), behind: &str) -> String {
    format!(
        "SELECT account_key, provider, due_time FROM operations INDEXED BY {index} \
         WHERE {condition} AND due_time IS NOT NULL{behind} \
         ORDER BY account_key, provider, due_time LIMIT 1"
    )
}

const BEHIND: &str = " AND (account_key, provider) > (?1, ?2)";

/// The statements that lead through the queues, each with the number of its values.
#[cfg(test)]
pub(super) fn next_queries() -> Vec<(String, usize, &'static str)> {
    let both = |of: (&'static str, &str)| {
        [(first_of_next(of, ""), 0, of.0), (first_of_next(of, BEHIND), 2, of.0)]
    };
    [both(DUE), both(WAITING)].concat()
}

/// Takes what is due.
pub(super) fn take(connection: &Connection, take: &Take) -> Result<Vec<Operation>, Fault> {
    take_of(connection, &due_query(), take)
}

/// Takes what is due of what waits for its upstream.
pub(super) fn take_waiting(connection: &Connection, take: &Take) -> Result<Vec<Operation>, Fault> {
    take_of(connection, &waiting_query(), take)
}

fn take_of(connection: &Connection, sql: &str, take: &Take) -> Result<Vec<Operation>, Fault> {
    let now = take.now.as_nanos();
    let mut taken = Vec::new();
    for Share { queue, limit } in &take.shares {
        let values = params![now, page(*limit), queue.account_key, queue.provider];
        taken.extend(listing::select(connection, sql, values)?);
    }
    for operation in &taken {
        lease(connection, operation.request_id, &take.lease)?;
    }
    Ok(taken)
}

/// Leases one operation.
pub(super) fn lease(connection: &Connection, request_id: Uuid, lease: &Lease) -> Result<(), Fault> {
    let sql = "UPDATE operations SET lease_replica = ?2, lease_until = ?3 WHERE request_id = ?1";
    let until = lease.until.as_nanos();
    connection.prepare_cached(sql)?.execute(params![
        request_id.as_bytes(),
        lease.replica.as_bytes(),
        until
    ])?;
    Ok(())
}

/// Goes on holding what a replica has leased.
pub(super) fn renew(
    connection: &Connection,
    lease: &Lease,
    request_ids: &[Uuid],
) -> Result<(), Fault> {
    let sql = "UPDATE operations SET lease_until = ?3 WHERE request_id = ?1 AND lease_replica = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let until = lease.until.as_nanos();
    for request_id in request_ids {
        statement.execute(params![request_id.as_bytes(), lease.replica.as_bytes(), until])?;
    }
    Ok(())
}

/// Gives back what a replica has leased.
pub(super) fn release(
    connection: &Connection,
    replica: Uuid,
    request_ids: &[Uuid],
) -> Result<(), Fault> {
    let sql = "UPDATE operations SET lease_replica = NULL, lease_until = NULL \
               WHERE request_id = ?1 AND lease_replica = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for request_id in request_ids {
        statement.execute([request_id.as_bytes(), replica.as_bytes()])?;
    }
    Ok(())
}

/// Ends every lease: those who held them lived in a process that is gone.
pub(super) fn end_all(connection: &Connection) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE operations SET lease_replica = NULL, lease_until = NULL \
               WHERE lease_until IS NOT NULL";
    connection.execute(sql, []).map(drop)
}

/// When something is due next.
pub(super) fn next(connection: &Connection) -> Result<Wakes, Fault> {
    Ok(Wakes { due: queues(connection, DUE)?, waiting: queues(connection, WAITING)? })
}

fn queues(connection: &Connection, of: (&str, &str)) -> Result<Vec<(DueQueue, Age)>, Fault> {
    let read = |row: &Row<'_>| {
        let queue = DueQueue { account_key: row.get(0)?, provider: row.get(1)? };
        Ok((queue, Age::from_nanos(row.get(2)?)))
    };
    let mut first = connection.prepare_cached(&first_of_next(of, ""))?;
    let mut behind = connection.prepare_cached(&first_of_next(of, BEHIND))?;
    let mut next = first.query_row([], read).optional()?;
    let mut queues = Vec::new();
    while let Some((queue, due)) = next {
        next = behind.query_row([&queue.account_key, &queue.provider], read).optional()?;
        queues.push((queue, due));
    }
    Ok(queues)
}
