//! A JSON document whose numbers are the digits that came, for answers of which no document tells the
//! members. It is read with a limit on its depth, and a member that is there twice is an error, because
//! readers differ in which of two they believe.

use std::fmt;

use purveyor_sdk::prost_types::{ListValue, NullValue, Struct, Value as Shown, value::Kind};
use purveyor_sdk::serde::de::{
    DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use purveyor_sdk::serde_json::{self, Value, value::RawValue};

/// How deep an answer may be nested: more than any plan needs, far below the stack.
const DEPTH: usize = 24;

/// The largest whole number that a double holds exactly; what is larger is shown as text.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Truth(bool),
    /// The digits of a number.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads one document.
    ///
    /// # Errors
    ///
    /// What is no JSON, too deep, or has a member twice.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_slice(bytes)?;
        of_raw(raw, DEPTH)
    }

    /// The member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The members, none where it is no object.
    pub(crate) fn members(&self) -> &[(String, Tree)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a string, or the digits of a number.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    /// As an attribute.
    pub(crate) fn shown(&self) -> Shown {
        let kind = match self {
            Self::Null => Kind::NullValue(NullValue::NullValue.into()),
            Self::Truth(truth) => Kind::BoolValue(*truth),
            Self::Number(digits) => match digits.parse::<f64>() {
                Ok(number) if number.abs() <= EXACT => Kind::NumberValue(number),
                _ => Kind::StringValue(digits.clone()),
            },
            Self::Text(text) => Kind::StringValue(text.clone()),
            Self::List(values) => {
                let values = values.iter().map(Tree::shown).collect();
                Kind::ListValue(ListValue { values })
            }
            Self::Object(members) => {
                let fields = members.iter().map(|(name, value)| (name.clone(), value.shown()));
                Kind::StructValue(Struct { fields: fields.collect() })
            }
        };
        Shown { kind: Some(kind) }
    }
}

fn of_raw(raw: &RawValue, depth: usize) -> Result<Tree, serde_json::Error> {
    let text = raw.get();
    let Some(depth) = depth.checked_sub(1) else {
        return Err(serde_json::Error::custom("the document is nested too deep"));
    };
    Ok(match text.as_bytes().first() {
        Some(b'{' | b'[') => {
            Inside(depth).deserialize(&mut serde_json::Deserializer::from_str(text))?
        }
        Some(b'-' | b'0'..=b'9') => Tree::Number(text.to_owned()),
        _ => match serde_json::from_str(text)? {
            Value::String(text) => Tree::Text(text),
            Value::Bool(truth) => Tree::Truth(truth),
            _ => Tree::Null,
        },
    })
}

/// Reads the inside of an object or a list, which may be so much deeper.
struct Inside(usize);

impl<'de> DeserializeSeed<'de> for Inside {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            values.push(of_raw(raw, self.0).map_err(A::Error::custom)?);
        }
        Ok(Tree::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members: Vec<(String, Tree)> = Vec::new();
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("the member {name:?} is there twice")));
            }
            members.push((name, of_raw(raw, self.0).map_err(A::Error::custom)?));
        }
        Ok(Tree::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn digits_stay_digits() {
        let tree =
            Tree::read(br#"{"a": 528.10, "b": [1e3, "x", true, null], "c": {"d": "5"}}"#).unwrap();
        assert_eq!(tree.get("a"), Some(&Tree::Number("528.10".to_owned())));
        let list = vec![
            Tree::Number("1e3".to_owned()),
            Tree::Text("x".to_owned()),
            Tree::Truth(true),
            Tree::Null,
        ];
        assert_eq!(tree.get("b"), Some(&Tree::List(list)));
        assert_eq!(tree.get("c").and_then(|c| c.get("d")).and_then(Tree::text), Some("5"));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = format!("{}{}", "[".repeat(40_000), "]".repeat(40_000));
        for wrong in ["", "{", "{}x", r#"{"a":1,"a":2}"#, "\u{0}", deep.as_str()] {
            assert!(Tree::read(wrong.as_bytes()).is_err(), "{:.20}", wrong);
        }
        assert!(Tree::read(b"\xff").is_err());
        let within = format!("{}{}", "[".repeat(20), "]".repeat(20));
        assert!(Tree::read(within.as_bytes()).is_ok());
    }

    #[test]
    fn large_numbers_are_shown_as_text() {
        let shown = format!("{:?}", Tree::read(b"[9007199254740993000, 12]").unwrap().shown());
        assert!(shown.contains("StringValue(\"9007199254740993000\")"), "{shown}");
        assert!(shown.contains("NumberValue(12.0)"), "{shown}");
    }
}
