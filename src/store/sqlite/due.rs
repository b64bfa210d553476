//! Who looks at which operation when: due times and leases. It must not be taken for permission: a
//! lease decides who tries, never whether a spend is allowed.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::fault::Fault;
use super::listing;
use super::row;
use crate::store::columns::{nanoseconds, timestamp};
use crate::store::operation::Operation;
use crate::store::{Lease, Take};

/// Which operations are due, those that are due longest first.
pub(super) fn due_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_due \
         WHERE due_time <= ?1 ORDER BY due_time, request_id LIMIT ?2",
        row::COLUMNS
    )
}

/// When the first operation is due.
pub(super) const NEXT: &str = "SELECT min(due_time) FROM operations WHERE due_time IS NOT NULL";

/// Takes what is due.
pub(super) fn take(connection: &Connection, take: &Take) -> Result<Vec<Operation>, Fault> {
    let now = nanoseconds("now", take.now)?;
    let operations =
        listing::select(connection, &due_query(), params![now, listing::page(take.limit)])?;
    for operation in &operations {
        lease(connection, operation.request_id, &take.lease)?;
    }
    Ok(operations)
}

/// Leases one operation.
pub(super) fn lease(connection: &Connection, request_id: Uuid, lease: &Lease) -> Result<(), Fault> {
    let sql = "UPDATE operations SET lease_replica = ?2, lease_until = ?3 WHERE request_id = ?1";
    let until = nanoseconds("lease_until", lease.until)?;
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
    let until = nanoseconds("lease_until", lease.until)?;
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
pub(super) fn next(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let next: Option<i64> = connection.prepare_cached(NEXT)?.query_one([], |row| row.get(0))?;
    Ok(next.map(timestamp))
}
