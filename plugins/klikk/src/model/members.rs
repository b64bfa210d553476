//! A JSON object whose members are taken one by one; the rest are attributes. Numbers keep their digits,
//! and an object with a member twice is none, because readers differ in which they believe.

use std::collections::BTreeMap;
use std::fmt;

use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::serde::de::{Error as _, MapAccess, Visitor};
use purveyor_sdk::serde::{Deserialize, Deserializer};
use purveyor_sdk::serde_json::value::RawValue;
use purveyor_sdk::time::{Zone, rfc3339};
use purveyor_sdk::{Answer, Error, Result, serde_json};

use super::attribute::attribute;

/// The members of an object that were not taken yet, as they were written.
#[derive(Debug)]
pub(crate) struct Members(BTreeMap<String, Box<RawValue>>);

impl Members {
    /// The object in these bytes.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for what is none.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| not_understood("object").with_source(error))
    }

    /// The text of a member: a string, or a number in digits.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let raw = self.0.get(name)?.get();
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok(),
            b'-' | b'0'..=b'9' => Some(raw.to_owned()),
            _ => None,
        }
    }

    /// Takes text. What is of another type stays and becomes an attribute.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        self.0.remove(name);
        Some(text)
    }

    /// Takes what says something, as it was written.
    pub(crate) fn take_raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        if self.0.get(name)?.get() == "null" { None } else { self.0.remove(name) }
    }

    /// Takes an identifier: a positive whole number, or text of one.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it is missing or none.
    pub(crate) fn take_id(&mut self, name: &str) -> Result<u64> {
        let id = self.take_text(name).as_deref().and_then(id_of);
        id.ok_or_else(|| not_understood(name))
    }

    pub(crate) fn take_bool(&mut self, name: &str) -> Option<bool> {
        let truth = serde_json::from_str(self.0.get(name)?.get()).ok()?;
        self.0.remove(name);
        Some(truth)
    }

    /// Takes a moment, with a zone of its own or in the account's.
    pub(crate) fn take_moment(&mut self, name: &str, zone: &Zone) -> Option<Timestamp> {
        let text = self.text(name)?;
        let moment = rfc3339(&text).or_else(|_| zone.moment(&text)).ok()?;
        self.0.remove(name);
        Some(moment)
    }

    /// Takes a text or a list of texts.
    pub(crate) fn take_texts(&mut self, name: &str) -> Vec<String> {
        let Some(raw) = self.0.get(name) else { return Vec::new() };
        let list = serde_json::from_str::<Vec<String>>(raw.get());
        let texts = list.or_else(|_| serde_json::from_str(raw.get()).map(|text| vec![text]));
        let Ok(texts) = texts else { return Vec::new() };
        self.0.remove(name);
        texts
    }

    /// Takes a list of objects, each for itself; `None` where there is no such member.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for what is no list of objects.
    pub(crate) fn take_rows(&mut self, name: &str) -> Result<Option<Vec<Result<Members>>>> {
        let rows = self.0.remove(name).map(|raw| each(raw.get().as_bytes(), name));
        rows.transpose()
    }

    /// Notes the members that have a place of their own and were not taken: they are of another type than
    /// they should be, and become attributes.
    pub(crate) fn note_left(&self, at: &str, placed: &[&str], gaps: &mut Gaps) {
        let left =
            placed.iter().filter(|name| self.0.get(**name).is_some_and(|raw| raw.get() != "null"));
        for name in left {
            gaps.add(format!("{at}{name}"), &not_understood(name));
        }
    }

    /// What was not taken, as it was written.
    pub(super) fn into_raw(self) -> BTreeMap<String, Box<RawValue>> {
        self.0
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> Struct {
        let fields = self.0.into_iter();
        let fields = fields.map(|(name, raw)| {
            let value = attribute(&name, &raw);
            (name, value)
        });
        Struct { fields: fields.collect() }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Once)
    }
}

/// Reads an object each of whose members is there once.
struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, raw)) = map.next_entry::<String, Box<RawValue>>()? {
            if members.insert(name, raw).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Members(members))
    }
}

/// The rows of a listing: a list, or an object with the list under `name`.
///
/// # Errors
///
/// UPSTREAM_UNAVAILABLE for anything else.
pub(crate) fn rows(answer: &Answer, name: &str) -> Result<Vec<Result<Members>>> {
    let begins = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins == Some(&b'{') {
        let rows = Members::read(&answer.body)?.take_rows(name)?;
        return rows.ok_or_else(|| not_understood(name));
    }
    each(&answer.body, name)
}

/// The objects of a list, each for itself.
///
/// # Errors
///
/// UPSTREAM_UNAVAILABLE for what is no list of objects.
fn each(list: &[u8], name: &str) -> Result<Vec<Result<Members>>> {
    let rows = serde_json::from_slice::<Vec<Box<RawValue>>>(list);
    let rows = rows.map_err(|error| not_understood(name).with_source(error))?;
    if rows.iter().any(|row| !row.get().starts_with('{')) {
        return Err(not_understood(name));
    }
    Ok(rows.iter().map(|row| Members::read(row.get().as_bytes())).collect())
}

/// An identifier in its one spelling.
pub(crate) fn id_of(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|id| *id > 0 && id.to_string() == text)
}

/// UPSTREAM_UNAVAILABLE: a member is of another type than the document shows, or missing.
pub(crate) fn not_understood(name: &str) -> Error {
    Error::unavailable(format!("the upstream's answer cannot be understood: {name}"))
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::time::Zone;

    use super::{Members, id_of};

    fn of(json: &str) -> Members {
        Members::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn texts_and_numbers() {
        fn check(json: &str, expected: Option<&str>) {
            let members = of(&format!("{{\"x\":{json}}}"));
            assert_eq!(members.text("x").as_deref(), expected, "{json}");
        }
        check("\"a\"", Some("a"));
        check("200", Some("200"));
        check("45.44", Some("45.44"));
        check("null", None);
        check("[1]", None);
        check("true", None);
    }

    #[test]
    fn identifiers_have_one_spelling() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(id_of(text), expected, "{text:?}");
        }
        check("73", Some(73));
        check("18446744073709551615", Some(u64::MAX));
        for text in ["0", "-1", "+1", "01", "1.0", "", " 1", "x", "18446744073709551616"] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_of_another_type_stays() {
        let mut members = of(r#"{"when":"soon","renews":"yes","ips":7,"name":[1]}"#);
        assert_eq!(members.take_moment("when", &Zone::UTC), None);
        assert_eq!(members.take_bool("renews"), None);
        assert!(members.take_texts("ips").is_empty());
        assert_eq!(members.take_text("name"), None);
        assert_eq!(members.rest().fields.len(), 4);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["", "null", "[]", "{", r#"{"a":1,"a":2}"#, "{} {}", "0.5"] {
            assert!(Members::read(json.as_bytes()).is_err(), "{json}");
        }
    }
}
