//! Reflection, as a client without protos sees it.

use std::collections::{BTreeSet, HashMap};

use prost::Message as _;
use prost_types::FileDescriptorProto;
use purveyor::api::health::Health;
use purveyor::api::limits::Limits;
use purveyor::api::reflection;
use tokio_stream::StreamExt as _;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

use crate::api_rig::{Handlers, Rig};

async fn rig() -> Rig {
    let health = Health::new();
    let routes = Routes::new(health.service())
        .add_service(reflection::current().unwrap())
        .add_service(reflection::older().unwrap());
    Rig::serve(Limits::default(), Handlers::prompt(), routes, health).await
}

async fn ask(channel: &Channel, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let asked = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = asked.into_inner().next().await.expect("an answer")?;
    Ok(answer.message_response.expect("what was asked for"))
}

fn files(answer: MessageResponse) -> Vec<FileDescriptorProto> {
    match answer {
        MessageResponse::FileDescriptorResponse(files) => files
            .file_descriptor_proto
            .iter()
            .map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_service_is_named_by_both_versions() {
    let rig = rig().await;
    let channel = rig.channel().await;
    let MessageResponse::ListServicesResponse(listed) =
        ask(&channel, MessageRequest::ListServices(String::new())).await.unwrap()
    else {
        panic!("no list of services");
    };
    let named: BTreeSet<_> = listed.service.into_iter().map(|service| service.name).collect();
    let mut expected: BTreeSet<_> =
        ["Operations", "Orders", "Products", "Providers", "Renewals", "Services"]
            .map(|service| format!("purveyor.v1.{service}"))
            .into();
    expected.insert("grpc.health.v1.Health".to_owned());
    expected.insert("grpc.reflection.v1.ServerReflection".to_owned());
    assert_eq!(named, expected);

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "purveyor.v1.Orders".to_owned(),
            ),
        ),
    };
    let mut older = v1alpha::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let asked = older.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = asked.into_inner().next().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(
        answer,
        v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)
    ));
}

#[tokio::test]
async fn whatever_an_answer_or_an_error_holds_can_be_looked_up() {
    let rig = rig().await;
    let channel = rig.channel().await;
    let symbols = [
        "purveyor.v1.Orders",
        "purveyor.v1.Orders.CreateOrder",
        "purveyor.v1.Operation",
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.rpc.PreconditionFailure",
        "google.rpc.QuotaFailure",
        "google.rpc.ResourceInfo",
        "google.rpc.RetryInfo",
        "google.rpc.Status",
        "grpc.health.v1.Health",
    ];
    let mut known = HashMap::new();
    let mut wanted = Vec::new();
    for symbol in symbols {
        let question = MessageRequest::FileContainingSymbol(symbol.to_owned());
        for file in files(ask(&channel, question).await.unwrap()) {
            wanted.extend(file.dependency.clone());
            known.insert(file.name().to_owned(), file);
        }
    }
    // And so can everything that those files import.
    while let Some(name) = wanted.pop() {
        if known.contains_key(&name) {
            continue;
        }
        for file in
            files(ask(&channel, MessageRequest::FileByFilename(name.clone())).await.unwrap())
        {
            wanted.extend(file.dependency.clone());
            known.insert(file.name().to_owned(), file);
        }
        assert!(known.contains_key(&name), "{name}");
    }
    assert!(known.contains_key("google/protobuf/any.proto"));
    let boundary = MessageRequest::FileContainingSymbol("purveyor.plugin.v1.Write".to_owned());
    let answer = ask(&channel, boundary).await.unwrap();
    assert!(matches!(answer, MessageResponse::ErrorResponse(_)), "{answer:?}");
}

#[tokio::test]
async fn unknown_symbol_is_answered_and_the_stream_goes_on() {
    use v1alpha::server_reflection_client::ServerReflectionClient as Older;
    use v1alpha::server_reflection_request::MessageRequest as OlderRequest;
    use v1alpha::server_reflection_response::MessageResponse as OlderResponse;
    let rig = rig().await;
    let channel = rig.channel().await;
    let symbols = [
        "purveyor.v1.Nothing",
        "purveyor.v1.Order",
        "",
        "purveyor.v1.Order.nothing",
        "purveyor.v1.Order.items",
        ".purveyor.v1.Operation.State",
        "purveyor.v1.Operation.STATE_SUCCEEDED",
        "purveyor.v1.Operation.result",
    ];
    let found = [false, true, false, false, true, true, true, true];
    let questions = symbols.map(|symbol| MessageRequest::FileContainingSymbol(symbol.to_owned()));
    let questions = questions.map(|question| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    });
    let mut client = ServerReflectionClient::new(channel.clone());
    let asked = client.server_reflection_info(tokio_stream::iter(questions.clone())).await;
    let mut answers = asked.unwrap().into_inner();
    for (question, found) in questions.into_iter().zip(found) {
        let answer = answers.next().await.expect("an answer to each question").unwrap();
        assert_eq!(answer.original_request.as_ref(), Some(&question));
        match answer.message_response.unwrap() {
            MessageResponse::FileDescriptorResponse(_) => assert!(found, "{question:?}"),
            MessageResponse::ErrorResponse(error) => {
                assert!(!found, "{question:?}");
                assert_eq!(error.error_code, i32::from(Code::NotFound));
                assert!(error.error_message.starts_with("there is no symbol"), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(answers.next().await.is_none());

    let older = ["purveyor.v1.Nothing", "purveyor.v1.Order"].map(|symbol| {
        let message_request = Some(OlderRequest::FileContainingSymbol(symbol.to_owned()));
        v1alpha::ServerReflectionRequest { host: String::new(), message_request }
    });
    let asked = Older::new(channel).server_reflection_info(tokio_stream::iter(older)).await;
    let mut answers = asked.unwrap().into_inner();
    let mut next = async || answers.next().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(next().await, OlderResponse::ErrorResponse(_)));
    assert!(matches!(next().await, OlderResponse::FileDescriptorResponse(_)));
}
