//! What the plugin declares of the upstream: its calls, and the answers that prove a refusal. Nothing is
//! decided here.

use std::time::Duration;

use purveyor_sdk::{Call, Credential, Proof, Shape, Timing};

use crate::client::{BEFORE_ID, MESSAGE, TOKEN, success};
use crate::error::{REFUSAL_WORDS, STATUS, SUCCESS, proof};

/// Assumptions: the upstream documents none of this. An answer comes within half a minute; a front end
/// drops idle connections within a minute; a request that lost its connection has run to its end within
/// two. There is no listing that could lag.
pub(crate) const TIMING: Timing = Timing {
    attempt_timeout: Duration::from_secs(30),
    upstream_idle: Duration::from_secs(60),
    upstream_processing: Duration::from_secs(120),
    listing_lag: Duration::ZERO,
};

/// `Validate`, not `Authorization`.
pub(crate) const CREDENTIALS: &[Credential] = &[Credential::header(
    TOKEN,
    "Validate",
    "the token of the Authentication API, without the word before it",
)
.scheme("Bearer")];

/// The document does not say which HTTP status an error has. Assumptions: 2xx with the word, or one of
/// those that say that the request itself is at fault. A time-out, a conflict, a limit and a failing
/// server prove nothing, whatever they say.
pub(crate) const PROOFS: &[Proof] = &[
    refused(proof::REFUSED, 200, 299),
    refused(proof::REFUSED_400, 400, 401),
    refused(proof::REFUSED_403, 403, 404),
    refused(proof::REFUSED_422, 422, 422),
];

const fn refused(name: &'static str, min: u16, max: u16) -> Proof {
    Proof::new(name).statuses(min, max).json().refusal_words(STATUS, REFUSAL_WORDS)
}

pub(crate) const CALLS: &[Call] = &[
    Call::read("service/planDetail").post("/service/planDetail"),
    Call::read("service/cloud_linux_vps_details").post("/service/cloud_linux_vps_details"),
    Call::spend("service/create")
        .post("/service/create")
        .success(Shape::json_id(MESSAGE, "service").digits_after(BEFORE_ID).equals(STATUS, SUCCESS))
        .rejected_by(proof::ALL),
    setting("service/suspend", "/service/suspend"),
    setting("service/unsuspend", "/service/unsuspend"),
    setting("service/terminate", "/service/terminate"),
];

/// Sending it again ends in the same state, and no money moves.
const fn setting(name: &'static str, path: &'static str) -> Call {
    Call::setting(name).post(path).success(success()).rejected_by(proof::ALL)
}
