//! What the manifest and the configuration say about one method of one provider, in the words of the
//! machine.

use std::time::Duration;

use purveyor_sdk::plugin::v1::{Manifest, Op};
use purveyor_sdk::v1::{Effect, Evidence};

use super::machine::Policy;
use super::{Engine, EngineConfig};
use crate::failpoint;
use crate::plugin::{Account, Provider, Timing};
use crate::store::confirmation::LostTime;
use crate::store::operation::Operation;

/// How long a permit may wait until the first byte is written.
pub const PERMIT_LIFE: Duration = Duration::from_secs(2);

/// Where a plugin declares nothing, absence counts after this.
pub(super) const SETTLE_DEFAULT: Duration = Duration::from_secs(15 * 60);

impl Engine {
    /// The policy that an operation is carried out by now.
    pub(super) fn policy(&self, operation: &Operation) -> Policy {
        let policy = match self.inner.providers.get(&operation.provider) {
            Some(provider) => of(&provider, operation, &self.inner.config),
            None => without_provider(operation, &self.inner.config),
        };
        Policy { lost: self.lost_time(), ..policy }
    }

    /// The time that the store may lack, as long as operations are searched for because of it.
    pub(super) fn lost_time(&self) -> Option<LostTime> {
        let age = self.inner.store.age().age;
        self.inner.store.lost_time().filter(|lost| lost.lasts(age))
    }
}

fn of(provider: &Provider, operation: &Operation, config: &EngineConfig) -> Policy {
    let op = operation.op;
    let method = provider.method(op);
    let mut effects = method.iter().flat_map(|method| &method.calls).filter_map(|name| {
        provider.manifest().calls.iter().find(|call| call.name == *name).map(|call| call.effect())
    });
    let only_spends =
        effects.all(|effect| matches!(effect, Effect::Read | Effect::Spend | Effect::Unspecified));
    let effect = provider.effect(op);
    let names = names(provider, operation);
    Policy {
        gate: names.gate,
        aliases: names.aliases,
        legacy_gate: names.legacy_gate,
        id_kind: id_kinds(provider.manifest(), op).into_iter().next().unwrap_or_default(),
        evidence: method.map_or(Evidence::Unspecified, |method| method.evidence()),
        effect,
        must_send: effect == Effect::Spend && only_spends,
        absence_is_proof: method.is_some_and(|method| method.absence_is_proof),
        account_shared: provider.config().account_shared,
        lost: None,
        settle: failpoint::settle(settle(provider.timing()).unwrap_or(SETTLE_DEFAULT)),
        effect_lag: provider.effect_lag(op).unwrap_or(SETTLE_DEFAULT),
        retry: config.retry,
        look: config.look,
    }
}

/// What an account's locks and claims are stored under.
pub(super) struct AccountNames {
    /// The account's key; empty while nobody knows the account.
    pub gate: String,
    /// Its keys under other settings.
    pub aliases: Vec<String>,
    /// Its name in older versions.
    pub legacy_gate: Option<String>,
}

impl AccountNames {
    /// Those of an account that is known.
    pub(super) fn of(account: &Account) -> AccountNames {
        AccountNames {
            gate: account.key.to_string(),
            aliases: account.aliases.clone(),
            legacy_gate: account.legacy_key.clone(),
        }
    }

    /// All of them, the account's key first.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.gate).chain(&self.aliases).chain(&self.legacy_gate)
    }
}

/// As the provider's account is known now, if the operation belongs to it; else as it was stored.
fn names(provider: &Provider, operation: &Operation) -> AccountNames {
    let account = provider.account();
    let account = account.filter(|it| it.owns(&operation.account, &operation.account_key));
    match account {
        Some(account) => AccountNames::of(&account),
        None => stored_names(&provider.config().plugin, operation),
    }
}

fn stored_names(plugin: &str, operation: &Operation) -> AccountNames {
    let legacy = format!("{plugin}/{}", operation.account);
    let gate = match (operation.account.as_str(), operation.account_key.as_str()) {
        ("", _) => String::new(),
        (_, "") => legacy,
        (_, key) => key.to_owned(),
    };
    AccountNames { gate, aliases: Vec::new(), legacy_gate: None }
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

/// How long something that exists may be missing from the provider's listings.
pub(super) fn listing_lag(provider: &Provider) -> Duration {
    provider.timing().listing_lag.unwrap_or(SETTLE_DEFAULT)
}

/// The sum of the five settings; `None` where nobody has said one of them.
pub(super) fn settle(timing: &Timing) -> Option<Duration> {
    let known = [timing.upstream_idle?, timing.upstream_processing?, timing.listing_lag?];
    let sum = PERMIT_LIFE.checked_add(timing.attempt_timeout)?;
    known.into_iter().try_fold(sum, Duration::checked_add)
}

/// Nobody can be asked while the provider is not configured: everything waits.
fn without_provider(operation: &Operation, config: &EngineConfig) -> Policy {
    let names = stored_names(&operation.provider, operation);
    Policy {
        gate: names.gate,
        aliases: names.aliases,
        legacy_gate: names.legacy_gate,
        id_kind: String::new(),
        evidence: Evidence::Unspecified,
        effect: Effect::Spend,
        must_send: true,
        absence_is_proof: false,
        account_shared: false,
        lost: None,
        settle: SETTLE_DEFAULT,
        effect_lag: SETTLE_DEFAULT,
        retry: config.retry,
        look: config.look,
    }
}
