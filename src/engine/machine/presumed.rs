//! A request of which the store may lack that it was sent: an attempt stands for it, which is unknown until it
//! was searched for as any other.

use purveyor_sdk::v1::operation::{Outcome, State};

use super::Step;
use super::event::Presumption;
use crate::store::operation::{Attempt, Observed, Settle};

const MESSAGE: &str = "it may have been sent in the time that the store lacks";

impl Step<'_> {
    /// What the store lacks was sent before the confirmation, so the window began then: mostly the first
    /// search decides.
    pub(super) fn presume(&mut self, presumption: Presumption) {
        let Some(lost) = self.policy.lost else { return };
        let Presumption { nonce, call, evidence } = presumption;
        self.next.attempts.push(Attempt {
            number: self.next.attempts.len() as u32 + 1,
            step: self.next.step,
            nonce,
            call,
            effect: self.policy.effect,
            permit_time: lost.from,
            permit_age: self.now.after(std::time::Duration::ZERO),
            outcome: Outcome::Unknown,
            message: MESSAGE.to_owned(),
            upstream_id: String::new(),
            plugin: String::new(),
            plugin_sha256: String::new(),
            answer_status: 0,
            answer: Vec::new(),
            observed: Observed::Nothing,
            unapplied: None,
        });
        let window = self.policy.settle;
        let conclusive_at = lost.confirmed_age + self.now.slack + window;
        self.next.settle = Some(Settle { conclusive_at, window, escalate_at: None });
        self.next.pending_end = None;
        self.next.tries = 0;
        match evidence {
            Ok(baseline) => {
                self.next.baseline = Some(baseline);
                self.next.state = State::OutcomeUnknown;
                self.next.message = MESSAGE.to_owned();
                self.next.wake_time = Some(self.now.age);
            }
            Err(why) => {
                self.next.baseline = None;
                self.ask_operator(format!("{MESSAGE}, and {why}"));
            }
        }
    }
}
