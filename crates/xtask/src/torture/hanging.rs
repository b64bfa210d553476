//! A provider that now and then does not answer at all: connections are made, and nothing comes back. What was
//! on its way then arrives nowhere. It must not know what the provider sells.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use xtask::network::{Network, Thaw};

use super::dice::Dice;

/// How long it answers, and how long it does not, in milliseconds.
const ANSWERS: (u64, u64) = (1500, 4000);
const HANGS: (u64, u64) = (2000, 5000);

/// The ways to the simulators of one provider.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    networks: Vec<Network>,
}

/// A provider that hangs.
#[derive(Debug)]
pub(crate) struct Hanging {
    over: Arc<AtomicBool>,
    times: Arc<AtomicU64>,
    task: JoinHandle<Vec<Network>>,
}

impl Ways {
    /// Leads to a simulator through a network that can hang; the address that gateways are to use.
    ///
    /// # Errors
    /// When its address is none, or no port is free.
    pub(crate) async fn lead(&mut self, url: &str) -> Result<String> {
        let (scheme, rest) = url.split_once("://").context("the simulator's address is none")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address: SocketAddr = authority.parse().context("the simulator's address is none")?;
        let network = Network::start(address, b"").await?;
        let led = format!("{scheme}://127.0.0.1:{}{path}", network.port());
        self.networks.push(network);
        Ok(led)
    }

    /// Begins.
    pub(crate) fn hang(self, seed: u64) -> Hanging {
        let (over, times) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, count) = (Arc::clone(&over), Arc::clone(&times));
        let mut dice = Dice::new(seed, 6);
        let task = tokio::spawn(async move {
            let Self { networks } = self;
            while !networks.is_empty() && !until.load(Ordering::SeqCst) {
                rest(&until, dice.between(ANSWERS.0, ANSWERS.1)).await;
                networks.iter().for_each(Network::freeze);
                rest(&until, dice.between(HANGS.0, HANGS.1)).await;
                networks.iter().for_each(|network| network.thaw(Thaw::Forget));
                count.fetch_add(1, Ordering::SeqCst);
            }
            networks
        });
        Hanging { over, times, task }
    }
}

impl Hanging {
    /// It answers for good; how often it did not. Its ways lead there as long as the runtime lives.
    ///
    /// # Errors
    /// When its task broke.
    pub(crate) async fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::SeqCst);
        self.task.await.context("the hanging provider broke")?;
        Ok(self.times.load(Ordering::SeqCst))
    }
}

/// Lets so many milliseconds pass, unless it is over.
async fn rest(over: &AtomicBool, millis: u64) {
    let end = tokio::time::Instant::now() + Duration::from_millis(millis);
    while !over.load(Ordering::SeqCst) && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Ways};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;
    use xtask::network::{Network, Thaw};

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_is_asked_while_it_hangs_arrives_nowhere() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut ways = Ways::default();
        let led = ways.lead(&format!("http://{address}/api")).await.unwrap();
        let way = led.strip_prefix("http://").unwrap().strip_suffix("/api").unwrap();
        let read = async || {
            let (mut there, _) = listener.accept().await.unwrap();
            let mut text = [0; 5];
            there.read_exact(&mut text).await.unwrap();
            (there, text)
        };
        let mut asking = TcpStream::connect(way).await.unwrap();
        asking.write_all(b"first").await.unwrap();
        let (mut there, first) = timeout(PATIENCE, read()).await.unwrap();
        assert_eq!(&first, b"first");
        ways.networks.iter().for_each(Network::freeze);
        asking.write_all(b"lost").await.unwrap();
        ways.networks.iter().for_each(|network| network.thaw(Thaw::Forget));
        let mut later = TcpStream::connect(way).await.unwrap();
        later.write_all(b"later").await.unwrap();
        assert_eq!(&timeout(PATIENCE, read()).await.unwrap().1, b"later");
        let forgotten = timeout(Duration::ZERO, there.read(&mut [0; 4])).await;
        assert!(forgotten.is_err(), "{forgotten:?}");
    }
}
