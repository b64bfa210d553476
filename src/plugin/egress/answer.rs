//! Reads one answer to its end, within a limit, and tells whether the end was its own. It decides
//! nothing about what the answer means.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{StatusCode, response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use purveyor_sdk::plugin::v1::{HttpField, HttpResponse};

/// The most headers of one answer: 64 kB of short ones. Beyond 100 the parser would allocate anyway.
pub(super) const MAX_ANSWER_HEADERS: usize = 1024;

/// An answer as far as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Nothing but the end of the connection says where the body ends, so it may have been cut.
    pub(super) until_close: bool,
}

/// How one exchange ended.
#[derive(Debug)]
pub(super) enum Exchange {
    /// No byte of the request was written.
    NotWritten(String),
    /// The request may have been written, and there is no complete answer.
    Broken(String, Option<Received>),
    /// A complete answer.
    Complete(Received),
}

/// Collects an answer; what it has so far survives the future that reads it.
#[derive(Debug, Default)]
pub(super) struct Collector {
    head: Option<Received>,
    body: BytesMut,
}

impl Collector {
    /// Reads the answer to its end.
    ///
    /// # Errors
    ///
    /// Why the end was not reached; what was read is in [`Collector::received`].
    pub(super) async fn read(
        &mut self,
        head: response::Parts,
        mut body: Incoming,
        max_bytes: usize,
    ) -> Result<(), String> {
        let until_close = is_until_close(head.status, &head.headers);
        self.head = Some(Received {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Bytes::new(),
            until_close,
        });
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
            let Ok(data) = frame.into_data() else { continue };
            if self.body.len() + data.len() > max_bytes {
                return Err(format!("the answer has more than {max_bytes} bytes"));
            }
            self.body.extend_from_slice(&data);
        }
        Ok(())
    }

    /// What was read, if anything was.
    pub(super) fn received(self) -> Option<Received> {
        let body = self.body.freeze();
        self.head.map(|head| Received { body, ..head })
    }
}

impl Received {
    /// The head as the plugin sees it.
    pub(super) fn head(&self, url: &url::Url) -> HttpResponse {
        let fields = self.headers.iter().filter_map(|(name, value)| {
            // A header that is no text cannot be told in text; no upstream of ours sends any.
            let value = value.to_str().ok()?.to_owned();
            Some(HttpField { name: name.as_str().to_owned(), value })
        });
        HttpResponse {
            status: i32::from(self.status),
            headers: fields.collect(),
            url: url.to_string(),
        }
    }
}

/// Whether nothing but the end of the connection says where such an answer ends.
fn is_until_close(status: StatusCode, headers: &HeaderMap) -> bool {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let chunked = headers.get_all(TRANSFER_ENCODING).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("chunked"))
    });
    !bodiless && !chunked && !headers.contains_key(CONTENT_LENGTH)
}
