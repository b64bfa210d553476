//! A response as the JSON document that the pointers of a manifest look into.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::{Response, Value};

/// `{"params": [value]}` or `{"fault": {"faultCode": …, "faultString": …}}`; whole numbers become
/// numbers, doubles, times and base64 their text, nil becomes null.
pub fn to_json(response: &Response) -> Json {
    match response {
        Response::Value(value) => json!({ "params": [of(value)] }),
        Response::Fault { code, string } => {
            json!({ "fault": { "faultCode": code, "faultString": string } })
        }
    }
}

/// No deeper than what was read or written, which is bounded.
fn of(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Boolean(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::from(*number),
        Value::Double(text) | Value::String(text) | Value::DateTime(text) => {
            Json::String(text.clone())
        }
        Value::Base64(bytes) => Json::String(STANDARD.encode(bytes)),
        Value::Array(values) => Json::Array(values.iter().map(of).collect()),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| (name.clone(), of(value))).collect()
        }
    }
}
