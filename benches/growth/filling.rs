//! A store of many operations in little time: the store itself writes one of each kind, and SQL
//! multiplies their rows, so that what stands in them is its own encoding. It must not go through the
//! store for each: that would measure an fsync a million times.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use purveyor::store::operation::{Attempt, Claim, Operation};
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{Change, NewOperation, Store};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, UpstreamRef};
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Nanoseconds over which finished operations are spread: as long as they are kept.
const SPAN: i64 = 400 * 24 * 60 * 60 * SECOND;
pub(crate) const SECOND: i64 = 1_000_000_000;
/// How many owners there are.
const OWNERS: u32 = 100;
/// The models of what is multiplied.
const FINISHED: Uuid = Uuid::from_u128(1);
const WAITING: Uuid = Uuid::from_u128(2);

/// When the first operation was accepted.
pub(crate) fn beginning() -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_700_000_000)
}

/// When everything finished has ended and the first waiting operation is due.
pub(crate) fn present() -> Timestamp {
    beginning() + jiff::SignedDuration::from_nanos(SPAN)
}

/// Makes a store of `finished` operations and a tenth as many waiting ones.
pub(crate) fn fill(runtime: &Runtime, file: &Path, finished: u32) -> Result<()> {
    let store = SqliteStore::open(file)?;
    runtime.block_on(async {
        model(&store, FINISHED, State::Succeeded).await?;
        model(&store, WAITING, State::WaitingUpstream).await
    })?;
    drop(store);
    let mut connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000")?;
    multiply(&mut connection, FINISHED, finished, 1, SPAN / i64::from(finished))?;
    multiply(&mut connection, WAITING, finished / 10, finished + 1, SECOND)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// An operation about as big as a real one, after one attempt.
pub(crate) fn operation(request_id: Uuid, create_time: Timestamp) -> Operation {
    Operation {
        owner: "owner-1".to_owned(),
        actor: "a credential".to_owned(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        account: "ACME-1".to_owned(),
        target: format!("providers/acme/orders/{request_id}"),
        fingerprint: [7; 32],
        request: vec![7; 300],
        wake_time: None,
        ..Operation::new(request_id, Op::CreateOrder, "acme", create_time)
    }
}

/// What is claimed for an operation when it is committed.
pub(crate) fn claim(request_id: Uuid) -> Claim {
    Claim {
        account: "ACME-1".to_owned(),
        kind: "order".to_owned(),
        upstream_id: request_id.to_string(),
    }
}

/// The operation after its one attempt.
pub(crate) fn sent(accepted: Operation, state: State) -> Operation {
    let request_id = accepted.request_id;
    let attempt = Attempt {
        number: 1,
        step: 1,
        nonce: Uuid::new_v4(),
        call: "product.create".to_owned(),
        effect: Effect::Spend,
        permit_time: accepted.create_time,
        outcome: Outcome::Applied,
        message: String::new(),
        upstream_id: request_id.to_string(),
        plugin: "acme 1.0.0".to_owned(),
        plugin_sha256: "0f".repeat(32),
        answer_status: 0,
        answer: Vec::new(),
    };
    Operation {
        state,
        version: accepted.version + 1,
        handle: vec![7; 60],
        upstream: UpstreamRef { id: request_id.to_string(), ..UpstreamRef::default() },
        attempts: vec![attempt],
        ..accepted
    }
}

async fn model(store: &SqliteStore, request_id: Uuid, state: State) -> Result<()> {
    let accepted = operation(request_id, beginning());
    let new = NewOperation { operation: accepted.clone(), locks: Vec::new(), lease: None };
    store.accept(new).await?;
    let operation = sent(accepted, state);
    let change = Change { operation, locks: Vec::new(), claims: vec![claim(request_id)] };
    store.commit(change).await?;
    Ok(())
}

/// Repeats the rows of one operation `count` times, numbered from `first`, `spacing` nanoseconds apart.
/// The model goes.
fn multiply(
    connection: &mut Connection,
    model: Uuid,
    count: u32,
    first: u32,
    spacing: i64,
) -> Result<()> {
    let time = i64::try_from(beginning().as_nanosecond())?;
    let due = i64::try_from(present().as_nanosecond())?;
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TEMP TABLE made (n INTEGER PRIMARY KEY, id BLOB)")?;
    transaction.execute(
        "INSERT INTO made WITH RECURSIVE n (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n \
         LIMIT ?2) SELECT n, randomblob(16) FROM n",
        params![first, count],
    )?;
    let accepted = format!("{time} + (n - {first}) * {spacing}");
    copy(&transaction, "operations", model, &|column| match column {
        "create_time" | "update_time" => Some(accepted.clone()),
        // Only what waits is looked at again; what is finished is not.
        "wake_time" if model == WAITING => Some(format!("{due} + (n - {first}) * {spacing}")),
        "owner" => Some(format!("'owner-' || (n % {OWNERS})")),
        "target" => Some("'providers/acme/orders/' || n".to_owned()),
        _ => None,
    })?;
    copy(&transaction, "attempts", model, &|column| {
        (column == "nonce").then(|| "randomblob(16)".to_owned())
    })?;
    copy(&transaction, "claims", model, &|column| match column {
        "upstream_id" => Some("'order-' || n".to_owned()),
        "claim_time" => Some(accepted.clone()),
        _ => None,
    })?;
    for table in ["attempts", "claims", "operations"] {
        let sql = format!("DELETE FROM {table} WHERE request_id = ?1");
        transaction.execute(&sql, [model.as_bytes()])?;
    }
    // The last change has to be one of an operation that there is.
    let changed = "INSERT INTO changes (request_id, version, time) SELECT id, 2, ?1 FROM made \
                   ORDER BY n DESC LIMIT 1";
    transaction.execute(changed, [i64::try_from(Timestamp::now().as_nanosecond())?])?;
    transaction.execute_batch("DROP TABLE made")?;
    transaction.commit()?;
    Ok(())
}

/// Inserts a row for each of `made` that is the model's but for the request id and what `other` says.
fn copy(
    connection: &Connection,
    table: &str,
    model: Uuid,
    other: &dyn Fn(&str) -> Option<String>,
) -> Result<()> {
    let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = names.query_map([table], |row| row.get::<_, String>(0))?;
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let values: Vec<String> = names
        .iter()
        .map(|name| match name.as_str() {
            "request_id" => "made.id".to_owned(),
            name => other(name).unwrap_or_else(|| format!("model.{name}")),
        })
        .collect();
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM made, \
         (SELECT * FROM {table} WHERE request_id = ?1) AS model",
        names.join(", "),
        values.join(", ")
    );
    connection.execute(&sql, [model.as_bytes()]).with_context(|| format!("cannot fill {table}"))?;
    Ok(())
}
