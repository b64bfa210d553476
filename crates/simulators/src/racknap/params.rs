//! The parameters of a call, whether they come as JSON or as a form, and the checks of their types.
//! Amounts stay the digits that were written; nothing here is a float.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::civil::Date;
use serde_json::value::RawValue;

use super::refusal::{Cause, Refusal};
use crate::money::Cents;

/// How days are written.
const DAY: &str = "%d/%m/%Y";

/// Parameters by name, as text. What is taken out is gone, so that what is left was not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a body. Assumption: the content type says which of the two it is; without one, a body that
    /// begins like an object is JSON.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let read = match kind {
            Some("application/x-www-form-urlencoded") => form(body),
            Some("application/json") => json(body),
            None if body.trim_ascii_start().starts_with(b"{") => json(body),
            None => form(body),
            Some(_) => None,
        };
        let unreadable = || Refusal::new(Cause::BodyUnreadable, "Parameters cannot be read.");
        read.map(Self).ok_or_else(unreadable)
    }

    /// All of it in one text, the same for two calls that say the same.
    pub(super) fn canonical(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value:?}\n"));
        pairs.collect()
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Refusal> {
        let value = self.optional(name, read)?;
        let missing = || Refusal::new(Cause::ParameterMissing, format!("{name} is required."));
        value.ok_or_else(missing)
    }

    /// A parameter that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let wrong = || Refusal::new(Cause::ParameterWrong, format!("{name} is not valid."));
        read(&text).map(Some).ok_or_else(wrong)
    }

    /// Assumption: a parameter that the call does not know is an error, and not passed over.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let message = format!("{name} is not a parameter of this call.");
                Err(Refusal::new(Cause::ParameterUnknown, message))
            }
        }
    }
}

/// A whole number, not negative.
pub(super) fn integer(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// An amount of money, not negative. Assumption: of at most two decimals.
pub(super) fn amount(text: &str) -> Option<Cents> {
    text.parse().ok().filter(|amount| *amount >= Cents::ZERO)
}

/// A day, DD/MM/YYYY with two, two and four digits.
pub(super) fn day(text: &str) -> Option<Date> {
    Date::strptime(DAY, text).ok().filter(|day| day.strftime(DAY).to_string() == text)
}

pub(super) fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn json(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    let scalar = |(name, raw): (String, Box<RawValue>)| {
        let text = match raw.get().as_bytes().first()? {
            b'"' => serde_json::from_str(raw.get()).ok()?,
            b'-' | b'0'..=b'9' => raw.get().to_owned(),
            b'n' => String::new(),
            _ => return None,
        };
        Some((name, text))
    };
    members.into_iter().map(scalar).collect()
}

fn form(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let body = std::str::from_utf8(body).ok()?;
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    let decoded = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((decode(name)?, decode(value)?))
    });
    decoded.collect()
}

/// Undoes the encoding of a form: `+` is a space, `%` and two digits are a byte.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Params, amount, day, form, integer, json};

    #[test]
    fn both_encodings_say_the_same() {
        let fields = json(br#"{"a": 1, "b": "x y&=\u00e9", "c": 528.10, "d": null}"#).unwrap();
        assert_eq!(form(b"a=1&b=x+y%26%3D%C3%A9&c=528.10&d=").unwrap(), fields);
        assert_eq!(fields["c"], "528.10");
        for wrong in [&b"[1]"[..], b"{\"a\": [1]}", b"{\"a\": {}}", b"{\"a\": true}", b"{", b""] {
            assert_eq!(json(wrong), None, "{wrong:?}");
        }
        for wrong in [&b"a"[..], b"a=%4", b"a=%zz", b"a=%ff", b"\xff=1"] {
            assert_eq!(form(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn values() {
        assert_eq!((integer("652"), integer("-1"), integer("1.0")), (Some(652), None, None));
        assert_eq!(amount("528.14").map(|it| it.to_string()).as_deref(), Some("528.14"));
        assert_eq!((amount("-1"), amount("1.234"), amount("1e3")), (None, None, None));
        assert!(day("29/02/2020").is_some());
        for wrong in ["29/02/2019", "2019-07-23", "23/7/2019", "07/23/2019", "23/07/19"] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_left_was_not_asked_for() {
        let mut params = Params(form(b"serviceid=7&extra=1").unwrap());
        assert_eq!(params.required("serviceid", integer), Ok(7));
        assert_eq!(params.required("serviceid", integer).unwrap_err().code, 2001);
        assert_eq!(params.finish().unwrap_err().code, 2003);
    }
}
