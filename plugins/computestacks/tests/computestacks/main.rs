//! The plugin through the real boundary, against the simulated upstream over HTTP: one scenario for
//! each row of the mapping, and one for each way in which an answer can be lost or wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod absence;
mod account;
mod bad_row;
mod bench;
mod catalog;
mod creation;
mod deletion;
mod effect;
mod hostile;
mod lost;
mod rules;
mod scope;

mod update;
