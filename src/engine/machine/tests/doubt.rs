//! What was lost and is looked for while others buy on the same account: their sales come and go among
//! the candidates, and only what stays there is for a person to judge.

use purveyor_sdk::plugin::v1::FindResponse;
use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Finding, Several};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};
use uuid::Uuid;

use super::{SETTLE, accepted, begin, now_at, policy};
use crate::engine::machine::{Event, NewAttempt, apply};
use crate::store::operation::{Baseline, Operation};

/// When the request's answer was lost.
const LOST: u64 = 2;

fn unknown() -> Operation {
    let baseline =
        Baseline { evidence: Vec::new(), similarity: "shares 1".into(), present_ids: Vec::new() };
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
    Event::Looked(FindResponse { outcome: Some(outcome) })
}

fn several(ids: &[&str]) -> Event {
    let candidate = |id: &&str| UpstreamRef { id: (*id).into(), ..UpstreamRef::default() };
    looked(Finding::Several(Several { candidates: ids.iter().map(candidate).collect() }))
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

#[test]
fn what_others_are_buying_delays_and_decides_nothing() {
    let settle = SETTLE.as_secs();
    let absent = looked(Finding::Absent(Absent {}));
    let again = check(vec![
        (1, several(&["a"]), State::Reconciling),
        (settle, several(&["a", "b"]), State::Reconciling),
        (settle + 50, several(&["c"]), State::Reconciling),
        (settle + 140, several(&["c"]), State::Reconciling),
        (settle + 141, claimed("d"), State::Reconciling),
        (settle + 142, absent, State::Accepted),
    ]);
    assert_eq!(again.attempts[0].outcome, Outcome::Absent);
}

#[test]
fn what_stays_there_is_for_a_person() {
    let settle = SETTLE.as_secs();
    let asking = check(vec![
        (settle, several(&["a", "b"]), State::Reconciling),
        (settle + 50, several(&["b", "c"]), State::Reconciling),
        (2 * settle - 1, several(&["b", "d"]), State::Reconciling),
        (2 * settle, several(&["d", "b"]), State::NeedsOperator),
    ]);
    assert_eq!(asking.candidates.len(), 1);
    assert_eq!(asking.candidates[0].id, "b");
    // A plugin that finds again and again what is another's comes to an end too.
    check(vec![
        (settle, claimed("a"), State::Reconciling),
        (2 * settle, claimed("a"), State::NeedsOperator),
    ]);
}
