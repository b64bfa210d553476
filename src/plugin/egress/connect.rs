//! A fresh connection for one request: name, TCP, TLS. Nothing is written here that an upstream could
//! take for a request, so whatever fails here costs nothing and may be done again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::request::Endpoint;
use super::resolve::Addresses;

/// How long each of name, one address, and TLS may take: as long as a slow network needs, and short
/// enough for a caller to see the end of it.
pub(super) const STAGE_LIMIT: Duration = Duration::from_secs(5);
/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// A connection of either scheme.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How an account's endpoint is reached.
#[derive(Debug)]
pub(super) struct Dial {
    base: Url,
    addresses: Addresses,
    tls: Option<Arc<ClientConfig>>,
}

impl Dial {
    pub(super) fn new(
        endpoint: &Endpoint,
        addresses: Addresses,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        Self { base: endpoint.base().clone(), addresses, tls }
    }

    /// Connects. The error says what failed, for a person.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        let found = timeout(STAGE_LIMIT, self.addresses.find(host, port)).await;
        let addresses = found
            .map_err(|_| format!("the name {host} was not resolved in time"))?
            .map_err(|error| error.to_string())?;
        let stream = tcp(&addresses).await?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(config) => self.handshake(stream, Arc::clone(config)).await,
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        config: Arc<ClientConfig>,
    ) -> Result<Box<dyn Stream>, String> {
        let name = server_name(&self.base)?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        match timeout(STAGE_LIMIT, handshake).await {
            Err(_) => Err("the tls handshake was not done in time".to_owned()),
            Ok(Err(error)) => Err(format!("the tls handshake failed: {error}")),
            Ok(Ok(stream)) => Ok(Box::new(stream)),
        }
    }
}

async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut reason = String::new();
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match timeout(STAGE_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => reason = format!("{address} was lost: {error}"),
            },
            Ok(Err(error)) => reason = format!("{address} cannot be connected to: {error}"),
            Err(_) => reason = format!("{address} did not answer in time"),
        }
    }
    Err(reason)
}

fn server_name(base: &Url) -> Result<ServerName<'static>, String> {
    match base.host() {
        Some(Host::Ipv4(address)) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        Some(Host::Ipv6(address)) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())
            .map_err(|_| format!("{name} cannot be the name in a certificate")),
        None => Err("the endpoint has no host".to_owned()),
    }
}
