//! The machine against a model of the world: an upstream that sells or does not, answers that get
//! lost, crashes at any moment, time that passes, and operators. Whatever the order, nothing is sold
//! twice and nothing ends in a state that is not true.

mod accounts;
mod doubt;
mod effect;
mod late;
mod observed;
mod presumed;
mod table;
mod word;
mod world;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome as Finding};
use purveyor_sdk::plugin::v1::{FindResponse, Op};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{Effect, Evidence, UpstreamRef};
use uuid::Uuid;

use self::world::{Happening, World};
use super::{Backoff, Closing, Event, NewAttempt, Now, Policy, apply};
use crate::engine::account::AccountOf;
use crate::engine::blocker::Blocker;
use crate::plugin::Spend;
use crate::store::age::Age;
use crate::store::operation::Operation;

pub(super) const SETTLE: Duration = Duration::from_secs(100);
pub(super) const EFFECT_LAG: Duration = Duration::from_secs(40);

pub(super) fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// The store's age after so many seconds. It has nothing in common with the wall clock.
pub(super) fn age_at(seconds: u64) -> Age {
    Age::from_nanos(7) + Duration::from_secs(seconds)
}

pub(super) fn now_at(seconds: u64) -> Now {
    let wall = start() + Duration::from_secs(seconds);
    Now { wall, age: age_at(seconds), slack: Duration::ZERO }
}

pub(super) fn policy(evidence: Evidence) -> Policy {
    Policy {
        gate: "acme/A1".into(),
        aliases: Vec::new(),
        legacy_gate: None,
        id_kind: "order".into(),
        evidence,
        effect: Effect::Spend,
        must_send: true,
        absence_is_proof: evidence != Evidence::None,
        account_shared: false,
        lost: None,
        lost_lasts: false,
        ends: false,
        settle: SETTLE,
        effect_lag: EFFECT_LAG,
        retry: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
        look: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
    }
}

/// A step begins while the provider points to this account.
pub(super) fn begin(account: &str) -> Event {
    let belongs = if account == "A1" { Ok(()) } else { Err(account.to_owned()) };
    let key = format!("acme https://acme.example:443 {account}");
    Event::Begin { account: AccountOf { identity: account.to_owned(), key }, belongs }
}

/// Another operation, which is in that state, holds what the step needs.
pub(super) fn blocked(state: State) -> Event {
    let request_id = Uuid::from_u128(9);
    let unresolved = (state == State::NeedsOperator).then_some(request_id);
    Event::Blocked { by: Blocker { request_id, state, unresolved } }
}

pub(super) fn accepted() -> Operation {
    let request_id = Uuid::from_u128(7);
    Operation {
        owner: "local".into(),
        actor: "local".into(),
        target: format!("providers/acme/orders/{request_id}"),
        exclusive: vec![format!("providers/acme/orders/{request_id}")],
        fingerprint: [0; 32],
        start_before: start() + Duration::from_secs(600),
        ..Operation::new(request_id, Op::CreateOrder, "acme", start(), age_at(0))
    }
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![
        Just(Evidence::Reference),
        Just(Evidence::Natural),
        Just(Evidence::Difference),
        Just(Evidence::None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_sold_twice_and_every_end_is_true(
        evidence in evidence(),
        shared in any::<bool>(),
        steps in 1u32..4,
        happenings in prop::collection::vec(Happening::any(), 1..60),
    ) {
        // Where it can be seen that nothing is left to do, nothing has to be sent.
        let must_send = evidence != Evidence::Natural;
        let policy = Policy { account_shared: shared, must_send, ..policy(evidence) };
        let mut world = World::new(policy, steps);
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
        world.calm_down();
        world.check();
        world.check_end();
    }
}

#[test]
fn what_waits_is_looked_at_together_and_never_early() {
    use std::collections::BTreeSet;

    let check = |after: Duration, spread: u64, together: usize| {
        let mut ticks = BTreeSet::new();
        for n in 0..spread / 10 {
            let now = Age::from_nanos(0) + Duration::from_millis(1_700_000_000_123 + n * 10);
            let tick = super::rules::tick(now, after);
            assert!(tick >= now + after, "{after:?}: early");
            let late = tick.since(now + after);
            assert!(late <= after / 8, "{after:?}: {late:?} late");
            ticks.insert(tick);
        }
        assert!(ticks.len() <= together, "{after:?}: {} ticks", ticks.len());
    };
    check(Duration::ZERO, 100, 10);
    check(Duration::from_secs(1), 1_000, 17);
    check(Duration::from_secs(20), 20_000, 17);
    check(Duration::from_secs(60), 60_000, 17);
    check(Duration::from_secs(3600), 10_000, 2);
}

/// Another process may know a time that is later by the slack, and must not end anything early.
#[test]
fn every_duration_is_longer_by_the_slack() {
    let slack = Duration::from_secs(2);
    let now = |seconds| Now { slack, ..now_at(seconds) };
    let policy = policy(Evidence::Difference);
    let take = |operation: &Operation, event, seconds| {
        apply(operation, event, &policy, &now(seconds)).unwrap()
    };
    let attempt = || NewAttempt {
        nonce: Uuid::from_u128(3),
        call: "create".into(),
        effect: Effect::Spend,
        plugin: "acme 1.0.0".to_owned(),
        plugin_sha256: String::new(),
    };
    let looked = |outcome| Event::Looked(FindResponse { outcome: Some(outcome) }.into());
    let begun = take(&accepted(), begin("A1"), 1).operation;
    let sent = take(&begun, Event::Permitted(attempt()), 1).operation;
    assert_eq!(sent.attempts[0].permit_age, age_at(1) + slack);
    assert_eq!(sent.update_age, age_at(1) + slack);
    let unknown = take(&sent, Event::Recovered, 5).operation;
    let settle = unknown.settle.clone().unwrap();
    assert_eq!(settle.conclusive_at, age_at(5) + slack + SETTLE);
    // The window has not passed before that.
    let last = 5 + SETTLE.as_secs() + slack.as_secs();
    let early = take(&unknown, looked(Finding::Absent(Absent::default())), last - 1).operation;
    assert_eq!(early.state, State::Reconciling);
    let absent = take(&early, looked(Finding::Absent(Absent::default())), last).operation;
    assert_eq!(absent.state, State::Accepted);

    let candidates = vec![UpstreamRef::of("a")];
    let doubted = take(
        &unknown,
        looked(Finding::Absent(Absent { unexplained: candidates, ..Absent::default() })),
        last,
    )
    .operation;
    assert_eq!(doubted.settle.unwrap().escalate_at, Some(age_at(last) + slack + SETTLE));

    // What a search may not take: what was closed within a window before the request was sent.
    let outcome = Some(table::pending("a").unwrap());
    let found = looked(Finding::Found(Found { upstream_id: "a".into(), outcome }));
    let claims = take(&unknown, found, last).claims;
    let sent = age_at(1) + slack;
    assert_eq!(claims[0].closed_before, Some(sent - SETTLE - slack));

    // It is looked back after a window.
    let again = take(&absent, begin("A1"), last).operation;
    let again = take(&again, Event::Permitted(attempt()), last).operation;
    let spend = Spend {
        call: "create".into(),
        effect: Effect::Spend,
        attempt: Some(2),
        seen: table::success(Some("b")),
        answer: None,
    };
    let closing = Closing { spend: Some(spend), said: table::done("b"), contest: None };
    let done = take(&again, Event::Closed(closing), last).operation;
    assert_eq!(done.wake_time, Some(age_at(last) + slack + SETTLE));
}
