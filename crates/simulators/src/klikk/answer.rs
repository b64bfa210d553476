//! Answers of the upstream: a status, and a JSON body or none.
//!
//! Assumption: an error's body is `{"status": …, "message": "…"}` with the status of HTTP in it, as the
//! documented bodies of success have one.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::server::Reply;

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    /// None: an empty body.
    body: Option<Value>,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body) }
    }

    /// The documented answer to a cancellation.
    pub(super) fn empty() -> Self {
        Self { status: StatusCode::OK, body: None }
    }

    pub(super) fn with(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    pub(super) fn error(status: StatusCode, message: &str) -> Self {
        Self::with(status, json!({ "status": status.as_u16(), "message": message }))
    }

    /// Assumption: what cannot be understood is a bad request.
    pub(super) fn bad(message: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn internal(message: &str) -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(super) fn into_reply(self) -> Reply {
        let body = self.body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut reply = Reply::new(self.status, "application/json", body);
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"my.klikk.com\"");
            reply.headers.push((WWW_AUTHENTICATE, realm));
        }
        reply
    }
}
