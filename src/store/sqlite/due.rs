//! Who looks at which operation when: due times and leases. It must not be taken for permission: a
//! lease decides who tries, never whether a spend is allowed.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::fault::Fault;
use super::listing;
use super::row;
use crate::store::age::Age;
use crate::store::columns::page;
use crate::store::operation::Operation;
use crate::store::{Lease, Take, Wakes};

/// Which operations are due, those that are due longest first; 3 is WaitingUpstream.
pub(super) fn due_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_due \
         WHERE state <> 3 AND due_time <= ?1 ORDER BY due_time, request_id LIMIT ?2",
        row::COLUMNS
    )
}

/// The same of what waits for one provider's upstream.
pub(super) fn waiting_query() -> String {
    format!(
        "SELECT {} FROM operations INDEXED BY operations_waiting \
         WHERE provider = ?3 AND state = 3 AND due_time <= ?1 \
         ORDER BY due_time, request_id LIMIT ?2",
        row::COLUMNS
    )
}

/// When the first operation is due.
pub(super) const NEXT: &str = "SELECT min(due_time) FROM operations INDEXED BY operations_due \
     WHERE state <> 3 AND due_time IS NOT NULL";

/// When the first that waits is due, for each provider. One step in the index leads to the next
/// provider, however much waits for each.
pub(super) const NEXT_WAITING: &str = "WITH RECURSIVE waiting (provider) AS (\
     SELECT min(provider) FROM operations INDEXED BY operations_waiting \
     WHERE state = 3 AND due_time IS NOT NULL \
     UNION ALL SELECT (SELECT min(operations.provider) \
     FROM operations INDEXED BY operations_waiting \
     WHERE state = 3 AND due_time IS NOT NULL AND operations.provider > waiting.provider) \
     FROM waiting WHERE provider IS NOT NULL) \
     SELECT provider, (SELECT min(due_time) FROM operations INDEXED BY operations_waiting \
     WHERE state = 3 AND due_time IS NOT NULL AND operations.provider = waiting.provider) \
     FROM waiting WHERE provider IS NOT NULL";

/// Takes what is due.
pub(super) fn take(connection: &Connection, take: &Take) -> Result<Vec<Operation>, Fault> {
    let now = take.now.as_nanos();
    let due = listing::select(connection, &due_query(), params![now, page(take.limit)])?;
    lease_all(connection, due, &take.lease)
}

/// Takes what is due of what waits for one provider's upstream.
pub(super) fn take_waiting(
    connection: &Connection,
    provider: &str,
    take: &Take,
) -> Result<Vec<Operation>, Fault> {
    let now = take.now.as_nanos();
    let values = params![now, page(take.limit), provider];
    lease_all(connection, listing::select(connection, &waiting_query(), values)?, &take.lease)
}

fn lease_all(
    connection: &Connection,
    operations: Vec<Operation>,
    until: &Lease,
) -> Result<Vec<Operation>, Fault> {
    for operation in &operations {
        lease(connection, operation.request_id, until)?;
    }
    Ok(operations)
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
    let due: Option<i64> = connection.prepare_cached(NEXT)?.query_one([], |row| row.get(0))?;
    let waiting = connection
        .prepare_cached(NEXT_WAITING)?
        .query_map([], |row| Ok((row.get(0)?, Age::from_nanos(row.get(1)?))))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Wakes { due: due.map(Age::from_nanos), waiting })
}
