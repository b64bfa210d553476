//! Following operations, waiting for them, taking them back, and resolving those that only a person
//! can. Nothing here sends what costs anything.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::Outcome as Finding;
use purveyor_sdk::plugin::v1::{CallContext, StepOutcome};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::resolve_operation_request::{NotExecuted, Resolution as Told};
use purveyor_sdk::v1::{ErrorReason, ResolveOperationRequest};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::account::{changed, owned};
use super::machine::{Event, Refusal, Resolution, apply, locks};
use super::{Caller, Engine};
use crate::store::operation::{Claim, Decision, Note, Operation};
use crate::store::{Committed, Query};

/// A note longer than this is a mistake.
const NOTE_BYTES: usize = 4096;

impl Engine {
    /// One operation that the caller may see.
    ///
    /// # Errors
    ///
    /// OPERATION_NOT_FOUND, also for an operation of somebody else; STORE_UNAVAILABLE.
    pub async fn operation(&self, caller: &Caller, request_id: Uuid) -> Result<Operation> {
        let stored = self.inner.store.get(request_id).await?;
        let shown = stored.filter(|operation| visible(caller, operation));
        shown.ok_or_else(|| self.absent(not_found(request_id)))
    }

    /// That something is not there, as far as the store shows. A store that does not commit, or may have
    /// lost what it acknowledged, proves no absence: a write that it did not acknowledge may turn up.
    pub(super) fn absent(&self, not_found: Error) -> Error {
        let store = self.store();
        if store.healthy() && store.doubt().is_none() {
            return not_found;
        }
        let message = format!(
            "{}, as far as the store shows; it is unhealthy, so that may be wrong: ask again once it is \
             healthy",
            not_found.message
        );
        Error { reason: ErrorReason::StoreUnavailable, message, ..not_found }
    }

    /// An operation as an operator needs it to decide: with each candidate and each duplicate stands
    /// whose it is already.
    ///
    /// # Errors
    ///
    /// As [`Engine::operation`].
    pub async fn operation_in_full(&self, caller: &Caller, request_id: Uuid) -> Result<Operation> {
        let mut operation = self.operation(caller, request_id).await?;
        if caller.operator {
            let policy = self.policy(&operation);
            let asks = operation.state == State::NeedsOperator;
            let candidates = operation.candidates.iter_mut().filter(|_| asks);
            for candidate in candidates.chain(&mut operation.duplicates) {
                let claim = Claim {
                    account: policy.gate.clone(),
                    kind: policy.id_kind.clone(),
                    upstream_id: candidate.id().to_owned(),
                };
                if let Some(by) = self.inner.store.claimant(&claim).await? {
                    candidate.message = format!("belongs to operations/{by}");
                }
            }
        }
        Ok(operation)
    }

    /// Operations that the caller may see, newest first.
    ///
    /// # Errors
    ///
    /// STORE_UNAVAILABLE.
    pub async fn operations(&self, caller: &Caller, mut query: Query) -> Result<Vec<Operation>> {
        if !caller.operator {
            query.owner = Some(caller.owner.clone());
        }
        self.at_all_ids(&mut query);
        Ok(self.inner.store.list(&query).await?)
    }

    /// Lets a query that names a provider show what was accepted under each of its ids.
    pub fn at_all_ids(&self, query: &mut Query) {
        if let Some(provider) = &query.provider {
            query.formerly = self.inner.providers.ids_of(provider).split_off(1);
        }
    }

    /// The operation when it is done, comes to need an operator, or `timeout` is over. `known` is the
    /// operation as the caller's request found it: one that needed an operator then is answered when
    /// that has changed, so that waiting for it again and again does not spin.
    ///
    /// # Errors
    ///
    /// OPERATION_NOT_FOUND, STORE_UNAVAILABLE.
    pub async fn wait(&self, known: &Operation, timeout: Duration) -> Result<Operation> {
        let request_id = known.request_id;
        let over = tokio::time::sleep(timeout);
        tokio::pin!(over);
        let waiter = self.inner.waiters.join(request_id);
        loop {
            let changed = waiter.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let operation = self.inner.store.get(request_id).await?;
            let operation = operation.ok_or_else(|| self.absent(not_found(request_id)))?;
            if operation.done() || needs_operator_anew(&operation, known) || self.stopping() {
                return Ok(operation);
            }
            tokio::select! {
                () = &mut changed => {}
                () = &mut over => return Ok(operation),
            }
        }
    }

    /// Takes back an operation of which nothing was sent.
    ///
    /// # Errors
    ///
    /// OPERATION_NOT_FOUND, ETAG_MISMATCH, OPERATION_STATE, PROVIDER_UNAVAILABLE where the provider is not
    /// configured here.
    pub async fn cancel(&self, caller: &Caller, request_id: Uuid, etag: &str) -> Result<Operation> {
        loop {
            let operation = self.operation(caller, request_id).await?;
            if operation.state == State::Cancelled {
                return Ok(operation);
            }
            check_etag(&operation, etag)?;
            self.refuse_left_alone(&operation)?;
            let policy = self.policy(&operation);
            let now = self.now().await?;
            let change =
                apply(&operation, Event::CancelRequested, &policy, &now).map_err(refused)?;
            if let (Committed::Done, operation) = self.commit(change).await? {
                return Ok(operation);
            }
        }
    }

    /// Takes over what a person found out about an operation that needs one.
    ///
    /// # Errors
    ///
    /// PERMISSION_DENIED, OPERATION_NOT_FOUND, FIELD_VIOLATION, ETAG_MISMATCH, OPERATION_STATE,
    /// OPERATION_IN_PROGRESS, PROVIDER_UNAVAILABLE where the provider is not configured here, and those of
    /// the provider while it is looked up.
    pub async fn resolve(
        &self,
        caller: &Caller,
        request: ResolveOperationRequest,
        request_id: Uuid,
    ) -> Result<Operation> {
        if !caller.operator {
            let message = "only an operator may resolve an operation";
            return Err(Error::new(ErrorReason::PermissionDenied, message));
        }
        check_resolution(&request)?;
        let operation = self.operation(caller, request_id).await?;
        check_etag(&operation, &request.etag)?;
        self.refuse_left_alone(&operation)?;
        if operation.state != State::NeedsOperator {
            let message =
                format!("the operation is {} and needs no operator", operation.state.as_str_name());
            return Err(Error::new(ErrorReason::OperationState, message));
        }
        let resolution = match request.resolution {
            Some(Told::Executed(executed)) => {
                let upstream_id = executed.upstream_id;
                let outcome = self.look_up(&operation, &upstream_id).await?.map(Box::new);
                Resolution::Executed { upstream_id, outcome }
            }
            Some(Told::NotExecuted(NotExecuted { try_again, at_own_risk })) => {
                Resolution::NotExecuted { try_again, at_own_risk }
            }
            None => return Err(Error::field("resolution", "must be set")),
        };
        let now = self.now().await?;
        let actor = caller.actor.clone();
        let note = Note::new(now.wall, actor, request.note, Decision::Unknown);
        let policy = self.policy(&operation);
        let held = locks(&operation, &policy);
        let event = Event::Resolved { resolution, note };
        let executed =
            matches!(event, Event::Resolved { resolution: Resolution::Executed { .. }, .. });
        let mut change = apply(&operation, event, &policy, &now).map_err(refused)?;
        if executed {
            self.take_pairs(&mut change, &policy).await?;
        }
        match self.commit(change).await? {
            (Committed::Done, operation) => {
                self.let_go(&held, &operation).await;
                self.wake();
                Ok(operation)
            }
            (Committed::Claimed { claim, by, .. }, _) => {
                let message = format!("{} belongs to operations/{by} already", claim.upstream_id);
                Err(Error::field("executed.upstream_id", message))
            }
            (Committed::Held { lock, by }, held) => Err(self.in_the_way(&held, &lock, by).await?),
            (Committed::Stale | Committed::Outdated, _) => Err(etag_mismatch()),
        }
    }

    /// How the plugin goes on with the object that an operator names; `None` where the upstream
    /// cannot be read, or where it is the one that was followed before.
    async fn look_up(
        &self,
        operation: &Operation,
        upstream_id: &str,
    ) -> Result<Option<StepOutcome>> {
        // A word that nobody can look up is not believed.
        let provider = self.available(operation).await?;
        let account = self.account_for_poll(&provider).await?;
        if !operation.account.is_empty() {
            owned(operation, &account, |now| changed(operation, now))?;
        }
        if operation.follows(upstream_id) {
            return Ok(None);
        }
        let mut request = self.find_request(operation).await?;
        request.upstream_id = upstream_id.to_owned();
        let upstream_ids = vec![upstream_id.to_owned()];
        let context = CallContext { upstream_ids, ..CallContext::default() };
        let response = match self.ask_to_find(&provider, &request, &context).await {
            Ok(response) => response,
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => return Ok(None),
            Err(error) => return Err(error),
        };
        match response.outcome {
            Some(Finding::Found(found)) => Ok(found.outcome),
            _ => Err(Error::field(
                "executed.upstream_id",
                format!("the upstream has no {upstream_id} that this request could have made"),
            )),
        }
    }
}

/// Whether an operation needs an operator, and did not when it was read before, or for another reason.
/// What is read upstream meanwhile changes the operation without that.
fn needs_operator_anew(operation: &Operation, known: &Operation) -> bool {
    let Operation { state, message, error, candidates, duplicates, attempts, notes, .. } =
        operation;
    let is_known = *state == known.state
        && *message == known.message
        && *error == known.error
        && *candidates == known.candidates
        && *duplicates == known.duplicates
        && attempts.len() == known.attempts.len()
        && notes.len() == known.notes.len();
    *state == State::NeedsOperator && !is_known
}

fn check_resolution(request: &ResolveOperationRequest) -> Result<()> {
    if request.etag.is_empty() {
        return Err(Error::field("etag", "must be the etag of the operation as it was read"));
    }
    if request.note.trim().is_empty() || request.note.len() > NOTE_BYTES {
        let message = format!("must say what was seen, in at most {NOTE_BYTES} bytes");
        return Err(Error::field("note", message));
    }
    match &request.resolution {
        None => Err(Error::field("resolution", "must be executed or not_executed")),
        Some(Told::Executed(executed)) if executed.upstream_id.is_empty() => {
            Err(Error::field("executed.upstream_id", "must name the upstream object"))
        }
        Some(_) => Ok(()),
    }
}

fn check_etag(operation: &Operation, etag: &str) -> Result<()> {
    if etag.is_empty() || etag == operation.version.to_string() {
        return Ok(());
    }
    Err(etag_mismatch())
}

fn etag_mismatch() -> Error {
    Error::new(ErrorReason::EtagMismatch, "the operation has changed since it was read")
}

fn visible(caller: &Caller, operation: &Operation) -> bool {
    caller.operator || caller.owner == operation.owner
}

fn not_found(request_id: Uuid) -> Error {
    Error::new(ErrorReason::OperationNotFound, format!("there is no operations/{request_id}"))
}

fn refused(refusal: Refusal) -> Error {
    Error::new(ErrorReason::OperationState, refusal.to_string())
}
