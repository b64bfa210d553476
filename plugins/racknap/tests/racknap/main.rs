//! The plugin through the real boundary, against the simulated upstream over HTTP: scenarios for each row
//! of the mapping, for each way in which an answer can be lost or wrong, and one check for each item of
//! the document.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod configuration;
mod driver;
mod hostile;
mod lost;
mod orders;
mod products;
mod refused_orders;
mod scope;
mod services;
