//! Following what the upstream has accepted: many operations of one provider in one call. Reads only.

use prost::Message;
use purveyor_sdk::plugin::v1::poll_request::Item;
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Op, PollRequest, PollResponse};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

use super::Engine;
use super::machine::Event;
use super::step::write;
use crate::failpoint::{self, Place};
use crate::store::StoreError;
use crate::store::operation::Operation;

impl Engine {
    pub(super) async fn poll_one(
        &self,
        operation: Operation,
    ) -> Result<Option<Operation>, StoreError> {
        Ok(self.poll(vec![operation]).await?.into_iter().next().flatten())
    }

    /// Asks once for operations of one provider; `None` for each that is somebody else's now.
    pub(super) async fn poll(
        &self,
        operations: Vec<Operation>,
    ) -> Result<Vec<Option<Operation>>, StoreError> {
        let events = match self.ask(&operations).await {
            Ok(events) => events,
            Err(error) => {
                let failed = || Error::new(error.reason, error.message.clone());
                operations.iter().map(|_| Event::PollFailed(failed())).collect()
            }
        };
        failpoint::pass(Place::Polled);
        let mut followed = Vec::with_capacity(operations.len());
        for (operation, event) in operations.into_iter().zip(events) {
            let policy = self.policy(&operation);
            followed.push(self.record(operation, event, &policy).await?);
        }
        Ok(followed)
    }

    async fn ask(&self, operations: &[Operation]) -> Result<Vec<Event>> {
        let Some(first) = operations.first() else { return Ok(Vec::new()) };
        let provider = self.available(first).await?;
        let account = provider.identify().await?;
        let ours: Vec<&Operation> =
            operations.iter().filter(|operation| operation.account == account).collect();
        let mut answers = Vec::new();
        if !ours.is_empty() {
            let items = ours
                .iter()
                .map(|operation| Item {
                    write: Some(write(operation)),
                    handle: operation.handle.clone(),
                })
                .collect();
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
                if operation.account != account {
                    return Event::AccountChanged { now: account.clone() };
                }
                Event::Polled(answers.next().unwrap_or_default())
            })
            .collect())
    }
}
