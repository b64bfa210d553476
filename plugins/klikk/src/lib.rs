//! The Klikk provider plugin: virtual servers over the JSON API of my.klikk.com. It must not know a
//! runtime, a socket or another crate of the project than the SDK, and it takes no answer for success
//! that the document does not show as one.

mod provider;

mod checkpoint;
mod client;
mod config;
mod error;
mod model;
mod options;
mod token;

pub use config::{Authentication, ConfiguredPrice, ConfiguredProduct, KlikkConfig};
pub use model::{ServerWord, Word};
pub use provider::Klikk;

purveyor_sdk::export_provider!(Klikk);
