//! After acceptance: what is under way is polled without bound. What does not go on, and does not show the
//! effect that was asked for, has to last for the method's effect lag before it ends anything.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::step_outcome::{Pending, Standing};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::State;

use super::Step;
use super::close::delay;
use super::event::Contest;
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::store::operation::{EndKind, PendingEnd};

impl Step<'_> {
    /// The upstream has not done it yet, as a poll tells.
    pub(super) fn stands(&mut self, pending: Pending) {
        let standing = pending.standing();
        let after = delay(pending.after);
        #[cfg(feature = "failpoints")]
        if standing == Standing::EffectAwaited
            && failpoint::control(failpoint::Control::WordIsSuccess)
        {
            return self.succeed(pending.view);
        }
        let Some(end) = kind(standing) else {
            return self.still_under_way(pending.handle, after, pending.view);
        };
        let error = pending.error.unwrap_or_else(|| {
            let message = "the upstream does not carry on, and the plugin does not say why";
            Error::new(ErrorReason::PluginFault, message).into()
        });
        let since = match &self.next.pending_end {
            Some(known) if lasts(known.kind, end) => known.since,
            _ => self.now.after(Duration::ZERO),
        };
        let over = since + self.policy.effect_lag;
        self.see(pending.view);
        self.next.handle = pending.handle;
        self.next.pending_end = Some(PendingEnd { kind: end, since, error: error.clone() });
        if self.now.age >= over && self.next.word_waits_until().is_none() {
            return self.lasted(end, error.into());
        }
        if self.next.state == State::NeedsOperator {
            self.shows_nothing = true;
            return self.read_on();
        }
        self.next.tries = 0;
        self.next.message = error.message;
        let left = over.since(self.now.age);
        self.next.wake_time =
            Some(super::rules::tick(self.now.age, after).min(self.now.age + left));
    }

    /// A poll cannot tell of the accepted work itself.
    pub(super) fn stands_unclear(&mut self, error: &Error) {
        self.stands(Pending {
            handle: self.next.handle.clone(),
            standing: Standing::Unclear.into(),
            error: Some(error.again().into()),
            ..Pending::default()
        });
    }

    /// What was delivered belongs to another operation. Where several orders are alike, the next poll knows
    /// that and takes another object; what lasts is an operator's.
    pub(super) fn delivery_contested(&mut self, contest: &Contest) {
        let Contest { by, upstream_id } = contest;
        let message = format!("{upstream_id} belongs to operations/{by} already");
        let error = Error::new(ErrorReason::DuplicateDetected, message);
        self.stands(Pending {
            handle: self.next.handle.clone(),
            standing: Standing::EffectAwaited.into(),
            error: Some(error.into()),
            ..Pending::default()
        });
        if self.next.state == State::NeedsOperator {
            self.ask_about_contest(contest);
        }
    }

    fn still_under_way(
        &mut self,
        handle: Vec<u8>,
        after: Duration,
        view: Option<purveyor_sdk::plugin::v1::Resource>,
    ) {
        // Where its effect was asked about, that it goes on is the answer.
        let asked_about_effect = self.next.pending_end.is_some();
        if self.next.state == State::NeedsOperator && !asked_about_effect {
            self.see(view);
            self.next.handle = handle;
            return self.read_on();
        }
        self.wait(handle, after, view);
    }

    /// It has lasted for the effect lag.
    fn lasted(&mut self, end: EndKind, error: Error) {
        if end == EndKind::NotDone {
            self.keep_for_later();
            return self.fail(error);
        }
        let seen = Error::new(ErrorReason::EffectNotSeen, error.message);
        self.ask_operator_because(Error { metadata: error.metadata, ..seen });
    }
}

fn kind(standing: Standing) -> Option<EndKind> {
    match standing {
        Standing::Unspecified => None,
        Standing::EffectAwaited => Some(EndKind::EffectAwaited),
        Standing::Unclear => Some(EndKind::Unclear),
        Standing::NotDone => Some(EndKind::NotDone),
    }
}

/// Whether what was said before counts for what is said now: only a failure has to be said all the time.
fn lasts(known: EndKind, now: EndKind) -> bool {
    known == now || (known != EndKind::NotDone && now != EndKind::NotDone)
}
