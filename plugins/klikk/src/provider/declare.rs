//! What the plugin declares of the upstream: its calls, the answers that prove a refusal, and the
//! warnings of its document. Nothing is decided here.

use std::time::Duration;

use purveyor_sdk::v1::Notice;
use purveyor_sdk::{Call, Credential, Note, Proof, Shape, Timing};

use crate::client::{ACCOUNT_TOKEN, LOGIN};
use crate::error::proof;

/// `order_list` and `server_list` tell all there is in one answer each.
pub(crate) const POLLS_AT_ONCE: i32 = 100;

/// Assumptions: the upstream documents none of this. An answer comes within half a minute; a front end
/// drops idle connections within a minute; a request that lost its connection has run to its end within
/// two; a new order is listed within one.
pub(crate) const TIMING: Timing = Timing {
    attempt_timeout: Duration::from_secs(30),
    upstream_idle: Duration::from_secs(60),
    upstream_processing: Duration::from_secs(120),
    listing_lag: Duration::from_secs(60),
};

pub(crate) const AUTO_RENEWS: Note = Note::new(
    "AUTO_RENEWS",
    "servers are renewed and charged for every period until they are cancelled",
    "order_cancel",
);
pub(crate) const NEEDS_CREDIT: Note = Note::new(
    "NEEDS_CREDIT",
    "without enough credit the upstream may ask for payment first",
    "order_create",
);
pub(crate) const INVOICE_EXISTS: Note = Note::new(
    "INVOICE_EXISTS",
    "when the upstream asks for payment, the invoice is made already",
    "order_create",
);

pub(crate) const MARK_LOST: Note = Note::new(
    "MARK_LOST",
    "the order is new and as it was asked for, and its names came back without their marks",
    "order_status response.order_items[].reference",
);
pub(crate) const EFFECT_NOT_READ: Note = Note::new(
    "EFFECT_NOT_READ",
    "the upstream does not tell whether an item renews: its answer counts as the effect",
    "order_cancel",
);

pub(crate) const CREDENTIALS: &[Credential] = &[
    Credential::header(
        ACCOUNT_TOKEN,
        "X-Account-Token",
        "the account token of the customer profile",
    )
    .optional(),
    Credential::basic(LOGIN, "user:password of a portal user without a second factor").optional(),
];

/// An answer without a known caller proves that nothing was done, and 404 is the document's for a
/// cancellation. It has no code and no word for any other refusal, and answers may be in any language:
/// an invoice may exist although the answer is an error, so only the operator can say which are none.
pub(crate) const PROOFS: &[Proof] = &[
    Proof::new(proof::UNAUTHENTICATED).statuses(401, 401),
    refused(proof::REFUSED_400, 400),
    refused(proof::REFUSED_403, 403),
    refused(proof::REFUSED_422, 422),
    Proof::new(proof::NOT_FOUND).statuses(404, 404),
];

const fn refused(name: &'static str, status: u16) -> Proof {
    Proof::new(name).statuses(status, status).json().refusal_words("/message", &[])
}

pub(crate) const CALLS: &[Call] = &[
    Call::read("order_status").post("").json_word("/action", &["order_status"]),
    Call::read("order_list").post("").json_word("/action", &["order_list"]),
    Call::read("server_list").post("").json_word("/action", &["server_list"]),
    Call::spend("order_create")
        .post("")
        .json_word("/action", &["order_create"])
        .success(Shape::json_id("/order_id", "order"))
        .payment_due(Shape::json_id("/order_id", "order").statuses(402, 402))
        .rejected_by(proof::OF_ORDER),
    // Sent again it ends in the same state, and moves no money.
    Call::setting("order_cancel")
        .post("")
        .json_word("/action", &["order_cancel"])
        .success(Shape::any().statuses(200, 200))
        .rejected_by(proof::ALL),
];

/// A warning of the document beside a resource.
pub(crate) fn notice(note: Note) -> Notice {
    Notice {
        reason: note.reason.to_owned(),
        message: note.message.to_owned(),
        source: note.source.to_owned(),
    }
}
