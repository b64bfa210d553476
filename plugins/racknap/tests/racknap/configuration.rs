//! The account's configuration: what is refused when the plugin is opened.

use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::ErrorReason;

use super::driver::{TOKEN, configuration, open, with};

#[test]
fn mistakes_are_told_when_it_is_opened() {
    let check = |configuration: Value, expected: &str| {
        let opened = open("http://127.0.0.1:1/api/v2", configuration, TOKEN).map(|_| ());
        let error = opened.unwrap_err();
        assert_eq!(error.reason, ErrorReason::FieldViolation);
        let told = format!("{error} {:?}", super::driver::fields(&error));
        assert!(told.contains(expected), "{told}");
    };
    check(json!({}), "configuration.currencies");
    check(with(configuration(), "currency", json!("EUR")), "configuration.currency");
    check(with(configuration(), "currencies", json!({ "Rs": 1 })), "configuration.currencies.Rs");
    check(with(configuration(), "encoding", json!("xml")), "configuration");
    check(with(configuration(), "plan", json!([1])), "configuration");
    assert!(open("http://127.0.0.1:1/api/v2", configuration(), TOKEN).is_ok());
}
