//! The OVHcloud simulator over real HTTP: who may call, what renewals and payments do, and how it
//! goes wrong. One binary, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test's own functions is a failed test"
)]

mod access;
mod client;
mod control;
mod faults;
mod orders;
mod paying;
mod person;
mod program;
mod published_client;
mod services;
#[path = "../support/waiting.rs"]
mod waiting;
#[path = "../support/wire.rs"]
mod wire;
