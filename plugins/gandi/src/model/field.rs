//! One field of a struct in the type it should have. It must not know what a field means.

use std::collections::BTreeMap;

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::{Struct, Timestamp, Value as Field, value::Kind};
use purveyor_sdk::time::Zone;
use purveyor_sdk::xmlrpc::{self, Response, Value};
use purveyor_sdk::{Error, Result, prost_types};

/// The largest whole number that a double holds exactly; what is larger is shown as text.
const EXACT: i64 = 1 << 53;

/// The member of this name that says something.
pub(crate) fn present<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|member| !member.is_absent())
}

/// Text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<Option<&'a str>> {
    let member = present(value, name);
    member.map(|member| member.as_str().ok_or_else(|| not_understood(name))).transpose()
}

/// A whole number, be it written as an int or as a double.
pub(crate) fn int(value: &Value, name: &str) -> Result<Option<i64>> {
    let whole = |member: &Value| {
        let digits = member.as_decimal()?;
        let (units, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
        decimals.bytes().all(|digit| digit == b'0').then(|| units.parse().ok())?
    };
    let member = present(value, name);
    member.map(|member| whole(member).ok_or_else(|| not_understood(name))).transpose()
}

/// A price, written as a number or as text; what is written otherwise is no amount, and hides nothing
/// beside it.
pub(crate) fn price(value: &Value, name: &str, at: &str, currency: &str) -> Option<ToldPrice> {
    let digits = written(present(value, name)?);
    Some(ToldPrice::new(format!("{at}.{name}"), &digits, currency))
}

/// A value as text.
pub(crate) fn written(value: &Value) -> String {
    let text = value.as_decimal().or_else(|| value.as_str().map(str::to_owned));
    text.unwrap_or_else(|| {
        xmlrpc::to_json(&Response::Value(value.clone()))["params"][0].to_string()
    })
}

/// True or false; an int stands for it where it is 0 or 1.
pub(crate) fn truth(value: &Value, name: &str) -> Result<Option<bool>> {
    let truth = |member: &Value| match member {
        Value::Boolean(truth) => Some(*truth),
        Value::Int(number @ 0..=1) => Some(*number == 1),
        _ => None,
    };
    let member = present(value, name);
    member.map(|member| truth(member).ok_or_else(|| not_understood(name))).transpose()
}

/// The moment of a time without a zone.
pub(crate) fn moment(value: &Value, name: &str, zone: &Zone) -> Result<Option<Timestamp>> {
    moment_text(value, name)?.map(|text| zone.moment(text)).transpose()
}

/// A time without a zone, as its text.
pub(crate) fn moment_text<'a>(value: &'a Value, name: &str) -> Result<Option<&'a str>> {
    let member = present(value, name);
    member.map(|member| member.as_date_time().ok_or_else(|| not_understood(name))).transpose()
}

/// Several texts; `None` where the upstream does not tell.
pub(crate) fn texts(value: &Value, name: &str) -> Result<Option<Vec<String>>> {
    let read = |member: &Value| {
        let members = member.as_array()?.iter();
        members.map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let member = present(value, name);
    member.map(|member| read(member).ok_or_else(|| not_understood(name))).transpose()
}

/// Whatever a struct has beside the members that have a place of their own, in the upstream's
/// spelling. Both spellings of nothing become null.
pub(crate) fn rest(value: &Value, placed: &[&str]) -> Struct {
    let Value::Struct(members) = value else { return Struct::default() };
    let left = members.iter().filter(|(name, _)| !placed.contains(&name.as_str()));
    Struct { fields: left.map(|(name, member)| (name.clone(), attribute(member))).collect() }
}

/// A value as an attribute.
pub(crate) fn attribute(value: &Value) -> Field {
    let kind = match value {
        absent if absent.is_absent() => Kind::NullValue(prost_types::NullValue::NullValue.into()),
        Value::Boolean(truth) => Kind::BoolValue(*truth),
        Value::Int(number) if number.abs() < EXACT => Kind::NumberValue(*number as f64),
        Value::Int(number) => Kind::StringValue(number.to_string()),
        // Quantities of resources; money never comes here.
        Value::Double(digits) => match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Kind::NumberValue(number),
            _ => Kind::StringValue(digits.clone()),
        },
        Value::String(text) | Value::DateTime(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => {
            let values = values.iter().map(attribute).collect();
            Kind::ListValue(prost_types::ListValue { values })
        }
        Value::Struct(_) => Kind::StructValue(rest(value, &[])),
        // No field of the documents is binary; that there is something is all that can be said.
        Value::Base64(bytes) => Kind::StringValue(format!("{} bytes", bytes.len())),
        Value::Nil => Kind::NullValue(prost_types::NullValue::NullValue.into()),
    };
    Field { kind: Some(kind) }
}

/// Attributes of one member.
pub(crate) fn nested(name: &str, inside: Struct) -> Struct {
    let value = Field { kind: Some(Kind::StructValue(inside)) };
    Struct { fields: BTreeMap::from([(name.to_owned(), value)]) }
}

/// UPSTREAM_UNAVAILABLE: a field is of another type than it should be, or missing.
pub(crate) fn not_understood(name: &str) -> Error {
    Error::unavailable(format!("the upstream's answer cannot be understood: {name}"))
}

#[cfg(test)]
mod tests {
    use super::{Value, int, moment, present, price, text, texts, truth};
    use purveyor_sdk::time::Zone;
    use purveyor_sdk::v1::price::Tax;

    /// One struct with one member.
    fn of(member: Value) -> Value {
        Value::from([("x", member)])
    }

    #[test]
    fn nothing_is_nil_or_the_empty_string_for_every_type() {
        for nothing in [Value::Nil, Value::from("")] {
            let value = of(nothing);
            assert_eq!(text(&value, "x").unwrap(), None);
            assert_eq!(int(&value, "x").unwrap(), None);
            assert_eq!(price(&value, "x", "catalog", "EUR"), None);
            assert_eq!(truth(&value, "x").unwrap(), None);
            assert_eq!(texts(&value, "x").unwrap(), None);
            assert_eq!(moment(&value, "x", &Zone::UTC).unwrap(), None);
            assert_eq!(present(&value, "x"), None);
        }
        assert_eq!(int(&Value::Nil, "x").unwrap(), None);
    }

    #[test]
    fn prices_are_numbers_or_text_and_anything_else_is_shown() {
        fn check(member: Value, amount: Option<&str>, display_text: &str) {
            let told = price(&of(member), "x", "catalog", "EUR").unwrap();
            let shown = told.price(Tax::Included);
            let found = shown.amount.map(|amount| amount.to_decimal().unwrap());
            assert_eq!((found.as_deref(), shown.display_text.as_str()), (amount, display_text));
            let source = told.notice().map(|notice| notice.source);
            assert_eq!(source.as_deref(), amount.is_none().then_some("catalog.x"));
        }
        check(Value::Int(12), Some("12"), "");
        check(Value::Double("1e-05".to_owned()), Some("0.00001"), "");
        check(Value::from("1337.42"), Some("1337.42"), "");
        check(Value::Double("0.0001369863".to_owned()), Some("0.000136986"), "0.0001369863");
        check(Value::Double("nan".to_owned()), None, "nan");
        check(Value::Boolean(true), None, "true");
        check(Value::Array(vec![Value::Int(1)]), None, "[1]");
    }

    #[test]
    fn whole_numbers() {
        fn check(member: Value, expected: Option<i64>) {
            assert_eq!(int(&of(member.clone()), "x").ok().flatten(), expected, "{member:?}");
        }
        check(Value::Int(12), Some(12));
        check(Value::Int(-1_863_666), Some(-1_863_666));
        check(Value::Double("51200.0".to_owned()), Some(51200));
        check(Value::Double("0.5".to_owned()), None);
        check(Value::Double("1e3".to_owned()), None);
        check(Value::from("12"), None);
        check(Value::Boolean(true), None);
    }

    #[test]
    fn what_is_of_another_type_is_an_error_and_not_nothing() {
        let wrong = of(Value::Array(vec![]));
        assert!(text(&wrong, "x").is_err());
        assert!(int(&wrong, "x").is_err());
        assert!(truth(&wrong, "x").is_err());
        assert!(moment(&wrong, "x", &Zone::UTC).is_err());
        assert!(texts(&of(Value::from("allowed")), "x").is_err());
        assert!(texts(&of(Value::Array(vec![Value::Int(1)])), "x").is_err());
    }

    #[test]
    fn truths() {
        fn check(member: Value, expected: Option<bool>) {
            assert_eq!(truth(&of(member.clone()), "x").ok().flatten(), expected, "{member:?}");
        }
        check(Value::Boolean(true), Some(true));
        check(Value::Int(1), Some(true));
        check(Value::Int(0), Some(false));
        check(Value::Int(2), None);
    }
}
