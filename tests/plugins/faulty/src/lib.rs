//! A plugin that does what it is told, right or wrong: every call carries a script, a line of words
//! that are carried out one after the other. It is written against the boundary itself, because the
//! SDK would keep it from most of what it does here.
//!
//! The script stands in `upstream_id` of a call's context, and in the configuration for `open`. Identify,
//! whose context is empty, has one of its own.
//!
//! | word | what it does |
//! |---|---|
//! | `read` `prepare` `setting` `spend` | sends the call of that name |
//! | `get` | sends the call `thing`, whose path has a segment |
//! | `undeclared` | sends a call that the manifest does not have |
//! | `disguised` | sends the body of `spend` under the name `read` |
//! | `both` | joins two spends |
//! | `beside` | joins a read and a spend |
//! | `foreign` | spends under the number of another call |
//! | `spawned` | spends in a spawned task |
//! | `smuggled` | makes a spend here and polls it in a spawned task |
//! | `spoiled` | spawns a task that panics |
//! | `begun` | polls a spend once and drops it |
//! | `unpolled` | makes a spend and drops it |
//! | `pending` | is pending once |
//! | `sleep` | sleeps for a millisecond |
//! | `panic` `hang` | does so |
//! | `cleanup` | from here on panics when the call is dropped |
//! | `start` | first word alone: panics in `start` |
//! | `say:done:ID` `say:rejected:PROOF` `say:pending` `say:garbage` | ends with that answer |
//! | `say:account:ID` | ends as an identify does |
//! | `fail` | ends with the last error, if there was one |
//!
//! `word=mode` sends `mode` along, which tells the test's upstream how to answer.

mod manifest;
mod script;

use std::sync::Arc;

use prost::Message;
use purveyor_abi::guest::{Call, Host, Plugin};
use purveyor_abi::{Code, Reply, ReplyFuture};
use purveyor_sdk::plugin::v1::{CallContext, Error, Op, OpenRequest};

/// What an identify does: it is refused the credential once, and tells the account all the same.
const IDENTIFY: &str = "read=refused say:account:A-1";

/// An instance.
pub struct Faulty {
    host: Arc<Host>,
}

impl Plugin for Faulty {
    fn manifest() -> Vec<u8> {
        manifest::manifest().encode_to_vec()
    }

    fn open(host: Host, config: &[u8]) -> Result<Self, Vec<u8>> {
        let request = OpenRequest::decode(config).map_err(|error| refusal(&error.to_string()))?;
        if request.configuration.contains("panic") {
            panic!("told to panic in open");
        }
        if request.configuration.contains("refuse") {
            return Err(refusal("told to refuse"));
        }
        Ok(Self { host: Arc::new(host) })
    }

    fn start(&self, call: Call<'_>, _request: &[u8]) -> Result<ReplyFuture, Code> {
        let context = CallContext::decode(call.info.context).map_err(|_| Code::MALFORMED)?;
        let script = match Op::try_from(call.info.op.cast_signed()) {
            Ok(Op::Identify) => IDENTIFY.to_owned(),
            _ => context.upstream_ids.into_iter().next().unwrap_or_default(),
        };
        assert!(!script.starts_with("start"), "told to panic in start");
        let (host, id) = (Arc::clone(&self.host), call.info.id);
        Ok(call.reply_with(async move {
            match script::run(&host, id, &script).await {
                Ok(answer) => Reply::ok(answer),
                Err(error) => Reply::error(error.encode_to_vec()),
            }
        }))
    }
}

fn refusal(message: &str) -> Vec<u8> {
    Error { message: message.to_owned(), ..Error::default() }.encode_to_vec()
}

purveyor_abi::export_plugin!(Faulty, "faulty", env!("CARGO_PKG_VERSION"));
