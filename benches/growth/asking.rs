//! The questions that are asked of a store of any size, and how long it takes to answer each. It must
//! leave the store with what it found, but for what was accepted to measure that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use purveyor::store::age::Age;
use purveyor::store::operation::{NewClaim, Operation};
use purveyor::store::{
    Change, Committed, EndedBefore, Lease, NewOperation, Query, Share, Store, Take,
};
use purveyor_sdk::v1::operation::State;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::filling::{aged, beginning, claim, operation, present, queue, sent};
use crate::table;

/// How often each question is asked.
const TIMES: usize = 21;
/// A page of a listing.
const PAGE: usize = 50;
/// How many waiting operations the engine takes at a time, where the upstream can be asked for as many,
/// and how many of their outcomes it stores at a time.
const TAKE: usize = 100;
const STORED_AT_A_TIME: usize = 16;
/// How long, and by how many callers, operations are accepted.
const SPAN: Duration = Duration::from_secs(3);
const CALLERS: usize = 64;

/// What was asked, and what was seen.
pub(crate) struct Asked {
    pub(crate) what: &'static str,
    pub(crate) seen: String,
}

impl Asked {
    pub(crate) fn new(what: &'static str, seen: String) -> Self {
        Self { what, seen }
    }
}

/// Asks everything.
pub(crate) async fn ask(store: Arc<dyn Store>, size: u32) -> Result<Vec<Asked>> {
    let mut asked = listings(&*store, size).await?;
    asked.extend(waiting(&*store).await?);
    let rate = accepted_and_committed(&store).await?;
    asked.push(Asked::new("accept and commit, 64 callers", rate));
    asked.push(pruning(&*store).await?);
    Ok(asked)
}

async fn listings(store: &dyn Store, size: u32) -> Result<Vec<Asked>> {
    let query = || Query { limit: PAGE, ..Query::default() };
    let middle = (present() - SignedDuration::from_hours(200 * 24), Uuid::max());
    let text = |text: String| Some(text);
    let mut asked = Vec::new();
    for (what, query, rows) in [
        ("list: first page", query(), PAGE),
        ("list: a page in the middle", Query { after: Some(middle), ..query() }, PAGE),
        ("list: of one owner", Query { owner: text("owner-7".to_owned()), ..query() }, 1),
        (
            "list: of one target",
            Query { target: text(format!("providers/acme/orders/{size}")), ..query() },
            1,
        ),
        ("list: open", Query { open_only: true, ..query() }, PAGE),
        (
            "list: failed, of which there are none",
            Query { states: vec![State::Failed], ..query() },
            0,
        ),
        (
            "list: of any of four states",
            Query {
                states: vec![
                    State::Failed,
                    State::NeedsOperator,
                    State::OutcomeUnknown,
                    State::WaitingUpstream,
                ],
                ..query()
            },
            PAGE,
        ),
        (
            "list: a provider that has none",
            Query { provider: text("other".to_owned()), ..query() },
            0,
        ),
    ] {
        let seen = median(async || {
            let found = store.list(&query).await?;
            ensure!(found.len() >= rows, "{what}: {} rows", found.len());
            Ok(())
        });
        asked.push(Asked::new(what, seen.await?));
    }
    Ok(asked)
}

async fn waiting(store: &dyn Store) -> Result<Vec<Asked>> {
    let next_wake = median(async || {
        ensure!(store.wakes().await?.first().is_some(), "nothing waits");
        Ok(())
    });
    let orphans = median(async || {
        ensure!(store.orphans(aged(present())).await?.is_empty(), "something runs");
        Ok(())
    });
    let claimed = median(async || {
        let since = aged(present()) - Duration::from_secs(60);
        store.claimed_ids("ACME-1", Uuid::nil(), since, since).await?;
        ensure!(store.claimant(&claim(Uuid::nil())).await?.is_none(), "it is claimed");
        Ok(())
    });
    let mut asked = vec![
        Asked::new("next wake", next_wake.await?),
        Asked::new("orphans", orphans.await?),
        Asked::new("who claimed what", claimed.await?),
    ];
    let replica = Uuid::from_u128(7);
    let (mut taking, mut round) = (Vec::new(), Vec::new());
    for turn in 0..TIMES {
        // What was put off in the turn before is due again, behind what has never been taken.
        let now = aged(present()) + Duration::from_secs(u64::try_from((turn + 1) * TAKE)?);
        let lease = Lease { replica, until: now + Duration::from_secs(60) };
        let began = Instant::now();
        let shares = vec![Share { queue: queue(), limit: TAKE }];
        let due = store.take_waiting(&Take { now, lease, shares }).await?;
        taking.push(began.elapsed());
        ensure!(!due.is_empty(), "nothing is due");
        let ids: Vec<Uuid> = due.iter().map(|operation| operation.request_id).collect();
        let put_off = due.into_iter().map(|operation| put_off(store, operation, now));
        let stored: Vec<Result<()>> =
            stream::iter(put_off).buffer_unordered(STORED_AT_A_TIME).collect().await;
        stored.into_iter().collect::<Result<()>>()?;
        store.release(replica, &ids).await?;
        round.push(began.elapsed());
    }
    asked.push(Asked::new("take 100 that are due", middle(taking)));
    asked.push(Asked::new("a poll of 100: take, commit each, give back", middle(round)));
    Ok(asked)
}

/// What a poll that finds nothing new stores.
async fn put_off(store: &dyn Store, operation: Operation, now: Age) -> Result<()> {
    let operation = Operation {
        version: operation.version + 1,
        wake_time: Some(now + Duration::from_secs(1)),
        ..operation
    };
    let change = Change::of(operation);
    ensure!(store.commit(change).await? == Committed::Done, "it was not committed");
    Ok(())
}

async fn accepted_and_committed(store: &Arc<dyn Store>) -> Result<String> {
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let store = Arc::clone(store);
        callers.spawn(async move {
            let mut done = 0_u32;
            while began.elapsed() < SPAN {
                let request_id = Uuid::new_v4();
                let accepted = operation(request_id, present());
                let new = NewOperation::of(accepted.clone());
                store.accept(new).await?;
                let operation = sent(accepted, State::Succeeded);
                let claims = vec![NewClaim::by_answer(claim(request_id))];
                store.commit(Change { claims, ..Change::of(operation) }).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(caller) = callers.join_next().await {
        done += caller??;
    }
    Ok(table::rate(f64::from(done) / began.elapsed().as_secs_f64()))
}

/// The oldest hundred go, a few times.
async fn pruning(store: &dyn Store) -> Result<Asked> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let pruned = store.prune(ended_before(present()), 100).await?;
        times.push(began.elapsed());
        ensure!(pruned == 100, "{pruned} were pruned");
    }
    ensure!(
        store.prune(ended_before(beginning()), 100).await? == 0,
        "something ended before the beginning"
    );
    Ok(Asked::new("prune 100 that ended long ago", middle(times)))
}

fn ended_before(time: Timestamp) -> EndedBefore {
    EndedBefore { age: aged(time), wall: time }
}

async fn median(ask: impl AsyncFn() -> Result<()>) -> Result<String> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        ask().await?;
        times.push(began.elapsed());
    }
    Ok(middle(times))
}

fn middle(times: Vec<Duration>) -> String {
    let seconds = table::median(times.iter().map(Duration::as_secs_f64).collect());
    shown(Duration::from_secs_f64(seconds))
}

/// A time for people: two digits of it are worth something.
pub(crate) fn shown(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.2} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
