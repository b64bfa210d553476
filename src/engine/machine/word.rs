//! An operator's word. "Not executed" takes effect when absence is conclusive: until then the attempt stays
//! unknown, locks are kept and the search goes on, and what is found overrules the word. Only an operator
//! who takes the risk is believed at once.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{ErrorReason, Evidence, UpstreamRef};

use super::event::{Refusal, Resolution};
use super::{Step, sold};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::store::age::Age;
use crate::store::operation::{Decision, Note, Observed, Settle};

/// How long the next attempt may be started after an operator's word has taken effect: the person's word
/// stands for the caller's patience.
const PATIENCE: Duration = Duration::from_secs(600);

impl Step<'_> {
    pub(super) fn resolve(&mut self, resolution: Resolution, note: Note) -> Result<(), Refusal> {
        match resolution {
            Resolution::Executed { upstream_id, outcome } => {
                self.take_note(Note { decision: Decision::Executed, ..note });
                self.next.candidates.clear();
                self.executed(upstream_id, outcome);
            }
            Resolution::NotExecuted { try_again, at_own_risk } => {
                if try_again && self.step_is_sold() && !at_own_risk {
                    return Err(Refusal {
                        event: "another attempt",
                        state: self.next.state.as_str_name(),
                        reason: "the upstream accepted an attempt of this step, as its answer or a \
                                 search tells; only at_own_risk overrides that",
                    });
                }
                let decision = if try_again { Decision::TryAgain } else { Decision::NotExecuted };
                let waits_until = if at_own_risk { None } else { self.conclusive_at() };
                self.take_note(Note { decision, at_own_risk, waits_until, ..note });
                match waits_until {
                    Some(_) => {
                        let message = "an operator says that it was not executed, which counts once \
                                       absence is conclusive";
                        self.ask_operator(message.to_owned());
                    }
                    None => self.not_executed(try_again, at_own_risk),
                }
            }
        }
        Ok(())
    }

    /// A later word takes the place of one that waits.
    fn take_note(&mut self, note: Note) {
        self.drop_word();
        self.next.notes.push(note);
        self.next.error = None;
        self.next.wake_time = None;
        self.next.tries = 0;
    }

    /// What an operator said does not wait any more, and has no effect.
    pub(super) fn drop_word(&mut self) {
        if let Some(note) = self.next.notes.last_mut() {
            note.waits_until = None;
        }
    }

    /// When absence is conclusive, where that is not yet. Without a window it is not, and one begins.
    fn conclusive_at(&mut self) -> Option<Age> {
        #[cfg(feature = "failpoints")]
        if failpoint::control(failpoint::Control::EarlyResolve) {
            return None;
        }
        if self.undone().is_none() && !self.step_is_sold() {
            return None;
        }
        let (window, now) = (self.policy.settle, self.now);
        let settle = self.next.settle.get_or_insert_with(|| Settle::begin(window, now));
        Some(settle.conclusive_at).filter(|at| now.age < *at)
    }

    /// Reads more often than what waits for an operator's word, and when that counts.
    pub(super) fn read_for_word(&mut self, until: Age, reads: bool) {
        let next = self.now.age + self.policy.look.delay(self.next.tries);
        self.next.tries = self.next.tries.saturating_add(1);
        let is_first = until > self.now.age && (!reads || until < next);
        self.next.wake_time = Some(if is_first { until } else { next });
    }

    /// What bears a mark is ours whatever is said; what a listing alone shows, and the operator has seen, is
    /// not.
    pub(super) fn found_against_word(&mut self, upstream_id: &str) {
        let seen = self.next.candidates.iter().any(|it| it.names(upstream_id));
        if self.policy.evidence == Evidence::Difference && seen {
            self.shows_nothing = true;
            return self.read_on();
        }
        self.overrule(Some(upstream_id));
    }

    /// What was read shows what an operator said was not executed. `None`: no identifier is told.
    pub(super) fn overrule(&mut self, upstream_id: Option<&str>) {
        if let Some(note) = self.next.notes.last_mut() {
            note.waits_until = None;
            note.overruled = true;
        }
        let shown = upstream_id.filter(|id| !id.is_empty());
        let shown = shown.map(|id| format!(" as {id}")).unwrap_or_default();
        let message = format!(
            "an operator said that it was not executed, and the upstream shows it{shown}; nothing is sent \
             again"
        );
        if let Some(id) = upstream_id {
            self.next.candidates = vec![UpstreamRef::of(id)];
        }
        self.ask_operator_because(Error::new(ErrorReason::StateConflict, message));
    }

    /// An operator's word takes effect, once absence is conclusive and the upstream shows nothing.
    pub(super) fn word_counts(&mut self) {
        let Some(until) = self.next.word_waits_until() else { return };
        let waits = self.next.state == State::NeedsOperator;
        if waits && !(self.shows_nothing && self.now.age >= until) {
            return;
        }
        let Some(note) = self.next.notes.last_mut() else { return };
        note.waits_until = None;
        if waits {
            let try_again = note.decision == Decision::TryAgain;
            self.not_executed(try_again, false);
        } else {
            // It went on, or ended, by what the upstream told.
            note.overruled = self.next.state != State::Failed;
        }
    }

    fn not_executed(&mut self, try_again: bool, at_own_risk: bool) {
        self.next.candidates.clear();
        self.next.error = None;
        if at_own_risk {
            self.override_success();
        }
        if self.undone().is_some_and(|it| !sold(it)) {
            self.keep_for_later();
            if let Some(attempt) = self.next.current_mut() {
                attempt.outcome = Outcome::Absent;
            }
        }
        if self.step_is_sold() {
            let message = "an operator found that it was not executed, although the upstream had \
                           accepted it; nothing is sent again";
            self.fail(Error::new(ErrorReason::NotExecuted, message));
        } else if try_again {
            self.next.start_before = self.next.start_before.max(self.now.wall + PATIENCE);
            self.next.settle = None;
            self.again_now();
        } else {
            let message = "an operator found that it was not executed";
            self.fail(Error::new(ErrorReason::NotExecuted, message));
        }
    }

    /// The risk that the operator takes is that what the upstream answered was true.
    fn override_success(&mut self) {
        let attempts = self.next.attempts.iter().filter(|it| self.is_sold_in_step(it));
        let numbers: Vec<u32> = attempts.map(|it| it.number).collect();
        if numbers.is_empty() {
            return;
        }
        self.keep_for_later();
        for attempt in self.next.attempts.iter_mut().filter(|it| numbers.contains(&it.number)) {
            if sold(attempt) {
                attempt.observed = Observed::Overridden;
            }
            attempt.outcome = Outcome::Absent;
        }
    }
}
