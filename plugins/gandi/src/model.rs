//! The upstream's structs as far as the plugin needs them, read from XML-RPC values. Absent is nil or
//! the empty string, for a field of any type; a number is an int or a double. A field that is there
//! and is of another type makes the answer one that cannot be understood: nothing is guessed.

mod account;
mod catalog;
mod field;
mod operation;
mod term;

pub(crate) use account::{Account, Owned, balance};
pub(crate) use catalog::{Action, Catalog};
pub(crate) use field::{not_understood, text};
pub(crate) use operation::{Kind, Operation, Stage};
pub(crate) use term::{Duration, PRODUCTS, term_of};
