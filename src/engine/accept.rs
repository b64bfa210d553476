//! Accepting a write: one commit, on a task that the caller's disappearance does not reach; then
//! waiting, which can be cut short at any time without losing anything.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Op, PlanRequest, Write};
use purveyor_sdk::v1::{ErrorReason, Quote};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::account::AccountOf;
use super::machine;
use super::{Caller, Engine, policy, repeat};
use crate::failpoint::{self, Place};
use crate::plugin::Provider;
use crate::store::operation::Operation;
use crate::store::{Accepted, Lease, NewOperation, StoreError};

/// A write, checked and ready to be stored.
#[derive(Clone)]
pub struct Submission {
    /// Who asks.
    pub caller: Caller,
    /// W3C trace id of the call; may be empty.
    pub trace_id: String,
    /// Which write.
    pub op: Op,
    /// At which provider.
    pub provider: Arc<Provider>,
    /// The upstream account that the provider points to at acceptance: the write belongs to it, even if
    /// its first step begins after the provider was pointed to another.
    pub account: AccountOf,
    /// The caller's request id.
    pub request_id: Uuid,
    /// The request message with canonical names, without `request_id` and `wait`, encoded again.
    pub request: Vec<u8>,
    /// The canonical name of the resource that it is about.
    pub target: String,
    /// The upstream's identifier of the target; empty for one that is made.
    pub upstream_target: Vec<String>,
    /// Canonical names of the resources that it must have for itself.
    pub exclusive: Vec<String>,
    /// If nothing was sent by then, nothing will be.
    pub start_before: Option<Timestamp>,
    /// How long to wait for the operation to be done.
    pub wait: Duration,
}

impl Engine {
    /// Stores the write, and shows its operation as it is when it is done or `wait` is over.
    ///
    /// May be repeated: the same caller, method and content get the same operation.
    ///
    /// # Errors
    ///
    /// REQUEST_ID_REUSED, OPERATION_IN_PROGRESS, STORE_UNAVAILABLE: nothing was stored.
    /// ACCEPTANCE_UNKNOWN: it may be stored. After the last two the same call may be repeated.
    pub async fn submit(&self, submission: Submission) -> Result<Operation> {
        let wait = submission.wait;
        let engine = self.clone();
        let accepted = tokio::spawn(async move { engine.accept(submission).await }).await;
        let operation = accepted.map_err(|error| {
            Error::new(ErrorReason::Internal, "accepting the write failed").with_source(error)
        })??;
        if operation.done() || wait.is_zero() {
            return Ok(operation);
        }
        self.wait(&operation, wait).await
    }

    /// What a write would do and cost; nothing is stored and nothing is sent that costs anything.
    ///
    /// # Errors
    ///
    /// Those of the provider.
    pub async fn quote(&self, provider: &Arc<Provider>, write: Write) -> Result<Quote> {
        let context =
            CallContext { upstream_ids: write.upstream_ids.clone(), ..CallContext::default() };
        let request = PlanRequest { write: Some(write) }.encode_to_vec();
        let answer = provider.call(CallKind::Plan, Op::Plan, &request, &context).await?;
        Quote::decode(answer).map_err(|error| {
            Error::new(ErrorReason::PluginFault, "the plugin's quote cannot be decoded")
                .with_source(error)
        })
    }

    async fn accept(&self, submission: Submission) -> Result<Operation> {
        let held = self.held();
        let mut operation = self.new_operation(submission)?;
        operation.message.extend(held.as_deref());
        let policy = self.policy(&operation);
        // Who accepts carries out, if there is a place: so the inline wait is local.
        let place = if held.is_some() || self.stopping() {
            None
        } else {
            let (account, cap) = self.account_of(&operation.account_key, &operation.provider);
            self.inner.places.begin(&account, cap)
        };
        let new = NewOperation {
            locks: machine::locks(&operation, &policy),
            lease: place.as_ref().map(|_| self.lease()),
            operation: operation.clone(),
            services: Vec::new(),
        };
        failpoint::pass(Place::Accepting);
        let accepted = match self.inner.store.accept(new).await {
            Err(error @ StoreError::Ambiguous(_)) => {
                let stored = self.read_acceptance_back(operation.request_id, error).await?;
                if stored == operation {
                    Accepted::Stored
                } else {
                    Accepted::Exists(Box::new(stored))
                }
            }
            other => other?,
        };
        failpoint::pass(Place::Accepted);
        match accepted {
            Accepted::Stored => {
                match place {
                    Some(place) => self.spawn_drive(operation.clone(), place),
                    None => self.inner.due.notify_one(),
                }
                Ok(operation)
            }
            Accepted::Exists(stored) => repeat::same(*stored, &operation),
            Accepted::Pruned(pruned) => Err(repeat::removed(&pruned, &operation)),
            Accepted::Held { lock, by } => Err(self.in_the_way(&operation, &lock, by).await?),
            Accepted::Outdated => {
                Err(Error::new(ErrorReason::Internal, "a write without records is outdated"))
            }
        }
    }

    /// The operation whose acceptance the store did not acknowledge. That the store does not show it yet
    /// proves nothing: the commit may wait for a standby, or stand in a log that is read after a crash.
    ///
    /// # Errors
    ///
    /// ACCEPTANCE_UNKNOWN where it is not shown.
    pub(super) async fn read_acceptance_back(
        &self,
        request_id: Uuid,
        error: StoreError,
    ) -> Result<Operation> {
        if let Ok(Some(stored)) = self.inner.store.get(request_id).await {
            return Ok(stored);
        }
        tracing::error!(%request_id, %error, "whether a write was accepted is not known");
        Err(acceptance_unknown(request_id, error))
    }

    /// The operation that a request id has already.
    ///
    /// # Errors
    ///
    /// ACCEPTANCE_UNKNOWN, STORE_UNAVAILABLE.
    pub(super) async fn accepted_before(&self, request_id: Uuid) -> Result<Option<Operation>> {
        self.inner.store.get(request_id).await.map_err(|error| match error {
            StoreError::Ambiguous(_) => acceptance_unknown(request_id, error),
            other => other.into(),
        })
    }

    fn new_operation(&self, submission: Submission) -> Result<Operation> {
        let now = self.wall();
        let start_before = submission
            .start_before
            .unwrap_or_else(|| now.checked_add(self.inner.config.start_within).unwrap_or(now));
        let safety = policy::safety(&submission.provider, submission.op);
        let Submission { caller, op, request, .. } = &submission;
        Ok(Operation {
            fingerprint: repeat::fingerprint(&caller.owner, *op, request)?,
            safety,
            owner: submission.caller.owner,
            actor: submission.caller.actor,
            trace_id: submission.trace_id,
            account: submission.account.identity,
            account_key: submission.account.key,
            target: submission.target,
            upstream_target: submission.upstream_target,
            exclusive: submission.exclusive,
            request: submission.request,
            start_before,
            ..Operation::new(
                submission.request_id,
                submission.op,
                submission.provider.id().to_owned(),
                now,
                self.age(),
            )
        })
    }

    /// A lease that begins now. It decides who tries, so an age that is stale does no harm.
    pub(super) fn lease(&self) -> Lease {
        let now = self.inner.store.age();
        let until = now.age + now.slack + self.inner.config.lease;
        Lease { replica: self.inner.replica, until }
    }
}

/// What a caller is told whose write may be accepted.
fn acceptance_unknown(request_id: Uuid, error: StoreError) -> Error {
    let message = "whether the write was accepted is not known, because the store did not acknowledge its \
                   commit; repeat with the same request id";
    Error::new(ErrorReason::AcceptanceUnknown, message)
        .with_metadata("operation", format!("operations/{request_id}"))
        .with_source(error)
}
