//! The upstream's objects as far as the plugin needs them, read from JSON. What the document shows has
//! to be as it shows it, or the answer cannot be understood. What is assumed is read where it fits and
//! is an attribute where it does not, so that a wrong assumption loses nothing.

mod attribute;
mod members;
mod order;
mod server;
mod status;

pub(crate) use members::{Members, id_of, not_understood, rows};
pub(crate) use order::{Due, Item, Order};
pub use server::ServerWord;
pub(crate) use server::{Life, Server, ServerStates};
pub(crate) use status::Statuses;
pub use status::Word;
