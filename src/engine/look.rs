//! Looking for what became of a request whose answer was lost. Reads only.

use prost::Message;
use prost_types::Timestamp;
use purveyor_sdk::plugin::v1::find_request::Attempt;
use purveyor_sdk::plugin::v1::{CallContext, CallKind, FindRequest, FindResponse, Op};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

use super::Engine;
use super::machine::{Event, Policy, apply, locks};
use super::step::{context, logged, write};
use crate::failpoint::{self, Place};
use crate::plugin::Provider;
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

    /// Looks once more after the end, whether what was taken for absent turned up. `None`: the
    /// operation is somebody else's now.
    pub(super) async fn look_back(
        &self,
        operation: Operation,
    ) -> Result<Option<Operation>, StoreError> {
        let policy = self.policy(&operation);
        let event = match self.find_late(&operation).await {
            Ok(response) => Event::LookedBack(response),
            Err(error) => Event::LookBackFailed(error),
        };
        let Some(change) = logged(apply(&operation, event, &policy, &self.now())) else {
            return Ok(None);
        };
        match self.commit(change).await? {
            (Committed::Done, next) => {
                if next.turned_up_late() {
                    tracing::error!(
                        request_id = %next.request_id,
                        provider = next.provider,
                        target = next.target,
                        duplicates = next.candidates.len(),
                        reason = next.message,
                        "an attempt turned up after it was taken for absent"
                    );
                }
                Ok(Some(next))
            }
            // Whoever claimed it tells of it; the next look leaves it out.
            (Committed::Claimed { by, .. }, _) => {
                let message = format!("what was found belongs to operations/{by}");
                let error = Error::unavailable(message);
                self.record(operation, Event::LookBackFailed(error), &policy).await
            }
            (Committed::Stale | Committed::Held { .. }, _) => Ok(None),
        }
    }

    async fn find_late(&self, operation: &Operation) -> Result<FindResponse> {
        // The handle has become the one of the work that was accepted; the first step has none.
        let first = Operation { handle: Vec::new(), ..operation.clone() };
        let provider = self.available(&first).await?;
        let account = provider.identify().await?;
        if account != first.account {
            let message = format!("the provider now points to account {account}");
            return Err(Error::new(ErrorReason::AccountChanged, message));
        }
        let mut request = self.find_request(&first).await?;
        request.claimed_ids.extend(first.own_ids());
        self.ask_to_find(&provider, &request, &context(&first)).await
    }

    async fn find(&self, operation: &Operation) -> Result<Event> {
        let provider = self.available(operation).await?;
        let account = provider.identify().await?;
        if account != operation.account {
            return Ok(Event::AccountChanged { now: account });
        }
        let request = self.find_request(operation).await?;
        let response = self.ask_to_find(&provider, &request, &context(operation)).await?;
        Ok(Event::Looked(response))
    }

    pub(super) async fn ask_to_find(
        &self,
        provider: &Provider,
        request: &FindRequest,
        context: &CallContext,
    ) -> Result<FindResponse> {
        let request = request.encode_to_vec();
        let answer = provider.call(CallKind::Find, Op::Find, &request, context).await?;
        FindResponse::decode(answer).map_err(|error| {
            Error::new(ErrorReason::PluginFault, "the plugin's finding cannot be decoded")
                .with_source(error)
        })
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
