//! Purveyor: one gRPC API to buy, manage and renew hosting products at any provider.
//!
//! Writes are journalled before anything leaves the process, each spend is sent at most once by
//! itself, and nothing that was accepted is ever forgotten. `ARCHITECTURE.md` tells the way of a read
//! and of a purchase through these modules.

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;

pub mod api;

pub mod engine;

pub mod store;

pub mod plugin;

pub mod failpoint;
