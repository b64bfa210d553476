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
use crate::store::operation::{Operation, Safety};

/// How long a permit may wait until the first byte is written.
pub const PERMIT_LIFE: Duration = Duration::from_secs(2);

/// Where a plugin declares nothing, absence counts after this.
pub(super) const SETTLE_DEFAULT: Duration = Duration::from_secs(15 * 60);

impl Engine {
    /// The policy that an operation is carried out by now: what the manifest and the configuration say, and
    /// never less safe than what they said when it was accepted.
    pub(super) fn policy(&self, operation: &Operation) -> Policy {
        let provider = self.inner.providers.get(&operation.provider);
        let present = provider.as_ref().and_then(|provider| safety(provider, operation.op));
        let mut policy = match &provider {
            Some(provider) => of(provider, operation, &self.inner.config),
            None => without_provider(operation, &self.inner.config),
        };
        if let Some(stored) = &operation.safety {
            let safety = present.map_or_else(|| stored.clone(), |it| safer(stored, it));
            policy.id_kind = safety.id_kind;
            policy.evidence = safety.evidence;
            policy.effect = safety.effect;
            policy.absence_is_proof = safety.absence_is_proof;
            policy.account_shared |= safety.account_shared;
            policy.settle = policy.settle.max(safety.settle);
            policy.effect_lag = policy.effect_lag.max(safety.effect_lag);
        }
        policy.settle = failpoint::settle(policy.settle);
        policy.lost = self.inner.store.lost_time();
        policy.lost_lasts = self.lost_time().is_some();
        policy.ends = matches!(operation.op, Op::TerminateService | Op::DeleteProduct);
        policy
    }

    /// The time that the store may lack, as long as operations are searched for because of it.
    pub(super) fn lost_time(&self) -> Option<LostTime> {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::RestoredBackup) {
            return None;
        }
        let age = self.inner.store.age().age;
        self.inner.store.lost_time().filter(|lost| lost.lasts(age))
    }
}

/// What an operation that is accepted now is kept safe by; `None` while no plugin tells.
pub(super) fn safety(provider: &Provider, op: Op) -> Option<Safety> {
    provider.plugin_info()?;
    let method = provider.method(op);
    Some(Safety {
        evidence: method.map_or(Evidence::Unspecified, |method| method.evidence()),
        effect: provider.effect(op),
        settle: settle(provider.timing()).unwrap_or(SETTLE_DEFAULT),
        absence_is_proof: method.is_some_and(|method| method.absence_is_proof),
        account_shared: provider.config().account_shared,
        id_kind: id_kinds(provider.manifest(), op).into_iter().next().unwrap_or_default(),
        effect_lag: provider.effect_lag(op).unwrap_or(SETTLE_DEFAULT),
    })
}

/// Whichever of both is safer. The identifiers keep the kind that they are claimed under.
fn safer(stored: &Safety, present: Safety) -> Safety {
    let weaker = if strength(present.evidence) < strength(stored.evidence) {
        present.evidence
    } else {
        stored.evidence
    };
    Safety {
        evidence: weaker,
        effect: if present.effect as i32 > stored.effect as i32 {
            present.effect
        } else {
            stored.effect
        },
        settle: stored.settle.max(present.settle),
        absence_is_proof: stored.absence_is_proof && present.absence_is_proof,
        account_shared: stored.account_shared || present.account_shared,
        id_kind: stored.id_kind.clone(),
        effect_lag: stored.effect_lag.max(present.effect_lag),
    }
}

/// How much an unknown outcome can be found out by, in order.
fn strength(evidence: Evidence) -> u8 {
    match evidence {
        Evidence::Unspecified | Evidence::None => 0,
        Evidence::Difference => 1,
        Evidence::Natural => 2,
        Evidence::Reference => 3,
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
        ends: false,
        must_send: effect == Effect::Spend && only_spends,
        absence_is_proof: method.is_some_and(|method| method.absence_is_proof),
        account_shared: provider.config().account_shared,
        settle: settle(provider.timing()).unwrap_or(SETTLE_DEFAULT),
        lost: None,
        lost_lasts: false,
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

/// Nobody can be asked while the provider is not configured, and nothing of its operations is changed. What
/// they hold is only read.
fn without_provider(operation: &Operation, config: &EngineConfig) -> Policy {
    let names = stored_names(&operation.provider, operation);
    Policy {
        gate: names.gate,
        aliases: names.aliases,
        legacy_gate: names.legacy_gate,
        id_kind: String::new(),
        evidence: Evidence::Unspecified,
        effect: Effect::Spend,
        ends: false,
        must_send: true,
        absence_is_proof: false,
        account_shared: false,
        lost: None,
        lost_lasts: false,
        settle: SETTLE_DEFAULT,
        effect_lag: SETTLE_DEFAULT,
        retry: config.retry,
        look: config.look,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use purveyor_sdk::plugin::v1::Op;
    use purveyor_sdk::v1::operation::State;

    use super::{Effect, Evidence, Operation, Safety, safer};
    use crate::engine::made_here::tests::operation;
    use crate::engine::naming::tests::engine;

    fn safety(evidence: Evidence, seconds: u64, careful: bool) -> Safety {
        Safety {
            evidence,
            effect: if careful { Effect::Spend } else { Effect::Setting },
            settle: Duration::from_secs(seconds),
            absence_is_proof: !careful,
            account_shared: careful,
            id_kind: format!("of {seconds}"),
            effect_lag: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn safer_takes_the_weaker_evidence_and_the_longer_times() {
        use Evidence::{Difference, Natural, None, Reference};
        for (stored, present, weaker) in [
            (Reference, Natural, Natural),
            (Natural, Reference, Natural),
            (Natural, Difference, Difference),
            (None, Difference, None),
            (Difference, None, None),
        ] {
            let (short, long) = (safety(stored, 1, false), safety(present, 900, true));
            let expected = Safety { id_kind: "of 1".to_owned(), ..safety(weaker, 900, true) };
            assert_eq!(safer(&short, long), expected, "{stored:?} {present:?}");
            let (long, short) = (safety(stored, 900, true), safety(present, 1, false));
            assert_eq!(safer(&long, short), safety(weaker, 900, true), "{stored:?} {present:?}");
        }
    }

    /// `acme` has no plugin, and `elsewhere` is not configured.
    #[tokio::test]
    async fn policy_without_a_plugin_is_the_stored_one() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder).await;
        for provider in ["acme", "elsewhere"] {
            let stored = safety(Evidence::Difference, 5000, true);
            let operation = Operation {
                provider: provider.to_owned(),
                safety: Some(stored.clone()),
                ..operation(Op::CreateOrder, State::Accepted)
            };
            let policy = engine.policy(&operation);
            assert_eq!((policy.evidence, policy.effect), (stored.evidence, stored.effect));
            assert_eq!((policy.settle, policy.effect_lag), (stored.settle, stored.effect_lag));
            assert_eq!(policy.id_kind, stored.id_kind);
            assert!(policy.account_shared && !policy.absence_is_proof);
            let older = engine.policy(&Operation { safety: None, ..operation });
            assert_eq!(older.evidence, Evidence::Unspecified);
        }
    }
}
