//! Listening, accepting, and stopping. It serves whatever routes it is given, under every limit that
//! HTTP/2 knows, and must not know what they mean.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::api::admission::Admission;
use crate::api::gate::Gate;
use crate::api::guests::{Guest, Guests};
use crate::api::health::Health;
use crate::api::limits::Limits;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait before accepting again when the machine has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that did not end within the drain bound and were cut.
    pub cut: usize,
}

impl Server {
    /// Listens at `address`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Those of the system: the address is taken, or not ours.
    pub async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, limits })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `routes` until `stop` is ready; then: health says NOT_SERVING, connections are asked to
    /// go, and those that have not ended within the drain bound are cut.
    pub async fn serve(
        self,
        routes: Routes,
        health: Health,
        stop: impl Future<Output = ()>,
    ) -> Stopped {
        let Self { listener, limits, .. } = self;
        let admission = Admission::new(&limits);
        let guests = Guests::new(&limits);
        let routes = routes.prepare();
        let (leave, leaving) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut settled = pin!(async {
            stop.await;
            health.stopping().await;
            tokio::time::sleep(limits.settle).await;
        });
        loop {
            tokio::select! {
                () = &mut settled => break,
                // Ended connections are forgotten at once.
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let Some(guest) = guests.admit(peer.ip()) else { continue };
                        let gate =
                            Gate::new(routes.clone(), &admission, peer, leaving.clone());
                        let limits = limits.clone();
                        let leaving = leaving.clone();
                        connections.spawn(connection(stream, guest, gate, limits, leaving));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        // Closed before the drain, so that nobody connects to a server that will not answer.
        drop(listener);
        leave.send_replace(true);
        drain(connections, limits.drain).await
    }
}

/// Waits for connections to end, and cuts those that do not.
async fn drain(mut connections: JoinSet<()>, bound: Duration) -> Stopped {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bound, all).await.is_ok() {
        return Stopped { cut: 0 };
    }
    let cut = connections.len();
    tracing::warn!(cut, "connections did not end in time and are cut");
    connections.abort_all();
    Stopped { cut }
}

/// Serves one connection until it ends, is too old, or the server leaves.
async fn connection(
    mut stream: TcpStream,
    guest: Guest,
    gate: Gate,
    limits: Limits,
    mut leaving: watch::Receiver<bool>,
) {
    // An answer is one small write; waiting for more costs 40 ms each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection ended before it began");
        return;
    }
    let Some(preface) = preface(&mut stream, limits.handshake).await else {
        tracing::debug!("a connection did not begin as HTTP/2 (prior knowledge) and is closed");
        return;
    };
    let io = TokioIo::new(replayed(preface, stream));
    let mut served = pin!(builder(&limits).serve_connection(io, gate));
    let mut old = pin!(tokio::time::sleep(limits.connection_age));
    let mut asked = false;
    loop {
        tokio::select! {
            ended = &mut served => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                break;
            }
            () = &mut old, if !asked => asked = true,
            _ = leaving.wait_for(|leaving| *leaving), if !asked => asked = true,
        }
        // GOAWAY: new calls go elsewhere, those in flight end in peace.
        served.as_mut().graceful_shutdown();
    }
    drop(guest);
}

/// hyper's settings for one connection. tonic's own server can set neither all of these.
fn builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_list_bytes)
        .max_pending_accept_reset_streams(limits.pending_accept_resets)
        .max_local_error_reset_streams(limits.local_error_resets)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout);
    builder
}

/// Reads the connection preface; `None` when it is another one or does not come in time. hyper begins
/// to watch a connection only after it, and would hold a silent one for ever.
async fn preface(stream: &mut TcpStream, bound: Duration) -> Option<[u8; PREFACE.len()]> {
    let mut bytes = [0; PREFACE.len()];
    tokio::time::timeout(bound, stream.read_exact(&mut bytes)).await.ok()?.ok()?;
    (bytes == *PREFACE).then_some(bytes)
}

/// The stream as it was before its preface was read.
fn replayed(
    preface: [u8; PREFACE.len()],
    stream: TcpStream,
) -> tokio::io::Join<impl tokio::io::AsyncRead + Unpin, impl AsyncWrite + Unpin> {
    let (read, write) = stream.into_split();
    tokio::io::join(io::Cursor::new(preface).chain(read), write)
}
