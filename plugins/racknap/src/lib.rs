//! The RackNap provider plugin: billing records of services over the Product/Service API v2. It must not
//! know a runtime, a socket or another crate of the project than the SDK, and it invents neither a price
//! nor what became of a record whose answer was lost.

mod provider;

mod client;
mod config;
mod error;
mod model;

pub use config::{Encoding, RackNapConfig};
pub use provider::RackNap;

purveyor_sdk::export_provider!(RackNap);
