//! Many operations that wait for one upstream: they are asked for together, in a few requests.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use purveyor::store::operation::Operation;
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{Change, Query, Store};
use purveyor_sdk::prost_types;
use purveyor_sdk::v1::CreateOrderRequest;
use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Cents, Kind, Simulator};
use tempfile::TempDir;

use crate::support::client::succeeded;
use crate::support::requests::purchase;
use crate::support::{Gateway, asked, configuration, provider, sold, upstream};

/// How many wait.
const WAITING: usize = 100;
const LIST: &str = "operation.list";
/// How long the upstream works on each; its clock is moved on by hand.
const WORK: Duration = Duration::from_secs(3600);

/// What Gandi lets through in its two seconds.
const RATE: u64 = 30;

/// An upstream that takes long for everything, and has been paid for all of it.
async fn slow() -> Simulator<Gandi> {
    let work = u64::try_from(WORK.as_millis()).expect("an hour");
    let mode = Mode { run_ms: work, ..Mode::default() };
    let account = AccountSeed { prepaid: Cents::new(100_000_000), ..AccountSeed::default() };
    upstream(Options { mode, accounts: vec![account], ..Options::default() }).await
}

fn all(upstream: &Simulator<Gandi>) -> u64 {
    upstream.requests().values().sum()
}

/// Makes everything that waits in a store due at once, as after a time without a gateway.
async fn make_due(folder: &TempDir) -> usize {
    let store = SqliteStore::open(&folder.path().join("purveyor.db")).expect("a store");
    let states = vec![State::WaitingUpstream];
    let query = Query { states, limit: WAITING * 2, ..Query::default() };
    let waiting = store.list(&query).await.expect("they are listed");
    for operation in &waiting {
        let operation = Operation {
            version: operation.version + 1,
            wake_time: Some(Timestamp::now()),
            ..operation.clone()
        };
        let change = Change { operation, locks: Vec::new(), claims: Vec::new() };
        store.commit(change).await.expect("it is committed");
    }
    waiting.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_waiting_operations_are_asked_for_in_a_few_requests() {
    let upstream = slow().await;
    let configuration = configuration().provider("gandi", provider(&upstream));
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    let order = || async {
        let wait = Some(prost_types::Duration::default());
        let request = CreateOrderRequest { wait, ..purchase("gandi", &[("shares", 1)]) };
        let operation = client.order(request).await.expect("accepted");
        client.reaches(&operation.name, State::WaitingUpstream).await.name
    };
    let names = join_all((0..WAITING).map(|_| order())).await;
    let folder = gateway.stop().await;
    assert_eq!(make_due(&folder).await, WAITING);

    upstream.advance(WORK * 2);
    let (before, listed) = (all(&upstream), asked(&upstream, LIST));
    let single = asked(&upstream, "operation.info");
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    for operation in join_all(names.iter().map(|name| client.done(name))).await {
        succeeded(operation);
    }
    let listed = asked(&upstream, LIST) - listed;
    assert!((1..=2).contains(&listed), "operation.list was called {listed} times");
    assert_eq!(asked(&upstream, "operation.info"), single);
    let requests = all(&upstream) - before;
    assert!(requests < RATE / 3, "{requests} requests: {:?}", upstream.requests());
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), WAITING);
}
