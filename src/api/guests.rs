//! How many connections there are, of all and of one address. It only counts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::limits::Limits;

/// The connections that are open.
#[derive(Clone, Debug)]
pub(crate) struct Guests(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection; no longer counted when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    /// Nobody is here yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Inner {
            all: limits.connections,
            per_address: limits.connections_per_address,
            open: Mutex::default(),
        }))
    }

    /// Counts a connection, or says that there are too many. A refused one is closed without a word:
    /// there is no call yet that could be answered.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Guest> {
        // An IPv4 caller is the same on a socket of either family.
        let address = address.to_canonical();
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.by_address.get(&address).copied().unwrap_or_default();
        if open.all >= self.0.all || here >= self.0.per_address {
            tracing::warn!(%address, all = open.all, here, "a connection too many is closed");
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, here + 1);
        Some(Guest { guests: self.clone(), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.guests.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_address_and_in_all() {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let guests = Guests::new(&limits);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = guests.admit(address("10.0.0.1"));
        let mapped = guests.admit(address("::ffff:10.0.0.1"));
        assert!(first.is_some() && mapped.is_some());
        assert!(guests.admit(address("10.0.0.1")).is_none(), "two of an address are enough");
        let other = guests.admit(address("10.0.0.2"));
        assert!(other.is_some());
        assert!(guests.admit(address("10.0.0.3")).is_none(), "three are enough");
        drop((first, mapped, other));
        assert!(guests.0.open.lock().unwrap().by_address.is_empty());
        assert!(guests.admit(address("10.0.0.1")).is_some());
    }
}
