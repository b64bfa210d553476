//! The places at work: waits for what the allocator gives, and gives back what is dropped.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::allocator::{Allocator, Grant};
use crate::plugin::WorkSlot;

/// The places of this process.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when an operation may be begun that waits in the store.
    due: Arc<Notify>,
    /// Told when something is at work no more.
    ended: Notify,
}

#[derive(Debug)]
struct State {
    allocator: Allocator,
    last_id: u64,
    /// Places that are not held at present, by their number.
    without: HashMap<u64, Without>,
    /// Who waits to go on, by account, the first of each first.
    returning: BTreeMap<String, VecDeque<(u64, Arc<Notify>)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Paused,
    Returning,
}

/// A place of an account; given back when dropped.
#[derive(Debug)]
pub(in crate::engine) struct WorkPlace {
    shared: Arc<Shared>,
    account: String,
    id: u64,
    /// Requests of this work that are under way.
    requests: Mutex<usize>,
    /// One asks for the place at a time; the others see that it is there.
    asking: tokio::sync::Mutex<()>,
}

impl Places {
    pub(in crate::engine) fn new(places: usize, due: Arc<Notify>) -> Self {
        let state = State {
            allocator: Allocator::new(places),
            last_id: 0,
            without: HashMap::new(),
            returning: BTreeMap::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), due, ended: Notify::new() }))
    }

    /// A place for an operation that is just accepted, if it is its account's turn.
    pub(in crate::engine) fn begin(&self, account: &str, cap: usize) -> Option<Arc<WorkPlace>> {
        let mut state = self.0.state();
        state.allocator.begin(account, cap).then(|| self.place(&mut state, account.to_owned()))
    }

    /// Places for the accounts that have work, with their caps; at most `limit`. Where none has any, those
    /// that are at work have all places to go on.
    pub(super) fn share_out<'a>(
        &self,
        work: impl IntoIterator<Item = (&'a str, usize)>,
        limit: usize,
    ) -> BTreeMap<String, Vec<Arc<WorkPlace>>> {
        let mut state = self.0.state();
        state.allocator.set_work(work);
        let mut shares = BTreeMap::<String, Vec<_>>::new();
        state.resume_all();
        for _ in 0..limit {
            let Some(grant @ Grant::Begin(_)) = state.allocator.next() else { break };
            state.allocator.give(&grant);
            let (Grant::Begin(account) | Grant::Resume(account)) = grant;
            let place = self.place(&mut state, account.clone());
            shares.entry(account).or_default().push(place);
            state.resume_all();
        }
        shares
    }

    /// Waits until nothing is at work.
    pub(in crate::engine) async fn drained(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            // Listens before it looks, so that no end falls between.
            ended.as_mut().enable();
            if self.0.state().allocator.is_idle() {
                return;
            }
            ended.await;
        }
    }

    fn place(&self, state: &mut State, account: String) -> Arc<WorkPlace> {
        state.last_id += 1;
        Arc::new(WorkPlace {
            shared: Arc::clone(&self.0),
            account,
            id: state.last_id,
            requests: Mutex::new(0),
            asking: tokio::sync::Mutex::new(()),
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands on what is free.
    fn hand_on(&self, mut state: MutexGuard<'_, State>) {
        state.resume_all();
        let begins = state.allocator.next().is_some();
        drop(state);
        if begins {
            self.due.notify_one();
        }
    }
}

impl State {
    /// Lets those go on whose turn it is, until it is the turn of an operation in the store.
    fn resume_all(&mut self) {
        while let Some(grant @ Grant::Resume(_)) = self.allocator.next() {
            let (Grant::Begin(account) | Grant::Resume(account)) = &grant;
            let first = self.returning.get_mut(account).and_then(VecDeque::pop_front);
            let Some((id, woken)) = first else { return };
            self.allocator.give(&grant);
            self.without.remove(&id);
            woken.notify_one();
        }
    }
}

impl WorkPlace {
    fn requests(&self) -> MutexGuard<'_, usize> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the place, where it has none; what is told when there is one.
    fn ask(&self) -> Option<Arc<Notify>> {
        let mut state = self.shared.state();
        if !state.without.contains_key(&self.id) {
            return None;
        }
        let woken = Arc::new(Notify::new());
        state.without.insert(self.id, Without::Returning);
        state.allocator.ask_again(&self.account);
        let waiting = (self.id, Arc::clone(&woken));
        state.returning.entry(self.account.clone()).or_default().push_back(waiting);
        self.shared.hand_on(state);
        Some(woken)
    }

    /// Asks no more. What was given meanwhile stays.
    fn withdraw(&self) {
        let mut state = self.shared.state();
        if state.without.get(&self.id) != Some(&Without::Returning) {
            return;
        }
        state.without.insert(self.id, Without::Paused);
        if let Some(waiting) = state.returning.get_mut(&self.account) {
            waiting.retain(|(id, _)| *id != self.id);
        }
        state.allocator.withdraw(&self.account);
    }
}

#[async_trait]
impl WorkSlot for WorkPlace {
    fn pause(&self) {
        if *self.requests() > 0 {
            return;
        }
        let mut state = self.shared.state();
        if state.without.contains_key(&self.id) {
            return;
        }
        state.without.insert(self.id, Without::Paused);
        state.allocator.pause(&self.account);
        self.shared.hand_on(state);
    }

    async fn resume(&self) {
        let _asking = self.asking.lock().await;
        if let Some(woken) = self.ask() {
            let _asking = Asking(self);
            woken.notified().await;
        }
        *self.requests() += 1;
    }

    fn request_ended(&self) {
        *self.requests() -= 1;
    }

    fn answered(&self, answered: bool) {
        let mut state = self.shared.state();
        state.allocator.request_ended(&self.account, answered);
        self.shared.hand_on(state);
    }
}

/// A request that waits for its place, and may be dropped meanwhile.
struct Asking<'a>(&'a WorkPlace);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

impl Drop for WorkPlace {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let paused = state.without.remove(&self.id).is_some();
        state.allocator.end(&self.account, paused);
        self.shared.hand_on(state);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
