//! What a plugin says, before the host stores it, shows it or writes it into a log: no credential in any
//! spelling, no characters that deceive a reader, and no text larger than a person reads. Nothing is ever
//! refused for these: what a step says may be the only word about money that was spent.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use aho_corasick::BuildError;
use bytes::{Buf, Bytes};
use prost::DecodeError;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use purveyor_sdk::{Error, FILE_DESCRIPTOR_SET};
use secrecy::{ExposeSecret, SecretString};

use super::config::ProviderConfig;
use super::redact::Redactor;

/// The full name of the boundary's error.
pub(super) const ERROR: &str = "purveyor.plugin.v1.Error";

/// The most bytes of one text; the later ones hold while the whole is over [`MAX_BYTES`].
const TEXT_BYTES: [usize; 3] = [16 * 1024, 1024, 128];
/// The most bytes of an answer that is stored: some of them fit into one answer of this API.
const MAX_BYTES: usize = 512 * 1024;
/// The most bytes of a JSON schema, which would be none if it were cut.
const SCHEMA_BYTES: usize = 256 * 1024;
/// The deepest nesting, as protobuf decoders bound it.
const MAX_DEPTH: usize = 100;
/// How many tokens are remembered that the plugin was given upstream.
const MAX_TOKENS: usize = 8;

/// Fields that are compared and sent again: a changed one would name another thing. Credentials are cut
/// from them all the same.
const IDENTIFIERS: &[&str] = &[
    "account",
    "aliases",
    "call",
    "customer",
    "deleted",
    "etag",
    "field",
    "id",
    "ids",
    "name",
    "operation",
    "order",
    "order_item",
    "parent",
    "partner",
    "password",
    "product",
    "proof",
    "reference",
    "service",
    "services",
    "similarity",
];
/// How the names of other such fields end.
const IDENTIFIER_ENDS: &[&str] = &["_id", "_ids", "_token", "_code", "url"];
/// Fields that hold a JSON schema.
const SCHEMAS: &[&str] = &["options_schema"];

/// The contract's descriptors; constant data that is decoded once.
static CONTRACT: LazyLock<Result<DescriptorPool, String>> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).map_err(|error| error.to_string())
});

/// Cleans what the plugin of one account says.
#[derive(Debug)]
pub(super) struct Sanitizer {
    secrets: Redactor,
    tokens: RwLock<VecDeque<(SecretString, Arc<Redactor>)>>,
}

/// Bytes that are no message.
#[derive(Debug)]
struct Malformed(String);

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string())
    }
}

impl Sanitizer {
    /// One for the credentials of an account.
    ///
    /// # Errors
    ///
    /// When they cannot be looked for.
    pub(super) fn new(config: &ProviderConfig) -> Result<Self, BuildError> {
        Ok(Self { secrets: Redactor::new(&config.credentials)?, tokens: RwLock::default() })
    }

    /// Remembers a token that the plugin was given upstream and presents now.
    pub(super) fn learn(&self, token: &str) {
        let is_known = |tokens: &VecDeque<(SecretString, _)>| {
            tokens.iter().any(|(known, _)| known.expose_secret() == token)
        };
        if is_known(&self.tokens.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let secret = SecretString::from(token);
        let values = [(String::new(), secret.clone())];
        // The size of a header bounds a token, so there is always room for its spellings.
        let Ok(redactor) = Redactor::new(&values.into()) else { return };
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() == MAX_TOKENS {
            tokens.pop_front();
        }
        tokens.push_back((secret, Arc::new(redactor)));
    }

    /// A text without secrets.
    pub(super) fn redacted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.without_tokens(self.secrets.cut(text))
    }

    /// As [`Sanitizer::redacted`], of what programs compare.
    pub(super) fn redacted_identifier<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.without_tokens(self.secrets.cut_from_identifier(text))
    }

    fn without_tokens<'a>(&self, mut text: Cow<'a, str>) -> Cow<'a, str> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        for (_, token) in &*tokens {
            if token.is_in(text.as_bytes()) {
                text = Cow::Owned(token.cut(&text).into_owned());
            }
        }
        text
    }

    /// Bytes whose form must not change, with every secret covered; `None` where there is none.
    pub(super) fn covered(&self, bytes: &[u8], with_tokens: bool) -> Option<Vec<u8>> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let tokens = tokens.iter().filter(|_| with_tokens).map(|(_, token)| &**token);
        let mut covered = None;
        for redactor in std::iter::once(&self.secrets).chain(tokens) {
            if redactor.is_in(bytes) {
                redactor.cover(covered.get_or_insert_with(|| bytes.to_vec()));
            }
        }
        covered
    }

    /// A text for people.
    pub(super) fn text(&self, text: &str) -> String {
        bounded(&self.plain(text), TEXT_BYTES[0]).into_owned()
    }

    /// A text of any length without secrets and what deceives.
    pub(super) fn plain(&self, text: &str) -> String {
        plain(&self.redacted(text)).into_owned()
    }

    /// An error of the host's that quotes the plugin.
    pub(super) fn error(&self, error: Error) -> Error {
        Error { message: self.text(&error.message), ..error }
    }

    /// An encoded message, by its full name. What is `stored` is bounded as a whole too.
    ///
    /// # Errors
    ///
    /// Why the bytes are no such message.
    pub(super) fn message(&self, name: &str, bytes: Bytes, stored: bool) -> Result<Bytes, String> {
        let contract = CONTRACT.as_ref().map_err(Clone::clone)?;
        let descriptor = contract.get_message_by_name(name);
        let descriptor = descriptor.ok_or_else(|| format!("there is no descriptor of {name}"))?;
        let mut cleaned = bytes;
        for max_text in TEXT_BYTES {
            let pass = Pass { sanitizer: self, max_text };
            if let Some(changed) = pass.message(&descriptor, &cleaned, 0).map_err(|it| it.0)? {
                cleaned = changed.into();
            }
            if !stored || cleaned.len() <= MAX_BYTES {
                break;
            }
        }
        Ok(cleaned)
    }
}

/// One walk over a message, along the wire's tags.
struct Pass<'a> {
    sanitizer: &'a Sanitizer,
    max_text: usize,
}

impl Pass<'_> {
    /// The message as it has to be; `None` where it is so already.
    fn message(
        &self,
        descriptor: &MessageDescriptor,
        bytes: &[u8],
        depth: usize,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed("it is nested too deep".to_owned()));
        }
        let (mut rest, mut changed) = (bytes, None::<Vec<u8>>);
        while rest.has_remaining() {
            let begin = bytes.len() - rest.len();
            let (number, wire) = decode_key(&mut rest)?;
            let field = match wire {
                WireType::Varint => decode_varint(&mut rest).map(|_| None)?,
                WireType::SixtyFourBit => take(&mut rest, 8).map(|_| None)?,
                WireType::ThirtyTwoBit => take(&mut rest, 4).map(|_| None)?,
                WireType::LengthDelimited => {
                    let length = decode_varint(&mut rest)?;
                    let inner = take(&mut rest, length)?;
                    self.field(descriptor.get_field(number).as_ref(), inner, depth)?
                }
                WireType::StartGroup | WireType::EndGroup => {
                    return Err(Malformed("it has a group".to_owned()));
                }
            };
            if let Some(field) = field {
                let changed = changed.get_or_insert_with(|| bytes[..begin].to_vec());
                encode_key(number, wire, changed);
                encode_varint(field.len() as u64, changed);
                changed.extend_from_slice(&field);
            } else if let Some(changed) = &mut changed {
                changed.extend_from_slice(&bytes[begin..bytes.len() - rest.len()]);
            }
        }
        Ok(changed)
    }

    fn field(
        &self,
        field: Option<&FieldDescriptor>,
        bytes: &[u8],
        depth: usize,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        match field.map(|field| (field, field.kind())) {
            Some((_, Kind::Message(inner))) => self.message(&inner, bytes, depth + 1),
            Some((field, Kind::String)) => {
                let text = std::str::from_utf8(bytes).map_err(|it| Malformed(it.to_string()))?;
                let cleaned = self.string(field.name(), text);
                Ok((cleaned != text).then(|| cleaned.into_owned().into_bytes()))
            }
            // Bytes of the plugin's own, and what a newer contract has: their lengths must not change.
            Some((_, Kind::Bytes)) | None => Ok(self.sanitizer.covered(bytes, true)),
            Some(_) => Ok(None),
        }
    }

    fn string<'a>(&self, name: &str, text: &'a str) -> Cow<'a, str> {
        let is_identifier =
            IDENTIFIERS.contains(&name) || IDENTIFIER_ENDS.iter().any(|end| name.ends_with(end));
        if is_identifier {
            return self.sanitizer.redacted_identifier(text);
        }
        let redacted = self.sanitizer.redacted(text);
        if SCHEMAS.contains(&name) {
            return if redacted.len() > SCHEMA_BYTES { Cow::Borrowed("") } else { redacted };
        }
        if is_plain(&redacted) && redacted.len() <= self.max_text {
            return redacted;
        }
        Cow::Owned(bounded(&plain(&redacted), self.max_text).into_owned())
    }
}

/// The next `length` bytes.
fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let taken = bytes.split_at_checked(length);
    let (taken, rest) =
        taken.ok_or_else(|| Malformed("a length reaches beyond the end".to_owned()))?;
    *bytes = rest;
    Ok(taken)
}

/// Whether a character changes how others are read without being seen: controls but for tab and line
/// feed, and those that change the direction or end the line.
fn deceives(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{061c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    }
}

fn is_plain(text: &str) -> bool {
    !text.contains(deceives)
}

/// A text without the characters that deceive.
fn plain(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(text.replace(deceives, "")) }
}

/// At most so many bytes, cut between characters, with a mark that says how long it was.
fn bounded(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let mark = format!("… [cut, {} bytes]", text.len());
    let mut end = max_bytes.saturating_sub(mark.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

#[cfg(test)]
mod tests;
