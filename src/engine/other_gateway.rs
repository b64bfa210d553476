//! What another gateway may do to an operation while this one works on it, done by this one, for the
//! conformance suite. Compiled with the failpoints alone.

use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Finding};
use purveyor_sdk::plugin::v1::{FindResponse, Op};
use purveyor_sdk::v1::operation::State;
use uuid::Uuid;

use super::machine::{Closing, Event, Policy, apply};
use super::{Engine, observation};
use crate::store::operation::{Claim, NewClaim, Operation};
use crate::store::{Change, NewOperation, StoreError};

impl Engine {
    /// Does what another gateway does that takes an operation over, and does not find what was bought.
    pub(super) async fn taken_over(
        &self,
        operation: &Operation,
        policy: &Policy,
    ) -> Result<(), StoreError> {
        let absent = FindResponse { outcome: Some(Finding::Absent(Absent::default())) };
        let mut now = self.now().await?;
        for event in [Event::Recovered, Event::Looked(absent.into())] {
            let Some(stored) = self.inner.store.get(operation.request_id).await? else { break };
            if let Some(settle) = &stored.settle {
                now.age = settle.conclusive_at;
            }
            // Where nobody can look, a person is asked at once.
            let Ok(change) = apply(&stored, event, policy, &now) else { break };
            self.commit(change).await?;
        }
        Ok(())
    }

    /// Lets another operation claim what was answered, and does what gateways do of which one is killed when
    /// it has stored what it observed, and another takes over.
    pub(super) async fn contested(
        &self,
        operation: &Operation,
        closing: &Closing,
        policy: &Policy,
    ) -> Result<(), StoreError> {
        let Some(attempt) = operation.attempts.last() else { return Ok(()) };
        let Some(observation) = observation::of(attempt.nonce, closing) else { return Ok(()) };
        let (store, now) = (&self.inner.store, self.now().await?);
        let other = Operation {
            state: State::Succeeded,
            wake_time: None,
            ..Operation::new(Uuid::new_v4(), Op::PayOrder, &operation.provider, now.wall, now.age)
        };
        store.accept(NewOperation::of(other.clone())).await?;
        let claim = Claim {
            account: policy.gate.clone(),
            kind: policy.id_kind.clone(),
            upstream_id: observation.upstream_id.clone(),
        };
        let claims = vec![NewClaim::by_answer(claim)];
        self.commit(Change { claims, ..Change::of(other) }).await?;
        if let Ok(change) = apply(operation, Event::Recovered, policy, &now) {
            self.commit(change).await?;
        }
        store.observe(operation.request_id, observation, now.age).await
    }
}
