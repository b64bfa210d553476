//! The Klikk plugin against the Klikk simulator, through the plugin boundary. One binary, so that it is
//! linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test's own functions is a failed test"
)]

mod absence;
mod account;
mod bad_row;
mod cancellations;
mod canned;
mod driver;
mod effects;
mod hostile;
mod lost;
mod orders;
mod products;
mod scope;
mod services;
