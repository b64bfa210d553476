//! What every call passes on its way to a handler, and every answer on its way out: trace, place,
//! body, deadline, panics, and the details of errors. It must not know any method but those that
//! need no place.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service as _;
use tracing::{Instrument as _, Span};

use crate::api::admission::Admission;
use crate::api::arrival::Arrival;
use crate::api::limits::{BODY_TIMEOUT, DECODING_MAX_BYTES};
use crate::api::status;

/// The paths of this API; others (health, reflection) need no place and bring their own bodies.
const OURS: &str = "/purveyor.v1.";

/// Methods that only wait. They must not take places from those that buy.
const WAITING: [&str; 2] =
    ["/purveyor.v1.Operations/WaitOperation", "/purveyor.v1.Operations/WatchOperations"];

/// The length prefix and flag before a gRPC message.
const PREFIX_BYTES: usize = 5;

/// The way to the handlers for the calls of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    routes: Routes,
    admission: Admission,
    peer: SocketAddr,
    leaving: watch::Receiver<bool>,
}

impl Gate {
    /// The way for the calls of a new connection from `peer`, to a server that stops when `leaving`
    /// turns true.
    pub(crate) fn new(
        routes: Routes,
        admission: &Admission,
        peer: SocketAddr,
        leaving: watch::Receiver<bool>,
    ) -> Self {
        Self { routes, admission: admission.connection(), peer, leaving }
    }

    /// Answers a call, whatever happens.
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let begin = Instant::now();
        let path = request.uri().path().to_owned();
        let handled = AssertUnwindSafe(self.handle(request)).catch_unwind().await;
        let mut response = match handled {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => status::grpc(&error).into_http(),
            Err(_) => {
                let error = Error::new(ErrorReason::Internal, "the call's handler panicked");
                status::grpc(&error).into_http()
            }
        };
        if path.starts_with(OURS) {
            status::complete(response.headers_mut(), &path);
        }
        let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let code = status::code_of(response.headers());
        Span::current().record("code", tracing::field::debug(code)).record("ms", ms);
        tracing::info!("answered");
        response
    }

    async fn handle(mut self, request: Request<Incoming>) -> Result<Response<Body>> {
        let path = request.uri().path();
        if !path.starts_with(OURS) {
            return Ok(self.routes.call(request.map(Body::new)).await.unwrap_or_else(never));
        }
        let mut arrival = Arrival::read(request.headers())?;
        arrival.leaving = Some(self.leaving.clone());
        Span::current().record("trace_id", arrival.trace_id.as_str());
        if !WAITING.contains(&path) {
            arrival.place = Arc::new(self.admission.enter()?);
        }
        let deadline = arrival.answer_by();
        let answered = async {
            let (mut parts, body) = request.into_parts();
            let body = read(body).await?;
            parts.extensions.insert(arrival);
            let request = Request::from_parts(parts, Body::new(body));
            Ok(self.routes.call(request).await.unwrap_or_else(never))
        };
        match deadline {
            None => answered.await,
            Some(deadline) => timeout_at(deadline, answered).await.unwrap_or_else(|_| {
                let message = "the call's deadline came before the answer";
                Err(Error::new(ErrorReason::DeadlineExceeded, message))
            }),
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = std::result::Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let span = tracing::info_span!(
            "call",
            method = request.uri().path().trim_start_matches('/'),
            peer = %self.peer,
            trace_id = tracing::field::Empty,
            request_id = tracing::field::Empty,
            code = tracing::field::Empty,
            ms = tracing::field::Empty,
        );
        Box::pin(self.clone().answer(request).map(Ok).instrument(span))
    }
}

/// Reads a request's one message, so that nobody holds a place by sending slowly.
async fn read(body: Incoming) -> Result<Full<bytes::Bytes>> {
    let body = Limited::new(body, DECODING_MAX_BYTES + PREFIX_BYTES);
    let collected = timeout(BODY_TIMEOUT, body.collect()).await.map_err(|_| {
        let message = "the request did not arrive in time";
        Error::new(ErrorReason::DeadlineExceeded, message)
    })?;
    let collected = collected.map_err(|error| {
        let message = if error.is::<LengthLimitError>() {
            format!("the request is larger than {DECODING_MAX_BYTES} bytes")
        } else {
            "the request did not arrive whole".to_owned()
        };
        Error::new(ErrorReason::FieldViolation, message).with_source(error)
    })?;
    Ok(Full::new(collected.to_bytes()))
}

/// What a result that cannot fail fails with.
fn never<T>(error: Infallible) -> T {
    match error {}
}
