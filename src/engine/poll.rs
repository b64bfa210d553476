//! Following what the upstream has accepted: many operations of one provider in one call. Reads only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt};
use prost::Message;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Progress;
use purveyor_sdk::plugin::v1::poll_request::Item;
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Op, PollOutcome, PollRequest, PollResponse};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Engine;
use super::account::check_owner;
use super::machine::Event;
use super::step::write;
use crate::failpoint::{self, Place};
use crate::store::StoreError;
use crate::store::operation::Operation;

/// How many polls of one provider are under way at a time: enough that an upstream that answers slowly
/// is asked as often as its rate allows, and few, because what waits for its turn holds its place.
const POLLS_AT_A_TIME: usize = 4;

/// How many outcomes of a poll are stored at a time: few commits where commits are shared, and not all
/// connections of a store that has some.
const STORED_AT_A_TIME: usize = 16;

/// How many polls of each provider are under way: however much waits for it, most places of its account
/// are left to spends and searches.
#[derive(Default)]
pub(super) struct PollPlaces(Mutex<BTreeMap<String, Arc<Semaphore>>>);

impl PollPlaces {
    /// The right to one more poll of a provider, if there is one.
    pub(super) fn place(&self, provider: &str) -> Option<OwnedSemaphorePermit> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_provider = match places.get(provider) {
            Some(of_provider) => of_provider,
            None => places
                .entry(provider.to_owned())
                .or_insert_with(|| Arc::new(Semaphore::new(POLLS_AT_A_TIME))),
        };
        Arc::clone(of_provider).try_acquire_owned().ok()
    }
}

impl Engine {
    /// How many writes the provider's upstream can be asked for at once.
    pub(super) fn polled_at_once(&self, provider: &str) -> usize {
        let provider = self.inner.providers.get(provider);
        let declared = provider.map_or(1, |provider| provider.manifest().polls_at_once);
        usize::try_from(declared).unwrap_or(1).max(1)
    }

    /// Asks for operations of one provider, as many at once as can be.
    pub(super) async fn follow_up(&self, operations: Vec<Operation>) {
        let (late, operations): (Vec<_>, Vec<_>) =
            operations.into_iter().partition(Operation::has_unapplied);
        for operation in late {
            self.apply_taken(&operation).await;
        }
        let Some(first) = operations.first() else { return };
        for together in operations.chunks(self.polled_at_once(&first.provider)) {
            if self.stopping() {
                return;
            }
            if let Err(error) = self.poll(together.to_vec()).await {
                tracing::error!(%error, "the outcome of a poll cannot be stored");
            }
        }
    }

    /// Asks once.
    async fn poll(&self, operations: Vec<Operation>) -> Result<(), StoreError> {
        let events = match self.ask(&operations).await {
            Ok(events) => events,
            Err(error) => {
                let failed = || Error::new(error.reason, error.message.clone());
                operations.iter().map(|_| Event::PollFailed(failed())).collect()
            }
        };
        failpoint::pass(Place::Polled);
        let records = operations.into_iter().zip(events).map(|(operation, event)| async move {
            let policy = self.policy(&operation);
            self.record(operation, event, &policy).await.map(drop)
        });
        let stored: Vec<_> =
            stream::iter(records).buffer_unordered(STORED_AT_A_TIME).collect().await;
        // One that cannot be stored keeps none of the others.
        stored.into_iter().collect()
    }

    async fn ask(&self, operations: &[Operation]) -> Result<Vec<Event>> {
        let Some(first) = operations.first() else { return Ok(Vec::new()) };
        let provider = self.available(first).await?;
        let account = self.account_for_poll(&provider).await?;
        let ours: Vec<&Operation> = operations
            .iter()
            .filter(|operation| check_owner(operation, &account).is_ok())
            .collect();
        let mut answers = Vec::new();
        if !ours.is_empty() {
            let mut items = Vec::with_capacity(ours.len());
            for operation in &ours {
                items.push(Item {
                    write: Some(write(operation)),
                    handle: operation.handle.clone(),
                    claimed_ids: match operation.op {
                        Op::CreateOrder => self.claimed_by_others(operation).await?,
                        _ => Vec::new(),
                    },
                });
            }
            let request = PollRequest { items }.encode_to_vec();
            let answer =
                provider.call(CallKind::Poll, Op::Poll, &request, &CallContext::default()).await?;
            answers = PollResponse::decode(answer)
                .map_err(|error| {
                    Error::new(ErrorReason::PluginFault, "the plugin's answer cannot be decoded")
                        .with_source(error)
                })?
                .outcomes;
            if answers.len() != ours.len() {
                let message = format!(
                    "the plugin answered for {} operations and was asked for {}",
                    answers.len(),
                    ours.len()
                );
                return Err(Error::new(ErrorReason::PluginFault, message));
            }
        }
        let mut answers = answers.into_iter();
        Ok(operations
            .iter()
            .map(|operation| {
                if let Err(now) = check_owner(operation, &account) {
                    return Event::AccountChanged { now };
                }
                let outcome = answers.next().unwrap_or_default();
                if refuses_credential(&outcome) {
                    provider.forget_identity();
                }
                Event::Polled(outcome)
            })
            .collect())
    }
}

/// Whether the upstream did not answer because of the credential.
fn refuses_credential(outcome: &PollOutcome) -> bool {
    matches!(&outcome.outcome, Some(Progress::Unavailable(error))
        if error.reason() == ErrorReason::UpstreamCredentials)
}
