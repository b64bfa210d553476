//! Poolers that hand each transaction to another session of the server. The store's settings, prepared
//! statements and listeners belong to a session, so behind such a pooler limits are those of somebody else
//! and notices are lost. A pooler that keeps one session for each connection does no harm.

use super::fault::{self, RoundTripError};
use super::session::Connection;

/// Why such a pooler is refused.
const REFUSED: &str = "a pooler between hands transactions to other sessions of the server (as PgBouncer \
    does with pool_mode = transaction or statement); name the server itself in store.url, or let the \
    pooler keep one session for each connection (pool_mode = session)";

/// Begins a transaction and tells the session that it runs in.
const BEGIN: &str = "BEGIN; SELECT pg_backend_pid()";

/// Marks the session behind a new connection. One that another connection has marked is shared with that.
///
/// # Errors
///
/// Why the connection is refused.
pub(super) async fn begin_session(connection: &Connection) -> Result<(), String> {
    // In the simple protocol: prepared statements of other connections would stand in the way.
    let sql = "SELECT current_setting('purveyor.session', true); \
               SET purveyor.session TO 'in use'";
    let mark = connection.text(sql).await.map_err(|error| fault::text(&error))?;
    // A session that was reset has an empty one.
    match mark.as_deref() {
        None | Some("") => Ok(()),
        Some(_) => Err(REFUSED.to_owned()),
    }
}

/// Runs transactions of two connections beside each other: each has to stay in its own session. Whether
/// a pooler hands out the session that was used last or the one that was used first, one of the rounds
/// exchanges them.
///
/// # Errors
///
/// Why the connections are refused.
pub(super) async fn refuse(one: &Connection, other: &Connection) -> Result<(), String> {
    let mut sessions: [Option<String>; 2] = [None, None];
    for order in [[0, 1], [0, 1], [1, 0]] {
        for (position, which) in order.into_iter().enumerate() {
            let connection = [one, other][which];
            let session = match connection.text(BEGIN).await {
                Ok(session) => session,
                // It waits for the session that the first one has.
                Err(RoundTripError::Timeout(_)) if position == 1 => {
                    return Err(format!("two connections are not served at once: {REFUSED}"));
                }
                Err(error) => return Err(fault::text(&error)),
            };
            if sessions[which].is_some() && sessions[which] != session {
                return Err(REFUSED.to_owned());
            }
            sessions[which] = session;
        }
        if sessions[0] == sessions[1] {
            return Err(REFUSED.to_owned());
        }
        for connection in [one, other] {
            connection.batch_execute("COMMIT").await.map_err(|error| fault::text(&error))?;
        }
    }
    Ok(())
}
