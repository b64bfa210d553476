//! The ComputeStacks provider plugin: the catalogue of a controller over its admin API, with the
//! billing plan and the price rules that make a product sellable. It must not know a runtime, a
//! socket or another crate of the project than the SDK.

mod provider;

mod checkpoint;
mod client;
mod config;
mod error;
mod model;

pub use config::{Authentication, ComputeStacksConfig};
pub use provider::ComputeStacks;

purveyor_sdk::export_provider!(ComputeStacks);
