//! What ends although its gateways never live long, and what stays of an operation after its end.

use std::time::{Duration, Instant};

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{GetOperationRequest, Operation};
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use rusqlite::Connection;
use tonic::Code;
use xtask::configuration::Configuration;

use super::{CREATE, patient, shares, upstream_id};
use crate::support::client::{succeeded, told};
use crate::support::postgres::{database, server};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{HOUR, LATER, asked, configuration, provider, sold, until, upstream};

/// How long an operation has to have ended before it is removed, and longer, in nanoseconds.
const LONG_AGO: i64 = 500 * 24 * 60 * 60 * 1_000_000_000;

/// How long gateways are started and killed again.
const RESTARTING: Duration = Duration::from_secs(4);

/// In fewer lives a purchase ends, however fast they are, unless each begins its window anew.
const LIVES_MAX: usize = 100;

/// Gateways that are killed as soon as they serve, for seconds, while it is not known what became of a
/// purchase: the window ends when it was to end, and so does the operation.
async fn restarts_push_no_window_off(configuration: Configuration, upstream: &Simulator<Gandi>) {
    upstream.inject(Fault::next(CREATE, LATER));
    let mut program = Program::start(configuration);
    let client = program.client().await;
    let name = client.order(shares()).await.expect("accepted").name;
    let settle = |operation: Operation| operation.settle_time.expect("it is not known").seconds;
    let before = settle(client.reaches(&name, State::Reconciling).await);
    let began = Instant::now();
    while began.elapsed() < RESTARTING {
        program = program.restart();
    }
    let client = program.client().await;
    let after = settle(client.operation(&name).await);
    assert!((after - before).abs() <= 1, "the window ends {} s later", after - before);
    upstream.advance(HOUR);
    succeeded(client.done(&name).await);
    assert_eq!((sold(upstream, Kind::ProductAdd).len(), asked(upstream, CREATE)), (1, 1));
}

#[tokio::test]
async fn embedded_store_restarted_again_and_again_keeps_its_windows() {
    let upstream = upstream(Options::default()).await;
    restarts_push_no_window_off(patient(&upstream), &upstream).await;
}

#[tokio::test]
async fn shared_store_restarted_again_and_again_keeps_its_windows() {
    let upstream = upstream(Options::default()).await;
    let url = server().url(&database(server()).await);
    restarts_push_no_window_off(patient(&upstream).store(&url), &upstream).await;
}

/// Each life of the gateway ends as soon as it has stored that a purchase was looked for, long before the
/// window ends.
async fn restarts_keep_nothing_from_its_end(
    configuration: Configuration,
    upstream: &Simulator<Gandi>,
    (processing_ms, lives_min): (u64, usize),
) {
    upstream.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    let provider = provider(upstream).timing("upstream_processing_ms", processing_ms);
    let mut program = Program::start(configuration.provider("gandi", provider));
    let client = program.client().await;
    let name = client.order(shares()).await.expect("accepted").name;
    client.reaches(&name, State::Reconciling).await;
    let mut lives = 1;
    let done = loop {
        let client = program.client().await;
        let first = client.operation(&name).await;
        // A step that was begun and not sent is begun anew in the next life, so it is left to end.
        let further = async || {
            let now = client.operation(&name).await;
            now.done || now.state() == State::Reconciling && now.etag != first.etag
        };
        until("it comes further", further).await;
        let now = client.operation(&name).await;
        if now.done {
            break now;
        }
        program = program.restart();
        lives += 1;
        assert!(lives < LIVES_MAX, "it is not done in {lives} lives");
    };
    succeeded(done);
    assert!(lives >= lives_min, "it was done in {lives} lives");
    assert_eq!((sold(upstream, Kind::ProductAdd).len(), asked(upstream, CREATE)), (1, 2));
}

#[tokio::test]
async fn embedded_store_restarted_again_and_again_ends_everything() {
    let upstream = upstream(Options::default()).await;
    restarts_keep_nothing_from_its_end(configuration(), &upstream, (5000, 4)).await;
}

/// Each life waits for the lease of the one before.
#[tokio::test]
async fn shared_store_restarted_again_and_again_ends_everything() {
    let upstream = upstream(Options::default()).await;
    let url = server().url(&database(server()).await);
    let configuration = configuration().store(&url).engine("lease_s", 3);
    restarts_keep_nothing_from_its_end(configuration, &upstream, (12_000, 3)).await;
}

#[tokio::test]
async fn request_id_of_a_removed_operation_is_refused() {
    let upstream = upstream(Options::default()).await;
    let program = Program::start(configuration().provider("gandi", provider(&upstream)));
    let client = program.client().await;
    let request = shares();
    let bought = succeeded(client.ordered(request.clone()).await);
    // What made the last change is never removed.
    let other = succeeded(client.ordered(shares()).await);
    assert_ne!(upstream_id(&bought), upstream_id(&other));
    let folder = program.kill();
    let store = Connection::open(folder.path().join("purveyor.db")).expect("the store");
    let age = "UPDATE operations SET update_time = update_time - ?1, update_age = update_age - ?1";
    store.execute(age, [LONG_AGO]).expect("they grow older");
    drop(store);

    let program = Program::start_in(folder);
    let client = program.client().await;
    let get = || GetOperationRequest { name: bought.name.clone() };
    let gone = async || {
        let shown = client.operations().get_operation(get()).await;
        shown.is_err_and(|status| status.code() == Code::NotFound)
    };
    until("it is removed", gone).await;
    let refused = client.order(request.clone()).await.expect_err("it was used");
    assert_eq!(told(&refused).1, "REQUEST_ID_REUSED");
    assert!(refused.message().contains("STATE_SUCCEEDED"), "{refused}");
    assert!(refused.message().contains("nothing is sent again"), "{refused}");
    let mut another = purchase("gandi", &[("shares", 3)]);
    another.request_id = request.request_id;
    let refused = client.order(another).await.expect_err("it was used");
    assert_eq!(told(&refused).1, "REQUEST_ID_REUSED");
    assert!(refused.message().contains("another request"), "{refused}");
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
}
