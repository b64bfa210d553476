//! Binds what a plugin sends to the call on whose behalf it sends it, and so decides what may be
//! sent at all. It sends nothing and never waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use purveyor_sdk::Error;
use purveyor_sdk::op::{self, OpKind};
use purveyor_sdk::plugin::v1::{Call, CallKind, Manifest, Op};
use purveyor_sdk::v1::Effect;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::permits::Permits;
use super::spend::Spend;
use super::work_slot::{self, WorkSlot};

pub(super) mod polling;

/// The calls of one instance that are under way.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Scope>>>,
}

/// One call and what it has sent.
pub(super) struct Scope {
    /// The number that the plugin names the call by; never 0.
    pub(super) id: u64,
    pub(super) kind: CallKind,
    /// When whoever asked will have stopped waiting.
    pub(super) deadline: Option<Instant>,
    pub(super) op: Op,
    /// The calls that the method declares; `None` where the kind alone decides.
    calls: Option<Vec<String>>,
    permits: Option<Arc<dyn Permits>>,
    /// The place of whoever makes the call.
    pub(super) slot: Option<Arc<dyn WorkSlot>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: bool,
    under_way: usize,
    /// The call whose spend was claimed.
    claimed: Option<String>,
    spend: Option<Begun>,
    /// The first thing that the plugin must not have asked.
    breach: Option<String>,
}

/// A spend that was begun, in a task of its own.
pub(super) struct Begun {
    /// The call's name in the manifest.
    pub(super) call: String,
    /// What the call does.
    pub(super) effect: Effect,
    /// Ends with what was seen.
    pub(super) task: JoinHandle<Spend>,
    /// The attempt whose permit was given; 0 for none.
    pub(super) permitted: Arc<AtomicU32>,
}

/// A call under way; ends it when dropped.
#[derive(Debug)]
pub(super) struct OpenScope {
    scopes: Arc<Scopes>,
    scope: Arc<Scope>,
}

/// What a request was admitted as.
pub(super) enum Turn {
    /// READ or PREPARE; the call cannot spend while this lives.
    Free(FreeTurn),
    /// SETTING or SPEND, with who gives the permit.
    Spend(Arc<dyn Permits>),
}

/// A request that is under way.
pub(super) struct FreeTurn {
    scope: Arc<Scope>,
}

impl Scopes {
    /// Opens a call. `permits` belongs to steps alone.
    pub(super) fn open(
        self: &Arc<Self>,
        kind: CallKind,
        op: Op,
        manifest: &Manifest,
        deadline: Option<Instant>,
        permits: Option<Arc<dyn Permits>>,
    ) -> OpenScope {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let declares = op::kind(op) != OpKind::Engine;
        let method = manifest.methods.iter().find(|method| declares && method.op() == op);
        let calls = method.map(|method| method.calls.clone());
        let state = Mutex::default();
        let slot = work_slot::current();
        let scope = Arc::new(Scope { id, kind, deadline, op, calls, permits, slot, state });
        self.table().insert(id, Arc::clone(&scope));
        OpenScope { scopes: Arc::clone(self), scope }
    }

    /// The call of this number.
    ///
    /// # Errors
    ///
    /// PLUGIN_FAULT when there is none, or it has ended.
    pub(super) fn get(&self, id: u64) -> Result<Arc<Scope>, Error> {
        self.table()
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::fault(format!("call {id} is unknown or has ended")))
    }

    /// Whether a call of this number is under way.
    pub(super) fn contains(&self, id: u64) -> bool {
        self.table().contains_key(&id)
    }

    /// How many calls are under way.
    pub(super) fn len(&self) -> usize {
        self.table().len()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, Arc<Scope>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenScope {
    pub(super) fn id(&self) -> u64 {
        self.scope.id
    }

    /// The error of what the plugin must not have asked, whatever it answered afterwards.
    pub(super) fn breach(&self) -> Option<Error> {
        self.scope.state().breach.as_deref().map(Error::fault)
    }

    /// Ends the call; from here on nothing is sent for it. Gives the spend that it began.
    pub(super) fn end(&self) -> Option<Begun> {
        self.scopes.table().remove(&self.scope.id);
        let mut state = self.scope.state();
        state.ended = true;
        state.spend.take()
    }
}

impl Drop for OpenScope {
    fn drop(&mut self) {
        // A spend that is under way goes on: its task belongs to nobody.
        let _detached = self.end();
    }
}

impl Scope {
    /// Decides whether `call` may be sent now. A SETTING or SPEND that is admitted is the last
    /// request of its call.
    ///
    /// # Errors
    ///
    /// PLUGIN_FAULT, and the call has failed with it whatever the plugin makes of it.
    pub(super) fn admit(self: &Arc<Self>, call: &Call) -> Result<Turn, Error> {
        let mut state = self.state();
        match self.decide(&state, call) {
            Ok(None) => {
                state.under_way += 1;
                drop(state);
                Ok(Turn::Free(FreeTurn { scope: Arc::clone(self) }))
            }
            Ok(Some(permits)) => {
                state.claimed = Some(call.name.clone());
                Ok(Turn::Spend(permits))
            }
            Err(message) => {
                drop(state);
                Err(self.breach(message))
            }
        }
    }

    /// Records that the plugin broke its contract; the first time counts.
    pub(super) fn breach(&self, message: String) -> Error {
        let error = Error::fault(message.clone());
        self.state().breach.get_or_insert(message);
        error
    }

    /// The place that its requests hold. The question whose account it is holds none: it is asked once for
    /// each provider, and an upstream that has never answered shall take no place from others.
    pub(super) fn place(&self) -> Option<&Arc<dyn WorkSlot>> {
        self.slot.as_ref().filter(|_| self.op != Op::Identify)
    }

    /// Keeps the spend that was admitted.
    pub(super) fn keep(&self, spend: Begun) {
        self.state().spend = Some(spend);
    }

    fn decide(&self, state: &State, call: &Call) -> Result<Option<Arc<dyn Permits>>, String> {
        let (name, effect) = (&call.name, call.effect());
        if state.ended {
            return Err(format!("{name} was asked for call {}, which has ended", self.id));
        }
        if !self.kind_allows(effect) {
            let (kind, effect) = (self.kind.as_str_name(), effect.as_str_name());
            return Err(format!("{name} is {effect}, which a {kind} must not send"));
        }
        if let Some(calls) = &self.calls
            && !calls.contains(name)
        {
            return Err(format!("{} does not declare the call {name}", self.op.as_str_name()));
        }
        if effect != Effect::Read && polling::current() != self.id {
            let effect = effect.as_str_name();
            return Err(format!("{name} is {effect} and was asked outside of its call's own task"));
        }
        if let Some(claimed) = &state.claimed {
            return Err(format!("{name} was asked after {claimed}, the last request of its step"));
        }
        if !matches!(effect, Effect::Setting | Effect::Spend) {
            return Ok(None);
        }
        if state.under_way > 0 {
            return Err(format!("{name} was asked beside another request of its step"));
        }
        let permits = self.permits.clone();
        permits.map(Some).ok_or_else(|| format!("{name} was asked where nobody gives permits"))
    }

    fn kind_allows(&self, effect: Effect) -> bool {
        match effect {
            Effect::Read => self.kind != CallKind::Unspecified,
            Effect::Prepare => matches!(self.kind, CallKind::Plan | CallKind::Step),
            Effect::Setting | Effect::Spend => self.kind == CallKind::Step,
            Effect::Unspecified => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FreeTurn {
    fn drop(&mut self) {
        self.scope.state().under_way -= 1;
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
