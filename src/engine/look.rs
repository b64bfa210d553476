//! Looking for what became of a request whose answer was lost. Reads only.

use std::time::Duration;

use prost::Message;
use prost_types::Timestamp;
use purveyor_sdk::plugin::v1::find_request::Attempt;
use purveyor_sdk::plugin::v1::find_response::Outcome as Finding;
use purveyor_sdk::plugin::v1::{CallContext, CallKind, FindRequest, FindResponse, Op};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, UpstreamRef};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::Engine;
use super::account::{check_owner, owned};
use super::machine::{
    Event, LateFinding, Looked, Now, Policy, apply, locks, renewal_order, transient,
};
use super::policy::{SETTLE_DEFAULT, listing_lag};
use super::step::{context, logged, write};
use super::unstored::log_whole;
use crate::failpoint::{self, Place};
use crate::plugin::Provider;
use crate::store::age::Age;
use crate::store::operation::{Claim, GivenUp, Operation};
use crate::store::{self, Change, Committed, PAGE_MAX, Query, StoreError};

/// How many objects are named by which a listing is seen to be whole.
const WITNESSES: usize = 4;

/// How much earlier than the lost time a plugin may call something new: upstreams date by clocks and zones
/// of their own.
const LOST_MARGIN: Duration = Duration::from_secs(48 * 3600);

impl Engine {
    /// Looks once; `None`: the operation is somebody else's now.
    pub(super) async fn look(&self, operation: Operation) -> Result<Option<Operation>, StoreError> {
        let policy = self.policy(&operation);
        let asked = self.now().await?.age;
        let event = match self.find(&operation).await {
            Ok(event) => self.unless_claimed(&operation, &policy, event).await?,
            Err(error) => Event::LookFailed(error),
        };
        failpoint::pass(Place::Looked);
        let mut now = self.now().await?;
        let absent = |looked: &Looked| matches!(looked.response.outcome, Some(Finding::Absent(_)));
        if matches!(&event, Event::Looked(looked) if absent(looked)) {
            // What was not there then may have come since: an answer may take as long as a window.
            now.age = asked;
        }
        let Some(change) = logged(apply(&operation, event, &policy, &now)) else {
            return Ok(None);
        };
        let held = locks(&operation, &policy);
        match self.commit_finding(&operation, change).await? {
            (Committed::Done, next) => {
                self.let_go(&held, &next).await;
                Ok(Some(next))
            }
            (Committed::Claimed { claim, by, .. }, _) => {
                let event = Event::FoundClaimed { by, upstream_id: claim.upstream_id };
                self.record(operation, event, &policy).await
            }
            (Committed::Stale | Committed::Held { .. } | Committed::Outdated, _) => Ok(None),
        }
    }

    /// While an operator's word waits, what was found and another operation claims is told apart before it
    /// is applied: it does not overrule the word.
    async fn unless_claimed(
        &self,
        operation: &Operation,
        policy: &Policy,
        event: Event,
    ) -> Result<Event, StoreError> {
        let Event::Looked(Looked { response, .. }) = &event else { return Ok(event) };
        let Some(Finding::Found(found)) = &response.outcome else { return Ok(event) };
        if operation.word_waits_until().is_none() {
            return Ok(event);
        }
        let upstream_id = found.upstream_id.clone();
        let (account, kind) = (policy.gate.clone(), policy.id_kind.clone());
        let claim = Claim { account, kind, upstream_id };
        let by = self.inner.store.claimant(&claim).await?;
        Ok(match by.filter(|by| *by != operation.request_id) {
            Some(by) => Event::FoundClaimed { by, upstream_id: claim.upstream_id },
            None => event,
        })
    }

    /// Commits what came of a search. What was found is logged where that fails: a store that lost its
    /// file does not know the operation any more, and nobody searches again.
    async fn commit_finding(
        &self,
        before: &Operation,
        change: Change,
    ) -> Result<(Committed, Operation), StoreError> {
        let next = &change.operation;
        let found = next.state != before.state || next.candidates != before.candidates;
        let unstored = found.then(|| change.clone());
        self.commit_taking(change).await.inspect_err(|error| {
            if let Some(unstored) = unstored {
                log_whole(&unstored, None, error);
            }
        })
    }

    /// Looks once more after the end, whether what was taken for absent turned up. `None`: the
    /// operation is somebody else's now.
    pub(super) async fn look_back(
        &self,
        operation: Operation,
    ) -> Result<Option<Operation>, StoreError> {
        let policy = self.policy(&operation);
        // What was not there then may have come since.
        let asked = self.now().await?.age;
        let event = match self.find_late(&operation).await {
            Ok(findings) => Event::LookedBack(findings),
            Err(error) => Event::LookBackFailed(error),
        };
        let now = Now { age: asked, ..self.now().await? };
        let Some(change) = logged(apply(&operation, event, &policy, &now)) else {
            return Ok(None);
        };
        match self.commit_finding(&operation, change).await? {
            (Committed::Done, next) => {
                if next.turned_up_late() {
                    tracing::error!(
                        request_id = %next.request_id,
                        provider = next.provider,
                        target = next.target,
                        duplicates = next.candidates.len(),
                        reason = next.message,
                        "an attempt turned up after it was taken for absent"
                    );
                }
                Ok(Some(next))
            }
            // Whoever claimed it tells of it; the next look leaves it out.
            (Committed::Claimed { by, .. }, _) => {
                let message = format!("what was found belongs to operations/{by}");
                let error = Error::unavailable(message);
                self.record(operation, Event::LookBackFailed(error), &policy).await
            }
            (Committed::Stale | Committed::Held { .. } | Committed::Outdated, _) => Ok(None),
        }
    }

    /// Each step is looked for as it was when it was begun: the operation's handle has become the one
    /// of what came later.
    async fn find_late(&self, operation: &Operation) -> Result<Vec<LateFinding>> {
        let provider = self.available(operation).await?;
        let account = self.account_for_poll(&provider).await?;
        owned(operation, &account, |now| format!("the provider now points to account {now}"))?;
        let natural = self.policy(operation).evidence == Evidence::Natural;
        if natural && self.done_by_another(operation).await? {
            return Ok(Vec::new());
        }
        let mut findings = Vec::with_capacity(operation.given_up.len());
        for GivenUp { step, handle, baseline, .. } in operation.given_up.clone() {
            let begun = Operation { step, handle, baseline, ..operation.clone() };
            let mut request = self.find_request(&begun).await?;
            request.claimed_ids.extend(begun.own_ids());
            let response = self.ask_to_find(&provider, &request, &context(&begun)).await?;
            findings.push(LateFinding { step, response });
        }
        Ok(findings)
    }

    /// Whether another operation has sent the same since: a payment of the same order, say. Then what
    /// has happened upstream is no evidence of this one.
    async fn done_by_another(&self, operation: &Operation) -> Result<bool> {
        let order = renewal_order(operation);
        for target in std::iter::once(operation.target.clone()).chain(order) {
            let query = Query {
                target: Some(target),
                create_after: Some(operation.create_time),
                limit: PAGE_MAX,
                ..Query::default()
            };
            let others = self.inner.store.list(&query).await?;
            let sent = |it: &store::operation::Attempt| {
                matches!(it.outcome, Outcome::Applied | Outcome::Pending)
            };
            let mut others = others.iter().filter(|it| it.request_id != operation.request_id);
            if others.any(|other| other.attempts.iter().any(sent)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn find(&self, operation: &Operation) -> Result<Event> {
        let provider = self.available(operation).await?;
        let account = self.account_for_poll(&provider).await?;
        if let Err(now) = check_owner(operation, &account) {
            return Ok(Event::AccountChanged { now });
        }
        // Known before the upstream is asked: what waits then may have got what is found.
        let waiting = self.waiting_for_alike(operation).await?;
        let mut request = self.find_request(operation).await?;
        if let Some(found) = self.find_answered(&provider, operation, &request).await? {
            return Ok(Event::Looked(found.into()));
        }
        request.upstream_id.clear();
        let mut response = self.ask_to_find(&provider, &request, &context(operation)).await?;
        if let Some(Finding::Absent(absent)) = &mut response.outcome {
            absent.unexplained.extend(self.find_come_back(&provider, operation, &request).await?);
        }
        Ok(Event::Looked(Looked { response, claimed_ids: request.claimed_ids, waiting }))
    }

    /// Other accepted orders of the account that wait for what they bought, where what is new is found by
    /// comparing lists: it may be theirs.
    async fn waiting_for_alike(&self, operation: &Operation) -> Result<Vec<Uuid>> {
        let policy = self.policy(operation);
        let compares = policy.evidence == Evidence::Difference && operation.op == Op::CreateOrder;
        if !compares {
            return Ok(Vec::new());
        }
        let waiting = self.of_the_account(operation, &[State::WaitingUpstream]).await?;
        Ok(waiting.into_iter().map(|it| it.request_id).collect())
    }

    /// Other operations of the same method on the same account that are in one of these states.
    async fn of_the_account(
        &self,
        operation: &Operation,
        states: &[State],
    ) -> Result<Vec<Operation>> {
        let account = (&operation.account, &operation.account_key);
        let mut query = Query {
            states: states.to_vec(),
            ops: vec![operation.op],
            open_only: true,
            limit: PAGE_MAX,
            ..Query::default()
        };
        let mut others = Vec::new();
        loop {
            let page = self.inner.store.list(&query).await?;
            let Some(last) = page.last() else { return Ok(others) };
            query.after = Some((last.create_time, last.request_id));
            let full = page.len() >= PAGE_MAX;
            others.extend(page.into_iter().filter(|it| {
                it.request_id != operation.request_id && (&it.account, &it.account_key) == account
            }));
            if !full {
                return Ok(others);
            }
        }
    }

    /// What was gone before this, and is there again, may be what the request made: a window before it was
    /// sent. One that a restored store lacks may have been sent as soon as that time began.
    fn gone_since(&self, operation: &Operation, policy: &Policy) -> Age {
        let presumed = operation.current().filter(|last| last.is_presumed());
        let lost = presumed.and(policy.lost.as_ref()).map(|lost| lost.from_age);
        let sent = || operation.current().map_or(operation.create_age, |last| last.permit_age);
        lost.unwrap_or_else(sent) - policy.settle - self.inner.store.age().slack
    }

    /// What is there again under an identifier whose object was gone shortly before, or since: a listing
    /// cannot tell it from the one that stood in the baseline, so it may be what this operation made.
    async fn find_come_back(
        &self,
        provider: &Provider,
        operation: &Operation,
        request: &FindRequest,
    ) -> Result<Vec<UpstreamRef>> {
        let policy = self.policy(operation);
        let settled = operation
            .settle
            .as_ref()
            .is_none_or(|it| it.conclusive_at <= self.inner.store.age().age);
        let differs = policy.evidence == Evidence::Difference && policy.effect == Effect::Spend;
        if !differs || !settled {
            // Absence decides nothing yet, so nothing has to be asked for one by one.
            return Ok(Vec::new());
        }
        let since = self.gone_since(operation, &policy);
        let mut candidates = Vec::new();
        for id in self.inner.store.closed_ids(&policy.gate, since).await? {
            let request = FindRequest { upstream_id: id.clone(), ..request.clone() };
            let upstream_ids = vec![id.clone()];
            let context = CallContext { upstream_ids, ..context(operation) };
            match self.ask_to_find(provider, &request, &context).await {
                Ok(response) if matches!(response.outcome, Some(Finding::Found(_))) => {
                    let open = self.inner.store.open_claims(&policy.gate, &id).await?;
                    if open.is_empty() {
                        candidates.push(UpstreamRef::of(id));
                    }
                }
                Ok(_) => {}
                Err(error) if transient(error.reason) => return Err(error),
                // It cannot be asked for by its identifier.
                Err(_) => {}
            }
        }
        Ok(candidates)
    }

    /// Asks for the very object that the upstream answered, where the plugin failed afterwards. `None`:
    /// there is none, or it is not found by its identifier.
    async fn find_answered(
        &self,
        provider: &Provider,
        operation: &Operation,
        request: &FindRequest,
    ) -> Result<Option<FindResponse>> {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::SuccessMayBeAbsent) {
            return Ok(None);
        }
        let answered = operation.current().filter(|it| it.observed.took_effect());
        let Some(upstream_id) = answered.map(|it| &it.upstream_id).filter(|id| !id.is_empty())
        else {
            return Ok(None);
        };
        let request = FindRequest { upstream_id: upstream_id.clone(), ..request.clone() };
        let upstream_ids = vec![upstream_id.clone()];
        let context = CallContext { upstream_ids, ..context(operation) };
        match self.ask_to_find(provider, &request, &context).await {
            Ok(response) => {
                Ok(matches!(response.outcome, Some(Finding::Found(_))).then_some(response))
            }
            Err(error) if transient(error.reason) => Err(error),
            // The search may know more than the identifier alone.
            Err(_) => Ok(None),
        }
    }

    pub(super) async fn ask_to_find(
        &self,
        provider: &Provider,
        request: &FindRequest,
        context: &CallContext,
    ) -> Result<FindResponse> {
        let request = request.encode_to_vec();
        let answer = provider.call(CallKind::Find, Op::Find, &request, context).await?;
        FindResponse::decode(answer).map_err(|error| {
            Error::new(ErrorReason::PluginFault, "the plugin's finding cannot be decoded")
                .with_source(error)
        })
    }

    pub(super) async fn find_request(&self, operation: &Operation) -> Result<FindRequest> {
        let policy = self.policy(operation);
        let gone_since = self.gone_since(operation, &policy);
        let Policy { gate, aliases, legacy_gate, id_kind, lost, .. } = policy;
        let slack = self.inner.store.age().slack;
        // What was claimed shortly before may have been missing from the list that is compared with. What
        // was claimed earlier stood there, unless it is gone and its identifier has come back.
        let provider = self.inner.providers.get(&operation.provider);
        let lag = provider.map_or(SETTLE_DEFAULT, |provider| listing_lag(&provider));
        let since = operation.create_age - lag - slack;
        let store = &self.inner.store;
        let witness_ids = store.newest_claims(&gate, &id_kind, since, WITNESSES).await?;
        let presumed = operation.current().is_some_and(store::operation::Attempt::is_presumed);
        // What is new since the lost time began is explained by whoever claimed it since.
        let lost = lost.filter(|_| presumed).map(|lost| lost.from_age - LOST_MARGIN - slack);
        let since = lost.unwrap_or(since);
        // A restored store cannot tell when an identifier was given to another object: what was given up
        // explains nothing.
        let gone_since = if presumed { self.inner.store.age().age + slack } else { gone_since };
        let undecided =
            [State::Running, State::OutcomeUnknown, State::Reconciling, State::NeedsOperator];
        let others = self.of_the_account(operation, &undecided).await?;
        let other_request_ids = others.iter().map(|it| it.request_id.to_string()).collect();
        let accounts = std::iter::once(gate).chain(aliases).chain(legacy_gate);
        let mut claimed_ids = self.claimed_ids(operation, accounts, since, gone_since).await?;
        if presumed {
            // Earlier steps made them.
            claimed_ids.extend(operation.own_ids());
        }
        let attempts = operation
            .attempts
            .iter()
            .filter(|attempt| attempt.step == operation.step)
            .map(|attempt| Attempt {
                number: i32::try_from(attempt.number).unwrap_or(i32::MAX),
                call: attempt.call.clone(),
                send_time: Some(Timestamp {
                    seconds: attempt.permit_time.as_second(),
                    nanos: attempt.permit_time.subsec_nanosecond(),
                }),
            })
            .collect();
        Ok(FindRequest {
            write: Some(write(operation)),
            step: i32::try_from(operation.step).unwrap_or(i32::MAX),
            handle: operation.handle.clone(),
            evidence: context(operation).baseline,
            attempts,
            claimed_ids,
            upstream_id: String::new(),
            other_request_ids,
            witness_ids,
        })
    }

    /// What other operations of the account have claimed since an operation was accepted.
    pub(super) async fn claimed_by_others(&self, operation: &Operation) -> Result<Vec<String>> {
        let Policy { gate, aliases, legacy_gate, .. } = self.policy(operation);
        let accounts = std::iter::once(gate).chain(aliases).chain(legacy_gate);
        let since = operation.create_age - self.inner.store.age().slack;
        self.claimed_ids(operation, accounts, since, since).await
    }

    async fn claimed_ids(
        &self,
        operation: &Operation,
        accounts: impl Iterator<Item = String>,
        since: Age,
        closed_since: Age,
    ) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for account in accounts {
            let (store, except) = (&self.inner.store, operation.request_id);
            ids.extend(store.claimed_ids(&account, except, since, closed_since).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use purveyor_sdk::v1::operation::{Outcome, State};
    use uuid::Uuid;

    use crate::engine::made_here::tests::attempt;
    use crate::engine::naming::tests::{LAG, engine};
    use crate::engine::observation::tests::{by_search, store};
    use crate::store::operation::Operation;

    /// What another operation was sold and is gone since may come back under its identifier: only what the
    /// list may not have shown yet is left out of a search.
    #[tokio::test]
    async fn a_search_leaves_out_what_others_claimed_within_the_lag_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder).await;
        let slack = engine.store().age().slack;
        let sent = attempt(Outcome::Applied, "a");
        let other =
            store(&engine, Uuid::from_u128(2), State::Succeeded, sent, vec![by_search("a")]).await;
        let claimed = other.update_age;
        let left_out = async |later: Duration| {
            let searching = Operation {
                request_id: Uuid::from_u128(1),
                create_age: claimed + later,
                ..other.clone()
            };
            engine.find_request(&searching).await.unwrap().claimed_ids
        };
        assert_eq!(left_out(LAG + slack).await, ["a"]);
        assert_eq!(left_out(LAG + slack + Duration::from_nanos(1)).await, [""; 0]);
    }
}
