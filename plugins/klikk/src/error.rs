//! What the upstream's answers mean where they are not the documented success. It must not call
//! anything a refusal that could have made an invoice: the document says that one may exist although
//! the answer is an error.

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Answer, Error};

use crate::model::Members;

/// The names of the proofs that the manifest declares.
pub(crate) mod proof {
    /// Nobody known is calling: nothing was done.
    pub(crate) const UNAUTHENTICATED: &str = "unauthenticated";
    /// The caller is not allowed to.
    pub(crate) const FORBIDDEN: &str = "forbidden";
    /// The request is wrong.
    pub(crate) const INVALID: &str = "invalid";
    /// There is no such order or item.
    pub(crate) const NOT_FOUND: &str = "not_found";
    /// All of them.
    pub(crate) const ALL: [&str; 4] = [UNAUTHENTICATED, FORBIDDEN, INVALID, NOT_FOUND];
}

/// The longest text of the upstream that is passed on.
const MAX_TEXT: usize = 300;

/// Words of an answer that may speak of an invoice.
const PAYMENT_WORDS: [&str; 4] = ["pay", "invoice", "credit", "order_id"];

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

/// The proof of refusal in an answer to a write, with the error for the caller; `None` where the answer
/// proves nothing. Only what a declared proof covers may be named here.
pub(crate) fn refusal(answer: &Answer) -> Option<(&'static str, Error)> {
    if answer.status == 401 {
        return Some((proof::UNAUTHENTICATED, of_read(answer)));
    }
    let proof = match answer.status {
        400 => proof::INVALID,
        403 => proof::FORBIDDEN,
        404 => return Some((proof::NOT_FOUND, of_read(answer))),
        _ => return None,
    };
    let said = Members::read(&answer.body).ok()?.text("status")?;
    let about_money = speaks_of_payment(&answer.body);
    (said == answer.status.to_string() && !about_money).then(|| (proof, of_read(answer)))
}

/// Whether an answer could be the one that asks for payment, whatever its status.
fn speaks_of_payment(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_lowercase();
    PAYMENT_WORDS.iter().any(|word| text.contains(word))
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
    use super::speaks_of_payment;

    #[test]
    fn what_may_be_about_money_is_no_refusal() {
        fn check(body: &str, expected: bool) {
            assert_eq!(speaks_of_payment(body.as_bytes()), expected, "{body}");
        }
        check(r#"{"status":400,"message":"items is missing"}"#, false);
        check(r#"{"status":400,"message":"Payment required"}"#, true);
        check(r#"{"status":403,"message":"Not enough CREDIT"}"#, true);
        check(r#"{"status":400,"order_id":73}"#, true);
        check(r#"{"status":400,"invoice":"K-1"}"#, true);
    }
}
