//! What the upstream's refusals mean. They come in two shapes, and at a write only some of them prove
//! that nothing was done. It must not call anything a refusal that is not proven to be one.

use std::time::Duration;

use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Answer, Error, Result, serde_json};

/// The names of the proofs that the manifest declares.
pub(crate) mod proof {
    /// The gateway in front let the request pass to nobody.
    pub(crate) const NOT_ADMITTED: &str = "not_admitted";
    /// The gateway in front took the signature for wrong.
    pub(crate) const SIGNATURE: &str = "signature";
    /// The gateway in front took the request for too old; another may follow.
    pub(crate) const CLOCK: &str = "clock";
    /// The order cannot be paid with this.
    pub(crate) const PAYMENT_REFUSED: &str = "payment_refused";
    /// There is no such thing.
    pub(crate) const MISSING: &str = "missing";
    /// A parameter was refused.
    pub(crate) const PARAMETER: &str = "parameter";
    /// The account may not do this.
    pub(crate) const FORBIDDEN: &str = "forbidden";
    /// A new subscription cannot be changed yet; another request may follow.
    pub(crate) const NOT_ACTIVE: &str = "not_active";
}

/// The gateway's words, and the beginnings and ends that proofs are told by.
pub(crate) const INVALID_SIGNATURE: &str = "INVALID_SIGNATURE";
pub(crate) const QUERY_TIME_OUT: &str = "QUERY_TIME_OUT";
const INVALID_URL: &str = "INVALID_URL";
/// What says that the gateway in front let the request pass to nobody, with 403.
pub(crate) const NOT_ADMITTED: &[&str] =
    &["NOT_GRANTED_CALL", "NOT_CREDENTIAL", "INVALID_KEY", "INVALID_CREDENTIAL", "FORBIDDEN"];
pub(crate) const CANNOT_BE_PAID: &str = "This order can't be paid with ";
pub(crate) const NOT_ACTIVE_YET: &str = "subscription is not active yet";
pub(crate) const NOT_FOUND: &str = "Client::NotFound";
pub(crate) const BAD_REQUEST: &str = "Client::BadRequest";
pub(crate) const FORBIDDEN: &str = "Client::Forbidden";

/// The longest text of the upstream that is passed on.
const MAX_TEXT: usize = 300;

/// The metadata under which the upstream's own number of a query stands.
const QUERY_ID: &str = "upstream_query_id";

/// A refusal in either of the two shapes.
#[derive(Debug, Default, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", default)]
struct Told {
    #[serde(rename = "errorCode")]
    error_code: Option<String>,
    class: Option<String>,
    message: Option<String>,
}

/// What kind of thing is asked for, which a refusal does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Service,
    Order,
    /// Nothing that a caller has a name for.
    Other,
}

/// How a call that changes something was answered.
#[derive(Debug)]
pub(crate) enum Spent {
    /// The upstream took it.
    Accepted,
    /// Nothing was done; which declared proof says so, and the error for the caller.
    Refused { proof: &'static str, error: Error },
    /// The answer does not tell.
    Unknown(String),
}

/// Whether the upstream took the clock, which stands in every signature, for wrong.
pub(crate) fn is_clock(answer: &Answer) -> bool {
    told(answer).error_code.as_deref() == Some(QUERY_TIME_OUT)
}

/// The error behind an answer to a read that is no success.
pub(crate) fn of_read(answer: &Answer, asked: Asked) -> Error {
    let told = told(answer);
    let text = short(told.message.as_deref().unwrap_or("no reason is given"));
    let status = answer.status;
    let error = match reason_of(status, &told, asked) {
        None => Error::unavailable(format!("status {status}: {text}")),
        Some(reason @ ErrorReason::UpstreamApiGone) => {
            Error::new(reason, format!("the upstream has no such call: {text}"))
        }
        Some(reason) => Error::new(reason, format!("the upstream refused: {text}")),
    };
    facts(answer, &told, error)
}

/// What a refusal of a read means; `None`: nothing that lasts.
fn reason_of(status: u16, told: &Told, asked: Asked) -> Option<ErrorReason> {
    Some(match (status, told.error_code.as_deref()) {
        (400, Some(QUERY_TIME_OUT)) => ErrorReason::UpstreamUnavailable,
        (400, Some(INVALID_SIGNATURE)) | (401 | 403, Some(_)) => ErrorReason::UpstreamCredentials,
        (404, _) if is_no_call(told) => ErrorReason::UpstreamApiGone,
        (404, _) => match asked {
            Asked::Service => ErrorReason::ServiceNotFound,
            Asked::Order => ErrorReason::OrderNotFound,
            Asked::Other => ErrorReason::UpstreamRejected,
        },
        // 460 is the upstream's own status for what has expired.
        (409 | 460, _) => ErrorReason::StateConflict,
        (429, _) => ErrorReason::UpstreamRateLimit,
        (400..=499, _) => ErrorReason::UpstreamRejected,
        _ => return None,
    })
}

/// What an answer to a call that changes something proves.
pub(crate) fn of_write(answer: &Answer, asked: Asked, proofs: &[&'static str]) -> Spent {
    if answer.is_success() {
        // The manifest says so too: the upstream answers nothing where it makes nothing.
        return match &*answer.body {
            b"null" => Spent::Accepted,
            _ => Spent::Unknown("the upstream answered something where it says nothing".to_owned()),
        };
    }
    let told = told(answer);
    match proven(answer.status, &told, proofs) {
        Some(proof) => Spent::Refused { proof, error: of_read(answer, asked) },
        None => {
            let text = short(told.message.as_deref().unwrap_or("no reason is given"));
            let code = told.error_code.as_deref().or(told.class.as_deref());
            let code = code.map(|code| format!(" ({})", short(code))).unwrap_or_default();
            Spent::Unknown(format!("status {}{code}: {text}", answer.status))
        }
    }
}

/// An error with another reason where the upstream says that something does not exist: what that
/// something is, only the caller knows.
pub(crate) fn missing<T>(result: Result<T>, not_found: impl FnOnce() -> Error) -> Result<T> {
    result.map_err(|error| match error.reason {
        ErrorReason::OrderNotFound | ErrorReason::ServiceNotFound => {
            Error { metadata: error.metadata, ..not_found() }
        }
        _ => error,
    })
}

/// Whether a 404 says that the upstream has no such call, as in some regions, and nothing of what was asked for.
fn is_no_call(told: &Told) -> bool {
    let class = told.class.as_deref().unwrap_or_default();
    told.error_code.as_deref() == Some(INVALID_URL) || class.ends_with("::Route")
}

/// Whether the account may not make a call.
pub(crate) fn is_not_granted(error: &Error) -> bool {
    let code = error.metadata.get(purveyor_sdk::UPSTREAM_CODE);
    code.is_some_and(|code| code == "NOT_GRANTED_CALL")
}

/// Whether a 404 says that the upstream has no such thing, and not nothing at all.
pub(crate) fn is_nothing_there(error: &Error) -> bool {
    let code = error.metadata.get(purveyor_sdk::UPSTREAM_CODE);
    error.reason == ErrorReason::OrderNotFound
        && code.is_some_and(|code| code.starts_with(NOT_FOUND))
}

/// The first proof of the call that the answer satisfies, as the manifest declares them.
fn proven(status: u16, told: &Told, proofs: &[&'static str]) -> Option<&'static str> {
    let begins = |text: &Option<String>, with: &str| {
        text.as_deref().is_some_and(|text| text.starts_with(with))
    };
    let code = told.error_code.as_deref();
    let satisfied = |name: &str| match name {
        proof::NOT_ADMITTED => {
            let is_known =
                |code: &str| NOT_ADMITTED.iter().any(|it| it.eq_ignore_ascii_case(code.trim()));
            status == 403 && code.is_some_and(is_known)
        }
        proof::SIGNATURE => status == 400 && code == Some(INVALID_SIGNATURE),
        proof::CLOCK => status == 400 && code == Some(QUERY_TIME_OUT),
        proof::PAYMENT_REFUSED => status == 403 && begins(&told.message, CANNOT_BE_PAID),
        proof::MISSING => status == 404 && begins(&told.class, NOT_FOUND),
        proof::NOT_ACTIVE => {
            let text = told.message.as_deref().unwrap_or_default();
            status == 400 && text.ends_with(NOT_ACTIVE_YET)
        }
        proof::PARAMETER => status == 400 && begins(&told.class, BAD_REQUEST),
        proof::FORBIDDEN => status == 403 && begins(&told.class, FORBIDDEN),
        _ => false,
    };
    proofs.iter().copied().find(|name| satisfied(name))
}

/// What cannot be read as a refusal says nothing.
fn told(answer: &Answer) -> Told {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn facts(answer: &Answer, told: &Told, error: Error) -> Error {
    let mut error = error;
    if let Some(code) = told.error_code.as_ref().or(told.class.as_ref()) {
        error = error.with_upstream_code(short(code));
    }
    if let Some(query) = answer.header("x-ovh-queryid") {
        error = error.with_metadata(QUERY_ID, short(query));
    }
    let after = answer.header("retry-after").and_then(|text| text.parse().ok());
    match after {
        Some(seconds) if answer.status == 429 => {
            error.with_retry_after(Duration::from_secs(seconds))
        }
        _ => error,
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, ErrorReason, Told, proof, proven, reason_of, short};
    use crate::client::{CHANGE_PROOFS, PAY_PROOFS};

    #[test]
    fn only_what_is_declared_is_proof() {
        fn check(status: u16, code: &str, class: &str, message: &str, expected: Option<&str>) {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let told = Told { error_code: some(code), class: some(class), message: some(message) };
            assert_eq!(
                proven(status, &told, PAY_PROOFS),
                expected,
                "{status} {code} {class} {message}"
            );
        }
        let refused = "This order can't be paid with paypal";
        for code in
            ["NOT_GRANTED_CALL", "NOT_CREDENTIAL", "INVALID_KEY", "invalid_credential", "FORBIDDEN"]
        {
            check(403, code, "", "", Some(proof::NOT_ADMITTED));
        }
        check(403, "ORDER_ALREADY_PAID", "", "", None);
        check(400, "INVALID_SIGNATURE", "", "", Some(proof::SIGNATURE));
        check(400, "QUERY_TIME_OUT", "", "", Some(proof::CLOCK));
        check(403, "", "Client::Forbidden", refused, Some(proof::PAYMENT_REFUSED));
        check(404, "", "Client::NotFound", "", Some(proof::MISSING));
        // The order may be paid: by another attempt, or by a person.
        check(400, "", "Client::BadRequest::InvalidParameter", "", None);
        check(400, "", "Client::BadRequest", "This order is already paid", None);
        check(403, "", "Client::Forbidden", "This order can't be paid: it is paid already", None);
        check(403, "", "Client::Forbidden", "no", None);
        check(409, "", "Client::Conflict::ResourceBusy", "", None);
        check(429, "", "Client::TooManyRequests", "", None);
        check(500, "NOT_GRANTED_CALL", "", refused, None);
        check(400, "", "", "Service is temporarily unavailable", None);
        check(404, "", "", "", None);
    }

    #[test]
    fn call_that_the_upstream_does_not_have_is_no_missing_object() {
        fn check(code: Option<&str>, class: Option<&str>, asked: Asked, expected: ErrorReason) {
            let (error_code, class) = (code.map(str::to_owned), class.map(str::to_owned));
            let told = Told { error_code, class, message: None };
            assert_eq!(reason_of(404, &told, asked), Some(expected), "{told:?}");
        }
        for asked in [Asked::Service, Asked::Order, Asked::Other] {
            check(Some("INVALID_URL"), None, asked, ErrorReason::UpstreamApiGone);
            check(None, Some("Client::NotFound::Route"), asked, ErrorReason::UpstreamApiGone);
        }
        let missing = Some("Client::NotFound");
        check(None, missing, Asked::Service, ErrorReason::ServiceNotFound);
        check(None, missing, Asked::Order, ErrorReason::OrderNotFound);
    }

    #[test]
    fn conflict_proves_nothing_for_any_call() {
        for status in [408, 409, 425, 429, 500, 503] {
            for class in
                ["Client::Conflict::ResourceBusy", "Client::BadRequest", "Client::Forbidden"]
            {
                let told = Told {
                    error_code: Some("FORBIDDEN".to_owned()),
                    class: Some(class.to_owned()),
                    message: None,
                };
                for proofs in [CHANGE_PROOFS, PAY_PROOFS] {
                    assert_eq!(proven(status, &told, proofs), None, "{status} {class}");
                }
            }
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(short("é"), "é");
        assert_eq!(short(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
    }
}
