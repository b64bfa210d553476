//! After acceptance: the effect ends an operation, what does not go on has to last, and a refusal proves
//! its own attempt alone.

use bytes::Bytes;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Progress;
use purveyor_sdk::plugin::v1::step_outcome::{Done, Pending, Standing};
use purveyor_sdk::plugin::v1::{FindResponse, PollOutcome};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{ErrorReason, Evidence};

use super::EFFECT_LAG;
use super::late::Way;
use super::table::{done, next, order, panicked, pending, refusable, rejected, success, unproven};
use crate::engine::machine::{Closing, Event, Resolution};
use crate::plugin::{Answer, Seen, Spend};
use crate::store::operation::{Decision, Note};
use purveyor_sdk::Error;

const LAG: u64 = EFFECT_LAG.as_secs();

impl Way {
    fn accepted(evidence: Evidence) -> Way {
        let mut way = Way::begin(evidence);
        way.close(success(Some("a")), pending("a"));
        way
    }

    fn polled(&mut self, progress: Progress) -> &mut Self {
        self.take(Event::Polled(PollOutcome { outcome: Some(progress) }))
    }

    fn stands(&mut self, standing: Standing) -> &mut Self {
        self.polled(Progress::Pending(Pending {
            handle: vec![2],
            view: order("a"),
            standing: standing.into(),
            error: Some(Error::new(ErrorReason::UpstreamFailed, "its end is the old one").into()),
            ..Pending::default()
        }))
    }

    fn looked(&mut self, finding: Finding) -> &mut Self {
        self.take(Event::Looked(FindResponse { outcome: Some(finding) }.into()))
    }

    fn state(&self) -> State {
        self.operation.state
    }

    fn reason(&self) -> Option<ErrorReason> {
        self.operation.error.as_ref().map(purveyor_sdk::plugin::v1::Error::reason)
    }

    /// The request is answered with a status and a body that is read whole or not.
    fn answered(&mut self, seen: Seen, status: u16, complete: bool) -> &mut Self {
        let attempt = Some(self.operation.attempts.len() as u32);
        let answer = Some(Answer { status, body: Bytes::from_static(b"{}"), complete });
        let effect = purveyor_sdk::v1::Effect::Spend;
        let spend = Spend { call: "create".into(), effect, attempt, seen, answer };
        self.take(Event::Closed(Closing { spend: Some(spend), said: panicked(), contest: None }))
    }
}

fn is_done() -> Progress {
    Progress::Done(Done { resource: order("a") })
}

fn absent(effects: i32) -> Finding {
    Finding::Absent(Absent { effects, ..Absent::default() })
}

#[test]
fn final_word_without_its_effect_is_an_operators_after_the_lag_and_the_effect_still_counts() {
    for standing in [Standing::EffectAwaited, Standing::Unclear] {
        let mut way = Way::accepted(Evidence::Difference);
        way.stands(standing).pass(LAG - 1).stands(standing);
        assert_eq!(way.state(), State::WaitingUpstream, "{standing:?}");
        way.pass(1).stands(standing);
        assert_eq!(
            (way.state(), way.reason()),
            (State::NeedsOperator, Some(ErrorReason::EffectNotSeen))
        );
        assert!(way.operation.message.contains("its end is the old one"));
        assert!(way.operation.wake_time.is_some(), "it is read on");
        way.pass(10 * LAG).stands(standing);
        assert_eq!(way.state(), State::NeedsOperator);
        way.pass(10 * LAG).polled(is_done());
        assert_eq!((way.state(), way.outcomes()), (State::Succeeded, vec![Outcome::Applied]));
    }
}

#[test]
fn work_that_is_not_found_once_goes_on_and_for_the_lag_is_an_operators() {
    let gone = || Event::PollFailed(Error::order_not_found("providers/acme/orders/a"));
    let mut way = Way::accepted(Evidence::Difference);
    way.take(gone()).pass(LAG - 1).take(gone());
    assert_eq!(way.state(), State::WaitingUpstream);
    way.stands(Standing::Unspecified).pass(LAG - 1).take(gone());
    assert_eq!(way.state(), State::WaitingUpstream);
    way.pass(LAG).take(gone());
    assert_eq!(
        (way.state(), way.reason()),
        (State::NeedsOperator, Some(ErrorReason::EffectNotSeen))
    );
    way.polled(is_done());
    assert_eq!(way.state(), State::Succeeded);
    // An upstream that cannot be reached says nothing.
    let mut way = Way::accepted(Evidence::Difference);
    for _ in 0..10 {
        way.pass(LAG).take(Event::PollFailed(Error::unavailable("no connection")));
    }
    assert_eq!(way.state(), State::WaitingUpstream);
}

#[test]
fn work_under_way_is_polled_without_bound_and_begins_the_lag_again() {
    let mut way = Way::accepted(Evidence::Difference);
    way.pass(100 * LAG).stands(Standing::Unspecified);
    assert_eq!(way.state(), State::WaitingUpstream);
    way.stands(Standing::EffectAwaited).pass(LAG - 1).stands(Standing::Unspecified);
    way.pass(1).stands(Standing::EffectAwaited);
    assert_eq!(way.state(), State::WaitingUpstream);
    // What was asked about goes on: nobody has to look any more.
    way.pass(LAG).stands(Standing::EffectAwaited);
    assert_eq!(way.state(), State::NeedsOperator);
    way.stands(Standing::Unspecified);
    assert_eq!((way.state(), way.reason()), (State::WaitingUpstream, None));
}

#[test]
fn words_that_alternate_last_together_and_a_failure_has_to_be_said_all_the_time() {
    let mut way = Way::accepted(Evidence::Natural);
    way.stands(Standing::Unclear).pass(LAG / 2).stands(Standing::EffectAwaited);
    way.pass(LAG / 2).stands(Standing::Unclear);
    assert_eq!(way.state(), State::NeedsOperator);

    let mut way = Way::accepted(Evidence::Natural);
    way.stands(Standing::NotDone).pass(LAG - 1).stands(Standing::Unclear);
    way.stands(Standing::NotDone).pass(LAG - 1).stands(Standing::NotDone);
    assert_eq!(way.state(), State::WaitingUpstream);
    way.pass(1).stands(Standing::NotDone);
    assert_eq!((way.state(), way.reason()), (State::Failed, Some(ErrorReason::UpstreamFailed)));
    assert!(way.operation.wake_time.is_some(), "it is looked once more after the end");
}

#[test]
fn operator_who_says_that_it_was_executed_ends_the_wait_for_its_effect() {
    for (id, outcome) in [("a", None), ("b", Some(Box::new(pending("b").unwrap())))] {
        let mut way = Way::accepted(Evidence::Difference);
        way.stands(Standing::EffectAwaited).pass(LAG).stands(Standing::EffectAwaited);
        assert_eq!(way.state(), State::NeedsOperator);
        let note = Note::new(super::start(), "ops".into(), "looked".into(), Decision::Unknown);
        let resolution = Resolution::Executed { upstream_id: id.into(), outcome };
        way.take(Event::Resolved { resolution, note });
        assert_eq!((way.state(), way.reason()), (State::Succeeded, None), "{id}");
    }
}

#[test]
fn complete_refusal_without_a_proof_is_not_sent_again() {
    let check = |status: u16, complete: bool, expected: State| {
        let mut way = Way::begin(Evidence::Reference);
        way.answered(unproven(), status, complete);
        assert_eq!(way.state(), State::OutcomeUnknown, "{status}");
        way.pass(super::SETTLE.as_secs() + 1).looked(absent(0));
        assert_eq!(way.state(), expected, "{status} {complete}");
        if expected == State::Failed {
            assert_eq!(way.reason(), Some(ErrorReason::UpstreamRejected));
            assert_eq!(way.outcomes(), [Outcome::Absent]);
        }
    };
    for status in [400, 402, 403, 404, 422, 451] {
        check(status, true, State::Failed);
        check(status, false, State::Accepted);
    }
    for status in [408, 409, 425, 429, 500, 502, 200] {
        check(status, true, State::Accepted);
    }
    // An answer that satisfies a proof which the plugin does not name.
    let mut way = Way::begin(Evidence::Reference);
    way.answered(refusable(false), 400, true).pass(super::SETTLE.as_secs() + 1).looked(absent(0));
    assert_eq!(way.state(), State::Failed);
}

#[test]
fn refusal_is_final_only_after_a_search() {
    let refused = |evidence: Evidence, earlier: bool| {
        let mut way = Way::begin(evidence);
        if earlier {
            way.lost_and_absent().send_again();
        }
        way.close(refusable(false), rejected("fault"));
        way
    };
    let found = || {
        let outcome = Some(done("a").unwrap());
        Finding::Found(Found { upstream_id: "a".into(), outcome })
    };
    let unexplained = || {
        let row = purveyor_sdk::v1::UpstreamRef::of("x");
        Finding::Absent(Absent { unexplained: vec![row], ..Absent::default() })
    };
    let check = |earlier: bool, finding: Finding, expected: State| {
        let mut way = refused(Evidence::Difference, earlier);
        assert_eq!(way.state(), State::Reconciling);
        // A search that fails is repeated.
        way.take(Event::LookFailed(Error::unavailable("no connection")));
        assert_eq!(way.state(), State::Reconciling);
        way.looked(finding.clone());
        assert_eq!(way.state(), expected, "{earlier} {finding:?}");
    };
    check(false, absent(0), State::Failed);
    check(true, absent(0), State::Failed);
    // Only what is known to be ours overrules a first attempt's refusal.
    check(false, found(), State::Succeeded);
    check(false, unexplained(), State::Failed);
    check(false, absent(1), State::Failed);
    check(true, found(), State::Succeeded);
    check(true, unexplained(), State::NeedsOperator);
    check(true, absent(1), State::NeedsOperator);
    // The object is the earlier attempt's, and what waits for an operator is read on.
    let mut way = refused(Evidence::Difference, true);
    way.looked(unexplained()).pass(LAG).looked(absent(0));
    assert_eq!(way.state(), State::NeedsOperator);
    assert!(way.operation.wake_time.is_some());
    way.looked(found());
    assert_eq!(
        (way.state(), way.outcomes()),
        (State::Succeeded, vec![Outcome::Applied, Outcome::Rejected])
    );
    let ids: Vec<&str> = way.operation.attempts.iter().map(|it| it.upstream_id.as_str()).collect();
    assert_eq!(ids, ["a", ""]);
    // Where nobody can search.
    assert_eq!(refused(Evidence::None, false).state(), State::Failed);
    for (earlier, expected) in [(false, State::Failed), (true, State::NeedsOperator)] {
        let mut way = refused(Evidence::Difference, earlier);
        way.take(Event::LookFailed(Error::unsupported("a search")));
        assert_eq!(way.state(), expected);
    }
}

#[test]
fn answered_id_that_stood_in_the_baseline_is_not_taken() {
    // The baseline holds "old" and every number up to 70.
    for id in ["old", "70", "7"] {
        let mut way = Way::begin(Evidence::Reference);
        way.close(success(Some(id)), done(id));
        assert_eq!((way.state(), way.claims), (State::OutcomeUnknown, 0), "{id}");
        way.pass(super::SETTLE.as_secs() + 1).looked(absent(0));
        assert_eq!(way.state(), State::NeedsOperator, "{id}");
        assert!(way.operation.message.contains("was there before"), "{}", way.operation.message);
    }
    let mut way = Way::begin(Evidence::Reference);
    way.close(success(Some("71")), done("71"));
    assert_eq!((way.state(), way.claims), (State::Succeeded, 1));
}

#[test]
fn shared_account_asks_an_operator_about_objects_alone() {
    let check = |id: &str, expected: State| {
        let mut way = Way::begin(Evidence::Difference);
        way.policy.account_shared = true;
        way.close(unproven(), panicked());
        let outcome = Some(done("a").unwrap());
        way.looked(Finding::Found(Found { upstream_id: id.into(), outcome }));
        assert_eq!(way.state(), expected, "{id:?}");
    };
    check("a", State::NeedsOperator);
    // A later step tells nothing but that its work is done on what the operation made.
    check("", State::Succeeded);
}

#[test]
fn not_found_before_a_later_step_has_to_last_for_the_effect_lag() {
    let missing = |way: &mut Way| {
        let error = Error::new(ErrorReason::OrderNotFound, "no such order");
        let closing = Closing { spend: None, said: Err(error), contest: None };
        way.begin_again(&[]).take(Event::Closed(closing));
        way.state()
    };
    let begun = || {
        let mut way = Way::begin(Evidence::Natural);
        way.close(success(Some("a")), next("a"));
        way
    };
    // One answer that it is not there decides nothing, and what comes later is another matter.
    let mut way = begun();
    assert_eq!(missing(way.pass(1)), State::Accepted);
    way.begin_again(&[]).permit().close(success(None), pending("a"));
    assert_eq!((way.state(), &way.operation.pending_end), (State::WaitingUpstream, &None));
    // Answers that say so all the time are believed: what was paid before is a person's.
    let mut way = begun();
    assert_eq!(missing(way.pass(1)), State::Accepted);
    assert_eq!(missing(way.pass(LAG - 1)), State::Accepted);
    assert_eq!(missing(way.pass(1)), State::NeedsOperator);
    assert!(way.operation.message.contains("no such order"), "{}", way.operation.message);
    // Of what is ordered anew nothing is known to have been there: it fails, after the look for the attempt.
    let mut way = Way::begin(Evidence::Natural);
    way.close(refusable(true), rejected("fault"));
    assert_eq!(missing(&mut way), State::Reconciling);
}
