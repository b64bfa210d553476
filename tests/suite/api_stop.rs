//! Stopping: health first, then those who are here end in peace, and those who do not are cut.

use std::time::Duration;

use purveyor::api::client::products_client::ProductsClient;
use purveyor::api::health::Health;
use purveyor::api::limits::Limits;
use purveyor::api::served::products_server::ProductsServer;
use purveyor_sdk::v1::ListProductsRequest;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::api_rig::{Handlers, PATIENCE, Rig};

/// A server that says its health, with one call that its handler does not answer yet.
async fn busy(
    limits: Limits,
    health: Health,
) -> (Rig, tokio::task::JoinHandle<Result<(), Status>>) {
    let handlers = Handlers::stuck();
    let routes = Routes::new(ProductsServer::new(handlers.clone())).add_service(health.service());
    let rig = Rig::serve(limits, handlers, routes, health).await;
    let mut client = ProductsClient::new(rig.channel().await);
    let call = tokio::spawn(async move {
        client.list_products(ListProductsRequest::default()).await.map(drop)
    });
    rig.handlers.reached(1).await;
    (rig, call)
}

#[tokio::test]
async fn health_says_so_first_and_calls_in_flight_end_in_peace() {
    let settle = Duration::from_millis(200);
    let said = Health::new();
    said.set("providers/acme", true).await;
    let (mut rig, call) = busy(Limits { settle, ..Limits::default() }, said.clone()).await;
    let mut health = HealthClient::new(rig.channel().await);
    let asked = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let mut watched = health.watch(asked("providers/acme")).await.unwrap().into_inner();
    let mut process = health.watch(asked("")).await.unwrap().into_inner();
    for watched in [&mut watched, &mut process] {
        let status = watched.message().await.unwrap().unwrap().status();
        assert_eq!(status, ServingStatus::Serving);
    }
    // Said again: nobody is told again.
    said.set("providers/acme", true).await;
    said.set("", true).await;
    rig.stop();
    for watched in [&mut watched, &mut process] {
        let status = watched.message().await.unwrap().unwrap().status();
        assert_eq!(status, ServingStatus::NotServing);
    }
    // Whoever has not heard of it yet cannot take it back.
    said.set("", true).await;
    let status = health.check(asked("")).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing);
    drop((watched, process, health));
    // Nobody new is let in while those who are here end.
    let address = rig.address;
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("the port is closed");
    rig.handlers.answers.add_permits(1);
    call.await.unwrap().unwrap();
    assert_eq!(rig.stopped().await.cut, 0);
}

#[tokio::test]
async fn a_stuck_call_does_not_hold_the_server() {
    let (settle, drain) = (Duration::ZERO, Duration::from_millis(100));
    let (mut rig, call) = busy(Limits { settle, drain, ..Limits::default() }, Health::new()).await;
    rig.stop();
    let address = rig.address;
    assert_eq!(rig.stopped().await.cut, 1);
    call.await.unwrap().unwrap_err();
    TcpStream::connect(address).await.unwrap_err();
}
