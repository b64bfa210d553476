//! One SETTING or SPEND: connect, permit, deadline, write, read, classify, in this order. It runs in
//! a task of its own that no drop reaches, sends at most one request, and never sends it again.

#[cfg(feature = "failpoints")]
mod wrong;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use purveyor_sdk::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::answer::{Collector, Exchange, MAX_ANSWER_HEADERS};
use super::connect::Stream;
use super::limit::Priority;
use super::request::Prepared;
use super::{Egress, Reply, classify, decode, evidence};
use crate::failpoint::{self, Place};
use crate::plugin::permits::{Permit, PermitRequest, Permits};
use crate::plugin::sanitize::Sanitizer;
use crate::plugin::spend::{Seen, Spend};
use crate::plugin::work_slot::{self, WorkSlot};

type Body = Full<bytes::Bytes>;

/// A spend that was admitted.
pub(in crate::plugin) struct SpendTask {
    pub(in crate::plugin) egress: Arc<Egress>,
    pub(in crate::plugin) prepared: Prepared,
    pub(in crate::plugin) permits: Arc<dyn Permits>,
    /// The place of whoever made the call.
    pub(in crate::plugin) slot: Option<Arc<dyn WorkSlot>>,
    /// Where the plugin waits; it may be gone.
    pub(in crate::plugin) reply: oneshot::Sender<Result<Reply, Error>>,
    /// The attempt whose permit was given, for whoever finds this task dead.
    pub(in crate::plugin) permitted: Arc<AtomicU32>,
}

/// Why nothing was written, with the error for the plugin.
struct Stopped {
    reason: String,
    error: Option<Box<Error>>,
}

impl SpendTask {
    /// Runs to the end, whoever still waits for it.
    pub(in crate::plugin) async fn run(self) -> Spend {
        let span = self.egress.span(&self.prepared);
        self.go().instrument(span).await
    }

    async fn go(self) -> Spend {
        let begin = Instant::now();
        let (exchange, error) = match self.attempt().await {
            Ok(exchange) => {
                let now = self.egress.clock.wall();
                let (sanitizer, max) = (&self.egress.sanitizer, self.egress.max_answer_bytes);
                (decode::exchange(exchange, sanitizer, max, now), None)
            }
            Err(stopped) => (Exchange::NotWritten(stopped.reason), stopped.error),
        };
        let (egress, call) = (&self.egress, &self.prepared.call);
        if let Exchange::Complete(received) = &exchange {
            egress.note_status(received.status.into());
        }
        let seen = classify::classify(call, &egress.manifest.proofs, &exchange);
        let seen = redacted(seen, &egress.sanitizer);
        super::told(word(&seen), begin);
        let spend = Spend {
            call: call.name.clone(),
            effect: call.effect(),
            attempt: attempt(&self.permitted),
            seen,
            answer: evidence::keep(call, &egress.manifest, &egress.sanitizer, &exchange),
        };
        if spend.attempt.is_some() {
            self.permits.observed(&spend).await;
        }
        // The plugin may have been dropped; the record above is what counts.
        let _gone = self.reply.send(reply(&self.prepared, exchange, error));
        spend
    }

    /// Everything up to the end of the answer. An error means that no byte was written.
    async fn attempt(&self) -> Result<Exchange, Stopped> {
        let (egress, prepared) = (&self.egress, &self.prepared);
        let latest = Instant::now() + Priority::Spend.patience();
        let slot = egress.limiter().turn(Priority::Spend, latest, self.slot.as_ref()).await;
        let _slot = slot.map_err(|error| stopped_by(error.to_string(), error))?;
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::NoPreconnect) {
            return self.connecting_last().await;
        }
        let request = request(prepared)?;
        let sending = Instant::now();
        let stream = egress.dial.connect().await.map_err(|reason| {
            work_slot::tell(self.slot.as_ref(), false, sending.elapsed());
            stopped(reason)
        })?;
        let handshake = http1::Builder::new()
            .max_headers(MAX_ANSWER_HEADERS)
            .handshake::<_, Body>(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(|error| stopped(error.to_string()))?;
        failpoint::pass(Place::Connected);
        let permit = self.permit().await?;
        failpoint::pass(Place::Permitted);
        // From here on nothing waits until the bytes are on their way: the connection is driven by
        // this very task, so no scheduler comes between this look at the clock and the write.
        if permit.deadline.is_past(egress.clock.boot()) {
            return Err(stopped("the permit's deadline was missed".to_owned()));
        }
        failpoint::pass(Place::Checked);
        #[cfg(feature = "failpoints")]
        if let Some(pause) = failpoint::stall() {
            return Ok(self.held_up(pause, sender, connection, request));
        }
        let sending = Instant::now();
        let done = exchange(sender, connection, request, prepared, egress.max_answer_bytes).await;
        let answered = matches!(done, Exchange::Complete(_));
        work_slot::tell(self.slot.as_ref(), answered, sending.elapsed());
        failpoint::pass(Place::Exchanged);
        #[cfg(feature = "failpoints")]
        let done = self.naively_again(done).await;
        Ok(done)
    }

    async fn permit(&self) -> Result<Permit, Stopped> {
        let request = PermitRequest {
            call: self.prepared.call.name.clone(),
            effect: self.prepared.call.effect(),
            plugin: Arc::clone(&self.egress.plugin),
            price: self.prepared.price.clone(),
        };
        let permit = self
            .permits
            .permit(request)
            .await
            .map_err(|error| stopped_by(format!("no permit was given: {error}"), error))?;
        self.permitted.store(permit.attempt, Ordering::Release);
        Ok(permit)
    }
}

/// The attempt whose permit was given, if one was.
pub(in crate::plugin) fn attempt(permitted: &AtomicU32) -> Option<u32> {
    Some(permitted.load(Ordering::Acquire)).filter(|&attempt| attempt != 0)
}

async fn exchange(
    mut sender: http1::SendRequest<Body>,
    connection: http1::Connection<TokioIo<Box<dyn Stream>>, Body>,
    request: Request<Body>,
    prepared: &Prepared,
    max_bytes: usize,
) -> Exchange {
    let mut collector = Collector::default();
    let mut handed_back = None;
    let talk = async {
        let response = sender.try_send_request(request).await.map_err(|mut error| {
            let reason = error.error().to_string();
            if error.take_message().is_some() {
                handed_back = Some(reason.clone());
            }
            format!("the connection failed: {reason}")
        })?;
        failpoint::pass(Place::Answered);
        let (head, body) = response.into_parts();
        collector.read(head, body, max_bytes).await
    };
    // When the time is up the connection is dropped with what it has not written yet.
    let done = timeout(prepared.timeout, drive(connection, talk)).await;
    match done {
        Ok(Err(_)) if handed_back.is_some() => Exchange::NotWritten(format!(
            "the connection was closed: {}",
            handed_back.unwrap_or_default()
        )),
        Ok(Err(reason)) => Exchange::Broken(reason, collector.received()),
        Ok(Ok(())) => match collector.received() {
            Some(received) => Exchange::Complete(received),
            None => Exchange::Broken("there was no answer".to_owned(), None),
        },
        Err(_) => {
            let reason = format!("there was no complete answer in {:?}", prepared.timeout);
            Exchange::Broken(reason, collector.received())
        }
    }
}

/// Drives a connection as long as the talk over it lasts, in this task.
async fn drive<T>(connection: impl Future, talk: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut talk = pin!(talk);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            done = &mut talk => return done,
            _ = &mut connection, if open => open = false,
        }
    }
}

fn request(prepared: &Prepared) -> Result<Request<Body>, Stopped> {
    let target = prepared.target().map_err(|error| stopped(error.to_string()))?;
    let host = HeaderValue::try_from(prepared.authority())
        .map_err(|error| stopped(format!("the host cannot be sent: {error}")))?;
    let mut request = Request::new(Full::new(prepared.body.clone()));
    *request.method_mut() = prepared.method.clone();
    *request.uri_mut() = target;
    *request.headers_mut() = prepared.headers.clone();
    request.headers_mut().insert(HOST, host);
    request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(super::USER_AGENT));
    Ok(request)
}

/// What the plugin gets: the answer, whatever its status, or that there is none.
fn reply(
    prepared: &Prepared,
    exchange: Exchange,
    error: Option<Box<Error>>,
) -> Result<Reply, Error> {
    let name = &prepared.call.name;
    match exchange {
        Exchange::Complete(received) => Ok((received.head(&prepared.url), received.body)),
        Exchange::NotWritten(reason) => Err(error.map_or_else(
            || Error::unavailable(format!("{name} was not sent")).with_source(reason),
            |error| *error,
        )),
        Exchange::Broken(reason, _) => {
            let message = format!("{name} was sent and its answer was lost");
            Err(Error::unavailable(message).with_source(reason))
        }
    }
}

/// An identifier is read from the answer itself, and the plugin's is cleaned: both have to be the same.
fn redacted(mut seen: Seen, sanitizer: &Sanitizer) -> Seen {
    if let Seen::Success { upstream_id: Some(id), .. }
    | Seen::PaymentDue { upstream_id: Some(id), .. } = &mut seen
    {
        *id = sanitizer.redacted_identifier(id).into_owned();
    }
    seen
}

fn stopped(reason: String) -> Stopped {
    Stopped { reason, error: None }
}

fn stopped_by(reason: String, error: Error) -> Stopped {
    Stopped { reason, error: Some(Box::new(error)) }
}

fn word(seen: &Seen) -> &'static str {
    match seen {
        Seen::NotSent { .. } => "not_sent",
        Seen::Success { .. } => "success",
        Seen::PaymentDue { .. } => "payment_due",
        Seen::Refusable { .. } => "refusable",
        Seen::Unproven { .. } => "unproven",
    }
}
