//! What one connection, and one address, may do.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use purveyor::api::client::products_client::ProductsClient;
use purveyor::api::limits::Limits;
use purveyor_sdk::v1::ListProductsRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api_rig::{Handlers, PATIENCE, Rig};

/// What the server sends back before it closes the connection.
async fn until_closed(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is a close too.
    drop(closed.expect("the server closes the connection"));
    answer
}

#[tokio::test]
async fn who_does_not_speak_http2_is_closed() {
    let handshake = Duration::from_millis(100);
    let rig = Rig::start(Limits { handshake, ..Limits::default() }, Handlers::prompt()).await;
    let http1 = b"GET /metrics HTTP/1.1\r\nhost: purveyor\r\n\r\n";
    assert_eq!(until_closed(rig.address, http1).await, b"");
    // Silence, and a beginning without an end: only the handshake's time ends them.
    assert_eq!(until_closed(rig.address, b"").await, b"");
    assert_eq!(until_closed(rig.address, b"PRI * HTTP/2.0\r\n").await, b"");
    let mut client = ProductsClient::new(rig.channel().await);
    client.list_products(ListProductsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn so_many_connections_of_an_address_are_open() {
    let limits = Limits { connections_per_address: 2, ..Limits::default() };
    let rig = Rig::start(limits, Handlers::prompt()).await;
    let (one, two) = (rig.channel().await, rig.channel().await);
    for channel in [&one, &two] {
        let mut client = ProductsClient::new(channel.clone());
        client.list_products(ListProductsRequest::default()).await.unwrap();
    }
    assert_eq!(until_closed(rig.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, b"");
    let mut client = ProductsClient::new(one);
    client.list_products(ListProductsRequest::default()).await.unwrap();
}

/// One call over a bare HTTP/2 connection, with `padding` in its headers.
async fn bare(
    address: SocketAddr,
    padding: usize,
) -> (h2::client::SendRequest<Bytes>, Result<http::StatusCode, h2::Error>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::post("http://purveyor/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("padding", "x".repeat(padding))
        .body(())
        .unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    (client, answer.await.map(|answer| answer.status()))
}

#[tokio::test]
async fn a_connection_is_told_how_many_streams_and_headers_it_may_use() {
    let limits =
        Limits { streams_per_connection: 33, header_list_bytes: 4096, ..Limits::default() };
    let rig = Rig::start(limits, Handlers::prompt()).await;
    let (client, answer) = bare(rig.address, 2048).await;
    assert_eq!(answer.unwrap(), http::StatusCode::OK);
    assert_eq!(client.current_max_send_streams(), 33);
    let (_, refused) = bare(rig.address, 8192).await;
    assert_ne!(refused.ok(), Some(http::StatusCode::OK));
}

#[tokio::test]
async fn an_old_connection_is_asked_to_go_and_its_calls_end_in_peace() {
    let connection_age = Duration::from_millis(50);
    let limits = Limits { connection_age, ..Limits::default() };
    let rig = Rig::start(limits, Handlers::stuck()).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::post("http://purveyor/purveyor.v1.Products/ListProducts")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut body) = client.send_request(request, false).unwrap();
    // One empty message: not compressed, no bytes.
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    rig.handlers.reached(1).await;
    // The connection refuses new streams only once GOAWAY is here.
    let refused = loop {
        match client.clone().ready().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(refused.is_go_away(), "{refused}");
    rig.handlers.answers.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), http::StatusCode::OK);
    connection.await.unwrap().unwrap();
}
