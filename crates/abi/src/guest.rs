//! The plugin's side: the trait a plugin implements, the host as it sees it, and the macro that
//! makes the exported symbol. Used by the SDK and by what its macros expand to, by nobody else.

use std::future::Future;

use crate::future::ReplyFuture;
use crate::reply::{CallInfo, Code, Reply};

#[doc(hidden)]
pub mod export;
mod host;

pub use host::{Host, TaskId};

/// A plugin, as far as this crate cares: bytes in, bytes out.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The encoded manifest. Called before any `open`, and may be called again.
    fn manifest() -> Vec<u8>;

    /// Makes an instance for one provider. Several may live at once.
    ///
    /// # Errors
    ///
    /// An encoded error that says what is wrong with `config`.
    fn open(host: Host, config: &[u8]) -> Result<Self, Vec<u8>>;

    /// Starts a call; `request` is decoded here, since it is borrowed. The answer is made by
    /// [`Call::reply_with`].
    ///
    /// # Errors
    ///
    /// [`Code::UNKNOWN_OP`] for an op that is not implemented, [`Code::MALFORMED`] for a request
    /// that cannot be decoded. Everything else belongs into the reply.
    fn start(&self, call: Call<'_>, request: &[u8]) -> Result<ReplyFuture, Code>;
}

/// A call that is being started.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What the host says of the call.
    pub info: CallInfo<'a>,
    /// The host of the instance that was called.
    pub host: &'a Host,
}

impl Call<'_> {
    /// Boxes the future that answers this call, in one allocation. If dropping it panics, the host's
    /// log says so under this call.
    pub fn reply_with<F>(&self, future: F) -> ReplyFuture
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        self.host.own_future(self.info.id, future)
    }
}

/// An [`crate::EntryFn`] for a type that implements [`Plugin`](crate::guest::Plugin), without
/// exporting anything: what a test needs to drive a plugin in its own process.
#[macro_export]
macro_rules! entry {
    ($plugin:ty) => {{
        struct Entry;
        impl $crate::guest::export::Export for Entry {
            type Plugin = $plugin;

            fn slot() -> &'static $crate::guest::export::HostSlot {
                static SLOT: $crate::guest::export::HostSlot =
                    $crate::guest::export::HostSlot::new();
                &SLOT
            }
        }
        $crate::guest::export::entry::<Entry> as $crate::EntryFn
    }};
}

/// Makes a shared library a plugin: emits the entry symbol and the stamp. Once per library.
///
/// ```
/// use purveyor_abi::guest::{Call, Host, Plugin};
/// use purveyor_abi::{Code, Reply, ReplyFuture};
///
/// struct Echo;
///
/// impl Plugin for Echo {
///     fn manifest() -> Vec<u8> {
///         Vec::new()
///     }
///
///     fn open(_host: Host, _config: &[u8]) -> Result<Self, Vec<u8>> {
///         Ok(Self)
///     }
///
///     fn start(&self, call: Call<'_>, request: &[u8]) -> Result<ReplyFuture, Code> {
///         let request = request.to_vec();
///         match call.info.op {
///             1 => Ok(call.reply_with(async move { Reply::ok(request) })),
///             _ => Err(Code::UNKNOWN_OP),
///         }
///     }
/// }
///
/// purveyor_abi::export_plugin!(Echo, "echo", "1.0.0");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty, $name:expr, $version:expr $(,)?) => {
        const _: () = {
            #[used]
            #[cfg_attr(target_os = "linux", unsafe(link_section = ".purveyor_abi"))]
            static STAMP: $crate::Stamp = $crate::Stamp::new($name, $version);

            #[unsafe(no_mangle)]
            unsafe extern "C" fn purveyor_plugin_v1(
                host: *const $crate::raw::Host,
                out: *mut *const $crate::raw::Plugin,
            ) -> u32 {
                $crate::keep_stamp(&STAMP);
                let entry = $crate::entry!($plugin);
                // SAFETY: both pointers are passed on as they came, under the same contract.
                unsafe { entry(host, out) }
            }
        };
    };
}
