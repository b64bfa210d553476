//! The log of commits that watchers follow. It must not be used to learn an operation's past: it
//! shows each operation as it is now.
//!
//! A position is taken together with the transaction's id, so both have one order; a transaction that
//! makes several changes takes their positions side by side; and a change is shown when every
//! transaction up to its own has ended. So nothing can turn up below what was shown. A long writing
//! transaction of anybody on the same server keeps watchers waiting.

use super::fault::Fault;
use super::row::{self, Fields};
use super::session::Connection;
use crate::store::columns::{KEPT, integer, page, unsigned};
use crate::store::operation::Operation;
use crate::store::{Positions, StoredChange};

/// How many changes are removed in one turn of pruning, so that no transaction is long.
const PRUNE_MAX: i64 = 1000;

/// What is shown: changes of transactions below every one that still runs.
macro_rules! settled {
    () => {
        "transaction_id < pg_snapshot_xmin(pg_current_snapshot())"
    };
}

/// Where a change will stand, by which transaction, and on which of the server's timelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: i64,
    pub(super) transaction_id: i64,
    pub(super) timeline: i64,
}

/// Kept while a position is taken; the function `take_position` in the schema names it too.
const TAKING: &str = "SELECT pg_advisory_xact_lock(1347573337, 2)";

/// The next positions, one for each of `count` changes of the running transaction, which must not have
/// written anything before.
///
/// Nobody takes one between them: it would belong to a later transaction, and would not be shown yet when
/// the ones around it are. Where there are several, all other takers wait until this transaction ends.
/// It waits for none of them, because none has written anything.
pub(super) async fn take_positions(
    connection: &Connection,
    count: usize,
) -> Result<Vec<Place>, Fault> {
    if count > 1 {
        let statement = connection.prepare_cached(TAKING).await?;
        connection.execute(&statement, &[]).await?;
    }
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push(take_position(connection).await?);
    }
    Ok(places)
}

/// The next position, for the running transaction, which must not have written anything before.
pub(super) async fn take_position(connection: &Connection) -> Result<Place, Fault> {
    let sql = "SELECT next_position, transaction_id, timeline FROM take_position()";
    let statement = connection.prepare_cached(sql).await?;
    let row = connection.query_one(&statement, &[]).await?;
    let mut fields = Fields::of(&row);
    Ok(Place {
        position: fields.value()?,
        transaction_id: fields.value()?,
        timeline: fields.value()?,
    })
}

/// Adds the change that the running transaction makes.
pub(super) async fn append(
    connection: &Connection,
    place: &Place,
    operation: &Operation,
) -> Result<(), Fault> {
    let sql = "INSERT INTO changes (position, request_id, version, transaction_id, time) \
               SELECT $1, $2, $3, pg_current_xact_id(), age FROM meta";
    let statement = connection.prepare_cached(sql).await?;
    let version = integer("version", operation.version)?;
    connection.execute(&statement, &[&place.position, &operation.request_id, &version]).await?;
    Ok(())
}

/// Changes after a position, in commit order.
pub(super) async fn after(
    connection: &Connection,
    position: u64,
    limit: usize,
) -> Result<Vec<StoredChange>, Fault> {
    // A position beyond what the database counts to has nothing after it.
    let Ok(position) = i64::try_from(position) else { return Ok(Vec::new()) };
    let found = concat!(
        "SELECT operations.*, position AS place FROM changes \
         JOIN operations USING (request_id) WHERE position > $1 AND ",
        settled!(),
        " ORDER BY position LIMIT $2"
    );
    let statement = connection.prepare_cached(&row::with_attempts(found)).await?;
    let rows = connection.query(&statement, &[&position, &page(limit)]).await?;
    let changes = row::read(&rows)?.into_iter().map(|(position, operation)| {
        Ok(StoredChange { position: unsigned("position", position)?, operation })
    });
    changes.collect()
}

/// What is kept and can be shown.
pub(super) async fn positions(connection: &Connection) -> Result<Positions, Fault> {
    let sql = concat!(
        "SELECT coalesce((SELECT position FROM changes WHERE ",
        settled!(),
        " ORDER BY position LIMIT 1), 0), coalesce((SELECT position FROM changes WHERE ",
        settled!(),
        " ORDER BY position DESC LIMIT 1), 0)"
    );
    let statement = connection.prepare_cached(sql).await?;
    let row = connection.query_one(&statement, &[]).await?;
    let mut fields = Fields::of(&row);
    let oldest = unsigned("position", fields.value()?)?;
    Ok(Positions { oldest, last: unsigned("position", fields.value()?)? })
}

/// Removes some of the changes that are too old, and tells whether more may be left. The last one
/// always stays, so that positions go on from it.
pub(super) async fn prune(connection: &Connection) -> Result<bool, Fault> {
    // Only the first ones are looked at: in a week there can be millions that are not too old.
    let sql = "DELETE FROM changes WHERE position IN (\
               SELECT position FROM \
               (SELECT position, time FROM changes ORDER BY position LIMIT $2) AS first \
               WHERE time < (SELECT age FROM meta) - $1 \
               AND position < (SELECT max(position) FROM changes))";
    let statement = connection.prepare_cached(sql).await?;
    let kept = i64::try_from(KEPT.as_nanos()).unwrap_or(i64::MAX);
    let pruned = connection.execute(&statement, &[&kept, &PRUNE_MAX]).await?;
    Ok(i64::try_from(pruned).is_ok_and(|pruned| pruned == PRUNE_MAX))
}

/// Whether a transaction was committed; `None` while it runs, or when it was too long ago to tell.
pub(super) async fn became(connection: &Connection, place: Place) -> Result<Option<bool>, Fault> {
    let statement = "SELECT pg_xact_status($1::bigint::text::xid8)";
    let statement = connection.prepare_cached(statement).await?;
    let row = connection.query_one(&statement, &[&place.transaction_id]).await?;
    let status: Option<&str> = row.try_get(0)?;
    Ok(match status {
        Some("committed") => Some(true),
        Some("aborted") => Some(false),
        _ => None,
    })
}
