//! The boundary, tested through its public parts only: layouts, tables, stamps, panics, and plugins
//! in Rust and in C. One program; nothing here needs a network, a fixed path or a clock.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a program of tests: a failed unwrap is a failed test"
)]

mod foreign;
mod futures;
mod header;
mod layout;
mod panics;
mod plugin_in_c;
mod sample;
mod stamps;
mod tables;

// This program is its own plugin, so that the macro's symbol and section are tested where they are.
purveyor_abi::export_plugin!(sample::Sample, "sample", "1.2.3");
