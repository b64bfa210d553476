//! The tables, version by version. A migration that was ever released is never edited: what has to
//! be different is a further file. It must not go back.

use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

/// `application_id` of our databases: "PRVY".
pub(super) const APPLICATION_ID: i32 = 0x5052_5659;

/// What leads from each version to the next; the first makes an empty file a database of ours.
const MIGRATIONS: [&str; 7] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
];

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
        step.pragma_update(None, "user_version", version)?;
        step.commit()?;
    }
    Ok(())
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
    use super::{Connection, MIGRATIONS, migrate};

    #[test]
    fn a_store_of_the_first_version_is_brought_forward_whole() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        let rows = "INSERT INTO operations VALUES (zeroblob(16), 7, 2, 1, 2, NULL, 0, 1, NULL, 1, 1, \
                    '', '', '', '', '', '', '', '', zeroblob(32), x'', x'', NULL, '', NULL, x'', x'', \
                    x'', NULL, NULL, x'', NULL, NULL); \
                    INSERT INTO claims VALUES ('account', 'order', '77', zeroblob(16), 5); \
                    INSERT INTO changes VALUES (41, zeroblob(16), 1, NULL, 3), \
                    (42, zeroblob(16), 2, NULL, 4);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection, 1).unwrap();
        let text =
            |sql: &str| connection.query_one(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let claims =
            "SELECT account || kind || upstream_id || hex(request_id) || claim_time FROM claims";
        assert_eq!(text(claims), format!("accountorder77{}5", "00".repeat(16)));
        let changes = "SELECT group_concat(position || ':' || version || ':' || time) FROM changes";
        assert_eq!(text(changes), "41:1:3,42:2:4");
        // Neither refers to the row, and a position is never used again.
        connection.execute_batch("DELETE FROM operations; DELETE FROM changes").unwrap();
        let next = "INSERT INTO changes (request_id, version, time) VALUES (zeroblob(16), 1, 5)";
        connection.execute_batch(next).unwrap();
        assert_eq!(connection.last_insert_rowid(), 43);
    }
}
