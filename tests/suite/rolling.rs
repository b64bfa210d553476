//! A configuration that is changed while operations are open: a gateway that lacks a provider leaves its
//! operations alone, and what an operation was accepted under keeps it safe.

mod renamed;

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::resolve_operation_request::{NotExecuted, Resolution};
use purveyor_sdk::v1::{
    CancelOperationRequest, CreateOrderRequest, Operation, ResolveOperationRequest,
};
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, Kind, Simulator};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use xtask::configuration::{Configuration, Provider};

use crate::support::client::{Client, reason, succeeded, told};
use crate::support::postgres::{connect, database, server};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::wall_clock::WallClock;
use crate::support::{
    FOR_EVER, HOUR, LATER, asked, configuration, provider, sold, until, upstream,
};

const CREATE: &str = "hosting.product.create";

/// What a gateway logs that finds open operations of a provider that it lacks.
const LEFT_ALONE: &str = "provider not configured, its open operations are left alone";

/// What a gateway logs whose configuration differs from another's.
const DIFFERS: &str = "replica runs with another configuration";

/// An embedded store in the gateway's folder.
const EMBEDDED: &str = "sqlite:purveyor.db";

/// Two upstreams: one whose provider is taken out of the configuration, and one that shows that the gateway
/// works.
struct Upstreams {
    gandi: Simulator<Gandi>,
    other: Simulator<Gandi>,
}

impl Upstreams {
    async fn start() -> Self {
        let gandi = upstream(Options::default()).await;
        Self { gandi, other: upstream(Options::default()).await }
    }

    /// Without the provider.
    fn without(&self, store: &str) -> Configuration {
        let configuration = configuration().provider("other", provider(&self.other)).store(store);
        configuration.engine("lease_s", 3).engine("look_longest_ms", 100)
    }

    /// With the provider, whose lost answers stay unknown for ten minutes.
    fn with(&self, store: &str) -> Configuration {
        self.without(store).provider("gandi", slow(&self.gandi))
    }

    /// An order whose answer is lost, and one alike that waits for it.
    async fn unknown(&self, client: &Client) -> [Operation; 2] {
        self.gandi.inject(Fault::next(CREATE, LATER));
        let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
        client.reaches(&first.name, State::Reconciling).await;
        let second = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
        let waits = || async { client.operation(&second.name).await.blocked_by == first.name };
        until("it waits for the first", waits).await;
        [first, second]
    }

    /// Both were carried out once.
    async fn each_is_one_sale(&self, client: &Client, operations: &[Operation]) {
        for operation in operations {
            succeeded(client.done(&operation.name).await);
        }
        let sales = sold(&self.gandi, Kind::ProductAdd).len();
        assert_eq!((sales, asked(&self.gandi, CREATE)), (2, 2));
    }
}

fn slow(simulator: &Simulator<Gandi>) -> Provider {
    provider(simulator).timing("upstream_processing_ms", 600_000)
}

/// As callers see the operations, where nothing of them is done.
async fn versions(client: &Client, operations: &[Operation]) -> Vec<(String, State, String)> {
    let mut versions = Vec::new();
    for operation in operations {
        let shown = client.operation(&operation.name).await;
        versions.push((shown.etag.clone(), shown.state(), shown.message));
    }
    versions
}

/// Nobody takes back or resolves what is left alone.
async fn is_refused(client: &Client, operation: &Operation) {
    let name = operation.name.clone();
    let cancel = CancelOperationRequest { name: name.clone(), ..Default::default() };
    let resolve = ResolveOperationRequest {
        name,
        etag: client.operation(&operation.name).await.etag,
        note: "seen in the upstream's own pages".to_owned(),
        resolution: Some(Resolution::NotExecuted(NotExecuted::default())),
    };
    let mut operations = client.operations();
    let refusals = [
        operations.cancel_operation(cancel).await.expect_err("it is left alone"),
        operations.resolve_operation(resolve).await.expect_err("it is left alone"),
    ];
    for refusal in refusals {
        let (code, reason, _) = told(&refusal);
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "PROVIDER_UNAVAILABLE"));
        assert!(refusal.message().contains("providers/gandi"), "{refusal:?}");
    }
}

#[tokio::test]
async fn replica_without_the_provider_leaves_its_operations_alone() {
    let upstreams = Upstreams::start().await;
    let database = database(server()).await;
    let url = server().url(&database);
    let left = Program::start(upstreams.with(&url));
    let right = Program::start(upstreams.without(&url));
    let operations = upstreams.unknown(&left.client().await).await;
    let folder = left.kill();
    let client = right.client().await;
    let store = connect(server(), &database).await;
    let number =
        async |sql: &str| -> i64 { store.query_one(sql, &[]).await.expect("one row").get(0) };
    let before = versions(&client, &operations).await;
    let locks = "SELECT count(*) FROM purveyor.locks";
    let held = number(locks).await;
    assert!(held > 0);
    // A replica that took them would have done so by then.
    let due = "SELECT max(greatest(wake_time, lease_until)) + 3000000000 FROM purveyor.operations";
    let due = number(due).await;
    until("they are due", async || number("SELECT age FROM purveyor.meta").await > due).await;
    succeeded(client.ordered(purchase("other", &[("shares", 1)])).await);
    // Who repeats the request is not told that it was never accepted.
    let first = operations[0].name.trim_start_matches("operations/").to_owned();
    let again = CreateOrderRequest { request_id: first, ..purchase("gandi", &[("shares", 2)]) };
    let refused = client.order(again).await.expect_err("it is left alone");
    let (code, reason, _) = told(&refused);
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "PROVIDER_UNAVAILABLE"));
    assert!(refused.message().contains(&operations[0].name), "{refused:?}");

    assert_eq!(versions(&client, &operations).await, before);
    assert_eq!(number(locks).await, held);
    for operation in &operations {
        is_refused(&client, operation).await;
    }
    assert!(right.said(LEFT_ALONE) > 0);
    let not_serving = Some(ServingStatus::NotServing);
    assert_eq!(right.health("providers/gandi").await, not_serving);

    upstreams.gandi.advance(HOUR);
    let left = Program::start_in(folder);
    upstreams.each_is_one_sale(&left.client().await, &operations).await;
    until("nothing is open", async || right.health("providers/gandi").await.is_none()).await;
}

/// A gateway that starts without a provider, and then with it.
async fn cold_start(store: &str) {
    let upstreams = Upstreams::start().await;
    let clock = WallClock::new();
    let program = Program::start_at(&clock, upstreams.with(store));
    let client = program.client().await;
    let operations = upstreams.unknown(&client).await;
    let folder = program.kill();
    upstreams.without(store).write(folder.path()).expect("written");
    clock.set_ahead(3600);
    let program = Program::start_in_at(&clock, folder);
    let client = program.client().await;
    let before = versions(&client, &operations).await;
    assert_eq!(before[1].1, State::Accepted, "its `start_before` has passed, and nobody ends it");
    until("it is told", async || program.said(LEFT_ALONE) > 0).await;
    for _ in 0..3 {
        succeeded(client.ordered(purchase("other", &[("shares", 1)])).await);
    }
    assert_eq!(versions(&client, &operations).await, before);
    let not_serving = Some(ServingStatus::NotServing);
    until("health tells", async || program.health("providers/gandi").await == not_serving).await;
    is_refused(&client, &operations[1]).await;

    let folder = program.kill();
    upstreams.with(store).write(folder.path()).expect("written");
    upstreams.gandi.advance(HOUR);
    let program = Program::start_in_at(&clock, folder);
    let client = program.client().await;
    succeeded(client.done(&operations[0].name).await);
    // Its `start_before` has passed long ago, and now somebody may end it.
    assert_eq!(reason(&client.done(&operations[1].name).await), "NOT_STARTED");
    assert_eq!(
        (sold(&upstreams.gandi, Kind::ProductAdd).len(), asked(&upstreams.gandi, CREATE)),
        (1, 1)
    );
}

#[tokio::test]
async fn embedded_store_keeps_operations_of_a_removed_provider() {
    cold_start(EMBEDDED).await;
}

#[tokio::test]
async fn shared_store_keeps_operations_of_a_removed_provider() {
    cold_start(&server().url(&database(server()).await)).await;
}

#[tokio::test]
async fn stored_window_beats_a_shorter_one_of_a_later_configuration() {
    let upstreams = Upstreams::start().await;
    let patient = slow(&upstreams.gandi).timing("attempt_timeout_ms", 60_000);
    let program = Program::start(upstreams.without(EMBEDDED).provider("gandi", patient));
    upstreams.gandi.inject(Fault::next(CREATE, FOR_EVER));
    let request = purchase("gandi", &[("shares", 2)]);
    let name = program.client().await.order(request).await.expect("accepted").name;
    until("the request arrives", async || asked(&upstreams.gandi, CREATE) == 1).await;

    let folder = program.kill();
    let hasty = upstreams.without(EMBEDDED).provider("gandi", provider(&upstreams.gandi));
    hasty.write(folder.path()).expect("written");
    let client = Program::start_in(folder);
    let client = client.client().await;
    let operation = client.reaches(&name, State::Reconciling).await;
    let conclusive = operation.settle_time.expect("absence waits").seconds;
    let decided = operation.update_time.expect("it has changed").seconds;
    assert!(conclusive - decided >= 600, "{operation:#?}");
    assert_eq!(asked(&upstreams.gandi, CREATE), 1);
}

#[tokio::test]
async fn replicas_with_different_configurations_say_so_once() {
    let upstreams = Upstreams::start().await;
    let database = database(server()).await;
    let url = server().url(&database);
    let left = Program::start(upstreams.with(&url));
    let right = Program::start(upstreams.without(&url));
    for program in [&left, &right] {
        until("it is told", async || program.said(DIFFERS) == 1).await;
    }
    let store = connect(server(), &database).await;
    let sql = "SELECT encode(configuration, 'hex') FROM purveyor.replicas";
    let digests = store.query(sql, &[]).await.expect("they are read");
    assert_eq!(digests.len(), 2);
    for digest in digests.iter().map(|row| row.get::<_, String>(0)) {
        assert_eq!((digest.len(), left.said(&digest), right.said(&digest)), (64, 1, 1));
    }
    // One more with the configuration of the left: the right tells of it, the left does not.
    let third = Program::start(upstreams.with(&url));
    until("it is told", async || right.said(DIFFERS) == 2 && third.said(DIFFERS) == 1).await;
    assert_eq!(left.said(DIFFERS), 1);
    right.kill();
    let one = "all replicas run with one configuration";
    until("it is over", async || left.said(one) == 1 && third.said(one) == 1).await;
}
