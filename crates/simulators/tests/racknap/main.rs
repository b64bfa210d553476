//! The RackNap simulator over real HTTP: what its actions answer, what they write, who may call, and
//! how it goes wrong. One binary, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test's own functions is a failed test"
)]

mod access;
mod actions;
mod client;
mod control;
mod faults;
mod program;
#[path = "../support/waiting.rs"]
mod waiting;
#[path = "../support/wire.rs"]
mod wire;
