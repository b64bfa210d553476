//! Typed names of resources: `providers/{provider}/orders/{order}` and their kin. One text stands for
//! one resource: a spelling that is not the canonical one is refused, never normalised, so that
//! nothing can be locked, looked up or signed under two names.

use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::Error;

/// The most bytes of an id, decoded: longer ones are no id of any upstream, and names are keys.
pub const MAX_ID_BYTES: usize = 256;

/// The most bytes of a provider's id.
pub const MAX_PROVIDER_BYTES: usize = 63;

/// Everything but `A-Za-z0-9._~-`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'~').remove(b'-');

/// `providers/{provider}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName {
    id: String,
}

/// Where a list is asked for: `providers/{provider}`, or `providers/-` for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Parent {
    /// One provider.
    Provider(ProviderName),
    /// Every provider.
    All,
}

/// `operations/{request_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationName {
    request_id: String,
}

/// Why a text is no name. `Display` says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// Not of this form.
    Form(&'static str),
    /// The provider's id is not `[a-z][a-z0-9-]*` of at most [`MAX_PROVIDER_BYTES`] bytes.
    Provider,
    /// `providers/-` where one provider has to be named.
    Wildcard,
    /// The id is empty.
    Empty,
    /// The id has more than [`MAX_ID_BYTES`] bytes.
    TooLong,
    /// This character has to be percent-encoded.
    Unencoded(char),
    /// `-`, `.` or `..` alone has to be percent-encoded.
    Reserved(String),
    /// A `%` without two hexadecimal digits.
    Escape,
    /// An escape in lower case.
    LowerCaseEscape,
    /// This character must not be percent-encoded.
    NeedlessEscape(char),
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// The request id is not a UUID in its canonical text form.
    RequestId,
    /// The request id is in upper case.
    UpperCaseRequestId,
    /// The request id is the nil UUID.
    NilRequestId,
}

impl NameError {
    /// The error for a caller, naming the field that held the name.
    pub fn field(&self, field: impl Into<String>) -> Error {
        Error::field(field, self.to_string())
    }
}

impl ProviderName {
    /// The name of the provider with this id.
    ///
    /// # Errors
    ///
    /// [`NameError::Wildcard`] for `-`, [`NameError::Provider`] for what is no id.
    pub fn new(id: impl Into<String>) -> Result<Self, NameError> {
        let id = id.into();
        if id == "-" {
            return Err(NameError::Wildcard);
        }
        let first = id.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if first && id.len() <= MAX_PROVIDER_BYTES && id.bytes().all(rest) {
            Ok(Self { id })
        } else {
            Err(NameError::Provider)
        }
    }

    /// The provider's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl FromStr for ProviderName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("providers/") {
            Some(id) if !id.contains('/') => Self::new(id),
            _ => Err(NameError::Form("providers/{provider}")),
        }
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "providers/{}", self.id)
    }
}

impl FromStr for Parent {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.parse() {
            Ok(provider) => Ok(Self::Provider(provider)),
            Err(NameError::Wildcard) => Ok(Self::All),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(provider) => provider.fmt(f),
            Self::All => f.write_str("providers/-"),
        }
    }
}

impl OperationName {
    /// The name of the operation of this request id, which is taken in any case.
    ///
    /// # Errors
    ///
    /// [`NameError::RequestId`] for what is no UUID, [`NameError::NilRequestId`] for the nil one.
    pub fn new(request_id: &str) -> Result<Self, NameError> {
        Ok(Self { request_id: request_id_of(request_id)? })
    }

    /// The request id, in lower case.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// A caller's request id in its one form, lower case.
///
/// # Errors
///
/// [`NameError::RequestId`] for what is no UUID, [`NameError::NilRequestId`] for the nil one.
pub fn request_id_of(text: &str) -> Result<String, NameError> {
    let shape = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    if text.len() != 36 || !text.bytes().enumerate().all(shape) {
        return Err(NameError::RequestId);
    }
    if text.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        return Err(NameError::NilRequestId);
    }
    Ok(text.to_ascii_lowercase())
}

impl FromStr for OperationName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let id = text.strip_prefix("operations/").filter(|id| !id.contains('/'));
        let id = id.ok_or(NameError::Form("operations/{request_id}"))?;
        let name = Self::new(id)?;
        if name.request_id == id { Ok(name) } else { Err(NameError::UpperCaseRequestId) }
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operations/{}", self.request_id)
    }
}

/// One type for each noun that lives below a provider.
macro_rules! child_names {
    ($($(#[$doc:meta])* $name:ident in $collection:literal, $form:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            provider: ProviderName,
            id: String,
        }

        impl $name {
            /// The name of what has this id, not encoded, at this provider.
            ///
            /// # Errors
            ///
            /// [`NameError::Empty`] and [`NameError::TooLong`].
            pub fn new(provider: ProviderName, id: impl Into<String>) -> Result<Self, NameError> {
                Ok(Self { provider, id: checked_length(id.into())? })
            }

            /// The provider.
            pub fn provider(&self) -> &ProviderName {
                &self.provider
            }

            /// The id, decoded.
            pub fn id(&self) -> &str {
                &self.id
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let (provider, id) = parse_child(text, $collection, $form)?;
                Ok(Self { provider, id })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}/{}", self.provider, $collection, encode(&self.id))
            }
        }
    )*};
}

/// The texts of names that a plugin tells: what the upstream calls something, as the contract writes it.
macro_rules! texts {
    ($($(#[$doc:meta])* $method:ident as $name:ident;)*) => {
        impl ProviderName {$(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// FIELD_VIOLATION for an identifier that is empty or too long.
            pub fn $method(&self, id: impl ToString) -> crate::Result<String> {
                let name = $name::new(self.clone(), id.to_string());
                name.map(|name| name.to_string()).map_err(|error| error.field(stringify!($method)))
            }
        )*}
    };
}

texts! {
    /// The name of a product here.
    product as ProductName;
    /// The name of an order here.
    order as OrderName;
    /// The name of a service here.
    service as ServiceName;
    /// The name of a renewal here.
    renewal as RenewalName;
}

child_names! {
    /// `providers/{provider}/products/{product}`.
    ProductName in "products", "providers/{provider}/products/{product}";
    /// `providers/{provider}/orders/{order}`.
    OrderName in "orders", "providers/{provider}/orders/{order}";
    /// `providers/{provider}/services/{service}`.
    ServiceName in "services", "providers/{provider}/services/{service}";
    /// `providers/{provider}/renewals/{renewal}`.
    RenewalName in "renewals", "providers/{provider}/renewals/{renewal}";
}

fn parse_child(
    text: &str,
    collection: &str,
    form: &'static str,
) -> Result<(ProviderName, String), NameError> {
    let parts: Vec<&str> = text.split('/').collect();
    let ["providers", provider, found, id] = parts.as_slice() else {
        return Err(NameError::Form(form));
    };
    if *found != collection {
        return Err(NameError::Form(form));
    }
    Ok((ProviderName::new(*provider)?, decode(id)?))
}

fn checked_length(id: String) -> Result<String, NameError> {
    match id.len() {
        0 => Err(NameError::Empty),
        length if length > MAX_ID_BYTES => Err(NameError::TooLong),
        _ => Ok(id),
    }
}

/// An id that the upstream counts: a positive whole number in its one spelling. What is none is not
/// there, and nobody needs to be asked.
pub fn counted<N: FromStr + ToString + PartialOrd + Default>(id: &str) -> Option<N> {
    id.parse::<N>().ok().filter(|number| *number > N::default() && number.to_string() == id)
}

/// The one spelling of an id in a name.
pub fn encode(id: &str) -> String {
    match id {
        "-" => "%2D".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(id, ENCODED).to_string(),
    }
}

/// The id that a name's last part stands for.
///
/// # Errors
///
/// A [`NameError`] for whatever [`encode`] would have written otherwise.
pub fn decode(text: &str) -> Result<String, NameError> {
    check_escapes(text)?;
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| NameError::NotUtf8)?;
    let id = checked_length(decoded.into_owned())?;
    if encode(&id) == text {
        return Ok(id);
    }
    if matches!(text, "-" | "." | "..") {
        return Err(NameError::Reserved(encode(text)));
    }
    // What is left is an escape that the one spelling does not have.
    Err(NameError::NeedlessEscape(needlessly_escaped(text)))
}

/// Checks that `%` is always followed by two digits in upper case, and that nothing else that has to
/// be encoded stands there.
fn check_escapes(text: &str) -> Result<(), NameError> {
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '%' {
            let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(' '));
            if !digits.iter().all(char::is_ascii_hexdigit) {
                return Err(NameError::Escape);
            }
            if digits.iter().any(char::is_ascii_lowercase) {
                return Err(NameError::LowerCaseEscape);
            }
        } else if !(character.is_ascii_alphanumeric() || "._~-".contains(character)) {
            return Err(NameError::Unencoded(character));
        }
    }
    Ok(())
}

/// The first character of `text` that is escaped although it may stand as it is.
fn needlessly_escaped(text: &str) -> char {
    let escapes = text.match_indices('%').filter_map(|(at, _)| text.get(at + 1..at + 3));
    let bytes = escapes.filter_map(|digits| u8::from_str_radix(digits, 16).ok());
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~-".contains(byte);
    bytes.into_iter().find(plain).map_or('%', char::from)
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(form) => write!(f, "has to be of the form {form}"),
            Self::Provider => write!(
                f,
                "a provider's id begins with a lower-case letter, holds only lower-case letters, \
                 digits and hyphens, and has at most {MAX_PROVIDER_BYTES} bytes"
            ),
            Self::Wildcard => f.write_str("one provider has to be named here, not all"),
            Self::Empty => f.write_str("the id is empty"),
            Self::TooLong => write!(f, "the id has more than {MAX_ID_BYTES} bytes"),
            Self::Unencoded(character) => {
                write!(f, "{character:?} has to be percent-encoded in a name")
            }
            Self::Reserved(encoded) => write!(f, "this id has to be written {encoded}"),
            Self::Escape => f.write_str("a % has to be followed by two hexadecimal digits"),
            Self::LowerCaseEscape => f.write_str("percent-encoding is written in upper case"),
            Self::NeedlessEscape(character) => {
                write!(f, "{character:?} must not be percent-encoded here")
            }
            Self::NotUtf8 => f.write_str("the id is not UTF-8"),
            Self::RequestId => f.write_str("the request id has to be a UUID"),
            Self::UpperCaseRequestId => f.write_str("the request id has to be in lower case"),
            Self::NilRequestId => f.write_str("the request id must not be the nil UUID"),
        }
    }
}

impl StdError for NameError {}

#[cfg(test)]
mod tests;
