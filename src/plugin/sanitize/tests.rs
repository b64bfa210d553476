//! Messages as a plugin could send them, and what is left of them.

use prost::Message;
use purveyor_sdk::plugin::v1::resource::Kind;
use purveyor_sdk::plugin::v1::step_outcome::{Done, Outcome, Pending};
use purveyor_sdk::plugin::v1::{self, Resource, StepOutcome};
use purveyor_sdk::v1::{Order, OrderItem, UpstreamRef};

use super::{Bytes, ERROR, MAX_BYTES, ProviderConfig, Sanitizer, TEXT_BYTES};

const STEP: &str = "purveyor.plugin.v1.StepOutcome";

fn sanitizer() -> Sanitizer {
    let endpoint = "http://upstream.example/".parse().unwrap();
    let mut config = ProviderConfig::new("test", "faulty", endpoint);
    config.credentials.insert("login".to_owned(), "ada:lovelace".to_owned().into());
    Sanitizer::new(&config).unwrap()
}

fn done(order: Order) -> StepOutcome {
    let resource = Some(Resource { kind: Some(Kind::Order(order)) });
    StepOutcome { outcome: Some(Outcome::Done(Done { resource })) }
}

fn order_of(outcome: StepOutcome) -> Order {
    let Some(Outcome::Done(Done { resource: Some(resource) })) = outcome.outcome else {
        panic!("{outcome:?}")
    };
    match resource.kind {
        Some(Kind::Order(order)) => order,
        other => panic!("{other:?}"),
    }
}

fn clean(order: Order) -> Order {
    let bytes = done(order).encode_to_vec().into();
    let cleaned = sanitizer().message(STEP, bytes, true).unwrap();
    order_of(StepOutcome::decode(cleaned).unwrap())
}

fn named(display_name: &str) -> Order {
    let item = OrderItem { display_name: display_name.to_owned(), ..OrderItem::default() };
    Order { items: vec![item], ..Order::default() }
}

#[test]
fn clean_message_is_passed_on_as_it_came() {
    let bytes = Bytes::from(done(named("a name\nof two lines")).encode_to_vec());
    let cleaned = sanitizer().message(STEP, bytes.clone(), true).unwrap();
    assert_eq!(cleaned.as_ptr(), bytes.as_ptr());
}

#[test]
fn texts_lose_secrets_and_what_deceives() {
    let check = |text: &str, expected: &str| {
        let cleaned = clean(named(text));
        assert_eq!(cleaned.items[0].display_name, expected);
    };
    check("by ada:lovelace", "by [secret]");
    check("YWRhOmxvdmVsYWNl, lovelace", "[secret], [secret]");
    check("a\u{202e}b\u{0}c\u{85}d\u{2066}e\tf\ng\r", "abcde\tf\ng");
    check("love\u{200f}lace", "lovelace");
}

#[test]
fn identifier_loses_secrets_alone() {
    let upstream = UpstreamRef::of("7\u{202e}7 lovelace".to_owned());
    let cleaned = clean(Order { upstream: Some(upstream), ..Order::default() });
    assert_eq!(cleaned.upstream.unwrap().ids, ["7\u{202e}7 [secret]"]);
}

#[test]
fn handle_keeps_its_length() {
    let handle = b"\x01\x0clovelace\xff".to_vec();
    let pending = Pending { handle, ..Pending::default() };
    let bytes = StepOutcome { outcome: Some(Outcome::Pending(pending)) }.encode_to_vec();
    let cleaned = sanitizer().message(STEP, bytes.into(), true).unwrap();
    let Some(Outcome::Pending(pending)) = StepOutcome::decode(cleaned).unwrap().outcome else {
        panic!("the outcome changed")
    };
    assert_eq!(pending.handle, b"\x01\x0c********\xff");
}

#[test]
fn long_text_is_cut_with_a_mark() {
    let cleaned = clean(named(&"é".repeat(1_100_000)));
    let text = &cleaned.items[0].display_name;
    assert!(text.len() <= TEXT_BYTES[0] && text.len() > TEXT_BYTES[0] - 4, "{}", text.len());
    assert!(text.starts_with('é') && text.ends_with("… [cut, 2200000 bytes]"));
}

#[test]
fn message_of_many_texts_is_bounded_as_a_whole() {
    let items = vec![named(&"x".repeat(16_000)).items.remove(0); 400];
    let cleaned = clean(Order { items, ..Order::default() });
    assert_eq!(cleaned.items.len(), 400);
    assert!(cleaned.encoded_len() <= MAX_BYTES, "{}", cleaned.encoded_len());
    assert!(cleaned.items[0].display_name.ends_with("… [cut, 16000 bytes]"));
}

#[test]
fn error_is_cleaned_in_every_part() {
    let field = v1::FieldViolation { field: "a".into(), description: "lovelace".into() };
    let metadata = [("lovelace".to_owned(), "ada:lovelace".to_owned())];
    let error = v1::Error {
        message: "lovelace".into(),
        source: "lovelace".into(),
        metadata: metadata.into(),
        violations: vec![field],
        ..v1::Error::default()
    };
    let cleaned = sanitizer().message(ERROR, error.encode_to_vec().into(), true).unwrap();
    let shown = format!("{:?}", v1::Error::decode(cleaned).unwrap());
    assert_eq!(shown.matches("[secret]").count(), 5, "{shown}");
    assert!(!shown.contains("lovelace"), "{shown}");
}

#[test]
fn token_that_was_presented_is_a_secret() {
    let sanitizer = sanitizer();
    assert_eq!(sanitizer.redacted("tok-123456"), "tok-123456");
    sanitizer.learn("tok-123456");
    sanitizer.learn("tok-123456");
    assert_eq!(sanitizer.redacted("ada:lovelace tok-123456"), "[secret] [secret]");
}

#[test]
fn bytes_that_are_no_message_are_told() {
    for bytes in [&b"\xff\xff"[..], b"\x0a\x05a", b"\x0b"] {
        let told = sanitizer().message(STEP, Bytes::copy_from_slice(bytes), true);
        assert!(told.is_err(), "{bytes:?} {told:?}");
    }
}
