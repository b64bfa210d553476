//! Finds what a name such as `purveyor.v1.Order.items.term` means in the contract.
//!
//! It must not know what the names are used for.

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
};

/// What every name of the contract begins with.
pub(super) const PACKAGE: &str = "purveyor.v1.";

/// What a name of the contract means.
#[derive(Debug)]
pub(super) enum Target {
    Message(MessageDescriptor),
    Field(FieldDescriptor),
    Enum(EnumDescriptor),
    Value,
    Service(ServiceDescriptor),
    Method,
}

impl Target {
    fn top(contract: &DescriptorPool, name: &str) -> Option<Self> {
        let full = format!("{PACKAGE}{name}");
        let message = contract.get_message_by_name(&full).map(Self::Message);
        let or_enum = message.or_else(|| contract.get_enum_by_name(&full).map(Self::Enum));
        or_enum.or_else(|| contract.get_service_by_name(&full).map(Self::Service))
    }

    fn child(&self, name: &str) -> Option<Self> {
        match self {
            Self::Message(message) => child_of_message(message, name),
            Self::Field(field) => match field.kind() {
                Kind::Message(message) if !field.is_map() => {
                    message.get_field_by_name(name).map(Self::Field)
                }
                _ => None,
            },
            Self::Enum(values) => values.get_value_by_name(name).map(|_| Self::Value),
            Self::Service(service) => {
                service.methods().find(|method| method.name() == name).map(|_| Self::Method)
            }
            Self::Value | Self::Method => None,
        }
    }

    /// Whether it is a field of this message type.
    pub(super) fn holds(&self, message: &str) -> bool {
        matches!(self, Self::Field(field)
            if matches!(field.kind(), Kind::Message(kind) if kind.full_name() == message))
    }
}

fn child_of_message(message: &MessageDescriptor, name: &str) -> Option<Target> {
    let field = message.get_field_by_name(name).map(Target::Field);
    let nested = || message.child_messages().find(|it| it.name() == name).map(Target::Message);
    let values = || message.child_enums().find(|it| it.name() == name).map(Target::Enum);
    field.or_else(nested).or_else(values)
}

/// Finds what a name means: messages, fields along a path, enumerations and their values, services
/// and their methods.
pub(super) fn resolve(contract: &DescriptorPool, path: &str) -> Result<Target, String> {
    let names = path.strip_prefix(PACKAGE).unwrap_or_default();
    let mut parts = names.split('.');
    let first = parts.next().unwrap_or_default();
    let mut seen = format!("{PACKAGE}{first}");
    let mut target = Target::top(contract, first)
        .ok_or_else(|| format!("`{path}`: nothing is named `{first}` in the contract"))?;
    for part in parts {
        target = target
            .child(part)
            .ok_or_else(|| format!("`{path}`: nothing is named `{part}` in `{seen}`"))?;
        seen.push('.');
        seen.push_str(part);
    }
    Ok(target)
}

/// Every name of the contract in a text, with its line.
pub(super) fn names_in(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).flat_map(|(number, line)| {
        line.match_indices(PACKAGE).map(move |(start, _)| {
            let rest = &line[start..];
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (number, rest[..end].trim_end_matches('.'))
        })
    })
}

pub(super) fn contract() -> DescriptorPool {
    DescriptorPool::decode(purveyor_sdk::FILE_DESCRIPTOR_SET)
        .unwrap_or_else(|error| panic!("the contract's descriptors do not decode: {error}"))
}
