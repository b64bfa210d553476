//! The C ABI between the Purveyor host and its provider plugins, whole: the `repr(C)` tables, the
//! stamp a loader reads before it maps a plugin, and the safe shim both sides use.
//!
//! The bytes that cross are opaque here. This crate must not know protobuf, providers, or an async
//! runtime, and depends on nothing but `std`.
//!
//! # The contract in short
//!
//! * The producer frees: a [`raw::Buf`] carries the function that releases it. A [`raw::Slice`] is
//!   borrowed for the call it is passed to, and not a moment longer.
//! * Cancelling is dropping. After a future's `drop` returned, its maker calls back no more; only
//!   clones of wakers, which own themselves, may still be woken.
//! * A future is polled by one thread at a time, possibly another one each time, and never again
//!   after it was ready. Wakers and buffers may be used and released on any thread.
//! * No panic crosses. Each side catches its own and answers [`Code::PANIC`] with the message.
//! * `open` takes the host context over, whatever it answers; the plugin releases it exactly once.
//! * `close` comes after every future that `start` gave was dropped. A *spawned* task may outlive
//!   `close`, so it owns what it touches.
//! * Tables, vtables and records with a `size` only ever grow at their end.

pub mod raw;

mod buf;
mod future;
pub mod guest;
pub mod host;
mod panic;
mod reply;
mod stamp;
mod table;
mod waker;

pub use buf::{BufError, OwnedBuf};
pub use future::ReplyFuture;
pub use raw::EntryFn;
pub use reply::{CallInfo, Code, Fault, Level, Payload, Reply};
#[doc(hidden)]
pub use stamp::keep as keep_stamp;
pub use stamp::{LAYOUT_HASH, RUSTC, SECTION, Stamp, StampError, StampInfo, TARGET};
pub use table::TableError;
