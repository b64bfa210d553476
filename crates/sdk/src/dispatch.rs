//! Between the boundary's bytes and the author's methods: what `#[provider]` and `export_provider!`
//! expand to stands on this, and nobody else uses it. It must not know any method by name.

use std::future::Future;
use std::sync::Arc;

use prost::Message;
use purveyor_abi::host::PluginTable;
use purveyor_abi::{Code, Reply, ReplyFuture, TableError, guest};

use crate::cx::Cx;
use crate::declare::Method;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::manifest;
use crate::plugin::v1::{
    self, BaselineResponse, CallContext, CallKind, FindResponse, IdentifyRequest, IdentifyResponse,
    Op, OpenRequest, PollResponse, StepOutcome,
};
use crate::provider::Provider;
use crate::step::{Finding, Progress, Resource, Step};
use crate::v1::Quote;
use crate::write::{Baseline, Evidence, Find, FromWire, PollItem, Write};

/// The methods that an author wrote; implemented by `#[provider]`.
pub trait Dispatch: Provider {
    /// Every method that is marked, and with it the provider's capabilities.
    const METHODS: &'static [Method];
    /// The version of the plugin's package.
    const VERSION: &'static str;

    /// Starts the method behind the call's number.
    ///
    /// # Errors
    ///
    /// [`Code::UNKNOWN_OP`] for what is not written, [`Code::MALFORMED`] for bytes that are no request.
    fn dispatch(call: Started<'_, Self>) -> Result<ReplyFuture, Code>;
}

/// A provider that can be loaded; implemented by `export_provider!`.
pub trait Exported: Dispatch {
    /// The plugin's table as a host sees it, for tests in the same process.
    ///
    /// # Errors
    ///
    /// Why the table cannot be used.
    fn table() -> Result<PluginTable, TableError>;
}

/// An open provider behind the boundary.
pub struct Instance<P> {
    provider: Arc<P>,
}

impl<P: Dispatch> guest::Plugin for Instance<P> {
    fn manifest() -> Vec<u8> {
        manifest::of::<P>().encode_to_vec()
    }

    fn open(host: guest::Host, config: &[u8]) -> Result<Self, Vec<u8>> {
        let opened = open::<P>(host, config);
        let opened = opened.map_err(|error| v1::Error::from(error).encode_to_vec());
        opened.map(|provider| Self { provider: Arc::new(provider) })
    }

    fn start(&self, call: guest::Call<'_>, request: &[u8]) -> Result<ReplyFuture, Code> {
        let op = i32::try_from(call.info.op).ok().and_then(|op| Op::try_from(op).ok());
        let op = op.ok_or(Code::UNKNOWN_OP)?;
        let context = CallContext::decode(call.info.context).map_err(|_| Code::MALFORMED)?;
        P::dispatch(Started { provider: &self.provider, call, op, context, request })
    }
}

fn open<P: Provider>(host: guest::Host, config: &[u8]) -> Result<P> {
    let mut request = OpenRequest::decode(config)
        .map_err(|error| Error::fault("the request to open is malformed").with_source(error))?;
    let host = Host::new(&mut request, host, P::NAME)?;
    P::open(configuration(&request.configuration)?, &host)
}

/// The author's configuration from its JSON; a violation names the field by its path.
fn configuration<C: serde::de::DeserializeOwned>(json: &str) -> Result<C> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => "configuration".to_owned(),
            path => format!("configuration.{path}"),
        };
        // Line and column are of a text that the reader of this has never seen.
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Error::field(path, message)
    })
}

/// A call that is being started.
pub struct Started<'a, P> {
    provider: &'a Arc<P>,
    call: guest::Call<'a>,
    op: Op,
    context: CallContext,
    request: &'a [u8],
}

impl<P: Provider> Started<'_, P> {
    /// Which method is called.
    pub fn op(&self) -> Op {
        self.op
    }

    /// Starts a read: a request, and an answer.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn read<R, A, F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        R: Message + Default,
        A: Message,
        F: FnOnce(Arc<P>, Cx, R) -> Fut,
        Fut: Future<Output = Result<A>> + Send + 'static,
    {
        self.start(|bytes| R::decode(bytes).ok(), method, |answer| Ok(answer.encode_to_vec()))
    }

    /// Starts one step of a write.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn write<R, T, F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        R: Message + Default,
        T: Into<Resource> + 'static,
        F: FnOnce(Arc<P>, Cx, R) -> Fut,
        Fut: Future<Output = Result<Step<T>>> + Send + 'static,
    {
        self.start(
            |bytes| R::decode(bytes).ok(),
            method,
            |step: Step<T>| Ok(StepOutcome::try_from(step)?.encode_to_vec()),
        )
    }

    /// Starts `identify`.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn identify<F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        F: FnOnce(Arc<P>, Cx) -> Fut,
        Fut: Future<Output = Result<String>> + Send + 'static,
    {
        self.start(
            |bytes| IdentifyRequest::decode(bytes).ok(),
            |provider, cx, IdentifyRequest {}| method(provider, cx),
            |account: String| match account.as_str() {
                "" => Err(Error::fault("the account's identity is empty")),
                _ => Ok(IdentifyResponse { account }.encode_to_vec()),
            },
        )
    }

    /// Starts `plan`.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn plan<F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        F: FnOnce(Arc<P>, Cx, Write) -> Fut,
        Fut: Future<Output = Result<Quote>> + Send + 'static,
    {
        self.start(from_wire, method, |quote: Quote| Ok(quote.encode_to_vec()))
    }

    /// Starts `baseline`.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn baseline<F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        F: FnOnce(Arc<P>, Cx, Baseline) -> Fut,
        Fut: Future<Output = Result<Evidence>> + Send + 'static,
    {
        self.start(from_wire, method, |evidence: Evidence| {
            Ok(BaselineResponse::from(evidence).encode_to_vec())
        })
    }

    /// Starts `poll`.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn poll<F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        F: FnOnce(Arc<P>, Cx, Vec<PollItem>) -> Fut,
        Fut: Future<Output = Result<Vec<Progress>>> + Send + 'static,
    {
        let items: Vec<PollItem> = from_wire(self.request).ok_or(Code::MALFORMED)?;
        // An outcome belongs to its item by its place alone.
        let asked = items.len();
        self.start(
            |_| Some(items),
            method,
            move |outcomes: Vec<Progress>| {
                if outcomes.len() != asked {
                    return Err(Error::fault("poll does not answer every item once"));
                }
                let outcomes = outcomes.into_iter().map(TryInto::try_into);
                let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
                Ok(PollResponse { outcomes }.encode_to_vec())
            },
        )
    }

    /// Starts `find`.
    ///
    /// # Errors
    ///
    /// [`Code::MALFORMED`].
    pub fn find<F, Fut>(self, method: F) -> Result<ReplyFuture, Code>
    where
        F: FnOnce(Arc<P>, Cx, Find) -> Fut,
        Fut: Future<Output = Result<Finding>> + Send + 'static,
    {
        self.start(from_wire, method, |finding: Finding| {
            Ok(FindResponse::try_from(finding)?.encode_to_vec())
        })
    }

    /// Decodes now, since the bytes are only lent, and boxes the rest in one allocation.
    fn start<R, A, F, Fut>(
        self,
        decode: impl FnOnce(&[u8]) -> Option<R>,
        method: F,
        encode: impl FnOnce(A) -> Result<Vec<u8>> + Send + 'static,
    ) -> Result<ReplyFuture, Code>
    where
        F: FnOnce(Arc<P>, Cx, R) -> Fut,
        Fut: Future<Output = Result<A>> + Send + 'static,
    {
        let request = decode(self.request).ok_or(Code::MALFORMED)?;
        let info = self.call.info;
        let kind = i32::try_from(info.kind).ok().and_then(|kind| CallKind::try_from(kind).ok());
        let cx = Cx {
            host: self.call.host.clone(),
            call_id: info.id,
            kind: kind.unwrap_or(CallKind::Unspecified),
            context: self.context,
            log_target: P::NAME,
        };
        let future = method(Arc::clone(self.provider), cx, request);
        Ok(self.call.reply_with(async move {
            match future.await.and_then(encode) {
                Ok(body) => Reply::ok(body),
                Err(error) => Reply::error(v1::Error::from(error).encode_to_vec()),
            }
        }))
    }
}

fn from_wire<T: FromWire>(bytes: &[u8]) -> Option<T> {
    T::from_wire(T::Wire::decode(bytes).ok()?)
}

/// Makes a shared library of the crate: the entry symbol, the stamp, and a test of the manifest. Once
/// per crate, for a type with `#[provider]`.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        $crate::abi::export_plugin!(
            $crate::dispatch::Instance<$provider>,
            <$provider as $crate::Provider>::NAME,
            env!("CARGO_PKG_VERSION")
        );

        impl $crate::dispatch::Exported for $provider {
            #[allow(unsafe_code)]
            fn table()
            -> ::core::result::Result<$crate::abi::host::PluginTable, $crate::abi::TableError> {
                let entry = $crate::abi::entry!($crate::dispatch::Instance<$provider>);
                // SAFETY: the entry function is of this very code, which is never unloaded.
                unsafe { $crate::abi::host::PluginTable::from_entry(entry) }
            }
        }

        #[cfg(test)]
        #[test]
        fn the_manifest_is_valid() {
            let problems = $crate::manifest::validate(&$crate::manifest::of::<$provider>());
            assert!(problems.is_empty(), "{problems:#?}");
        }
    };
}
