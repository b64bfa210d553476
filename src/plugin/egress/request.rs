//! Puts one request together from a declared call and what the plugin filled in, and reads the
//! call's own word from the very bytes that will be sent. It sends nothing.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{BodyFormat, Call, HttpField, HttpRequest};
use purveyor_sdk::v1::Price;
use purveyor_sdk::{body, target};
use url::Url;

use super::EgressError;
use super::credential::Credentials;

/// The most bytes of a request's body. A write's decoded message has at most 256 KiB.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The most bytes of a target; common servers stop at 8 KiB.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// What would change where a request goes, what it means, or how it is framed.
const DENIED_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// How a token begins that was given upstream to whoever bears it.
const BEARER: &str = "Bearer ";

/// The query field by which some frameworks let a POST be another method.
const METHOD_FIELD: &str = "_method";

/// Scheme, host and port that every request of an account goes to.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    base: Url,
}

/// A request that may be sent, if its turn comes.
#[derive(Debug, Clone)]
pub(in crate::plugin) struct Prepared {
    pub(in crate::plugin) call: Call,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) timeout: Duration,
    /// What it will charge, as the plugin has just read it.
    pub(super) price: Option<Price>,
}

/// Why a request is not put together.
#[derive(Debug)]
pub(in crate::plugin) enum Refused {
    /// The plugin asked what its manifest does not let it ask.
    Breach(String),
    /// The request cannot be sent as it is.
    Invalid(Error),
}

impl Endpoint {
    pub(super) fn new(base: &Url) -> Result<Self, EgressError> {
        if !matches!(base.scheme(), "http" | "https") {
            return Err(EgressError::Endpoint("is neither http nor https"));
        }
        if base.host().is_none() {
            return Err(EgressError::Endpoint("has no host"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(EgressError::Endpoint("has a user or a password in it"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(EgressError::Endpoint("has a query or a fragment"));
        }
        Ok(Self { base: base.clone() })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }
}

impl Prepared {
    /// Method, path and query as they stand in the first line.
    pub(super) fn target(&self) -> Result<Uri, Error> {
        let path = self.url.path();
        let target = match self.url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        target.parse().map_err(|error| Error::fault("the target is no uri").with_source(error))
    }

    /// The token that it presents, if it presents one.
    pub(super) fn token(&self) -> Option<&str> {
        self.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(BEARER)
    }

    /// Host and port as the `Host` header says them.
    pub(super) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// Puts a request together.
pub(super) fn prepare(
    call: &Call,
    request: HttpRequest,
    body: Bytes,
    endpoint: &Endpoint,
    credentials: &Credentials,
    attempt_timeout: Duration,
) -> Result<Prepared, Refused> {
    check_word(call, &body)?;
    let method = Method::from_bytes(call.method.as_bytes())
        .map_err(|_| Refused::Breach(format!("{} has no usable method", call.name)))?;
    let url = address(call, &request, endpoint).map_err(|message| invalid(call, &message))?;
    let placed = !request.credentials.is_empty();
    let headers = headers(&request.headers, placed);
    let mut headers = headers.map_err(|message| invalid(call, &message))?;
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(content_type) = content_type(call.body_format())
        && !body.is_empty()
        && !headers.contains_key(header::CONTENT_TYPE)
    {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    for name in &request.credentials {
        credentials.place(name, &mut headers).map_err(Refused::Breach)?;
    }
    let asked = request.timeout.and_then(|timeout| Duration::try_from(timeout).ok());
    let timeout = asked.map_or(attempt_timeout, |asked| asked.min(attempt_timeout));
    let price = request.price.clone();
    Ok(Prepared { call: call.clone(), method, url, headers, body, timeout, price })
}

/// Refuses bytes that are another call than the one they are sent under.
fn check_word(call: &Call, body: &[u8]) -> Result<(), Refused> {
    if body.len() > MAX_BODY_BYTES {
        return Err(invalid(call, "the body is larger than 1 MiB"));
    }
    if call.words.is_empty() {
        return Ok(());
    }
    let word = body::word(call.body_format(), &call.word_pointer, body).map_err(|error| {
        Refused::Breach(format!("the body sent as {} has no word of its own: {error}", call.name))
    })?;
    if call.words.contains(&word) {
        return Ok(());
    }
    Err(Refused::Breach(format!("the body sent as {} is a {word:?}", call.name)))
}

fn address(call: &Call, request: &HttpRequest, endpoint: &Endpoint) -> Result<Url, String> {
    let mut url = endpoint.base.clone();
    // An empty path is the endpoint's own, with its slash at the end or without.
    let below = target::path(&call.path, &request.segments)?;
    let path = match below.as_str() {
        "" => url.path().to_owned(),
        _ => format!("{}{below}", url.path().trim_end_matches('/')),
    };
    url.set_path(&path);
    // A path that is read otherwise than it was written would lead to another call.
    if url.path() != path {
        return Err(format!("the path {path:?} would be read as {:?}", url.path()));
    }
    if let Some(query) = target::query(&request.query) {
        url.set_query(Some(&query));
    }
    if request.query.iter().any(|field| field.name.eq_ignore_ascii_case(METHOD_FIELD)) {
        return Err(format!("the query has a field {METHOD_FIELD}"));
    }
    if url.as_str().len() > MAX_TARGET_BYTES {
        return Err(format!("the url has more than {MAX_TARGET_BYTES} bytes"));
    }
    Ok(url)
}

/// The plugin's own headers. A token that the plugin was given upstream may stand in `authorization`,
/// once, and never beside a credential that the host places.
fn headers(fields: &[HttpField], placed: bool) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(fields.len() + 2);
    for HttpField { name, value } in fields {
        let lower = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is no name of a header"))?;
        if DENIED_HEADERS.contains(&lower.as_str()) {
            return Err(format!("the header {lower} is the host's to set"));
        }
        let token = value.starts_with(BEARER);
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of the header {lower} cannot be sent"))?;
        if lower == header::AUTHORIZATION {
            if placed || !token || headers.contains_key(&lower) {
                return Err(format!("the header {lower} is the host's to set, but for one token"));
            }
            value.set_sensitive(true);
        }
        headers.append(lower, value);
    }
    Ok(headers)
}

fn content_type(format: BodyFormat) -> Option<HeaderValue> {
    let text = match format {
        BodyFormat::Json => "application/json",
        BodyFormat::XmlRpc => "text/xml",
        BodyFormat::Form => "application/x-www-form-urlencoded",
        BodyFormat::Unspecified => return None,
    };
    Some(HeaderValue::from_static(text))
}

fn invalid(call: &Call, message: &str) -> Refused {
    Refused::Invalid(Error::fault(format!(
        "the request of {} cannot be sent: {message}",
        call.name
    )))
}

#[cfg(test)]
mod tests {
    use super::{HttpField, headers};

    #[test]
    fn a_plugin_may_present_one_token_that_it_was_given() {
        fn check(fields: &[(&str, &str)], placed: bool, expected: bool) {
            let field = |(name, value): &(&str, &str)| HttpField {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            };
            let fields: Vec<_> = fields.iter().map(field).collect();
            let read = headers(&fields, placed);
            assert_eq!(read.is_ok(), expected, "{fields:?} {placed} {read:?}");
            let shown = format!("{read:?}");
            assert!(!shown.contains("abc"), "{shown}");
        }
        check(&[("authorization", "Bearer abc")], false, true);
        check(&[("Authorization", "Bearer abc")], false, true);
        check(&[("authorization", "Bearer abc")], true, false);
        check(&[("authorization", "Basic abc")], false, false);
        check(&[("authorization", "Bearer abc"), ("authorization", "Bearer abc")], false, false);
        check(&[("accept", "application/json")], true, true);
        check(&[("host", "elsewhere")], false, false);
        check(&[("proxy-authorization", "Bearer abc")], false, false);
    }
}
