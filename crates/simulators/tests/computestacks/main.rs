//! The ComputeStacks simulator over real HTTP: what its methods answer, who may call them, and how
//! it goes wrong. One binary, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test's own functions is a failed test"
)]

mod access;
mod billing;
mod client;
mod control;
mod faults;
mod person;
mod products;
mod program;
mod versions;
#[path = "../support/waiting.rs"]
mod waiting;
#[path = "../support/wire.rs"]
mod wire;
