//! What the upstream's documents are made of, read from JSON and written to it. It must not send
//! anything, and it decides nothing about a write.

mod field;
mod identity;
mod package;
mod plan;
mod product;

pub(crate) use field::{Fields, not_understood};
pub(crate) use identity::{Identity, Likeness, digest};
pub(crate) use plan::Plan;
pub(crate) use product::{Changes, LABEL, PACKAGE, Row};
