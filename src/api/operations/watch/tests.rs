//! What a watcher is sent, in which order, and when its stream ends. Over a real journal.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::watch_operations_response::Event;
use purveyor_sdk::v1::{ErrorReason, OperationFilter, WatchOperationsResponse};
use purveyor_sdk::{Error, Result};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt as _};
use uuid::Uuid;

use super::Watch;
use crate::api::arrival::Arrival;
use crate::api::limits::{RESUME_VALIDITY, WATCH_BEHIND_MAX, WATCH_HEARTBEAT, WATCH_QUEUE};
use crate::engine::page_token::PageTokens;
use crate::plugin::ManualClock;
use crate::store::age::Age;
use crate::store::operation::Operation;
use crate::store::sqlite::SqliteStore;
use crate::store::{Accepted, Change, Committed, NewOperation, Store};

type Events = Pin<Box<dyn Stream<Item = Result<WatchOperationsResponse>> + Send>>;

/// A journal and somebody who writes to it.
struct World {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Path::new(folder.path()).join("journal.db")).unwrap();
        let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        Self { store: Arc::new(store), clock: Arc::new(clock), _folder: folder }
    }

    async fn accept(&self, number: u128) -> Operation {
        let operation = operation(number);
        let new = NewOperation::of(operation.clone());
        assert_eq!(self.store.accept(new).await.unwrap(), Accepted::Stored);
        operation
    }

    async fn commit(&self, operation: &Operation, state: State) -> Operation {
        let version = operation.version + 1;
        let operation = Operation { state, version, ..operation.clone() };
        let change = Change::of(operation.clone());
        assert_eq!(self.store.commit(change).await.unwrap(), Committed::Done);
        operation
    }

    async fn watch(&self, filter: OperationFilter, token: &str) -> Result<Events> {
        self.watch_from(filter, token, Arrival::default()).await
    }

    async fn watch_from(
        &self,
        filter: OperationFilter,
        token: &str,
        arrival: Arrival,
    ) -> Result<Events> {
        let tokens = PageTokens::new(self.store.identity());
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let watch = Watch::new(store, clock, tokens, arrival, Some(filter))?;
        Ok(Box::pin(watch.begin(token).await?))
    }
}

fn operation(number: u128) -> Operation {
    let time = Timestamp::from_second(1_700_000_000).unwrap();
    Operation {
        owner: "local".to_owned(),
        actor: "local".to_owned(),
        target: format!("providers/acme/orders/{number}"),
        fingerprint: [0; 32],
        start_before: time,
        ..Operation::new(
            Uuid::from_u128(number),
            Op::CreateOrder,
            if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
            time,
            Age::from_nanos(0),
        )
    }
}

/// The next message in short: an operation's number and version, or what else it is.
async fn next(events: &mut Events) -> (String, String) {
    let message = events.next().await.expect("the stream goes on").unwrap();
    let text = match message.event.unwrap() {
        Event::Operation(operation) => {
            let id = operation.name.strip_prefix("operations/").unwrap();
            format!("{} v{}", Uuid::parse_str(id).unwrap().as_u128(), operation.etag)
        }
        Event::Heartbeat(_) => "heartbeat".to_owned(),
        Event::Synchronized(_) => "synchronized".to_owned(),
    };
    (text, message.resume_token)
}

/// The next `count` messages in short, in order, and the last token.
async fn several(events: &mut Events, count: usize) -> (Vec<String>, String) {
    let (mut texts, mut token) = (Vec::new(), String::new());
    for _ in 0..count {
        let (text, last) = next(events).await;
        texts.push(text);
        token = last;
    }
    (texts, token)
}

fn reason(result: Result<Events>) -> ErrorReason {
    result.err().expect("refused").reason
}

#[tokio::test]
async fn what_matches_comes_first_then_each_change_in_commit_order() {
    let world = World::new();
    let (one, two) = (world.accept(1).await, world.accept(2).await);
    let mut events = world.watch(OperationFilter::default(), "").await.unwrap();
    let (mut begin, _) = several(&mut events, 3).await;
    begin[..2].sort();
    assert_eq!(begin, ["1 v1", "2 v1", "synchronized"]);
    let one = world.commit(&one, State::Running).await;
    assert_eq!(next(&mut events).await.0, "1 v2");
    world.commit(&two, State::Running).await;
    assert_eq!(next(&mut events).await.0, "2 v2");
    world.commit(&one, State::Succeeded).await;
    world.accept(3).await;
    assert_eq!(several(&mut events, 2).await.0, ["1 v3", "3 v1"]);
}

#[tokio::test]
async fn a_watcher_goes_on_after_its_token_wherever_it_stopped() {
    let world = World::new();
    for number in 1..=3 {
        world.accept(number).await;
    }
    // Stopped while what matches was being sent: the rest follows, nothing is missed.
    let mut events = world.watch(OperationFilter::default(), "").await.unwrap();
    let (mut seen, token) = several(&mut events, 1).await;
    drop(events);
    world.accept(4).await;
    let mut events = world.watch(OperationFilter::default(), &token).await.unwrap();
    let (rest, token) = several(&mut events, 4).await;
    seen.extend(rest);
    seen.sort();
    assert_eq!(seen, ["1 v1", "2 v1", "3 v1", "4 v1", "synchronized"]);
    drop(events);
    // Stopped after that: only what came since.
    world.accept(5).await;
    let mut events = world.watch(OperationFilter::default(), &token).await.unwrap();
    assert_eq!(next(&mut events).await.0, "5 v1");
}

#[tokio::test]
async fn only_what_the_filter_names_is_sent_and_every_end_of_it() {
    let world = World::new();
    let filter = || OperationFilter {
        provider: "providers/even".to_owned(),
        open_only: true,
        states: vec![State::Accepted.into()],
        ..OperationFilter::default()
    };
    let two = world.accept(2).await;
    world.accept(1).await;
    let mut events = world.watch(filter(), "").await.unwrap();
    assert_eq!(several(&mut events, 2).await.0, ["2 v1", "synchronized"]);
    world.accept(3).await;
    let two = world.commit(&two, State::Running).await;
    world.commit(&two, State::Succeeded).await;
    assert_eq!(next(&mut events).await.0, "2 v3", "running is not asked for, but the end is told");
}

#[tokio::test]
async fn tokens_are_of_one_filter_and_grow_old() {
    let world = World::new();
    world.accept(1).await;
    let all = OperationFilter::default;
    let mut events = world.watch(all(), "").await.unwrap();
    let (_, token) = several(&mut events, 2).await;
    let open = OperationFilter { open_only: true, ..all() };
    assert_eq!(reason(world.watch(open, &token).await), ErrorReason::PageTokenInvalid);
    assert_eq!(reason(world.watch(all(), "made up").await), ErrorReason::PageTokenInvalid);
    world.clock.advance(RESUME_VALIDITY);
    world.watch(all(), &token).await.map(drop).unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(world.watch(all(), &token).await), ErrorReason::ResumeTokenExpired);
}

#[tokio::test]
async fn a_filter_that_names_nothing_is_refused() {
    let world = World::new();
    let check = async |filter: OperationFilter, field: &str| {
        let error = world.watch(filter, "").await.err().expect("refused");
        assert_eq!(error.violations[0].field, field);
    };
    let none = OperationFilter::default;
    check(OperationFilter { states: vec![1, 0], ..none() }, "filter.states[1]").await;
    check(OperationFilter { states: vec![77], ..none() }, "filter.states[0]").await;
    check(OperationFilter { provider: "acme".into(), ..none() }, "filter.provider").await;
    check(OperationFilter { method: "Orders.GetOrder".into(), ..none() }, "filter.method").await;
    check(OperationFilter { method: "CreateOrder".into(), ..none() }, "filter.method").await;
    let create_after = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    check(OperationFilter { create_after, ..none() }, "filter.create_after").await;
}

#[tokio::test]
async fn who_does_not_read_is_ended_and_loses_nothing() {
    let world = World::new();
    let mut events = world.watch(OperationFilter::default(), "").await.unwrap();
    assert_eq!(next(&mut events).await.0, "synchronized");
    // The first change is read, so that the watcher is known to have caught up.
    world.accept(0).await;
    let (_, mut token) = next(&mut events).await;
    let behind = u128::from(WATCH_BEHIND_MAX);
    let written = behind + 2 * WATCH_QUEUE as u128;
    join_all((1..=written).map(|number| world.accept(number))).await;
    // Who begins to read before it is noticed may still catch up. The stream's task has the clock.
    while Arc::strong_count(&world.clock) > 1 {
        tokio::task::yield_now().await;
    }
    let mut seen = 0;
    let error = loop {
        match events.next().await.expect("an end that is told") {
            Ok(message) => token = message.resume_token,
            Err(error) => break error,
        }
        seen += 1;
        assert!(seen <= WATCH_QUEUE + 1, "{seen} were kept for somebody who does not read");
    };
    assert_eq!(error.reason, ErrorReason::Overloaded);
    assert!(events.next().await.is_none());
    // The token goes on where it stopped, however far behind that is.
    let mut events = world.watch(OperationFilter::default(), &token).await.unwrap();
    let rest = usize::try_from(written).unwrap() - seen;
    assert_eq!(several(&mut events, rest).await.0.len(), rest);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_happens_has_a_heartbeat() {
    let world = World::new();
    let mut events = world.watch(OperationFilter::default(), "").await.unwrap();
    assert_eq!(next(&mut events).await.0, "synchronized");
    for _ in 0..3 {
        let begin = Instant::now();
        let (text, token) = next(&mut events).await;
        assert_eq!(text, "heartbeat");
        assert!(!token.is_empty());
        assert!(begin.elapsed() <= WATCH_HEARTBEAT + Duration::from_millis(1));
        assert!(begin.elapsed() >= WATCH_HEARTBEAT / 2);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_deadline_and_with_the_server() {
    let world = World::new();
    let deadline = Some(Instant::now() + Duration::from_millis(200));
    let arrival = Arrival { deadline, ..Arrival::default() };
    let mut events = world.watch_from(OperationFilter::default(), "", arrival).await.unwrap();
    assert_eq!(next(&mut events).await.0, "synchronized");
    let end: Option<Error> = events.next().await.and_then(Result::err);
    assert_eq!(end.expect("an end that is told").reason, ErrorReason::DeadlineExceeded);

    let (leave, leaving) = watch::channel(false);
    let arrival = Arrival { leaving: Some(leaving), ..Arrival::default() };
    let mut events = world.watch_from(OperationFilter::default(), "", arrival).await.unwrap();
    assert_eq!(next(&mut events).await.0, "synchronized");
    leave.send_replace(true);
    assert!(events.next().await.is_none(), "quietly: the token goes on elsewhere");
}
