//! The stored age: reading it, and writing the next beat over it.

use std::io;

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::store::age::Age;
use crate::store::heartbeat::{Beat, Heartbeat, Machine};

/// The last beat that was stored.
fn read(connection: &Connection) -> Result<Beat, rusqlite::Error> {
    let sql = "SELECT age, boot_id, time_namespace, boot_ns FROM meta";
    connection.prepare_cached(sql)?.query_one([], beat_of)
}

fn beat_of(row: &Row<'_>) -> Result<Beat, rusqlite::Error> {
    let boot_id: Option<[u8; 16]> = row.get(1)?;
    let time_namespace = row.get(2)?;
    let machine =
        boot_id.map(|boot_id| Machine { boot_id: Uuid::from_bytes(boot_id), time_namespace });
    Ok(Beat { age: Age::from_nanos(row.get(0)?), machine, boot_ns: row.get(3)? })
}

/// Writes the next beat, which counts once it is committed. Alone with the file, nobody else can have
/// advanced the age since it was read; that is checked all the same.
pub(super) fn write(
    connection: &Connection,
    heartbeat: &Heartbeat,
) -> Result<Option<Beat>, rusqlite::Error> {
    let stored = read(connection)?;
    let next = heartbeat.next(&stored);
    let sql = "UPDATE meta SET age = ?1, boot_id = ?2, time_namespace = ?3, boot_ns = ?4 \
               WHERE age = ?5";
    let written = connection.prepare_cached(sql)?.execute(params![
        next.age.as_nanos(),
        next.machine.map(|machine| *machine.boot_id.as_bytes()),
        next.machine.map_or(0, |machine| machine.time_namespace),
        next.boot_ns,
        stored.age.as_nanos(),
    ])?;
    Ok((written == 1).then_some(next))
}

/// Beats in a transaction of its own.
pub(super) fn beat(connection: &Connection, heartbeat: &Heartbeat) -> Result<(), rusqlite::Error> {
    if let Some(beat) = write(connection, heartbeat)? {
        heartbeat.acknowledged(beat);
    }
    Ok(())
}

/// The first beat of a process, without which nothing is begun.
pub(super) fn begin(connection: &Connection) -> Result<Heartbeat, BeginError> {
    let heartbeat = Heartbeat::new(false).map_err(BeginError::Machine)?;
    beat(connection, &heartbeat).map_err(BeginError::Sqlite)?;
    Ok(heartbeat)
}

/// Why there is no first beat.
pub(super) enum BeginError {
    Machine(io::Error),
    Sqlite(rusqlite::Error),
}
