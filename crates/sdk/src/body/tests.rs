//! What bodies prove, and above all what they do not.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::json;

use super::{
    Accepted, BodyError, accepted, document, identifier, matches, proven, proves, text_at, word,
};
use crate::plugin::v1::r#match::Test;
use crate::plugin::v1::{BodyFormat, Match, Proof, Success, Words};

const FAULT: &str = "<methodResponse><fault><value><struct><member><name>faultCode</name><value>\
    <int>510150</int></value></member><member><name>faultString</name><value>no</value></member>\
    </struct></value></fault></methodResponse>";
const NIL: &str =
    "<methodResponse><params><param><value><nil/></value></param></params></methodResponse>";
const OPERATION: &str = "<methodResponse><params><param><value><struct><member><name>id</name>\
    <value><int>7</int></value></member></struct></value></param></params></methodResponse>";

fn condition(pointer: &str, test: Test) -> Match {
    Match { pointer: pointer.to_owned(), test: Some(test) }
}

#[test]
fn the_word_of_a_call() {
    fn check(format: BodyFormat, pointer: &str, bytes: &str, expected: Option<&str>) {
        let found = word(format, pointer, bytes.as_bytes());
        assert_eq!(found.ok().as_deref(), expected, "{pointer} {bytes}");
    }
    let json = BodyFormat::Json;
    check(json, "/action", r#"{"action": "order_create"}"#, Some("order_create"));
    check(json, "/a/b", r#"{"a": {"b": "x"}}"#, Some("x"));
    check(json, "/action", r#"{"Action": "order_create"}"#, None);
    check(json, "/action", r#"{"action": 1}"#, None);
    check(json, "/action", r#"{"action": null}"#, None);
    check(json, "/action", r#"{"action": ["order_create"]}"#, None);
    check(json, "/action", r#"{"action": "order_status", "action": "order_create"}"#, None);
    check(json, "/action", r#"{"action": "order_status", "\u0061ction": "order_create"}"#, None);
    check(json, "/action", r#"{"action": "order_status"} {"action": "order_create"}"#, None);
    check(json, "/action", r#"{"action": "a", "items": [{"x": 1, "x": 2}]}"#, None);
    check(json, "/action", "", None);
    check(json, "", r#""order_create""#, Some("order_create"));
    let call = "<methodCall><methodName>operation.info</methodName></methodCall>";
    check(BodyFormat::XmlRpc, "", call, Some("operation.info"));
    check(BodyFormat::XmlRpc, "", &format!("{call}{call}"), None);
    check(BodyFormat::XmlRpc, "", OPERATION, None);
    check(BodyFormat::Form, "/action", "action=order_create", None);
    check(BodyFormat::Unspecified, "/action", r#"{"action": "order_create"}"#, None);
    assert_eq!(word(json, "/a", b"{}"), Err(BodyError::NoWord));
    assert_eq!(word(BodyFormat::Form, "/a", b"a=b"), Err(BodyError::NoWords));
}

#[test]
fn conditions() {
    fn check(test: Test, expected: [bool; 7]) {
        let document = json!({
            "text": "5101", "number": 5101, "null": null, "float": 5101.5, "yes": true, "list": []
        });
        let places = ["/text", "/number", "/null", "/float", "/yes", "/list", "/absent"];
        let found = places.map(|place| matches(&condition(place, test.clone()), &document));
        assert_eq!(found, expected, "{test:?}");
    }
    check(Test::Exists(true), [true, true, true, true, true, true, false]);
    check(Test::Exists(false), [false; 7]);
    check(Test::IsNull(true), [false, false, true, false, false, false, false]);
    check(Test::IsNull(false), [false; 7]);
    check(Test::Equals("5101".to_owned()), [true, true, false, false, false, false, false]);
    check(Test::Equals("5101.5".to_owned()), [false; 7]);
    check(Test::Equals("true".to_owned()), [false, false, false, false, true, false, false]);
    check(Test::Equals(String::new()), [false; 7]);
    check(Test::Prefix("51".to_owned()), [true, true, false, false, false, false, false]);
    check(Test::Suffix("01".to_owned()), [true, true, false, false, false, false, false]);
    let words = |words: &[&str]| {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Test::Words(Words { words, configurable: false })
    };
    check(words(&["5102", "5101"]), [true, false, false, false, false, false, false]);
    check(words(&["5102", "true", "null", ""]), [false; 7]);
    check(words(&[]), [false; 7]);
    let nothing = Match { pointer: "/text".to_owned(), test: None };
    assert!(!matches(&nothing, &json!({"text": "x"})));
}

#[test]
fn a_number_out_of_range_hides_nothing_beside_it() {
    let amounts = r#"{"rows": [{"price": 1e400}, {"price": -1e999}, {"price": 5}], "id": 7}"#;
    let rows = json!([{"price": "1e400"}, {"price": "-1e999"}, {"price": 5}]);
    let read = |text: &str| document(BodyFormat::Json, text.as_bytes());
    assert_eq!(read(amounts), Ok(json!({ "rows": rows, "id": 7 })));
    for wrong in [
        r#"{"a": 1e400, "a": 1}"#,
        r#"[{"a": 1e400, "a": 1}]"#,
        "[1e400",
        "[1e400] []",
        "[01, 1e400]",
        &format!("{}1e400{}", "[".repeat(40), "]".repeat(40)),
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn word_matches_in_any_case_and_as_the_whole_text() {
    fn check(json: &str, expected: bool) {
        let document = document(BodyFormat::Json, json.as_bytes()).unwrap();
        let words = ["Error", " Échec "].map(str::to_owned).to_vec();
        let condition = condition("/status", Test::Words(Words { words, configurable: true }));
        assert_eq!(matches(&condition, &document), expected, "{json}");
    }
    for word in ["Error", "error", "ERROR", " Error ", "\u{a0}eRRoR\n", "Échec", "éCHEC"] {
        check(&json!({ "status": word }).to_string(), true);
    }
    for other in [
        "Success",
        "Completed",
        "Warning",
        "Pending",
        "Errors",
        "Error 7",
        "No Error",
        "Er ror",
        "",
        " ",
    ] {
        check(&json!({ "status": other }).to_string(), false);
    }
    for none in [r#"{"status": 0}"#, r#"{"status": false}"#, r#"{"status": null}"#, "{}"] {
        check(none, false);
    }
    check(r#"{"status": ["Error"]}"#, false);
    check(r#"{"status": {"Error": "Error"}}"#, false);
    check(r#"{"Status": "Error"}"#, false);
}

#[test]
fn first_proof_that_holds_is_named_with_the_configured_words() {
    const PROOFS: &[crate::Proof] = &[
        crate::Proof::new("by word").statuses(200, 299).json().refusal_words("/status", &["Error"]),
        crate::Proof::new("by configuration").json().refusal_words("/message", &[]),
        crate::Proof::new("fixed").statuses(403, 403).json().words("/status", &["Denied"]),
    ];
    fn check(configured: &[&str], status: u16, body: &str, expected: Option<&str>) {
        let configured: Vec<_> = configured.iter().map(|&word| word.to_owned()).collect();
        let found = proven(PROOFS, &configured, status, body.as_bytes());
        assert_eq!(found, expected, "{configured:?} {status} {body}");
    }
    check(&[], 200, r#"{"status": "error"}"#, Some("by word"));
    check(&[], 200, r#"{"status": "Nein"}"#, None);
    check(&["nein"], 200, r#"{"status": "Nein"}"#, Some("by word"));
    check(&["nein"], 200, r#"{"status": "error"}"#, Some("by word"));
    check(&[], 400, r#"{"message": ""}"#, None);
    check(&["nein"], 400, r#"{"message": "NEIN "}"#, Some("by configuration"));
    check(&["nein"], 400, r#"{"status": "nein"}"#, None);
    check(&["nein"], 401, r#"{"message": "nein"}"#, None);
    check(&["nein"], 403, r#"{"status": "nein"}"#, None);
    check(&["nein"], 403, r#"{"status": "denied"}"#, Some("fixed"));
    check(&["nein"], 200, r#"{"status": "nein""#, None);
}

#[test]
fn texts() {
    fn check(json: &str, expected: Option<&str>) {
        let document = document(BodyFormat::Json, json.as_bytes()).unwrap();
        assert_eq!(text_at(&document, "/id").as_deref(), expected, "{json}");
    }
    check(r#"{"id": "a"}"#, Some("a"));
    check(r#"{"id": 18446744073709551615}"#, Some("18446744073709551615"));
    check(r#"{"id": -9223372036854775808}"#, Some("-9223372036854775808"));
    check(r#"{"id": 18446744073709551616}"#, None);
    check(r#"{"id": 1.0}"#, None);
    check(r#"{"id": null}"#, None);
    check(r#"{"id": {}}"#, None);
    check("{}", None);
    check("[]", None);
}

#[test]
fn acceptance() {
    fn check(success: &Success, status: u16, bytes: &str, expected: Option<Option<&str>>) {
        let found = accepted(success, status, bytes.as_bytes());
        let expected = expected.map(|id| Accepted { id: id.map(ToOwned::to_owned) });
        assert_eq!(found, expected, "{status} {bytes}");
    }
    let order = Success {
        status_min: 200,
        status_max: 299,
        format: BodyFormat::Json.into(),
        matches: vec![condition("/status", Test::Equals("200".to_owned()))],
        id_pointer: "/order_id".to_owned(),
        id_kind: "order".to_owned(),
        ..Success::default()
    };
    check(&order, 201, r#"{"order_id": 73, "status": 200}"#, Some(Some("73")));
    check(&order, 200, r#"{"order_id": 73, "status": 402}"#, None);
    check(&order, 200, r#"{"order_id": "", "status": 200}"#, None);
    check(&order, 200, r#"{"order_id": null, "status": 200}"#, None);
    check(&order, 200, r#"{"status": 200}"#, None);
    check(&order, 200, r#"{"order_id": 73, "status": 200"#, None);
    check(&order, 200, r#"{"order_id": 73, "order_id": 74, "status": 200}"#, None);
    check(&order, 200, "", None);
    check(&order, 200, r#"{"order_id": true, "status": 200}"#, None);
    check(&order, 200, r#"{"order_id": " ", "status": 200}"#, None);
    check(&order, 300, r#"{"order_id": 73, "status": 200}"#, None);
    check(&order, 199, r#"{"order_id": 73, "status": 200}"#, None);
    let any = Success { status_min: 200, status_max: 299, ..Success::default() };
    check(&any, 204, "", Some(None));
    check(&any, 200, "<html>", Some(None));
    check(&any, 500, "", None);
    let operation = Success {
        format: BodyFormat::XmlRpc.into(),
        id_pointer: "/params/0/id".to_owned(),
        ..any.clone()
    };
    check(&operation, 200, OPERATION, Some(Some("7")));
    check(&operation, 200, NIL, None);
    check(&operation, 200, FAULT, None);
    let unknown = Success { format: 99, ..any };
    check(&unknown, 200, "", None);
    check(&Success::default(), 200, "", None);
}

#[test]
fn an_identifier_within_a_text() {
    fn check(message: &str, expected: Option<&str>) {
        let shape = Success {
            id_pointer: "/message".to_owned(),
            id_after: "Service ID: ".to_owned(),
            ..Success::default()
        };
        let document = serde_json::json!({ "message": message });
        assert_eq!(identifier(&shape, &document).as_deref(), expected, "{message:?}");
    }
    check("Service ID: 1334 - Office 365 has been created", Some("1334"));
    check("created. Service ID: 7", Some("7"));
    for none in
        ["", "1334", "Service ID:1334", "Service ID:  1334", "Service ID: A1", "Service ID: "]
    {
        check(none, None);
    }
    check("Service ID: 1334 and Service ID: 1335", None);
}

#[test]
fn refusal() {
    fn check(proof: &Proof, status: u16, bytes: &str, expected: bool) {
        assert_eq!(proves(proof, status, bytes.as_bytes()), expected, "{status} {bytes}");
    }
    let data = Proof {
        status_min: 200,
        status_max: 200,
        format: BodyFormat::XmlRpc.into(),
        matches: vec![condition("/fault/faultCode", Test::Prefix("5".to_owned()))],
        ..Proof::default()
    };
    check(&data, 200, FAULT, true);
    check(&data, 200, &FAULT.replace("510150", "150000"), false);
    check(&data, 200, &FAULT.replace("510150", "5x"), false);
    check(&data, 500, FAULT, false);
    check(&data, 200, &FAULT[..FAULT.len() - 1], false);
    check(&data, 200, OPERATION, false);
    check(&data, 200, "<html>502</html>", false);
    let gone = Proof { matches: vec![condition("/params/0", Test::IsNull(true))], ..data.clone() };
    check(&gone, 200, NIL, true);
    check(&gone, 200, OPERATION, false);
    check(&gone, 200, FAULT, false);
    let form = Proof {
        format: BodyFormat::Form.into(),
        matches: vec![condition("/status", Test::Equals("no way".to_owned()))],
        ..data
    };
    check(&form, 200, "status=no+way&x=1", true);
    check(&form, 200, "status=no%20way", true);
    check(&form, 200, "status=yes&status=no+way", false);
    check(&form, 200, "%FF=1&status=no+way", false);
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| {
        document(
            BodyFormat::Json,
            format!("{}{}", "[".repeat(levels), "]".repeat(levels)).as_bytes(),
        )
    };
    assert!(nested(100).is_ok());
    assert!(nested(100_000).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), format in 0..4_i32) {
        let format = BodyFormat::try_from(format).unwrap();
        let _ = document(format, &bytes);
        let _ = word(format, "/action", &bytes);
    }

    #[test]
    fn a_document_without_doubles_is_what_serde_json_reads(text in "[\\[\\]{}\",:a-c0-9. -]{0,20}") {
        if let Ok(document) = document(BodyFormat::Json, text.as_bytes()) {
            proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), document);
        }
    }
}
