//! The upstream's words as values: parameters that are sent, answers that are read, billing cycles and
//! days. Nothing here is sent, and nothing knows what a method does.

mod cycle;
mod day;
mod fields;
mod plan;
mod tree;

pub(crate) use cycle::Cycle;
pub(crate) use day::{next_due, written};
pub(crate) use fields::{Field, Fields};
pub(crate) use plan::{Currency, Plan};
pub(crate) use tree::Tree;
