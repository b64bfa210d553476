//! What the plugin declares of the upstream: its calls, the answers that prove a refusal, and the
//! warnings of its documents. Nothing is decided here.

use std::time::Duration;

use purveyor_sdk::v1::Notice;
use purveyor_sdk::{Call, Credential, Note, Proof, Rate, Shape, Timing};

use crate::error::proof;

/// The credential with the API key.
pub(crate) const API_KEY: &str = "api-key";

/// Upstream's limit: 30 requests in 2 seconds.
pub(crate) const RATE: Rate = Rate { requests: 30, period: Duration::from_secs(2) };

/// `operation.list` takes an array of ids; as many as it lists on one page.
pub(crate) const POLLS_AT_ONCE: i32 = 100;

/// Assumptions: the upstream documents none of this. Both published clients give an answer less time
/// than `attempt_timeout`; a front end drops idle connections within a minute; a request that lost its
/// connection has run to its end within two; a new operation is listed within one.
pub(crate) const TIMING: Timing = Timing {
    attempt_timeout: Duration::from_secs(30),
    upstream_idle: Duration::from_secs(60),
    upstream_processing: Duration::from_secs(120),
    listing_lag: Duration::from_secs(60),
};

/// Why each product method needs care, for those that act on them.
pub(crate) const NOT_FREE: Note = Note::new(
    "NOT_FREE",
    "this is not a free operation; the price is in the catalogue",
    "hosting.product",
);
pub(crate) const NEEDS_CREDIT: Note =
    Note::new("NEEDS_CREDIT", "the prepaid account has to have enough credit", "hosting.product");
pub(crate) const DEPRECATED: Note = Note::new(
    "DEPRECATED",
    "the product methods are deprecated and go away with API version 3.3.0; credits take their place",
    "hosting.product",
);

pub(crate) const CREDENTIALS: &[Credential] =
    &[Credential::granted(API_KEY, "the API key: the first parameter of every method")];

pub(crate) const PROOFS: &[Proof] = &[
    Proof::new(proof::FAULT).statuses(200, 200).xml_rpc().prefix("/fault/faultCode", "5"),
    Proof::new(proof::QUOTA)
        .statuses(200, 200)
        .xml_rpc()
        .prefix("/fault/faultCode", "5")
        .suffix("/fault/faultCode", "35")
        .may_repeat(),
    Proof::new(proof::NIL).statuses(200, 200).xml_rpc().is_null("/params/0"),
    Proof::new(proof::UNSUPPORTED_METHOD)
        .statuses(200, 200)
        .xml_rpc()
        .equals("/fault/faultCode", "1"),
];

pub(crate) const CALLS: &[Call] = &[
    read("version.info", &["version.info"]),
    read("contact.balance", &["contact.balance"]),
    read("hosting.account.info", &["hosting.account.info"]),
    read("operation.info", &["operation.info"]),
    read("operation.list", &["operation.list"]),
    read("catalog.list", &["catalog.list"]),
    product("product.create", &["hosting.product.create", "product.create"]),
    product("product.renew", &["hosting.product.renew", "product.renew"]),
    product("product.update", &["hosting.product.update", "product.update"]),
    // A deletion refunds, so that sending it again is not harmless; it has one spelling only.
    product("product.delete", &["hosting.product.delete"]),
    // A cancellation gives money back.
    Call::spend("operation.cancel")
        .post("/")
        .xml_rpc(&["operation.cancel"])
        .success(Shape::xml_rpc())
        .rejected_by(&[proof::FAULT, proof::QUOTA, proof::UNSUPPORTED_METHOD]),
];

const fn read(name: &'static str, words: &'static [&'static str]) -> Call {
    Call::read(name).post("/").xml_rpc(words)
}

const fn product(name: &'static str, words: &'static [&'static str]) -> Call {
    Call::spend(name)
        .post("/")
        .xml_rpc(words)
        .success(Shape::xml_rpc_id("/params/0/id", "operation"))
        .rejected_by(&[proof::FAULT, proof::QUOTA, proof::NIL, proof::UNSUPPORTED_METHOD])
}

/// A warning of the documents beside a resource.
pub(crate) fn notice(note: Note) -> Notice {
    Notice {
        reason: note.reason.to_owned(),
        message: note.message.to_owned(),
        source: note.source.to_owned(),
    }
}

/// The warnings about everything that costs money.
pub(crate) fn spending_notices() -> Vec<Notice> {
    [NOT_FREE, NEEDS_CREDIT, DEPRECATED].map(notice).into()
}
