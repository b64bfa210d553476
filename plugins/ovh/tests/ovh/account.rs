//! The account: whose it is, its keys and its clock.

use std::time::Duration;

use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::v1::check_provider_response::finding::Severity;
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason};
use purveyor_simulators::ovh::{AccountSeed, Options, Rule};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, START, open, reason};

async fn check(bench: &Bench) -> Result<CheckProviderResponse> {
    let request = CheckProviderRequest { name: "providers/test".to_owned() };
    bench.plugin.read(Op::CheckProvider, &request, "").await
}

#[tokio::test]
async fn an_account_that_works() {
    let bench = Bench::new().await;
    assert_eq!(bench.plugin.identify().await.unwrap(), "xx1111-ovh");
    let answer = check(&bench).await.unwrap();
    assert_eq!((answer.account.as_str(), answer.name.as_str()), ("xx1111-ovh", "providers/test"));
    let offset = answer.clock_offset.unwrap().seconds;
    let upstream = purveyor_sdk::time::rfc3339(START).unwrap().seconds;
    let ours = answer.check_time.unwrap().seconds;
    assert!((offset - (upstream - ours)).abs() <= 2, "{offset}");
    let told: Vec<_> =
        answer.findings.iter().map(|it| (it.reason.as_str(), it.severity())).collect();
    assert_eq!(told, [("CLOCK", Severity::Warning), ("CREDENTIALS", Severity::Ok)]);
    assert!(answer.attributes.unwrap().fields.contains_key("rules"));
}

#[tokio::test]
async fn keys_that_are_wrong_are_a_finding() {
    let bench = Bench::new().await;
    let check_keys = async |change: fn(&mut AccountSeed), code: &str| {
        bench.change_account(change);
        let error = bench.service("12345").await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamCredentials);
        assert_eq!(error.metadata["upstream_code"], code);
        let findings = check(&bench).await.unwrap().findings;
        assert_eq!(findings[1].severity(), Severity::Error, "{code}: {}", findings[1].message);
        bench.change_account(|_| ());
    };
    check_keys(|it| it.application_secret = "other".to_owned(), "INVALID_SIGNATURE").await;
    check_keys(|it| it.locked = true, "FORBIDDEN").await;
    check_keys(|it| it.rules.clear(), "NOT_GRANTED_CALL").await;
    bench.service("12345").await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_cannot_be_asked_fails_the_check() {
    let bench = Bench::new().await;
    bench.upstream.inject(Fault::next("GET /auth/time", FaultKind::Status { status: 502 }));
    assert_eq!(reason(check(&bench).await), ErrorReason::UpstreamUnavailable);
    bench.upstream.inject(Fault::next("GET /auth/time", FaultKind::Garbage));
    assert_eq!(reason(check(&bench).await), ErrorReason::UpstreamUnavailable);
    bench.upstream.inject(Fault::next("GET /me", FaultKind::Status { status: 502 }));
    assert_eq!(reason(check(&bench).await), ErrorReason::UpstreamUnavailable);
}

#[tokio::test]
async fn a_clock_that_jumps_is_asked_for_again() {
    let bench = Bench::new().await;
    bench.service("12345").await.unwrap();
    bench.service("12345").await.unwrap();
    assert_eq!(bench.asked("GET /auth/time"), 1);
    bench.upstream.advance(Duration::from_secs(3600));
    bench.service("12345").await.unwrap();
    assert_eq!(bench.asked("GET /auth/time"), 2);
}

#[tokio::test]
async fn a_rule_that_is_missing_is_told() {
    let rules = vec![Rule { method: "GET".to_owned(), path: "/auth*".to_owned() }];
    let account = AccountSeed { rules, ..AccountSeed::default() };
    let options = Options { accounts: vec![account], ..Options::default() };
    let bench = Bench::with(options, json!({})).await;
    let findings = check(&bench).await.unwrap().findings;
    assert_eq!((findings[2].reason.as_str(), findings[2].severity()), ("ACCOUNT", Severity::Error));
}

#[tokio::test]
async fn configurations() {
    let bench = Bench::new().await;
    let open = |configuration| open(bench.upstream.url(), configuration).map(|_| ());
    open(json!({})).unwrap();
    open(json!({ "payment_api": "registered_mean" })).unwrap();
    assert!(open(json!({ "payment_api": "cash" })).is_err());
    assert!(open(json!({ "currency": "EUR" })).is_err());
}
