//! JSON read strictly: one document, and no member twice, because readers differ in which of two they
//! believe. Depth is bounded. A number that no machine number holds is its digits as text, so that it
//! hides nothing beside it.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::BodyError;

/// How deep a document may be that has a number out of range: each level is read once more.
const DEPTH: usize = 24;

pub(super) fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    // Whatever else is wrong is wrong for the second reading too.
    let value = once(bytes).or_else(|_| by_digits(serde_json::from_slice(bytes)?, DEPTH));
    value.map_err(|error| BodyError::Malformed(error.to_string()))
}

fn once(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Strict(value) = Strict::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

fn by_digits(raw: &RawValue, depth: usize) -> Result<Value, serde_json::Error> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') => {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(serde_json::Error::custom("the document is nested too deep"));
            };
            ByDigits(depth).deserialize(&mut serde_json::Deserializer::from_str(text))
        }
        Some(b'-' | b'0'..=b'9') => Ok(serde_json::from_str::<Number>(text)
            .map_or_else(|_| Value::String(text.to_owned()), Value::Number)),
        _ => serde_json::from_str(text),
    }
}

/// The inside of an object or a list, which may be so much deeper.
struct ByDigits(usize);

impl<'de> DeserializeSeed<'de> for ByDigits {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ByDigits {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            values.push(by_digits(raw, self.0).map_err(A::Error::custom)?);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            let value = by_digits(raw, self.0).map_err(A::Error::custom)?;
            add(&mut members, name, value)?;
        }
        Ok(Value::Object(members))
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue.deserialize(deserializer).map(Self)
    }
}

struct StrictValue;

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number is not finite"));
        number.map(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(StrictValue)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(twice(&name));
            }
            let value = map.next_value_seed(StrictValue)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn add<E: serde::de::Error>(
    members: &mut Map<String, Value>,
    name: String,
    value: Value,
) -> Result<(), E> {
    if members.contains_key(&name) {
        return Err(twice(&name));
    }
    members.insert(name, value);
    Ok(())
}

fn twice<E: serde::de::Error>(name: &str) -> E {
    E::custom(format_args!("the member {name:?} is there twice"))
}
