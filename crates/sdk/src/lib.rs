//! What the author of a Purveyor provider plugin sees, and what the gateway shares with it: the
//! messages of the contract and the rules about their values. It must not know a runtime, a TLS
//! library or an HTTP client; the `testing` and `conformance` features alone bring them.
//!
//! A plugin is one type with `#[provider]` on its implementation of [`Provider`], `#[method]` on what
//! it can do, and [`export_provider!`].

pub mod body;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cx;
pub mod declare;
pub mod dispatch;
mod error;
pub mod etag;
mod host;
pub mod http;
pub mod manifest;
pub mod mask;
pub mod money;
pub mod names;
pub mod op;
pub mod page;
mod provider;
pub mod rows;
pub mod step;
pub mod target;
pub mod term;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod upstream;
pub mod write;
#[cfg(feature = "xmlrpc")]
pub mod xmlrpc;

/// For what the macros expand to, and for the host's log.
pub use purveyor_abi as abi;
pub use purveyor_abi::Level;
pub use purveyor_sdk_macros::provider;
pub use {futures_util, prost, prost_types, schemars, secrecy, serde, serde_json};

pub use cx::Cx;
pub use declare::{Call, Credential, Note, Proof, Rate, Shape, Timing};
pub use error::{Error, Result, UPSTREAM_CODE};
pub use host::Host;
pub use http::{Answer, Http};
pub use provider::Provider;
pub use step::{CarryOn, Deleted, Finding, Progress, Resource, Standing, Step, Traces};
pub use term::Period;
pub use write::{Attempt, Baseline, Evidence, Find, PollItem, Write, WriteRequest};

/// The public contract: package `purveyor.v1`.
#[allow(clippy::all, rustdoc::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/purveyor.v1.rs"));
}

/// What crosses the plugin boundary.
pub mod plugin {
    /// Package `purveyor.plugin.v1`.
    #[allow(clippy::all, rustdoc::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/purveyor.plugin.v1.rs"));
    }
}

/// All protos with what they import, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
