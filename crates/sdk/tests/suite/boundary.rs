//! A plugin through the real boundary: what is sent, what is refused without a byte sent, and that
//! mistakes of a plugin stay its own.

use purveyor_sdk::plugin::v1::step_outcome::Outcome;
use purveyor_sdk::plugin::v1::{self, CallContext, Op, PollRequest, poll_request::Item};
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::{
    CreateOrderRequest, ErrorReason, Evidence, GetOrderRequest, GetServiceRequest, Order, Service,
    SuspendServiceRequest,
};
use purveyor_sdk::{Result, prost::Message};

use crate::acme::Acme;
use crate::upstream::Upstream;

fn acme(upstream: &Upstream) -> TestHost<Acme> {
    let setup = Setup::new(&upstream.url).credential("token", "t-1").credential("key", "k-1");
    TestHost::open(setup).unwrap()
}

async fn get_service(host: &TestHost<Acme>, name: &str) -> Result<Service> {
    let request = GetServiceRequest { name: name.to_owned() };
    host.read(Op::GetService, &request, "a/1").await
}

#[tokio::test]
async fn a_read_is_sent_as_it_was_put_together() {
    let upstream = Upstream::start(vec![(200, "running")]).await;
    let host = acme(&upstream);
    let service = get_service(&host, "").await.unwrap();
    assert_eq!(service.upstream.unwrap().state, "running");
    let target = "/api/servers/a%2F1?view=a%26b";
    assert_eq!(service.notices[0].source, format!("{}{}", upstream.url, &target[4..]));
    assert_eq!(service.notices[0].message, service.notices[0].source, "foretold and asked");
    let request = &upstream.requests()[0];
    assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{request}");
    assert!(request.contains("x-token: t-1\r\n"), "{request}");
    assert_eq!(host.identify().await.unwrap(), "k-1");
}

#[tokio::test]
async fn what_the_manifest_does_not_allow_sends_no_byte() {
    let upstream = Upstream::start(vec![]).await;
    let host = acme(&upstream);
    async fn check(host: &TestHost<Acme>, mistake: &str, expected: &str) {
        let error = get_service(host, mistake).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::PluginFault, "{mistake}");
        assert_eq!(error.to_string(), expected, "{mistake}");
    }
    check(&host, "undeclared", "the request \"server.list\" is not declared").await;
    let segments = "cannot be sent: a segment of the path is missing";
    check(&host, "segments", &format!("the request \"server.get\" {segments}")).await;
    let effect = "has an effect that this kind of call must not have";
    check(&host, "spend", &format!("the request \"order.create\" {effect}")).await;
    let word = "says another word than its name";
    check(&host, "disguise", &format!("the request \"order.status\" {word}")).await;
    assert!(host.sent().is_empty());
}

#[tokio::test]
async fn a_step_spends_once() {
    let upstream = Upstream::start(vec![(200, "{}"), (422, ""), (500, ""), (200, "{}")]).await;
    let host = acme(&upstream);
    let step = async |parent: &str| {
        let request = CreateOrderRequest { parent: parent.to_owned(), ..Default::default() };
        host.step(Op::CreateOrder, &request, CallContext::default()).await
    };
    assert!(matches!(step("").await.unwrap().outcome, Some(Outcome::Pending(_))));
    assert!(matches!(step("").await.unwrap().outcome, Some(Outcome::Rejected(_))));
    assert!(matches!(step("").await.unwrap().outcome, Some(Outcome::Unknown(_))));
    let error = step("greedy").await.unwrap_err();
    let expected = "comes after the step's one setting or spend";
    assert_eq!(error.to_string(), format!("the request \"order.create\" {expected}"));
    assert_eq!(host.sent(), ["order.create"; 4]);
    assert!(upstream.requests()[0].ends_with(r#"{"action": "order_create"}"#));
}

#[tokio::test]
async fn a_setting_is_sent_in_a_step() {
    let upstream = Upstream::start(vec![(204, "")]).await;
    let host = acme(&upstream);
    let context = CallContext { upstream_ids: vec!["7".to_owned()], ..CallContext::default() };
    let outcome = host.step(Op::SuspendService, &SuspendServiceRequest::default(), context).await;
    assert!(matches!(outcome.unwrap().outcome, Some(Outcome::Done(_))));
    assert!(upstream.requests()[0].starts_with("POST /api/servers/7/suspend "));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let upstream = Upstream::start(vec![]).await;
    let setup = Setup::new("http://127.0.0.1:1").credential("token", "t").credential("key", "k");
    let host = TestHost::<Acme>::open(setup).unwrap();
    let error = get_service(&host, "").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_panic_is_the_plugins_own() {
    let upstream = Upstream::start(vec![(200, "running")]).await;
    let host = acme(&upstream);
    let answer: Result<Order> = host.read(Op::GetOrder, &GetOrderRequest::default(), "").await;
    assert_eq!(answer.unwrap_err().to_string(), "panicked: this method always panics");
    assert!(get_service(&host, "").await.is_ok());
}

#[tokio::test]
async fn poll_has_to_answer_every_item() {
    let upstream = Upstream::start(vec![]).await;
    let host = acme(&upstream);
    let write = v1::Write { op: Op::CreateOrder.into(), ..Default::default() };
    let request = PollRequest { items: vec![Item { write: Some(write), ..Item::default() }] };
    let error = host.poll(&request).await.unwrap_err();
    assert_eq!(error.to_string(), "poll does not answer every item once");
    let error = host.poll(&PollRequest { items: vec![Item::default()] }).await.unwrap_err();
    assert_eq!(error.to_string(), "malformed");
}

#[test]
fn a_missing_secret_is_named() {
    let error = TestHost::<Acme>::open(Setup::new("http://127.0.0.1:1")).err().unwrap();
    assert_eq!(error.to_string(), "the credential key is missing");
}

#[test]
fn the_methods_that_are_written_are_the_capabilities() {
    let manifest = TestHost::<Acme>::manifest().unwrap();
    let ops: Vec<_> = manifest.methods.iter().map(|method| method.op()).collect();
    let expected = [
        Op::Identify,
        Op::GetService,
        Op::GetOrder,
        Op::CreateOrder,
        Op::SuspendService,
        Op::Plan,
        Op::Baseline,
        Op::Poll,
        Op::Find,
    ];
    assert_eq!(ops, expected);
    let create = &manifest.methods[3];
    assert_eq!(create.evidence(), Evidence::Difference);
    assert_eq!((create.max_items, create.price_known, create.absence_is_proof), (3, true, false));
    assert_eq!(create.terms, ["P1M", "P1Y"]);
    assert_eq!(create.notices[0].reason, "NOT_FREE");
    assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
    assert!(manifest.encoded_len() > 0);
}
