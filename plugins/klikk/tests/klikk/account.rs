//! Whether the account works, and what the manifest says of the provider.

use purveyor_klikk::Klikk as Plugin;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::check_provider_response::finding::Severity;
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason, Evidence};
use purveyor_simulators::klikk::{AccountSeed, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, parent, reason};

async fn check(plugin: &TestHost<Plugin>) -> purveyor_sdk::Result<CheckProviderResponse> {
    plugin.read(Op::CheckProvider, &CheckProviderRequest { name: parent() }, "").await
}

fn severity(answer: &CheckProviderResponse, reason: &str) -> Option<Severity> {
    answer.findings.iter().find(|it| it.reason == reason).map(|finding| finding.severity())
}

#[tokio::test]
async fn credentials_are_a_finding() {
    let bench = Bench::new().await;
    let answer = check(&bench.plugin).await.unwrap();
    assert_eq!(severity(&answer, "CREDENTIALS"), Some(Severity::Ok));
    assert_eq!(severity(&answer, "ITEM_TOKENS"), None);
    let locked = AccountSeed { locked: true, ..AccountSeed::default() };
    bench.upstream.put_account(locked).unwrap();
    let answer = check(&bench.plugin).await.unwrap();
    assert_eq!(severity(&answer, "CREDENTIALS"), Some(Severity::Error));
    bench.upstream.inject(Fault::next("order_list", FaultKind::Status { status: 503 }));
    assert_eq!(reason(check(&bench.plugin).await), ErrorReason::UpstreamUnavailable);
}

#[tokio::test]
async fn a_credential_that_is_missing_is_named() {
    let bench = Bench::new().await;
    for (configured, named) in [("token", "account-token"), ("basic", "login")] {
        let setup = Setup::new(bench.upstream.url());
        let setup = setup.configuration(json!({ "authentication": configured }));
        let error = TestHost::<Plugin>::open(setup).err().unwrap();
        assert_eq!(error.reason, ErrorReason::ProviderUnavailable);
        assert!(error.message.contains(named), "{error}");
    }
    let second_factor = AccountSeed {
        login: Some("ola:secret".to_owned()),
        two_factor: true,
        ..AccountSeed::default()
    };
    bench.upstream.put_account(second_factor).unwrap();
    let setup = Setup::new(bench.upstream.url()).credential("login", "ola:secret");
    let setup = setup.configuration(json!({ "authentication": "basic" }));
    let answer = check(&TestHost::<Plugin>::open(setup).unwrap()).await.unwrap();
    assert!(answer.findings[0].message.contains("Two-factor"), "{answer:?}");
}

#[tokio::test]
async fn sending_without_marks_is_a_warning() {
    let bench = Bench::with(Options::default(), json!({ "item_tokens": false })).await;
    let answer = check(&bench.plugin).await.unwrap();
    assert_eq!(severity(&answer, "ITEM_TOKENS"), Some(Severity::Warning));
}

#[test]
fn the_manifest_says_how_what_is_lost_is_found() {
    let manifest = TestHost::<Plugin>::manifest().unwrap();
    let method = |op: Op| manifest.methods.iter().find(|method| method.op() == op).unwrap();
    let create = method(Op::CreateOrder);
    assert_eq!((create.evidence(), create.absence_is_proof), (Evidence::Reference, true));
    assert_eq!(method(Op::CancelOrder).evidence(), Evidence::Natural);
    for op in [Op::CreateRenewal, Op::UpdateService, Op::TerminateService, Op::PayOrder] {
        assert!(manifest.methods.iter().all(|method| method.op() != op), "{op:?}");
    }
}
