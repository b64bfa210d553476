//! The Gandi simulator over real HTTP: what its methods answer, what they cost, and how it goes
//! wrong. One binary, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test's own functions is a failed test"
)]

mod client;
mod control;
mod faults;
mod methods;
mod money;
mod operations;
mod person;
mod program;
mod published_client;
mod transport;
#[path = "../support/waiting.rs"]
mod waiting;
#[path = "../support/wire.rs"]
mod wire;
