//! Who the plugin is upstream: Basic, tokens and their ends, versions, and the check of all that.

use std::time::Duration;

use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Position, Setup, TestHost};
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason};
use purveyor_simulators::computestacks::{Mode, UserSeed};
use purveyor_simulators::{Fault, FaultKind};

use super::bench::{Bench, CREATE, LIST, create, fields, open, package, reason};

const TOKEN: &str = "POST /api/oauth/token";

type Plugin = TestHost<purveyor_computestacks::ComputeStacks>;

async fn check(plugin: &Plugin) -> Result<CheckProviderResponse> {
    let request = CheckProviderRequest { name: "providers/test".to_owned() };
    plugin.read(Op::CheckProvider, &request, "").await
}

/// Reason and severity of each finding.
async fn findings(plugin: &Plugin) -> Vec<String> {
    let checked = check(plugin).await.unwrap();
    let told = checked.findings.iter().map(|finding| {
        let severity = finding.severity().as_str_name().trim_start_matches("SEVERITY_");
        format!("{} {severity}", finding.reason)
    });
    told.collect()
}

#[tokio::test]
async fn a_check_tells_the_version_and_what_works() {
    let bench = Bench::new().await;
    let checked = check(&bench.plugin).await.unwrap();
    assert_eq!(checked.upstream_version, "9.3.1");
    assert!(checked.attributes.unwrap().fields.contains_key("api_latest_version"));
    assert!(checked.check_time.is_some());
    let good = ["API_VERSION OK", "CREDENTIALS OK", "BILLING_PLAN OK"];
    assert_eq!(findings(&bench.plugin).await, good);
    let configured = async |configuration: Value| findings(&bench.reopened(configuration)).await;
    assert_eq!(
        configured(json!({ "api_version": 65 })).await,
        ["API_VERSION WARNING", "CREDENTIALS OK", "BILLING_PLAN WARNING"]
    );
    assert_eq!(configured(json!({ "api_version": 40 })).await, ["API_VERSION ERROR"]);
    assert_eq!(
        configured(json!({ "billing_plan": 9 })).await,
        ["API_VERSION OK", "CREDENTIALS OK", "BILLING_PLAN ERROR"]
    );
}

#[tokio::test]
async fn a_check_tells_wrong_credentials() {
    let bench = Bench::new().await;
    let other = UserSeed { password: "another".to_owned(), ..UserSeed::default() };
    bench.upstream.put_user(other).unwrap();
    assert_eq!(findings(&bench.plugin).await, ["CREDENTIALS ERROR"]);
    let tokens = bench.reopened(json!({ "authentication": "oauth" }));
    assert_eq!(findings(&tokens).await, ["CREDENTIALS ERROR"]);
    bench.upstream.put_user(UserSeed { admin: false, ..UserSeed::default() }).unwrap();
    assert_eq!(findings(&bench.plugin).await, ["CREDENTIALS ERROR"]);
    assert_eq!(findings(&tokens).await, ["CREDENTIALS ERROR"]);
    bench.upstream.inject(Fault::next(LIST, FaultKind::Status { status: 502 }));
    assert_eq!(reason(check(&bench.plugin).await), ErrorReason::UpstreamUnavailable);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_for_all() {
    let bench = Bench::with_tokens(Mode::default()).await;
    let made = bench.make(package("s")).await;
    bench.get(&made.name).await.unwrap();
    assert_eq!(bench.asked(TOKEN), 1);
}

#[tokio::test]
async fn a_token_is_fetched_anew_before_it_ends() {
    // Ends within the margin: every request needs another.
    let bench = Bench::with_tokens(Mode { token_seconds: 30, ..Mode::default() }).await;
    assert_eq!(reason(bench.get("providers/test/products/9").await), ErrorReason::ProductNotFound);
    assert_eq!(reason(bench.get("providers/test/products/9").await), ErrorReason::ProductNotFound);
    assert_eq!(bench.asked(TOKEN), 2);
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_anew() {
    let bench = Bench::with_tokens(Mode::default()).await;
    let made = bench.make(package("s")).await;
    bench.upstream.revoke_tokens();
    assert!(bench.get(&made.name).await.is_ok());
    assert_eq!(bench.asked(TOKEN), 2);
    // The upstream's time moves, ours does not: the token has ended there first.
    bench.upstream.advance(Duration::from_secs(8000));
    assert!(bench.get(&made.name).await.is_ok());
    assert_eq!(bench.asked(TOKEN), 3);
}

#[tokio::test]
async fn a_write_with_an_old_token_may_be_sent_again_and_then_no_more() {
    let bench = Bench::with_tokens(Mode::default()).await;
    let write = create(package("s"));
    let at = bench.before(&write, Position::default()).await;
    let refused = async || match bench.plugin.step_at(&write, &at).await.unwrap() {
        Stepped::Rejected(rejected) => rejected.proof,
        other => panic!("{other:?}"),
    };
    bench.upstream.revoke_tokens();
    assert_eq!(refused().await, "token");
    // The next attempt fetches another; one that was just fetched is not the reason.
    let fault = FaultKind::Fault { code: 401, text: "Not Authorized".to_owned() };
    bench.upstream.inject(Fault::next(CREATE, fault));
    assert_eq!(refused().await, "unauthorized");
    let stepped = bench.plugin.step_at(&write, &at).await.unwrap();
    assert!(matches!(stepped, Stepped::Done(_)), "{stepped:?}");
    assert_eq!(bench.upstream.ledger().len(), 1);
}

#[tokio::test]
async fn a_grant_that_fails_is_no_attempt() {
    let bench = Bench::with_tokens(Mode::default()).await;
    for (kind, expected) in [
        (FaultKind::Garbage, ErrorReason::UpstreamUnavailable),
        (FaultKind::Nil, ErrorReason::UpstreamUnavailable),
        (FaultKind::Status { status: 503 }, ErrorReason::UpstreamUnavailable),
        (FaultKind::DropAfterCommit, ErrorReason::UpstreamUnavailable),
        (FaultKind::Fault { code: 400, text: "x".to_owned() }, ErrorReason::UpstreamCredentials),
    ] {
        bench.upstream.inject(Fault::next(TOKEN, kind.clone()));
        let read = bench.get("providers/test/products/9").await;
        assert_eq!(reason(read), expected, "{kind:?}");
    }
    assert_eq!(bench.asked(CREATE), 0);
}

#[tokio::test]
async fn a_locked_credential_is_the_credentials_fault() {
    let bench = Bench::in_mode(Mode { lock_after: 1, ..Mode::default() }).await;
    let wrong = Setup::new(bench.upstream.url()).credential("api-credential", "purveyor:wrong");
    let wrong = Plugin::open(wrong).unwrap();
    assert_eq!(findings(&wrong).await, ["CREDENTIALS ERROR"]);
    let locked = bench.get("providers/test/products/9").await;
    assert_eq!(reason(locked), ErrorReason::UpstreamCredentials);
}

/// No document tells who an administrator is, so the configuration says whose account it is.
#[tokio::test]
async fn identify_is_unsupported() {
    let bench = Bench::new().await;
    let told = bench.plugin.identify().await;
    assert_eq!(reason(told), ErrorReason::CapabilityUnsupported);
}

#[tokio::test]
async fn configurations_that_make_no_sense_are_refused() {
    let url = "http://127.0.0.1:1";
    let error = open(url, json!({ "regions": { "fra": 0 } })).err().unwrap();
    assert_eq!(fields(&error), ["configuration.regions"]);
    assert!(open(url, json!({ "region": 1 })).is_err());
    let bare = Setup::new(url).configuration(json!({ "authentication": "oauth" }));
    let error = Plugin::open(bare).err().unwrap();
    assert_eq!(error.reason, ErrorReason::ProviderUnavailable);
}

#[tokio::test]
async fn no_secret_is_ever_logged_or_told() {
    let bench = Bench::with_tokens(Mode::default()).await;
    bench.upstream.inject(Fault::next(LIST, FaultKind::Status { status: 500 }));
    let error = check(&bench.plugin).await.unwrap_err();
    let told = format!("{error:?} {:?}", bench.plugin.log_lines());
    assert!(!told.contains("correct-horse") && !told.contains("sim-token"), "{told}");
}
