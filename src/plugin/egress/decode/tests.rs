//! Answers as upstreams send them, and what is read of them.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::header::{HeaderName, HeaderValue};

use crate::plugin::config::ProviderConfig;
use crate::plugin::sanitize::Sanitizer;

use super::{Bytes, Received, Timestamp, plain};

const MAX: usize = 1000;

fn sanitizer() -> Sanitizer {
    let endpoint = "http://upstream.example/".parse().unwrap();
    let mut config = ProviderConfig::new("test", "faulty", endpoint);
    config.credentials.insert("key".to_owned(), "topsecret".to_owned().into());
    Sanitizer::new(&config).unwrap()
}

fn answer(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Received {
    let mut received = Received { status: 200, body: body.into(), ..Received::default() };
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        received.headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    received
}

fn read(headers: &[(&str, &str)], body: impl Into<Bytes>) -> (String, Option<String>) {
    let now = Timestamp::from_second(1_445_412_000).unwrap();
    let (received, reason) = plain(answer(headers, body), &sanitizer(), MAX, now);
    (String::from_utf8_lossy(&received.body).into_owned(), reason)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_answer_is_inflated_within_the_limit() {
    let text = br#"{"id":"77"}"#;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(text).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(text).unwrap();
    let (zlib, raw) = (zlib.finish().unwrap(), raw.finish().unwrap());
    let cases: [(&str, Vec<u8>, Option<&str>); 12] = [
        ("gzip", gzip(text), None),
        ("GZIP", gzip(text), None),
        ("x-gzip", gzip(text), None),
        ("deflate", zlib, None),
        ("deflate", raw, None),
        ("identity", text.to_vec(), None),
        ("gzip, gzip", gzip(&gzip(text)), None),
        ("gzip", gzip(text)[..20].to_vec(), Some("damaged")),
        ("gzip", text.to_vec(), Some("damaged")),
        ("gzip", gzip(&[b' '; MAX + 1]), Some("more than 1000 bytes")),
        ("br", text.to_vec(), Some("\"br\"")),
        ("gzip", Vec::new(), None),
    ];
    for (encoding, body, expected) in cases {
        let empty = body.is_empty();
        let (read, reason) = read(&[("content-encoding", encoding)], body);
        match expected {
            None if empty => assert_eq!((read.as_str(), reason), ("", None)),
            None => assert_eq!((read.as_bytes(), reason), (&text[..], None), "{encoding}"),
            Some(word) => assert!(reason.as_ref().unwrap().contains(word), "{encoding} {reason:?}"),
        }
    }
}

#[test]
fn decoded_answer_does_not_tell_its_old_encoding() {
    let now = Timestamp::UNIX_EPOCH;
    let headers = [("content-encoding", "gzip"), ("content-length", "5"), ("x-id", "1")];
    let (received, _) = plain(answer(&headers, gzip(b"{}")), &sanitizer(), MAX, now);
    let names: Vec<_> = received.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-id"]);
}

#[test]
fn text_becomes_utf8() {
    let xml = |declared: &str, text: &[u8]| {
        [format!("<?xml version=\"1.0\" encoding={declared}?>").as_bytes(), text].concat()
    };
    let check = |content_type: &str, body: Vec<u8>, expected: &str| {
        let (read, reason) = read(&[("content-type", content_type)], body);
        assert_eq!((read.as_str(), reason), (expected, None), "{content_type}");
    };
    check("application/json", b"\xef\xbb\xbf{\"a\":1}".to_vec(), "{\"a\":1}");
    check("application/json", b"\xff\xfe{\0}\0".to_vec(), "{}");
    check("text/xml", xml("\"ISO-8859-1\"", b"<a>\xe9</a>"), "<a>\u{e9}</a>");
    check("text/xml", xml("'iso-8859-15'", b"<a>\xa4</a>"), "<a>\u{20ac}</a>");
    check("text/xml", xml("\"ISO-8859-1\"", b"<a/>"), "<a/>");
    check("text/xml; charset=utf-8", xml("\"ISO-8859-1\"", "<a>é</a>".as_bytes()), "<a>é</a>");
    // The declaration decides where the header does not, also of bytes that could be UTF-8.
    check("text/xml", xml("\"ISO-8859-1\"", "<a>é</a>".as_bytes()), "<a>Ã©</a>");
    check("text/html; charset=ISO-8859-1", b"{\"a\":\"\xe9\"}".to_vec(), "{\"a\":\"é\"}");
    check("text/html; charset=ISO-8859-1", "{\"a\":\"é\"}".into(), "{\"a\":\"é\"}");
    let utf8 = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>";
    check("text/xml", utf8.into(), utf8);
    let unknown = "<?xml version=\"1.0\" encoding=\"martian\"?><a/>";
    check("text/xml", unknown.into(), unknown);
}

#[test]
fn retry_after_is_told_in_seconds() {
    let check = |headers: &[(&str, &str)], expected: Option<&str>| {
        // 21 October 2015, 07:20:00.
        let now = Timestamp::from_second(1_445_412_000).unwrap();
        let (received, _) = plain(answer(headers, Bytes::new()), &sanitizer(), MAX, now);
        let found = received.headers.get("retry-after").map(|it| it.to_str().unwrap());
        assert_eq!(found, expected, "{headers:?}");
    };
    let date = ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
    check(&[date], Some("480"));
    check(&[date, ("date", "Wed, 21 Oct 2015 07:27:50 GMT")], Some("10"));
    check(&[date, ("date", "Wed, 21 Oct 2015 08:00:00 GMT")], Some("0"));
    check(&[("retry-after", "120")], Some("120"));
    check(&[("retry-after", "soon")], Some("soon"));
    check(&[], None);
}

#[test]
fn repeated_credential_is_covered_before_the_plugin_can_shorten_it() {
    let sanitizer = sanitizer();
    sanitizer.learn("token-123");
    let covered = |status: u16| {
        let headers = [("x-key", "topsecret")];
        let body = r#"{"key":"topsecret","b64":"dG9wc2VjcmV0","token":"token-123"}"#;
        let received = Received { status, ..answer(&headers, body) };
        let (received, _) = plain(received, &sanitizer, MAX, Timestamp::UNIX_EPOCH);
        assert_eq!(received.headers["x-key"], "*********");
        String::from_utf8(received.body.to_vec()).unwrap()
    };
    assert_eq!(covered(200), r#"{"key":"*********","b64":"************","token":"token-123"}"#);
    assert_eq!(covered(400), r#"{"key":"*********","b64":"************","token":"*********"}"#);
}
