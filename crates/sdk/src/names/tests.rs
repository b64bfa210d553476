//! Names: what is one, what is none and why, and that text and meaning are one to one.

use proptest::prelude::{ProptestConfig, any, proptest};

use super::{
    MAX_ID_BYTES, NameError, OperationName, OrderName, Parent, ProductName, ProviderName, counted,
    decode, encode, request_id_of,
};

#[test]
fn provider_names() {
    fn check(text: &str, expected: Result<&str, NameError>) {
        let found = text.parse::<ProviderName>();
        assert_eq!(found.as_ref().map(ProviderName::id), expected.as_ref().copied(), "{text}");
        if let Ok(name) = found {
            assert_eq!(name.to_string(), text);
        }
    }
    let form = NameError::Form("providers/{provider}");
    check("providers/gandi", Ok("gandi"));
    check("providers/a-1", Ok("a-1"));
    check(&format!("providers/{}", "a".repeat(63)), Ok(&"a".repeat(63)));
    check(&format!("providers/{}", "a".repeat(64)), Err(NameError::Provider));
    check("providers/-", Err(NameError::Wildcard));
    check("providers/", Err(NameError::Provider));
    check("providers/1a", Err(NameError::Provider));
    check("providers/-a", Err(NameError::Provider));
    check("providers/Gandi", Err(NameError::Provider));
    check("providers/ga_ndi", Err(NameError::Provider));
    check("providers/%67andi", Err(NameError::Provider));
    check("provider/gandi", Err(form.clone()));
    check("providers/gandi/", Err(form.clone()));
    check("/providers/gandi", Err(form.clone()));
    check("", Err(form));
}

#[test]
fn parents() {
    assert_eq!("providers/-".parse(), Ok(Parent::All));
    assert_eq!(Parent::All.to_string(), "providers/-");
    let gandi = ProviderName::new("gandi").unwrap();
    assert_eq!("providers/gandi".parse(), Ok(Parent::Provider(gandi)));
    assert_eq!("providers/--".parse::<Parent>(), Err(NameError::Provider));
}

#[test]
fn names_below_a_provider() {
    fn check(text: &str, expected: Result<&str, NameError>) {
        let found = text.parse::<OrderName>();
        assert_eq!(found.as_ref().map(OrderName::id), expected.as_ref().copied(), "{text}");
        if let Ok(name) = found {
            assert_eq!(name.to_string(), text);
        }
    }
    let form = || NameError::Form("providers/{provider}/orders/{order}");
    check("providers/ovh/orders/12", Ok("12"));
    check("providers/ovh/orders/A.b_c~d-E", Ok("A.b_c~d-E"));
    check("providers/ovh/orders/a%2Fb", Ok("a/b"));
    check("providers/ovh/orders/%C3%A9", Ok("é"));
    check("providers/ovh/orders/%2D", Ok("-"));
    check("providers/ovh/orders/%2E", Ok("."));
    check("providers/ovh/orders/%2E%2E", Ok(".."));
    check("providers/ovh/orders/...", Ok("..."));
    check("providers/ovh/orders/%25", Ok("%"));
    check("providers/ovh/orders/-", Err(NameError::Reserved("%2D".to_owned())));
    check("providers/ovh/orders/.", Err(NameError::Reserved("%2E".to_owned())));
    check("providers/ovh/orders/..", Err(NameError::Reserved("%2E%2E".to_owned())));
    check("providers/ovh/orders/", Err(NameError::Empty));
    check("providers/ovh/orders/%41", Err(NameError::NeedlessEscape('A')));
    check("providers/ovh/orders/%2F%2D", Err(NameError::NeedlessEscape('-')));
    check("providers/ovh/orders/a%2fb", Err(NameError::LowerCaseEscape));
    check("providers/ovh/orders/a%2", Err(NameError::Escape));
    check("providers/ovh/orders/a%", Err(NameError::Escape));
    check("providers/ovh/orders/a%zz", Err(NameError::Escape));
    check("providers/ovh/orders/a%é", Err(NameError::Escape));
    check("providers/ovh/orders/%FF", Err(NameError::NotUtf8));
    check("providers/ovh/orders/é", Err(NameError::Unencoded('é')));
    check("providers/ovh/orders/a b", Err(NameError::Unencoded(' ')));
    check("providers/ovh/orders/a+b", Err(NameError::Unencoded('+')));
    check("providers/ovh/services/12", Err(form()));
    check("providers/ovh/orders/1/2", Err(form()));
    check("providers/ovh", Err(form()));
    check("providers/-/orders/1", Err(NameError::Wildcard));
    check("providers/OVH/orders/1", Err(NameError::Provider));
    check(&format!("providers/ovh/orders/{}", "a".repeat(257)), Err(NameError::TooLong));
    check(&format!("providers/ovh/orders/{}", "%20".repeat(257)), Err(NameError::TooLong));
    check(&format!("providers/ovh/orders/{}", "a".repeat(256)), Ok(&"a".repeat(256)));
}

#[test]
fn operation_names() {
    fn check(text: &str, expected: Result<&str, NameError>) {
        let found = text.parse::<OperationName>();
        let id = found.as_ref().map(OperationName::request_id);
        assert_eq!(id, expected.as_ref().copied(), "{text}");
    }
    let id = "0190c9a1-7b1c-7d6e-8f00-1234567890ab";
    check(&format!("operations/{id}"), Ok(id));
    check(&format!("operations/{}", id.to_uppercase()), Err(NameError::UpperCaseRequestId));
    check(&format!("operations/{id}/x"), Err(NameError::Form("operations/{request_id}")));
    check(&format!("operations/{{{id}}}"), Err(NameError::RequestId));
    check(&format!("operations/{}", id.replace('-', "")), Err(NameError::RequestId));
    check("operations/0190c9a1-7b1c-7d6e-8f00-1234567890ag", Err(NameError::RequestId));
    check("operations/00000000-0000-0000-0000-000000000000", Err(NameError::NilRequestId));
    check("operations/", Err(NameError::RequestId));
    assert_eq!(request_id_of(&id.to_uppercase()).unwrap(), id);
}

#[test]
fn a_name_made_from_an_id_is_parsed_back() {
    let provider = ProviderName::new("gandi").unwrap();
    let name = ProductName::new(provider.clone(), "a/b").unwrap();
    assert_eq!(name.to_string(), "providers/gandi/products/a%2Fb");
    assert_eq!(ProductName::new(provider.clone(), ""), Err(NameError::Empty));
    let long = "é".repeat(MAX_ID_BYTES / 2 + 1);
    assert_eq!(ProductName::new(provider, long), Err(NameError::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_id_has_one_spelling(id in "\\PC{1,60}") {
        proptest::prop_assert_eq!(decode(&encode(&id)), Ok(id));
    }

    #[test]
    fn what_can_be_decoded_is_the_one_spelling(text in any::<String>()) {
        if let Ok(id) = decode(&text) {
            proptest::prop_assert_eq!(encode(&id), text);
        }
    }

    #[test]
    fn escapes_are_one_spelling_too(text in "[%0-9A-Fa-f.~-]{0,12}") {
        if let Ok(id) = decode(&text) {
            proptest::prop_assert_eq!(encode(&id), text);
        }
    }
}

#[test]
fn what_the_upstream_counts() {
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(counted::<i64>(text), expected, "{text:?}");
    }
    check("17", Some(17));
    check("9223372036854775807", Some(i64::MAX));
    for wrong in ["9223372036854775808", "0", "-1", "+1", "01", "", " 1", "1.0", "x", "١"] {
        check(wrong, None);
    }
    assert_eq!(
        (counted::<i32>("2147483647"), counted::<i32>("2147483648")),
        (Some(i32::MAX), None)
    );
}
