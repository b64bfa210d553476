//! Keeps one instance of a plugin alive: made anew after a panic, given up after several. It never
//! takes the server down with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::v1::ErrorReason;
use tokio::time::Instant;

use super::Availability;
use super::instance::{Instance, Opening};
use crate::plugin::account::AccountKey;

/// So many panics in [`PANIC_PERIOD`] quarantine the provider.
const MAX_PANICS: usize = 3;
/// The period in which panics are counted.
const PANIC_PERIOD: Duration = Duration::from_secs(60);

/// The instance of one provider, or why there is none.
#[derive(Debug)]
pub(in crate::plugin) struct Lifecycle {
    /// `None` when there is no plugin to open.
    opening: Option<Arc<Opening>>,
    state: Arc<Mutex<State>>,
    /// Held while an instance is made anew, so that calls wait for the one instead of making more.
    renewing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct State {
    present: Present,
    panics: VecDeque<Instant>,
}

#[derive(Debug)]
enum Present {
    Open(Arc<Instance>),
    Quarantined(String),
}

impl Lifecycle {
    /// Quarantined from the start.
    pub(in crate::plugin) fn quarantined(reason: String) -> Self {
        Self::with(None, Present::Quarantined(reason))
    }

    /// Opens the first instance, or quarantines the provider.
    pub(in crate::plugin) async fn open(opening: Opening) -> Self {
        let present = match Instance::open(&opening).await {
            Ok(instance) => Present::Open(Arc::new(instance)),
            Err(reason) => Present::Quarantined(reason),
        };
        Self::with(Some(Arc::new(opening)), present)
    }

    fn with(opening: Option<Arc<Opening>>, present: Present) -> Self {
        let state = State { present, panics: VecDeque::new() };
        Self { opening, state: Arc::new(Mutex::new(state)), renewing: Arc::default() }
    }

    pub(super) fn availability(&self) -> Availability {
        match &self.state().present {
            Present::Open(_) => Availability::Available,
            Present::Quarantined(reason) => Availability::Unavailable { reason: reason.clone() },
        }
    }

    /// Shares the turns of the account with every provider that has the same.
    pub(super) fn share_limits(&self, account: &AccountKey) {
        if let Some(opening) = &self.opening {
            opening.egress.share_limits(account);
        }
    }

    /// How often the upstream has refused a credential.
    pub(super) fn refusals(&self) -> u64 {
        self.opening.as_ref().map_or(0, |opening| opening.egress.refusals())
    }

    /// Notes that it has refused one.
    pub(super) fn note_refusal(&self) {
        if let Some(opening) = &self.opening {
            opening.egress.note_refusal();
        }
    }

    /// The present instance, sound or not.
    pub(super) fn current(&self) -> Option<Arc<Instance>> {
        match &self.state().present {
            Present::Open(instance) => Some(Arc::clone(instance)),
            Present::Quarantined(_) => None,
        }
    }

    /// An instance that is sound, made anew if it has to be.
    ///
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE, with the reason.
    pub(super) async fn instance(&self) -> Result<Arc<Instance>, Error> {
        let instance = self.sound()?;
        if let Some(instance) = instance {
            return Ok(instance);
        }
        let _renewing = self.renewing.lock().await;
        if let Some(instance) = self.sound()? {
            return Ok(instance);
        }
        let Some(opening) = self.opening.clone() else {
            return Err(unavailable("there is no plugin to open"));
        };
        if let Some(instance) = self.current().filter(|instance| instance.tasks_have_panicked()) {
            self.panicked(&instance, "in a task that it spawned");
            self.sound()?;
        }
        tracing::warn!(provider = opening.provider, "the plugin's instance is made anew");
        let opened = Instance::open(&opening).await;
        let mut state = self.state();
        match opened {
            Ok(instance) => {
                let instance = Arc::new(instance);
                let old =
                    std::mem::replace(&mut state.present, Present::Open(Arc::clone(&instance)));
                drop(state);
                // Closed outside of the lock: it runs the plugin's code.
                drop(old);
                Ok(instance)
            }
            Err(reason) => {
                let error = unavailable(&reason);
                let old = std::mem::replace(&mut state.present, Present::Quarantined(reason));
                drop(state);
                drop(old);
                Err(error)
            }
        }
    }

    /// Counts a panic in a call of `instance`. The next call makes the instance anew, or finds the
    /// provider quarantined.
    pub(super) fn panicked(&self, instance: &Arc<Instance>, message: &str) {
        instance.set_broken();
        let now = Instant::now();
        let mut state = self.state();
        state.panics.push_back(now);
        while state.panics.front().is_some_and(|&panic| now - panic > PANIC_PERIOD) {
            state.panics.pop_front();
        }
        let provider = self.opening.as_ref().map_or("", |opening| opening.provider.as_str());
        let panics = state.panics.len();
        tracing::error!(provider, panics, message, "the plugin panicked");
        if panics < MAX_PANICS || matches!(state.present, Present::Quarantined(_)) {
            return;
        }
        let reason = format!("the plugin panicked {panics} times in a minute, at last: {message}");
        let old = std::mem::replace(&mut state.present, Present::Quarantined(reason));
        drop(state);
        drop(old);
    }

    fn sound(&self) -> Result<Option<Arc<Instance>>, Error> {
        match &self.state().present {
            Present::Open(instance) if instance.is_broken() => Ok(None),
            Present::Open(instance) => Ok(Some(Arc::clone(instance))),
            Present::Quarantined(reason) => Err(unavailable(reason)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(reason: &str) -> Error {
    Error::new(ErrorReason::ProviderUnavailable, reason)
}
