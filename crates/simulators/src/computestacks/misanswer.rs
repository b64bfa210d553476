//! Answers that should never come: what a fault on command puts in the place of the honest one. They
//! must be made from nothing but the fault, so that they betray nothing of what was done.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde_json::json;

use crate::fault::FaultKind;
use crate::server::Reply;

const MEBIBYTE: usize = 1 << 20;

/// The answer that a fault puts in the place of the honest one to a call of `path`.
pub(super) fn reply(kind: &FaultKind, path: &str) -> Reply {
    let document = |body: String| Reply::new(StatusCode::OK, "application/json", Bytes::from(body));
    match kind {
        FaultKind::Status { status } => {
            // A number outside HTTP's range is the test's mistake and shows as this page.
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
            Reply::new(status, "text/html", Bytes::from(format!("<h1>{status}</h1>\n")))
        }
        FaultKind::Redirect => {
            let mut reply = Reply::text(StatusCode::TEMPORARY_REDIRECT, "moved");
            let target = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
            reply.headers.push((LOCATION, target));
            reply
        }
        FaultKind::Nil => document("null".to_owned()),
        FaultKind::WrongType => document("{\"product\":0.5,\"products\":\"none\"}".to_owned()),
        FaultKind::NestedArrays { depth } => document("[".repeat(*depth) + &"]".repeat(*depth)),
        FaultKind::Megabytes { n } => {
            let text = "x".repeat(n.saturating_mul(MEBIBYTE));
            document(json!({ "product": { "id": 1, "label": text } }).to_string())
        }
        FaultKind::Fault { code, text } => {
            let status = u16::try_from(*code).ok().and_then(|code| StatusCode::from_u16(code).ok());
            let body = Bytes::from(json!({ "errors": [text] }).to_string());
            Reply::new(status.unwrap_or(StatusCode::NOT_IMPLEMENTED), "application/json", body)
        }
        // JSON has no entities: the bomb is one that readers of XML alone are in danger of.
        FaultKind::XmlBomb => {
            let text = "<!DOCTYPE b [<!ENTITY e0 'x'><!ENTITY e1 '&e0;&e0;'>]><b>&e1;</b>";
            Reply::new(StatusCode::OK, "application/xml", Bytes::from_static(text.as_bytes()))
        }
        // Garbage, and the kinds that keep the honest answer and so never come here.
        _ => Reply::new(
            StatusCode::OK,
            "application/json",
            Bytes::from_static(b"\x00\xff{\"prod\x80"),
        ),
    }
}
