//! What happens to a call before and after its handler: what is refused and in which words,
//! deadlines, places, panics.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use purveyor::api::client::operations_client::OperationsClient;
use purveyor::api::client::products_client::ProductsClient;
use purveyor::api::limits::{DECODING_MAX_BYTES, Limits};
use purveyor_sdk::v1::{
    CreateProductRequest, GetOperationRequest, GetProductRequest, ListProductsRequest, Operation,
    WaitOperationRequest,
};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::api_rig::{Handlers, Rig};

/// A message without fields as it travels: not compressed, no bytes.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

/// A write of a newer contract: it knows a limit that this server does not.
#[derive(Clone, PartialEq, Message)]
struct NewerRequest {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(string, tag = "999")]
    limit: String,
}

/// Calls a method by its path with whatever message.
async fn call<T: Message + 'static>(
    channel: &Channel,
    path: &'static str,
    message: T,
) -> Result<Response<Operation>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<T, Operation>::default();
    grpc.unary(Request::new(message), http::uri::PathAndQuery::from_static(path), codec).await
}

/// The code and reason of a refusal; every refusal has both.
fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (String, String) {
    let status = answer.expect_err("refused");
    let info = status.get_details_error_info().expect("every error has its info");
    assert_eq!(info.domain, "purveyor");
    (format!("{:?}", status.code()), info.reason)
}

fn is(code: &str, reason: &str) -> (String, String) {
    (code.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn a_write_that_is_not_understood_whole_does_not_reach_its_handler() {
    let rig = Rig::start(Limits::default(), Handlers::prompt()).await;
    let channel = rig.channel().await;
    let newer = || NewerRequest { parent: "providers/acme".into(), limit: "5".into() };
    let refused = call(&channel, "/purveyor.v1.Products/CreateProduct", newer()).await;
    let details = refused.as_ref().unwrap_err().get_details_bad_request().unwrap();
    assert_eq!(details.field_violations[0].field, "CreateProductRequest");
    assert_eq!(refusal(refused), is("InvalidArgument", "FIELD_VIOLATION"));
    assert_eq!(rig.handlers.count(), 0);
    // A read ignores what it does not know, as protobuf does; so does a write that is understood.
    call(&channel, "/purveyor.v1.Operations/GetOperation", newer()).await.unwrap();
    let known = NewerRequest { limit: String::new(), ..newer() };
    call(&channel, "/purveyor.v1.Products/CreateProduct", known).await.unwrap();
    assert_eq!(rig.handlers.count(), 2);
}

#[tokio::test]
async fn refusals_of_the_transport_have_our_words() {
    let rig = Rig::start(Limits::default(), Handlers::prompt()).await;
    let channel = rig.channel().await;
    let large = GetOperationRequest { name: "x".repeat(DECODING_MAX_BYTES + 1) };
    let refused = call(&channel, "/purveyor.v1.Operations/GetOperation", large.clone()).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains(&DECODING_MAX_BYTES.to_string()), "{message}");
    assert_eq!(refusal(refused), is("InvalidArgument", "FIELD_VIOLATION"));

    let unknown = call(&channel, "/purveyor.v1.Orders/Burn", NewerRequest::default()).await;
    assert_eq!(refusal(unknown), is("Unimplemented", "CAPABILITY_UNSUPPORTED"));
    let unknown = call(&channel, "/purveyor.v1.Products/Burn", NewerRequest::default()).await;
    assert_eq!(refusal(unknown), is("Unimplemented", "CAPABILITY_UNSUPPORTED"));

    // Field 1 of the request is a text; here it is a number.
    #[derive(Clone, PartialEq, Message)]
    struct Other {
        #[prost(uint32, tag = "1")]
        parent: u32,
    }
    let other = call(&channel, "/purveyor.v1.Products/CreateProduct", Other { parent: 7 }).await;
    assert_eq!(refusal(other), is("InvalidArgument", "FIELD_VIOLATION"));
    assert_eq!(rig.handlers.count(), 0);

    let mut client = ProductsClient::new(channel);
    let panicked = client.get_product(GetProductRequest::default()).await;
    assert_eq!(refusal(panicked), is("Internal", "INTERNAL"));
    client.list_products(ListProductsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_small_request_that_unpacks_to_a_large_one_is_refused() {
    let rig = Rig::start(Limits::default(), Handlers::prompt()).await;
    let mut client =
        ProductsClient::new(rig.channel().await).send_compressed(CompressionEncoding::Gzip);
    let bomb = CreateProductRequest { parent: "x".repeat(8 << 20), ..Default::default() };
    let refused = client.create_product(bomb).await;
    assert_eq!(refusal(refused), is("InvalidArgument", "FIELD_VIOLATION"));
    let small = CreateProductRequest { parent: "providers/acme".into(), ..Default::default() };
    client.create_product(small).await.unwrap();
    assert_eq!(rig.handlers.count(), 1);
}

/// The headers of the answer to an empty ListProducts with this `grpc-timeout`, over a bare HTTP/2
/// connection: tonic's own client gives up by itself at the deadline.
async fn within(rig: &Rig, timeout: &str) -> http::HeaderMap {
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://purveyor/purveyor.v1.Products/ListProducts")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (answer, mut body) = client.ready().await.unwrap().send_request(request, false).unwrap();
    body.send_data(EMPTY_MESSAGE, true).unwrap();
    answer.await.unwrap().headers().clone()
}

#[tokio::test]
async fn the_deadline_is_answered_and_the_place_is_free_again() {
    let limits = Limits { working_calls: 1, ..Limits::default() };
    let rig = Rig::start(limits, Handlers::stuck()).await;
    let check = async |timeout: &str, expected: (String, String)| {
        let begin = Instant::now();
        let headers = within(&rig, timeout).await;
        let status = Status::from_header_map(&headers).expect("a status");
        assert_eq!(refusal(Err::<(), _>(status)), expected, "{timeout}");
        begin.elapsed()
    };
    let late = || is("DeadlineExceeded", "DEADLINE_EXCEEDED");
    let took = check("300m", late()).await;
    assert!(took >= Duration::from_millis(249), "{took:?}");
    check("20m", late()).await;
    check("0n", late()).await;
    check("soon", is("InvalidArgument", "FIELD_VIOLATION")).await;
    rig.handlers.answers.add_permits(1);
    let mut client = ProductsClient::new(rig.channel().await);
    client.list_products(ListProductsRequest::default()).await.unwrap();
}

/// Begins `count` calls that their handlers do not answer yet.
async fn working(
    channel: &Channel,
    handlers: &Handlers,
    count: usize,
) -> Vec<tokio::task::JoinHandle<Result<(), Status>>> {
    let before = handlers.count();
    let calls = (0..count).map(|_| {
        let mut client = ProductsClient::new(channel.clone());
        tokio::spawn(
            async move { client.list_products(ListProductsRequest::default()).await.map(drop) },
        )
    });
    let calls = calls.collect();
    handlers.reached(before + count).await;
    calls
}

#[tokio::test]
async fn so_many_calls_of_a_connection_work_and_the_next_is_told_when_to_try_again() {
    let rig = Rig::start(Limits::default(), Handlers::stuck()).await;
    let channel = rig.channel().await;
    let calls = working(&channel, &rig.handlers, 100).await;
    let refused =
        ProductsClient::new(channel.clone()).list_products(ListProductsRequest::default()).await;
    let retry = refused.as_ref().unwrap_err().get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some());
    assert_eq!(refusal(refused), is("ResourceExhausted", "OVERLOADED"));
    assert_eq!(rig.handlers.count(), 100);
    // Who only waits needs no place, and another connection has its own.
    let mut waiting = OperationsClient::new(channel.clone());
    let wait = tokio::spawn(async move {
        waiting.wait_operation(WaitOperationRequest::default()).await.map(drop)
    });
    rig.handlers.reached(101).await;
    let other = working(&rig.channel().await, &rig.handlers, 1).await;
    rig.handlers.answers.add_permits(102);
    for call in join_all(calls.into_iter().chain(other).chain([wait])).await {
        call.unwrap().unwrap();
    }
    rig.handlers.answers.add_permits(1);
    ProductsClient::new(channel).list_products(ListProductsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn so_many_calls_of_all_connections_work() {
    let limits = Limits { working_calls: 3, ..Limits::default() };
    let rig = Rig::start(limits, Handlers::stuck()).await;
    let (one, two) = (rig.channel().await, rig.channel().await);
    let calls = working(&one, &rig.handlers, 2).await;
    let third = working(&two, &rig.handlers, 1).await;
    let refused = ProductsClient::new(two).list_products(ListProductsRequest::default()).await;
    assert_eq!(refusal(refused), is("ResourceExhausted", "OVERLOADED"));
    rig.handlers.answers.add_permits(3);
    for call in join_all(calls.into_iter().chain(third)).await {
        call.unwrap().unwrap();
    }
}
