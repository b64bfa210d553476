//! What speaks against absence: rows of one snapshot that nothing explains, a listing that is not whole, a
//! target that has changed, and orders that wait for what could be it.

use purveyor_sdk::plugin::v1::FindResponse;
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};
use uuid::Uuid;

use super::table::pending;
use super::{SETTLE, accepted, begin, now_at, policy};
use crate::engine::machine::{Event, Looked, NewAttempt, apply};
use crate::store::operation::{Baseline, Operation};

/// When the request's answer was lost.
const LOST: u64 = 2;

fn unknown() -> Operation {
    let baseline = Baseline {
        evidence: Vec::new(),
        similarity: "shares 1".into(),
        present_ids: Vec::new(),
        highest_id: String::new(),
    };
    let attempt = NewAttempt {
        nonce: Uuid::nil(),
        call: "create".into(),
        effect: Effect::Spend,
        plugin: "acme 1.0.0".into(),
        plugin_sha256: String::new(),
    };
    let begin = begin("A1");
    let events = [begin, Event::BaselineTaken(baseline), Event::Permitted(attempt)];
    let events = events.into_iter().chain([Event::Recovered]);
    events.fold(accepted(), |operation, event| after(&operation, event, LOST))
}

fn after(operation: &Operation, event: Event, seconds: u64) -> Operation {
    apply(operation, event, &policy(Evidence::Difference), &now_at(seconds)).unwrap().operation
}

fn looked(outcome: Finding) -> Event {
    Event::Looked(FindResponse { outcome: Some(outcome) }.into())
}

fn several(ids: &[&str]) -> Event {
    let candidate = |id: &&str| UpstreamRef::of(*id);
    looked(Finding::Absent(Absent {
        unexplained: ids.iter().map(candidate).collect(),
        ..Absent::default()
    }))
}

fn claimed(id: &str) -> Event {
    Event::FoundClaimed { by: Uuid::from_u128(9), upstream_id: id.into() }
}

/// What the operation is after each look, so many seconds after the answer was lost.
fn check(looks: Vec<(u64, Event, State)>) -> Operation {
    looks.into_iter().fold(unknown(), |operation, (seconds, event, expected)| {
        let next = after(&operation, event, LOST + seconds);
        assert_eq!(next.state, expected, "after {seconds} s: {}", next.message);
        next
    })
}

/// As `several`, while others have claimed some of it since.
fn explained(ids: &[&str], claimed: &[&str]) -> Event {
    let Event::Looked(looked) = several(ids) else { panic!() };
    let claimed_ids = claimed.iter().map(|id| (*id).into()).collect();
    Event::Looked(Looked { claimed_ids, ..looked })
}

#[test]
fn first_snapshot_after_the_window_decides_once_others_have_claimed_it() {
    let settle = SETTLE.as_secs();
    let again = check(vec![
        (1, several(&["x"]), State::Reconciling),
        (settle, several(&["a", "b"]), State::Reconciling),
        // What is new since is nobody's business: it was made after the window.
        (settle + 20, explained(&["b", "c", "d"], &["a"]), State::Reconciling),
        (settle + 40, claimed("e"), State::Reconciling),
        (settle + 50, explained(&["c", "d", "f"], &["a", "b"]), State::Accepted),
    ]);
    assert_eq!(again.attempts[0].outcome, Outcome::Absent);
    assert_eq!(again.candidates, []);
}

#[test]
fn unexplained_row_is_for_an_operator_after_another_window() {
    let settle = SETTLE.as_secs();
    let asking = check(vec![
        (settle, several(&["a", "b"]), State::Reconciling),
        (settle + 50, explained(&["b", "c"], &["a"]), State::Reconciling),
        // A row that vanishes was somebody's.
        (2 * settle - 1, explained(&["d"], &["a"]), State::Reconciling),
        (2 * settle, explained(&["d"], &["a"]), State::NeedsOperator),
    ]);
    assert_eq!(asking.candidates.len(), 1);
    assert_eq!(asking.candidates[0].id(), "b");
    // A plugin that finds again and again what is another's comes to an end too.
    check(vec![
        (settle, claimed("a"), State::Reconciling),
        (2 * settle, claimed("a"), State::NeedsOperator),
    ]);
}

#[test]
fn claim_of_what_was_found_is_no_snapshot() {
    let settle = SETTLE.as_secs();
    check(vec![
        (settle, claimed("a"), State::Reconciling),
        (settle + 10, explained(&["b"], &["a"]), State::Reconciling),
        (settle + 20, explained(&["b"], &["a", "b"]), State::Accepted),
    ]);
}

#[test]
fn incomplete_snapshot_proves_nothing_and_escalates() {
    let settle = SETTLE.as_secs();
    let incomplete = || Absent { incomplete: "7 is not listed".into(), ..Absent::default() };
    let event = || looked(Finding::Absent(incomplete()));
    check(vec![
        (settle, event(), State::Reconciling),
        (settle + 10, looked(Finding::Absent(Absent::default())), State::Accepted),
    ]);
    let asking = check(vec![
        (settle, event(), State::Reconciling),
        (2 * settle - 1, event(), State::Reconciling),
        (2 * settle, event(), State::NeedsOperator),
    ]);
    assert_eq!(asking.message, "7 is not listed");
}

#[test]
fn order_that_waits_for_an_alike_service_delays_absence() {
    let settle = SETTLE.as_secs();
    let waits = |ids: &[u128]| {
        let response = FindResponse { outcome: Some(Finding::Absent(Absent::default())) };
        let waiting = ids.iter().map(|id| Uuid::from_u128(*id)).collect();
        Event::Looked(Looked { waiting, ..response.into() })
    };
    check(vec![
        (settle, waits(&[1, 2]), State::Reconciling),
        (settle + 10, waits(&[2, 3]), State::Reconciling),
        // 3 began to wait later.
        (settle + 20, waits(&[3]), State::Accepted),
    ]);
    let asking = check(vec![
        (settle, waits(&[1]), State::Reconciling),
        (2 * settle, waits(&[1]), State::NeedsOperator),
    ]);
    assert!(asking.message.contains("operations/00000000-0000-0000-0000-000000000001"));
}

#[test]
fn changed_target_is_no_absence() {
    let settle = SETTLE.as_secs();
    let changed = |effects| looked(Finding::Absent(Absent { effects, ..Absent::default() }));
    let asking = check(vec![
        (settle, changed(1), State::Reconciling),
        (2 * settle, changed(1), State::NeedsOperator),
    ]);
    assert_eq!(asking.candidates[0].id(), asking.target);
}

/// What waits for an operator is read on: a mark or a tied row ends it, absence does not.
#[test]
fn operation_that_waits_for_an_operator_is_read_on() {
    let settle = SETTLE.as_secs();
    let asking = check(vec![
        (settle, several(&["a"]), State::Reconciling),
        (2 * settle, several(&["a"]), State::NeedsOperator),
        (3 * settle, explained(&[], &["a"]), State::NeedsOperator),
        (9 * settle, looked(Finding::Absent(Absent::default())), State::NeedsOperator),
    ]);
    let longest = policy(Evidence::Difference).look.longest;
    assert_eq!(asking.wake_time, Some(now_at(LOST + 9 * settle).age + longest));
    let found = Found { upstream_id: "b".into(), outcome: Some(pending("b").unwrap()) };
    let later = LOST + 20 * settle;
    let ended = after(&asking, looked(Finding::Found(found)), later);
    assert_eq!(ended.state, State::WaitingUpstream);
    assert_eq!(ended.error, None);
}
