//! A spend that the upstream refuses, at every level of evidence: whatever the refusal proves, the end tells
//! what the upstream said last.

use std::time::Duration;

use jiff::Timestamp;
use purveyor_sdk::prost_types;
use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_simulators::{Fault, FaultKind};

use super::GANDI_CREATE;
use super::later::{PRODUCT, product};
use super::stage::{KLIKK_CREATE, RACKNAP_CREATE, computestacks, klikk, racknap, record, server};
use crate::support::client::failure;
use crate::support::requests::purchase;
use crate::support::{Gateway, configuration, gandi};

const TEXT: &str = "no sale to you today";

fn refusal(call: &str, code: i32) -> Fault {
    Fault::next(call, FaultKind::Fault { code, text: TEXT.to_owned() }).times(100)
}

#[track_caller]
fn told(failed: &Operation, reason: &str, status: &str, last: Outcome) {
    let error = failure(failed);
    assert_eq!((failed.state(), error.reason.as_str()), (State::Failed, reason), "{failed:#?}");
    assert!(error.message.contains(TEXT), "{error:#?}");
    let told = error.metadata.get("upstream_status").map(String::as_str);
    assert_eq!(told, Some(status), "{error:#?}");
    let attempt = failed.attempts.last().expect("it was sent");
    assert_eq!(attempt.outcome(), last, "{failed:#?}");
    assert!(attempt.message.contains(TEXT), "{failed:#?}");
}

#[tokio::test]
async fn undeclared_refusal_found_absent_by_reference_is_a_rejection() {
    let (upstream, provider) = klikk().await;
    let gateway = Gateway::start(configuration().provider("klikk", provider)).await;
    upstream.inject(refusal(KLIKK_CREATE, 403));
    let failed = gateway.client().await.ordered(server()).await;
    told(&failed, "UPSTREAM_REJECTED", "403", Outcome::Absent);
}

#[tokio::test]
async fn declared_refusal_tells_the_upstreams_words() {
    let (upstream, provider) = racknap().await;
    let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
    upstream.inject(refusal(RACKNAP_CREATE, 3001));
    let failed = gateway.client().await.ordered(record()).await;
    // Its refusals have the status of a success.
    told(&failed, "UPSTREAM_REJECTED", "200", Outcome::Rejected);

    let (upstream, provider) = computestacks().await;
    let gateway = Gateway::start(configuration().provider("computestacks", provider)).await;
    upstream.inject(refusal(PRODUCT, 422));
    let client = gateway.client().await;
    let accepted = client.products().create_product(product()).await.expect("accepted");
    let failed = client.done(&accepted.into_inner().name).await;
    told(&failed, "UPSTREAM_REJECTED", "422", Outcome::Rejected);
}

/// A fault that nobody knows is an answer to a spend that may have been done, so it is searched for and sent
/// again, until its time is over.
#[tokio::test]
async fn spend_that_fails_until_start_before_ends_with_the_last_answer() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    upstream.inject(refusal(GANDI_CREATE, 999_999));
    let mut request = purchase("gandi", &[("shares", 1)]);
    let soon = Timestamp::now() + Duration::from_secs(3);
    request.start_before =
        Some(prost_types::Timestamp { seconds: soon.as_second(), nanos: soon.subsec_nanosecond() });
    let failed = gateway.client().await.ordered(request).await;
    told(&failed, "NOT_EXECUTED", "200", Outcome::Absent);
    assert!(failure(&failed).message.contains("999999"), "{failed:#?}");
}
