//! An HTTP/1.1 server that can misbehave: besides answering it can drop or reset a connection,
//! cut an answer short or deliver it slowly. It knows nothing of providers and must stay so.

mod body;
mod dress;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use body::ReplyBody;
pub use dress::{Dress, Encoding};
use wire::{Fate, Wire};

/// The largest request read. No provider's call comes near it, and a simulator must not be the
/// thing that runs out of memory in a test.
const REQUEST_BYTES: usize = 1 << 20;

/// How long accepting rests after an error, so that it does not spin when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What answers requests. Each request runs in a task of its own that no disconnect cancels: an
/// upstream, too, goes on selling after its caller has hung up.
pub(crate) trait Site: Send + Sync + 'static {
    /// Answers one request through `responder`, and may go on working after that.
    fn answer(
        self: Arc<Self>,
        request: Request,
        responder: Responder,
    ) -> impl Future<Output = ()> + Send;
}

/// One whole request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// What follows the question mark, as it came; empty without one.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The address that the connection comes from.
    pub(crate) peer: IpAddr,
    pub(crate) body: Bytes,
}

/// One answer and how it is to reach the caller.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
}

/// How an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As it should be.
    Whole,
    /// The head announces the whole body, half of it comes, then the connection is closed.
    HalfBody,
    /// The connection is closed after so many bytes of the answer, be it inside the head.
    Cut(usize),
    /// The connection is closed (FIN) without a byte.
    Close,
    /// The connection is reset (RST) without a byte.
    Reset,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let kind = (http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers: vec![kind], body, delivery: Delivery::Whole }
    }

    pub(crate) fn text(status: StatusCode, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
    }

    pub(crate) fn nothing(delivery: Delivery) -> Self {
        Self { delivery, ..Self::text(StatusCode::OK, "") }
    }

    pub(crate) fn delivered(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }
}

/// The way back to the caller. Dropping it unused closes the connection.
#[derive(Debug)]
pub(crate) struct Responder(oneshot::Sender<Reply>);

impl Responder {
    /// Sends the answer on its way. A caller that has gone is not an error: nobody is told.
    pub(crate) fn send(self, reply: Reply) {
        drop(self.0.send(reply));
    }
}

/// How many connections a server holds and has held, and what came in over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionCount {
    /// Open now.
    pub open: u64,
    /// Accepted since the start.
    pub total: u64,
    /// Bytes received since the start, below TLS.
    pub received_bytes: u64,
}

/// A running server. Dropping it closes the listener and every connection and ends every request
/// still at work.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    tally: Arc<Tally>,
    dress: Arc<Mutex<Dress>>,
    work: Arc<Work>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Tally {
    open: AtomicU64,
    total: AtomicU64,
    received: Arc<AtomicU64>,
    /// Milliseconds for which a connection may wait for a request; 0 for ever.
    idle_ms: AtomicU64,
}

/// The tasks of requests: owned here, so that a connection's end does not cancel them and the
/// server's end does.
#[derive(Debug, Default)]
struct Work(Mutex<JoinSet<()>>);

impl Server {
    /// Serves `site` on `listener`, over TLS when a configuration is given.
    ///
    /// # Errors
    /// The listener has no address.
    pub(crate) fn start<S: Site>(
        listener: TcpListener,
        site: Arc<S>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (tally, work) = (Arc::<Tally>::default(), Arc::<Work>::default());
        let dress = Arc::<Mutex<Dress>>::default();
        let tls = tls.map(TlsAcceptor::from);
        let desk = Desk { site, tls, dress: dress.clone(), work: work.clone() };
        let accepting = tokio::spawn(accept(listener, Arc::new(desk), tally.clone()));
        Ok(Self { address, tally, dress, work, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections are closed that bring no request for so long; zero: none is.
    pub(crate) fn close_idle(&self, after: Duration) {
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.tally.idle_ms.store(ms, Ordering::SeqCst);
    }

    /// From now on answers go out so.
    pub(crate) fn set_dress(&self, dress: Dress) {
        *self.dress.lock().unwrap_or_else(PoisonError::into_inner) = dress;
    }

    pub(crate) fn connections(&self) -> ConnectionCount {
        ConnectionCount {
            open: self.tally.open.load(Ordering::SeqCst),
            total: self.tally.total.load(Ordering::SeqCst),
            received_bytes: self.tally.received.load(Ordering::SeqCst),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.work.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Work {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

struct Desk<S> {
    site: Arc<S>,
    tls: Option<TlsAcceptor>,
    dress: Arc<Mutex<Dress>>,
    work: Arc<Work>,
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Tally>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept<S: Site>(listener: TcpListener, desk: Arc<Desk<S>>, tally: Arc<Tally>) {
    // The set dies with this task, and every connection with the set.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // One connection failed before it was ours, or descriptors ran out: others must end.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        tally.open.fetch_add(1, Ordering::SeqCst);
        tally.total.fetch_add(1, Ordering::SeqCst);
        let open = Open(tally.clone());
        connections.spawn(connection(stream, desk.clone(), open));
    }
}

async fn connection<S: Site>(stream: TcpStream, desk: Arc<Desk<S>>, open: Open) {
    // Small answers must not wait for the caller's acknowledgements.
    let (Ok(()), Ok(peer)) = (stream.set_nodelay(true), stream.peer_addr()) else { return };
    let peer = peer.ip();
    let fate = Arc::new(Fate::default());
    let wire = Wire::new(stream, fate.clone(), open.0.received.clone());
    let idle = Duration::from_millis(open.0.idle_ms.load(Ordering::SeqCst));
    match &desk.tls {
        None => serve(wire, &desk, &fate, (peer, idle)).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(wire).await {
                serve(Box::new(stream), &desk, &fate, (peer, idle)).await;
            }
        }
    }
}

async fn serve<S: Site, I>(
    io: I,
    desk: &Arc<Desk<S>>,
    fate: &Arc<Fate>,
    (peer, idle): (IpAddr, Duration),
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| exchange(request, desk.clone(), fate.clone(), peer));
    let mut http = hyper::server::conn::http1::Builder::new();
    if !idle.is_zero() {
        http.timer(TokioTimer::new()).header_read_timeout(idle);
    }
    let connection = http.serve_connection(TokioIo::new(io), service);
    // How a connection ends is the caller's business or the fault's; there is nobody to tell.
    drop(connection.await);
}

/// The connection is to die here: hyper closes it when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("connection ends by command")]
struct Ended;

async fn exchange<S: Site>(
    request: http::Request<Incoming>,
    desk: Arc<Desk<S>>,
    fate: Arc<Fate>,
    peer: IpAddr,
) -> Result<Response<ReplyBody>, Ended> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, REQUEST_BYTES).collect().await else {
        let refusal = Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "request too large");
        return Ok(response(refusal));
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        peer,
        body: body.to_bytes(),
    };
    let authorization = request.headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let authorization = authorization.unwrap_or_default();
    let (_, authorization) = authorization.split_once(' ').unwrap_or(("", authorization));
    let authorization = authorization.to_owned();
    let (sender, receiver) = oneshot::channel();
    desk.work.spawn(desk.site.clone().answer(request, Responder(sender)));
    let reply = receiver.await.map_err(|_| Ended)?;
    let dress = desk.dress.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let reply = dress.put_on(reply, &authorization).map_err(|_| Ended)?;
    match reply.delivery {
        Delivery::Close => Err(Ended),
        Delivery::Reset => {
            fate.reset();
            Err(Ended)
        }
        Delivery::Cut(bytes) => {
            fate.cut_after(bytes);
            Ok(response(reply))
        }
        Delivery::Whole | Delivery::HalfBody => Ok(response(reply)),
    }
}

fn response(reply: Reply) -> Response<ReplyBody> {
    let length = HeaderValue::from(reply.body.len());
    let body = match reply.delivery {
        Delivery::HalfBody => ReplyBody::half(reply.body),
        _ => ReplyBody::whole(reply.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.headers);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}
