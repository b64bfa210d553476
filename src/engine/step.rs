//! One step of a write: evidence first, then the plugin's call, in which the host's egress asks here
//! for the permit before it writes a byte; then the attempt is closed from the host's own record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Progress;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Said;
use purveyor_sdk::plugin::v1::{CallContext, Op, PollOutcome, StepOutcome, Write};

use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, Price, ServiceRef};
use purveyor_sdk::{Error, Result};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::account::{AccountOf, check_owner};
use super::drain::OpenAttempt;
use super::machine::{Closing, Contest, Event, NewAttempt, Now, Policy, apply, locks};
use super::policy::PERMIT_LIFE;
use super::presume::{ask_for_baseline, baseline};
use super::unstored::UnstoredOutcome;
use super::{Engine, observation, price};
use crate::failpoint::{self, Place};
use crate::plugin::{Permit, PermitRequest, Permits, Provider, Spend, Stepped, pause_work};
use crate::store::operation::{Baseline, Lock, Observation, Operation};
use crate::store::{Change, Committed, StoreError};

/// How long it takes at most until what was seen is offered to a failing store again: however long it was
/// away, everything goes on soon after.
const STORE_AGAIN_MAX: Duration = Duration::from_secs(2);

impl Engine {
    /// Runs the next step; `None`: the operation is somebody else's now.
    pub(super) async fn step(&self, accepted: Operation) -> Result<Option<Operation>, StoreError> {
        self.inner.lines.leave(accepted.request_id);
        if let Some((lock, by)) = self.waits_for(&accepted).await? {
            return self.stand_in_line(accepted, lock, by).await;
        }
        let Some(begun) = Box::pin(self.begin(&accepted)).await? else { return Ok(None) };
        let (running, provider, policy) = match begun {
            Begun::Running(running, provider, policy) => (*running, provider, *policy),
            Begun::Rests(operation) => return Ok(Some(*operation)),
        };
        failpoint::pass(Place::Begun);
        if let Some(lost) = policy.unsearched(&running) {
            let since = lost.from;
            return Box::pin(self.presume(running, &provider, &policy, since)).await;
        }
        let (prepared, guards) = match self.prepare(&provider, &policy, &running).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let closing = Closing { spend: None, said: Err(error), contest: None };
                return self.record(running, Event::Closed(closing), &policy).await;
            }
        };
        failpoint::pass(Place::BaselineTaken);
        let mut operation = running;
        operation.baseline = prepared;
        let permits = Arc::new(StepPermits::new(self.clone(), operation.clone(), policy.clone()));
        let context = CallContext { guards, ..context(&operation) };
        let mut stepped = provider
            .step(operation.op, &operation.request, &context, Arc::clone(&permits) as _)
            .await;
        failpoint::misreport(&mut stepped, &operation.provider);
        #[cfg(feature = "failpoints")]
        if failpoint::taken_over(&stepped, &operation.provider) {
            self.taken_over(&operation, &policy).await?;
        }
        Box::pin(self.close(&permits, stepped, &policy)).await
    }

    /// From accepted to running. Where spends of the account are serialised, that is a commit of its
    /// own: nobody else may spend between the evidence and our permit.
    async fn begin(&self, accepted: &Operation) -> Result<Option<Begun>, StoreError> {
        let policy = self.policy(accepted);
        let provider = match self.available(accepted).await {
            Ok(provider) => provider,
            Err(error) => {
                let deferred =
                    self.record(accepted.clone(), Event::Deferred(error), &policy).await?;
                return Ok(deferred.map(Begun::rests));
            }
        };
        let account = self.account_for_step(&provider).await;
        let account = match account.and_then(|account| provider.may_write().map(|()| account)) {
            Ok(account) => account,
            Err(error) => {
                let deferred =
                    self.record(accepted.clone(), Event::Deferred(error), &policy).await?;
                return Ok(deferred.map(Begun::rests));
            }
        };
        let now = self.now().await?;
        let mut named = accepted.clone();
        let belongs = check_owner(accepted, &account);
        let account = AccountOf::new(&account);
        if named.account.is_empty() {
            named.account.clone_from(&account.identity);
            named.account_key.clone_from(&account.key);
        }
        let policy = self.policy(&named);
        let begin = Event::Begin { account, belongs };
        let Some(change) = logged(apply(accepted, begin, &policy, &now)) else {
            return Ok(None);
        };
        let serialised = policy.evidence == Evidence::Difference && policy.effect == Effect::Spend;
        if change.operation.state == State::Running && !serialised {
            return Ok(Some(Begun::running(change.operation, provider, policy)));
        }
        match self.commit(change).await? {
            (Committed::Done, next) if next.state == State::Running => {
                Ok(Some(Begun::running(next, provider, policy)))
            }
            (Committed::Done, next) => Ok(Some(Begun::rests(next))),
            (Committed::Held { lock, by }, _) => {
                let mut waiting = accepted.clone();
                if let Some(earlier) = &mut waiting.baseline {
                    // It waits for what it needs to begin, and not for what an earlier try needed.
                    earlier.similarity.clear();
                }
                let blocked = self.stand_in_line(waiting, lock, by).await?;
                Ok(blocked.map(Begun::rests))
            }
            (Committed::Stale | Committed::Claimed { .. } | Committed::Outdated, _) => Ok(None),
        }
    }

    pub(super) async fn available(&self, operation: &Operation) -> Result<Arc<Provider>> {
        self.provider_of(operation)
    }

    /// What has to be known before the spend: that the price is within the limit, that nothing was renewed
    /// by an operator's word, what is there already, and what guards a payment.
    async fn prepare(
        &self,
        provider: &Arc<Provider>,
        policy: &Policy,
        operation: &Operation,
    ) -> Result<(Option<Baseline>, Vec<ServiceRef>)> {
        if operation.step == 1 {
            self.check_price(provider, operation).await?;
        }
        let renewed = self.renewed(provider, operation).await?;
        self.check_pairs(provider, operation, policy, &renewed).await?;
        let guards = if operation.op == Op::PayOrder { renewed } else { Vec::new() };
        let context = CallContext { guards, ..context(operation) };
        let baseline = self.take_baseline(provider, policy, operation, &context).await?;
        Ok((baseline, context.guards))
    }

    async fn take_baseline(
        &self,
        provider: &Arc<Provider>,
        policy: &Policy,
        operation: &Operation,
        context: &CallContext,
    ) -> Result<Option<Baseline>> {
        if !policy.can_search() || policy.effect < Effect::Setting {
            return Ok(None);
        }
        match ask_for_baseline(provider, operation, context, None).await {
            Ok(answer) => Ok(Some(baseline(answer))),
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn close(
        &self,
        permits: &StepPermits,
        stepped: Stepped,
        policy: &Policy,
    ) -> Result<Option<Operation>, StoreError> {
        let mut run = permits.run.lock().await;
        // Open until its outcome is stored.
        let _open = run.open.take();
        let operation = run.operation.clone();
        permits.closed.store(true, Ordering::Release);
        if run.lost {
            return Ok(None);
        }
        #[cfg(feature = "failpoints")]
        if failpoint::contested(&stepped, &operation.provider) {
            let closing = Closing { spend: stepped.spend, said: stepped.said, contest: None };
            self.contested(&operation, &closing, policy).await?;
            return Ok(None);
        }
        let mut held = locks(&operation, policy);
        let closed = match run.held.clone() {
            Some((lock, by)) => {
                // What was refused was never held, and letting it go would wake ourselves.
                held.retain(|ours| *ours != lock);
                self.stand_in_line(operation, lock, by).await?
            }
            None => {
                let closing = Closing { spend: stepped.spend, said: stepped.said, contest: None };
                failpoint::pass(Place::Closing);
                self.record(operation, Event::Closed(closing), policy).await?
            }
        };
        if let Some(closed) = &closed {
            self.let_go(&held, closed).await;
        }
        Ok(closed)
    }

    /// Applies an event and commits it. What has been seen upstream is not given up because the
    /// store fails for a while; what a stop gives up is found out again at the next start.
    ///
    /// Boxed, because it holds operations by value and is awaited from everywhere.
    pub(super) fn record<'a>(
        &'a self,
        operation: Operation,
        event: Event,
        policy: &'a Policy,
    ) -> BoxFuture<'a, Result<Option<Operation>, StoreError>> {
        Box::pin(self.record_inner(operation, event, policy))
    }

    async fn record_inner(
        &self,
        operation: Operation,
        event: Event,
        policy: &Policy,
    ) -> Result<Option<Operation>, StoreError> {
        let spend = spend_of(&event);
        let spent = spend.is_some();
        let mut unstored = UnstoredOutcome::new(spend);
        let next_price = next_price(&event);
        let step_ended = matches!(event, Event::Closed(_));
        let polled = matches!(event, Event::Polled(_));
        let observation = observation_of(&operation, &event);
        let now = self.time_of_record(spent).await?;
        let Some(mut change) = logged(apply(&operation, event, policy, &now)) else {
            return Ok(None);
        };
        if let Err(error) = within_limit(&change.operation, next_price.as_ref())
            && let Some(refused) =
                logged(apply(&change.operation, Event::Refused(error), policy, &now))
        {
            change = Change { claims: change.claims, ..refused };
        }
        change.observation.clone_from(&observation);
        // Its time is that of the decision, however often it is offered.
        let _committing = self.inner.committing.begin(change.operation.update_time);
        let mut tries = 0;
        loop {
            let refused = match self.commit_taking(change.clone()).await {
                Ok((Committed::Done, next)) => return Ok(Some(next)),
                Ok((refused, _)) => refused,
                Err(error) => {
                    unstored.log(&change, &error);
                    // SQLite says of a disk that cannot be read that the file is corrupt, so that is
                    // not given up.
                    if matches!(error, StoreError::Invalid(_)) || self.gives_up(spent) {
                        return Err(error);
                    }
                    Self::back_off(self.inner.config.retry.delay(tries).min(STORE_AGAIN_MAX)).await;
                    tries += 1;
                    continue;
                }
            };
            match refused {
                // What was made upstream is somebody's to pay or cancel already. That ends; what was
                // seen has to be kept.
                Committed::Held { lock, by } if step_ended && !self.stopping() => {
                    tracing::warn!(
                        request_id = %operation.request_id, lock = lock.0, %by,
                        "what was seen upstream waits for another operation"
                    );
                    Self::back_off(self.inner.config.retry.delay(tries)).await;
                    tries += 1;
                }
                Committed::Claimed { claim, by, .. } if polled => {
                    let contest = Contest { by, upstream_id: claim.upstream_id };
                    return self.record(operation, Event::Contested(contest), policy).await;
                }
                Committed::Claimed { claim, by, .. } if step_ended && observation.is_none() => {
                    let reason =
                        format!("{} belongs to operations/{by} already", claim.upstream_id);
                    let said = Err(Error::new(ErrorReason::DuplicateDetected, reason));
                    let closing = Closing { spend: None, said, contest: None };
                    return self.record(operation, Event::Closed(closing), policy).await;
                }
                refused => {
                    changed_by_others(&operation, &refused);
                    if let Some(observation) = observation {
                        self.keep_observed(operation.request_id, observation).await?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// What the host observed is never dropped: it is offered to the store until it is there.
    async fn keep_observed(
        &self,
        request_id: Uuid,
        observation: Observation,
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            let Err(error) = self.observed(request_id, observation.clone()).await else {
                return Ok(());
            };
            if self.gives_up(true) {
                return Err(error);
            }
            tracing::error!(
                %request_id, nonce = %observation.nonce, observed = ?observation.observed,
                upstream_id = observation.upstream_id, %error,
                "an observation cannot be stored; trying again"
            );
            Self::back_off(self.inner.config.retry.delay(tries).min(STORE_AGAIN_MAX)).await;
            tries += 1;
        }
    }
}

fn changed_by_others(operation: &Operation, refused: &Committed) {
    tracing::warn!(
        request_id = %operation.request_id, provider = operation.provider, ?refused,
        "an operation was changed by somebody else"
    );
}

/// What the host saw of the request that the step sent.
fn spend_of(event: &Event) -> Option<Spend> {
    let Event::Closed(closing) = event else { return None };
    closing.spend.clone()
}

/// What the host observed of the attempt whose permit is open.
fn observation_of(operation: &Operation, event: &Event) -> Option<Observation> {
    #[cfg(feature = "failpoints")]
    if failpoint::control(failpoint::Control::LateAnswerDropped) {
        return None;
    }
    let Event::Closed(closing) = event else { return None };
    let open = operation.attempts.last().filter(|it| it.outcome == Outcome::Unspecified)?;
    observation::of(open.nonce, closing)
}

impl Engine {
    /// Waits before the store is asked again, and leaves the place to others meanwhile.
    async fn back_off(delay: Duration) {
        pause_work();
        tokio::time::sleep(delay).await;
    }

    /// The time of what was seen upstream. While the store acknowledges no heartbeat it commits nothing
    /// either, so it is tried again as long as the commit would be.
    async fn time_of_record(&self, spent: bool) -> Result<Now, StoreError> {
        let mut tries = 0;
        loop {
            match self.now().await {
                Err(error) if !self.gives_up(spent) => {
                    tracing::error!(%error, "the store's age is not known; trying again");
                    Self::back_off(self.inner.config.retry.delay(tries).min(STORE_AGAIN_MAX)).await;
                    tries += 1;
                }
                known => return known,
            }
        }
    }
}

/// What the next step will charge, where the step that ended tells it.
fn next_price(event: &Event) -> Option<Price> {
    let next = match event {
        Event::Closed(Closing {
            said: Ok(StepOutcome { outcome: Some(Said::Next(next)) }),
            ..
        }) => next,
        Event::Polled(PollOutcome { outcome: Some(Progress::Next(next)) }) => next,
        _ => return None,
    };
    next.price.clone()
}

/// The limit holds for every step that tells its price, not only for the first.
fn within_limit(operation: &Operation, next_price: Option<&Price>) -> Result<()> {
    let Some(price) = next_price else { return Ok(()) };
    if operation.state != State::Accepted {
        return Ok(());
    }
    match price::limit(operation)? {
        Some(limit) => price::within(Some(price), &limit),
        None => Ok(()),
    }
}

enum Begun {
    Running(Box<Operation>, Arc<Provider>, Box<Policy>),
    Rests(Box<Operation>),
}

impl Begun {
    fn running(operation: Operation, provider: Arc<Provider>, policy: Policy) -> Self {
        Self::Running(Box::new(operation), provider, Box::new(policy))
    }

    fn rests(operation: Operation) -> Self {
        Self::Rests(Box::new(operation))
    }
}

/// The permits of one step. The egress asks; nothing is written unless the commit was acknowledged.
struct StepPermits {
    engine: Engine,
    policy: Policy,
    run: Mutex<Run>,
    /// The step has ended, and whoever ended it stores what was observed.
    closed: Arc<AtomicBool>,
}

struct Run {
    operation: Operation,
    /// What this spend needs, and who holds it.
    held: Option<(Lock, Uuid)>,
    /// Somebody else has changed the operation.
    lost: bool,
    /// From the permit until the outcome is stored.
    open: Option<OpenAttempt>,
}

impl StepPermits {
    fn new(engine: Engine, operation: Operation, policy: Policy) -> StepPermits {
        let run = Run { operation, held: None, lost: false, open: None };
        StepPermits { engine, policy, run: Mutex::new(run), closed: Arc::default() }
    }

    /// What forbids a spend whatever the state of its operation.
    fn check_spend(&self, run: &Run, request: &PermitRequest) -> Result<()> {
        if self.engine.stopping() {
            let message = "the gateway is stopping and sends nothing more";
            return Err(Error::new(ErrorReason::ProviderUnavailable, message));
        }
        // A commit that succeeds between two that fail is no ground to spend on.
        if !self.engine.inner.store.healthy() {
            let message = "the journal is sick, and nothing is spent meanwhile";
            return Err(Error::new(ErrorReason::StoreUnavailable, message));
        }
        if let Some(provider) = self.engine.inner.providers.get(&run.operation.provider) {
            // Another process may have learnt it since the step began.
            provider.may_write()?;
        }
        if request.effect == Effect::Spend
            && let Some(limit) = price::limit(&run.operation)?
        {
            // What was quoted may have changed since.
            price::within(request.price.as_ref(), &limit)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Permits for StepPermits {
    async fn permit(&self, request: PermitRequest) -> Result<Permit> {
        let mut run = self.run.lock().await;
        // Counted before the look: a stop that begins between them waits for this attempt.
        let open = self.engine.inner.attempts.open();
        self.check_spend(&run, &request)?;
        let now = self.engine.now().await?;
        let deadline = self.engine.inner.clock.boot().plus(PERMIT_LIFE);
        let attempt = NewAttempt {
            nonce: Uuid::new_v4(),
            call: request.call,
            effect: request.effect,
            plugin: format!("{} {}", request.plugin.name, request.plugin.version),
            plugin_sha256: request.plugin.sha256.clone(),
        };
        let change = apply(&run.operation, Event::Permitted(attempt), &self.policy, &now)
            .map_err(|refusal| Error::new(ErrorReason::OperationState, refusal.to_string()))?;
        failpoint::pass(Place::Permitting);
        match self.engine.commit(change).await? {
            (Committed::Done, operation) => {
                let attempt = operation.attempts.len() as u32;
                run.operation = operation;
                run.open = Some(open);
                // Asked after the commit: it may have gone to a store that took the place of another.
                match self.engine.inner.store.doubt() {
                    None => Ok(Permit { attempt, deadline }),
                    Some(doubt) => Err(Error::new(ErrorReason::StoreUnavailable, doubt)),
                }
            }
            (Committed::Held { lock, by }, _) => {
                run.held = Some((lock, by));
                Err(self.engine.blocker(by).await?.in_progress("a similar spend is not decided"))
            }
            (refused @ (Committed::Stale | Committed::Claimed { .. } | Committed::Outdated), _) => {
                run.lost = true;
                changed_by_others(&run.operation, &refused);
                let message = "the operation was changed by somebody else";
                Err(Error::new(ErrorReason::OperationState, message))
            }
        }
    }

    async fn observed(&self, spend: &Spend) {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::LateAnswerDropped) {
            return;
        }
        let run = self.run.lock().await;
        let open = run.operation.attempts.last();
        let Some(open) = open.filter(|it| it.outcome == Outcome::Unspecified) else { return };
        let said = Err(Error::new(ErrorReason::PluginFault, "the plugin had not answered"));
        let closing = Closing { spend: Some(spend.clone()), said, contest: None };
        if let Some(observation) = observation::of(open.nonce, &closing) {
            let closed = Arc::clone(&self.closed);
            self.engine.observe_unless(closed, run.operation.request_id, observation);
        }
    }
}

/// The write as the plugin is told of it.
pub(super) fn write(operation: &Operation) -> Write {
    Write {
        op: operation.op.into(),
        request: operation.request.clone(),
        request_id: operation.request_id.to_string(),
        upstream_ids: operation.upstream_target.clone(),
    }
}

/// What the plugin is told beside the request.
pub(super) fn context(operation: &Operation) -> CallContext {
    CallContext {
        upstream_ids: operation.upstream_target.clone(),
        handle: operation.handle.clone(),
        baseline: operation
            .baseline
            .as_ref()
            .map(|baseline| baseline.evidence.clone())
            .unwrap_or_default(),
        request_id: operation.request_id.to_string(),
        step: i32::try_from(operation.step).unwrap_or(i32::MAX),
        guards: Vec::new(),
    }
}

/// A refusal of the machine is a defect of the engine: said loudly, and nothing is changed.
pub(super) fn logged<T>(applied: Result<T, super::machine::Refusal>) -> Option<T> {
    match applied {
        Ok(applied) => Some(applied),
        Err(refusal) => {
            tracing::error!(%refusal, "an event was refused");
            None
        }
    }
}
