//! One last look after the end: whether an attempt that was taken for absent turned up after all. What
//! was decided stays as it is and nothing is repaired; a person is told.

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::FindResponse;
use purveyor_sdk::plugin::v1::find_response::Outcome as Finding;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};

use super::{Step, rules};
use crate::store::operation::{Attempt, Claim, Operation, Settle};

/// After so many failures in a row nobody looks any more: the upstream may be gone for good.
const LOOKS: u32 = 100;

impl Step<'_> {
    /// The window that absence was believed after is as long as the upstream is said to take, so an
    /// upstream that takes longer is given as long once more.
    ///
    /// Only for spends of the first step: the handles of later ones are not kept. On an account that
    /// somebody else buys on as well, what is new proves nothing.
    pub(super) fn look_back_later(&mut self) {
        let knows = match self.policy.evidence {
            Evidence::Reference => true,
            Evidence::Difference => !self.policy.account_shared,
            Evidence::Natural | Evidence::None | Evidence::Unspecified => false,
        };
        let ended = matches!(self.next.state, State::Succeeded | State::Failed);
        if knows && ended && self.next.step == 1 && self.next.attempts.iter().any(gave_up) {
            self.next.tries = 0;
            self.wait_once_more();
        }
    }

    fn wait_once_more(&mut self) {
        let settle = Settle::begin(self.policy.settle, self.now);
        self.next.wake_time = Some(settle.wall);
        self.next.settle = Some(settle);
    }

    pub(super) fn looked_back(&mut self, response: FindResponse) {
        self.follow_boot();
        if !self.settled() {
            // The two clocks do not tick together.
            let soon = self.now.wall + self.policy.look.first;
            let settle = self.next.settle.as_ref();
            self.next.wake_time = Some(settle.map_or(soon, |settle| settle.wall.max(soon)));
            return;
        }
        let mut late = unknown_to(&self.next, response);
        if self.policy.evidence == Evidence::Difference {
            if self.next.candidates.is_empty() && !late.is_empty() {
                // A spend of another operation is new as well until its answer is stored.
                self.next.candidates = late;
                return self.wait_once_more();
            }
            late.retain(|it| self.next.candidates.iter().any(|seen| seen.id == it.id));
        }
        self.rest();
        if !late.is_empty() {
            self.turned_up(late);
        }
    }

    fn turned_up(&mut self, late: Vec<UpstreamRef>) {
        let absent = self.next.attempts.iter_mut().filter(|attempt| gave_up(attempt));
        for (attempt, found) in absent.zip(&late) {
            attempt.outcome = Outcome::Applied;
            attempt.message = "turned up after it was taken for absent".to_owned();
            attempt.upstream_id.clone_from(&found.id);
        }
        if self.policy.evidence == Evidence::Reference {
            // It carries our mark, so it is nobody else's evidence.
            self.claims.extend(late.iter().map(|found| Claim {
                account: self.policy.gate.clone(),
                kind: self.policy.id_kind.clone(),
                upstream_id: found.id.clone(),
            }));
        }
        let ids: Vec<&str> = late.iter().map(|found| found.id.as_str()).collect();
        self.next.message = format!("{} turned up after it was taken for absent", ids.join(", "));
        self.next.candidates = late;
    }

    pub(super) fn look_back_failed(&mut self, error: &Error) {
        self.next.tries = self.next.tries.saturating_add(1);
        if rules::transient(error.reason) && self.next.tries < LOOKS {
            let delay = self.policy.look.delay(self.next.tries);
            self.next.wake_time = Some(self.now.wall + delay);
            return;
        }
        self.rest();
        self.next.message = format!("it was not looked whether more turned up: {error}");
    }

    fn rest(&mut self) {
        self.next.wake_time = None;
        self.next.settle = None;
        self.next.candidates.clear();
    }
}

/// A spend that was sent and then taken for absent.
fn gave_up(attempt: &Attempt) -> bool {
    attempt.effect == Effect::Spend && attempt.outcome == Outcome::Absent
}

/// What a look has found and the operation does not know as its own.
fn unknown_to(operation: &Operation, response: FindResponse) -> Vec<UpstreamRef> {
    let mut found = match response.outcome {
        Some(Finding::Found(found)) => {
            vec![UpstreamRef { id: found.upstream_id, ..UpstreamRef::default() }]
        }
        Some(Finding::Several(several)) => several.candidates,
        Some(Finding::Absent(_)) | None => Vec::new(),
    };
    let own = operation.own_ids();
    let present = operation.baseline.as_ref().map_or(&[][..], |baseline| &baseline.present_ids);
    found.retain(|it| !it.id.is_empty() && !own.contains(&it.id) && !present.contains(&it.id));
    found
}
