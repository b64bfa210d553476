//! The stored age: reading it, and writing the next heartbeat over it.

use std::io;

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::store::age::Age;
use crate::store::heartbeat::{AgeClock, Heartbeat, Machine};

/// The last heartbeat that was stored.
fn read(connection: &Connection) -> Result<Heartbeat, rusqlite::Error> {
    let sql = "SELECT age, boot_id, time_namespace, boot_ns FROM meta";
    connection.prepare_cached(sql)?.query_one([], heartbeat_of)
}

/// The age as it was stored last.
pub(super) fn stored(connection: &Connection) -> Result<Age, rusqlite::Error> {
    Ok(read(connection)?.age)
}

fn heartbeat_of(row: &Row<'_>) -> Result<Heartbeat, rusqlite::Error> {
    let boot_id: Option<[u8; 16]> = row.get(1)?;
    let time_namespace = row.get(2)?;
    let machine =
        boot_id.map(|boot_id| Machine { boot_id: Uuid::from_bytes(boot_id), time_namespace });
    Ok(Heartbeat { age: Age::from_nanos(row.get(0)?), machine, boot_ns: row.get(3)? })
}

/// Writes the next heartbeat, which counts once it is committed. Alone with the file, nobody else can
/// have advanced the age since it was read; that is checked all the same, and is an error.
pub(super) fn write(
    connection: &Connection,
    clock: &AgeClock,
) -> Result<Heartbeat, rusqlite::Error> {
    let stored = read(connection)?;
    let next = clock.next(&stored);
    let sql = "UPDATE meta SET age = ?1, boot_id = ?2, time_namespace = ?3, boot_ns = ?4 \
               WHERE age = ?5";
    let written = connection.prepare_cached(sql)?.execute(params![
        next.age.as_nanos(),
        next.machine.map(|machine| *machine.boot_id.as_bytes()),
        next.machine.map_or(0, |machine| machine.time_namespace),
        next.boot_ns,
        stored.age.as_nanos(),
    ])?;
    if written == 1 { Ok(next) } else { Err(rusqlite::Error::StatementChangedRows(written)) }
}

/// Writes a heartbeat in a transaction of its own.
pub(super) fn commit(connection: &Connection, clock: &AgeClock) -> Result<(), rusqlite::Error> {
    clock.acknowledged(write(connection, clock)?);
    Ok(())
}

/// The first heartbeat of a process, without which nothing is begun.
pub(super) fn begin(connection: &Connection) -> Result<AgeClock, BeginError> {
    let clock = AgeClock::new(false).map_err(BeginError::Machine)?;
    commit(connection, &clock).map_err(BeginError::Sqlite)?;
    Ok(clock)
}

/// Why there is no first heartbeat.
pub(super) enum BeginError {
    Machine(io::Error),
    Sqlite(rusqlite::Error),
}

#[cfg(test)]
mod tests {
    use super::{Connection, begin};
    use crate::store::sqlite::schema;

    #[test]
    fn heartbeat_that_is_not_written_is_an_error() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        assert!(begin(&connection).is_ok());
        let ignored =
            "CREATE TRIGGER ignored BEFORE UPDATE ON meta BEGIN SELECT RAISE(IGNORE); END";
        connection.execute_batch(ignored).unwrap();
        assert!(begin(&connection).is_err());
    }
}
