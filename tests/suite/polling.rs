//! Many operations that wait for one upstream: they are asked for together, in a few requests.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use purveyor::store::age::Age;
use purveyor::store::operation::Operation;
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{Change, Query, Store};
use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Cents, Fault, Kind, Simulator};
use tempfile::TempDir;

use crate::support::client::{Client, succeeded};
use crate::support::requests::purchase;
use crate::support::{
    FOR_EVER, Gateway, asked, configuration, gandi, provider, sold, until, upstream,
};

/// How many wait.
const WAITING: usize = 100;
/// How many wait where the number does not matter: more than there are places.
const SOME: usize = 24;
const LIST: &str = "operation.list";
const INFO: &str = "operation.info";
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

/// Makes what waits in a store due when `due` says, which is told its number, when it was to be
/// looked at, and the age that the store has; as after a time without a gateway. Tells when that was.
async fn make_due(folder: &TempDir, due: impl Fn(usize, Age, Age) -> Age) -> BTreeSet<Age> {
    let store = SqliteStore::open(&folder.path().join("purveyor.db")).expect("a store");
    let states = vec![State::WaitingUpstream];
    let query = Query { states, limit: WAITING * 2, ..Query::default() };
    let waiting = store.list(&query).await.expect("they are listed");
    let now = store.age().age;
    let mut before = BTreeSet::new();
    for (number, operation) in waiting.into_iter().enumerate() {
        let was = operation.wake_time.expect("it is looked at");
        before.insert(was);
        let wake_time = Some(due(number, was, now));
        let operation = Operation { version: operation.version + 1, wake_time, ..operation };
        let change = Change::of(operation);
        store.commit(change).await.expect("it is committed");
    }
    before
}

/// Buys until so many wait at a provider; their names.
async fn wait_for(client: &Client, provider: &str, count: usize) -> Vec<String> {
    let order = || async {
        let request = purchase(provider, &[("shares", 1)]);
        let operation = client.order(request).await.expect("accepted");
        client.reaches(&operation.name, State::WaitingUpstream).await.name
    };
    join_all((0..count).map(|_| order())).await
}

/// How often the state of operations was asked for.
fn polls(upstream: &Simulator<Gandi>) -> u64 {
    asked(upstream, LIST) + asked(upstream, INFO)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_waiting_operations_are_asked_for_in_a_few_requests() {
    let upstream = slow().await;
    let configuration = configuration().provider("gandi", provider(&upstream));
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    let names = wait_for(&client, "gandi", WAITING).await;
    let folder = gateway.stop().await;
    make_due(&folder, |_, _, now| now).await;

    upstream.advance(WORK * 2);
    let (before, listed) = (all(&upstream), asked(&upstream, LIST));
    let single = asked(&upstream, INFO);
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    for operation in join_all(names.iter().map(|name| client.done(name))).await {
        succeeded(operation);
    }
    let listed = asked(&upstream, LIST) - listed;
    assert!((1..=2).contains(&listed), "operation.list was called {listed} times");
    assert_eq!(asked(&upstream, INFO), single);
    let requests = all(&upstream) - before;
    assert!(requests < RATE / 3, "{requests} requests: {:?}", upstream.requests());
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), WAITING);
}

/// Each began to wait at another time. Where they come faster than the upstream may be asked, those that
/// come meanwhile are asked for together; and from then on they wait for the same ticks.
#[tokio::test(flavor = "multi_thread")]
async fn operations_that_wait_since_different_times_come_to_be_asked_for_together() {
    let upstream = slow().await;
    let gateway = configuration().provider("gandi", provider(&upstream));
    let gateway = Gateway::start(gateway).await;
    let names = wait_for(&gateway.client().await, "gandi", SOME).await;
    let folder = gateway.stop().await;
    let strict = provider(&upstream).requests_per_second(4);
    let written = configuration().provider("gandi", strict).write(folder.path());
    written.expect("the configuration is written");
    let begin = Timestamp::now();
    make_due(&folder, |number, _, now| now + Duration::from_millis(20 * number as u64)).await;

    let before = polls(&upstream);
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    let looked_at = async |name: &String| {
        let time = client.operation(name).await.update_time.expect("it has one");
        Timestamp::new(time.seconds, time.nanos).expect("a time") > begin
    };
    until("each was asked for", || async {
        join_all(names.iter().map(looked_at)).await.into_iter().all(|it| it)
    })
    .await;
    let polls = polls(&upstream) - before;
    assert!(polls < SOME as u64 / 2, "they were asked for {polls} times");
    let folder = gateway.stop().await;
    // The upstream takes an hour, so each is looked at again after a minute, which has ticks of more
    // than four seconds.
    let took = Timestamp::now().duration_since(begin).as_secs();
    let ticks = make_due(&folder, |_, was, _| was).await;
    assert!(ticks.len() as i64 <= took / 4 + 2, "{ticks:?} after {took} s");
}

/// However much waits for an upstream that does not answer, what is bought elsewhere has its turn.
#[tokio::test(flavor = "multi_thread")]
async fn polls_of_a_slow_upstream_keep_no_spend_from_its_turn() {
    let slow = slow().await;
    let (prompt, elsewhere) = gandi().await;
    let configuration = configuration()
        .engine("concurrent_operations", 4)
        .provider("slow", provider(&slow).timing("attempt_timeout_ms", 60_000))
        .provider("prompt", elsewhere);
    let gateway = Gateway::start(configuration).await;
    let names = wait_for(&gateway.client().await, "slow", SOME).await;
    let folder = gateway.stop().await;
    make_due(&folder, |_, _, now| now).await;
    for method in [LIST, INFO] {
        slow.inject(Fault::next(method, FOR_EVER).times(1000));
    }
    let before = polls(&slow);
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    until("it is asked", || async { polls(&slow) > before }).await;
    let etags = async || {
        let operations = join_all(names.iter().map(|name| client.operation(name))).await;
        operations.into_iter().map(|operation| operation.etag).collect::<Vec<_>>()
    };
    let unanswered = etags().await;
    for _ in 0..3 {
        succeeded(client.ordered(purchase("prompt", &[("shares", 1)])).await);
    }
    assert_eq!(sold(&prompt, Kind::ProductAdd).len(), 3);
    assert_eq!(etags().await, unanswered, "what is bought elsewhere waited for an answer");
    slow.advance(WORK * 2);
}
