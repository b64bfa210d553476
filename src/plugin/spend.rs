//! What came of one step of a write: what the plugin said, and beside it what the host itself saw of
//! the request that the step sent. Data alone; who reads it decides.

use bytes::Bytes;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::StepOutcome;
use purveyor_sdk::v1::Effect;

/// One step. The two parts may contradict each other; the host's own record is the one that closes
/// an attempt.
#[derive(Debug)]
pub struct Stepped {
    /// The plugin's words, or why there are none.
    pub said: Result<StepOutcome, Error>,
    /// The request that the step sent or was about to send; `None` when it made none.
    pub spend: Option<Spend>,
}

/// One SETTING or SPEND as the host saw it.
#[derive(Debug, Clone)]
pub struct Spend {
    /// The call's name in the manifest.
    pub call: String,
    /// SETTING or SPEND.
    pub effect: Effect,
    /// The attempt that a permit was given for; `None` when it did not come to that, which implies
    /// [`Seen::NotSent`].
    pub attempt: Option<u32>,
    /// What was seen.
    pub seen: Seen,
    /// What came of an answer, complete or not.
    pub answer: Option<Answer>,
}

/// What the host saw of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// No byte of the request was written.
    NotSent {
        /// Why.
        reason: String,
    },
    /// A complete 2xx of the shape that the manifest declares.
    Success {
        /// The identifier of what was made, where the manifest says that something is.
        upstream_id: Option<String>,
        /// What kind of thing it is; empty without an identifier.
        id_kind: String,
    },
    /// A complete answer that the manifest declares as *accepted, payment due*.
    PaymentDue {
        /// The identifier of what waits for payment, where the answer carries it.
        upstream_id: Option<String>,
        /// What kind of thing it is; empty without an identifier.
        id_kind: String,
    },
    /// A complete answer that satisfies declared proofs. It is a rejection when the plugin names
    /// one of them.
    Refusable {
        /// The proofs; never empty.
        proofs: Vec<ProofSeen>,
        /// What was seen.
        message: String,
    },
    /// Everything else: it may have been done.
    Unproven {
        /// What was seen.
        reason: String,
    },
}

/// A declared proof of rejection that an answer satisfies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofSeen {
    /// Its name in the manifest.
    pub name: String,
    /// Whether another attempt may follow.
    pub may_repeat: bool,
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// At most [`Answer::MAX_BYTES`], with the secrets of the manifest and of the configuration cut
    /// out; XML-RPC as the JSON document that pointers are applied to.
    pub body: Bytes,
    /// Whether the whole answer was read, and all of it is kept.
    pub complete: bool,
}

impl Answer {
    /// The most bytes that are kept: what a person can read, and a row of a store can hold.
    pub const MAX_BYTES: usize = 64 * 1024;
}
