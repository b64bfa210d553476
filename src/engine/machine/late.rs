//! One last look after the end: whether an attempt that was taken for absent turned up after all. What
//! was decided stays as it is and nothing is repaired; a person is told.

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Finding};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};

use super::event::LateFinding;
use super::look::effect;
use super::{Step, rules};
use crate::store::operation::{Attempt, GivenUp, Operation, Origin, Settle};

/// After so many failures in a row nobody looks any more: the upstream may be gone for good.
const LOOKS: u32 = 100;

/// Something upstream that no success of its step explains.
struct Late {
    step: u32,
    found: UpstreamRef,
}

impl Step<'_> {
    /// Before an attempt is taken for absent: keeps what it is looked for by, which the evidence of the
    /// next one takes the place of. In each step the first counts, because whatever is new since then
    /// was made by one of them.
    ///
    /// Once something was accepted in a later step, its handle is the one that polls follow.
    pub(super) fn keep_for_later(&mut self) {
        let Some(last) = self.next.current() else { return };
        if last.is_presumed() {
            // Everything since the lost time began is new to its baseline, and most of it is others'.
            return;
        }
        let step = last.step;
        let handle = if step == 1 { Vec::new() } else { self.next.handle.clone() };
        let kept = self.next.given_up.iter().any(|it| it.step == step);
        if last.effect == Effect::Spend && !kept {
            let baseline = self.next.baseline.clone();
            self.next.given_up.push(GivenUp { step, handle, baseline });
        }
    }

    /// A step that was begun again and finds that nothing is left to do: what was taken for absent has
    /// come through in time.
    pub(super) fn came_through(&mut self, outcome: Outcome) {
        let step = self.next.step;
        if let Some(last) = self.next.current_mut()
            && last.step == step
            && gave_up(last)
            // A step that only prepares sends nothing either, and is no sign that it was sent before.
            && !last.is_presumed()
        {
            last.outcome = outcome;
            last.message = "came through after it was taken for absent".to_owned();
        }
    }

    /// The window that absence was believed after is as long as the upstream is said to take, so an
    /// upstream that takes longer is given as long once more.
    ///
    /// On an account that somebody else buys on as well, what is new proves nothing.
    pub(super) fn look_back_later(&mut self) {
        let knows = match self.policy.evidence {
            Evidence::Reference | Evidence::Natural => true,
            Evidence::Difference => !self.policy.account_shared,
            Evidence::None | Evidence::Unspecified => false,
        };
        let ended = matches!(self.next.state, State::Succeeded | State::Failed);
        let failed = self.next.state == State::Failed;
        let kept = !self.next.given_up.is_empty()
            && self.next.attempts.iter().any(|it| gave_up(it) || (failed && is_spent(it)));
        if knows && ended && kept {
            self.next.tries = 0;
            self.wait_once_more();
        } else {
            self.next.given_up.clear();
        }
    }

    fn wait_once_more(&mut self) {
        let settle = Settle::begin(self.policy.settle, self.now);
        self.next.wake_time = Some(settle.conclusive_at);
        self.next.settle = Some(settle);
    }

    pub(super) fn looked_back(&mut self, findings: Vec<LateFinding>) {
        if !self.settled() {
            // It was woken early: by a migration, which lets nothing sleep for long.
            let soon = self.now.age + self.policy.look.first;
            let settle = self.next.settle.as_ref();
            let at = settle.map_or(soon, |settle| settle.conclusive_at.max(soon));
            self.next.wake_time = Some(at);
            return;
        }
        let marked = self.policy.evidence == Evidence::Reference && findings.iter().all(is_found);
        let mut late = self.unexplained(findings);
        if !marked {
            if self.next.candidates.is_empty() && !late.is_empty() {
                // What another operation makes looks the same until its answer is stored.
                self.next.candidates = late.into_iter().map(|it| it.found).collect();
                return self.wait_once_more();
            }
            late.retain(|it| self.next.candidates.iter().any(|seen| seen.ids == it.found.ids));
        }
        self.rest();
        if !late.is_empty() {
            self.turned_up(late, marked);
        }
    }

    /// What was found, each object once, that the operation's own successes do not explain.
    fn unexplained(&self, findings: Vec<LateFinding>) -> Vec<Late> {
        let natural = self.policy.evidence == Evidence::Natural;
        let mut late: Vec<Late> = Vec::new();
        for LateFinding { step, response } in findings {
            let found = match response.outcome {
                Some(Finding::Found(found)) if natural || found.upstream_id.is_empty() => {
                    done_unawares(&self.next, step, found.upstream_id)
                }
                Some(Finding::Found(found)) => {
                    let found = UpstreamRef::of(found.upstream_id);
                    unknown_to(&self.next, step, vec![found])
                }
                Some(Finding::Absent(absent)) => self.traces_after_the_end(step, absent),
                None => Vec::new(),
            };
            for found in found {
                if late.iter().all(|it| it.found.ids != found.ids) {
                    late.push(Late { step, found });
                }
            }
        }
        late
    }

    /// Rows just like what was asked for, beyond as many as there are successes; and a change of the target
    /// that happened more often than they explain. After a refusal alone neither says anything.
    fn traces_after_the_end(&self, step: u32, absent: Absent) -> Vec<UpstreamRef> {
        if !self.next.attempts.iter().any(|it| it.step == step && presumed_absent(it)) {
            return Vec::new();
        }
        let own = i32::try_from(successes(&self.next, step).count()).unwrap_or(i32::MAX);
        let Absent { mut unexplained, effects, alike_ids, .. } = absent;
        unexplained.retain(|it| alike_ids.iter().any(|id| it.names(id)));
        let mut found = unknown_to(&self.next, step, unexplained);
        found.extend(effect(&self.next, effects, own));
        found
    }

    fn turned_up(&mut self, late: Vec<Late>, marked: bool) {
        for step in late.iter().map(|it| it.step).collect::<std::collections::BTreeSet<_>>() {
            let found: Vec<&Late> = late.iter().filter(|it| it.step == step).collect();
            let absent = self.next.attempts.iter_mut();
            let absent: Vec<_> = absent.filter(|it| it.step == step && gave_up(it)).collect();
            // Where more were found than were given up, nobody knows which is whose.
            let known = found.len() <= absent.len();
            for (attempt, late) in absent.into_iter().zip(found) {
                attempt.outcome = Outcome::Applied;
                attempt.message = "turned up after it was taken for absent".to_owned();
                if known {
                    late.found.id().clone_into(&mut attempt.upstream_id);
                }
            }
        }
        if marked {
            // It carries our mark, so it is nobody else's evidence.
            let kind = self.policy.id_kind.clone();
            for late in &late {
                self.claim_object(late.found.id(), &kind, Origin::Search, None);
            }
        }
        let ids: Vec<&str> = late.iter().map(|late| late.found.id()).collect();
        self.next.message = format!("{} turned up after it was taken for absent", ids.join(", "));
        self.next.candidates = late.into_iter().map(|late| late.found).collect();
    }

    pub(super) fn look_back_failed(&mut self, error: &Error) {
        self.next.tries = self.next.tries.saturating_add(1);
        if rules::transient(error.reason) && self.next.tries < LOOKS {
            let delay = self.policy.look.delay(self.next.tries);
            self.next.wake_time = Some(self.now.age + delay);
            return;
        }
        self.rest();
        self.next.message = format!("it was not looked whether more turned up: {error}");
    }

    fn rest(&mut self) {
        self.next.wake_time = None;
        self.next.settle = None;
        self.next.candidates.clear();
        self.next.given_up.clear();
    }
}

/// A spend that was sent, and was presumed absent or refused.
fn gave_up(attempt: &Attempt) -> bool {
    presumed_absent(attempt)
        || (attempt.effect == Effect::Spend && attempt.outcome == Outcome::Rejected)
}

fn presumed_absent(attempt: &Attempt) -> bool {
    attempt.effect == Effect::Spend && attempt.outcome == Outcome::Absent
}

/// A spend that the upstream accepted.
fn is_spent(attempt: &Attempt) -> bool {
    attempt.effect == Effect::Spend
        && matches!(attempt.outcome, Outcome::Applied | Outcome::Pending)
}

/// Where a reference of ours marks what was made, one object is known by it.
fn is_found(finding: &LateFinding) -> bool {
    matches!(finding.response.outcome, Some(Finding::Found(_)))
}

/// What a look has found and the operation does not know as its own.
///
/// Objects whose identifiers no answer told cannot be told apart: of those, as many are its own as it
/// has such successes in the step, and where there are more, all of them are shown.
fn unknown_to(operation: &Operation, step: u32, mut found: Vec<UpstreamRef>) -> Vec<UpstreamRef> {
    let nameless = successes(operation, step).filter(|it| it.upstream_id.is_empty()).count();
    let own = match nameless {
        0 => operation.own_ids(),
        // They are of another kind than what the operation has told identifiers of.
        _ => successes(operation, step).map(|it| it.upstream_id.clone()).collect(),
    };
    let given_up = operation.given_up.iter().find(|it| it.step == step);
    let baseline = given_up.and_then(|it| it.baseline.as_ref());
    let present = |id: &str| baseline.is_some_and(|baseline| baseline.holds(id));
    found.retain(|it| {
        let id = it.id();
        let is_target = nameless == 0 && operation.upstream_target.iter().any(|it| it == id);
        !id.is_empty() && !is_target && !own.iter().any(|it| it == id) && !present(id)
    });
    if found.len() <= nameless { Vec::new() } else { found }
}

/// Something is done that has no identifier of its own: an order that is paid, an end that has moved.
/// Once it is done by a later attempt, nothing upstream tells whether an earlier one has done it too,
/// and nothing is said; it is told only where none of ours has done it.
fn done_unawares(operation: &Operation, step: u32, upstream_id: String) -> Vec<UpstreamRef> {
    let passed = operation.state == State::Succeeded || operation.step > step;
    if passed || successes(operation, step).next().is_some() {
        return Vec::new();
    }
    let found = UpstreamRef::ids_of(upstream_id);
    let ids = [&found, &operation.upstream.ids, &operation.upstream_target];
    let ids = ids.into_iter().find(|ids| !ids.is_empty()).cloned();
    let ids = ids.unwrap_or_else(|| vec![operation.target.clone()]);
    vec![UpstreamRef { ids, ..UpstreamRef::default() }]
}

fn successes(operation: &Operation, step: u32) -> impl Iterator<Item = &Attempt> {
    let succeeded = |it: &&Attempt| matches!(it.outcome, Outcome::Applied | Outcome::Pending);
    operation.attempts.iter().filter(move |it| it.step == step).filter(succeeded)
}
