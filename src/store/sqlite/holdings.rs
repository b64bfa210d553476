//! Locks, which an operation holds while it needs them, and claims, which it keeps for ever. It
//! must not know what a key means.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::age::Age;
use crate::store::encoding;
use crate::store::operation::{Claim, Lock};

/// Who has a claim.
pub(super) const CLAIMANT: &str =
    "SELECT request_id FROM claims WHERE account = ?1 AND kind = ?2 AND upstream_id = ?3";

/// What others claimed in an account since an age. Named, because the other index would look at all
/// that the account ever claimed.
pub(super) const CLAIMED_IDS: &str = "SELECT DISTINCT upstream_id FROM claims INDEXED BY claims_by_time \
     WHERE account = ?1 AND claim_time >= ?2 AND request_id <> ?3 ORDER BY upstream_id";

/// The first of `locks` that another operation holds, and that operation.
pub(super) fn held(
    connection: &Connection,
    locks: &[Lock],
    request_id: Uuid,
) -> Result<Option<(Lock, Uuid)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT request_id FROM locks WHERE key = ?1")?;
    for lock in locks {
        let holder: Option<Vec<u8>> =
            statement.query_row([&lock.0], |row| row.get(0)).optional()?;
        let Some(holder) = holder else { continue };
        let holder = encoding::uuid("locks.request_id", &holder)?;
        if holder != request_id {
            return Ok(Some((lock.clone(), holder)));
        }
    }
    Ok(None)
}

/// Takes locks that are free or held by the operation itself.
pub(super) fn hold(connection: &Connection, locks: &[Lock], request_id: Uuid) -> Result<(), Fault> {
    // Another holder was looked for in this transaction; what conflicts here is our own.
    let sql = "INSERT INTO locks (key, request_id) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    for lock in locks {
        statement.execute(params![lock.0, request_id.as_bytes()])?;
    }
    Ok(())
}

/// Frees what an operation holds beside `keep`.
pub(super) fn let_go(
    connection: &Connection,
    keep: &[Lock],
    request_id: Uuid,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT key FROM locks WHERE request_id = ?1")?;
    let held = statement
        .query_map([request_id.as_bytes()], |row| row.get(0).map(Lock))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut free = connection.prepare_cached("DELETE FROM locks WHERE key = ?1")?;
    for lock in held.iter().filter(|lock| !keep.contains(lock)) {
        free.execute([&lock.0])?;
    }
    Ok(())
}

/// The first of `claims` that another operation has, and that operation.
pub(super) fn claimed(
    connection: &Connection,
    claims: &[Claim],
    request_id: Uuid,
) -> Result<Option<(Claim, Uuid)>, Fault> {
    for claim in claims {
        match claimant(connection, claim)? {
            Some(by) if by != request_id => return Ok(Some((claim.clone(), by))),
            _ => {}
        }
    }
    Ok(None)
}

/// Claims what is free; what the operation has already keeps its age.
pub(super) fn claim(
    connection: &Connection,
    claims: &[Claim],
    request_id: Uuid,
    age: Age,
) -> Result<(), Fault> {
    let sql = "INSERT INTO claims (account, kind, upstream_id, request_id, claim_time) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, kind, upstream_id) DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    let time = age.as_nanos();
    for Claim { account, kind, upstream_id } in claims {
        statement.execute(params![account, kind, upstream_id, request_id.as_bytes(), time])?;
    }
    Ok(())
}

/// The operation that has a claim.
pub(super) fn claimant(connection: &Connection, claim: &Claim) -> Result<Option<Uuid>, Fault> {
    let by: Option<Vec<u8>> = connection
        .prepare_cached(CLAIMANT)?
        .query_row([&claim.account, &claim.kind, &claim.upstream_id], |row| row.get(0))
        .optional()?;
    Ok(by.map(|by| encoding::uuid("claims.request_id", &by)).transpose()?)
}

/// The identifiers that other operations claimed in an account since an age, sorted, each once.
pub(super) fn claimed_ids(
    connection: &Connection,
    account: &str,
    except: Uuid,
    since: Age,
) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare_cached(CLAIMED_IDS)?;
    let since = since.as_nanos();
    let ids = statement
        .query_map(params![account, since, except.as_bytes()], |row| row.get(0))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ids)
}
