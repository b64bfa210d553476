//! A subject at work: its caller, what it claims, and what every case does with it. It must not know
//! what a case expects.

use std::collections::BTreeMap;

use super::caller::{Caller, ready};
use super::request::Request;
use super::{Failure, Outcome, Sale, Subject};
use crate::op;
use crate::plugin::v1::Op;
use crate::v1::{MethodCapability, Provider};

/// A subject, ready to be asked.
pub(super) struct Stage<'a, S> {
    pub(super) subject: &'a S,
    pub(super) caller: Caller,
    pub(super) claims: Provider,
}

/// The upstream as it was at a moment.
pub(super) struct Moment {
    sales: usize,
    requests: BTreeMap<String, u64>,
}

impl<'a, S: Subject> Stage<'a, S> {
    pub(super) async fn set(subject: &'a S) -> Outcome<Self> {
        let caller = Caller::connect(&subject.gateway(), &subject.provider()).await?;
        let claims = caller.claims().await?;
        Ok(Self { subject, caller, claims })
    }

    /// What is claimed of a method; `None` where it is not claimed.
    pub(super) fn claim(&self, op: Op) -> Option<&MethodCapability> {
        let method = op::info(op)?.method;
        self.claims.methods.iter().find(|claim| claim.method == method)
    }

    /// A request that the upstream fulfils; nothing is disturbed any more.
    pub(super) async fn sample(&self, op: Op) -> Outcome<Request> {
        self.subject.calm().await;
        let sample = self.subject.sample(&self.caller, op).await?;
        let Some(sample) = sample else {
            return Err(Failure::new("claimed but not shown: the subject has no sample"));
        };
        if sample.op() != op {
            let found = sample.op().as_str_name();
            return Err(Failure::new(format_args!("the sample is one of {found}")));
        }
        Ok(ready(sample))
    }

    /// A request that buys again what was given up; `None` where the subject has none.
    pub(super) async fn again(&self, op: Op) -> Outcome<Option<Request>> {
        self.subject.calm().await;
        Ok(self.subject.again(&self.caller, op).await?.map(ready))
    }

    /// How the upstream stands.
    pub(super) async fn moment(&self) -> Moment {
        Moment { sales: self.subject.sales().await.len(), requests: self.subject.requests().await }
    }

    /// What was sold since.
    pub(super) async fn sold_since(&self, moment: &Moment) -> Vec<Sale> {
        self.subject.sales().await.into_iter().skip(moment.sales).collect()
    }

    /// How often a call was received since.
    pub(super) async fn asked_since(&self, moment: &Moment, call: &str) -> u64 {
        let count = |requests: &BTreeMap<String, u64>| requests.get(call).copied().unwrap_or(0);
        count(&self.subject.requests().await).saturating_sub(count(&moment.requests))
    }

    /// How many requests were received since, of whatever kind.
    pub(super) async fn requests_since(&self, moment: &Moment) -> u64 {
        let count = |requests: &BTreeMap<String, u64>| requests.values().sum::<u64>();
        count(&self.subject.requests().await).saturating_sub(count(&moment.requests))
    }

    /// That nothing was sold since, and none of these calls was received.
    pub(super) async fn nothing_since(&self, moment: &Moment, calls: &[String]) -> Outcome<()> {
        let sold = self.sold_since(moment).await;
        if !sold.is_empty() {
            return Err(Failure::new(format_args!("the upstream sold something: {sold:?}")));
        }
        for call in calls {
            let times = self.asked_since(moment, call).await;
            if times > 0 {
                return Err(Failure::new(format_args!("{call} was sent {times} times")));
            }
        }
        Ok(())
    }
}
