//! Makes an answer plain before anybody reads it: the content encoding is undone, the text is UTF-8
//! without a byte order mark, `retry-after` is a number of seconds, and credentials are covered. The classifier, the evidence and
//! the plugin see the same bytes, so none of them decodes for itself.

use std::io::Read;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::answer::{Exchange, Received};
use crate::plugin::sanitize::Sanitizer;

/// How far into a document its XML declaration is looked for.
const DECLARATION_BYTES: usize = 256;

/// An exchange whose answer, if there is one, is plain. What cannot be decoded is no complete answer.
pub(super) fn exchange(
    exchange: Exchange,
    sanitizer: &Sanitizer,
    max_bytes: usize,
    now: Timestamp,
) -> Exchange {
    match exchange {
        Exchange::NotWritten(_) | Exchange::Broken(_, None) => exchange,
        Exchange::Broken(reason, Some(partial)) => {
            // What came of it is evidence, as far as it can be decoded.
            let (partial, _) = plain(partial, sanitizer, max_bytes, now);
            Exchange::Broken(reason, Some(partial))
        }
        Exchange::Complete(received) => match plain(received, sanitizer, max_bytes, now) {
            (received, None) => Exchange::Complete(received),
            (received, Some(reason)) => Exchange::Broken(reason, Some(received)),
        },
    }
}

/// The answer with plain bytes; beside it, why they are not all of it.
pub(super) fn plain(
    mut received: Received,
    sanitizer: &Sanitizer,
    max_bytes: usize,
    now: Timestamp,
) -> (Received, Option<String>) {
    let mut reason = None;
    while let Some(encoding) = last_encoding(&mut received.headers) {
        let (body, failed) = inflate(&encoding, &received.body, max_bytes);
        received.body = body;
        received.headers.remove(CONTENT_LENGTH);
        reason = reason.or(failed);
        if reason.is_some() {
            break;
        }
    }
    received.body = utf8(received.body, text_header(&received.headers, &CONTENT_TYPE));
    if reason.is_none() && received.body.len() > max_bytes {
        reason = Some(too_long(max_bytes));
    }
    seconds_to_wait(&mut received.headers, now);
    cover(&mut received, sanitizer);
    (received, reason)
}

/// Covers credentials that the upstream repeats: a plugin that shortens a text could leave a piece of one,
/// which nobody would find. Only a refusal has no use for a token, which others may tell anew.
fn cover(received: &mut Received, sanitizer: &Sanitizer) {
    let refused = received.status >= 400;
    if let Some(body) = sanitizer.covered(&received.body, refused) {
        received.body = body.into();
    }
    for value in received.headers.values_mut() {
        let covered = sanitizer.covered(value.as_bytes(), refused);
        if let Some(covered) = covered.and_then(|it| HeaderValue::from_bytes(&it).ok()) {
            *value = covered;
        }
    }
}

/// Takes the encoding that was applied last, which is the first to be undone.
fn last_encoding(headers: &mut HeaderMap) -> Option<String> {
    let fields = headers.get_all(CONTENT_ENCODING).iter();
    let fields: Vec<_> = fields.map(|field| String::from_utf8_lossy(field.as_bytes())).collect();
    let joined = fields.join(",").to_ascii_lowercase();
    let names = joined.split(',').map(str::trim);
    let mut names: Vec<&str> =
        names.filter(|name| !name.is_empty() && *name != "identity").collect();
    let last = names.pop().map(ToOwned::to_owned);
    headers.remove(CONTENT_ENCODING);
    if let Ok(rest) = HeaderValue::try_from(names.join(", "))
        && !names.is_empty()
    {
        headers.insert(CONTENT_ENCODING, rest);
    }
    last
}

fn inflate(encoding: &str, body: &Bytes, max_bytes: usize) -> (Bytes, Option<String>) {
    if body.is_empty() {
        return (Bytes::new(), None);
    }
    match encoding {
        "gzip" | "x-gzip" => read_bounded(encoding, MultiGzDecoder::new(&**body), max_bytes),
        "deflate" if is_zlib(body) => read_bounded(encoding, ZlibDecoder::new(&**body), max_bytes),
        // Some servers leave out the frame that RFC 9110 asks for.
        "deflate" => read_bounded(encoding, DeflateDecoder::new(&**body), max_bytes),
        other => {
            let reason = format!("the answer has the content encoding {other:?}, not asked for");
            (Bytes::new(), Some(reason))
        }
    }
}

fn read_bounded(encoding: &str, reader: impl Read, max_bytes: usize) -> (Bytes, Option<String>) {
    let mut plain = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(limit).read_to_end(&mut plain);
    let reason = match read {
        Err(error) => Some(format!("the answer's {encoding} is damaged: {error}")),
        Ok(_) if plain.len() > max_bytes => {
            plain.truncate(max_bytes);
            Some(too_long(max_bytes))
        }
        Ok(_) => None,
    };
    (plain.into(), reason)
}

fn too_long(max_bytes: usize) -> String {
    format!("the answer has more than {max_bytes} bytes")
}

/// Whether bytes begin with the header of RFC 1950.
fn is_zlib(bytes: &[u8]) -> bool {
    let [first, second, ..] = bytes else { return false };
    first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0
}

/// The text as UTF-8. What declares no encoding, or one that nobody knows, stays as it is.
fn utf8(body: Bytes, content_type: Option<&str>) -> Bytes {
    if let Some((encoding, mark)) = Encoding::for_bom(&body) {
        let rest = body.slice(mark..);
        return if encoding == UTF_8 { rest } else { transcoded(encoding, &rest) };
    }
    let valid = std::str::from_utf8(&body).is_ok();
    let by_header = content_type.and_then(charset).and_then(known);
    let Some(declaration) = xml_declaration(&body) else {
        // Web servers put a charset on everything; JSON is UTF-8 whatever they say.
        return match by_header {
            Some(encoding) if !valid => transcoded(encoding, &body),
            _ => body,
        };
    };
    let declared = declared_encoding(&body[..declaration]).and_then(known);
    let encoding = match by_header {
        Some(encoding) if encoding == UTF_8 && valid => UTF_8,
        header => declared.or(header.filter(|_| !valid)).unwrap_or(UTF_8),
    };
    match (encoding == UTF_8, declared) {
        (true, None) => body,
        (true, Some(declared)) if declared == UTF_8 => body,
        // The declaration would be wrong of what is UTF-8 from here on.
        (true, Some(_)) => body.slice(declaration..),
        (false, _) => transcoded(encoding, &body[declaration..]),
    }
}

fn transcoded(encoding: &'static Encoding, bytes: &[u8]) -> Bytes {
    Bytes::from(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

fn known(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes())
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// Where the XML declaration ends that a document begins with.
fn xml_declaration(body: &[u8]) -> Option<usize> {
    let head = &body[..body.len().min(DECLARATION_BYTES)];
    let begins = head.strip_prefix(b"<?xml").and_then(<[u8]>::first);
    begins.filter(|byte| byte.is_ascii_whitespace())?;
    head.windows(2).position(|pair| pair == b"?>").map(|at| at + 2)
}

fn declared_encoding(declaration: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(declaration).ok()?;
    let (_, rest) = text.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest[1..].split(quote).next()
}

/// A date in `retry-after` becomes the seconds until then, by the upstream's own clock where the answer
/// tells it.
fn seconds_to_wait(headers: &mut HeaderMap, now: Timestamp) {
    let date = |name| text_header(headers, name).and_then(|text| rfc2822::parse(text).ok());
    let Some(until) = date(&RETRY_AFTER) else { return };
    let now = date(&DATE).map_or(now, |told| told.timestamp());
    let seconds = until.timestamp().as_second().saturating_sub(now.as_second()).max(0);
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
}

fn text_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
