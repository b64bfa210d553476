//! Several gateways on one database: whoever accepts an operation, and whoever dies, it is carried out
//! once and seen everywhere.

mod frozen;
mod rates;
mod unacknowledged;
mod waiting;

use futures_util::future::join_all;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::watch_operations_response::Event;
use purveyor_sdk::v1::{
    ListProductsRequest, Operation, WaitOperationRequest, WatchOperationsRequest,
};
use purveyor_simulators::gandi::{Gandi, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use xtask::configuration::Configuration;
use xtask::postgres::Server;

use crate::support::client::{order, succeeded, told};
use crate::support::postgres::{Way, connect, database, server};
use crate::support::program::{Program, TAKEN_OVER};
use crate::support::requests::purchase;
use crate::support::{FOR_EVER, HOUR, asked, configuration, provider, sold, until, upstream};

const CREATE: &str = "hosting.product.create";

/// Two gateways with one database and one upstream.
struct Stage {
    left: Program,
    right: Program,
    upstream: Simulator<Gandi>,
}

async fn stage(mode: Mode) -> Stage {
    let upstream = upstream(Options { mode, ..Options::default() }).await;
    let shared = shared(server(), &upstream).await;
    let (left, right) = (Program::start(shared.clone()), Program::start(shared));
    Stage { left, right, upstream }
}

/// The configuration of gateways that share a new database.
async fn shared(server: &Server, upstream: &Simulator<Gandi>) -> Configuration {
    let url = server.url(&database(server).await);
    configuration().provider("gandi", provider(upstream)).store(&url).engine("lease_s", 3)
}

async fn accepted(program: &Program) -> Operation {
    let request = purchase("gandi", &[("shares", 2)]);
    program.client().await.order(request).await.expect("the order is accepted")
}

#[tokio::test]
async fn orders_through_both_are_each_one_sale() {
    let Stage { left, right, upstream } = stage(Mode::default()).await;
    let (left, right) = (left.client().await, right.client().await);
    let orders = (0..6).map(|n| {
        let client = if n % 2 == 0 { &left } else { &right };
        client.ordered(purchase("gandi", &[("shares", 1)]))
    });
    let mut bought = Vec::new();
    for operation in join_all(orders).await {
        let operation = succeeded(operation);
        bought.push(order(&operation).upstream.as_ref().expect("it has an id").id().to_owned());
        // Each sees what the other has done.
        for client in [&left, &right] {
            assert_eq!(client.operation(&operation.name).await.state(), State::Succeeded);
        }
    }
    let mut sales = sold(&upstream, Kind::ProductAdd);
    sales.sort_unstable();
    bought.sort_unstable();
    assert_eq!((bought, asked(&upstream, CREATE)), (sales, 6));
}

#[tokio::test]
async fn one_request_id_sent_to_both_at_once_is_one_operation() {
    let Stage { left, right, upstream } = stage(Mode::default()).await;
    let (left, right) = (left.client().await, right.client().await);
    for _ in 0..5 {
        let request = purchase("gandi", &[("shares", 1)]);
        let (first, second) =
            tokio::join!(left.order(request.clone()), right.order(request.clone()));
        let (first, second) = (first.expect("accepted"), second.expect("accepted"));
        assert_eq!(first.name, second.name);
        succeeded(right.done(&first.name).await);
    }
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 5);
}

#[tokio::test]
async fn what_one_carries_out_is_waited_for_and_watched_at_the_other() {
    let Stage { left, right, upstream } = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER));
    let name = accepted(&left).await.name;
    let client = right.client().await;
    let watched = WatchOperationsRequest::default();
    let mut events =
        client.operations().watch_operations(watched).await.expect("it is watched").into_inner();
    let waiting = WaitOperationRequest {
        name: name.clone(),
        timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
    };
    let mut operations = client.operations();
    let waited = tokio::spawn(async move { operations.wait_operation(waiting).await });
    until("the request arrives", async || asked(&upstream, CREATE) == 1).await;
    upstream.advance(HOUR);
    let done = waited.await.expect("no panic").expect("it ends").into_inner();
    assert_eq!(succeeded(done).name, name);
    loop {
        let event = events.message().await.expect("the stream goes on").and_then(|seen| seen.event);
        if let Some(Event::Operation(seen)) = event
            && seen.state() == State::Succeeded
        {
            assert_eq!(seen.name, name);
            break;
        }
    }
}

#[tokio::test]
async fn what_a_dead_replica_began_the_other_finds_and_ends() {
    let Stage { left, right, upstream } = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER).committed());
    let name = accepted(&left).await.name;
    until("the upstream sells", async || !upstream.ledger().is_empty()).await;
    left.kill();
    let operation = succeeded(right.client().await.done(&name).await);
    assert_eq!(operation.attempts[0].outcome(), Outcome::Applied);
    until("it says so", async || right.said(TAKEN_OVER) > 0).await;
    let sales = sold(&upstream, Kind::ProductAdd);
    assert_eq!((sales.len(), asked(&upstream, CREATE)), (1, 1));
    let id = order(&operation).upstream.as_ref().map(|upstream| upstream.id().to_owned());
    assert_eq!(id.as_ref(), sales.first());
}

#[tokio::test]
async fn what_a_dead_replica_never_sent_the_other_sends() {
    let Stage { left, right, upstream } = stage(Mode::default()).await;
    // Known from a first order, so that only the spend is left.
    succeeded(left.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    upstream.inject(Fault::next("*", FaultKind::DropBeforeCommit).times(100_000));
    let name = accepted(&left).await.name;
    left.kill();
    upstream.clear_faults();
    succeeded(right.client().await.done(&name).await);
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 2);
}

#[tokio::test]
async fn a_replica_that_lives_keeps_what_it_works_on() {
    let upstream = upstream(Options::default()).await;
    let database = database(server()).await;
    let configuration = configuration().provider("gandi", provider(&upstream));
    let configuration = configuration.store(&server().url(&database)).engine("lease_s", 3);
    let program = Program::start(configuration);
    upstream.inject(Fault::next("operation.list", FOR_EVER));
    let name = accepted(&program).await.name;
    until("evidence is taken", async || asked(&upstream, "operation.list") == 1).await;
    let client = connect(server(), &database).await;
    let lease = async || -> i64 {
        let sql = "SELECT lease_until FROM purveyor.operations";
        client.query_one(sql, &[]).await.expect("one operation").get(0)
    };
    let first = lease().await;
    until("the lease is renewed", async || lease().await > first).await;
    upstream.advance(HOUR);
    succeeded(program.client().await.done(&name).await);
    assert_eq!(asked(&upstream, CREATE), 1);
}

#[tokio::test]
async fn a_spend_that_is_not_decided_at_one_keeps_the_other_waiting() {
    let Stage { left, right, upstream } = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER));
    let first = accepted(&left).await.name;
    until("the request arrives", async || asked(&upstream, CREATE) == 1).await;
    let second = accepted(&right).await.name;
    let blocked = right.client().await;
    until("the second waits for the first", async || {
        blocked.operation(&second).await.blocked_by == first
    })
    .await;
    assert_eq!(asked(&upstream, CREATE), 1);
    upstream.advance(HOUR);
    succeeded(left.client().await.done(&first).await);
    succeeded(right.client().await.done(&second).await);
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 2);
}

#[tokio::test]
async fn a_database_that_is_gone_for_a_while_stops_spends_and_nothing_is_lost() {
    let mut server = Server::start().expect("a server of its own");
    let upstream = upstream(Options::default()).await;
    let program = Program::start(shared(&server, &upstream).await);
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    assert!(program.serves().await);

    // The answer to a spend arrives while there is no database to keep it.
    upstream.inject(Fault::next(CREATE, FOR_EVER));
    let under_way = accepted(&program).await.name;
    until("the request arrives", async || asked(&upstream, CREATE) == 2).await;
    server.crash().expect("it stops");
    upstream.advance(HOUR);
    until("health tells", async || !program.serves().await).await;
    let refused = client.order(purchase("gandi", &[("shares", 1)])).await;
    let refused = refused.expect_err("nothing can be accepted");
    assert_eq!(told(&refused).1, "STORE_UNAVAILABLE");
    let products =
        ListProductsRequest { parent: "providers/gandi".to_owned(), ..Default::default() };
    client.products().list_products(products).await.expect("reads need no store");
    assert_eq!(asked(&upstream, CREATE), 2);

    server.resume().expect("it starts");
    until("health tells", async || program.serves().await).await;
    succeeded(client.done(&under_way).await);
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (3, 3));
}

#[tokio::test]
async fn a_replica_that_is_cut_off_for_longer_than_its_lease_comes_back_to_what_others_did() {
    let upstream = upstream(Options::default()).await;
    let (name, way) = (database(server()).await, Way::to(server(), "cut_off"));
    let configuration = configuration().provider("gandi", provider(&upstream)).engine("lease_s", 3);
    let left = Program::start(configuration.clone().store(&way.url(server(), &name)));
    let right = Program::start(configuration.store(&server().url(&name)));
    // The upstream has sold, and its answer arrives when its operation is somebody else's.
    upstream.inject(Fault::next(CREATE, FOR_EVER).committed());
    let under_way = accepted(&left).await.name;
    until("the upstream sells", async || !upstream.ledger().is_empty()).await;
    way.cut(server()).await;
    until("health tells", async || !left.serves().await).await;
    let client = right.client().await;
    assert!(right.serves().await);
    let found = succeeded(client.done(&under_way).await);
    let blocked = left.client().await.order(purchase("gandi", &[("shares", 1)])).await;
    assert_eq!(told(&blocked.expect_err("nothing can be accepted")).1, "STORE_UNAVAILABLE");

    way.lead_to(server());
    until("health tells", async || left.serves().await).await;
    upstream.advance(HOUR);
    assert_eq!(left.client().await.operation(&under_way).await, found);
    for program in [&left, &right] {
        succeeded(program.client().await.done(&accepted(program).await.name).await);
    }
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (3, 3));
}
