//! The Gandi provider plugin: hosting products over the XML-RPC API v3 (`hosting.product.*`), from
//! 3.1.2 to before 3.3.0. It must not know a runtime, a socket or another crate of the project than
//! the SDK, and it never takes a `nil` for success.

mod provider;

mod checkpoint;
mod client;
mod config;
mod error;
mod model;

pub use config::{GandiConfig, Spelling};
pub use provider::Gandi;

purveyor_sdk::export_provider!(Gandi);
