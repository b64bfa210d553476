//! What a plugin declares of itself, as constants beside its code: calls, proofs, credentials, limits,
//! methods. Nothing here looks at an answer or sends a request; `manifest` turns it into messages.

use std::time::Duration;

mod answer;
pub mod check;

pub(crate) use answer::{Conditions, Test};
pub use answer::{MAX_CONDITIONS, Proof, Shape};

use crate::op::OpKind;
pub use crate::plugin::v1::credential::Placement;
use crate::plugin::v1::{BodyFormat, Op};
use crate::v1::{CancelPolicy, Confirmation, Effect, Evidence};

/// One upstream request that the plugin may make.
///
/// Its effect is what the gateway protects: say [`Call::spend`] unless one of the others is proven by
/// the upstream's documents.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) format: BodyFormat,
    pub(crate) word_pointer: &'static str,
    pub(crate) words: &'static [&'static str],
    pub(crate) success: Option<Shape>,
    pub(crate) payment_due: Option<Shape>,
    pub(crate) proofs: &'static [&'static str],
}

impl Call {
    /// A request that changes nothing.
    pub const fn read(name: &'static str) -> Self {
        Self::new(name, Effect::Read)
    }

    /// A request that costs nothing and lapses by itself: a dry run, a draft, an unpaid order.
    pub const fn prepare(name: &'static str) -> Self {
        Self::new(name, Effect::Prepare)
    }

    /// A request that ends in the same state when it is sent again, and moves no money.
    pub const fn setting(name: &'static str) -> Self {
        Self::new(name, Effect::Setting)
    }

    /// Every other request.
    pub const fn spend(name: &'static str) -> Self {
        Self::new(name, Effect::Spend)
    }

    const fn new(name: &'static str, effect: Effect) -> Self {
        Self {
            name,
            effect,
            method: "",
            path: "",
            format: BodyFormat::Unspecified,
            word_pointer: "",
            words: &[],
            success: None,
            payment_due: None,
            proofs: &[],
        }
    }

    /// Sent with this HTTP method to this path below the endpoint; `{}` stands for one segment.
    #[must_use]
    pub const fn http(self, method: &'static str, path: &'static str) -> Self {
        Self { method, path, ..self }
    }

    /// Sent with GET.
    #[must_use]
    pub const fn get(self, path: &'static str) -> Self {
        self.http("GET", path)
    }

    /// Sent with POST.
    #[must_use]
    pub const fn post(self, path: &'static str) -> Self {
        self.http("POST", path)
    }

    /// Sent with PUT.
    #[must_use]
    pub const fn put(self, path: &'static str) -> Self {
        self.http("PUT", path)
    }

    /// Sent with PATCH.
    #[must_use]
    pub const fn patch(self, path: &'static str) -> Self {
        self.http("PATCH", path)
    }

    /// Sent with DELETE.
    #[must_use]
    pub const fn delete(self, path: &'static str) -> Self {
        self.http("DELETE", path)
    }

    /// The body is JSON, and the URL alone tells which call it is.
    #[must_use]
    pub const fn json(self) -> Self {
        Self { format: BodyFormat::Json, ..self }
    }

    /// The body is JSON, in which one of these words has to stand at `pointer`.
    #[must_use]
    pub const fn json_word(self, pointer: &'static str, words: &'static [&'static str]) -> Self {
        Self { format: BodyFormat::Json, word_pointer: pointer, words, ..self }
    }

    /// The body is an XML-RPC call of one of these methods.
    #[must_use]
    pub const fn xml_rpc(self, methods: &'static [&'static str]) -> Self {
        Self { format: BodyFormat::XmlRpc, words: methods, ..self }
    }

    /// The body is a form, and the URL alone tells which call it is.
    #[must_use]
    pub const fn form(self) -> Self {
        Self { format: BodyFormat::Form, ..self }
    }

    /// What a successful answer looks like. Needed unless the call is a read.
    #[must_use]
    pub const fn success(self, shape: Shape) -> Self {
        Self { success: Some(shape), ..self }
    }

    /// An answer that accepts the request and asks for payment.
    #[must_use]
    pub const fn payment_due(self, shape: Shape) -> Self {
        Self { payment_due: Some(shape), ..self }
    }

    /// The names of the proofs that can refuse it.
    #[must_use]
    pub const fn rejected_by(self, proofs: &'static [&'static str]) -> Self {
        Self { proofs, ..self }
    }
}

/// One credential that the plugin needs.
#[derive(Debug, Clone, Copy)]
pub struct Credential {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) placement: Placement,
    pub(crate) header: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) optional: bool,
}

impl Credential {
    /// The value of a header.
    pub const fn header(
        name: &'static str,
        header: &'static str,
        description: &'static str,
    ) -> Self {
        Self { header, ..Self::new(name, Placement::Header, description) }
    }

    /// HTTP Basic; the credential is `user:password`.
    pub const fn basic(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Placement::Basic, description)
    }

    /// HTTP Bearer.
    pub const fn bearer(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Placement::Bearer, description)
    }

    /// Handed to the plugin, which has to compute with it.
    pub const fn granted(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Placement::Granted, description)
    }

    const fn new(name: &'static str, placement: Placement, description: &'static str) -> Self {
        Self { name, description, placement, header: "", scheme: "", optional: false }
    }

    /// The value stands in its header after this word and a space. Headers only.
    #[must_use]
    pub const fn scheme(self, scheme: &'static str) -> Self {
        Self { scheme, ..self }
    }

    /// The provider can do without.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// So many requests in a period.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// How many.
    pub requests: u16,
    /// In what time.
    pub period: Duration,
}

/// How long things take upstream; floors for the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long one spend may take until its answer is complete.
    pub attempt_timeout: Duration,
    /// How long the upstream keeps an idle connection.
    pub upstream_idle: Duration,
    /// How long the upstream may work on a request after its connection is gone.
    pub upstream_processing: Duration,
    /// How long something that exists may be missing from listings.
    pub listing_lag: Duration,
}

/// Something a reader should know before acting.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// An UPPER_SNAKE_CASE word to branch on.
    pub reason: &'static str,
    /// For people.
    pub message: &'static str,
    /// The upstream method or document.
    pub source: &'static str,
}

impl Note {
    /// A notice with where it comes from.
    pub const fn new(reason: &'static str, message: &'static str, source: &'static str) -> Self {
        Self { reason, message, source }
    }
}

/// One supported method; written by `#[provider]`.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// Which.
    pub op: Op,
    /// The calls it makes, by name.
    pub calls: &'static [&'static str],
    /// How an unknown outcome is found out; unspecified for reads.
    pub evidence: Evidence,
    /// Whether not finding it after the settle window proves that it was not done.
    pub absence_is_proof: bool,
    /// Whether a quote asks the upstream.
    pub asks_upstream: bool,
    /// Whether its price is known before the spend.
    pub price_known: bool,
    /// Whether it charges at once, so that `payment` has to be set.
    pub charges_at_once: bool,
    /// Whether it can leave an order unpaid.
    pub leaves_unpaid: bool,
    /// Whether the caller tells the amounts that the upstream is to write.
    pub takes_prices: bool,
    /// The most items of one order; 0: not limited here.
    pub max_items: i32,
    /// The terms it takes, in normal form; empty: not limited here.
    pub terms: &'static [&'static str],
    /// Paths that its update mask may name.
    pub updates: &'static [&'static str],
    /// How an order can be cancelled.
    pub cancel: &'static [CancelPolicy],
    /// Notices of the upstream's documents about it.
    pub notices: &'static [Note],
    /// How it is known that a write took effect; unspecified for reads.
    pub confirmation: Confirmation,
    /// How long the effect may lag behind the upstream's final word, in seconds; with
    /// `Confirmation::Read`.
    pub effect_lag_seconds: u32,
}

impl Method {
    /// A method of which nothing more is said.
    pub const fn new(op: Op) -> Self {
        Self {
            op,
            calls: &[],
            evidence: Evidence::Unspecified,
            absence_is_proof: false,
            asks_upstream: false,
            price_known: false,
            charges_at_once: false,
            leaves_unpaid: false,
            takes_prices: false,
            max_items: 0,
            terms: &[],
            updates: &[],
            cancel: &[],
            notices: &[],
            confirmation: Confirmation::Unspecified,
            effect_lag_seconds: 0,
        }
    }

    pub(crate) const fn kind(&self) -> OpKind {
        crate::op::kind(self.op)
    }
}
