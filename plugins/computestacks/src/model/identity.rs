//! What tells a product from another that has its identifier. It decides nothing about a write.

use purveyor_sdk::prost::Message;
use purveyor_sdk::serde::{Deserialize, Serialize};

use super::product::Row;

/// The most lasting thing that the upstream tells of a product beside its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "snake_case")]
pub(crate) enum Identity {
    /// When it was made, in milliseconds since 1970. The upstream never changes it.
    Created(i64),
    /// Its package, which no other product has. A change of the package makes it anew.
    Package(i64),
    /// A digest of all that is told of it.
    Values(u64),
}

/// Whether two products of one identifier are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    Same,
    Other,
    /// It was changed, or it is another.
    Unsure,
}

impl Identity {
    pub(crate) fn of(row: &Row) -> Self {
        if let Some(created) = &row.created {
            let millis = i64::from(created.nanos / 1_000_000);
            return Self::Created(created.seconds.saturating_mul(1000).saturating_add(millis));
        }
        match row.package.as_ref().and_then(|package| package.id.parse().ok()) {
            Some(package) => Self::Package(package),
            None => Self::Values(digest(row)),
        }
    }

    pub(crate) fn compare(self, row: &Row) -> Likeness {
        match (self, Self::of(row)) {
            (before, now) if before == now => Likeness::Same,
            (Self::Created(_), Self::Created(_)) => Likeness::Other,
            _ => Likeness::Unsure,
        }
    }
}

/// A digest of all that is told of a product: the same bytes as long as nothing of it is changed.
pub(crate) fn digest(row: &Row) -> u64 {
    // FNV-1a: it has to outlive the process, and nobody forges a product.
    let bytes = row.show(row.id.to_string()).encode_to_vec();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
