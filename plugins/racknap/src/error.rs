//! What the upstream's errors mean. The document says only that an error code and a message come: not
//! under which names, and not which codes. Nothing here may call anything a refusal that is not proven
//! to be one.

use purveyor_sdk::serde_json::Value;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

use crate::model::Tree;

/// The names of the proofs that the manifest declares.
pub(crate) mod proof {
    /// A status word of refusal, in an answer of HTTP 2xx.
    pub(crate) const REFUSED: &str = "refused";
    /// The same in an answer of HTTP 400 or 401.
    pub(crate) const REFUSED_400: &str = "refused_400";
    /// The same in an answer of HTTP 403 or 404.
    pub(crate) const REFUSED_403: &str = "refused_403";
    /// The same in an answer of HTTP 422.
    pub(crate) const REFUSED_422: &str = "refused_422";
    /// All of them.
    pub(crate) const ALL: &[&str] = &[REFUSED, REFUSED_400, REFUSED_403, REFUSED_422];
}

/// The status word of success.
pub(crate) const SUCCESS: &str = "Success";

/// The status words of refusal. Assumptions, all of them: the document says what comes "in case of any
/// error" and not under which word. These say in its language that nothing was done; a word that only
/// is not `Success` (`Completed`, `Warning`, `Pending`) may be said of a record that was written.
pub(crate) const REFUSAL_WORDS: &[&str] = &["Error", "Fail", "Failed", "Failure"];

/// Where the status word stands.
pub(crate) const STATUS: &str = "/status";

/// The longest text of the upstream that is passed on.
const MAX_TEXT: usize = 300;

/// The error behind an answer that refuses: the upstream's text, and its code under whatever name.
pub(crate) fn refusal(http_status: u16, answer: &Tree) -> Error {
    let message = named(answer, |name| name == "message")
        .or_else(|| named(answer, |name| name.contains("message")))
        .or_else(|| named(answer, |name| name.contains("error") && !name.contains("code")))
        .unwrap_or("it does not say why");
    let error = Error::rejected(format!("the upstream refused: {}", short(message)));
    let error = match http_status {
        401 | 403 => error.with_reason(ErrorReason::UpstreamCredentials),
        _ => error,
    };
    match named(answer, |name| name.contains("code")) {
        Some(code) => error.with_upstream_code(short(code)),
        None => error,
    }
}

/// The first text or number under a name like this.
fn named(answer: &Tree, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    let members = answer.members().iter();
    let mut named = members.filter(|(name, _)| wanted(&name.to_lowercase()));
    named.find_map(|(_, value)| value.scalar().filter(|text| !text.trim().is_empty()))
}

/// What is left of a text that may be of any length.
pub(crate) fn short(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}

/// A whole number of the upstream in its one spelling.
///
/// # Errors
///
/// FIELD_VIOLATION of `field` for every other text, and for a number below `least`.
pub(crate) fn number(text: &str, least: i64, field: &str) -> Result<i64> {
    let number = text.parse::<i64>().ok();
    let number = number.filter(|number| *number >= least && number.to_string() == text);
    number.ok_or_else(|| {
        Error::field(
            field,
            format!("has to be a whole number from {least} on, as the upstream counts"),
        )
    })
}

/// The text of a status or a message; nothing where it is none.
pub(crate) fn text_of<'a>(document: &'a Value, name: &str) -> &'a str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT, number, refusal, short};
    use crate::model::Tree;
    use purveyor_sdk::v1::ErrorReason;

    #[test]
    fn codes_and_messages_under_whatever_names() {
        fn check(json: &str, code: Option<&str>, message: &str) {
            let error = refusal(200, &Tree::read(json.as_bytes()).unwrap());
            assert_eq!(error.metadata.get("upstream_code").map(String::as_str), code, "{json}");
            assert_eq!(error.message, format!("the upstream refused: {message}"), "{json}");
            assert_eq!(error.reason, ErrorReason::UpstreamRejected);
        }
        check(r#"{"status": "Error", "error_code": 3001, "message": "No."}"#, Some("3001"), "No.");
        check(
            r#"{"status": "Error", "ErrorCode": "E7", "errormessage": "No."}"#,
            Some("E7"),
            "No.",
        );
        check(r#"{"status": "Fail", "error code": 1, "error": "Bad"}"#, Some("1"), "Bad");
        check(r#"{"status": "Fail", "message": ""}"#, None, "it does not say why");
        check(r#"{"status": "Fail", "code": [1], "message": {}}"#, None, "it does not say why");
    }

    #[test]
    fn an_account_that_may_not_is_told_apart() {
        let answer = Tree::read(br#"{"status": "Error", "message": "Token is invalid."}"#).unwrap();
        for (status, expected) in [
            (401, ErrorReason::UpstreamCredentials),
            (403, ErrorReason::UpstreamCredentials),
            (400, ErrorReason::UpstreamRejected),
            (200, ErrorReason::UpstreamRejected),
        ] {
            assert_eq!(refusal(status, &answer).reason, expected, "{status}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(short("é"), "é");
        assert_eq!(short(&"é".repeat(MAX_TEXT + 1)).chars().count(), MAX_TEXT);
    }

    #[test]
    fn numbers_in_their_one_spelling() {
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(number(text, 1, "field").ok(), expected, "{text:?}");
        }
        check("652", Some(652));
        check("9223372036854775807", Some(i64::MAX));
        for wrong in ["", "0", "-1", "+1", "0652", "6.0", " 6", "x", "9223372036854775808", "٦"] {
            check(wrong, None);
        }
        assert_eq!(number("0", 0, "field").ok(), Some(0));
    }
}
