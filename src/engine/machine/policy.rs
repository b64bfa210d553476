//! What decides beside the events: how one method of one provider is carried out.

use std::time::Duration;

use purveyor_sdk::v1::operation::Outcome;
use purveyor_sdk::v1::{Effect, Evidence};

use crate::store::confirmation::LostTime;
use crate::store::operation::{Attempt, Operation};

/// What the plugin's manifest and the configuration say about one method of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The account's key, which its locks and claims belong to; empty while nobody knows the account.
    pub gate: String,
    /// The account's keys under other settings of the configuration.
    pub aliases: Vec<String>,
    /// The account's name in older versions, for one version more.
    pub legacy_gate: Option<String>,
    /// The kind of identifier that the method's calls make; empty where they make none.
    pub id_kind: String,
    /// How an unknown outcome is found out.
    pub evidence: Evidence,
    /// The strongest effect of the method's calls.
    pub effect: Effect,
    /// Whether it ends what it names, whose id the upstream may give to another object then.
    pub ends: bool,
    /// Whether a step that sent nothing can end the write as done.
    pub must_send: bool,
    /// Whether absence after the settle window leads to the next attempt.
    pub absence_is_proof: bool,
    /// Whether somebody else may buy on the same account.
    pub account_shared: bool,
    /// The time that the store lacks, or has lacked: what was sent then is not known. `None`: it never
    /// lacked anything.
    pub lost: Option<LostTime>,
    /// Whether operations are still searched for because of it.
    pub lost_lasts: bool,
    /// From a lost answer until absence counts.
    pub settle: Duration,
    /// How long the effect may lag behind the upstream's final word.
    pub effect_lag: Duration,
    /// How attempts that may be repeated are spaced.
    pub retry: Backoff,
    /// How looks at an unknown outcome are spaced.
    pub look: Backoff,
}

impl Policy {
    /// Whether the upstream can be asked what became of a request.
    pub fn can_search(&self) -> bool {
        !matches!(self.evidence, Evidence::None | Evidence::Unspecified)
    }

    /// The time of which it is not known whether the operation's next spend was sent then, or what it ends was
    /// ended then. What follows an attempt that was made or searched for since the confirmation was not.
    pub fn unsearched(&self, operation: &Operation) -> Option<&LostTime> {
        // Who asks for an end after the confirmation means what has the id now.
        let may_be_another =
            |lost: &LostTime| self.ends && operation.create_age < lost.confirmed_age;
        let doubtful = |lost: &&LostTime| self.effect == Effect::Spend || may_be_another(lost);
        let lost = self.lost.as_ref().filter(|_| self.lost_lasts).filter(doubtful)?;
        let known = operation.attempts.iter().any(|attempt| {
            attempt.outcome != Outcome::NotSent && attempt.permit_age >= lost.confirmed_age
        });
        (!known).then_some(lost)
    }

    /// Whether what is new since an attempt's baseline may have been made by a request that the store lacks.
    pub fn may_be_of_lost(&self, attempt: &Attempt) -> bool {
        let before = |lost: &LostTime| attempt.permit_age < lost.confirmed_age;
        attempt.is_presumed() || (self.lost_lasts && self.lost.as_ref().is_some_and(before))
    }
}

/// Doubling delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// No delay is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The delay after `tries` earlier ones.
    pub fn delay(&self, tries: u32) -> Duration {
        let factor = 2u32.saturating_pow(tries.min(20));
        self.first.saturating_mul(factor).min(self.longest)
    }
}
