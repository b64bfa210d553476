//! What is kept of an answer for a person to read: little, and without secrets. A request is never
//! kept.

use bytes::Bytes;
use purveyor_sdk::body;
use purveyor_sdk::plugin::v1::{BodyFormat, Call, Manifest};
use serde_json::Value;

use super::answer::{Exchange, Received};
use crate::plugin::redact::CUT;
use crate::plugin::sanitize::Sanitizer;
use crate::plugin::spend::Answer;

/// Stands for a body in which secrets could not be found.
const LEFT_OUT: &str = "[left out: it cannot be parsed, so its secrets cannot be cut]";

/// The evidence of one exchange; `None` when no answer began.
pub(super) fn keep(
    call: &Call,
    manifest: &Manifest,
    sanitizer: &Sanitizer,
    exchange: &Exchange,
) -> Option<Answer> {
    let (received, whole) = match exchange {
        Exchange::NotWritten(_) | Exchange::Broken(_, None) => return None,
        Exchange::Broken(_, Some(received)) => (received, false),
        Exchange::Complete(received) => (received, true),
    };
    let text = text(call, manifest, received);
    let text = sanitizer.plain(&text);
    let kept = shorten(&text);
    Some(Answer {
        status: received.status,
        complete: whole && kept.len() == text.len(),
        body: Bytes::copy_from_slice(kept.as_bytes()),
    })
}

fn text(call: &Call, manifest: &Manifest, received: &Received) -> String {
    let as_it_came = || String::from_utf8_lossy(&received.body).into_owned();
    if manifest.secret_pointers.is_empty() || received.body.is_empty() {
        return as_it_came();
    }
    // What the declared formats cannot read may still hold a secret in clear.
    let declared = [call.success.as_ref(), call.payment_due.as_ref()];
    let declared = declared.into_iter().flatten().map(|shape| shape.format());
    let formats = declared.chain([BodyFormat::Json, BodyFormat::XmlRpc]);
    let readable = formats.filter(|&format| format != BodyFormat::Unspecified);
    let document = readable.filter_map(|format| body::document(format, &received.body).ok()).next();
    let Some(mut document) = document else {
        return LEFT_OUT.to_owned();
    };
    let mut found = false;
    for pointer in &manifest.secret_pointers {
        if let Some(secret) = document.pointer_mut(pointer) {
            *secret = Value::String(CUT.to_owned());
            found = true;
        }
    }
    if found { document.to_string() } else { as_it_came() }
}

/// At most [`Answer::MAX_BYTES`], cut between characters.
fn shorten(text: &str) -> &str {
    let mut end = text.len().min(Answer::MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
