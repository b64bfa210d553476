//! The search before a spend that the store may lack: evidence as it was before the lost time, and an attempt
//! that stands for what may have been sent. Reads only.

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::plugin::v1::{BaselineRequest, BaselineResponse, CallContext, CallKind, Op};
use purveyor_sdk::v1::{Effect, ErrorReason};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::Engine;
use super::machine::{Closing, Event, Policy, Presumption, apply, transient};
use super::step::{context, logged, write};
use crate::plugin::Provider;
use crate::store::operation::{Baseline, Operation};
use crate::store::{Committed, StoreError};

impl Engine {
    /// Before the first spend since the store was confirmed to lack commits: the spend may have been sent
    /// then, so it is searched for as one whose answer was lost, by what was there before that time.
    pub(super) async fn presume(
        &self,
        running: Operation,
        provider: &Arc<Provider>,
        policy: &Policy,
        since: Timestamp,
    ) -> Result<Option<Operation>, StoreError> {
        let evidence = match self.evidence_of_lost(provider, policy, &running, since).await {
            Ok(evidence) => evidence,
            Err(error) => {
                let closing = Closing { spend: None, said: Err(error), contest: None };
                return self.record(running, Event::Closed(closing), policy).await;
            }
        };
        let presumption = Presumption {
            nonce: Uuid::new_v4(),
            call: spending_call(provider, &running),
            evidence,
        };
        let now = self.now().await?;
        let event = Event::Presumed(presumption);
        let Some(change) = logged(apply(&running, event, policy, &now)) else { return Ok(None) };
        match self.commit(change).await? {
            (Committed::Done, next) => Ok(Some(next)),
            (Committed::Held { lock, by }, _) => self.stand_in_line(running, lock, by).await,
            (Committed::Stale | Committed::Claimed { .. } | Committed::Outdated, _) => Ok(None),
        }
    }

    /// The inner error says why an operator has to look instead.
    async fn evidence_of_lost(
        &self,
        provider: &Arc<Provider>,
        policy: &Policy,
        operation: &Operation,
        since: Timestamp,
    ) -> Result<Result<Baseline, String>> {
        if policy.effect != Effect::Spend {
            let why = "what it is to end may be another object by now, which was given the same id";
            return Ok(Err(why.to_owned()));
        }
        if !policy.can_search() {
            return Ok(Err("the upstream cannot be asked".to_owned()));
        }
        let asked = async {
            let renewed = self.renewed(provider, operation).await?;
            let guards = if operation.op == Op::PayOrder { renewed } else { Vec::new() };
            let context = CallContext { guards, ..context(operation) };
            ask_for_baseline(provider, operation, &context, Some(since)).await
        };
        match asked.await {
            Ok(answer) if answer.without_lost => Ok(Ok(baseline(answer))),
            Ok(_) => Ok(Err("the plugin cannot tell what was there before".to_owned())),
            Err(error) if transient(error.reason) => Err(error),
            Err(error) => Ok(Err(format!("it cannot be searched for: {error}"))),
        }
    }
}

/// The evidence before a step, as the plugin answers it.
pub(super) async fn ask_for_baseline(
    provider: &Arc<Provider>,
    operation: &Operation,
    context: &CallContext,
    lost_since: Option<Timestamp>,
) -> Result<BaselineResponse> {
    let request = BaselineRequest {
        write: Some(write(operation)),
        step: i32::try_from(operation.step).unwrap_or(i32::MAX),
        handle: operation.handle.clone(),
        lost_since: lost_since.map(|since| prost_types::Timestamp {
            seconds: since.as_second(),
            nanos: since.subsec_nanosecond(),
        }),
    };
    let request = request.encode_to_vec();
    let answer = provider.call(CallKind::Baseline, Op::Baseline, &request, context).await?;
    BaselineResponse::decode(answer).map_err(|error| {
        Error::new(ErrorReason::PluginFault, "the plugin's baseline cannot be decoded")
            .with_source(error)
    })
}

/// The evidence that is stored.
pub(super) fn baseline(answer: BaselineResponse) -> Baseline {
    Baseline {
        evidence: answer.evidence,
        similarity: answer.similarity,
        present_ids: answer.present_ids,
        highest_id: answer.highest_id,
    }
}

/// The call by which a method spends, as its manifest names it.
fn spending_call(provider: &Provider, operation: &Operation) -> String {
    let method = provider.method(operation.op);
    let names = method.iter().flat_map(|method| &method.calls);
    let mut spends = names.filter(|name| {
        let calls = &provider.manifest().calls;
        calls.iter().any(|call| call.name == **name && call.effect() == Effect::Spend)
    });
    spends.next().cloned().unwrap_or_default()
}
