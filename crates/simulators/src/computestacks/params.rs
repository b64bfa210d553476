//! The parameters of a call, read as generously as Rails reads them: numbers may be text, blank is
//! nothing. It must not know what a parameter is for.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

use super::answer::{Answer, Refusal, errors};

/// The members under the root key of a body.
#[derive(Debug)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Assumption: a body without its root key is answered 400 with a page.
    pub(super) fn read(body: &Bytes, root: &str) -> Result<Self, Refusal> {
        let bad = || {
            let message = "Bad Request. Please check the documentation.";
            errors(StatusCode::UNPROCESSABLE_ENTITY, [message])
        };
        let document: Value = serde_json::from_slice(body).map_err(|_| bad())?;
        match document {
            Value::Object(mut members) => match members.remove(root) {
                Some(Value::Object(params)) => Ok(Self(params)),
                _ => {
                    Err(Answer::text(StatusCode::BAD_REQUEST, "<h1>400 Bad Request</h1>").refuse())
                }
            },
            _ => Err(bad()),
        }
    }

    /// Whether the caller names it, be it with null.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// Text; numbers become text, blank is nothing.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The members of a nested object.
    pub(super) fn nested(&self, name: &str) -> Option<Self> {
        match self.value(name) {
            Value::Object(members) => Some(Self(members.clone())),
            _ => None,
        }
    }

    /// A whole number, or why it is none.
    pub(super) fn whole(&self, name: &str) -> Whole {
        let text = match self.value(name) {
            Value::Null => return Whole::Blank,
            Value::String(text) if text.trim().is_empty() => return Whole::Blank,
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return Whole::NotANumber,
        };
        match text.parse() {
            Ok(number) => Whole::Number(number),
            Err(_) => Whole::NotANumber,
        }
    }
}

/// What a parameter that should be a whole number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Blank,
    Number(i64),
    NotANumber,
}

impl Whole {
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Blank | Self::NotANumber => None,
        }
    }
}
