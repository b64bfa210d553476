//! Options that are right and wrong, with the paths that callers see.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as ProtoValue};
use purveyor_sdk::v1::ErrorReason;
use serde_json::{Value, json};

use super::{DEPTH, Schemas, VALUES};

fn proto(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(given) => Kind::BoolValue(*given),
        Value::Number(given) => Kind::NumberValue(given.as_f64().unwrap()),
        Value::String(given) => Kind::StringValue(given.clone()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(proto).collect() })
        }
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    ProtoValue { kind: Some(kind) }
}

fn structure(value: &Value) -> Struct {
    let members = value.as_object().unwrap().iter();
    Struct { fields: members.map(|(key, value)| (key.clone(), proto(value))).collect() }
}

fn wrong(schema: &str, options: &Value) -> Vec<String> {
    let found = Schemas::default().check(schema, Some(&structure(options)), "items[0].options");
    found.unwrap().into_iter().map(|found| found.field).collect()
}

fn schema() -> String {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["ram"],
        "additionalProperties": false,
        "properties": {
            "ram": {"type": "integer", "minimum": 1},
            "os": {"type": ["integer", "string"]},
            "a/b": {"type": "string"},
            "features": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "sshd": {
                        "type": "object",
                        "properties": {
                            "ip_allow": {"type": "array", "items": {"type": "string", "format": "ipv4"}}
                        }
                    },
                    "7": {"type": "boolean"}
                }
            }
        }
    })
    .to_string()
}

#[test]
fn paths_name_what_is_wrong() {
    fn check(options: Value, expected: &[&str]) {
        let mut found = wrong(&schema(), &options);
        found.sort();
        assert_eq!(found, expected, "{options}");
    }
    check(json!({"ram": 2}), &[]);
    check(json!({"ram": 2.0, "os": "debian"}), &[]);
    check(json!({}), &["items[0].options.ram"]);
    check(json!({"ram": 0}), &["items[0].options.ram"]);
    check(json!({"ram": 2.5}), &["items[0].options.ram"]);
    check(json!({"ram": "2"}), &["items[0].options.ram"]);
    check(
        json!({"ram": 2, "rom": 1, "x y": 1}),
        &["items[0].options.rom", "items[0].options[\"x y\"]"],
    );
    check(json!({"ram": 2, "a/b": 1}), &["items[0].options[\"a/b\"]"]);
    check(json!({"ram": 2, "features": {"7": 1}}), &["items[0].options.features.7"]);
    check(
        json!({"ram": 2, "features": {"sshd": {"ip_allow": ["10.0.0.1", "10.0.0.256", 3]}}}),
        &[
            "items[0].options.features.sshd.ip_allow[1]",
            "items[0].options.features.sshd.ip_allow[2]",
        ],
    );
}

#[test]
fn values_are_not_repeated() {
    let schema = json!({"properties": {"key": {"pattern": "^ssh-"}}}).to_string();
    let options = structure(&json!({"key": "hunter2"}));
    let found = Schemas::default().check(&schema, Some(&options), "o").unwrap();
    assert_eq!(found.len(), 1);
    assert!(!found[0].description.contains("hunter2"), "{found:?}");
}

#[test]
fn numbers_that_a_float_cannot_hold_are_refused() {
    fn check(number: f64, expected: bool) {
        let value = ProtoValue { kind: Some(Kind::NumberValue(number)) };
        let options = Struct { fields: [("n".to_owned(), value)].into() };
        let schema = json!({"properties": {"n": {"type": "number"}}}).to_string();
        let found = Schemas::default().check(&schema, Some(&options), "o").unwrap();
        assert_eq!(found.is_empty(), expected, "{number}");
    }
    check(9_007_199_254_740_992.0, true);
    check(-9_007_199_254_740_992.0, true);
    check(9_007_199_254_740_994.0, false);
    check(1e300, false);
    check(0.1, true);
    check(f64::NAN, false);
    check(f64::INFINITY, false);
}

#[test]
fn a_product_without_schema_takes_none() {
    assert!(Schemas::default().check("", None, "o").unwrap().is_empty());
    assert!(wrong("", &json!({})).is_empty());
    assert_eq!(wrong("", &json!({"ram": 1})), ["items[0].options.ram"]);
}

#[test]
fn nesting_and_number_are_bounded() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert!(wrong("{}", &nested(DEPTH)).is_empty());
    assert_eq!(wrong("{}", &nested(DEPTH + 1)).len(), 1);
    let many = |count: usize| json!({"a": vec![0; count - 1]});
    assert!(wrong("{}", &many(VALUES)).is_empty());
    assert_eq!(wrong("{}", &many(VALUES + 1)).len(), 1);
    let without = Struct { fields: [("a".to_owned(), ProtoValue { kind: None })].into() };
    assert_eq!(Schemas::default().check("{}", Some(&without), "o").unwrap().len(), 1);
}

#[test]
fn a_schema_that_is_none_is_the_plugins_fault() {
    for schema in ["{", "17", r#"{"type": "no such type"}"#, r#"{"$ref": "https://example.com/s"}"#]
    {
        let error = Schemas::default().check(schema, None, "o").unwrap_err();
        assert_eq!(error.reason, ErrorReason::PluginFault, "{schema}");
    }
}

#[test]
fn a_schema_is_compiled_once() {
    let schemas = Schemas::default();
    for _ in 0..3 {
        schemas.check(&schema(), None, "o").unwrap();
    }
    assert_eq!(schemas.compiled.lock().unwrap().len(), 1);
}
