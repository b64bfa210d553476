//! The OVHcloud provider plugin: services and their renewals over the API version 1.0, whose requests
//! are signed. It must not know a runtime, a socket or another crate of the project than the SDK, and
//! it never pays an order that it has not just seen unpaid.

mod provider;

mod checkpoint;
mod client;
mod config;
mod error;
mod model;

pub use config::{OvhConfig, PaymentApi};
pub use provider::Ovh;

purveyor_sdk::export_provider!(Ovh);
