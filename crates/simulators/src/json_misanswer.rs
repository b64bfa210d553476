//! Answers that should never come from an upstream that speaks JSON: what a fault on command puts in
//! the place of the honest one. They must be made from nothing but the fault, so that they betray
//! nothing of what was done.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde_json::json;

use crate::fault::FaultKind;
use crate::server::Reply;

const MEBIBYTE: usize = 1 << 20;

/// The answer that a fault puts in the place of the honest one. `path` is where a redirect leads, and
/// `error` writes the provider's own form of an error.
pub(crate) fn reply(kind: &FaultKind, path: &str, error: impl FnOnce(i32, &str) -> Reply) -> Reply {
    match kind {
        FaultKind::Status { status } => {
            let status = http_status(*status);
            Reply::new(status, "text/html", Bytes::from(format!("<h1>{status}</h1>\n")))
        }
        FaultKind::Redirect => {
            let mut reply = Reply::text(StatusCode::TEMPORARY_REDIRECT, "");
            // A path that is no header value is the simulator's own mistake: the redirect leads nowhere.
            reply.headers.extend(HeaderValue::from_str(path).ok().map(|path| (LOCATION, path)));
            reply
        }
        FaultKind::Nil => document("null".to_owned()),
        FaultKind::WrongType => document("0.5".to_owned()),
        FaultKind::XmlBomb => document(REPEATED.to_owned()),
        FaultKind::NestedArrays { depth } => document("[".repeat(*depth) + &"]".repeat(*depth)),
        FaultKind::Megabytes { n } => {
            document(format!("{{\"x\":\"{}\"}}", "x".repeat(n.saturating_mul(MEBIBYTE))))
        }
        FaultKind::Word { word, status } => {
            let body = json!({ "status": word, "message": word }).to_string();
            Reply { status: http_status(*status), ..document(body) }
        }
        FaultKind::Fault { code, text } => error(*code, text),
        // Garbage, and the kinds that keep the honest answer and so never come here.
        _ => document_of(Bytes::from_static(b"\x00\xff{\"status\x80")),
    }
}

/// JSON has no entities that could expand; the nearest thing to a bomb is a document that two readers
/// read differently, because its members are there twice.
const REPEATED: &str = r#"{"status":"Error","status":"Success","id":1,"id":2}"#;

/// A number outside HTTP's range is the test's mistake and shows as this status.
fn http_status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_IMPLEMENTED)
}

fn document(text: String) -> Reply {
    document_of(Bytes::from(text))
}

fn document_of(body: Bytes) -> Reply {
    Reply::new(StatusCode::OK, "application/json", body)
}
