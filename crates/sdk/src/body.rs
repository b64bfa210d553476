//! What the bytes of a request or an answer say: the word of a call, whether an answer proves success
//! or refusal, the identifier in it. Pure functions of a manifest's declarations; where a document
//! could be read in two ways it says nothing, because whoever trusts it spends money.

use std::error::Error as StdError;
use std::fmt;

use serde_json::Value;

mod form;
mod json;

use crate::declare;
use crate::manifest;
use crate::plugin::v1::r#match::Test;
use crate::plugin::v1::{BodyFormat, Match, Proof, Success};

/// What a successful answer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The identifier of what was made; `None` where the shape declares none.
    pub id: Option<String>,
}

/// Why bytes say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// Not of the format, or ambiguous in it.
    Malformed(String),
    /// This format has no words.
    NoWords,
    /// No text stands where the word has to be.
    NoWord,
}

/// The call's own word in the bytes that are about to be sent: an XML-RPC method, or the text at the
/// JSON pointer.
///
/// # Errors
///
/// A [`BodyError`]; nothing may be sent then.
pub fn word(format: BodyFormat, pointer: &str, bytes: &[u8]) -> Result<String, BodyError> {
    match format {
        BodyFormat::Json => {
            let document = json::parse(bytes)?;
            let word = document.pointer(pointer).and_then(Value::as_str);
            word.map(ToOwned::to_owned).ok_or(BodyError::NoWord)
        }
        BodyFormat::XmlRpc => xml_rpc_word(bytes),
        BodyFormat::Form | BodyFormat::Unspecified => Err(BodyError::NoWords),
    }
}

/// The bytes of an answer as the document that pointers look into; an unspecified format is null.
/// JSON with two members of one name, or followed by something else, is no document.
///
/// # Errors
///
/// [`BodyError::Malformed`].
pub fn document(format: BodyFormat, bytes: &[u8]) -> Result<Value, BodyError> {
    match format {
        BodyFormat::Unspecified => Ok(Value::Null),
        BodyFormat::Json => json::parse(bytes),
        BodyFormat::Form => form::parse(bytes),
        BodyFormat::XmlRpc => xml_rpc_document(bytes),
    }
}

/// Whether a document satisfies one condition. A condition without a test, as a newer plugin could
/// declare, is not satisfied.
pub fn matches(condition: &Match, document: &Value) -> bool {
    let Some(found) = document.pointer(&condition.pointer) else { return false };
    let text = || text(found);
    match &condition.test {
        Some(Test::Exists(wanted)) => *wanted,
        Some(Test::IsNull(wanted)) => *wanted && found.is_null(),
        Some(Test::Equals(expected)) => text().as_deref() == Some(expected),
        Some(Test::Prefix(prefix)) => text().is_some_and(|text| text.starts_with(prefix)),
        Some(Test::Suffix(suffix)) => text().is_some_and(|text| text.ends_with(suffix)),
        Some(Test::Words(known)) => found.as_str().is_some_and(|text| is_word(text, &known.words)),
        None => false,
    }
}

/// Whether a text is one of these words. Case and surrounding spaces do not count.
pub fn is_word(text: &str, words: &[String]) -> bool {
    let plain = |text: &str| text.trim().to_lowercase();
    let text = plain(text);
    !text.is_empty() && words.iter().any(|word| plain(word) == text)
}

/// The text at a pointer: a string as it is, a whole number in digits, a boolean as its word. Nothing
/// else is text; a number with a fraction was through a float and is not trusted.
pub fn text_at(document: &Value, pointer: &str) -> Option<String> {
    document.pointer(pointer).and_then(text)
}

/// What a complete answer carries if it has the declared shape of success; `None` if it has not, also
/// where the declared identifier is missing or empty.
pub fn accepted(success: &Success, status: u16, bytes: &[u8]) -> Option<Accepted> {
    let conditions = Conditions {
        statuses: (success.status_min, success.status_max),
        format: success.format,
        matches: &success.matches,
    };
    let document = conditions.hold(status, bytes)?;
    let id = match success.id_pointer.as_str() {
        "" => None,
        _ => Some(identifier(success, &document)?),
    };
    Some(Accepted { id })
}

/// The identifier of what was made, where the shape says that it stands: text or a whole number. `None`
/// where it is missing or blank, or where the text before it stands more than once.
pub fn identifier(shape: &Success, document: &Value) -> Option<String> {
    let found = document.pointer(&shape.id_pointer).filter(|_| !shape.id_pointer.is_empty())?;
    let text = text(found).filter(|_| !found.is_boolean())?;
    let id = match shape.id_after.as_str() {
        "" => text,
        before => {
            let (_, after) = text.split_once(before)?;
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (digits, rest) = after.split_at(end);
            (!rest.contains(before)).then(|| digits.to_owned())?
        }
    };
    (!id.trim().is_empty()).then_some(id)
}

/// Whether a complete answer is the declared proof of refusal.
pub fn proves(proof: &Proof, status: u16, bytes: &[u8]) -> bool {
    let conditions = Conditions {
        statuses: (proof.status_min, proof.status_max),
        format: proof.format,
        matches: &proof.matches,
    };
    conditions.hold(status, bytes).is_some()
}

/// The name of the first of a plugin's proofs that a complete answer satisfies, with the configured
/// words added: what the host finds by the same declarations.
pub fn proven(
    proofs: &[declare::Proof],
    refusal_words: &[String],
    status: u16,
    bytes: &[u8],
) -> Option<&'static str> {
    let holds = |proof: &&declare::Proof| {
        let mut declared = [manifest::proof(proof)];
        manifest::add_refusal_words(&mut declared, refusal_words);
        proves(&declared[0], status, bytes)
    };
    proofs.iter().find(holds).map(|proof| proof.name)
}

struct Conditions<'a> {
    statuses: (i32, i32),
    format: i32,
    matches: &'a [Match],
}

impl Conditions<'_> {
    /// The document, if everything holds.
    fn hold(&self, status: u16, bytes: &[u8]) -> Option<Value> {
        let (min, max) = self.statuses;
        if !(min..=max).contains(&i32::from(status)) {
            return None;
        }
        // A format that is unknown here cannot be looked into.
        let format = BodyFormat::try_from(self.format).ok()?;
        let document = document(format, bytes).ok()?;
        let all = self.matches.iter().all(|condition| matches(condition, &document));
        all.then_some(document)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(feature = "xmlrpc")]
fn xml_rpc_word(bytes: &[u8]) -> Result<String, BodyError> {
    let word = crate::xmlrpc::method_name(bytes);
    word.map_err(|error| BodyError::Malformed(error.to_string()))
}

#[cfg(feature = "xmlrpc")]
fn xml_rpc_document(bytes: &[u8]) -> Result<Value, BodyError> {
    let response = crate::xmlrpc::decode_response(bytes);
    let response = response.map_err(|error| BodyError::Malformed(error.to_string()))?;
    Ok(crate::xmlrpc::to_json(&response))
}

/// Without the feature nothing can be read, and so nothing is sent or proven.
#[cfg(not(feature = "xmlrpc"))]
fn xml_rpc_word(_: &[u8]) -> Result<String, BodyError> {
    Err(without_xml_rpc())
}

#[cfg(not(feature = "xmlrpc"))]
fn xml_rpc_document(_: &[u8]) -> Result<Value, BodyError> {
    Err(without_xml_rpc())
}

#[cfg(not(feature = "xmlrpc"))]
fn without_xml_rpc() -> BodyError {
    BodyError::Malformed("XML-RPC is not built in".to_owned())
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(message) => write!(f, "the body is malformed: {message}"),
            Self::NoWords => f.write_str("bodies of this format hold no word of the call"),
            Self::NoWord => f.write_str("the body does not hold the word of the call"),
        }
    }
}

impl StdError for BodyError {}

#[cfg(all(test, feature = "xmlrpc"))]
mod tests;
