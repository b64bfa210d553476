//! What the manifest and the configuration say about one method of one provider, in the words of the
//! machine.

use std::time::Duration;

use purveyor_sdk::plugin::v1::{Manifest, Op};
use purveyor_sdk::v1::{Effect, Evidence};

use super::machine::Policy;
use super::{Engine, EngineConfig};
use crate::failpoint;
use crate::plugin::{Provider, Timing};
use crate::store::operation::Operation;

/// How long a permit may wait until the first byte is written.
pub const PERMIT_LIFE: Duration = Duration::from_secs(2);

/// Where a plugin declares nothing, absence counts after this.
pub(super) const SETTLE_DEFAULT: Duration = Duration::from_secs(15 * 60);

impl Engine {
    /// The policy that an operation is carried out by now.
    pub(super) fn policy(&self, operation: &Operation) -> Policy {
        match self.inner.providers.get(&operation.provider) {
            Some(provider) => of(&provider, operation.op, &operation.account, &self.inner.config),
            None => without_provider(operation, &self.inner.config),
        }
    }
}

fn of(provider: &Provider, op: Op, account: &str, config: &EngineConfig) -> Policy {
    let method = provider.method(op);
    let mut effects = method.iter().flat_map(|method| &method.calls).filter_map(|name| {
        provider.manifest().calls.iter().find(|call| call.name == *name).map(|call| call.effect())
    });
    let only_spends =
        effects.all(|effect| matches!(effect, Effect::Read | Effect::Spend | Effect::Unspecified));
    let effect = provider.effect(op);
    Policy {
        gate: gate(provider, account),
        id_kind: id_kinds(provider.manifest(), op).into_iter().next().unwrap_or_default(),
        evidence: method.map_or(Evidence::Unspecified, |method| method.evidence()),
        effect,
        must_send: effect == Effect::Spend && only_spends,
        absence_is_proof: method.is_some_and(|method| method.absence_is_proof),
        account_shared: provider.config().account_shared,
        settle: failpoint::settle(settle(provider.timing()).unwrap_or(SETTLE_DEFAULT)),
        retry: config.retry,
        look: config.look,
    }
}

/// An account among all accounts of its plugin: what gates are shared by and what claims belong to.
pub(super) fn gate(provider: &Provider, account: &str) -> String {
    format!("{}/{account}", provider.config().plugin)
}

/// The kinds of identifiers that a method's calls make.
pub(super) fn id_kinds(manifest: &Manifest, op: Op) -> Vec<String> {
    let methods = manifest.methods.iter().filter(|method| method.op() == op);
    let names: Vec<&String> = methods.flat_map(|method| &method.calls).collect();
    manifest
        .calls
        .iter()
        .filter(|call| names.contains(&&call.name))
        .flat_map(|call| [&call.success, &call.payment_due])
        .flatten()
        .map(|shape| shape.id_kind.clone())
        .filter(|kind| !kind.is_empty())
        .collect()
}

/// The sum of the five settings; `None` where nobody has said one of them.
pub(super) fn settle(timing: &Timing) -> Option<Duration> {
    let known = [timing.upstream_idle?, timing.upstream_processing?, timing.listing_lag?];
    let sum = PERMIT_LIFE.checked_add(timing.attempt_timeout)?;
    known.into_iter().try_fold(sum, Duration::checked_add)
}

/// Nobody can be asked while the provider is not configured: everything waits.
fn without_provider(operation: &Operation, config: &EngineConfig) -> Policy {
    Policy {
        gate: format!("{}/{}", operation.provider, operation.account),
        id_kind: String::new(),
        evidence: Evidence::Unspecified,
        effect: Effect::Spend,
        must_send: true,
        absence_is_proof: false,
        account_shared: false,
        settle: SETTLE_DEFAULT,
        retry: config.retry,
        look: config.look,
    }
}
