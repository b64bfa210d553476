//! XML-RPC as the upstream speaks it. Values and the reading of calls are those of the `dxr`
//! crate; answers are written here, because the recorded ones differ from what `dxr` writes
//! (`<int>`, `5120.0`, an empty string for null). Nothing here may know what a value means.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dxr::{MethodCall, Value};
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};

/// A method with its parameters, the API key among them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) params: Vec<Value>,
}

/// How null is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullStyle {
    /// `<string></string>` for a field of any type, as in answers recorded in 2011.
    #[default]
    EmptyString,
    /// `<nil/>`, as in later answers.
    Nil,
}

/// Reads a call, or nothing when the bytes are none.
pub(super) fn read_call(body: &[u8]) -> Option<Call> {
    let call = MethodCall::from_xml(std::str::from_utf8(body).ok()?).ok()?;
    Some(Call { method: call.name.into_owned(), params: call.params })
}

/// The document that answers a call.
pub(super) fn response(value: &Value, nulls: NullStyle) -> String {
    let mut text = String::from("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n");
    write_value(&mut text, value, nulls);
    text.push_str("\n</param>\n</params>\n</methodResponse>\n");
    text
}

/// The document that refuses a call.
pub(super) fn fault(code: i32, reason: &str) -> String {
    let members = structure([("faultCode", Value::Integer(code)), ("faultString", string(reason))]);
    let mut text = String::from("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n");
    write_value(&mut text, &members, NullStyle::Nil);
    text.push_str("\n</fault>\n</methodResponse>\n");
    text
}

/// One value in a spelling of its own, so that equal values are equal text.
pub(super) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, NullStyle::Nil);
    text
}

pub(super) fn string(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

pub(super) fn structure<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Struct(members.collect::<BTreeMap<_, _>>())
}

fn write_value(text: &mut String, value: &Value, nulls: NullStyle) {
    text.push_str("<value>");
    match value {
        Value::Integer(number) => element(text, "int", &number.to_string()),
        Value::Boolean(truth) => element(text, "boolean", if *truth { "1" } else { "0" }),
        Value::String(content) => element(text, "string", &escape(content.as_str())),
        // The debugging form keeps the decimal point of whole numbers.
        Value::Double(number) => element(text, "double", &format!("{number:?}")),
        Value::DateTime(date) => element(text, "dateTime.iso8601", &date.to_string()),
        Value::Array(items) => {
            text.push_str("<array><data>\n");
            for item in items {
                write_value(text, item, nulls);
                text.push('\n');
            }
            text.push_str("</data></array>");
        }
        Value::Struct(members) => {
            text.push_str("<struct>\n");
            for (name, member) in members {
                text.push_str("<member>\n");
                element(text, "name", &escape(name.as_str()));
                text.push('\n');
                write_value(text, member, nulls);
                text.push_str("\n</member>\n");
            }
            text.push_str("</struct>");
        }
        Value::Nil if nulls == NullStyle::Nil => text.push_str("<nil/>"),
        Value::Nil => text.push_str("<string></string>"),
        Value::Base64(bytes) => element(text, "base64", &BASE64_STANDARD.encode(bytes)),
        _ => text.push_str("<nil/>"),
    }
    text.push_str("</value>");
}

fn element(text: &mut String, name: &str, content: &str) {
    for part in ["<", name, ">", content, "</", name, ">"] {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use dxr::Value;

    use super::{NullStyle, canonical, read_call, response, string, structure};

    #[test]
    fn answers_are_spelled_as_recorded() {
        let check = |value: Value, nulls: NullStyle, expected: &str| {
            let text = response(&value, nulls);
            assert!(text.contains(&format!("<value>{expected}</value>")), "{text}");
        };
        check(Value::Integer(-3), NullStyle::Nil, "<int>-3</int>");
        check(Value::Double(5120.0), NullStyle::Nil, "<double>5120.0</double>");
        check(Value::Double(0.667), NullStyle::Nil, "<double>0.667</double>");
        check(Value::Boolean(true), NullStyle::Nil, "<boolean>1</boolean>");
        check(string("a<b&c"), NullStyle::Nil, "<string>a&lt;b&amp;c</string>");
        check(Value::Nil, NullStyle::Nil, "<nil/>");
        check(Value::Nil, NullStyle::EmptyString, "<string></string>");
        let date = "20110324T15:49:50";
        let written = format!("<dateTime.iso8601>{date}</dateTime.iso8601>");
        check(Value::DateTime(date.parse().unwrap()), NullStyle::Nil, &written);
    }

    #[test]
    fn calls_are_read_as_python_writes_them() {
        let body = b"<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n\
            <param>\n<value><string>k</string></value>\n</param>\n<param>\n<value><struct>\n\
            <member>\n<name>n</name>\n<value><int>3</int></value>\n</member>\n</struct></value>\n\
            </param>\n</params>\n</methodCall>\n";
        let call = read_call(body).unwrap();
        assert_eq!(call.method, "a.b");
        assert_eq!(call.params, [string("k"), structure([("n", Value::Integer(3))])]);
        assert_eq!(read_call(b"<methodCall>"), None);
        assert_eq!(read_call(b"\xff"), None);
    }

    #[test]
    fn equal_values_are_equal_text() {
        let one = structure([("a", Value::Integer(1)), ("b", Value::Nil)]);
        let other = structure([("b", Value::Nil), ("a", Value::Integer(1))]);
        assert_eq!(canonical(&one), canonical(&other));
    }
}
