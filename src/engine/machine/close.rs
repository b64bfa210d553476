//! How a step ends: the attempt is closed from the host's own record, never from the plugin's word.
//! The plugin's word says how to go on, and can only narrow what the host saw.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::step_outcome::{Outcome as Said, Rejected};
use purveyor_sdk::plugin::v1::{Op, PollOutcome, StepOutcome, poll_outcome};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::{Outcome, State};

use super::start_before::with_status;
use super::{Closing, Contest, Step, rules};
use crate::plugin::{ProofSeen, Seen, Spend};
use crate::store::age::Age;
use crate::store::operation::{Claim, EndKind, NewClaim, Observed, Origin, PendingEnd};

/// When a plugin gives no delay, the upstream is asked again after this.
const POLL_DEFAULT: Duration = Duration::from_secs(5);
/// However long the plugin wants to wait, the upstream is asked at least so often.
const POLL_LONGEST: Duration = Duration::from_secs(3600);

impl Step<'_> {
    pub(super) fn close(&mut self, closing: Closing) {
        let said = match closing.said {
            Ok(StepOutcome { outcome: Some(said) }) => Ok(said),
            Ok(StepOutcome { outcome: None }) => {
                Err(Error::new(ErrorReason::PluginFault, "the plugin returned an empty outcome"))
            }
            Err(error) => Err(error),
        };
        match (self.open_attempt().is_some(), closing.spend) {
            (true, Some(spend)) => self.close_attempt(spend, said, closing.contest.as_ref()),
            // A permit without a record: the task that held it is gone.
            (true, None) => self.unknown("what became of the request was not recorded", vec![], 0),
            // No connection, or no permit: no byte left, whatever the plugin says.
            (false, Some(spend)) => self.not_sent(&spend, said),
            (false, None) => self.close_without_attempt(said),
        }
    }

    fn not_sent(&mut self, spend: &Spend, said: Result<Said, Error>) {
        match (&spend.seen, said) {
            (_, Err(error)) if is_final_unsent(error.reason) => {
                self.give_up(error, Rejected::default());
            }
            (Seen::NotSent { reason }, _) => self.again_later(reason.clone()),
            (_, _) => self.again_later("no permit was given".to_owned()),
        }
    }

    fn close_attempt(
        &mut self,
        spend: Spend,
        said: Result<Said, Error>,
        contest: Option<&Contest>,
    ) {
        if let Some(attempt) = self.next.current_mut() {
            attempt.observed = observed(&spend, said.as_ref().ok());
        }
        match spend.seen.clone() {
            Seen::NotSent { reason } => {
                self.mark(Outcome::NotSent, &reason);
                self.again_later(reason);
            }
            Seen::Success { upstream_id, id_kind } => {
                self.answered(&spend, upstream_id.as_deref(), &id_kind, said, contest);
            }
            Seen::PaymentDue { upstream_id: Some(id), id_kind } => {
                self.answered(&spend, Some(&id), &id_kind, said, contest);
            }
            Seen::PaymentDue { upstream_id: None, .. } => {
                self.lost("the upstream asks for payment and names no order", &spend);
            }
            Seen::Refusable { proofs, message } => self.refused(&spend, &proofs, &message, said),
            Seen::Unproven { reason } => self.lost(&read_as(said.as_ref().ok(), &reason), &spend),
        }
    }

    /// The upstream has accepted it. What it names is claimed, unless another operation was answered the
    /// same: then, and where that other one was answered what was delivered, a person has to see which of
    /// them it belongs to.
    fn answered(
        &mut self,
        spend: &Spend,
        id: Option<&str>,
        kind: &str,
        said: Result<Said, Error>,
        contest: Option<&Contest>,
    ) {
        if let Some(id) = id.filter(|id| self.stood_before(id)) {
            // It is not what this request made, whatever the upstream says.
            let message = format!("the upstream answered {id}, which was there before the request");
            return self.lost(&message, spend);
        }
        match contest {
            None => {
                self.claim(id, kind, Origin::Answer);
                self.accepted(spend, id, said);
            }
            Some(contest) => {
                if id.is_some_and(|id| id != contest.upstream_id) {
                    self.claim(id, kind, Origin::Answer);
                } else if let (Some(id), Some(attempt)) = (id, self.next.current_mut()) {
                    id.clone_into(&mut attempt.upstream_id);
                }
                self.lost("another operation claims what the upstream answered", spend);
                self.ask_about_contest(contest);
            }
        }
    }

    /// Whether an upstream identifier stood in the baseline of the step that is under way.
    fn stood_before(&self, id: &str) -> bool {
        let makes = matches!(self.next.op, Op::CreateOrder | Op::CreateProduct | Op::CreateRenewal);
        makes && self.next.baseline.as_ref().is_some_and(|baseline| baseline.holds(id))
    }

    /// The host saw a complete success; the plugin says how it goes on.
    fn accepted(&mut self, spend: &Spend, id: Option<&str>, said: Result<Said, Error>) {
        let view = match &said {
            Ok(Said::Done(done)) => done.resource.as_ref(),
            Ok(Said::Pending(pending)) => pending.view.as_ref(),
            Ok(Said::Next(next)) => next.view.as_ref(),
            Ok(Said::Rejected(_)) => {
                return self.lost("the plugin calls a successful answer a refusal", spend);
            }
            Ok(Said::Unknown(unknown)) => return self.lost(&unknown.message, spend),
            Err(error) => return self.lost(&error.to_string(), spend),
        };
        if let Some(id) = id
            && !rules::names_id(view, id)
        {
            let message = format!("the plugin does not name {id}, which the upstream answered");
            return self.lost(&message, spend);
        }
        match said {
            Ok(Said::Pending(_)) => self.mark(Outcome::Pending, ""),
            _ => self.mark(Outcome::Applied, ""),
        }
        if let Ok(said) = said {
            self.go_on(said);
        }
    }

    fn refused(
        &mut self,
        spend: &Spend,
        proofs: &[ProofSeen],
        message: &str,
        said: Result<Said, Error>,
    ) {
        let rejected = match said {
            Ok(Said::Rejected(rejected)) => rejected,
            said => return self.lost(&read_as(said.as_ref().ok(), message), spend),
        };
        let Some(proof) = proofs.iter().find(|proof| proof.name == rejected.proof) else {
            let message = format!(
                "the answer does not satisfy the proof that the plugin names: {}",
                rejected.proof
            );
            return self.lost(&message, spend);
        };
        let error = rejection(rejected.error.clone());
        self.mark(Outcome::Rejected, &format!("{}; {message}", with_code(&error)));
        let status = spend.answer.as_ref().map_or(0, |answer| answer.status);
        let error = match self.next.current_mut() {
            Some(attempt) => {
                attempt.answer_status = status;
                with_status(error, attempt)
            }
            None => error,
        };
        if proof.may_repeat {
            return self.again_later(error.to_string());
        }
        self.give_up(error, rejected);
    }

    /// The write cannot be done as asked. What earlier steps did is not forgotten.
    fn give_up(&mut self, error: Error, rejected: Rejected) {
        if self.nothing_applied() {
            self.see(rejected.view);
            self.fail_unless_seen(error);
        } else if rejected.handle.is_empty() {
            self.ask_operator(format!("earlier steps were done, and then: {error}"));
        } else {
            self.wait(rejected.handle, Duration::ZERO, rejected.view);
        }
    }

    fn close_without_attempt(&mut self, said: Result<Said, Error>) {
        if said.is_ok() {
            self.next.pending_end = None;
        }
        match said {
            Ok(Said::Done(_)) if self.policy.must_send && self.nothing_applied() => {
                let message = "the plugin says done and sent nothing";
                self.fail(Error::new(ErrorReason::PluginFault, message));
            }
            Ok(Said::Pending(_)) if self.policy.must_send && self.nothing_applied() => {
                let message = "the plugin says accepted and sent nothing";
                self.fail(Error::new(ErrorReason::PluginFault, message));
            }
            Ok(Said::Rejected(rejected)) => {
                self.give_up(rejection(rejected.error.clone()), rejected);
            }
            Ok(Said::Unknown(unknown)) => self.again_later(unknown.message),
            Ok(said) => {
                let waits = matches!(said, Said::Pending(_));
                self.came_through(if waits { Outcome::Pending } else { Outcome::Applied });
                self.claim_prepared(&said);
                self.go_on(said);
            }
            Err(error) if rules::transient(error.reason) => self.again_later(error.to_string()),
            Err(error) if self.is_missing(&error) => self.again_while_missing(error),
            Err(error) => self.give_up(error, Rejected::default()),
        }
    }

    /// Whether the upstream does not find what it is known to have had: what an earlier step made, what a
    /// read showed before the write was accepted, what an operation of this store made.
    fn is_missing(&self, error: &Error) -> bool {
        let found_before = match self.next.op {
            Op::CreateOrder | Op::CreateProduct => false,
            Op::PayOrder | Op::CancelOrder => rules::is_made_here(&self.next),
            _ => self.policy.can_search(),
        };
        rules::is_not_found(error.reason) && (self.next.step > 1 || found_before)
    }

    /// One answer that it is not there proves nothing; it has to last for the effect lag.
    fn again_while_missing(&mut self, error: Error) {
        let known = self.next.pending_end.take().filter(|end| end.kind == EndKind::Missing);
        let since = known.map_or(self.now.age, |end| end.since);
        if self.now.age >= since + self.policy.effect_lag {
            return self.give_up(error, Rejected::default());
        }
        let end = PendingEnd { kind: EndKind::Missing, since, error: error.again().into() };
        self.next.pending_end = Some(end);
        self.again_later(error.to_string());
    }

    /// What a preparation made belongs to this write as much as what was bought: it is listed under one
    /// name, and no other write takes it for its own.
    fn claim_prepared(&mut self, said: &Said) {
        let view = match said {
            Said::Done(done) => done.resource.as_ref(),
            Said::Next(next) => next.view.as_ref(),
            Said::Pending(pending) => pending.view.as_ref(),
            Said::Rejected(_) | Said::Unknown(_) => return,
        };
        let makes = matches!(self.next.op, Op::CreateOrder | Op::CreateRenewal);
        let id = view.and_then(rules::upstream).map_or("", |upstream| upstream.id());
        if makes && self.nothing_applied() && !id.is_empty() {
            let kind = self.policy.id_kind.clone();
            self.claim(Some(id), &kind, Origin::Answer);
        }
    }

    /// How the plugin goes on with what was done.
    pub(super) fn go_on(&mut self, said: Said) {
        match said {
            Said::Done(done) => self.succeed(done.resource),
            Said::Pending(pending) => {
                self.wait(pending.handle, delay(pending.after), pending.view);
            }
            Said::Next(next) => self.next_step(next.handle, next.view),
            Said::Rejected(rejected) => {
                self.give_up(rejection(rejected.error.clone()), rejected);
            }
            Said::Unknown(unknown) => self.ask_operator(unknown.message),
        }
    }

    pub(super) fn polled(&mut self, outcome: PollOutcome) {
        let word_waits = self.next.word_waits_until().is_some();
        match outcome.outcome {
            Some(poll_outcome::Outcome::Done(_) | poll_outcome::Outcome::Next(_)) if word_waits => {
                self.overrule(None);
            }
            Some(poll_outcome::Outcome::Done(done)) => {
                self.mark_applied();
                self.succeed(done.resource);
            }
            Some(poll_outcome::Outcome::Pending(pending)) => self.stands(pending),
            Some(poll_outcome::Outcome::Failed(failed)) => {
                self.see(failed.view);
                self.fail(failed.error.map_or_else(
                    || Error::new(ErrorReason::UpstreamFailed, "the upstream did not carry it out"),
                    Error::from,
                ));
            }
            Some(poll_outcome::Outcome::Next(next)) => {
                self.mark_applied();
                self.next_step(next.handle, next.view);
            }
            Some(poll_outcome::Outcome::Unavailable(error)) => {
                self.poll_failed(&Error::from(error));
            }
            None => {
                let message = "the plugin returned an empty outcome";
                self.poll_failed(&Error::new(ErrorReason::PluginFault, message));
            }
        }
    }

    pub(super) fn poll_failed(&mut self, error: &Error) {
        if rules::is_gone(error.reason) {
            // Nobody is told of work that is not found, or cannot be followed, unless that lasts.
            return self.stands_unclear(error);
        }
        if self.next.state == State::NeedsOperator {
            return self.read_on();
        }
        self.next.message = error.to_string();
        let delay = self.policy.retry.delay(self.next.tries);
        self.next.wake_time = Some(rules::tick(self.now.age, delay));
        self.next.tries = self.next.tries.saturating_add(1);
    }

    pub(super) fn mark(&mut self, outcome: Outcome, message: &str) {
        if let Some(attempt) = self.next.current_mut() {
            attempt.outcome = outcome;
            attempt.message = message.to_owned();
        }
    }

    fn mark_applied(&mut self) {
        for attempt in &mut self.next.attempts {
            if attempt.outcome == Outcome::Pending {
                attempt.outcome = Outcome::Applied;
            }
        }
    }

    fn lost(&mut self, message: &str, spend: &Spend) {
        let (body, status) = match &spend.answer {
            Some(answer) => (answer.body.to_vec(), answer.status),
            None => (Vec::new(), 0),
        };
        self.unknown(message, body, status);
    }

    pub(super) fn claim(&mut self, id: Option<&str>, kind: &str, origin: Origin) {
        let Some(id) = id else { return };
        let mut sent = None;
        if let Some(attempt) = self.next.current_mut() {
            attempt.upstream_id = id.to_owned();
            sent = Some(attempt.permit_age);
        }
        self.claim_object(id, kind, origin, sent);
    }

    /// Claims an object. A search finds what came back under an identifier only if the object that had it
    /// before was gone for a whole window when the request was sent.
    pub(super) fn claim_object(&mut self, id: &str, kind: &str, origin: Origin, sent: Option<Age>) {
        let closed_before = match origin {
            Origin::Search => {
                let sent = sent.unwrap_or(self.next.create_age);
                Some(sent - self.policy.settle - self.now.slack)
            }
            Origin::Answer | Origin::Operator => None,
        };
        let claim = Claim {
            account: self.policy.gate.clone(),
            kind: kind.to_owned(),
            upstream_id: id.to_owned(),
        };
        self.claims.push(NewClaim { claim, origin, closed_before, takes_from: None });
    }
}

/// What the host observed, as it is stored; a rejection needs the plugin to name its proof.
pub(super) fn observed(spend: &Spend, said: Option<&Said>) -> Observed {
    match &spend.seen {
        Seen::NotSent { .. } => Observed::NotSent,
        Seen::Success { .. } => Observed::Accepted,
        Seen::PaymentDue { .. } => Observed::PaymentDue,
        Seen::Refusable { proofs, .. } => match said {
            Some(Said::Rejected(it)) if proofs.iter().any(|proof| proof.name == it.proof) => {
                Observed::Rejected
            }
            _ => undeclared(spend),
        },
        Seen::Unproven { .. } => undeclared(spend),
    }
}

/// A complete refusal that no declared proof covers. Statuses that speak of the moment alone are none.
fn undeclared(spend: &Spend) -> Observed {
    let refuses = |status| matches!(status, 400..=499) && !matches!(status, 408 | 409 | 425 | 429);
    match &spend.answer {
        Some(answer) if answer.complete && refuses(answer.status) => Observed::Undeclared,
        _ => Observed::Nothing,
    }
}

/// Whether a request that was not sent for this reason is not sent later either: the plugin is at fault,
/// or what it would charge is not within the caller's limit.
fn is_final_unsent(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::PluginFault
            | ErrorReason::PriceLimit
            | ErrorReason::PriceUnknown
            | ErrorReason::CurrencyMismatch
    )
}

/// What an answer says that proves nothing: the plugin's words where it has read them, because the host reads
/// no text.
fn read_as(said: Option<&Said>, seen: &str) -> String {
    let read = match said {
        Some(Said::Unknown(unknown)) => unknown.message.clone(),
        Some(Said::Rejected(Rejected { error: Some(error), .. })) => {
            with_code(&Error::from(error.clone()))
        }
        _ => String::new(),
    };
    if read.is_empty() { seen.to_owned() } else { read }
}

/// The message of an error of the upstream, with the upstream's code.
fn with_code(error: &Error) -> String {
    match error.metadata.get(purveyor_sdk::UPSTREAM_CODE) {
        Some(code) if !error.message.contains(code.as_str()) => format!("{error} ({code})"),
        _ => error.to_string(),
    }
}

fn rejection(error: Option<purveyor_sdk::plugin::v1::Error>) -> Error {
    error.map_or_else(
        || Error::new(ErrorReason::UpstreamRejected, "the upstream refused"),
        Error::from,
    )
}

pub(super) fn delay(after: Option<prost_types::Duration>) -> Duration {
    after.and_then(|after| Duration::try_from(after).ok()).unwrap_or(POLL_DEFAULT).min(POLL_LONGEST)
}
