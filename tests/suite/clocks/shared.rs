//! A shared store whose host has a clock that somebody sets, and gateways that are stopped for a while.

use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::Options;
use purveyor_simulators::{Fault, Kind};

use super::{CREATE, LIST, buy_while_the_clock_is_set, patient, set_back_and_far_ahead, shares};
use crate::support::client::succeeded;
use crate::support::postgres::{connect, database, server};
use crate::support::program::{Program, TAKEN_OVER};
use crate::support::wall_clock::WallClock;
use crate::support::{FOR_EVER, HOUR, asked, configuration, provider, sold, until, upstream};

/// What a gateway says whose operation another one has taken.
const LOST: &str = "an operation was changed by somebody else";

#[tokio::test]
async fn database_clock_set_during_reconciliation_sells_once() {
    let (upstream, clock) = (upstream(Options::default()).await, WallClock::new());
    let server = clock.server();
    let url = server.url(&database(&server).await);
    let program = Program::start(patient(&upstream).store(&url));
    buy_while_the_clock_is_set(&program.client().await, &upstream, &clock).await;
}

#[tokio::test]
async fn database_clock_set_ahead_lets_no_gateway_take_a_running_purchase() {
    let (upstream, clock) = (upstream(Options::default()).await, WallClock::new());
    let server = clock.server();
    let name = database(&server).await;
    let provider = provider(&upstream).timing("attempt_timeout_ms", 600_000);
    let configuration = configuration().provider("gandi", provider).engine("lease_s", 3);
    let configuration = configuration.store(&server.url(&name));
    let left = Program::start(configuration.clone());
    let right = Program::start(configuration);
    upstream.inject(Fault::next(CREATE, FOR_EVER));
    let client = left.client().await;
    let bought = client.order(shares()).await.expect("accepted").name;
    until("the request arrives", async || asked(&upstream, CREATE) == 1).await;

    // After each step the lease is renewed, and meanwhile the other gateway looks around.
    let database = connect(&server, &name).await;
    let lease = async || -> Option<i64> {
        let sql = "SELECT max(lease_until) FROM purveyor.operations";
        database.query_one(sql, &[]).await.expect("one operation").get(0)
    };
    for step in 1..=3 {
        let before = lease().await;
        clock.set_ahead(300 * step);
        let renewed = async || lease().await > before || right.said(TAKEN_OVER) > 0;
        until("the lease is renewed", renewed).await;
    }
    assert_eq!(client.operation(&bought).await.state(), State::Running);
    assert_eq!((left.said(TAKEN_OVER), right.said(TAKEN_OVER)), (0, 0));
    upstream.advance(HOUR);
    succeeded(client.done(&bought).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (1, 1));
}

#[tokio::test]
async fn shared_store_survives_clock_set_back_and_far_ahead() {
    let (upstream, clock) = (upstream(Options::default()).await, WallClock::new());
    clock.set_ahead(super::DAY);
    let server = clock.server();
    let url = server.url(&database(&server).await);
    let program = Program::start_at(&clock, patient(&upstream).store(&url));
    set_back_and_far_ahead(program, &upstream, &clock).await;
}

#[tokio::test]
async fn gateway_stopped_for_longer_than_its_lease_sends_nothing_when_it_continues() {
    let upstream = upstream(Options::default()).await;
    let url = server().url(&database(server()).await);
    let configuration = patient(&upstream).store(&url);
    let left = Program::start(configuration.clone());
    let right = Program::start(configuration);
    let (client, other) = (left.client().await, right.client().await);
    // Known from a first order, so that only the evidence and the spend are left.
    succeeded(client.ordered(shares()).await);
    upstream.inject(Fault::next(LIST, FOR_EVER));
    let before = asked(&upstream, LIST);
    let name = client.order(shares()).await.expect("accepted").name;
    until("it takes its evidence", async || asked(&upstream, LIST) > before).await;
    left.pause();
    succeeded(other.done(&name).await);
    upstream.advance(HOUR);
    left.go_on();
    until("what it went on with is refused", async || left.said(LOST) > 0).await;
    // And it works again.
    succeeded(client.ordered(shares()).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (3, 3));
}
