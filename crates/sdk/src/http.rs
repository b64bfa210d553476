//! Upstream requests, made by the host. The plugin names a call of its manifest and fills it in; where
//! it goes, with which credentials, and whether it may be sent at all, is the host's to decide.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use prost::Message;
use purveyor_abi::{Fault, OwnedBuf, guest};

use crate::declare::Call;
use crate::error::{Error, Result};
use crate::plugin::v1::{self, HostOp, HttpField, HttpRequest, HttpResponse};
use crate::target;
use crate::v1::{ErrorReason, Price};

/// The way to the upstream, within one call.
#[derive(Clone, Copy)]
pub struct Http<'a> {
    pub(crate) host: &'a guest::Host,
    pub(crate) call_id: u64,
}

/// One upstream request that is being put together.
#[must_use = "nothing is sent before `send`"]
pub struct Request<'a> {
    http: Http<'a>,
    head: HttpRequest,
    body: Vec<u8>,
    invalid: Option<Error>,
}

/// A complete answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The exact URL that was asked, without credentials.
    pub url: String,
    /// The body, uncompressed and in UTF-8; credentials that the upstream repeats are covered in it.
    pub body: Body,
    headers: Vec<HttpField>,
}

/// The bytes of a body; they were not copied on their way into the plugin.
pub struct Body(OwnedBuf);

impl<'a> Http<'a> {
    /// Begins the request of a call that the manifest declares.
    pub fn call(self, name: &str) -> Request<'a> {
        let head = HttpRequest { call: name.to_owned(), ..HttpRequest::default() };
        Request { http: self, head, body: Vec::new(), invalid: None }
    }
}

impl Request<'_> {
    /// What stands for the next `{}` of the call's path. The host encodes it.
    pub fn segment(mut self, segment: impl ToString) -> Self {
        self.head.segments.push(segment.to_string());
        self
    }

    /// Adds a field to the query, in order. The host encodes it.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.head.query.push(HttpField { name: name.to_owned(), value: value.to_string() });
        self
    }

    /// Adds a header; its name is sent in lower case.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        let name = name.to_ascii_lowercase();
        self.head.headers.push(HttpField { name, value: value.to_string() });
        self
    }

    /// Lets the host put in the credential of this name.
    pub fn auth(mut self, credential: &str) -> Self {
        self.head.credentials.push(credential.to_owned());
        self
    }

    /// How long the answer may take, instead of what the manifest says.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        match timeout.try_into() {
            Ok(timeout) => self.head.timeout = Some(timeout),
            Err(error) => {
                let error: prost_types::DurationError = error;
                self.invalid = Some(Error::fault("the time-out is too long").with_source(error));
            }
        }
        self
    }

    /// What the call will charge, as it was just read. The host lets the request out only if that is
    /// within the caller's limit.
    pub fn price(mut self, price: Option<Price>) -> Self {
        self.head.price = price;
        self
    }

    /// The body, as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body, with its content type. A value that has no JSON makes `send` fail.
    pub fn json(mut self, body: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => {
                self.invalid = Some(Error::fault("the body has no JSON").with_source(error));
                self
            }
        }
    }

    /// The call of an XML-RPC method as the body, with its content type. Parameters that cannot be
    /// written make `send` fail.
    #[cfg(feature = "xmlrpc")]
    pub fn xml_rpc(mut self, method: &str, params: &[crate::xmlrpc::Value]) -> Self {
        match crate::xmlrpc::encode_call(method, params) {
            Ok(body) => self.header("content-type", "text/xml").body(body),
            Err(error) => {
                self.invalid = Some(Error::fault("the call has no XML-RPC").with_source(error));
                self
            }
        }
    }

    /// The exact URL that the host will ask below this endpoint, for upstreams whose signatures cover it.
    /// `calls` are the manifest's.
    ///
    /// # Errors
    ///
    /// PLUGIN_FAULT for a request that cannot be sent.
    pub fn url(&self, endpoint: &str, calls: &[Call]) -> Result<String> {
        let call = calls.iter().find(|call| call.name == self.head.call);
        let call = call.ok_or_else(|| Error::fault("the request's call is not declared"))?;
        let HttpRequest { segments, query, .. } = &self.head;
        target::url(endpoint, call.path, segments, query)
            .map_err(|message| Error::fault(format!("the request cannot be sent: {message}")))
    }

    /// Sends the request and waits for the complete answer. Any status is an answer. Whether it may be
    /// repeated is the call's: the host refuses a second spend.
    ///
    /// # Errors
    ///
    /// What the host says of a request that it did not send or whose answer did not come; in a step
    /// it is best passed on as it is, for the host knows more of it than the plugin can.
    pub async fn send(self) -> Result<Answer> {
        let Self { http: Http { host, call_id }, head, body, invalid } = self;
        if let Some(error) = invalid {
            return Err(error);
        }
        let op = HostOp::Http as u32;
        let started = host.call(op, call_id, &head.encode_to_vec(), &body);
        let future = started.map_err(|code| {
            Error::fault("the host does not take the request").with_metadata("code", code)
        })?;
        // The host has its copy.
        drop((head, body));
        let payload = future.await.into_result().map_err(host_error)?;
        let head = HttpResponse::decode(&*payload.body)
            .map_err(|error| internal("the host's answer cannot be decoded").with_source(error))?;
        let status = u16::try_from(head.status)
            .map_err(|error| internal("the status is out of range").with_source(error))?;
        let body = Body(payload.attachment);
        Ok(Answer { status, headers: head.headers, url: head.url, body })
    }
}

impl Answer {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value.as_str())
    }

    /// The body read as JSON.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE with the status, since what cannot be understood is no answer.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| self.not_understood().with_source(error))?;
        deserializer.end().map_err(|error| self.not_understood().with_source(error))?;
        Ok(value)
    }

    /// The body read as the response of an XML-RPC method.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE with the status, since what cannot be understood is no answer.
    #[cfg(feature = "xmlrpc")]
    pub fn xml_rpc(&self) -> Result<crate::xmlrpc::Response> {
        crate::xmlrpc::decode_response(&self.body)
            .map_err(|error| self.not_understood().with_source(error))
    }

    /// UPSTREAM_UNAVAILABLE: the answer cannot be understood.
    pub fn not_understood(&self) -> Error {
        Error::unavailable("the upstream's answer cannot be understood")
            .with_metadata("upstream_status", self.status)
    }
}

/// The error behind a host's reply that is no answer.
pub(crate) fn host_error(fault: Fault) -> Error {
    match fault {
        Fault::Error(body) => match v1::Error::decode(&*body) {
            Ok(error) => error.into(),
            Err(error) => internal("the host's error cannot be decoded").with_source(error),
        },
        other => internal("the host did not do its part").with_source(other),
    }
}

fn internal(message: &str) -> Error {
    Error::new(ErrorReason::Internal, message)
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Prints the length only: the bytes may hold a secret.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.0.len()).finish_non_exhaustive()
    }
}
