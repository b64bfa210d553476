//! The rules of the values that requests share: amounts, terms, days, tags, masks, request ids.
//!
//! Every mistake is collected, so that a caller sees all of them at once. Nothing here asks anybody:
//! the same request always gets the same answer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prost_types::FieldMask;
use purveyor_sdk::names::{OperationName, request_id_of};
use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{Date, ErrorReason, Money, Payment, Term};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

/// Tags of one resource: what a person still reads.
const ANNOTATIONS: usize = 32;
/// The bytes of a tag's key: those of a label in DNS and in most systems that tags come from.
const ANNOTATION_KEY_BYTES: usize = 63;
/// The bytes of a tag's value.
const ANNOTATION_VALUE_BYTES: usize = 256;
/// The bytes of a text that names something (a reference, a customer, a display name).
pub const TEXT_BYTES: usize = 256;
/// The most of one thing that an order or a service can have: more is a slip of a finger.
pub const QUANTITY_MAX: i32 = 100_000;
/// The most operations that one request overrides.
const OVERRIDES_MAX: usize = 100;

/// The mistakes of one request.
#[derive(Debug, Default)]
pub struct Mistakes {
    found: Vec<FieldViolation>,
}

impl Mistakes {
    /// Adds one.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.found.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// Adds those that another check has found already.
    pub fn extend(&mut self, more: impl IntoIterator<Item = FieldViolation>) {
        self.found.extend(more);
    }

    /// # Errors
    ///
    /// FIELD_VIOLATION with every mistake, when there is one.
    pub fn finish(self) -> Result<()> {
        if self.found.is_empty() { Ok(()) } else { Err(Error::fields(self.found)) }
    }

    /// An amount that a caller gives: ISO 4217 code, not negative, of one sign.
    pub fn money(&mut self, field: &str, money: Option<&Money>) {
        let Some(money) = money else { return };
        let code = &money.currency_code;
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            self.add(format!("{field}.currency_code"), "must be an ISO 4217 code such as EUR");
        }
        if let Err(error) = money.check() {
            self.add(field, error.to_string());
        } else if money.units < 0 || money.nanos < 0 {
            self.add(field, "must not be negative");
        }
    }

    /// A term, put into its normal form; the upstream's spelling in it is dropped.
    pub fn term(&mut self, field: &str, term: &mut Option<Term>) {
        let Some(given) = term else { return };
        given.upstream_value.clear();
        match given.clone().normalized() {
            Ok(normal) => *given = normal,
            Err(error) => self.add(format!("{field}.period"), error.to_string()),
        }
    }

    /// A day of the calendar.
    pub fn date(&mut self, field: &str, date: Option<&Date>) {
        let Some(date) = date else { return };
        let part = |value: i32| i8::try_from(value).ok();
        let day = i16::try_from(date.year)
            .ok()
            .filter(|year| *year >= 1)
            .zip(part(date.month))
            .zip(part(date.day))
            .and_then(|((year, month), day)| jiff::civil::Date::new(year, month, day).ok());
        if day.is_none() {
            self.add(field, "is no day of the calendar");
        }
    }

    /// The caller's own tags.
    pub fn annotations(&mut self, field: &str, annotations: &BTreeMap<String, String>) {
        if annotations.len() > ANNOTATIONS {
            self.add(field, format!("has more than {ANNOTATIONS} entries"));
        }
        for (key, value) in annotations {
            if key.is_empty() || key.len() > ANNOTATION_KEY_BYTES {
                let message = format!("a key has 1 to {ANNOTATION_KEY_BYTES} bytes");
                self.add(field, message);
            }
            if value.len() > ANNOTATION_VALUE_BYTES {
                let message = format!("has more than {ANNOTATION_VALUE_BYTES} bytes");
                self.add(format!("{field}[{key:?}]"), message);
            }
        }
    }

    /// A short text in one line.
    pub fn text(&mut self, field: &str, text: &str) {
        if text.len() > TEXT_BYTES {
            self.add(field, format!("has more than {TEXT_BYTES} bytes"));
        }
        if text.chars().any(char::is_control) {
            self.add(field, "has a control character");
        }
    }

    /// How many of something.
    pub fn quantity(&mut self, field: &str, quantity: i32) {
        if !(1..=QUANTITY_MAX).contains(&quantity) {
            self.add(field, format!("must be 1 to {QUANTITY_MAX}"));
        }
    }

    /// How to pay, when the caller says so.
    pub fn payment(&mut self, field: &str, payment: Option<&Payment>) {
        match payment.map(|payment| &payment.choice) {
            None | Some(Some(Choice::DefaultMethod(true))) => {}
            Some(None) => self.add(field, "must be default_method or method"),
            Some(Some(Choice::DefaultMethod(false))) => {
                self.add(format!("{field}.default_method"), "must be true when it is set");
            }
            Some(Some(Choice::Method(method))) => {
                if method.r#type.is_empty() {
                    let message = "must be the type that ListPaymentMethods gave";
                    self.add(format!("{field}.method.type"), message);
                }
                self.text(&format!("{field}.method.type"), &method.r#type);
                self.text(&format!("{field}.method.id"), &method.id);
            }
        }
    }

    /// Names of operations that the request overrides.
    pub fn overrides(&mut self, field: &str, operations: &[String]) {
        if operations.len() > OVERRIDES_MAX {
            self.add(field, format!("has more than {OVERRIDES_MAX} operations"));
        }
        for (index, name) in operations.iter().enumerate().take(OVERRIDES_MAX) {
            if let Err(error) = name.parse::<OperationName>() {
                self.add(format!("{field}[{index}]"), error.to_string());
            }
        }
    }

    /// The moment of a timestamp; `None` also for a wrong one.
    pub fn moment(
        &mut self,
        field: &str,
        timestamp: Option<&prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        let timestamp = timestamp?;
        let moment = (0..1_000_000_000)
            .contains(&timestamp.nanos)
            .then(|| Timestamp::new(timestamp.seconds, timestamp.nanos).ok())
            .flatten();
        if moment.is_none() {
            self.add(field, "is no moment between the years 1 and 9999");
        }
        moment
    }
}

/// The caller's request id, lower-cased; `None` for `validate_only`, which does not look at it.
///
/// # Errors
///
/// REQUEST_ID_REQUIRED, FIELD_VIOLATION.
pub fn request_id(text: &str, validate_only: bool) -> Result<Option<Uuid>> {
    if validate_only {
        return Ok(None);
    }
    if text.is_empty() {
        let message = "a write needs a request_id: a UUID that the caller keeps for repeats";
        return Err(Error::new(ErrorReason::RequestIdRequired, message));
    }
    let canonical = request_id_of(text).map_err(|error| error.field("request_id"))?;
    let id = Uuid::parse_str(&canonical)
        .map_err(|error| Error::field("request_id", "has to be a UUID").with_source(error))?;
    Ok(Some(id))
}

/// What an update changes: the mask's paths, each once and in order; for an empty mask those that it
/// implies.
///
/// `known` are the fields of the resource that an update can name at all, and `updatable` those that
/// the provider can change. A path stands for everything below it.
///
/// # Errors
///
/// FIELD_VIOLATION of `update_mask`, naming each path that cannot be changed.
pub fn masked(
    mask: Option<&FieldMask>,
    implied: &[&str],
    known: &[&str],
    updatable: &[String],
) -> Result<Vec<String>> {
    let named = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    let paths: BTreeSet<String> = if named.is_empty() {
        implied.iter().map(|path| (*path).to_owned()).collect()
    } else {
        named.iter().cloned().collect()
    };
    let mut mistakes = Mistakes::default();
    for path in &paths {
        if !known.contains(&path.as_str()) {
            mistakes.add("update_mask", unknown_path(path, known));
        } else if !updatable.iter().any(|allowed| covers(allowed, path)) {
            mistakes.add("update_mask", format!("the provider cannot change {path}"));
        }
    }
    if paths.is_empty() {
        mistakes.add("update_mask", "nothing is to be changed");
    }
    mistakes.finish()?;
    let below = |path: &String| paths.iter().any(|other| other != path && covers(other, path));
    Ok(paths.iter().filter(|path| !below(path)).cloned().collect())
}

/// What is said of the unset member `path` that the mask names as `named`.
pub fn required(named: &str, path: &str) -> String {
    if named == path {
        return "is required by the mask: there is no value that unset could mean".to_owned();
    }
    format!("is required by the mask, which replaces {named} whole: name only what is to change")
}

/// What is wrong with a path that is none of the known fields.
fn unknown_path(path: &str, known: &[&str]) -> String {
    let below = |outer: &&str| outer.len() < path.len() && covers(outer, path);
    let outer = known.iter().copied().filter(below).max_by_key(|outer| outer.len());
    let is_leaf = |outer: &str| !known.iter().any(|it| *it != outer && covers(outer, it));
    match (path, outer) {
        ("", _) => "an empty path names no field".to_owned(),
        ("*", _) => "\"*\" is not supported: name the fields to change".to_owned(),
        (_, Some(outer)) if is_leaf(outer) => {
            format!("{path:?} is below {outer}, which is changed as a whole: name {outer}")
        }
        _ => format!("{path:?} is no field that can be changed"),
    }
}

/// Whether a path names `path` or something that it is part of.
pub fn covers(outer: &str, path: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests;
