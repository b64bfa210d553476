//! How answers look on the wire, beside what they say: compressed, with a byte order mark, in another
//! encoding, with texts put in. It knows nothing of what an answer means and must not change what was sold.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{CONTENT_ENCODING, HeaderValue};
use serde::{Deserialize, Serialize};

use super::Reply;

/// Stands, in a text that is put in, for what the request had in `authorization` after its scheme.
const AUTHORIZATION: &str = "{authorization}";

/// What is done to every answer of the provider's API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dress {
    /// Texts, and what is put in their place. `{authorization}` in it stands for what the request had in
    /// that header after its scheme.
    pub put: Vec<(String, String)>,
    /// A UTF-8 byte order mark stands before the body.
    pub byte_order_mark: bool,
    /// XML is in ISO-8859-1, and says so.
    pub latin_1: bool,
    /// The body is compressed.
    pub compression: Option<Encoding>,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// gzip.
    Gzip,
    /// zlib, which HTTP calls deflate.
    Deflate,
}

impl Dress {
    /// The answer as it goes out.
    ///
    /// # Errors
    /// The body cannot be compressed.
    pub(super) fn put_on(&self, mut reply: Reply, authorization: &str) -> io::Result<Reply> {
        for (from, to) in &self.put {
            let to = to.replace(AUTHORIZATION, authorization);
            if let Ok(text) = std::str::from_utf8(&reply.body) {
                reply.body = text.replace(from, &to).into();
            }
        }
        if self.latin_1 {
            reply.body = latin_1(reply.body);
        }
        if self.byte_order_mark {
            reply.body = [b"\xef\xbb\xbf", &*reply.body].concat().into();
        }
        if let Some(encoding) = self.compression.filter(|_| !reply.body.is_empty()) {
            let (name, body) = encoding.compressed(&reply.body)?;
            reply.body = body.into();
            reply.headers.push((CONTENT_ENCODING, HeaderValue::from_static(name)));
        }
        Ok(reply)
    }
}

impl Encoding {
    fn compressed(self, body: &[u8]) -> io::Result<(&'static str, Vec<u8>)> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                Ok(("gzip", encoder.finish()?))
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                Ok(("deflate", encoder.finish()?))
            }
        }
    }
}

/// XML in ISO-8859-1; what is no XML, or has characters beyond it, stays as it is.
fn latin_1(body: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    let Some((_, document)) = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"))
    else {
        return body;
    };
    let characters: Result<Vec<u8>, _> = document.chars().map(u8::try_from).collect();
    let Ok(document) = characters else { return body };
    [b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>".as_slice(), &document].concat().into()
}
