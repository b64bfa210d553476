//! The tables, version by version. A migration that was ever released is never edited: what has to
//! be different is a further file. It must not go back.

use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::age::Age;
use crate::store::encoding;

/// `application_id` of our databases: "PRVY".
pub(super) const APPLICATION_ID: i32 = 0x5052_5659;

/// What leads from each version to the next; the first makes an empty file a database of ours.
const MIGRATIONS: [&str; 12] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
    include_str!("schema/0010.sql"),
    include_str!("schema/0011.sql"),
    include_str!("schema/0012.sql"),
];

/// The version from which on the store has an age.
const WITH_AGE: u32 = 6;

/// The version from which on an object may have several identifiers.
const WITH_LISTS: u32 = 9;

/// The version that this program reads and writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// What a file is, before anything is written to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It has no tables yet.
    Empty,
    /// A database of ours, of this version.
    Ours(u32),
    /// A database of something else.
    Foreign,
}

/// Looks what a file is.
pub(super) fn find(connection: &Connection) -> Result<Found, rusqlite::Error> {
    let application_id: i32 = pragma(connection, "application_id")?;
    let version: u32 = pragma(connection, "user_version")?;
    let tables: u32 =
        connection.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application_id, tables) {
        (APPLICATION_ID, _) => Found::Ours(version),
        (0, 0) if version == 0 => Found::Empty,
        _ => Found::Foreign,
    })
}

/// Brings the tables from a version to [`VERSION`], each step whole or not at all.
pub(super) fn migrate(connection: &mut Connection, from: u32) -> Result<(), rusqlite::Error> {
    for (version, migration) in (1..).zip(MIGRATIONS).skip(from as usize) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(migration)?;
        if version == 1 {
            let store_id = Uuid::new_v4();
            step.execute("INSERT INTO meta (one, store_id) VALUES (1, ?1)", [store_id.as_bytes()])?;
            step.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        if version == WITH_AGE {
            begin_windows_again(&step)?;
        }
        if version == WITH_LISTS {
            take_ids_apart(&step)?;
        }
        step.pragma_update(None, "user_version", version)?;
        step.commit()?;
    }
    Ok(())
}

/// Windows that other clocks measured begin again on the store's age.
fn begin_windows_again(connection: &Connection) -> Result<(), rusqlite::Error> {
    let age = connection.query_one("SELECT age FROM meta", [], |row| row.get(0))?;
    let sql = "SELECT request_id, settle FROM operations WHERE settle IS NOT NULL";
    let windows = connection
        .prepare(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<([u8; 16], Vec<u8>)>, _>>()?;
    for (request_id, settle) in windows {
        let again = encoding::settle_begun_again(&settle, Age::from_nanos(age));
        let again = again.map_err(|error: StoreError| {
            rusqlite::Error::ToSqlConversionFailure(Box::new(error))
        })?;
        let sql = "UPDATE operations SET settle = ?2 WHERE request_id = ?1";
        connection.execute(sql, rusqlite::params![request_id, again])?;
    }
    Ok(())
}

/// Identifiers that were joined in one text become lists.
fn take_ids_apart(connection: &Connection) -> Result<(), rusqlite::Error> {
    let failed = |error: StoreError| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let sql = "SELECT request_id, upstream_target FROM operations WHERE upstream_target <> ''";
    let mut targets = connection.prepare(sql)?;
    let mut targets = targets.query([])?;
    while let Some(row) = targets.next()? {
        let (request_id, target): ([u8; 16], String) = (row.get(0)?, row.get(1)?);
        let names = encoding::names(&encoding::ids_apart(&target));
        let sql = "UPDATE operations SET upstream_targets = ?2 WHERE request_id = ?1";
        connection.prepare_cached(sql)?.execute(rusqlite::params![request_id, names])?;
    }
    let sql = "SELECT request_id, upstream, view FROM operations WHERE instr(upstream, x'2c') > 0";
    let objects = connection
        .prepare(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<([u8; 16], Vec<u8>, Option<Vec<u8>>)>, _>>()?;
    for (request_id, upstream, view) in objects {
        let upstream = encoding::upstream_apart(&upstream).map_err(failed)?;
        let view = view.as_deref().map(encoding::view_apart).transpose().map_err(failed)?;
        let sql = "UPDATE operations SET upstream = ?2, view = ?3 WHERE request_id = ?1";
        connection.execute(sql, rusqlite::params![request_id, upstream, view])?;
    }
    connection.execute_batch("ALTER TABLE operations DROP COLUMN upstream_target")
}

/// The identity that the database was made with.
pub(super) fn store_id(connection: &Connection) -> Result<Uuid, rusqlite::Error> {
    let bytes = connection.query_one("SELECT store_id FROM meta", [], |row| row.get(0))?;
    Ok(Uuid::from_bytes(bytes))
}

fn pragma<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> Result<T, rusqlite::Error> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::params;

    use super::{Age, Connection, MIGRATIONS, encoding, migrate};

    #[test]
    fn a_store_of_the_first_version_is_brought_forward_whole() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        let rows = "INSERT INTO meta VALUES (1, zeroblob(16), NULL); INSERT INTO operations VALUES \
                    (zeroblob(16), 7, 2, 1, 2, NULL, 0, 1, NULL, 1, 1, \
                    '', '', '', '', '', '', '', '', zeroblob(32), x'', x'', NULL, '', NULL, x'', x'', \
                    x'', NULL, NULL, x'', NULL, NULL); \
                    INSERT INTO claims VALUES ('account', 'order', '77', zeroblob(16), 2); \
                    INSERT INTO changes VALUES (41, zeroblob(16), 1, NULL, 1), \
                    (42, zeroblob(16), 2, NULL, 2);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection, 1).unwrap();
        let text =
            |sql: &str| connection.query_one(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let claims =
            "SELECT account || kind || upstream_id || hex(request_id) || claim_time FROM claims";
        assert_eq!(text(claims), format!("accountorder77{}2", "00".repeat(16)));
        let changes = "SELECT group_concat(position || ':' || version || ':' || time) FROM changes";
        assert_eq!(text(changes), "41:1:1,42:2:2");
        // Neither refers to the row, and a position is never used again.
        connection.execute_batch("DELETE FROM operations; DELETE FROM changes").unwrap();
        let next = "INSERT INTO changes (request_id, version, time) VALUES (zeroblob(16), 1, 5)";
        connection.execute_batch(next).unwrap();
        assert_eq!(connection.last_insert_rowid(), 43);
    }

    /// The parts of an operation that a store without an age had: state, update_time, wake_time, settle.
    fn older(
        connection: &Connection,
        n: u8,
        update: i64,
        wake: Option<i64>,
        settle: Option<&[u8]>,
    ) {
        let sql = "INSERT INTO operations (request_id, state, version, create_time, update_time, \
                   wake_time, tries, step, protocol, op, owner, actor, trace_id, provider, account, \
                   target, upstream_target, start_before, fingerprint, exclusive, upstream, settle, \
                   message, candidates, notes, handle, request) VALUES (?1, 5, 1, 1, ?2, ?3, 0, 1, 1, \
                   1, '', '', '', '', '', '', '', '', zeroblob(32), x'', x'', ?4, '', x'', x'', x'', \
                   x'')";
        connection.execute(sql, params![[n; 16], update, wake, settle]).unwrap();
    }

    #[test]
    fn migration_starts_the_age_and_lets_nothing_sleep_for_long() {
        const MINUTE: i64 = 60_000_000_000;
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..5] {
            connection.execute_batch(migration).unwrap();
        }
        connection.execute("INSERT INTO meta VALUES (1, zeroblob(16), NULL)", []).unwrap();
        let newest = 1000 * MINUTE;
        // A window of ten minutes that ended on another clock: fields 2 and 3 of the old record.
        let window = (10 * MINUTE).cast_unsigned();
        let mut settle = vec![0x10, 5, 0x18];
        prost::encoding::encode_varint(window, &mut settle);
        older(&connection, 1, newest, Some(newest + 5 * MINUTE), None);
        older(&connection, 2, 7, Some(newest + 24 * 60 * MINUTE), Some(&settle));
        older(&connection, 3, 8, None, None);
        migrate(&mut connection, 5).unwrap();
        let age = connection.query_one("SELECT age FROM meta", [], |row| row.get::<_, i64>(0));
        assert_eq!(age.unwrap(), newest);
        let wakes = connection
            .prepare("SELECT wake_time FROM operations ORDER BY request_id")
            .unwrap()
            .query_map([], |row| row.get::<_, Option<i64>>(0))
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        assert_eq!(wakes, [Some(newest + 5 * MINUTE), Some(newest + 60 * MINUTE), None]);
        let sql = "SELECT settle FROM operations WHERE settle IS NOT NULL";
        let settle: Vec<u8> = connection.query_one(sql, [], |row| row.get(0)).unwrap();
        let again = encoding::from_settle(&settle).unwrap();
        assert_eq!(again.conclusive_at, Age::from_nanos(newest + 10 * MINUTE));
        assert_eq!((again.window, again.escalate_at), (Duration::from_mins(10), None));
    }
}
