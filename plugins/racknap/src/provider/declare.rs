//! What the plugin declares of the upstream: its calls, and the answers that prove a refusal. Nothing is
//! decided here.

use std::time::Duration;

use purveyor_sdk::{Call, Credential, Proof, Shape, Timing};

use crate::client::{BEFORE_ID, MESSAGE, TOKEN, success};
use crate::error::{STATUS, SUCCESS, proof};

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

/// Assumption: a status word that is not the one of success proves that nothing was done. The document
/// says only that an error code and a message come in case of any error. Which HTTP status comes with
/// them it does not say either; a redirect and a failing server prove nothing.
pub(crate) const PROOFS: &[Proof] = &[
    Proof::new(proof::REFUSED).statuses(200, 299).json().differs(STATUS, SUCCESS),
    Proof::new(proof::REFUSED_BY_HTTP).json().differs(STATUS, SUCCESS),
];

pub(crate) const CALLS: &[Call] = &[
    Call::read("service/planDetail").post("/service/planDetail"),
    Call::read("service/cloud_linux_vps_details").post("/service/cloud_linux_vps_details"),
    Call::spend("service/create")
        .post("/service/create")
        .success(Shape::json_id(MESSAGE, "service").digits_after(BEFORE_ID).equals(STATUS, SUCCESS))
        .rejected_by(REFUSALS),
    setting("service/suspend", "/service/suspend"),
    setting("service/unsuspend", "/service/unsuspend"),
    setting("service/terminate", "/service/terminate"),
];

const REFUSALS: &[&str] = &[proof::REFUSED, proof::REFUSED_BY_HTTP];

/// Sending it again ends in the same state, and no money moves.
const fn setting(name: &'static str, path: &'static str) -> Call {
    Call::setting(name).post(path).success(success()).rejected_by(REFUSALS)
}
