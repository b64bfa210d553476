//! A store of many operations in little time: the store itself writes one of each kind, and SQL
//! multiplies their rows, so that what stands in them is its own encoding. It must not go through the
//! store for each: that would measure an fsync a million times.

use anyhow::Result;
use jiff::Timestamp;
use purveyor::store::age::Age;
use purveyor::store::operation::{Attempt, Claim, NewClaim, Observed, Operation};
use purveyor::store::{Change, DueQueue, NewOperation, Store};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, UpstreamRef};
use uuid::Uuid;

/// Nanoseconds over which finished operations are spread: as long as they are kept.
const SPAN: i64 = 400 * 24 * 60 * 60 * SECOND;
const SECOND: i64 = 1_000_000_000;
/// How many owners there are.
const OWNERS: u32 = 100;
/// Where all of them are.
pub(crate) const PROVIDER: &str = "acme";
/// The models of what is multiplied.
const FINISHED: Uuid = Uuid::from_u128(1);
const WAITING: Uuid = Uuid::from_u128(2);

/// The rows of one operation many times over.
pub(crate) struct Copies {
    /// Whose rows.
    pub(crate) model: Uuid,
    /// How often.
    pub(crate) count: u32,
    /// The number of the first.
    pub(crate) first: u32,
    /// What `accepted` counts from, nanoseconds since 1970.
    time: i64,
    /// Nanoseconds between two of them.
    spacing: i64,
    /// When the first of those that wait is due, nanoseconds since 1970.
    due: Option<i64>,
}

impl Copies {
    /// Of `finished` operations and a tenth as many waiting ones.
    pub(crate) fn all(finished: u32) -> Result<[Self; 2]> {
        let time = i64::try_from(beginning().as_nanosecond())?;
        let due = i64::try_from(present().as_nanosecond())?;
        let spacing = SPAN / i64::from(finished);
        Ok([
            Self { model: FINISHED, count: finished, first: 1, time, spacing, due: None },
            Self {
                model: WAITING,
                count: finished / 10,
                first: finished + 1,
                time,
                spacing: SECOND,
                due: Some(due),
            },
        ])
    }

    /// What stands in a column instead of the model's value, where that differs from row to row; `n` is
    /// the row's number and `random` makes sixteen random bytes.
    pub(crate) fn differs(&self, table: &str, column: &str, random: &str) -> Option<String> {
        let Self { first, time, spacing, .. } = self;
        let since = |time: &i64| format!("{time} + (n - {first}) * {spacing}");
        match (table, column) {
            ("operations", "create_time" | "update_time" | "create_age" | "update_age")
            | ("claims", "claim_time") => Some(since(time)),
            // Only what waits is looked at again; what is finished is not.
            ("operations", "wake_time") => self.due.as_ref().map(since),
            ("operations", "owner") => Some(format!("'owner-' || (n % {OWNERS})")),
            ("operations", "target") => Some("'providers/acme/orders/' || n".to_owned()),
            ("attempts", "nonce") => Some(random.to_owned()),
            ("claims", "upstream_id") => Some("'order-' || n".to_owned()),
            _ => None,
        }
    }
}

/// Stores the models.
pub(crate) async fn models(store: &dyn Store) -> Result<()> {
    model(store, FINISHED, State::Succeeded).await?;
    model(store, WAITING, State::WaitingUpstream).await
}

/// When the first operation was accepted.
pub(crate) fn beginning() -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_700_000_000)
}

/// When everything finished has ended and the first waiting operation is due.
pub(crate) fn present() -> Timestamp {
    beginning() + jiff::SignedDuration::from_nanos(SPAN)
}

/// A time as an age of the store, which is filled as if it had always been watched.
pub(crate) fn aged(time: Timestamp) -> Age {
    Age::from_nanos(i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX))
}

/// The queue that all of them stand in.
pub(crate) fn queue() -> DueQueue {
    DueQueue { account_key: String::new(), provider: PROVIDER.to_owned() }
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
        ..Operation::new(request_id, Op::CreateOrder, PROVIDER, create_time, aged(create_time))
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
        permit_age: accepted.create_age,
        outcome: Outcome::Applied,
        message: String::new(),
        upstream_id: request_id.to_string(),
        plugin: "acme 1.0.0".to_owned(),
        plugin_sha256: "0f".repeat(32),
        answer_status: 0,
        answer: Vec::new(),
        observed: Observed::Nothing,
        unapplied: None,
    };
    Operation {
        state,
        version: accepted.version + 1,
        handle: vec![7; 60],
        upstream: UpstreamRef::of(request_id.to_string()),
        attempts: vec![attempt],
        ..accepted
    }
}

async fn model(store: &dyn Store, request_id: Uuid, state: State) -> Result<()> {
    let accepted = operation(request_id, beginning());
    let new = NewOperation::of(accepted.clone());
    store.accept(new).await?;
    let operation = sent(accepted, state);
    let change =
        Change { claims: vec![NewClaim::by_answer(claim(request_id))], ..Change::of(operation) };
    store.commit(change).await?;
    Ok(())
}
