//! Whether a request holds anything that this server does not know: a field of a newer contract, or
//! a newer value of an enumeration. It walks the wire's tags beside the descriptors and must not
//! interpret values.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Buf;
use prost::DecodeError;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use purveyor_sdk::FILE_DESCRIPTOR_SET;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

/// The contract's descriptors; constant data that is decoded once.
static CONTRACT: LazyLock<std::result::Result<DescriptorPool, String>> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).map_err(|error| error.to_string())
});

/// Refuses the encoded `message` (its full name) with FIELD_VIOLATION when it holds a field or an
/// enumeration value that the contract does not name, at any depth.
///
/// Requires: `bytes` were decoded before, which bounds their depth.
pub(crate) fn check(message: &str, bytes: &[u8]) -> Result<()> {
    let descriptor = CONTRACT
        .as_ref()
        .ok()
        .and_then(|contract| contract.get_message_by_name(message))
        .ok_or_else(|| {
            Error::new(ErrorReason::Internal, format!("there is no descriptor of {message}"))
        })?;
    walk(&descriptor, bytes, "").map_err(|found| match found {
        Found::Unknown { path, what } => Error::field(path, what),
        Found::Malformed(error) => {
            Error::new(ErrorReason::FieldViolation, "the request is no such message")
                .with_source(error)
        }
    })
}

/// What stops the walk.
enum Found {
    /// Something of a newer contract.
    Unknown { path: String, what: String },
    /// Bytes that are no message.
    Malformed(String),
}

impl From<DecodeError> for Found {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Walks the fields of one message that stands at `path`.
fn walk(
    descriptor: &MessageDescriptor,
    mut bytes: &[u8],
    path: &str,
) -> std::result::Result<(), Found> {
    let mut seen = BTreeMap::<u32, usize>::new();
    while bytes.has_remaining() {
        let (number, wire) = decode_key(&mut bytes)?;
        let Some(field) = descriptor.get_field(number) else {
            return Err(Found::Unknown {
                path: if path.is_empty() { descriptor.name().to_owned() } else { path.to_owned() },
                what: format!("holds field {number}, which this server does not know"),
            });
        };
        let place = seen.entry(number).or_default();
        let path = join(path, &field, *place);
        *place += 1;
        match wire {
            WireType::Varint => known_value(&field, decode_varint(&mut bytes)?, &path)?,
            WireType::SixtyFourBit => drop(take(&mut bytes, 8)?),
            WireType::ThirtyTwoBit => drop(take(&mut bytes, 4)?),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut bytes)?;
                let inner = take(&mut bytes, length)?;
                match field.kind() {
                    Kind::Message(descriptor) => walk(&descriptor, inner, &path)?,
                    Kind::Enum(_) => packed(&field, inner, &path)?,
                    _ => {}
                }
            }
            // The contract has no groups.
            WireType::StartGroup | WireType::EndGroup => {
                return Err(Found::Unknown { path, what: "is a group".to_owned() });
            }
        }
    }
    Ok(())
}

/// Every value of a packed list.
fn packed(field: &FieldDescriptor, mut bytes: &[u8], path: &str) -> std::result::Result<(), Found> {
    while bytes.has_remaining() {
        known_value(field, decode_varint(&mut bytes)?, path)?;
    }
    Ok(())
}

/// Refuses an enumeration's value that the contract does not name.
fn known_value(field: &FieldDescriptor, value: u64, path: &str) -> std::result::Result<(), Found> {
    let Kind::Enum(descriptor) = field.kind() else { return Ok(()) };
    // Negative numbers are sign-extended to ten bytes; the low 32 bits are the value.
    let value = value as u32 as i32;
    if descriptor.get_value(value).is_some() {
        return Ok(());
    }
    Err(Found::Unknown {
        path: path.to_owned(),
        what: format!("{value} is a value that this server does not know"),
    })
}

/// The next `length` bytes.
fn take<'a>(bytes: &mut &'a [u8], length: u64) -> std::result::Result<&'a [u8], Found> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((taken, rest)) = bytes.split_at_checked(length) else {
        return Err(Found::Malformed("a length reaches beyond the end".to_owned()));
    };
    *bytes = rest;
    Ok(taken)
}

/// The path of a field, with its place where it may stand several times.
fn join(path: &str, field: &FieldDescriptor, place: usize) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    if field.is_list() {
        format!("{path}{dot}{}[{place}]", field.name())
    } else {
        format!("{path}{dot}{}", field.name())
    }
}
