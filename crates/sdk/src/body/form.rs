//! Forms (`application/x-www-form-urlencoded`) as an object of texts; a field that is there twice makes
//! the whole body ambiguous, and so it is refused.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::BodyError;

pub(super) fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    let malformed = |message: &str| BodyError::Malformed(message.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the form is not UTF-8"))?;
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if fields.insert(name, Value::String(value)).is_some() {
            return Err(malformed("a field is there twice"));
        }
    }
    Ok(Value::Object(fields))
}

fn decode(text: &str) -> Result<String, BodyError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|error| BodyError::Malformed(error.to_string()))?;
    Ok(decoded.into_owned())
}
