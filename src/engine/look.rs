//! Looking for what became of a request whose answer was lost. Reads only.

use prost::Message;
use prost_types::Timestamp;
use purveyor_sdk::plugin::v1::find_request::Attempt;
use purveyor_sdk::plugin::v1::{CallKind, FindRequest, FindResponse, Op};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

use super::Engine;
use super::machine::{Event, Policy, apply, locks};
use super::step::{context, logged, write};
use crate::failpoint::{self, Place};
use crate::store::operation::Operation;
use crate::store::{Committed, StoreError};

impl Engine {
    /// Looks once; `None`: the operation is somebody else's now.
    pub(super) async fn look(&self, operation: Operation) -> Result<Option<Operation>, StoreError> {
        let policy = self.policy(&operation);
        let event = match self.find(&operation).await {
            Ok(event) => event,
            Err(error) => Event::LookFailed(error),
        };
        failpoint::pass(Place::Looked);
        let Some(change) = logged(apply(&operation, event, &policy, &self.now())) else {
            return Ok(None);
        };
        let held = locks(&operation, &policy);
        match self.commit(change).await? {
            (Committed::Done, next) => {
                self.let_go(&held, &next).await;
                Ok(Some(next))
            }
            (Committed::Claimed { claim, by }, _) => {
                let event = Event::FoundClaimed { by, upstream_id: claim.upstream_id };
                self.record(operation, event, &policy).await
            }
            (Committed::Stale | Committed::Held { .. }, _) => Ok(None),
        }
    }

    async fn find(&self, operation: &Operation) -> Result<Event> {
        let provider = self.available(operation).await?;
        let account = provider.identify().await?;
        if account != operation.account {
            return Ok(Event::AccountChanged { now: account });
        }
        let request = self.find_request(operation).await?;
        let answer = provider
            .call(CallKind::Find, Op::Find, &request.encode_to_vec(), &context(operation))
            .await?;
        let response = FindResponse::decode(answer).map_err(|error| {
            Error::new(ErrorReason::PluginFault, "the plugin's finding cannot be decoded")
                .with_source(error)
        })?;
        Ok(Event::Looked(response))
    }

    pub(super) async fn find_request(&self, operation: &Operation) -> Result<FindRequest> {
        let Policy { gate, settle, .. } = self.policy(operation);
        // What was claimed shortly before may have been missing from the list that is compared with: a
        // settle window holds the longest lag of listings, and more.
        let since = operation.create_time.checked_sub(settle).unwrap_or(jiff::Timestamp::MIN);
        let claimed_ids = self.inner.store.claimed_ids(&gate, operation.request_id, since).await?;
        let attempts = operation
            .attempts
            .iter()
            .filter(|attempt| attempt.step == operation.step)
            .map(|attempt| Attempt {
                number: i32::try_from(attempt.number).unwrap_or(i32::MAX),
                call: attempt.call.clone(),
                send_time: Some(Timestamp {
                    seconds: attempt.permit_time.as_second(),
                    nanos: attempt.permit_time.subsec_nanosecond(),
                }),
            })
            .collect();
        Ok(FindRequest {
            write: Some(write(operation)),
            step: i32::try_from(operation.step).unwrap_or(i32::MAX),
            handle: operation.handle.clone(),
            evidence: context(operation).baseline,
            attempts,
            claimed_ids,
            upstream_id: String::new(),
        })
    }
}
