//! What the upstream's answers mean where they are not the documented success. It must not call
//! anything a refusal that could have made an invoice: the document says that one may exist although
//! the answer is an error, and it has no code or word for one that made none.

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Answer, Error};

use crate::model::Members;

/// The names of the proofs that the manifest declares.
pub(crate) mod proof {
    /// Nobody known is calling: nothing was done.
    pub(crate) const UNAUTHENTICATED: &str = "unauthenticated";
    /// A message that the operator calls a refusal, with status 400.
    pub(crate) const REFUSED_400: &str = "refused_400";
    /// The same with 403.
    pub(crate) const REFUSED_403: &str = "refused_403";
    /// The same with 422.
    pub(crate) const REFUSED_422: &str = "refused_422";
    /// There is no such order or item.
    pub(crate) const NOT_FOUND: &str = "not_found";
    /// Those of a new order: nothing that it names can be missing before there is one.
    pub(crate) const OF_ORDER: &[&str] = &[UNAUTHENTICATED, REFUSED_400, REFUSED_403, REFUSED_422];
    /// All of them.
    pub(crate) const ALL: &[&str] =
        &[UNAUTHENTICATED, REFUSED_400, REFUSED_403, REFUSED_422, NOT_FOUND];
}

/// The longest text of the upstream that is passed on.
const MAX_TEXT: usize = 300;

/// The error of an answer to a read.
pub(crate) fn of_read(answer: &Answer) -> Error {
    let text = message(answer);
    let error = match answer.status {
        401 | 403 => Error::credentials(format!("the upstream refused: {text}")),
        404 => Error::new(ErrorReason::OrderNotFound, format!("the upstream has none: {text}")),
        429 => Error::rate_limit(format!("the upstream asks for fewer calls: {text}")),
        400..=499 => Error::rejected(format!("the upstream refused: {text}")),
        500..=599 => Error::unavailable(format!("the upstream failed: {text}")),
        _ => return answer.not_understood(),
    };
    error.with_upstream_code(answer.status)
}

/// Whether an answer names what is made already, whatever else it says.
pub(crate) fn names_an_order(body: &[u8]) -> bool {
    let members = Members::read(body);
    members.is_ok_and(|it| ["order_id", "invoice"].iter().any(|name| it.text(name).is_some()))
}

/// The upstream's words, short; or that there are none.
pub(crate) fn message(answer: &Answer) -> String {
    let told = Members::read(&answer.body).ok().and_then(|members| members.text("message"));
    let clean = |c: &char| !c.is_control();
    let short: String = told.unwrap_or_default().chars().filter(clean).take(MAX_TEXT).collect();
    if short.is_empty() { "no reason is given".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::names_an_order;

    #[test]
    fn refusal_that_names_what_is_made_is_none() {
        fn check(body: &str, expected: bool) {
            assert_eq!(names_an_order(body.as_bytes()), expected, "{body}");
        }
        check(r#"{"status":400,"message":"order_id is missing"}"#, false);
        check(r#"{"status":400,"order_id":null,"invoice":null}"#, false);
        check(r#"{"status":400,"order_id":73}"#, true);
        check(r#"{"status":400,"invoice":"K-1"}"#, true);
        check("", false);
    }
}
