//! Locks, which an operation holds while it needs them, and claims, which are never deleted. It
//! must not know what a key means.
//!
//! A key that nobody has can be taken by somebody else before this transaction commits. So a look
//! comes first, for the answer, and the unique index has the last word: who inserts less than it
//! wanted begins again, and then sees who has the rest.

use std::collections::BTreeSet;

use async_trait::async_trait;
use uuid::Uuid;

use super::fault::Fault;
use super::row::Fields;
use super::session::Connection;
use super::text::escaped;
use super::write::{Turn, Work};
use crate::store::Committed;
use crate::store::age::Age;
use crate::store::columns::{self, passes};
use crate::store::operation::{Claim, HeldClaim, Lock, NewClaim};

/// Claims that are closed by themselves, as a write.
pub(super) struct Close {
    pub(super) closes: Vec<HeldClaim>,
    pub(super) now: Age,
}

#[async_trait]
impl Work for Close {
    type Output = ();

    async fn run(&self, connection: &Connection) -> Result<Turn<()>, Fault> {
        close(connection, &self.closes, self.now).await?;
        Ok(Turn::Keep((), None))
    }
}

/// The first of `locks` that another operation holds, and that operation.
pub(super) async fn held(
    connection: &Connection,
    locks: &[Lock],
    request_id: Uuid,
) -> Result<Option<(Lock, Uuid)>, Fault> {
    if locks.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT key, request_id FROM locks WHERE key = ANY ($1) AND request_id <> $2";
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &[&keys(locks), &request_id]).await?;
    let mut others = Vec::new();
    for row in &rows {
        let mut fields = Fields::of(row);
        others.push((fields.text()?, fields.value::<Uuid>()?));
    }
    Ok(locks.iter().find_map(|lock| {
        let (_, by) = others.iter().find(|(key, _)| *key == lock.0)?;
        Some((lock.clone(), *by))
    }))
}

/// Takes locks that are free or held by the operation itself, and frees all others that it holds.
pub(super) async fn hold(
    connection: &Connection,
    locks: &[Lock],
    request_id: Uuid,
) -> Result<(), Fault> {
    let keys = keys(locks);
    let sql = "DELETE FROM locks WHERE request_id = $1 AND key <> ALL ($2)";
    let statement = connection.prepare_cached(sql).await?;
    connection.execute(&statement, &[&request_id, &keys]).await?;
    if keys.is_empty() {
        return Ok(());
    }
    take(connection, locks, request_id).await?;
    let sql = "SELECT count(*) FROM locks WHERE request_id = $1";
    let statement = connection.prepare_cached(sql).await?;
    let held: i64 = connection.query_one(&statement, &[&request_id]).await?.try_get(0)?;
    all(held, keys.len())
}

/// Takes locks that are free. What another operation holds stays with it.
pub(super) async fn take(
    connection: &Connection,
    locks: &[Lock],
    request_id: Uuid,
) -> Result<(), Fault> {
    // In the order of the keys, so that two that want the same ones do not wait for each other.
    let sql = "INSERT INTO locks (key, request_id) \
               SELECT key, $2 FROM unnest($1::text[]) AS wanted (key) ORDER BY key COLLATE \"C\" \
               ON CONFLICT (key) DO NOTHING";
    let statement = connection.prepare_cached(sql).await?;
    connection.execute(&statement, &[&keys(locks), &request_id]).await?;
    Ok(())
}

/// The first of `claims` that another operation's claim stands against.
pub(super) async fn claimed(
    connection: &Connection,
    claims: &[NewClaim],
    request_id: Uuid,
) -> Result<Option<Committed>, Fault> {
    let sql = "SELECT request_id, origin, closed_time FROM claims WHERE account = $1 AND kind = $2 \
               AND upstream_id = $3 AND request_id <> $4 \
               ORDER BY closed_time IS NOT NULL, closed_time DESC LIMIT 1";
    for new in claims {
        let Claim { account, kind, upstream_id } = &new.claim;
        let statement = connection.prepare_cached(sql).await?;
        let (account, kind) = (escaped(account), escaped(kind));
        let values: [super::row::Value<'_>; 4] =
            [&account, &kind, &escaped(upstream_id), &request_id];
        let Some(row) = connection.query_opt(&statement, &values).await? else { continue };
        let mut fields = Fields::of(&row);
        let (by, origin) = (fields.value::<Uuid>()?, fields.value::<i32>()?);
        let closed: Option<i64> = fields.value()?;
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
pub(super) async fn claim(
    connection: &Connection,
    claims: &[NewClaim],
    request_id: Uuid,
    age: Age,
) -> Result<(), Fault> {
    let passed: Vec<HeldClaim> = claims.iter().filter_map(NewClaim::passed).collect();
    close(connection, &passed, age).await?;
    let time = age.as_nanos();
    let sql = "INSERT INTO claims (account, kind, upstream_id, request_id, origin, claim_time) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (account, upstream_id, kind) WHERE closed_time IS NULL DO NOTHING";
    // In one order everywhere, as locks.
    let mut sorted: Vec<&NewClaim> = claims.iter().collect();
    sorted.sort_unstable_by(|one, other| one.claim.cmp(&other.claim));
    for NewClaim { claim, origin, .. } in sorted {
        let (account, kind) = (escaped(&claim.account), escaped(&claim.kind));
        let upstream_id = escaped(&claim.upstream_id);
        let statement = connection.prepare_cached(sql).await?;
        let values: [super::row::Value<'_>; 6] =
            [&account, &kind, &upstream_id, &request_id, &i32::from(*origin), &time];
        if connection.execute(&statement, &values).await? == 0
            && claimant(connection, claim).await? != Some(request_id)
        {
            return Err(Fault::Again);
        }
    }
    Ok(())
}

/// Closes claims that are still open and the named operations': their objects are gone, or pass on.
pub(super) async fn close(
    connection: &Connection,
    closes: &[HeldClaim],
    age: Age,
) -> Result<(), Fault> {
    let sql = "UPDATE claims SET closed_time = $5 WHERE account = $1 AND kind = $2 \
               AND upstream_id = $3 AND request_id = $4 AND closed_time IS NULL";
    let time = age.as_nanos();
    let mut sorted: Vec<&HeldClaim> = closes.iter().collect();
    sorted.sort_unstable_by(|one, other| one.claim.cmp(&other.claim));
    for HeldClaim { claim: Claim { account, kind, upstream_id }, by, .. } in sorted {
        let statement = connection.prepare_cached(sql).await?;
        let (account, kind) = (escaped(account), escaped(kind));
        let values: [super::row::Value<'_>; 5] =
            [&account, &kind, &escaped(upstream_id), by, &time];
        connection.execute(&statement, &values).await?;
    }
    Ok(())
}

/// The open claims of an account on an identifier.
pub(super) async fn open_claims(
    connection: &Connection,
    account: &str,
    upstream_id: &str,
) -> Result<Vec<HeldClaim>, Fault> {
    let sql = "SELECT kind, request_id, origin FROM claims \
               WHERE closed_time IS NULL AND account = $1 AND upstream_id = $2 ORDER BY kind";
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &[&escaped(account), &escaped(upstream_id)]).await?;
    let held = rows.iter().map(|row| {
        let mut fields = Fields::of(row);
        let claim = Claim {
            account: account.to_owned(),
            kind: fields.text()?.into_owned(),
            upstream_id: upstream_id.to_owned(),
        };
        let by = fields.value()?;
        Ok(HeldClaim { claim, by, origin: columns::origin(fields.value()?)? })
    });
    held.collect()
}

/// The identifiers whose claims were closed since an age, sorted, each once.
pub(super) async fn closed_ids(
    connection: &Connection,
    account: &str,
    since: Age,
) -> Result<Vec<String>, Fault> {
    let sql = "SELECT DISTINCT upstream_id FROM claims \
               WHERE account = $1 AND closed_time >= $2 ORDER BY upstream_id";
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &[&escaped(account), &since.as_nanos()]).await?;
    rows.iter().map(|row| Ok(Fields::of(row).text()?.into_owned())).collect()
}

/// The operation that has a claim: the open one first, else the last that was closed.
pub(super) async fn claimant(
    connection: &Connection,
    claim: &Claim,
) -> Result<Option<Uuid>, Fault> {
    let sql = "SELECT request_id FROM claims WHERE account = $1 AND kind = $2 AND upstream_id = $3 \
               ORDER BY closed_time IS NOT NULL, id DESC LIMIT 1";
    let statement = connection.prepare_cached(sql).await?;
    let (account, kind) = (escaped(&claim.account), escaped(&claim.kind));
    let upstream_id = escaped(&claim.upstream_id);
    let row = connection.query_opt(&statement, &[&account, &kind, &upstream_id]).await?;
    row.map(|row| Fields::of(&row).value()).transpose()
}

/// The identifiers that other operations claimed in an account since an age, sorted, each once.
pub(super) async fn claimed_ids(
    connection: &Connection,
    account: &str,
    except: Uuid,
    since: Age,
    closed_since: Age,
) -> Result<Vec<String>, Fault> {
    let sql = "SELECT DISTINCT upstream_id FROM claims \
               WHERE account = $1 AND claim_time >= $2 AND request_id <> $3 \
               AND (closed_time IS NULL OR closed_time >= $4) ORDER BY upstream_id";
    let statement = connection.prepare_cached(sql).await?;
    let (since, closed_since) = (since.as_nanos(), closed_since.as_nanos());
    let values: [super::row::Value<'_>; 4] = [&escaped(account), &since, &except, &closed_since];
    let rows = connection.query(&statement, &values).await?;
    rows.iter().map(|row| Ok(Fields::of(row).text()?.into_owned())).collect()
}

/// The identifiers of a kind that are claimed in an account and were before an age, the newest first.
pub(super) async fn newest_claims(
    connection: &Connection,
    account: &str,
    kind: &str,
    before: Age,
    limit: usize,
) -> Result<Vec<String>, Fault> {
    let sql = "SELECT upstream_id FROM claims WHERE account = $1 AND claim_time < $2 AND kind = $3 \
               AND closed_time IS NULL ORDER BY claim_time DESC LIMIT $4";
    let statement = connection.prepare_cached(sql).await?;
    let (before, limit) = (before.as_nanos(), columns::page(limit));
    let values: [super::row::Value<'_>; 4] = [&escaped(account), &before, &escaped(kind), &limit];
    let rows = connection.query(&statement, &values).await?;
    rows.iter().map(|row| Ok(Fields::of(row).text()?.into_owned())).collect()
}

/// Each key once, as it is sent.
fn keys(locks: &[Lock]) -> Vec<String> {
    let keys: BTreeSet<_> = locks.iter().map(|lock| escaped(&lock.0).into_owned()).collect();
    keys.into_iter().collect()
}

fn all(held: i64, wanted: usize) -> Result<(), Fault> {
    if usize::try_from(held).is_ok_and(|held| held == wanted) { Ok(()) } else { Err(Fault::Again) }
}
