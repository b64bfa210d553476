//! One member of a JSON object in the type it should have, read from its own digits and never
//! through a float. It must not know what a member means.

use std::collections::BTreeMap;

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::{self, ListValue, Struct, Timestamp, Value as Field, value::Kind};
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::serde_json::value::RawValue;
use purveyor_sdk::serde_json::{self, Value};
use purveyor_sdk::{Error, Result, time};

/// The largest whole number that a double holds exactly; what is larger is shown as text.
const EXACT: u64 = 1 << 53;

/// The members of one JSON object, unread.
#[derive(Debug, Default, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", transparent)]
pub(crate) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// The text of a member that says something.
    fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// Whether the member is there and says something.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>> {
        let read = |raw| serde_json::from_str(raw).map_err(|_| not_understood(name));
        self.raw(name).map(read).transpose()
    }

    /// A whole number, be it a JSON number or text with one.
    pub(crate) fn whole(&self, name: &str) -> Result<Option<i64>> {
        let whole = |digits: String| {
            let (units, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
            let whole = decimals.bytes().all(|digit| digit == b'0');
            whole.then(|| units.parse().ok()).flatten().ok_or_else(|| not_understood(name))
        };
        self.decimal(name)?.map(whole).transpose()
    }

    /// The digits of a number, be it a JSON number or text with one.
    pub(crate) fn decimal(&self, name: &str) -> Result<Option<String>> {
        let digits = |raw: &str| {
            let text = match raw.starts_with('"') {
                true => serde_json::from_str(raw).ok(),
                false => Some(raw.to_owned()),
            };
            text.filter(|text| is_decimal(text)).ok_or_else(|| not_understood(name))
        };
        self.raw(name).map(digits).transpose()
    }

    /// A price. One that is no amount hides nothing beside it.
    pub(crate) fn price(&self, name: &str, at: &str, currency: &str) -> ToldPrice {
        let member = self.0.get(name).map(AsRef::as_ref);
        ToldPrice::of_json(format!("{at}.{name}"), member, currency)
    }

    /// The text of a string, and anything else as it was written.
    pub(crate) fn written(&self, name: &str) -> Option<String> {
        let raw = self.raw(name)?;
        Some(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
    }

    /// A moment; `None` where nothing is told, or not as a moment that can be read.
    pub(crate) fn moment(&self, name: &str) -> Option<Timestamp> {
        let text: String = serde_json::from_str(self.raw(name)?).ok()?;
        time::rfc3339(&text).ok()
    }

    /// Another object.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>> {
        let read = |raw| serde_json::from_str(raw).map_err(|_| not_understood(name));
        self.raw(name).map(read).transpose()
    }

    /// Several objects; none where the upstream tells nothing.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Self>> {
        let read = |raw| serde_json::from_str(raw).map_err(|_| not_understood(name));
        self.raw(name).map_or(Ok(Vec::new()), read)
    }

    /// An identifier, which is positive.
    pub(crate) fn id(&self) -> Result<i64> {
        self.whole("id")?.filter(|id| *id > 0).ok_or_else(|| not_understood("id"))
    }

    /// Whatever says something beside the members that have a place of their own, in the upstream's
    /// spelling.
    pub(crate) fn rest(&self, placed: &[&str]) -> Struct {
        let left = self.0.keys().filter(|name| !placed.contains(&name.as_str()));
        let told = left.filter_map(|name| {
            let raw = self.raw(name)?;
            // What no machine number holds is text.
            let value = serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned()));
            Some((name.clone(), attribute(value)))
        });
        Struct { fields: told.collect() }
    }
}

/// UPSTREAM_UNAVAILABLE: what stands there is not what should.
pub(crate) fn not_understood(name: &str) -> Error {
    Error::unavailable(format!("the upstream's {name} cannot be understood"))
}

/// `-?[0-9]+(\.[0-9]+)?`.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (units, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    plain(units) && plain(decimals)
}

/// A JSON value as an attribute.
fn attribute(value: Value) -> Field {
    let kind = match value {
        Value::Null => Kind::NullValue(prost_types::NullValue::NullValue.into()),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => match number.as_f64() {
            Some(exact) if number.as_i64().is_none_or(|whole| whole.unsigned_abs() < EXACT) => {
                Kind::NumberValue(exact)
            }
            _ => Kind::StringValue(number.to_string()),
        },
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(attribute).collect() })
        }
        Value::Object(members) => {
            let fields = members.into_iter().map(|(name, value)| (name, attribute(value)));
            Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    Field { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Kind};
    use purveyor_sdk::serde_json;

    fn fields(value: &str) -> Fields {
        serde_json::from_str(&format!("{{\"x\":{value}}}")).unwrap()
    }

    #[test]
    fn numbers_come_as_numbers_or_as_text() {
        fn check(value: &str, whole: Option<i64>, decimal: Option<&str>) {
            let fields = fields(value);
            assert_eq!(fields.whole("x").ok().flatten(), whole, "{value}");
            assert_eq!(fields.decimal("x").ok().flatten().as_deref(), decimal, "{value}");
        }
        check("1536", Some(1536), Some("1536"));
        check("\"1536\"", Some(1536), Some("1536"));
        check("2.5", None, Some("2.5"));
        check("\"1.0\"", Some(1), Some("1.0"));
        check(
            "0.1000000000000000055511151231257827",
            None,
            Some("0.1000000000000000055511151231257827"),
        );
        check("null", None, None);
        for wrong in ["\"\"", "\"1e3\"", "1e3", "true", "[1]", "{}", "\" 1\""] {
            assert!(fields(wrong).decimal("x").is_err(), "{wrong}");
            assert!(fields(wrong).whole("x").is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_place_is_kept_as_it_is() {
        fn check(value: &str, expected: Option<Kind>) {
            let rest = fields(value).rest(&["y"]);
            assert_eq!(rest.fields.get("x").cloned().and_then(|it| it.kind), expected, "{value}");
        }
        check("null", None);
        check("1", Some(Kind::NumberValue(1.0)));
        check("9007199254740993", Some(Kind::StringValue("9007199254740993".to_owned())));
        check("\"a\"", Some(Kind::StringValue("a".to_owned())));
        check("true", Some(Kind::BoolValue(true)));
        check("1e400", Some(Kind::StringValue("1e400".to_owned())));
        assert!(fields("1").rest(&["x"]).fields.is_empty());
    }

    #[test]
    fn other_types_are_not_understood() {
        assert!(fields("1").text("x").is_err());
        assert!(fields("1").object("x").is_err());
        assert!(fields("{}").objects("x").is_err());
        assert_eq!(fields("null").objects("x").unwrap().len(), 0);
        assert_eq!(fields("\"yesterday\"").moment("x"), None);
        assert!(fields("\"2021-12-23T10:00:00Z\"").moment("x").is_some());
        assert!(fields("1").id().is_err());
    }
}
