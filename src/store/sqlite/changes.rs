//! The log of commits that watchers follow. It must not be used to learn an operation's past: it
//! shows each operation as it is now.

use rusqlite::{Connection, params};

use super::fault::Fault;
use super::row;
use crate::store::columns::{KEPT, integer, page, unsigned};
use crate::store::operation::Operation;
use crate::store::{Positions, StoredChange};

/// How many changes are looked at in one turn of pruning, so that writes never wait long for it.
pub(super) const PRUNE_MAX: u32 = 1000;

/// Adds the change that the running transaction makes.
pub(super) fn append(connection: &Connection, operation: &Operation) -> Result<(), Fault> {
    let sql = "INSERT INTO changes (request_id, version, time) SELECT ?1, ?2, age FROM meta";
    let version = integer("version", operation.version)?;
    connection.prepare_cached(sql)?.execute(params![operation.request_id.as_bytes(), version])?;
    Ok(())
}

/// Changes after a position, in commit order.
pub(super) fn after(
    connection: &Connection,
    position: u64,
    limit: usize,
) -> Result<Vec<StoredChange>, Fault> {
    // A position beyond what SQLite counts to has nothing after it.
    let Ok(position) = i64::try_from(position) else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&after_query())?;
    let mut rows = statement.query(params![position, page(limit)])?;
    let mut changes = Vec::new();
    while let Some(found) = rows.next()? {
        changes.push(StoredChange {
            position: unsigned("position", found.get("position")?)?,
            operation: row::read(connection, found)?,
        });
    }
    Ok(changes)
}

/// Changes with their operations.
pub(super) fn after_query() -> String {
    format!(
        "SELECT position, operations.* FROM changes \
         JOIN (SELECT {} FROM operations) AS operations USING (request_id) \
         WHERE position > ?1 ORDER BY position LIMIT ?2",
        row::COLUMNS
    )
}

/// What is kept.
pub(super) fn positions(connection: &Connection) -> Result<Positions, Fault> {
    let sql = "SELECT coalesce((SELECT min(position) FROM changes), 0), \
               coalesce((SELECT max(position) FROM changes), 0)";
    let (oldest, last) = connection
        .prepare_cached(sql)?
        .query_one([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(Positions { oldest: unsigned("position", oldest)?, last: unsigned("position", last)? })
}

/// The position of the last change; 0 when there is none.
pub(super) fn last(connection: &Connection) -> Result<u64, rusqlite::Error> {
    let sql = "SELECT coalesce(max(position), 0) FROM changes";
    let last: i64 = connection.prepare_cached(sql)?.query_one([], |row| row.get(0))?;
    // AUTOINCREMENT counts from one.
    Ok(last.unsigned_abs())
}

/// Removes changes that are too old, at most [`PRUNE_MAX`] of them, and tells how many.
/// The last change always stays, so that positions go on from it.
pub(super) fn prune(connection: &Connection) -> Result<u32, rusqlite::Error> {
    let kept = i64::try_from(KEPT.as_nanos()).unwrap_or(i64::MAX);
    let sql = "DELETE FROM changes WHERE time < (SELECT age FROM meta) - ?1 \
               AND position < (SELECT min(position) FROM changes) + ?2 \
               AND position < (SELECT max(position) FROM changes)";
    let pruned = connection.prepare_cached(sql)?.execute(params![kept, PRUNE_MAX])?;
    // Positions are unique, so the range that was looked at has no more rows than this.
    Ok(u32::try_from(pruned).unwrap_or(PRUNE_MAX))
}

#[cfg(test)]
mod tests {
    use super::{Connection, KEPT, PRUNE_MAX, params, positions, prune};
    use crate::store::Positions;
    use crate::store::sqlite::schema;

    const DAY: i64 = 24 * 60 * 60;

    /// Changes of one operation, so many days old.
    fn changes_of(days: impl IntoIterator<Item = i64>) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        for days in days {
            let sql = "INSERT INTO changes (request_id, version, time) \
                       SELECT zeroblob(16), 1, age - ?1 FROM meta";
            connection.execute(sql, params![days * DAY * 1_000_000_000]).unwrap();
        }
        connection
    }

    #[test]
    fn only_what_is_too_old_is_pruned_and_the_last_change_always_stays() {
        let check = |days: &[i64], pruned: u32, oldest: u64| {
            let connection = changes_of(days.iter().copied());
            assert_eq!(prune(&connection).unwrap(), pruned, "{days:?}");
            let last = days.len() as u64;
            assert_eq!(positions(&connection).unwrap(), Positions { oldest, last }, "{days:?}");
        };
        check(&[], 0, 0);
        check(&[9, 8, 6, 0], 2, 3);
        check(&[7, 6], 0, 1);
        check(&[9], 0, 1);
        check(&[9, 9, 9], 2, 3);
        assert_eq!(KEPT.as_secs(), 7 * DAY as u64);
    }

    #[test]
    fn one_turn_of_pruning_is_bounded_and_the_next_goes_on() {
        let connection = changes_of((0..i64::from(PRUNE_MAX) + 10).map(|_| 30));
        assert_eq!(prune(&connection).unwrap(), PRUNE_MAX);
        assert_eq!(prune(&connection).unwrap(), 9);
        assert_eq!(prune(&connection).unwrap(), 0);
    }
}
