//! The gateway's integration tests, in one binary: linking is what takes the time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole crate is tests")]

mod config;
mod tidy;
