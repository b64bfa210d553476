//! A running simulator and the handle that tests hold. It must offer nothing that the control
//! listener does not: what a test in this process can do, one in another process can do too.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::control::{Control, Levers};
use crate::fault::{Fault, Table};
use crate::ledger::{Entry, Ledger};
use crate::rig::Rig;
use crate::server::{ConnectionCount, Dress, Server, Site};

/// A provider's simulator, serving until it is dropped or shut down.
#[derive(Debug)]
pub struct Simulator<P> {
    provider: Arc<P>,
    rig: Arc<Rig>,
    url: String,
    server: Arc<Server>,
    control: Server,
}

/// What every simulator is started with.
#[derive(Debug)]
pub struct Instruments {
    /// Where the provider's API listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control API listens.
    pub control: SocketAddr,
    /// Serves the provider's API over TLS. The control API stays without.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The simulated time.
    pub clock: Arc<Clock>,
    /// Where sales are recorded.
    pub ledger: Arc<Ledger>,
    /// Seed of fault tables that name none.
    pub seed: u64,
}

impl Default for Instruments {
    /// Free ports on loopback, no TLS, real time, a ledger in memory.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            clock: Arc::new(Clock::real()),
            ledger: Arc::new(Ledger::in_memory()),
            seed: 0,
        }
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What the simulator was told to begin with does not hold together.
    #[error("{0}")]
    Options(String),
}

impl<P> Simulator<P> {
    /// The address of the provider's API, with its path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the control API, without a final slash.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control.address())
    }

    /// Every sale so far, oldest first.
    #[must_use]
    pub fn ledger(&self) -> Vec<Entry> {
        self.rig.ledger.entries()
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        self.rig.faults().arm(fault);
    }

    /// Draws faults from a table from now on.
    pub fn set_fault_table(&self, table: Table) {
        self.rig.faults().set_table(table);
    }

    /// Every fault that can still strike; a table has no end and is not among them.
    #[must_use]
    pub fn armed(&self) -> Vec<Fault> {
        self.rig.faults().armed()
    }

    /// Disarms every fault, the table too.
    pub fn clear_faults(&self) {
        self.rig.faults().clear();
    }

    /// Lets the answers of the provider's API look like this from now on.
    pub fn set_dress(&self, dress: Dress) {
        self.server.set_dress(dress);
    }

    /// Moves the simulated time on.
    pub fn advance(&self, by: Duration) {
        self.rig.clock.advance(by);
    }

    /// How often each method was called. What could not be read as a call is counted as HTTP
    /// method and path.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.rig.requests()
    }

    /// The connections to the provider's API.
    #[must_use]
    pub fn connections(&self) -> ConnectionCount {
        self.server.connections()
    }

    /// Closes every listener and connection.
    pub fn shutdown(self) {
        drop(self);
    }

    pub(crate) fn provider(&self) -> &Arc<P> {
        &self.provider
    }
}

/// Opens both listeners and serves `provider`, whose API is at `path`.
pub(crate) async fn serve<P: Site + Levers>(
    provider: Arc<P>,
    rig: Arc<Rig>,
    path: &str,
    instruments: Instruments,
) -> Result<Simulator<P>, StartError> {
    let scheme = if instruments.tls.is_some() { "https" } else { "http" };
    let server = listen(instruments.listen, provider.clone(), instruments.tls).await?;
    let server = Arc::new(server);
    let url = format!("{scheme}://{}{path}", server.address());
    let desk = Control::new(provider.clone(), rig.clone(), Arc::downgrade(&server));
    let control = listen(instruments.control, Arc::new(desk), None).await?;
    Ok(Simulator { provider, rig, url, server, control })
}

async fn listen<S: Site>(
    address: SocketAddr,
    site: Arc<S>,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Result<Server, StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    Server::start(listener, site, tls).map_err(failed)
}
