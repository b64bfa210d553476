//! The acceptance of a write whose commit nobody acknowledged, because the synchronous standby is gone: the
//! caller is told so, and no gateway says meanwhile that there is no such operation.

use purveyor_sdk::v1::Operation;
use purveyor_simulators::Kind;
use purveyor_simulators::gandi::Options;
use tonic::Code;
use tonic_types::StatusExt as _;
use xtask::postgres::Server;

use super::{CREATE, shared};
use crate::support::client::{Client, succeeded, told};
use crate::support::postgres::run;
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{asked, sold, until, upstream};

/// Commits wait for a standby of that name from now on; for none where it is empty.
async fn wait_for_standby(server: &Server, name: &str) {
    let sql = format!("ALTER SYSTEM SET synchronous_standby_names TO '{name}'");
    run(server, "postgres", &sql).await;
    run(server, "postgres", "SELECT pg_reload_conf()").await;
}

/// The reasons why a request's operation and its order are not shown.
async fn not_shown(client: &Client, request_id: &str) -> [String; 2] {
    let operation = client.of_request(request_id).await.expect_err("it is not committed");
    let order = client.get_order(&format!("providers/gandi/orders/{request_id}")).await;
    [operation, order.expect_err("it is not committed")].map(|error| told(&error).1)
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_without_acknowledgement_is_unknown_and_never_not_found() {
    let server = Server::start().expect("a server of its own");
    let upstream = upstream(Options::default()).await;
    let shared = shared(&server, &upstream).await;
    let (left, right) = (Program::start(shared.clone()), Program::start(shared));
    let (client, other) = (left.client().await, right.client().await);
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let request = purchase("gandi", &[("shares", 1)]);
    let request_id = request.request_id.clone();
    let before = not_shown(&client, &request_id).await;
    assert_eq!(before, ["OPERATION_NOT_FOUND", "ORDER_NOT_FOUND"]);

    wait_for_standby(&server, "gone").await;
    let accepting = tokio::spawn({
        let (client, request) = (client.clone(), request.clone());
        async move { client.order(request).await }
    });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 \
                 AND mode = 'ExclusiveLock' AND granted)";
    let database = crate::support::postgres::connect(&server, "postgres").await;
    until("the acceptance is being committed", async || {
        database.query_one(waits, &[]).await.expect("it is told").get(0)
    })
    .await;
    // Neither is unhealthy yet, and the other one has nothing to do with it.
    for client in [&client, &other] {
        assert_eq!(not_shown(client, &request_id).await, ["STORE_UNAVAILABLE"; 2]);
    }
    let unknown = accepting.await.expect("no panic").expect_err("nobody acknowledges it");
    assert_eq!(told(&unknown).1, "ACCEPTANCE_UNKNOWN");
    assert_eq!(unknown.code(), Code::Unavailable);
    assert!(unknown.message().contains("repeat with the same request id"), "{unknown:?}");
    assert!(unknown.get_details_retry_info().is_some(), "{unknown:?}");
    // The same again does not know better.
    let again = client.order(request.clone()).await.expect_err("nobody acknowledges it");
    assert_eq!(told(&again).1, "ACCEPTANCE_UNKNOWN", "{again:?}");
    for client in [&client, &other] {
        assert_eq!(not_shown(client, &request_id).await, ["STORE_UNAVAILABLE"; 2]);
    }
    assert_eq!(asked(&upstream, CREATE), 1);

    wait_for_standby(&server, "").await;
    for program in [&left, &right] {
        until("it serves again", async || program.serves().await).await;
    }
    let repeated: Operation = client.order(request).await.expect("it is accepted");
    assert_eq!(repeated.name, format!("operations/{request_id}"));
    succeeded(client.done(&repeated.name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
}
