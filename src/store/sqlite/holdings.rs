//! Locks, which an operation holds while it needs them, and claims, which are never deleted. It
//! must not know what a key means.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Fault;
use crate::store::Committed;
use crate::store::age::Age;
use crate::store::columns::{self, passes};
use crate::store::encoding;
use crate::store::operation::{Claim, HeldClaim, Lock, NewClaim};

/// Who has a claim: the open one first, else the last that was closed.
pub(super) const CLAIMANT: &str = "SELECT request_id FROM claims INDEXED BY claims_by_object \
     WHERE account = ?1 AND kind = ?2 AND upstream_id = ?3 \
     ORDER BY closed_time IS NOT NULL, id DESC LIMIT 1";

/// What others claimed in an account since an age. Named, because the other index would look at all
/// that the account ever claimed.
pub(super) const CLAIMED_IDS: &str = "SELECT DISTINCT upstream_id FROM claims INDEXED BY claims_by_time \
     WHERE account = ?1 AND claim_time >= ?2 AND request_id <> ?3 \
     AND (closed_time IS NULL OR closed_time >= ?4) ORDER BY upstream_id";

/// The newest open claims of a kind in an account before an age.
pub(super) const NEWEST_CLAIMS: &str = "SELECT upstream_id FROM claims INDEXED BY claims_by_time \
     WHERE account = ?1 AND claim_time < ?2 AND kind = ?3 AND closed_time IS NULL \
     ORDER BY claim_time DESC LIMIT ?4";

/// What was closed in an account since an age.
pub(super) const CLOSED_IDS: &str = "SELECT DISTINCT upstream_id FROM claims INDEXED BY claims_closed \
     WHERE account = ?1 AND closed_time >= ?2 ORDER BY upstream_id";

/// What stands against a claim: somebody else's open one, else the one that was closed last.
pub(super) const AGAINST: &str = "SELECT request_id, origin, closed_time FROM claims \
     INDEXED BY claims_by_object WHERE account = ?1 AND kind = ?2 AND upstream_id = ?3 \
     AND request_id <> ?4 ORDER BY closed_time IS NOT NULL, closed_time DESC LIMIT 1";

/// The open claims on an identifier.
pub(super) const OPEN: &str = "SELECT kind, request_id, origin FROM claims INDEXED BY claims_open \
     WHERE closed_time IS NULL AND account = ?1 AND upstream_id = ?2 ORDER BY kind";

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

/// Takes locks that are free. What another operation holds stays with it: locks of new operations and of
/// changes are looked for before, but not those of a change's loser or of an adopted account.
pub(super) fn hold(connection: &Connection, locks: &[Lock], request_id: Uuid) -> Result<(), Fault> {
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

/// The first of `claims` that another operation's claim stands against.
pub(super) fn claimed(
    connection: &Connection,
    claims: &[NewClaim],
    request_id: Uuid,
) -> Result<Option<Committed>, Fault> {
    let mut statement = connection.prepare_cached(AGAINST)?;
    for new in claims {
        let Claim { account, kind, upstream_id } = &new.claim;
        let values = params![account, kind, upstream_id, request_id.as_bytes()];
        let against = statement.query_row(values, |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i32>(1)?, row.get::<_, Option<i64>>(2)?))
        });
        let Some((by, origin, closed)) = against.optional()? else { continue };
        let by = encoding::uuid("claims.request_id", &by)?;
        if passes(new, by, closed) {
            continue;
        }
        let open = closed.is_none().then(|| columns::origin(origin)).transpose()?;
        return Ok(Some(Committed::Claimed { claim: new.claim.clone(), by, open }));
    }
    Ok(None)
}

/// Claims what is free, and passes on what is taken from another operation; what the operation has
/// already keeps its age.
pub(super) fn claim(
    connection: &Connection,
    claims: &[NewClaim],
    request_id: Uuid,
    age: Age,
) -> Result<(), Fault> {
    let passed: Vec<HeldClaim> = claims.iter().filter_map(NewClaim::passed).collect();
    close(connection, &passed, age)?;
    let sql = "INSERT INTO claims (account, kind, upstream_id, request_id, origin, claim_time) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT (account, upstream_id, kind) WHERE closed_time IS NULL DO NOTHING";
    let mut insert = connection.prepare_cached(sql)?;
    let (by, time) = (request_id.as_bytes(), age.as_nanos());
    for NewClaim { claim: Claim { account, kind, upstream_id }, origin, .. } in claims {
        insert.execute(params![account, kind, upstream_id, by, *origin as i32, time])?;
    }
    Ok(())
}

/// Closes claims that are still open and the named operations': their objects are gone, or pass on.
pub(super) fn close(connection: &Connection, closes: &[HeldClaim], age: Age) -> Result<(), Fault> {
    let sql = "UPDATE claims SET closed_time = ?5 WHERE account = ?1 AND kind = ?2 \
               AND upstream_id = ?3 AND request_id = ?4 AND closed_time IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let time = age.as_nanos();
    for HeldClaim { claim: Claim { account, kind, upstream_id }, by, .. } in closes {
        statement.execute(params![account, kind, upstream_id, by.as_bytes(), time])?;
    }
    Ok(())
}

/// The open claims of an account on an identifier.
pub(super) fn open_claims(
    connection: &Connection,
    account: &str,
    upstream_id: &str,
) -> Result<Vec<HeldClaim>, Fault> {
    let mut statement = connection.prepare_cached(OPEN)?;
    let mut rows = statement.query([account, upstream_id])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        let claim = Claim {
            account: account.to_owned(),
            kind: row.get(0)?,
            upstream_id: upstream_id.to_owned(),
        };
        let by = encoding::uuid("claims.request_id", &row.get::<_, Vec<u8>>(1)?)?;
        held.push(HeldClaim { claim, by, origin: columns::origin(row.get(2)?)? });
    }
    Ok(held)
}

/// The identifiers whose claims were closed since an age, sorted, each once.
pub(super) fn closed_ids(
    connection: &Connection,
    account: &str,
    since: Age,
) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare_cached(CLOSED_IDS)?;
    let ids = statement.query_map(params![account, since.as_nanos()], |row| row.get(0))?;
    Ok(ids.collect::<Result<Vec<_>, _>>()?)
}

/// The operation that has a claim: the open one first, else the last that was closed.
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
    closed_since: Age,
) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare_cached(CLAIMED_IDS)?;
    let since = since.as_nanos();
    let ids = statement
        .query_map(params![account, since, except.as_bytes(), closed_since.as_nanos()], |row| {
            row.get(0)
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ids)
}

/// The identifiers of a kind that are claimed in an account and were before an age, the newest first.
pub(super) fn newest_claims(
    connection: &Connection,
    account: &str,
    kind: &str,
    before: Age,
    limit: usize,
) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare_cached(NEWEST_CLAIMS)?;
    let values = params![account, before.as_nanos(), kind, columns::page(limit)];
    let ids = statement.query_map(values, |row| row.get(0))?;
    Ok(ids.collect::<Result<Vec<_>, _>>()?)
}
