//! The Klikk simulator over real HTTP: who may call, what the actions answer, what they cost, and how
//! it goes wrong. One binary, so that it is linked once.

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
mod terms;
#[path = "../support/wire.rs"]
mod wire;
