//! Watching operations: what matches, then each change in order, and going on where one left off.

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::prost_types::Duration;
use purveyor_sdk::v1::watch_operations_response::Event;
use purveyor_sdk::v1::{
    Operation, OperationFilter, WatchOperationsRequest, WatchOperationsResponse,
};
use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::Gandi;
use tonic::{Code, Streaming};

use crate::support::client::{Client, succeeded, told};
use crate::support::requests::purchase;
use crate::support::{Gateway, PATIENCE, configuration, gandi};

/// A gateway with two providers.
async fn stage() -> (Gateway, Client, [Simulator<Gandi>; 2]) {
    let ((first, one), (second, two)) = (gandi().await, gandi().await);
    let gateway = configuration().provider("gandi", one).provider("other", two);
    let gateway = Gateway::start(gateway).await;
    let client = gateway.client().await;
    (gateway, client, [first, second])
}

/// A watcher of one provider.
struct Watcher(Streaming<WatchOperationsResponse>);

impl Watcher {
    async fn begin(client: &Client, resume_token: &str) -> Self {
        let filter =
            OperationFilter { provider: "providers/gandi".to_owned(), ..Default::default() };
        let resume_token = resume_token.to_owned();
        let request = WatchOperationsRequest { filter: Some(filter), resume_token };
        let watched = client.operations().watch_operations(request).await;
        Self(watched.expect("it can be watched").into_inner())
    }

    /// The next event but heartbeats, and the token after it.
    async fn next(&mut self) -> (Event, String) {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.message()).await;
            let message = message.expect("an event").expect("no error").expect("it goes on");
            match message.event.expect("an event") {
                Event::Heartbeat(_) => {}
                event => return (event, message.resume_token),
            }
        }
    }

    async fn operation(&mut self) -> (Operation, String) {
        match self.next().await {
            (Event::Operation(operation), token) => (operation, token),
            other => panic!("not an operation: {other:?}"),
        }
    }

    /// Everything about an operation up to its end. What was sent before may be sent again, and an
    /// operation is shown as it is now, so that two changes may look alike.
    async fn until_done(&mut self, name: &str) -> (Vec<Operation>, String) {
        let mut seen: Vec<Operation> = Vec::new();
        loop {
            let (operation, token) = self.operation().await;
            assert!(operation.target.starts_with("providers/gandi/"), "it was not asked for");
            if operation.name != name {
                continue;
            }
            assert!(seen.last().is_none_or(|last| version(last) <= version(&operation)));
            seen.push(operation.clone());
            if operation.done {
                return (seen, token);
            }
        }
    }
}

fn version(operation: &Operation) -> i64 {
    assert!(operation.revision > 0, "{operation:#?}");
    operation.revision
}

/// What changes with every change of an operation, and what grows with it.
fn views(operations: &[Operation]) -> BTreeMap<i64, &str> {
    operations.iter().map(|it| (version(it), it.etag.as_str())).collect()
}

#[tokio::test]
async fn revision_grows_with_every_change_and_is_the_same_in_every_view() {
    let (_gateway, client, _upstreams) = stage().await;
    let mut watcher = Watcher::begin(&client, "").await;
    assert_eq!(watcher.next().await.0, Event::Synchronized(true));
    let accepted = client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    let (mut seen, _) = watcher.until_done(&accepted.name).await;
    let last = seen.last().expect("its end").clone();
    // One view, whichever call shows it.
    let listed = client.all_operations().await;
    let waited = client.waited(&accepted.name, Duration { seconds: 1, nanos: 0 }).await;
    let shown = [client.operation(&accepted.name).await, waited, listed[0].clone()];
    for view in &shown {
        assert_eq!((view, version(view)), (&last, version(&last)));
    }
    // Two views differ exactly where their revisions do, and the later one has the larger.
    assert!(version(&accepted) < version(&last), "{accepted:#?}");
    seen.push(accepted);
    let (revisions, etags) = (views(&seen), seen.iter().map(|it| it.etag.as_str()));
    assert_eq!(revisions.len(), etags.collect::<BTreeSet<_>>().len(), "{revisions:?}");
    assert!(revisions.len() > 1, "{revisions:?}");
    for pair in seen[..seen.len() - 1].windows(2) {
        let same = pair[0] == pair[1];
        assert_eq!(version(&pair[0]) == version(&pair[1]), same, "{pair:#?}");
    }
}

#[tokio::test]
async fn a_watcher_sees_what_there_is_and_then_every_change_in_order() {
    let (_gateway, client, _upstreams) = stage().await;
    let there = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    succeeded(client.ordered(purchase("other", &[("shares", 1)])).await);
    let mut watcher = Watcher::begin(&client, "").await;
    assert_eq!(watcher.operation().await.0, there);
    assert_eq!(watcher.next().await.0, Event::Synchronized(true));

    let accepted = client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    succeeded(client.ordered(purchase("other", &[("disk", 1)])).await);
    let (seen, _) = watcher.until_done(&accepted.name).await;
    assert_eq!(seen.last(), Some(&client.operation(&accepted.name).await));
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_left_off_also_at_the_next_start() {
    let (gateway, client, _upstreams) = stage().await;
    let mut watcher = Watcher::begin(&client, "").await;
    assert_eq!(watcher.next().await.0, Event::Synchronized(true));
    let accepted = client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    let (first, token) = watcher.operation().await;
    assert_eq!(first.name, accepted.name);
    let (rest, last) = watcher.until_done(&accepted.name).await;
    // Changes close together come as one, and one may come twice; none goes back.
    assert!(rest.iter().all(|later| version(later) >= version(&first)), "{rest:#?}");
    assert_eq!(rest.last(), Some(&client.operation(&accepted.name).await));

    let mut again = Watcher::begin(&client, &token).await;
    let (rest, _) = again.until_done(&accepted.name).await;
    assert_eq!(rest.last(), Some(&client.operation(&accepted.name).await));

    drop((watcher, again, client));
    let gateway = Gateway::start_in(gateway.stop().await).await;
    let client = gateway.client().await;
    let mut after = Watcher::begin(&client, &last).await;
    let next = client.order(purchase("gandi", &[("disk", 2)])).await.expect("accepted");
    after.until_done(&next.name).await;
}

#[tokio::test]
async fn a_forged_token_is_refused() {
    let (_gateway, client, _upstreams) = stage().await;
    let mut watcher = Watcher::begin(&client, "").await;
    client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    let (_, token) = watcher.next().await;
    let mut flipped = token.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("still a text");
    for (resume_token, filter) in [
        ("forged".to_owned(), None),
        (flipped, None),
        // A token of another watch.
        (token, Some(OperationFilter { open_only: true, ..OperationFilter::default() })),
    ] {
        let request = WatchOperationsRequest { filter, resume_token };
        let status = match client.operations().watch_operations(request).await {
            Err(status) => status,
            Ok(stream) => stream.into_inner().message().await.expect_err("it is forged"),
        };
        let (code, reason, _) = told(&status);
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
    }
}

#[tokio::test]
async fn waiting_is_answered_when_it_is_over_or_when_the_operation_is() {
    let (_gateway, client, _upstreams) = stage().await;
    let accepted = client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    // The upstream is asked after a second at the earliest.
    let short = client.waited(&accepted.name, Duration { seconds: 0, nanos: 1_000_000 }).await;
    assert!(!short.done, "{short:#?}");
    let waits = [client.done(&accepted.name), client.done(&accepted.name)];
    for operation in futures_util::future::join_all(waits).await {
        succeeded(operation);
    }
}
