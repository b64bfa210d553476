//! A network between a store and its server that breaks exactly where it hurts: around the COMMIT of
//! one marked write. It must not change what passes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use purveyor::store::postgres::PostgresConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::postgres::{config, server};

/// Where the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server sees the COMMIT.
    Commit,
    /// After the server has committed, before it could say so.
    Answer,
    /// The same, and nobody is let through any more.
    AnswerForGood,
}

/// The network.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// Bytes that the write to be cut off has in it.
    mark: &'static [u8],
    armed: Mutex<Option<Cut>>,
    struck: AtomicBool,
    gone: AtomicBool,
}

impl Proxy {
    /// A network that does not break yet.
    pub(crate) async fn start(mark: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            mark,
            armed: Mutex::new(None),
            struck: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&shared).pass(client));
            }
        });
        Self { port, state }
    }

    /// The configuration of a store behind it.
    pub(crate) fn config(&self, database: &str) -> PostgresConfig {
        config(&format!("postgres://purveyor@127.0.0.1:{}/{database}", self.port))
    }

    /// From now on the next marked write is cut off.
    pub(crate) fn arm(&self, cut: Cut) {
        *self.state.armed.lock().expect("no panic") = Some(cut);
    }

    /// Whether a write was cut off.
    pub(crate) fn struck(&self) -> bool {
        self.state.struck.load(Ordering::SeqCst)
    }
}

impl State {
    async fn pass(self: Arc<Self>, mut client: TcpStream) {
        if self.gone.load(Ordering::SeqCst) {
            return;
        }
        let mut server = UnixStream::connect(server().socket()).await.expect("the server is there");
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut marked = false;
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    if self.gone.load(Ordering::SeqCst) {
                        return;
                    }
                    let bytes = &asked[..count];
                    marked |= contains(bytes, self.mark);
                    let cut = if marked && contains(bytes, b"COMMIT\0") { self.strike() } else { None };
                    if cut == Some(Cut::Commit) || server.write_all(bytes).await.is_err() {
                        return;
                    }
                    if cut.is_some() {
                        // The answer shows that it is committed; it goes no further.
                        drop(server.read(&mut answered).await);
                        return;
                    }
                }
                read = server.read(&mut answered) => {
                    let Ok(count @ 1..) = read else { return };
                    if client.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn strike(&self) -> Option<Cut> {
        let cut = self.armed.lock().expect("no panic").take()?;
        self.struck.store(true, Ordering::SeqCst);
        self.gone.store(cut == Cut::AnswerForGood, Ordering::SeqCst);
        Some(cut)
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
