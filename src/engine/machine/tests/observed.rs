//! An answer that is applied late, and an object that another operation was answered: in every state the
//! operation can be in, also after its end.

use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::poll_outcome::{Failed, Outcome as Progress};
use purveyor_sdk::plugin::v1::{FindResponse, PollOutcome};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::late::Way;
use super::table::{done, order, panicked, pending, refusable, rejected, success, unproven};
use super::{EFFECT_LAG, SETTLE, begin, now_at};
use crate::engine::machine::{Closing, Contest, Event, Resolution, apply};
use crate::plugin::{Seen, Spend};
use crate::store::operation::{Decision, Note, Origin};

const OTHER: Uuid = Uuid::from_u128(9);

impl Way {
    fn lost(&mut self) -> &mut Self {
        self.close(unproven(), panicked())
    }

    /// What came of the attempt with this number is applied now.
    #[track_caller]
    fn answered_late(&mut self, number: usize, id: &str) -> &mut Self {
        self.contested_late(number, id, None)
    }

    #[track_caller]
    fn contested_late(&mut self, number: usize, id: &str, contest: Option<&str>) -> &mut Self {
        let attempt = &self.operation.attempts[number - 1];
        let spend = Spend {
            call: attempt.call.clone(),
            effect: attempt.effect,
            attempt: Some(attempt.number),
            seen: success(Some(id)),
            answer: None,
        };
        let contest = contest.map(|id| Contest { by: OTHER, upstream_id: id.to_owned() });
        let closing = Closing { spend: Some(spend), said: pending(id), contest };
        self.take(Event::ObservedLate { nonce: attempt.nonce, closing })
    }

    fn look(&mut self, finding: Finding) -> &mut Self {
        self.take(Event::Looked(FindResponse { outcome: Some(finding) }.into()))
    }

    fn found(&mut self, id: &str) -> &mut Self {
        let outcome = Some(pending(id).unwrap());
        self.look(Finding::Found(Found { upstream_id: id.into(), outcome }))
    }

    fn claim_lost(&mut self, id: &str) -> &mut Self {
        self.take(Event::ClaimLost { by: OTHER, upstream_id: id.into() })
    }

    fn resolve(&mut self, resolution: Resolution) -> &mut Self {
        let note = Note::new(now_at(0).wall, "ops".into(), "looked".into(), Decision::Unknown);
        self.take(Event::Resolved { resolution, note })
    }

    fn duplicates(&self) -> Vec<&str> {
        self.operation.duplicates.iter().map(|it| it.id()).collect()
    }

    fn problem(&self) -> Option<ErrorReason> {
        self.operation.error.as_ref().map(|error| error.reason())
    }
}

/// A way to a state in which the first attempt's answer may still arrive, and what it leads to.
struct Case {
    name: &'static str,
    way: fn(&mut Way) -> &mut Way,
    state: State,
    outcomes: &'static [Outcome],
    duplicates: &'static [&'static str],
}

const CASES: [Case; 13] = [
    Case {
        name: "unknown",
        way: |way| way.lost(),
        state: State::WaitingUpstream,
        outcomes: &[Outcome::Pending],
        duplicates: &[],
    },
    Case {
        name: "looked for",
        way: |way| way.lost().look(Finding::Absent(Absent::default())),
        state: State::WaitingUpstream,
        outcomes: &[Outcome::Pending],
        duplicates: &[],
    },
    Case {
        name: "a person is asked",
        way: |way| {
            way.policy.absence_is_proof = false;
            way.lost().pass(SETTLE.as_secs() + 1).look(Finding::Absent(Absent::default()));
            assert_eq!(way.operation.state, State::NeedsOperator);
            way
        },
        state: State::WaitingUpstream,
        outcomes: &[Outcome::Pending],
        duplicates: &[],
    },
    Case {
        name: "absent, nothing sent since",
        way: |way| way.lost_and_absent(),
        state: State::WaitingUpstream,
        outcomes: &[Outcome::Pending],
        duplicates: &[],
    },
    Case {
        name: "absent, nothing left since",
        way: |way| {
            let not_sent = Seen::NotSent { reason: "no connection".into() };
            way.lost_and_absent().send_again().close(not_sent, panicked())
        },
        state: State::WaitingUpstream,
        outcomes: &[Outcome::Pending, Outcome::NotSent],
        duplicates: &[],
    },
    Case {
        name: "absent, the next one is under way",
        way: |way| way.lost_and_absent().send_again(),
        state: State::Running,
        outcomes: &[Outcome::Applied, Outcome::Unspecified],
        duplicates: &["a"],
    },
    Case {
        name: "absent, the next one is unknown",
        way: |way| way.lost_and_absent().send_again().lost(),
        state: State::OutcomeUnknown,
        outcomes: &[Outcome::Applied, Outcome::Unknown],
        duplicates: &["a"],
    },
    Case {
        name: "absent, the next one is being carried out",
        way: |way| way.lost_and_absent().send_again().close(success(Some("b")), pending("b")),
        state: State::WaitingUpstream,
        outcomes: &[Outcome::Applied, Outcome::Pending],
        duplicates: &["a"],
    },
    Case {
        name: "absent, the next one was refused and may be repeated",
        way: |way| {
            way.lost_and_absent().send_again().close(refusable(true), rejected("fault"));
            assert_eq!(way.operation.state, State::Accepted);
            way
        },
        state: State::NeedsOperator,
        outcomes: &[Outcome::Applied, Outcome::Rejected],
        duplicates: &["a"],
    },
    Case {
        name: "absent twice",
        way: |way| way.lost_and_absent().send_again().lost_and_absent(),
        state: State::NeedsOperator,
        outcomes: &[Outcome::Applied, Outcome::Absent],
        duplicates: &["a"],
    },
    Case {
        name: "done by the next one",
        way: |way| way.lost_and_absent().send_again().close(success(Some("b")), done("b")),
        state: State::Succeeded,
        outcomes: &[Outcome::Applied, Outcome::Applied],
        duplicates: &["a"],
    },
    Case {
        name: "the next one was refused, and it is looked once more",
        way: |way| way.lost_and_absent().send_again().close(refusable(false), rejected("fault")),
        state: State::Reconciling,
        outcomes: &[Outcome::Applied, Outcome::Rejected],
        duplicates: &["a"],
    },
    Case {
        name: "failed",
        way: |way| {
            let nothing = FindResponse { outcome: Some(Finding::Absent(Absent::default())) };
            way.lost_and_absent().send_again().close(refusable(false), rejected("fault"));
            way.take(Event::Looked(nothing.into()))
        },
        state: State::Failed,
        outcomes: &[Outcome::Applied, Outcome::Rejected],
        duplicates: &["a"],
    },
];

#[test]
fn a_late_answer_counts_in_every_state() {
    for Case { name, way, state, outcomes, duplicates } in CASES {
        let mut on = Way::begin(Evidence::Difference);
        way(&mut on);
        let (claims, ended) = (on.claims, on.operation.clone());
        on.answered_late(1, "a");
        assert_eq!((on.operation.state, on.outcomes().as_slice()), (state, outcomes), "{name}");
        assert_eq!(on.duplicates(), duplicates, "{name}");
        assert_eq!(on.claims, claims + 1, "{name}: what was answered is claimed");
        if ended.done() {
            let now = &on.operation;
            assert_eq!(
                (&now.view, &now.upstream, &now.error),
                (&ended.view, &ended.upstream, &ended.error)
            );
        }
        if state == State::Running {
            assert_eq!(on.operation.wake_time, None, "{name}: nobody has to look at it");
        }
    }
}

/// The upstream accepted an attempt, and the one after it may follow no other, whatever became of it.
#[test]
fn a_step_that_was_accepted_is_never_begun_again() {
    let late = |after: fn(&mut Way) -> &mut Way| {
        let mut way = Way::begin(Evidence::Difference);
        way.lost_and_absent().send_again().answered_late(1, "a");
        after(&mut way);
        way
    };
    let asks: [fn(&mut Way) -> &mut Way; 3] = [
        |way| way.close(refusable(true), rejected("fault")),
        |way| way.close(Seen::NotSent { reason: "no connection".into() }, panicked()),
        |way| way.lost_and_absent(),
    ];
    for after in asks {
        let mut way = late(after);
        assert_eq!(way.operation.state, State::NeedsOperator);
        assert_eq!(way.problem(), Some(ErrorReason::DuplicateDetected));
        assert!(
            way.operation.message.contains("accepted attempt 1 as a"),
            "{}",
            way.operation.message
        );
        // It is what was asked for after all.
        let outcome = Some(Box::new(pending("a").unwrap()));
        way.resolve(Resolution::Executed { upstream_id: "a".into(), outcome });
        assert_eq!((way.operation.state, way.duplicates()), (State::WaitingUpstream, vec![]));
        let ids: Vec<_> = way.operation.attempts.iter().map(|it| it.upstream_id.as_str()).collect();
        assert_eq!(ids, ["a", ""], "the later one moved nothing");
        // The word waits for a window, and then nothing is sent again.
        let mut way = late(after);
        way.resolve(Resolution::NotExecuted { try_again: false, at_own_risk: false });
        assert_eq!(way.operation.state, State::NeedsOperator);
        way.pass(SETTLE.as_secs() + 1).look(Finding::Absent(Absent::default()));
        assert_eq!(way.operation.state, State::Failed);
        assert_eq!(way.problem(), Some(ErrorReason::NotExecuted));
        assert_eq!(way.duplicates(), ["a"]);
    }
}

/// An upstream may answer a repeated request with what it has made before.
#[test]
fn one_object_answered_twice_is_no_duplicate() {
    let mut way = Way::begin(Evidence::Difference);
    way.lost_and_absent().send_again().close(success(Some("a")), pending("a"));
    way.answered_late(1, "a");
    assert_eq!((way.operation.state, way.duplicates()), (State::WaitingUpstream, vec![]));
}

#[test]
fn a_late_answer_to_a_setting_is_no_sale() {
    let mut way = Way::begin(Evidence::Difference);
    way.lost();
    way.operation.attempts[0].effect = Effect::Setting;
    way.pass(SETTLE.as_secs() + 1).look(Finding::Absent(Absent::default()));
    way.send_again();
    way.operation.attempts[1].effect = Effect::Setting;
    way.answered_late(1, "");
    assert_eq!((way.operation.state, way.duplicates()), (State::Running, vec![]));
}

#[test]
fn what_was_answered_is_claimed_unless_another_operation_was_answered_the_same() {
    let check = |contest: &str, claimed: usize| {
        let mut way = Way::begin(Evidence::Difference);
        way.lost().contested_late(1, "a", Some(contest));
        assert_eq!(way.operation.state, State::NeedsOperator);
        assert_eq!(way.problem(), Some(ErrorReason::DuplicateDetected));
        assert_eq!((way.operation.candidates[0].id(), way.claims), (contest, claimed));
    };
    check("a", 0);
    // What was delivered is another's; the order is ours all the same.
    check("s1", 1);
}

#[test]
fn an_operation_loses_what_it_found_to_the_one_that_was_answered_it() {
    let mut way = Way::begin(Evidence::Difference);
    way.lost().found("a").claim_lost("a");
    assert_eq!(
        (way.operation.state, way.outcomes()),
        (State::NeedsOperator, vec![Outcome::Unknown])
    );
    assert_eq!(way.problem(), Some(ErrorReason::DuplicateDetected));
    assert!(way.operation.upstream.id().is_empty() && way.operation.view.is_none());
    assert_eq!(way.operation.candidates[0].id(), "a");

    // What has ended stays, and it is told.
    let mut way = Way::begin(Evidence::Difference);
    let finding = |id: &str| {
        let outcome = Some(done(id).unwrap());
        Finding::Found(Found { upstream_id: id.into(), outcome })
    };
    way.lost().look(finding("a"));
    let ended = way.operation.clone();
    way.claim_lost("a");
    assert_eq!((way.operation.state, &way.operation.view), (State::Succeeded, &ended.view));
    assert_eq!((way.outcomes(), way.duplicates()), (vec![Outcome::Applied], vec!["a"]));

    // A request that is under way has to end first: what came of it would be forgotten.
    let mut way = Way::begin(Evidence::Difference);
    way.lost_and_absent().send_again();
    let lost = Event::ClaimLost { by: OTHER, upstream_id: "a".into() };
    assert!(apply(&way.operation, lost, &way.policy, &now_at(way.seconds)).is_err());
}

#[test]
fn what_was_delivered_to_another_operation_is_for_a_person() {
    let mut way = Way::begin(Evidence::Difference);
    way.close(success(Some("a")), pending("a"));
    let contested = || Event::Contested(Contest { by: OTHER, upstream_id: "s1".into() });
    // The next poll may take another one that is alike.
    way.take(contested());
    assert_eq!(way.operation.state, State::WaitingUpstream);
    way.pass(EFFECT_LAG.as_secs()).take(contested());
    assert_eq!(way.operation.state, State::NeedsOperator);
    assert_eq!(way.problem(), Some(ErrorReason::DuplicateDetected));
}

/// An operator's word claims the object, so that it fails where another operation has it.
#[test]
fn an_operators_word_gives_nobody_what_another_operation_was_answered() {
    let mut way = Way::begin(Evidence::Difference);
    way.lost().contested_late(1, "a", Some("a"));
    let note = Note::new(now_at(0).wall, "ops".into(), "looked".into(), Decision::Unknown);
    let outcome = Some(Box::new(pending("a").unwrap()));
    let resolution = Resolution::Executed { upstream_id: "a".into(), outcome };
    let resolved = Event::Resolved { resolution, note };
    let change = apply(&way.operation, resolved, &way.policy, &now_at(way.seconds)).unwrap();
    let claims: Vec<_> =
        change.claims.iter().map(|new| (new.claim.upstream_id.as_str(), new.origin)).collect();
    assert_eq!(claims, [("a", Origin::Operator)]);
}

#[test]
fn a_person_who_says_not_executed_sends_nothing_after_an_accepted_attempt() {
    let mut way = Way::begin(Evidence::Difference);
    way.close(success(Some("a")), panicked());
    way.pass(SETTLE.as_secs() + 1).look(Finding::Absent(Absent::default()));
    assert_eq!(way.operation.state, State::NeedsOperator);
    way.resolve(Resolution::NotExecuted { try_again: false, at_own_risk: false });
    assert_eq!(way.operation.state, State::Failed);
    assert_eq!(way.problem(), Some(ErrorReason::NotExecuted));
}

#[test]
fn what_was_accepted_and_is_not_found_is_the_plugins_fault() {
    let fails = |said: Result<_>, why: &str| {
        let mut way = Way::begin(Evidence::Difference);
        way.close(success(Some("a")), said);
        assert_eq!(way.operation.state, State::OutcomeUnknown);
        way.pass(SETTLE.as_secs() + 1).look(Finding::Absent(Absent::default()));
        assert_eq!(way.operation.state, State::NeedsOperator);
        assert_eq!(way.problem(), Some(ErrorReason::PluginFault));
        assert!(way.operation.message.contains(why), "{}", way.operation.message);
    };
    fails(panicked(), "panicked");
    fails(rejected("fault"), "calls a successful answer a refusal");
    fails(done("b"), "does not name a");
}

#[test]
fn what_was_accepted_and_voided_later_has_failed() {
    let mut way = Way::begin(Evidence::Difference);
    way.close(success(Some("a")), pending("a"));
    let error = Error::new(ErrorReason::UpstreamFailed, "voided");
    let failed = Failed { error: Some(error.into()), view: order("a") };
    way.take(Event::Polled(PollOutcome { outcome: Some(Progress::Failed(failed)) }));
    assert_eq!(
        (way.operation.state, way.problem()),
        (State::Failed, Some(ErrorReason::UpstreamFailed))
    );
    // Nothing follows it.
    assert!(apply(&way.operation, begin("A1"), &way.policy, &now_at(way.seconds)).is_err());
}
