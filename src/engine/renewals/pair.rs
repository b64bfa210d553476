//! A service and the end that it is renewed from: what a further term is paid for once. Whoever pays by the
//! order of a renewal is guarded by the renewal's own pairs, and a pair whose renewal an operator says was
//! executed stays taken for as long as the service still ends then.

use prost::Message;
use purveyor_sdk::names::{OrderName, ServiceName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{CreateRenewalRequest, ErrorReason, ServiceRef};
use purveyor_sdk::{Error, Result};

use crate::engine::Engine;
use crate::engine::machine::{Policy, renewal_order};
use crate::plugin::Provider;
use crate::store::Change;
use crate::store::operation::{Claim, NewClaim, Operation, Origin};

/// The kind under which a pair is claimed. No manifest has a kind with a space.
const KIND: &str = "renewed end";

impl Engine {
    /// The services that a renewal is for, or that the order which a payment pays was made for by a renewal
    /// of this store, each with the end that it was to have; empty for other writes.
    ///
    /// # Errors
    ///
    /// STORE_UNAVAILABLE, and those of the provider while it tells whose account it is.
    pub(in crate::engine) async fn renewed(
        &self,
        provider: &Provider,
        operation: &Operation,
    ) -> Result<Vec<ServiceRef>> {
        match operation.op {
            Op::CreateRenewal => Ok(services(operation)),
            Op::PayOrder => {
                let maker = self.maker(provider, &operation.upstream_target).await?;
                let maker = maker.filter(|it| has_made(it, &operation.upstream_target));
                Ok(maker.map(|maker| services(&maker)).unwrap_or_default())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Refuses to renew a service from an end that an operator says it was renewed from. An end that was
    /// read since is another pair.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT, naming the operation.
    pub(in crate::engine) async fn check_pairs(
        &self,
        operation: &Operation,
        policy: &Policy,
        renewed: &[ServiceRef],
    ) -> Result<()> {
        for service in renewed {
            let Some(pair) = pair(service) else { continue };
            for account in std::iter::once(&policy.gate).chain(&policy.aliases) {
                let held = self.store().open_claims(account, &pair).await?;
                let held = held.iter().find(|it| it.claim.kind == KIND);
                let Some(by) = held.map(|it| it.by).filter(|by| *by != operation.request_id) else {
                    continue;
                };
                let name = format!("operations/{by}");
                let message = format!(
                    "an operator says that {name} has renewed {}, which still ends as before",
                    service.service
                );
                let error = Error::new(ErrorReason::StateConflict, message);
                return Err(error
                    .with_metadata("operation", name)
                    .with_metadata("resource", &service.service));
            }
        }
        Ok(())
    }

    /// Takes the pairs of what an operator says was executed.
    ///
    /// # Errors
    ///
    /// As [`Engine::renewed`].
    pub(in crate::engine) async fn take_pairs(
        &self,
        change: &mut Change,
        policy: &Policy,
    ) -> Result<()> {
        let operation = &change.operation;
        if operation.state != State::Succeeded || policy.gate.is_empty() {
            return Ok(());
        }
        let Some(provider) = self.providers().get(&operation.provider) else { return Ok(()) };
        for pair in self.renewed(&provider, operation).await?.iter().filter_map(pair) {
            let claim = Claim {
                account: policy.gate.clone(),
                kind: KIND.to_owned(),
                upstream_id: pair.clone(),
            };
            // Whoever has taken it keeps it.
            let held = self.store().open_claims(&policy.gate, &pair).await?;
            if held.iter().all(|it| it.claim.kind != KIND) {
                let origin = Origin::Operator;
                let new = NewClaim { claim, origin, closed_before: None, takes_from: None };
                change.claims.push(new);
            }
        }
        Ok(())
    }
}

/// The names of the services that a renewal holds, where it has made this order.
pub(in crate::engine) fn held_services(maker: &Operation, order: &str) -> Vec<String> {
    if !has_made(maker, order) {
        return Vec::new();
    }
    maker.exclusive.iter().filter(|name| name.parse::<ServiceName>().is_ok()).cloned().collect()
}

/// Whether a renewal has made the order that the upstream calls `order`.
fn has_made(maker: &Operation, order: &str) -> bool {
    let made = renewal_order(maker).and_then(|name| name.parse::<OrderName>().ok());
    maker.op == Op::CreateRenewal && made.is_some_and(|made| made.id() == order)
}

fn services(renewal: &Operation) -> Vec<ServiceRef> {
    let request = CreateRenewalRequest::decode(renewal.request.as_slice());
    request.ok().and_then(|request| request.renewal).map(|it| it.services).unwrap_or_default()
}

/// No end told: no pair.
fn pair(service: &ServiceRef) -> Option<String> {
    let name = service.service.parse::<ServiceName>().ok()?;
    let end = service.expected_expire_time.as_ref()?;
    Some(format!("{} {}.{:09}", name.id(), end.seconds, end.nanos))
}
