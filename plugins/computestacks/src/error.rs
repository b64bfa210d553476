//! What the upstream's refusals mean. It must not call anything a refusal that is not proven to be
//! one.

use std::time::Duration;

use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Answer, Cx, Error};

/// The names of the proofs that the manifest declares.
pub(crate) mod proof {
    /// Who calls is not let in: nothing was done.
    pub(crate) const UNAUTHORIZED: &str = "unauthorized";
    /// The token is no longer good: nothing was done, and it may be sent again with another.
    pub(crate) const TOKEN: &str = "token";
    /// The token lacks the scope: nothing was done.
    pub(crate) const FORBIDDEN: &str = "forbidden";
    /// There is no such record or call: nothing was done.
    pub(crate) const MISSING: &str = "missing";
    /// The values are refused, in a list of sentences: nothing was done.
    pub(crate) const INVALID: &str = "invalid";
    /// Too many requests: nothing was done, and it may be sent again.
    pub(crate) const THROTTLED: &str = "throttled";
}

/// The longest text of the upstream that is passed on.
const MAX_TEXT: usize = 300;

/// What an answer to a write says that is no success.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing was done; which declared proof says so, and the error for the caller.
    Refused { proof: &'static str, error: Error },
    /// It does not tell.
    Unknown(String),
}

/// The meaning of an answer that is no success of a write. `renewable`: another token could be
/// better.
pub(crate) fn of_write(cx: &Cx, answer: &Answer, renewable: bool) -> Verdict {
    let proof = match answer.status {
        401 if is_own(answer) && renewable => proof::TOKEN,
        401 if is_own(answer) => proof::UNAUTHORIZED,
        403 if is_own(answer) => proof::FORBIDDEN,
        404 if is_own(answer) => proof::MISSING,
        422 if !sentences(answer).is_empty() => proof::INVALID,
        429 if is_throttled(answer) => proof::THROTTLED,
        status => {
            let said = short(&sentences(answer).join("; "));
            return Verdict::Unknown(format!("the upstream answered with status {status}: {said}"));
        }
    };
    Verdict::Refused { proof, error: of_read(cx, answer) }
}

/// The error of an answer that is no success of a read. PRODUCT_NOT_FOUND stands for any record:
/// which one is missing, the caller knows.
pub(crate) fn of_read(cx: &Cx, answer: &Answer) -> Error {
    let sentences = sentences(answer);
    let text = short(&sentences.join("; "));
    let error = match answer.status {
        401 if is_own(answer) => Error::credentials(
            "the upstream does not take the credentials: they are wrong or locked, or their user is \
             no administrator",
        ),
        403 if is_own(answer) => {
            Error::credentials("the token lacks the scopes admin_read and admin_write")
        }
        404 if answer.body.is_empty() => {
            Error::new(ErrorReason::ProductNotFound, "the upstream has no such record")
        }
        404 if !text.is_empty() => {
            let message = format!("the upstream has no such call: {text}");
            Error::new(ErrorReason::UpstreamApiGone, message)
        }
        422 if answer.header("api-version-supported") == Some("false") => Error::new(
            ErrorReason::UpstreamApiGone,
            format!("the upstream refuses the version of the API: {text}"),
        ),
        422 if !text.is_empty() => Error::rejected(format!("the upstream refuses: {text}")),
        429 => {
            let error = Error::rate_limit("the upstream asks for fewer calls");
            match until_reset(cx, answer) {
                Some(after) => error.with_retry_after(after),
                None => error,
            }
        }
        _ => return answer.not_understood(),
    };
    error.with_upstream_code(answer.status)
}

/// Whether the application itself has answered: by an empty body, or with its list of sentences. A
/// page is of something in front of it.
fn is_own(answer: &Answer) -> bool {
    answer.body.is_empty() || !sentences(answer).is_empty()
}

/// Whether the count of requests in front of the application has answered, in its own word. Any other
/// limit may be checked after something was done.
fn is_throttled(answer: &Answer) -> bool {
    answer.body.trim_ascii().eq_ignore_ascii_case(b"throttled")
}

/// How long until requests are counted anew.
fn until_reset(cx: &Cx, answer: &Answer) -> Option<Duration> {
    let reset: i64 = answer.header("ratelimit-reset")?.trim().parse().ok()?;
    let seconds = u64::try_from(reset.checked_sub(cx.now().seconds)?).ok()?;
    // A clock that differs by more than a window says nothing.
    (seconds <= 600).then(|| Duration::from_secs(seconds))
}

#[derive(Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
struct Errors {
    errors: Vec<String>,
}

/// The sentences of a refusal; none where the body holds no list of them.
fn sentences(answer: &Answer) -> Vec<String> {
    answer.json::<Errors>().map(|body| body.errors).unwrap_or_default()
}

/// A text of the upstream as far as it is passed on.
fn short(text: &str) -> String {
    let clean: String = text.chars().filter(|it| !it.is_control()).take(MAX_TEXT).collect();
    clean
}
