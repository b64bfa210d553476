//! A network between clients and their server that breaks exactly where it hurts: around the COMMIT of a
//! write to a database, or for everybody at once; or that freezes, and keeps every socket open. It must not
//! change what passes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// How PostgreSQL's protocol writes the statement that commits, and the tag of its answer.
const COMMIT: &[u8] = b"COMMIT\0";

/// The most that is passed on at a time.
const PIECE: usize = 1 << 16;

/// Where a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the server sees the COMMIT.
    Commit,
    /// After the server has committed, before it could say so.
    Answer,
    /// The same, and nobody is let through any more.
    AnswerForGood,
    /// It freezes before the server sees the COMMIT.
    FreezeCommit,
    /// It freezes after the server has committed, before it could say so.
    FreezeAnswer,
}

/// What becomes of the connections of a frozen network when it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thaw {
    /// They go on where they were, and deliver what was held.
    Resume,
    /// They stay frozen, as behind a NAT that forgot them; new ones pass.
    Forget,
}

/// Where the server is.
#[derive(Clone, Debug)]
pub enum Target {
    /// Behind a Unix socket.
    Socket(PathBuf),
    /// At an address.
    Address(SocketAddr),
}

impl From<PathBuf> for Target {
    fn from(socket: PathBuf) -> Self {
        Self::Socket(socket)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

/// A connection to the server.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Target {
    async fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        match self {
            Self::Socket(socket) => Ok(Box::new(UnixStream::connect(socket).await?)),
            Self::Address(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// Whether anything passes at present.
#[derive(Clone, Copy, Debug, Default)]
struct Ice {
    frozen: bool,
    /// How often the connections that there were have been forgotten.
    forgotten: u64,
}

/// The network, as long as its runtime lives.
#[derive(Debug)]
pub struct Network {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    target: Target,
    /// Bytes that a write has in it that can be cut off; empty: any.
    mark: Vec<u8>,
    armed: Mutex<Option<Cut>>,
    struck: AtomicU64,
    gone: AtomicBool,
    /// How often everybody was cut off.
    severed: watch::Sender<u64>,
    ice: watch::Sender<Ice>,
}

impl Network {
    /// A network to a server that does not break yet. What is cut off are writes
    /// that have `mark` in them. Needs a runtime.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(server: impl Into<Target>, mark: &[u8]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            target: server.into(),
            mark: mark.to_vec(),
            armed: Mutex::new(None),
            struck: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            severed: watch::Sender::new(0),
            ice: watch::Sender::new(Ice::default()),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&shared).pass(client));
            }
        });
        Ok(Self { port, state })
    }

    /// The port of 127.0.0.1 on which it takes clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on the next write that can be cut off is.
    pub fn arm(&self, cut: Cut) {
        *self.state.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// Cuts off nothing more, unless it is armed again.
    pub fn disarm(&self) {
        *self.state.armed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many writes were cut off.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.state.struck.load(Ordering::SeqCst)
    }

    /// Ends every connection that there is; new ones are let through.
    pub fn sever(&self) {
        self.state.severed.send_modify(|times| *times += 1);
    }

    /// From now on no byte passes, and no connection ends at one side because it ended at the other.
    pub fn freeze(&self) {
        self.state.freeze();
    }

    /// Lets bytes pass again.
    pub fn thaw(&self, thaw: Thaw) {
        self.state.ice.send_modify(|ice| {
            ice.frozen = false;
            ice.forgotten += u64::from(thaw == Thaw::Forget);
        });
    }
}

impl State {
    /// A connection that breaks tells nobody why; that is what it is for.
    async fn pass(self: Arc<Self>, mut client: TcpStream) -> Option<()> {
        if self.gone.load(Ordering::SeqCst) {
            return None;
        }
        let mut severed = self.severed.subscribe();
        let mut ice = self.ice.subscribe();
        let since = ice.borrow().forgotten;
        thawed(&mut ice, since).await?;
        // Questions and answers are small, and each waits for the other.
        client.set_nodelay(true).ok()?;
        let mut server = self.target.connect().await.ok()?;
        let (mut asked, mut answered) = (vec![0; PIECE], vec![0; PIECE]);
        let mut marked = self.mark.is_empty();
        loop {
            tokio::select! {
                _ = severed.changed() => return None,
                _ = ice.changed() => thawed(&mut ice, since).await?,
                read = client.read(&mut asked) => {
                    thawed(&mut ice, since).await?;
                    let count @ 1.. = read.ok()? else { return None };
                    if self.gone.load(Ordering::SeqCst) {
                        return None;
                    }
                    let bytes = &asked[..count];
                    marked |= contains(bytes, &self.mark);
                    let cut = if marked && contains(bytes, COMMIT) { self.strike() } else { None };
                    self.ask(server.as_mut(), bytes, cut).await?;
                }
                read = server.read(&mut answered) => {
                    thawed(&mut ice, since).await?;
                    let count @ 1.. = read.ok()? else { return None };
                    client.write_all(&answered[..count]).await.ok()?;
                }
            }
        }
    }

    /// Hands a statement to the server; `None` where the connection ends before or after it.
    async fn ask(&self, server: &mut dyn Connection, bytes: &[u8], cut: Option<Cut>) -> Option<()> {
        match cut {
            Some(Cut::Commit) => return None,
            Some(Cut::FreezeCommit) => {
                let (mut ice, since) = (self.ice.subscribe(), self.ice.borrow().forgotten);
                self.freeze();
                self.count();
                thawed(&mut ice, since).await?;
            }
            _ => {}
        }
        server.write_all(bytes).await.ok()?;
        match cut {
            Some(Cut::Answer | Cut::AnswerForGood) => {
                committed(server).await?;
                None
            }
            Some(Cut::FreezeAnswer) => {
                self.freeze();
                self.count();
                Some(())
            }
            _ => Some(()),
        }
    }

    fn freeze(&self) {
        self.ice.send_modify(|ice| ice.frozen = true);
    }

    /// Whoever sees it may thaw the network, so a frozen one is frozen by then.
    fn count(&self) {
        self.struck.fetch_add(1, Ordering::SeqCst);
    }

    fn strike(&self) -> Option<Cut> {
        let cut = self.armed.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        if !matches!(cut, Cut::FreezeCommit | Cut::FreezeAnswer) {
            self.count();
        }
        self.gone.fetch_or(cut == Cut::AnswerForGood, Ordering::SeqCst);
        Some(cut)
    }
}

/// Waits while the network is frozen, and for ever in a connection that was forgotten since.
async fn thawed(ice: &mut watch::Receiver<Ice>, since: u64) -> Option<()> {
    ice.wait_for(|ice| !ice.frozen && ice.forgotten == since).await.ok().map(drop)
}

/// Waits for the answer that shows that it is committed; it goes no further.
async fn committed(server: &mut dyn Connection) -> Option<()> {
    let mut answer = Vec::new();
    while !contains(&answer, COMMIT) {
        if server.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}
