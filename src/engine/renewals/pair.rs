//! A service and the end that it is renewed from: what a further term is paid for once. Whoever pays by the
//! order of a renewal is guarded by the renewal's own pairs, and a pair whose renewal an operator says was
//! executed stays taken for as long as the service still ends then.

use prost::Message;
use purveyor_sdk::names::{OrderName, ServiceName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ErrorReason, GetOrderRequest, GetRenewalRequest, Order, PayOrderRequest,
    Renewal, ServiceRef,
};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use crate::engine::Engine;
use crate::engine::machine::{Policy, is_gone, renewal_order};
use crate::engine::made_here::upstream_ids;
use crate::engine::reading::read;
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
                let Some(order) = operation.upstream_target.first() else { return Ok(Vec::new()) };
                let maker = self.maker(provider, order).await?;
                let maker = maker.filter(|it| has_made(it, &operation.upstream_target));
                Ok(maker.map(|maker| services(&maker)).unwrap_or_default())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Refuses to renew a service from an end that an operator says it was renewed from. An end that was
    /// read since is another pair; the pair is free again once the upstream says that the renewal failed for
    /// good, and for a request that overrides the operation.
    ///
    /// # Errors
    ///
    /// STATE_CONFLICT, naming the operation, and those of the provider while it tells what became of that
    /// one.
    pub(in crate::engine) async fn check_pairs(
        &self,
        provider: &Provider,
        operation: &Operation,
        policy: &Policy,
        renewed: &[ServiceRef],
    ) -> Result<()> {
        let overrides = overrides(operation);
        for service in renewed {
            let Some(pair) = pair(service) else { continue };
            for account in std::iter::once(&policy.gate).chain(&policy.aliases) {
                let held = self.store().open_claims(account, &pair).await?;
                let held = held.iter().find(|it| it.claim.kind == KIND);
                let Some(by) = held.map(|it| it.by).filter(|by| *by != operation.request_id) else {
                    continue;
                };
                let name = format!("operations/{by}");
                if overrides.contains(&name) || self.failed_upstream(provider, by).await? {
                    continue;
                }
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

    /// Whether the upstream says that a renewal, or the order that an operation paid, came to nothing. What
    /// cannot be read, or is not there, says nothing.
    async fn failed_upstream(&self, provider: &Provider, request_id: Uuid) -> Result<bool> {
        let Some(holder) = self.store().get(request_id).await? else { return Ok(false) };
        let (op, ids) = match holder.op {
            Op::CreateRenewal => (Op::GetRenewal, upstream_ids(&holder)),
            _ => (Op::GetOrder, holder.upstream_target.clone()),
        };
        if ids.is_empty() || provider.method(op).is_none() {
            return Ok(false);
        }
        let name = holder.target.clone();
        let failed = if op == Op::GetRenewal {
            let read = read(provider, op, &GetRenewalRequest { name }, &ids, None).await;
            read.map(|renewal: Renewal| {
                use RenewalState::{Cancelled, Expired, Failed};
                matches!(renewal.state(), Failed | Cancelled | Expired)
            })
        } else {
            let read = read(provider, op, &GetOrderRequest { name }, &ids, None).await;
            read.map(|order: Order| {
                use OrderState::{Cancelled, Expired, Failed};
                matches!(order.state(), Failed | Cancelled | Expired)
            })
        };
        match failed {
            Err(error) if is_gone(error.reason) => Ok(false),
            failed => failed,
        }
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
            // It passes on from the operation that was overridden.
            let held = self.store().open_claims(&policy.gate, &pair).await?;
            let takes_from = held.iter().find(|it| it.claim.kind == KIND).map(|it| it.by);
            let origin = Origin::Operator;
            change.claims.push(NewClaim { claim, origin, closed_before: None, takes_from });
        }
        Ok(())
    }
}

/// The names of the services that a renewal holds, where it has made this order.
pub(in crate::engine) fn held_services(maker: &Operation, order: &[String]) -> Vec<String> {
    if !has_made(maker, order) {
        return Vec::new();
    }
    maker.exclusive.iter().filter(|name| name.parse::<ServiceName>().is_ok()).cloned().collect()
}

/// Whether a renewal has made the order that the upstream calls `order`: one object.
fn has_made(maker: &Operation, order: &[String]) -> bool {
    let made = renewal_order(maker).and_then(|name| name.parse::<OrderName>().ok());
    maker.op == Op::CreateRenewal
        && made.is_some_and(|made| order.first().is_some_and(|id| id == made.id()))
}

fn services(renewal: &Operation) -> Vec<ServiceRef> {
    let request = CreateRenewalRequest::decode(renewal.request.as_slice());
    request.ok().and_then(|request| request.renewal).map(|it| it.services).unwrap_or_default()
}

/// The operations that a renewal or a payment overrides.
fn overrides(operation: &Operation) -> Vec<String> {
    let request = operation.request.as_slice();
    match operation.op {
        Op::CreateRenewal => CreateRenewalRequest::decode(request).map(|it| it.override_operations),
        Op::PayOrder => PayOrderRequest::decode(request).map(|it| it.override_operations),
        _ => return Vec::new(),
    }
    .unwrap_or_default()
}

/// No end told: no pair.
fn pair(service: &ServiceRef) -> Option<String> {
    let name = service.service.parse::<ServiceName>().ok()?;
    let end = service.expected_expire_time.as_ref()?;
    Some(format!("{} {}.{:09}", name.id(), end.seconds, end.nanos))
}
