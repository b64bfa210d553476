//! What every simulator is fitted with: clock, ledger, faults and the count of requests. It must
//! not know a provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::fault::{Faults, Strike};
use crate::ledger::Ledger;

/// The instruments shared by a provider's server, its control listener and its Rust handle.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) clock: Arc<Clock>,
    pub(crate) ledger: Arc<Ledger>,
    /// Seed of fault tables that name none.
    pub(crate) seed: u64,
    faults: Mutex<Faults>,
    requests: Mutex<BTreeMap<String, u64>>,
}

impl Rig {
    pub(crate) fn new(clock: Arc<Clock>, ledger: Arc<Ledger>, seed: u64) -> Self {
        Self { clock, ledger, seed, faults: Mutex::default(), requests: Mutex::default() }
    }

    /// Counts a call and says what goes wrong with it.
    pub(crate) fn meet(&self, method: &str) -> Option<Strike> {
        *lock(&self.requests).entry(method.to_owned()).or_default() += 1;
        lock(&self.faults).strike(method)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// How often each method was called, those that failed too.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        lock(&self.requests).clone()
    }
}

/// A panic elsewhere must not hide what was counted.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
