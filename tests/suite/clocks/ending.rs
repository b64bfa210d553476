//! What ends although its gateways never live long, and what stays of an operation after its end.

use purveyor_sdk::v1::GetOperationRequest;
use purveyor_simulators::gandi::Options;
use purveyor_simulators::{Fault, FaultKind, Kind};
use rusqlite::Connection;
use tonic::Code;

use super::{CREATE, shares, upstream_id};
use crate::support::client::{succeeded, told};
use crate::support::postgres::{database, server};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{asked, configuration, provider, sold, until, upstream};

/// How long an operation has to have ended before it is removed, and longer, in nanoseconds.
const LONG_AGO: i64 = 500 * 24 * 60 * 60 * 1_000_000_000;

/// Each life of the gateway ends as soon as it has stored anything, long before the window ends.
async fn ends_although_every_life_is_short(url: Option<String>) {
    let upstream = upstream(Options::default()).await;
    let configuration = configuration().provider("gandi", provider(&upstream));
    let configuration = match url {
        // Each life waits for the lease of the one before, so there are few.
        Some(url) => configuration.store(&url).engine("lease_s", 3).engine("look_first_ms", 1000),
        None => configuration,
    };
    upstream.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    let mut program = Program::start(configuration);
    let name = program.client().await.order(shares()).await.expect("accepted").name;
    let mut lives = 1;
    let done = loop {
        let client = program.client().await;
        let first = client.operation(&name).await;
        let changed = async || client.operation(&name).await.etag != first.etag;
        if first.done {
            break first;
        }
        until("it comes further", changed).await;
        program = program.restart();
        lives += 1;
    };
    succeeded(done);
    assert!(lives > 3, "it was done in {lives} lives");
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 1);
}

#[tokio::test]
async fn embedded_store_restarted_again_and_again_ends_everything() {
    ends_although_every_life_is_short(None).await;
}

#[tokio::test]
async fn shared_store_restarted_again_and_again_ends_everything() {
    let url = server().url(&database(server()).await);
    ends_although_every_life_is_short(Some(url)).await;
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
