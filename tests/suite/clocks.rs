//! A wall clock that somebody sets, of the gateway or of the database's host, and processes that are
//! stopped and started: nothing ends early, nothing sleeps for a day, and nothing is sold twice.

mod ending;
mod shared;

use std::time::{Duration, Instant, SystemTime};

use purveyor_sdk::v1::CreateOrderRequest;
use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use xtask::configuration::Configuration;

use crate::support::client::{Client, order, succeeded};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::wall_clock::WallClock;
use crate::support::{Gateway, HOUR, LATER, asked, configuration, provider, sold, until, upstream};

const CREATE: &str = "hosting.product.create";
const LIST: &str = "operation.list";
const DAY: i64 = 24 * 60 * 60;

/// A gateway's configuration with a reconciliation window that is longer than a scenario takes and
/// shorter than what its clocks are set by.
fn patient(upstream: &Simulator<Gandi>) -> Configuration {
    let provider = provider(upstream).timing("upstream_processing_ms", 45_000);
    configuration().provider("gandi", provider).engine("lease_s", 3)
}

fn shares() -> CreateOrderRequest {
    purchase("gandi", &[("shares", 2)])
}

/// Buys once for each time that the clock is set to, while it is not known what became of the purchase:
/// each is one sale.
async fn buy_while_the_clock_is_set(
    client: &Client,
    upstream: &Simulator<Gandi>,
    clock: &WallClock,
) {
    for (sales, ahead) in (1..).zip([60, 700, -DAY, 500 * DAY]) {
        upstream.inject(Fault::next(CREATE, LATER));
        let name = client.order(shares()).await.expect("accepted").name;
        client.reaches(&name, State::Reconciling).await;
        clock.set_ahead(ahead);
        let before = asked(upstream, LIST);
        until("it is looked for twice more", async || asked(upstream, LIST) >= before + 2).await;
        upstream.advance(HOUR);
        succeeded(client.done(&name).await);
        assert_eq!(sold(upstream, Kind::ProductAdd).len(), sales, "{ahead} s ahead");
        assert_eq!(asked(upstream, CREATE), sales as u64, "{ahead} s ahead");
    }
}

#[tokio::test]
async fn gateway_clock_set_during_reconciliation_sells_once() {
    let (upstream, clock) = (upstream(Options::default()).await, WallClock::new());
    let program = Program::start_at(&clock, patient(&upstream));
    buy_while_the_clock_is_set(&program.client().await, &upstream, &clock).await;
}

#[tokio::test]
async fn embedded_store_survives_clock_set_back_and_far_ahead() {
    let (upstream, clock) = (upstream(Options::default()).await, WallClock::new());
    clock.set_ahead(DAY);
    let program = Program::start_at(&clock, patient(&upstream));
    set_back_and_far_ahead(program, &upstream, &clock).await;
}

/// The machine of a gateway with an embedded store is stopped while it is not known what became of a
/// purchase, and continues after more than the reconciliation window: nobody has looked in that time, so it
/// proves nothing.
#[tokio::test]
async fn embedded_store_stopped_for_longer_than_its_window_sells_once() {
    let upstream = upstream(Options::default()).await;
    let provider = provider(&upstream).timing("upstream_processing_ms", 6_000);
    let program = Program::start(configuration().provider("gandi", provider));
    let client = program.client().await;
    upstream.inject(Fault::next(CREATE, LATER));
    let name = client.order(shares()).await.expect("accepted").name;
    client.reaches(&name, State::Reconciling).await;
    let window = client.operation(&name).await.settle_time.expect("it waits for its window");
    let window = SystemTime::try_from(window).expect("a time");
    let before = asked(&upstream, LIST);
    program.pause();
    until("the window is over", async || SystemTime::now() > window).await;
    program.go_on();
    until("it looks again", async || asked(&upstream, LIST) > before + 1).await;
    assert_eq!(asked(&upstream, CREATE), 1, "what nobody watched is no part of the window");
    upstream.advance(HOUR);
    succeeded(client.done(&name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (1, 1));
}

/// A list that was made before the window ended and is read after it proves nothing: the sale shows itself in
/// between. Looks are so far apart that one falls between what is told of and the end of the window.
#[tokio::test]
async fn list_that_was_asked_for_before_the_window_ended_proves_nothing() {
    let upstream = upstream(Options::default()).await;
    // With what belongs to it, a window of little more than six seconds.
    let provider = provider(&upstream).timing("attempt_timeout_ms", 4000);
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(CREATE, FaultKind::LateCommit { ms: 5600 }));
    let sent = Instant::now();
    let name = client.order(shares()).await.expect("accepted").name;
    until("half of the window is over", async || sent.elapsed() > Duration::from_millis(3500))
        .await;
    upstream.inject(Fault::next(LIST, FaultKind::Slow { ms: 3000 }).committed());
    succeeded(client.done(&name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (1, 1));
}

/// A gateway that was started by a clock which is a day ahead goes on after it was set back, and forgets
/// nothing when it is started 500 days ahead.
async fn set_back_and_far_ahead(program: Program, upstream: &Simulator<Gandi>, clock: &WallClock) {
    let request = shares();
    upstream.inject(Fault::next(CREATE, LATER));
    let client = program.client().await;
    let name = client.order(request.clone()).await.expect("accepted").name;
    client.reaches(&name, State::Reconciling).await;
    let folder = program.kill();
    clock.set_ahead(0);
    let program = Program::start_in_at(clock, folder);
    upstream.advance(HOUR);
    let bought = succeeded(program.client().await.done(&name).await);

    let folder = program.kill();
    clock.set_ahead(500 * DAY);
    let program = Program::start_in_at(clock, folder);
    let client = program.client().await;
    // What made the last change is never removed, so this is another one.
    succeeded(client.ordered(shares()).await);
    let again = client.order(request).await.expect("it is known");
    assert_eq!((again.name, again.etag), (bought.name, bought.etag), "the same operation");
    assert_eq!(sold(upstream, Kind::ProductAdd).len(), 2);
    assert_eq!(asked(upstream, CREATE), 2);
}

/// The order that the upstream has of an operation.
fn upstream_id(operation: &purveyor_sdk::v1::Operation) -> String {
    order(operation).upstream.as_ref().expect("sold").id().to_owned()
}
