//! Answers that should never come: what a fault on command puts in the place of the honest one.
//! They must be made from nothing but the fault, so that they betray nothing of what was done.

use bytes::Bytes;
use dxr::Value;
use http::header::{HeaderValue, LOCATION};
use http::{Method, StatusCode};

use super::xmlrpc::{self, NullStyle};
use super::{PATH, document};
use crate::fault::FaultKind;
use crate::server::Reply;

/// How often each entity of the bomb names the one before it, and how many there are: 10 to the
/// tenth characters in all.
const BOMB_FANOUT: usize = 10;
const BOMB_LEVELS: usize = 10;

const MEBIBYTE: usize = 1 << 20;

/// The answer that a fault puts in the place of the honest one.
pub(super) fn reply(kind: &FaultKind) -> Reply {
    match kind {
        FaultKind::Status { status } => {
            // A number outside HTTP's range is the test's mistake and shows as this page.
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
            Reply::new(status, "text/html", Bytes::from(format!("<h1>{status}</h1>\n")))
        }
        FaultKind::Redirect => {
            let mut reply = Reply::text(StatusCode::TEMPORARY_REDIRECT, Method::POST.as_str());
            reply.headers.push((LOCATION, HeaderValue::from_static(PATH)));
            reply
        }
        FaultKind::Nil => document(xmlrpc::response(&Value::Nil, NullStyle::Nil)),
        FaultKind::WrongType => document(xmlrpc::response(&Value::Double(0.5), NullStyle::Nil)),
        FaultKind::XmlBomb => document(bomb()),
        FaultKind::NestedArrays { depth } => document(nested(*depth)),
        FaultKind::Megabytes { n } => {
            let text = "x".repeat(n.saturating_mul(MEBIBYTE));
            document(xmlrpc::response(&Value::String(text), NullStyle::Nil))
        }
        FaultKind::Fault { code, text } => document(xmlrpc::fault(*code, text)),
        // Garbage, and the kinds that keep the honest answer and so never come here.
        _ => Reply::new(StatusCode::OK, "text/xml", Bytes::from_static(b"\x00\xff<method\x80Resp")),
    }
}

/// Nested entities that double as text only when somebody expands them.
fn bomb() -> String {
    let mut text = String::from("<?xml version='1.0'?>\n<!DOCTYPE b [\n<!ENTITY e0 'x'>\n");
    for level in 1..=BOMB_LEVELS {
        let inner = format!("&e{};", level - 1).repeat(BOMB_FANOUT);
        text.push_str(&format!("<!ENTITY e{level} '{inner}'>\n"));
    }
    text.push_str("]>\n<methodResponse><params><param><value><string>");
    text.push_str(&format!("&e{BOMB_LEVELS};"));
    text.push_str("</string></value></param></params></methodResponse>\n");
    text
}

fn nested(depth: usize) -> String {
    let open = "<value><array><data>".repeat(depth);
    let close = "</data></array></value>".repeat(depth);
    format!(
        "<?xml version='1.0'?>\n<methodResponse><params><param>{open}{close}</param></params>\
         </methodResponse>\n"
    )
}
