//! The upstream's actions: parameters in, answers out. A read whose answer cannot be understood is an
//! error; an answer to a write that proves nothing is unknown. Nothing here is sent twice.

use purveyor_sdk::body;
use purveyor_sdk::http::Request;
use purveyor_sdk::plugin::v1::{BodyFormat, Success};
use purveyor_sdk::v1::{Price, UpstreamRef};
use purveyor_sdk::{Cx, Error, Proof, Result};

use crate::config::Encoding;
use crate::error::{self, STATUS, SUCCESS, text_of};
use crate::model::{Fields, Tree};

/// The credential with the token.
pub(crate) const TOKEN: &str = "token";

/// Where the number of a new service stands, and what stands before it.
pub(crate) const MESSAGE: &str = "/message";
pub(crate) const BEFORE_ID: &str = "Service ID: ";

/// What stands after the number and the plan's name.
const AFTER_NAME: &str = " service has been created";

/// The way to one account.
pub(crate) struct Client {
    pub(crate) encoding: Encoding,
    /// The manifest's proofs of refusal.
    pub(crate) proofs: &'static [Proof],
    /// The operator's words of refusal.
    pub(crate) refusal_words: Vec<String>,
}

/// How a write was answered.
#[derive(Debug)]
pub(crate) enum Written {
    /// The upstream did it; its status and its message.
    Done(UpstreamRef),
    /// Nothing was done; which declared proof says so, and the error for the caller.
    Refused { proof: &'static str, error: Error },
    /// The answer does not tell.
    Unknown(String),
}

impl Client {
    /// Asks for the details of a plan.
    ///
    /// # Errors
    ///
    /// UPSTREAM_REJECTED and UPSTREAM_CREDENTIALS where the upstream refuses; UPSTREAM_UNAVAILABLE for
    /// what cannot be understood.
    pub(crate) async fn read(&self, cx: &Cx, call: &str, fields: &Fields) -> Result<Tree> {
        let answer = self.request(cx, call, fields).send().await?;
        let tree = Tree::read(&answer.body);
        let tree = tree.map_err(|error| answer.not_understood().with_source(error))?;
        let status = tree.get("status").and_then(Tree::text).unwrap_or_default();
        match (answer.status, status) {
            (200..=299, SUCCESS) => Ok(tree),
            (200..=299 | 400..=499, other) if says_other(other) => {
                Err(error::refusal(answer.status, &tree))
            }
            _ => Err(answer.not_understood()),
        }
    }

    /// Sends what changes something, once, with the price that it charges. An error is the host's, which
    /// knows what became of it.
    pub(crate) async fn write(
        &self,
        cx: &Cx,
        call: &str,
        fields: &Fields,
        price: Option<Price>,
    ) -> Result<Written> {
        let answer = self.request(cx, call, fields).price(price).send().await?;
        Ok(self.judged(answer.status, &answer.body))
    }

    fn request<'a>(&self, cx: &'a Cx, call: &str, fields: &Fields) -> Request<'a> {
        let (kind, body) = match self.encoding {
            Encoding::Json => ("application/json", fields.to_json()),
            Encoding::Form => ("application/x-www-form-urlencoded", fields.to_form()),
        };
        let request = cx.http().call(call).header("cache-control", "no-cache").auth(TOKEN);
        request.header("content-type", kind).body(body)
    }
}

impl Client {
    /// What the answer to a write says. The conditions are those of the manifest, read by the same
    /// functions, so that plugin and host cannot come to different ends.
    fn judged(&self, status: u16, bytes: &[u8]) -> Written {
        let Ok(document) = body::document(BodyFormat::Json, bytes) else {
            return Written::Unknown(format!("the answer of status {status} is no JSON"));
        };
        let (word, message) = (text_of(&document, "status"), text_of(&document, "message"));
        if (200..=299).contains(&status) && word == SUCCESS {
            return Written::Done(UpstreamRef {
                state: word.to_owned(),
                message: message.to_owned(),
                ..UpstreamRef::default()
            });
        }
        let proof = body::proven(self.proofs, &self.refusal_words, status, bytes);
        // A refusal that names a new service contradicts itself.
        let Some(proof) = proof.filter(|_| !message.contains(BEFORE_ID)) else {
            let (word, message) = (error::short(word), error::short(message));
            return Written::Unknown(format!(
                "status {status} and {word:?} do not tell what was done: {message}"
            ));
        };
        match Tree::read(bytes) {
            Ok(tree) => Written::Refused { proof, error: error::refusal(status, &tree) },
            Err(error) => Written::Unknown(format!("the answer cannot be read: {error}")),
        }
    }
}

/// Whether the status of a read, which has no effect that could be missed, is a word of anything but
/// success.
fn says_other(status: &str) -> bool {
    let status = status.trim();
    !status.is_empty() && !status.eq_ignore_ascii_case(SUCCESS)
}

/// The number of a new service, where the message tells it as the manifest says.
pub(crate) fn new_service(message: &str) -> Option<String> {
    let shape = Success {
        id_pointer: MESSAGE.to_owned(),
        id_after: BEFORE_ID.to_owned(),
        ..Success::default()
    };
    body::identifier(&shape, &purveyor_sdk::serde_json::json!({ "message": message }))
}

/// The plan's name in the message about a new service; empty where it does not stand there.
pub(crate) fn plan_name(message: &str) -> &str {
    let after = message.split_once(BEFORE_ID).map(|(_, after)| after);
    let named = after.and_then(|after| after.split_once(" - ")).map(|(_, named)| named);
    let name = named.and_then(|named| named.rsplit_once(AFTER_NAME)).map(|(name, _)| name);
    name.unwrap_or_default().trim()
}

/// The condition that the declared shapes begin with.
pub(crate) const fn success() -> purveyor_sdk::Shape {
    purveyor_sdk::Shape::json().equals(STATUS, SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::{Client, Encoding, Written, new_service, plan_name};
    use crate::provider::RackNap;
    use purveyor_sdk::Provider;

    #[test]
    fn the_number_and_the_name_in_the_message() {
        fn check(message: &str, id: Option<&str>, name: &str) {
            assert_eq!(new_service(message).as_deref(), id, "{message:?}");
            assert_eq!(plan_name(message), name, "{message:?}");
        }
        let example = "Service ID: 1334 - Office 365 ( Essential Suite ) service has been created \
                       successfully.";
        check(example, Some("1334"), "Office 365 ( Essential Suite )");
        check("Service ID: 7 - A - B service has been created", Some("7"), "A - B");
        check("Service ID: 7", Some("7"), "");
        check("Service ID: 7 - Service ID: 8 service has been created", None, "Service ID: 8");
        check("Service has been created successfully.", None, "");
        check("", None, "");
    }

    fn told(refusal_words: &[&str], status: u16, body: &str) -> String {
        let refusal_words = refusal_words.iter().map(|&word| word.to_owned()).collect();
        let client = Client { encoding: Encoding::Json, proofs: RackNap::PROOFS, refusal_words };
        match client.judged(status, body.as_bytes()) {
            Written::Done(upstream) => format!("done {}", upstream.message),
            Written::Refused { proof, .. } => proof.to_owned(),
            Written::Unknown(_) => "unknown".to_owned(),
        }
    }

    #[test]
    fn answer_to_write_is_refused_by_declared_word_and_status_alone() {
        fn check(status: u16, body: &str, expected: &str) {
            assert_eq!(told(&[], status, body), expected, "{status} {body}");
        }
        check(200, r#"{"status": "Success", "message": "m"}"#, "done m");
        check(201, r#"{"status": "Success"}"#, "done ");
        for word in ["Error", "error", "ERROR", " Error ", "Fail", "Failed", "FAILURE"] {
            check(200, &format!(r#"{{"status": "{word}", "message": "m"}}"#), "refused");
        }
        for (status, proof) in [
            (400, "refused_400"),
            (401, "refused_400"),
            (403, "refused_403"),
            (404, "refused_403"),
            (422, "refused_422"),
        ] {
            check(status, r#"{"status": "Error"}"#, proof);
            check(status, r#"{"status": "Pending"}"#, "unknown");
            check(status, r#"{"status": "Success"}"#, "unknown");
        }
        for status in [302, 402, 408, 409, 410, 425, 429, 500, 503] {
            check(status, r#"{"status": "Error"}"#, "unknown");
        }
        for vague in [
            "Completed",
            "Warning",
            "Pending",
            "Partial",
            "Errors",
            "Error 7",
            "success",
            " Success",
            "",
            " ",
            "0",
        ] {
            check(200, &format!(r#"{{"status": "{vague}"}}"#), "unknown");
        }
        for none in ["", "{}", "null", "0.5", "[]", r#"{"status": 0}"#, r#"{"status": null}"#] {
            check(200, none, "unknown");
        }
        check(200, r#"{"status": ["Error"]}"#, "unknown");
        check(200, r#"{"Status": "Error"}"#, "unknown");
        check(200, r#"{"status": "Error", "status": "Success"}"#, "unknown");
        check(200, r#"{"status": "Error", "message": "Service ID: 1334 - x"}"#, "unknown");
    }

    #[test]
    fn configured_word_refuses_with_the_same_statuses() {
        let words = ["Abgelehnt", "Non trouvé"];
        for (status, word, expected) in [
            (200, "abgelehnt", "refused"),
            (404, "NON TROUVÉ ", "refused_403"),
            (200, "Error", "refused"),
            (409, "Abgelehnt", "unknown"),
            (500, "Abgelehnt", "unknown"),
            (200, "Warning", "unknown"),
        ] {
            let body = format!(r#"{{"status": "{word}"}}"#);
            assert_eq!(told(&words, status, &body), expected, "{status} {word}");
        }
    }
}
