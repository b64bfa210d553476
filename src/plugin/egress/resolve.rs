//! From the endpoint's host to addresses that may be connected to. A name is resolved once a
//! connection, and the connection goes to an address that was checked, never to the name again.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolving};
use thiserror::Error;
use url::{Host, Url};

use crate::plugin::config::ProviderConfig;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `host`, each with `port`, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// When the name cannot be resolved.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// Why an address is not connected to.
#[derive(Debug, Error)]
pub enum AddressError {
    /// The name does not resolve.
    #[error("the name {host} cannot be resolved: {source}")]
    Unresolved {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The name has no address.
    #[error("the name {0} has no address")]
    NoAddress(String),
    /// The address is none of the public internet's.
    #[error("the address {address} of {host} is {kind}")]
    Refused {
        /// The name, or the address as it was written.
        host: String,
        /// The address.
        address: IpAddr,
        /// What is wrong with it.
        kind: &'static str,
    },
}

/// How far out of the public internet an endpoint may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Public addresses alone.
    Public,
    /// The operator wrote the address or `localhost`: loopback and private networks too.
    AsWritten,
    /// The operator allowed it: everything that can be connected to.
    Everything,
}

/// A resolver whose answers may be connected to.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    resolver: Arc<dyn Resolve>,
    policy: Policy,
}

impl Addresses {
    pub(super) fn new(config: &ProviderConfig, resolver: Arc<dyn Resolve>) -> Self {
        let policy = match config.endpoint.host() {
            _ if config.allow_private_addresses => Policy::Everything,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Policy::AsWritten,
            Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => Policy::AsWritten,
            _ => Policy::Public,
        };
        Self { resolver, policy }
    }

    /// Checks an endpoint that is an address: resolvers never see those.
    pub(super) fn check_literal(&self, endpoint: &Url) -> Result<(), AddressError> {
        match endpoint.host() {
            Some(Host::Ipv4(address)) => self.check(endpoint.as_str(), address.into()),
            Some(Host::Ipv6(address)) => self.check(endpoint.as_str(), address.into()),
            _ => Ok(()),
        }
    }

    /// The addresses of `host`. One that is refused refuses them all: a public name with a private
    /// address is a mistake or an attack.
    pub(super) async fn find(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, AddressError> {
        let found = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(literal) => vec![SocketAddr::new(literal, port)],
            Err(_) => self
                .resolver
                .resolve(host, port)
                .await
                .map_err(|source| AddressError::Unresolved { host: host.to_owned(), source })?,
        };
        if found.is_empty() {
            return Err(AddressError::NoAddress(host.to_owned()));
        }
        for address in &found {
            self.check(host, address.ip())?;
        }
        Ok(found)
    }

    fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressError> {
        let refused = match (self.policy, kind(address)) {
            (_, Kind::Public) | (Policy::Everything, Kind::Private(_) | Kind::Special(_)) => None,
            (Policy::AsWritten, Kind::Private(_)) => None,
            (_, Kind::Never(kind) | Kind::Special(kind) | Kind::Private(kind)) => Some(kind),
        };
        match refused {
            None => Ok(()),
            Some(kind) => Err(AddressError::Refused { host: host.to_owned(), address, kind }),
        }
    }
}

impl reqwest::dns::Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone();
        Box::pin(async move {
            // The client puts the port in.
            let found = addresses.find(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Private(&'static str),
    /// Never an upstream, unless the operator says so in as many words.
    Special(&'static str),
    /// Nothing can be there.
    Never(&'static str),
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Kind::Never("unspecified"),
        (255, 255, 255) if address.is_broadcast() => Kind::Never("broadcast"),
        (224..=239, ..) => Kind::Never("multicast"),
        (127, ..) => Kind::Private("loopback"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Kind::Private("private"),
        (100, 64..=127, _) => Kind::Private("shared by a carrier"),
        (169, 254, _) => Kind::Special("link-local or a metadata service"),
        (192, 0, 0) | (198, 18..=19, _) => Kind::Special("reserved"),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Kind::Special("documentation"),
        (240..=255, ..) => Kind::Special("reserved"),
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    if let Some(inner) = embedded_v4(address) {
        return kind_v4(inner);
    }
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("loopback"),
        [0xff00..=0xffff, ..] => Kind::Never("multicast"),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => Kind::Special("a metadata service"),
        [0xfc00..=0xfdff, ..] => Kind::Private("private"),
        [0xfe80..=0xfebf, ..] => Kind::Special("link-local"),
        [0xfec0..=0xfeff, ..] => Kind::Special("site-local"),
        [0x2001, 0x0db8, ..] => Kind::Special("documentation"),
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Special("reserved"),
    }
}

/// The address of the older protocol that a gateway would connect to in this one's stead.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // v4-mapped and the deprecated v4-compatible; `::` and `::1` are not of that kind.
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(last(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(last(high, low)),
        // NAT64, well-known and local use.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x0064, 0xff9b, 1, _, _, _, high, low] => {
            Some(last(high, low))
        }
        // 6to4.
        [0x2002, high, low, ..] => Some(last(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: &Kind) {
        assert_eq!(kind(address.parse().unwrap()), *expected, "{address}");
    }

    #[test]
    fn addresses_are_told_apart() {
        let private = Kind::Private("private");
        let loopback = Kind::Private("loopback");
        let metadata = Kind::Special("link-local or a metadata service");
        for address in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111"] {
            check(address, &Kind::Public);
        }
        for address in ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1"] {
            check(address, &private);
        }
        for address in ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"] {
            check(address, &loopback);
        }
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"] {
            check(address, &metadata);
        }
        check("2002:a9fe:a9fe::1", &metadata);
        check("64:ff9b::808:808", &Kind::Public);
        check("::10.0.0.1", &private);
        check("64:ff9b:1::10.0.0.1", &private);
        check("100.64.0.1", &Kind::Private("shared by a carrier"));
        check("0.0.0.0", &Kind::Never("unspecified"));
        check("::", &Kind::Never("unspecified"));
        check("224.0.0.1", &Kind::Never("multicast"));
        check("ff02::1", &Kind::Never("multicast"));
        check("255.255.255.255", &Kind::Never("broadcast"));
        check("fe80::1", &Kind::Special("link-local"));
        check("fd00:ec2::254", &Kind::Special("a metadata service"));
        check("4000::1", &Kind::Special("reserved"));
    }
}
