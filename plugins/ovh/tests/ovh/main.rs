//! The plugin through the real boundary, against the simulated upstream over HTTP: one scenario for each
//! row of the mapping, and one for each way in which an answer can be lost or wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod bad_row;
mod driver;
mod effect;
mod elsewhere;
mod hostile;
mod lost;
mod orders;
mod program;
mod renewals;
mod scope;
mod services;
