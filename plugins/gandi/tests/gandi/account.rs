//! The account: whose it is, whether it works, and what becomes of one whose products are gone.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::Position;
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::check_provider_response::finding::Severity;
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, ErrorReason, ListServicesRequest,
    ListServicesResponse,
};
use purveyor_simulators::gandi::{AccountSeed, Mode, NullStyle, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, KEY, item, open, order, reason};

async fn check(
    plugin: &TestHost<purveyor_gandi::Gandi>,
) -> purveyor_sdk::Result<CheckProviderResponse> {
    let request = CheckProviderRequest { name: "providers/test".to_owned() };
    plugin.read(Op::CheckProvider, &request, "").await
}

fn severity(answer: &CheckProviderResponse, reason: &str) -> Option<Severity> {
    let found = answer.findings.iter().find(|finding| finding.reason == reason);
    found.map(|finding| finding.severity())
}

fn rated() -> Options {
    let account = AccountSeed { rating: true, ..AccountSeed::default() };
    Options { accounts: vec![account], ..Options::default() }
}

#[tokio::test]
async fn an_account_that_works() {
    let bench = Bench::new().await;
    assert_eq!(bench.plugin.identify().await.unwrap(), "AB3917-GANDI");
    let answer = check(&bench.plugin).await.unwrap();
    assert_eq!(answer.account, "AB3917-GANDI");
    assert_eq!(answer.upstream_version, "3.1.2");
    assert_eq!(
        answer.balance.as_ref().unwrap().amount.as_ref().unwrap().to_string(),
        "1337.42 EUR"
    );
    for reason in ["CREDENTIALS", "API_VERSION", "PRODUCT_API"] {
        assert_eq!(severity(&answer, reason), Some(Severity::Ok), "{reason}");
    }
    let resources = &answer.attributes.unwrap().fields["resources"];
    let text = format!("{resources:?}");
    for name in ["available", "granted", "used"] {
        assert!(text.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_later_version_is_a_warning() {
    let bench = Bench::in_mode(Mode { api_version: "3.3.42".to_owned(), ..Mode::default() }).await;
    let answer = check(&bench.plugin).await.unwrap();
    assert_eq!(severity(&answer, "API_VERSION"), Some(Severity::Warning));
}

#[tokio::test]
async fn a_wrong_key_is_a_finding_of_the_check_and_an_error_elsewhere() {
    let bench = Bench::new().await;
    for key in ["zzzzzzzzzzzzzzzzzzzzzzzz", "Not a key"] {
        let setup = Setup::new(bench.upstream.url()).credential("api-key", key);
        let plugin = TestHost::<purveyor_gandi::Gandi>::open(setup).unwrap();
        let answer = check(&plugin).await.unwrap();
        assert_eq!(severity(&answer, "CREDENTIALS"), Some(Severity::Error), "{key}");
        assert!(!format!("{answer:?}").contains(key), "the key is shown");
        assert_eq!(reason(plugin.identify().await), ErrorReason::UpstreamCredentials);
    }
}

#[tokio::test]
async fn what_could_not_be_asked_fails_the_check() {
    let bench = Bench::new().await;
    for method in ["version.info", "hosting.account.info", "contact.balance"] {
        let (code, text) = (150_000, "Error on object : OBJECT_APPLICATION".to_owned());
        bench.upstream.inject(Fault::next(method, FaultKind::Fault { code, text }));
        assert_eq!(reason(check(&bench.plugin).await), ErrorReason::UpstreamUnavailable);
    }
}

#[tokio::test]
async fn an_account_billed_by_credits_has_no_product_api() {
    for null_style in [NullStyle::EmptyString, NullStyle::Nil] {
        let mode = Mode { null_style, ..Mode::default() };
        let bench = Bench::with(Options { mode, ..rated() }, json!({})).await;
        let answer = check(&bench.plugin).await.unwrap();
        assert_eq!(severity(&answer, "PRODUCT_API"), Some(Severity::Error));
        assert_eq!(bench.plugin.identify().await.unwrap(), "AB3917-GANDI");
        let request = ListServicesRequest::default();
        let listed =
            bench.plugin.read::<ListServicesResponse>(Op::ListServices, &request, "").await;
        assert_eq!(reason(listed), ErrorReason::UpstreamApiGone);
        assert_eq!(reason(bench.get_service("11153").await), ErrorReason::UpstreamApiGone);
        let write = order(vec![item("ips", 1, 1)]);
        assert_eq!(reason(bench.quote(&write).await), ErrorReason::UpstreamApiGone);
        assert_eq!(bench.run(&write).await.error().reason, ErrorReason::UpstreamApiGone);
        assert_eq!(bench.asked("hosting.product.create"), 0);
    }
}

#[tokio::test]
async fn the_emptied_api_is_never_success() {
    let bench = Bench::in_mode(Mode { emptied: true, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1)]);
    let at = Position { step: 1, ..Position::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let stepped = bench.step_at(&write, &at).await.unwrap();
    let Stepped::Rejected(rejected) = stepped else { panic!("{stepped:?}") };
    assert_eq!(rejected.proof, "nil");
    assert_eq!(rejected.error.unwrap().reason(), ErrorReason::UpstreamApiGone);
    assert_eq!(bench.asked("hosting.product.create"), 1);
}

#[tokio::test]
async fn configurations_that_are_refused() {
    let bench = Bench::new().await;
    for (configuration, field) in [
        (json!({"currency": "euro"}), "configuration.currency"),
        (json!({"grid": "Z"}), "configuration.grid"),
        (json!({"spelling": "shouted"}), "configuration.spelling"),
        (json!({"prices": 1}), "configuration.prices"),
    ] {
        let error = open(bench.upstream.url(), configuration, "").err().unwrap();
        assert_eq!(error.reason, ErrorReason::FieldViolation, "{error}");
        assert_eq!(error.violations[0].field, field);
    }
    let missing = Setup::new(bench.upstream.url());
    let error = TestHost::<purveyor_gandi::Gandi>::open(missing).err().unwrap();
    assert_eq!(error.reason, ErrorReason::ProviderUnavailable);
    assert_eq!(KEY.len(), 24);
}
