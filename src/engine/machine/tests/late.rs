//! What turns up after it was taken for absent: in whatever step, at whatever level of evidence, before
//! the end and after it.

use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::{FindResponse, Op, StepOutcome};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, ErrorReason, Evidence, UpstreamRef};
use uuid::Uuid;

use super::table::{
    done, next, order, panicked, pending, refusable, rejected, running, success, unproven,
};
use super::{SETTLE, age_at, begin, now_at, policy, start};
use crate::engine::machine::{
    Closing, Event, LateFinding, NewAttempt, Now, Policy, Resolution, apply, broken_invariant,
};
use crate::plugin::{Seen, Spend};
use crate::store::operation::{Baseline, Decision, Note, Operation};

/// An operation on its way, by one policy.
pub(super) struct Way {
    pub(super) operation: Operation,
    pub(super) policy: Policy,
    pub(super) seconds: u64,
    pub(super) claims: usize,
}

impl Way {
    /// From the first permit.
    pub(super) fn begin(evidence: Evidence) -> Way {
        Way { operation: running(evidence), policy: policy(evidence), seconds: 2, claims: 0 }
    }

    #[track_caller]
    pub(super) fn take(&mut self, event: Event) -> &mut Self {
        let change = apply(&self.operation, event, &self.policy, &now_at(self.seconds)).unwrap();
        self.operation = change.operation;
        self.claims += change.claims.len();
        assert_eq!(broken_invariant(&self.operation), None);
        self
    }

    pub(super) fn pass(&mut self, seconds: u64) -> &mut Self {
        self.seconds += seconds;
        self
    }

    pub(super) fn close(&mut self, seen: Seen, said: Result<StepOutcome>) -> &mut Self {
        let attempt = Some(self.operation.attempts.len() as u32);
        let call = "create".into();
        let spend = Spend { call, effect: Effect::Spend, attempt, seen, answer: None };
        self.take(Event::Closed(Closing { spend: Some(spend), said, contest: None }))
    }

    /// The answer is lost, and nothing is there when the window is over.
    pub(super) fn lost_and_absent(&mut self) -> &mut Self {
        let absent = FindResponse { outcome: Some(Finding::Absent(Absent::default())) };
        self.close(unproven(), panicked())
            .pass(SETTLE.as_secs() + 1)
            .take(Event::Looked(absent.into()))
    }

    pub(super) fn begin_again(&mut self, present: &[&str]) -> &mut Self {
        let present_ids = present.iter().map(|id| (*id).to_owned()).collect();
        let baseline = Baseline {
            evidence: vec![2],
            similarity: "shares 1".into(),
            present_ids,
            highest_id: String::new(),
        };
        self.take(begin("A1")).take(Event::BaselineTaken(baseline))
    }

    pub(super) fn permit(&mut self) -> &mut Self {
        let nonce = Uuid::from_u128(2 + self.operation.attempts.len() as u128);
        let attempt = NewAttempt {
            nonce,
            call: "create".into(),
            effect: Effect::Spend,
            plugin: "acme 1.0.0".to_owned(),
            plugin_sha256: String::new(),
        };
        self.take(Event::Permitted(attempt))
    }

    pub(super) fn send_again(&mut self) -> &mut Self {
        self.begin_again(&["old"]).permit()
    }

    /// Looks once the window is over: what is found in each step.
    pub(super) fn look_back(&mut self, findings: &[(u32, Finding)]) -> &mut Self {
        let finding = |(step, outcome): &(u32, Finding)| LateFinding {
            step: *step,
            response: FindResponse { outcome: Some(outcome.clone()) },
        };
        let findings = findings.iter().map(finding).collect();
        self.pass(SETTLE.as_secs() + 1).take(Event::LookedBack(findings))
    }

    pub(super) fn told(&self) -> Vec<&str> {
        assert_eq!(self.operation.turned_up_late(), !self.operation.candidates.is_empty());
        assert_eq!(self.operation.wake_time, None, "it has looked");
        assert!(self.operation.given_up.is_empty(), "nothing is kept");
        assert_eq!(self.operation.baseline, None, "nothing is kept");
        self.operation.candidates.iter().map(|it| it.id()).collect()
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.operation.attempts.iter().map(|it| it.outcome).collect()
    }
}

fn found(id: &str) -> Finding {
    Finding::Found(Found { upstream_id: id.into(), outcome: None })
}

fn several(ids: &[&str]) -> Finding {
    let named = |id: &&str| UpstreamRef::of(*id);
    let unexplained = ids.iter().map(named).collect();
    let alike_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Finding::Absent(Absent { unexplained, alike_ids, ..Absent::default() })
}

fn nothing() -> Finding {
    Finding::Absent(Absent::default())
}

/// An operation whose first attempt was taken for absent and whose second was sold as `b`.
fn ended_after_absence(evidence: Evidence) -> Way {
    let mut way = Way::begin(evidence);
    way.lost_and_absent().send_again().close(success(Some("b")), done("b"));
    way.claims = 0;
    way
}

#[test]
fn what_turns_up_after_the_end_is_told_and_changes_nothing_else() {
    // What each look finds, and what is told in the end.
    let looked = |ids: &[&str]| match ids {
        [one] => found(one),
        all => several(all),
    };
    let check = |evidence: Evidence, looks: &[&[&str]], told: &[&str], claimed: usize| {
        let mut way = ended_after_absence(evidence);
        let ended = way.operation.clone();
        let window = Duration::from_secs(way.seconds) + SETTLE;
        assert_eq!(ended.wake_time, Some(age_at(0) + window));
        for look in looks {
            way.look_back(&[(1, looked(look))]);
        }
        assert_eq!((way.told(), way.claims), (told.to_vec(), claimed), "{evidence:?} {looks:?}");
        assert_eq!(way.operation.state, State::Succeeded);
        assert_eq!((&way.operation.view, &way.operation.upstream), (&ended.view, &ended.upstream));
        let first = if told.is_empty() { Outcome::Absent } else { Outcome::Applied };
        assert_eq!(way.operation.attempts[0].outcome, first);
        let more = Event::LookedBack(Vec::new());
        assert!(apply(&way.operation, more, &way.policy, &now_at(9000)).is_err(), "looked once");
    };
    check(Evidence::Reference, &[&[]], &[], 0);
    check(Evidence::Reference, &[&["b"]], &[], 0);
    check(Evidence::Reference, &[&["old", "b"]], &[], 0);
    check(Evidence::Reference, &[&["a"]], &["a"], 1);
    // Of several it is not known that each carries our mark.
    check(Evidence::Reference, &[&["a", "b"], &["a", "b"]], &["a"], 0);
    check(Evidence::Reference, &[&["a", "b"], &["b"]], &[], 0);
    // By difference it may be another order's, until that one's answer had time to be stored.
    check(Evidence::Difference, &[&["b"]], &[], 0);
    check(Evidence::Difference, &[&["a"], &["a"]], &["a"], 0);
    check(Evidence::Difference, &[&["a"], &[]], &[], 0);
    check(Evidence::Difference, &[&["a"], &["c"]], &[], 0);
}

/// What comes between the last look and the next attempt's evidence stands in that evidence; the first
/// attempt's own tells that it is new.
#[test]
fn what_came_just_before_the_next_attempt_is_new_all_the_same() {
    for evidence in [Evidence::Reference, Evidence::Difference] {
        let mut way = Way::begin(evidence);
        way.lost_and_absent().begin_again(&["old", "a"]).permit();
        way.close(success(Some("b")), done("b"));
        way.look_back(&[(1, several(&["old", "a", "b"]))]);
        way.look_back(&[(1, several(&["a", "b"]))]);
        assert_eq!(way.told(), ["a"], "{evidence:?}");
    }
}

/// The first step is sold at once; the answers of two attempts of the second are lost before a third.
#[test]
fn every_step_is_looked_for_as_it_was_begun() {
    let mut way = Way::begin(Evidence::Difference);
    way.close(success(Some("a")), next("a"));
    way.send_again().lost_and_absent().send_again().lost_and_absent().send_again();
    way.close(success(Some("b")), pending("a b"));
    let [kept] = way.operation.given_up.as_slice() else { panic!("{:?}", way.operation.given_up) };
    assert_eq!((kept.step, kept.handle.as_slice()), (2, &[1][..]));
    assert_eq!(kept.baseline.as_ref().unwrap().present_ids, ["old"]);
    way.operation.state = State::Running;
    way.operation.state = State::WaitingUpstream;
    let polled = purveyor_sdk::plugin::v1::poll_outcome::Outcome::Done(
        purveyor_sdk::plugin::v1::step_outcome::Done { resource: order("a b") },
    );
    let polled = purveyor_sdk::plugin::v1::PollOutcome { outcome: Some(polled) };
    way.take(Event::Polled(polled));
    assert_eq!(way.operation.state, State::Succeeded);
    let late = || several(&["a", "b", "c", "d"]);
    way.look_back(&[(2, late())]).look_back(&[(2, late())]);
    assert_eq!(way.told(), ["c", "d"]);
    assert_eq!(way.outcomes(), [Outcome::Applied; 4]);
    let ids: Vec<&str> = way.operation.attempts.iter().map(|it| it.upstream_id.as_str()).collect();
    assert_eq!(ids, ["a", "c", "d", "b"]);
}

/// A price rule: no answer tells its identifier.
#[test]
fn of_what_has_no_identifier_only_a_surplus_is_told() {
    let check = |looked: Finding, told: &[&str], kept: &str| {
        let mut way = Way::begin(Evidence::Difference);
        way.close(success(Some("a")), next("a")).send_again().lost_and_absent().send_again();
        way.close(success(None), done("a"));
        way.look_back(&[(2, looked.clone())]);
        if !told.is_empty() {
            way.look_back(&[(2, looked)]);
        }
        assert_eq!(way.told(), told);
        assert_eq!(way.operation.attempts[1].upstream_id, kept);
    };
    check(nothing(), &[], "");
    check(found(""), &[], "");
    check(several(&["8"]), &[], "");
    // Nobody can tell which of them was late.
    check(several(&["8", "9"]), &["8", "9"], "");
    // What one kind of object is called by, another can be called by too.
    check(several(&["a", "9"]), &["a", "9"], "");
}

#[test]
fn by_nature_a_second_success_is_not_seen_and_a_lone_one_is() {
    let ended = |seen: Seen, said: Result<StepOutcome>| {
        let mut way = Way::begin(Evidence::Natural);
        way.operation.upstream_target = vec!["42".into()];
        way.lost_and_absent().send_again().close(seen, said);
        way
    };
    // It was paid; nothing upstream tells whether it was paid twice.
    let mut paid = ended(success(None), done("42"));
    paid.look_back(&[(1, found(""))]);
    assert_eq!((paid.told().len(), paid.outcomes()[0]), (0, Outcome::Absent));
    // The means was refused; then it was paid after all.
    let refused = || {
        let mut way = ended(refusable(false), rejected("fault"));
        assert_eq!(way.operation.state, State::Reconciling, "it is looked once more");
        way.take(Event::Looked(FindResponse { outcome: Some(nothing()) }.into()));
        way
    };
    let mut late = refused();
    assert_eq!(late.operation.state, State::Failed);
    late.look_back(&[(1, found(""))]).look_back(&[(1, found(""))]);
    assert_eq!(late.told(), ["42"]);
    assert_eq!(late.outcomes(), [Outcome::Applied, Outcome::Rejected]);
    assert_eq!(late.operation.error.as_ref().unwrap().reason(), ErrorReason::UpstreamRejected);
    // An order that is gone, or whose word is not known, is no evidence of anything.
    for unclear in [several(&["42"]), nothing()] {
        let mut way = refused();
        way.look_back(&[(1, unclear)]);
        assert_eq!(way.told(), [""; 0]);
    }
    // What another operation has done by the second look is no evidence either.
    let mut way = refused();
    way.look_back(&[(1, found(""))]).look_back(&[]);
    assert_eq!(way.told(), [""; 0]);
}

#[test]
fn what_comes_through_before_it_is_sent_again_is_a_success() {
    let mut way = Way::begin(Evidence::Natural);
    way.policy.must_send = false;
    way.lost_and_absent().begin_again(&[]);
    way.take(Event::Closed(Closing { spend: None, said: pending("42"), contest: None }));
    assert_eq!(
        (way.operation.state, way.outcomes()),
        (State::WaitingUpstream, vec![Outcome::Pending])
    );
    let polled = purveyor_sdk::plugin::v1::poll_outcome::Outcome::Done(
        purveyor_sdk::plugin::v1::step_outcome::Done { resource: order("42") },
    );
    let polled = purveyor_sdk::plugin::v1::PollOutcome { outcome: Some(polled) };
    way.take(Event::Polled(polled));
    assert_eq!((way.told().len(), way.outcomes()), (0, vec![Outcome::Applied]));
}

/// A payment whose order does not wait for one any more: by the first attempt, or by somebody else.
#[test]
fn what_cannot_be_sent_again_is_looked_for_before_it_fails() {
    let refused = || {
        let mut way = Way::begin(Evidence::Difference);
        way.lost_and_absent().begin_again(&["old", "a"]);
        let said = Err(Error::state("it does not wait for payment"));
        way.take(Event::Closed(Closing { spend: None, said, contest: None }));
        assert_eq!(way.operation.state, State::Reconciling);
        assert_eq!(way.operation.baseline.as_ref().unwrap().present_ids, ["old"], "the first's");
        way
    };
    let mut through = refused();
    let outcome = Some(done("a").unwrap());
    let found = Finding::Found(Found { upstream_id: "a".into(), outcome });
    through.take(Event::Looked(FindResponse { outcome: Some(found) }.into()));
    assert_eq!(
        (through.operation.state, through.outcomes()),
        (State::Succeeded, vec![Outcome::Applied])
    );
    assert!(through.told().is_empty());
    // It is looked once, and then the refusal holds.
    let mut failed = refused();
    failed.take(Event::Looked(FindResponse { outcome: Some(nothing()) }.into()));
    assert_eq!(failed.operation.state, State::Failed);
    // What nothing explains may be the first attempt's.
    let mut asked = refused();
    asked.take(Event::Looked(FindResponse { outcome: Some(several(&["a"])) }.into()));
    assert_eq!(asked.operation.state, State::NeedsOperator);
    // A failure that may pass is no refusal.
    let mut waits = Way::begin(Evidence::Natural);
    waits.lost_and_absent().begin_again(&[]);
    let said = Err(Error::unavailable("no connection"));
    waits.take(Event::Closed(Closing { spend: None, said, contest: None }));
    assert_eq!(waits.operation.state, State::Accepted);
}

#[test]
fn what_a_person_calls_not_executed_is_looked_for_once_more() {
    let check = |evidence: Evidence, shared: bool, looks: bool| {
        let mut way = Way::begin(evidence);
        way.policy.account_shared = shared;
        way.close(unproven(), panicked());
        way.operation.state = State::NeedsOperator;
        way.pass(SETTLE.as_secs() + 1);
        let note = Note::new(start(), "ops".into(), "looked".into(), Decision::Unknown);
        let resolution = Resolution::NotExecuted { try_again: false, at_own_risk: false };
        way.take(Event::Resolved { resolution, note });
        assert_eq!(way.operation.wake_time.is_some(), looks, "{evidence:?}");
        assert_eq!(way.operation.attempts[0].message, "connection closed", "evidence is kept");
        if looks {
            way.look_back(&[(1, several(&["a"]))]);
            way.look_back(&[(1, several(&["a"]))]);
            assert_eq!((way.told(), way.operation.state), (vec!["a"], State::Failed));
        }
    };
    check(Evidence::Reference, false, true);
    check(Evidence::Natural, true, true);
    check(Evidence::Difference, false, true);
    // Somebody else may have bought what is new, and where nothing can be asked nothing is.
    check(Evidence::Difference, true, false);
    check(Evidence::None, false, false);
}

#[test]
fn the_last_look_waits_for_its_window_and_gives_up_at_last() {
    let policy = policy(Evidence::Reference);
    let ended = ended_after_absence(Evidence::Reference).operation;
    let late = || {
        let response = FindResponse { outcome: Some(several(&["a"])) };
        Event::LookedBack(vec![LateFinding { step: 1, response }])
    };
    let early = apply(&ended, late(), &policy, &now_at(110)).unwrap();
    assert_eq!(early.operation.wake_time, ended.wake_time);
    // A wall clock that is a day ahead ends nothing.
    let stepped = Now { wall: now_at(100_000).wall, ..now_at(110) };
    let early = apply(&ended, late(), &policy, &stepped).unwrap();
    assert_eq!(early.operation.wake_time, ended.wake_time);
    let mut tried = ended;
    while tried.wake_time.is_some() {
        let event = Event::LookBackFailed(Error::unavailable("no connection"));
        tried = apply(&tried, event, &policy, &now_at(254)).unwrap().operation;
    }
    assert!(!tried.turned_up_late());
    assert!(tried.message.ends_with("no connection"), "{}", tried.message);
}

/// A setting that never gets an answer is sent so often and not for ever; a person who says that it was
/// not done has it sent as often again.
#[test]
fn a_setting_that_is_never_answered_ends_with_a_person() {
    let set = || {
        Event::Permitted(NewAttempt {
            nonce: Uuid::nil(),
            call: "terminate".into(),
            effect: Effect::Setting,
            plugin: "acme 1.0.0".to_owned(),
            plugin_sha256: String::new(),
        })
    };
    // Where its state cannot be read, somebody else may have changed it since: it is not sent over their
    // head, and only an end is sent once more.
    let cases = [
        (Evidence::Natural, Op::SuspendService, 5),
        (Evidence::None, Op::SuspendService, 1),
        (Evidence::None, Op::TerminateService, 2),
    ];
    for ((evidence, op, times), failed) in
        cases.into_iter().flat_map(|it| [(it, false), (it, true)])
    {
        let mut way = Way::begin(evidence);
        way.operation.op = op;
        way.policy.effect = Effect::Setting;
        way.operation.attempts.clear();
        let sent_until_asked = |way: &mut Way| {
            let before = way.operation.attempts.len();
            while way.operation.state != State::NeedsOperator {
                if way.operation.state == State::Accepted {
                    way.take(begin("A1"));
                }
                way.take(set()).close(unproven(), panicked());
                assert_eq!(way.operation.state, State::OutcomeUnknown);
                way.pass(SETTLE.as_secs() + 1).take(if failed {
                    Event::LookFailed(Error::unsupported("a search"))
                } else {
                    Event::Looked(FindResponse { outcome: Some(nothing()) }.into())
                });
                assert!(way.operation.attempts.len() < 20, "it is sent for ever");
            }
            way.operation.attempts.len() - before
        };
        assert_eq!(sent_until_asked(&mut way), times);
        let told = format!("{times} times");
        assert!(way.operation.message.contains(&told), "{}", way.operation.message);
        let note = Note::new(start(), "ops".into(), "looked".into(), Decision::Unknown);
        let resolution = Resolution::NotExecuted { try_again: true, at_own_risk: false };
        way.take(Event::Resolved { resolution, note });
        assert_eq!(sent_until_asked(&mut way), times);
    }
}
