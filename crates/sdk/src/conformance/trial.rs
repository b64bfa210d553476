//! A write whose upstream is disturbed and watched: what the cases about effects and about absence do. It
//! must not know what a case expects.

use std::time::Duration;

use super::caller::{ready, told, until};
use super::losses::{Trace, Traced, kinds, resolved};
use super::request::Request;
use super::stage::{Moment, Stage};
use super::{Disturbance, Failure, Happening, Outcome, Sale, Subject};
use crate::plugin::v1::Op;
use crate::v1::Operation;
use crate::v1::operation::{Result as Came, State};

/// A write in the making, since a moment.
pub(super) struct Trial<'a, S> {
    pub(super) stage: &'a Stage<'a, S>,
    pub(super) trace: &'a Trace,
    /// The first of its calls that does more than prepare.
    pub(super) call: &'a Traced,
    pub(super) moment: Moment,
}

impl<'a, S: Subject> Trial<'a, S> {
    pub(super) async fn begin(stage: &'a Stage<'a, S>, trace: &'a Trace, call: &'a Traced) -> Self {
        Self { stage, trace, call, moment: stage.moment().await }
    }

    /// Brings the upstream to go wrong at the call.
    pub(super) async fn disturb(&self, disturbance: Disturbance) -> Outcome<()> {
        if self.stage.subject.disturb(&self.call.name, disturbance).await? {
            return Ok(());
        }
        Err(Failure::new(
            "the upstream cannot go wrong like this, and the subject does not omit it",
        ))
    }

    pub(super) async fn happens(&self, happening: Happening<'_>) -> Outcome<()> {
        self.stage.subject.happens(happening).await
    }

    /// Sends the write; the name of its operation.
    pub(super) async fn send(&self, sample: Request) -> Outcome<String> {
        Ok(self.stage.caller.accepted(ready(sample)).await?.name)
    }

    /// Waits until the upstream has received the call.
    pub(super) async fn reached(&self) -> Outcome<()> {
        until("the upstream has the call", async || Ok((self.sent().await > 0).then_some(()))).await
    }

    /// Waits until something is sold.
    pub(super) async fn sale(&self) -> Outcome<Sale> {
        let sold = async || Ok(self.sold().await.into_iter().next());
        until("the upstream has sold it", sold).await
    }

    /// How often the call was received.
    pub(super) async fn sent(&self) -> u64 {
        self.stage.asked_since(&self.moment, &self.call.name).await
    }

    pub(super) async fn sold(&self) -> Vec<Sale> {
        self.stage.sold_since(&self.moment).await
    }

    /// That the write did what it does when nothing goes wrong, once, with a call that was sent so often
    /// more.
    pub(super) async fn is_whole(&self, again: u64) -> Outcome<()> {
        self.has_sold(&self.trace.sold).await?;
        self.was_sent(again).await
    }

    /// That nothing was sold, and the call was not sent again.
    pub(super) async fn is_undone(&self) -> Outcome<()> {
        self.has_sold(&[]).await?;
        self.was_sent(0).await
    }

    pub(super) async fn has_sold(&self, expected: &[String]) -> Outcome<()> {
        let sold = kinds(&self.sold().await);
        if sold == expected {
            return Ok(());
        }
        Err(Failure::new(format_args!("sold {sold:?} instead of {expected:?}")))
    }

    async fn was_sent(&self, again: u64) -> Outcome<()> {
        let (sent, expected) = (self.sent().await, self.call.times + again);
        if sent == expected {
            return Ok(());
        }
        Err(Failure::new(format_args!("sent {sent} times instead of {expected}")))
    }

    /// The operation once it is done or needs an operator.
    pub(super) async fn rests(&self, name: &str) -> Outcome<Operation> {
        self.stage.caller.rests(name).await
    }

    /// The operation once it is done, whether it needed an operator for a while or not.
    pub(super) async fn ends(&self, name: &str) -> Outcome<Operation> {
        self.stage.caller.becomes(name, |it| it.done).await
    }

    /// That an operator who names what was sold ends what the gateway cannot.
    pub(super) async fn is_resolved(&self, operation: &Operation) -> Outcome<()> {
        let sold = self.sold().await;
        self.stage.subject.calm().await;
        resolved(self.stage, operation, sold.first()).await
    }

    /// That no other write of the target of an open operation is begun. What is made new has no target.
    pub(super) async fn is_locked(&self, name: &str, sample: &Request) -> Outcome<()> {
        if matches!(self.trace.op, Op::CreateOrder | Op::CreateProduct) {
            return Ok(());
        }
        match another(sample).send(&self.stage.caller).await {
            Err(refusal) if refusal.reason == "OPERATION_IN_PROGRESS" => Ok(()),
            Err(refusal) => Err(refusal.into()),
            Ok(_) => Err(Failure::new(format_args!("another write began while {name} is open"))),
        }
    }
}

/// That an operation is in a state, and has this reason where one is given.
pub(super) fn is_in(operation: &Operation, state: State, reason: &str) -> Outcome<()> {
    let error = match &operation.result {
        Some(Came::Error(error)) => Some(error),
        _ => operation.problem.as_ref(),
    };
    let known = reason.is_empty() || error.is_some_and(|error| error.reason == reason);
    if operation.state() == state && known {
        return Ok(());
    }
    let (state, told) = (state.as_str_name(), told(operation));
    let problem = operation.problem.as_ref().map_or("", |problem| problem.reason.as_str());
    Err(Failure::new(format_args!("expected {state} {reason}, got {problem} {told}")))
}

/// The same request under an identifier of its own.
pub(super) fn another(request: &Request) -> Request {
    let mut request = request.clone();
    if let Some(frame) = request.frame() {
        frame.request_id.clear();
    }
    ready(request)
}

/// How long some milliseconds are.
pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
