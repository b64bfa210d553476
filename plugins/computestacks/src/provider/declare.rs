//! What the plugin declares of the upstream: its calls, the answers that prove a refusal, the
//! warnings of its documents. Nothing is decided here.

use std::time::Duration;

use purveyor_sdk::v1::Notice;
use purveyor_sdk::{Call, Credential, Note, Proof, Rate, Shape, Timing};

use crate::client::{API_CREDENTIAL, PASSWORD, USERNAME};
use crate::error::proof;

/// Upstream's limit: 2500 requests in 5 minutes from one address.
pub(super) const RATE: Rate = Rate { requests: 2500, period: Duration::from_secs(300) };

/// Assumptions: the upstream documents none of this. An answer comes within 30 s; the server in
/// front drops idle connections within 75 s and gives up on a request after 60 s, its usual
/// settings; what is committed is listed at once, and 5 s allow for a copy of the database that
/// lags.
pub(super) const TIMING: Timing = Timing {
    attempt_timeout: Duration::from_secs(30),
    upstream_idle: Duration::from_secs(75),
    upstream_processing: Duration::from_secs(60),
    listing_lag: Duration::from_secs(5),
};

pub(super) const NEEDS_PRICE_RULES: Note = Note::new(
    "NEEDS_PRICE_RULES",
    "a product has to be added to a billing plan, and its price rules created; with offers that is done",
    "POST /api/admin/products",
);
pub(super) const RECREATES_PACKAGE: Note = Note::new(
    "RECREATES_PACKAGE",
    "a change of the package deletes it and makes it anew, with another identifier",
    "PATCH /api/admin/products/{id}",
);

pub(super) const CREDENTIALS: &[Credential] = &[
    Credential::basic(API_CREDENTIAL, "an API credential, username:password; for Basic").optional(),
    Credential::granted(USERNAME, "the username of an API credential; for tokens").optional(),
    Credential::granted(PASSWORD, "the password of an API credential; for tokens").optional(),
];

pub(super) const PROOFS: &[Proof] = &[
    Proof::new(proof::UNAUTHORIZED).statuses(401, 401),
    Proof::new(proof::TOKEN).statuses(401, 401).may_repeat(),
    Proof::new(proof::FORBIDDEN).statuses(403, 403),
    Proof::new(proof::MISSING).statuses(404, 404),
    Proof::new(proof::INVALID).statuses(422, 422).json().exists("/errors/0"),
    Proof::new(proof::THROTTLED).statuses(429, 429).may_repeat(),
];

const REFUSALS: &[&str] = &[
    proof::UNAUTHORIZED,
    proof::TOKEN,
    proof::FORBIDDEN,
    proof::MISSING,
    proof::INVALID,
    proof::THROTTLED,
];

pub(super) const CREATE: &str = "products.create";
pub(super) const UPDATE: &str = "products.update";
pub(super) const DELETE: &str = "products.delete";
pub(super) const ADD_RESOURCE: &str = "billing_resources.create";
pub(super) const ADD_RULE: &str = "billing_resource_prices.create";

pub(super) const CALLS: &[Call] = &[
    Call::read("version").get("/api/version"),
    // A token changes nothing of the account.
    Call::read("oauth.token").post("/api/oauth/token").form(),
    Call::read("products.list").get("/api/admin/products"),
    Call::read("products.get").get("/api/admin/products/{}"),
    Call::read("billing_plans.get").get("/api/admin/billing_plans/{}"),
    // Costs nothing, but a second one makes a second product.
    Call::spend(CREATE)
        .post("/api/admin/products")
        .json()
        .success(Shape::json_id("/product/id", "product").statuses(201, 201))
        .rejected_by(REFUSALS),
    Call::setting(UPDATE)
        .patch("/api/admin/products/{}")
        .json()
        .success(Shape::json().statuses(200, 200).exists("/product/id"))
        .rejected_by(REFUSALS),
    Call::setting(DELETE)
        .delete("/api/admin/products/{}")
        .success(Shape::any().statuses(204, 204))
        .rejected_by(REFUSALS),
    // What these two make is looked up in the plan, so their answers need to say no more than that
    // they are whole.
    Call::spend(ADD_RESOURCE)
        .post("/api/admin/billing_plans/{}/billing_resources")
        .json()
        .success(Shape::json().statuses(201, 201))
        .rejected_by(REFUSALS),
    Call::spend(ADD_RULE)
        .post(
            "/api/admin/billing_plans/{}/billing_resources/{}/billing_phases/{}/billing_resource_prices",
        )
        .json()
        .success(Shape::json().statuses(201, 201))
        .rejected_by(REFUSALS),
];

/// A warning of the documents beside a quote.
pub(super) fn notice(note: Note) -> Notice {
    Notice {
        reason: note.reason.to_owned(),
        message: note.message.to_owned(),
        source: note.source.to_owned(),
    }
}
