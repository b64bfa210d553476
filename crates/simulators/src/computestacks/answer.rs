//! Answers in the forms that the upstream has: JSON with a root key, an empty body, a list of
//! errors, a line of text. Nothing is decided here.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::server::Reply;

/// One answer before it is bytes.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Empty,
    Json(Value),
    Text(&'static str),
}

/// Why a call is not done: an answer of its own.
#[derive(Debug)]
pub(super) struct Refusal(Answer);

impl From<Refusal> for Answer {
    fn from(Refusal(answer): Refusal) -> Self {
        answer
    }
}

impl Answer {
    pub(super) fn json(status: StatusCode, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    pub(super) fn text(status: StatusCode, text: &'static str) -> Self {
        Self { status, headers: Vec::new(), body: Body::Text(text) }
    }

    /// The same answer with a header. A value that no header can hold is left out.
    pub(super) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((HeaderName::from_static(name), value.to_string()));
        self
    }

    pub(super) fn refuse(self) -> Refusal {
        Refusal(self)
    }

    /// What it says, for somebody who reads no HTTP.
    pub(super) fn text_body(&self) -> String {
        match &self.body {
            Body::Empty => self.status.to_string(),
            Body::Json(body) => body.to_string(),
            Body::Text(text) => (*text).to_owned(),
        }
    }

    pub(super) fn into_reply(self) -> Reply {
        let mut reply = match self.body {
            Body::Empty => Reply {
                headers: Vec::new(),
                ..Reply::new(self.status, "application/json", Bytes::new())
            },
            Body::Json(body) => {
                let kind = "application/json; charset=utf-8";
                Reply::new(self.status, kind, Bytes::from(body.to_string()))
            }
            Body::Text(text) => Reply::text(self.status, text),
        };
        let named = self.headers.into_iter();
        let valid =
            named.filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)));
        reply.headers.extend(valid);
        reply
    }
}

/// `{"errors": [...]}`, the form of nearly every refusal.
pub(super) fn errors<T: Into<String>>(
    status: StatusCode,
    messages: impl IntoIterator<Item = T>,
) -> Refusal {
    let messages: Vec<String> = messages.into_iter().map(Into::into).collect();
    Answer::json(status, json!({ "errors": messages })).refuse()
}

/// 404 with an empty body: there is no such record.
pub(super) fn missing() -> Refusal {
    Answer::empty(StatusCode::NOT_FOUND).refuse()
}
