//! What the host observed of an attempt, from the moment of the answer until the operation reflects it:
//! how it is stored, and how it is applied by whoever finds it, also another process after a crash. It
//! decides nothing; what follows stands in the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{Error as WireError, StepOutcome};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::State;
use uuid::Uuid;

use super::Engine;
use super::machine::{Closing, Contest, Event, apply, locks};
use super::step::logged;
use crate::failpoint::{self, Place};
use crate::plugin::{Answer, ProofSeen, Seen, Spend};
use crate::store::operation::{
    Attempt, Claim, Lock, NewClaim, Observation, Observed, Operation, Origin,
};
use crate::store::{Change, Committed, StoreError};

/// A plugin that has not said by then how it goes on may hang or take the process with it, so what the
/// host observed is stored by itself.
const STORE_ALONE_AFTER: Duration = Duration::from_secs(1);

/// What came of applying observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Nothing is left.
    All,
    /// Another operation holds what it needs.
    Waits,
}

/// What is stored beside the columns of an observation.
#[derive(Clone, PartialEq, Message)]
struct Content {
    /// The kind of the identifier.
    #[prost(string, tag = "1")]
    id_kind: String,
    /// What was seen, for people.
    #[prost(string, tag = "2")]
    message: String,
    /// What the plugin returned; not set where it failed or had not returned.
    #[prost(bytes = "vec", optional, tag = "3")]
    outcome: Option<Vec<u8>>,
    /// How the plugin failed.
    #[prost(message, optional, tag = "4")]
    error: Option<WireError>,
    /// Whether another attempt may follow a rejection.
    #[prost(bool, tag = "5")]
    may_repeat: bool,
    /// The proof of a rejection.
    #[prost(string, tag = "6")]
    proof: String,
    /// The answer's status; 0 without an answer.
    #[prost(uint32, tag = "7")]
    status: u32,
    /// The answer's body, kept where the plugin failed.
    #[prost(bytes = "vec", tag = "8")]
    body: Vec<u8>,
    /// Whether an answer carried an identifier.
    #[prost(bool, tag = "9")]
    named: bool,
}

/// What the host observed of an attempt, if it decides anything.
pub(super) fn of(nonce: Uuid, closing: &Closing) -> Option<Observation> {
    let spend = closing.spend.as_ref()?;
    let said = closing.said.as_ref();
    let mut content = Content {
        outcome: said.ok().map(Message::encode_to_vec),
        error: said.err().map(|error| copy(error).into()),
        ..Content::default()
    };
    let (observed, upstream_id) = match &spend.seen {
        Seen::NotSent { reason } => {
            content.message.clone_from(reason);
            (Observed::NotSent, None)
        }
        Seen::Success { upstream_id, id_kind } => {
            content.id_kind.clone_from(id_kind);
            (Observed::Accepted, upstream_id.clone())
        }
        Seen::PaymentDue { upstream_id, id_kind } => {
            content.id_kind.clone_from(id_kind);
            (Observed::PaymentDue, upstream_id.clone())
        }
        Seen::Refusable { proofs, message } => {
            use purveyor_sdk::plugin::v1::step_outcome::Outcome as Said;
            let Some(Said::Rejected(it)) = said.ok().and_then(|said| said.outcome.as_ref()) else {
                return None;
            };
            let proof = proofs.iter().find(|proof| proof.name == it.proof)?;
            content.message.clone_from(message);
            content.proof.clone_from(&proof.name);
            content.may_repeat = proof.may_repeat;
            (Observed::Rejected, None)
        }
        Seen::Unproven { .. } => return None,
    };
    if let Some(answer) = &spend.answer {
        content.status = answer.status.into();
        content.body = if said.is_err() { answer.body.to_vec() } else { Vec::new() };
    }
    content.named = upstream_id.is_some();
    let upstream_id = upstream_id.unwrap_or_default();
    Some(Observation { nonce, observed, upstream_id, content: content.encode_to_vec() })
}

/// How the attempt's step ended, from what is stored.
///
/// # Errors
///
/// `Corrupt` for what [`of`] never writes.
fn closing(
    attempt: &Attempt,
    observation: &Observation,
    contest: Option<Contest>,
) -> Result<Closing, StoreError> {
    let corrupt = |error: prost::DecodeError| StoreError::Corrupt(format!("observation: {error}"));
    let content = Content::decode(observation.content.as_slice()).map_err(corrupt)?;
    let upstream_id = content.named.then(|| observation.upstream_id.clone());
    let id_kind = content.id_kind;
    let seen = match observation.observed {
        Observed::NotSent => Seen::NotSent { reason: content.message },
        Observed::Accepted => Seen::Success { upstream_id, id_kind },
        Observed::PaymentDue => Seen::PaymentDue { upstream_id, id_kind },
        Observed::Rejected => {
            let proof = ProofSeen { name: content.proof, may_repeat: content.may_repeat };
            Seen::Refusable { proofs: vec![proof], message: content.message }
        }
        // None of these is stored as an observation.
        Observed::Nothing | Observed::Undeclared | Observed::Overridden => {
            Seen::Unproven { reason: content.message }
        }
    };
    let status = u16::try_from(content.status).unwrap_or_default();
    let body = Bytes::from(content.body);
    let answer = (status != 0).then_some(Answer { status, body, complete: true });
    let said = match (content.outcome, content.error) {
        (Some(outcome), _) => Ok(StepOutcome::decode(outcome.as_slice()).map_err(corrupt)?),
        (None, Some(error)) => Err(error.into()),
        (None, None) => {
            Err(Error::new(ErrorReason::PluginFault, "the plugin's word was not stored"))
        }
    };
    let spend = Spend {
        call: attempt.call.clone(),
        effect: attempt.effect,
        attempt: Some(attempt.number),
        seen,
        answer,
    };
    Ok(Closing { spend: Some(spend), said, contest })
}

fn copy(error: &Error) -> Error {
    Error::new(error.reason, error.message.clone())
}

/// Whether a claim by the upstream's answer passes on from an operation that only found the object.
fn outranks(claims: &[NewClaim], claim: &Claim, theirs: Option<Origin>) -> bool {
    let ours = claims.iter().find(|new| same_object(new, claim)).map(|new| new.origin);
    matches!((ours, theirs), (Some(Origin::Answer), Some(Origin::Search | Origin::Operator)))
}

/// Whether a claim is of an object, under whichever name of the account.
fn same_object(new: &NewClaim, claim: &Claim) -> bool {
    new.claim.kind == claim.kind && new.claim.upstream_id == claim.upstream_id
}

impl Engine {
    /// Stores what the host observed unless the step is closed soon, which stores it as well.
    pub(super) fn observe_unless(
        &self,
        closed: Arc<AtomicBool>,
        request_id: Uuid,
        observation: Observation,
    ) {
        let engine = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(STORE_ALONE_AFTER).await;
            if closed.load(Ordering::Acquire) {
                return;
            }
            let now = engine.age();
            if let Err(error) = engine.inner.store.observe(request_id, observation, now).await {
                // Whoever closes the step tries again.
                tracing::error!(%request_id, %error, "an observation cannot be stored by itself");
            }
        });
    }

    /// Stores an observation, and applies it to the operation as it is now.
    ///
    /// # Errors
    ///
    /// When the store fails; may be repeated.
    pub(super) async fn observed(
        &self,
        request_id: Uuid,
        observation: Observation,
    ) -> Result<(), StoreError> {
        self.inner.store.observe(request_id, observation, self.age()).await?;
        failpoint::pass(Place::Closing);
        self.apply_observations(request_id).await.map(drop)
    }

    /// Applies what is stored and not reflected yet, until nothing is left or another operation holds what
    /// that needs. Then the operation stays due, and whoever takes it up tries again.
    ///
    /// # Errors
    ///
    /// When the store fails; may be repeated.
    ///
    /// Boxed, because it holds operations by value and is awaited from everywhere.
    pub(super) fn apply_observations(
        &self,
        request_id: Uuid,
    ) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(self.apply_observations_inner(request_id))
    }

    async fn apply_observations_inner(&self, request_id: Uuid) -> Result<Applied, StoreError> {
        let mut contest = None;
        loop {
            let stored = self.inner.store.get(request_id).await?;
            let Some(operation) = stored.filter(|it| self.has_provider(it)) else {
                return Ok(Applied::All);
            };
            let mut attempts = operation.attempts.iter();
            let late = attempts.find_map(|it| Some((it, it.unapplied.as_deref()?)));
            let Some((attempt, observation)) = late else { return Ok(Applied::All) };
            let closing = closing(attempt, observation, contest.clone())?;
            let event = Event::ObservedLate { nonce: attempt.nonce, closing };
            let policy = self.policy(&operation);
            let now = self.now().await?;
            let Some(change) = logged(apply(&operation, event, &policy, &now)) else {
                return Ok(Applied::All);
            };
            match self.commit_taking(change).await? {
                (Committed::Done, next) => {
                    contest = None;
                    report(&operation, &next);
                    self.let_go(&locks(&operation, &policy), &next).await;
                    self.inner.due.notify_one();
                }
                (Committed::Claimed { claim, by, .. }, _) => {
                    contest = Some(Contest { by, upstream_id: claim.upstream_id });
                }
                (Committed::Held { lock, by }, _) => {
                    tracing::warn!(
                        %request_id, provider = operation.provider, lock = lock.0, %by,
                        "a late observation waits for another operation"
                    );
                    return Ok(Applied::Waits);
                }
                // It is read again, and what was stored meanwhile is taken into account.
                (Committed::Stale | Committed::Outdated, _) => {}
            }
        }
    }

    /// As [`Engine::apply_observations`], for what was taken up: it is given back only when another try
    /// makes sense.
    pub(super) async fn apply_taken(&self, operation: &Operation) {
        match self.apply_observations(operation.request_id).await {
            Ok(Applied::All) => {}
            Ok(Applied::Waits) => tokio::time::sleep(self.inner.config.retry.first).await,
            Err(error) => tracing::error!(
                request_id = %operation.request_id, provider = operation.provider, %error,
                "a stored observation cannot be applied yet"
            ),
        }
    }

    /// Commits a change. What another operation only found, and this one was answered, passes on to this
    /// one in the same transaction. `Held` while the other one has a request under way; `Claimed` where it
    /// cannot lose the object, its provider is not configured here, or a second one would have to lose
    /// another: then a person decides.
    ///
    /// Boxed as above.
    pub(super) fn commit_taking(
        &self,
        change: Change,
    ) -> BoxFuture<'_, Result<(Committed, Operation), StoreError>> {
        Box::pin(self.commit_taking_inner(change))
    }

    async fn commit_taking_inner(
        &self,
        mut change: Change,
    ) -> Result<(Committed, Operation), StoreError> {
        loop {
            let committed = self.commit(change.clone()).await?;
            let (claim, by) = match &committed {
                (Committed::Claimed { claim, by, open }, _)
                    if outranks(&change.claims, claim, *open) =>
                {
                    (claim.clone(), *by)
                }
                _ => return Ok(committed),
            };
            let earlier = change.loser.as_ref().map(|earlier| earlier.operation.request_id);
            if earlier.is_some_and(|earlier| earlier != by) {
                return Ok(committed);
            }
            // Of an operation that was removed, the claim alone is left.
            if let Some(loser) = self.inner.store.get(by).await? {
                if !self.has_provider(&loser) {
                    return Ok(committed);
                }
                if loser.state == State::Running {
                    let lock = Lock(format!("operations/{by}"));
                    return Ok((Committed::Held { lock, by }, committed.1));
                }
                let event = Event::ClaimLost {
                    by: change.operation.request_id,
                    upstream_id: claim.upstream_id.clone(),
                };
                let (policy, now) = (self.policy(&loser), self.now().await?);
                let Some(mut lost) = logged(apply(&loser, event, &policy, &now)) else {
                    return Ok(committed);
                };
                lost.operation.version += 1;
                tracing::error!(
                    request_id = %by, provider = loser.provider, upstream_id = claim.upstream_id,
                    answered = %change.operation.request_id,
                    "an operation loses what it had found to the one that was answered it"
                );
                change.loser = Some(Box::new(lost));
            }
            for new in &mut change.claims {
                if same_object(new, &claim) {
                    new.takes_from = Some(by);
                }
            }
        }
    }
}

/// A sale that became known late is told to whoever reads logs.
fn report(before: &Operation, after: &Operation) {
    if after.duplicates.len() > before.duplicates.len() {
        tracing::error!(
            request_id = %after.request_id, provider = after.provider, target = after.target,
            state = after.state.as_str_name(), reason = after.message,
            "the upstream accepted an attempt, which became known too late"
        );
    } else {
        tracing::warn!(
            request_id = %after.request_id, provider = after.provider,
            before = before.state.as_str_name(), after = after.state.as_str_name(),
            "an answer that was observed earlier is applied"
        );
    }
}

#[cfg(test)]
pub(super) mod tests;
