//! Members without a field, as attributes: in the upstream's spelling, with secrets cut out. No number
//! with a fraction becomes a float here, for it may be an amount.

use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{ListValue, NullValue, Struct, Value};
use purveyor_sdk::serde_json;
use purveyor_sdk::serde_json::value::RawValue;

use super::Members;

/// How deep attributes are nested; what is deeper is shown as its text. A message that is nested deeper
/// than its readers allow could not be read at all.
const MAX_DEPTH: usize = 16;

/// The largest whole number that a double holds exactly.
const EXACT: u64 = 1 << 53;

/// Words of names behind which a secret stands.
const SECRET_NAMES: [&str; 5] = ["password", "passwd", "secret", "private", "token"];

/// What stands where a secret stood.
const CUT: &str = "[secret]";

/// A member's value.
pub(super) fn attribute(name: &str, raw: &RawValue) -> Value {
    nested(name, raw, MAX_DEPTH)
}

fn nested(name: &str, raw: &RawValue, depth: usize) -> Value {
    let lower = name.to_lowercase();
    if SECRET_NAMES.iter().any(|word| lower.contains(word)) {
        return text(CUT);
    }
    let verbatim = || text(raw.get());
    let first = raw.get().as_bytes().first().copied().unwrap_or_default();
    match (first, depth.checked_sub(1)) {
        (b'{', Some(depth)) => serde_json::from_str::<Members>(raw.get())
            .map_or_else(|_| verbatim(), |members| object(members, depth)),
        (b'[', Some(depth)) => serde_json::from_str::<Vec<Box<RawValue>>>(raw.get())
            .map_or_else(|_| verbatim(), |values| list(&values, depth)),
        (b'"', _) => serde_json::from_str::<String>(raw.get())
            .map_or_else(|_| verbatim(), |content| text(&content)),
        (b't', _) => of(Kind::BoolValue(true)),
        (b'f', _) => of(Kind::BoolValue(false)),
        (b'n', _) => of(Kind::NullValue(NullValue::NullValue.into())),
        _ => whole(raw.get()).map_or_else(verbatim, |number| of(Kind::NumberValue(number))),
    }
}

fn object(members: Members, depth: usize) -> Value {
    let fields = members.into_raw().into_iter();
    let fields = fields.map(|(name, raw)| {
        let value = nested(&name, &raw, depth);
        (name, value)
    });
    of(Kind::StructValue(Struct { fields: fields.collect() }))
}

fn list(values: &[Box<RawValue>], depth: usize) -> Value {
    let values = values.iter().map(|raw| nested("", raw, depth)).collect();
    of(Kind::ListValue(ListValue { values }))
}

/// A whole number that is exact as a double.
fn whole(digits: &str) -> Option<f64> {
    let number = digits.parse::<i64>().ok()?;
    (number.unsigned_abs() < EXACT).then_some(number as f64)
}

fn text(content: &str) -> Value {
    of(Kind::StringValue(content.to_owned()))
}

fn of(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Members};

    #[test]
    fn values_keep_their_spelling() {
        fn check(json: &str, expected: &str) {
            let members = Members::read(format!("{{\"x\":{json}}}").as_bytes()).unwrap();
            let rest = members.rest();
            let kind = rest.fields["x"].kind.clone().unwrap();
            assert_eq!(format!("{kind:?}"), expected, "{json}");
        }
        check("12", "NumberValue(12.0)");
        check("99.90", "StringValue(\"99.90\")");
        check("9007199254740993", "StringValue(\"9007199254740993\")");
        check("\"a\"", "StringValue(\"a\")");
        check("true", "BoolValue(true)");
        check("null", "NullValue(NullValue)");
    }

    #[test]
    fn secrets_are_cut_out_wherever_they_stand() {
        let json = r#"{"root_password":"x","login":{"Secret":[1]},"name":"y"}"#;
        let text = format!("{:?}", Members::read(json.as_bytes()).unwrap().rest());
        assert_eq!(text.matches("[secret]").count(), 2);
        assert!(text.contains("\"y\"") && !text.contains("\"x\""), "{text}");
    }

    #[test]
    fn what_is_too_deep_is_shown_as_text() {
        let json = format!("{{\"x\":{}7{}}}", "[".repeat(40), "]".repeat(40));
        let rest = Members::read(json.as_bytes()).unwrap().rest();
        let mut value = rest.fields["x"].clone();
        let mut depth = 0;
        while let Some(Kind::ListValue(list)) = value.kind {
            value = list.values[0].clone();
            depth += 1;
        }
        assert_eq!(depth, 16);
        let Some(Kind::StringValue(text)) = value.kind else { panic!("{value:?}") };
        assert_eq!(text.len(), 49);
    }
}
