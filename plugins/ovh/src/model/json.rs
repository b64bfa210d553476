//! JSON documents of the upstream, read strictly, and how what has no field of its own is kept.

use purveyor_sdk::plugin::v1::BodyFormat;
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{ListValue, Struct, Value};
use purveyor_sdk::serde_json::{Map, Value as Json};
use purveyor_sdk::{Answer, Result, body};

/// The largest whole number that a double holds.
const EXACT: u64 = 1 << 53;

/// The members of the object that an answer is.
///
/// # Errors
///
/// UPSTREAM_UNAVAILABLE for what is no object, or has a member twice.
pub(crate) fn document(answer: &Answer) -> Result<Map<String, Json>> {
    match body::document(BodyFormat::Json, &answer.body) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(answer.not_understood()),
        Err(error) => Err(answer.not_understood().with_source(error)),
    }
}

/// Members as attributes, but for those that have a field of their own.
pub(crate) fn to_struct(members: &Map<String, Json>, mapped: &[&str]) -> Struct {
    let rest = members.iter().filter(|(name, _)| !mapped.contains(&name.as_str()));
    Struct { fields: rest.map(|(name, value)| (name.clone(), to_value(value))).collect() }
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => {
            let too_large = number.as_i64().is_some_and(|whole| whole.unsigned_abs() > EXACT)
                || number.as_u64().is_some_and(|whole| whole > EXACT);
            match number.as_f64().filter(|_| !too_large) {
                Some(double) => Kind::NumberValue(double),
                None => Kind::StringValue(number.to_string()),
            }
        }
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(rows) => {
            Kind::ListValue(ListValue { values: rows.iter().map(to_value).collect() })
        }
        Json::Object(members) => Kind::StructValue(to_struct(members, &[])),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::{Kind, to_struct, to_value};
    use purveyor_sdk::serde_json::json;

    #[test]
    fn numbers_that_a_double_would_change_become_text() {
        fn check(text: &str, expected: &Kind) {
            let json = purveyor_sdk::serde_json::from_str(text).unwrap();
            assert_eq!(to_value(&json).kind.as_ref(), Some(expected), "{text}");
        }
        check("12345", &Kind::NumberValue(12345.0));
        check("9007199254740993", &Kind::StringValue("9007199254740993".to_owned()));
        check("-9007199254740993", &Kind::StringValue("-9007199254740993".to_owned()));
        check("null", &Kind::NullValue(0));
    }

    #[test]
    fn what_is_mapped_is_left_out() {
        let members = json!({"a": 1, "b": {"c": [true]}});
        let kept = to_struct(members.as_object().unwrap(), &["a"]);
        assert_eq!(kept.fields.keys().collect::<Vec<_>>(), ["b"]);
    }
}
