//! XML-RPC calls and responses as values. What comes from outside is taken to be hostile: no document
//! types, no entities, bounded depth, no recursion, and a specific error for everything that is not
//! XML-RPC. How large a document may be is the caller's to bound.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

mod decode;
mod encode;
mod json;

pub use decode::{decode_call, decode_response, method_name};
pub use encode::{encode_call, encode_response};
pub use json::to_json;

/// The deepest nesting of arrays and structs that is read: no upstream needs it, and a document's
/// depth must not become the stack's.
pub const MAX_DEPTH: usize = 64;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value, from the extension that everybody has.
    Nil,
    /// True or false.
    Boolean(bool),
    /// A whole number, of four or eight bytes.
    Int(i64),
    /// A number as its decimal text; never through a float. What was read need not be one: `nan`, or
    /// whatever the upstream wrote. Only a number is written.
    Double(String),
    /// Text.
    String(String),
    /// A time without a zone, as its text.
    DateTime(String),
    /// Bytes.
    Base64(Vec<u8>),
    /// Values in order.
    Array(Vec<Value>),
    /// Values by name.
    Struct(BTreeMap<String, Value>),
}

/// What a method answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Its value.
    Value(Value),
    /// Its refusal.
    Fault {
        /// `faultCode`.
        code: i64,
        /// `faultString`.
        string: String,
    },
}

impl Value {
    /// The member of this name, when it is a struct that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Struct(members) => members.get(name),
            _ => None,
        }
    }

    /// The whole number, when it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, when it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The digits of a number, whole or not; whatever a double says.
    pub fn as_decimal(&self) -> Option<String> {
        match self {
            Self::Int(number) => Some(number.to_string()),
            Self::Double(digits) => Some(digits.clone()),
            _ => None,
        }
    }

    /// The text of a time.
    pub fn as_date_time(&self) -> Option<&str> {
        match self {
            Self::DateTime(text) => Some(text),
            _ => None,
        }
    }

    /// The values in order, when it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// Whether nothing is said: nil, or the empty string that older upstreams write instead.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Nil) || self.as_str() == Some("")
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl<const N: usize> From<[(&str, Self); N]> for Value {
    fn from(members: [(&str, Self); N]) -> Self {
        Self::Struct(members.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

/// Why bytes are no XML-RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XmlRpcError {
    /// Not UTF-8.
    NotUtf8,
    /// In another encoding than UTF-8, by its own declaration.
    Encoding(String),
    /// Not well-formed XML.
    Xml(String),
    /// A document type, which nobody needs and attackers do.
    DocType,
    /// An entity that XML does not define.
    Entity(String),
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The document ends too early.
    Truncated,
    /// Another element than the one that has to stand here.
    Element {
        /// What is there.
        found: String,
        /// What has to be there.
        expected: &'static str,
    },
    /// Text where only elements may stand.
    Text,
    /// An attribute in a call, which XML-RPC does not have.
    Attribute,
    /// A value of a type that XML-RPC does not have.
    Type(String),
    /// Text that is no value of its type.
    Scalar(&'static str),
    /// Two members of one name.
    DuplicateMember(String),
    /// A fault that is not `{faultCode, faultString}`.
    Fault,
    /// A method name with other characters than `A-Za-z0-9_.:/`, or none.
    MethodName,
    /// Something after the end of the document.
    Trailing,
}

impl fmt::Display for XmlRpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("the document is not UTF-8"),
            Self::Encoding(name) => write!(f, "the document is in the encoding {name:?}"),
            Self::Xml(message) => write!(f, "the document is not well-formed: {message}"),
            Self::DocType => f.write_str("the document has a document type"),
            Self::Entity(name) => write!(f, "the entity {name:?} is unknown"),
            Self::TooDeep => write!(f, "the document is nested deeper than {MAX_DEPTH}"),
            Self::Truncated => f.write_str("the document ends too early"),
            Self::Element { found, expected } => {
                write!(f, "found the element {found:?} instead of {expected}")
            }
            Self::Text => f.write_str("there is text where only elements may stand"),
            Self::Attribute => f.write_str("there is an attribute in a call"),
            Self::Type(name) => write!(f, "{name:?} is no type of a value"),
            Self::Scalar(kind) => write!(f, "a value is no {kind}"),
            Self::DuplicateMember(name) => write!(f, "the member {name:?} is there twice"),
            Self::Fault => f.write_str("the fault has no faultCode and faultString"),
            Self::MethodName => f.write_str("the method name is none"),
            Self::Trailing => f.write_str("something follows the document"),
        }
    }
}

impl StdError for XmlRpcError {}

#[cfg(test)]
mod tests;
