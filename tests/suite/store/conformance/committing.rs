//! Commits: compare-and-set on the version, terminal states, locks, claims, and all or nothing.

use std::sync::Arc;

use purveyor::store::operation::{Claim, NewClaim, Origin};
use purveyor::store::{Accepted, Change, Committed, NewOperation, Store, StoreError};
use purveyor_sdk::v1::operation::{Outcome, State};

use super::super::samples::{STATES, aged, attempt, claim, claims, id, lock, new, next, operation};
use super::Home;

pub(super) async fn replaces_only_the_version_before(home: Arc<dyn Home>) {
    let store = home.open().await;
    let first = next(&operation(1), |operation| operation.state = State::Running);
    // What is not stored has no version at all.
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Stale);
    store.accept(new(operation(1))).await.unwrap();
    let mut ahead = first.clone();
    ahead.operation.version = 3;
    assert_eq!(store.commit(ahead).await.unwrap(), Committed::Stale);
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Stale);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(first.operation));
    home.settled().await;
    assert_eq!(store.positions().await.unwrap().last, 2);
}

pub(super) async fn lets_one_of_two_racers_win(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut stored = operation(1);
    store.accept(new(stored.clone())).await.unwrap();
    for _ in 0..32 {
        let left = next(&stored, |operation| "left".clone_into(&mut operation.message));
        let right = next(&stored, |operation| "right".clone_into(&mut operation.message));
        let (on_left, on_right) =
            tokio::join!(store.commit(left.clone()), store.commit(right.clone()));
        stored = match (on_left.unwrap(), on_right.unwrap()) {
            (Committed::Done, Committed::Stale) => left.operation,
            (Committed::Stale, Committed::Done) => right.operation,
            both => panic!("two commits of one version: {both:?}"),
        };
        assert_eq!(store.get(id(1)).await.unwrap().as_ref(), Some(&stored));
    }
}

pub(super) async fn never_replaces_a_terminal_operation(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, state) in (1..).zip(STATES) {
        store.accept(new(operation(n))).await.unwrap();
        let change = next(&operation(n), |operation| operation.state = state);
        assert_eq!(store.commit(change.clone()).await.unwrap(), Committed::Done);
        let terminal = change.operation.done();
        let mut again = next(&change.operation, |operation| operation.state = State::Running);
        again.locks = vec![lock("taken")];
        let expected = if terminal { Committed::Stale } else { Committed::Done };
        assert_eq!(store.commit(again.clone()).await.unwrap(), expected, "{state:?}");
        let stored = if terminal { &change } else { &again };
        assert_eq!(store.get(id(n)).await.unwrap().as_ref(), Some(&stored.operation));
        if !terminal {
            store.commit(next(&again.operation, |_| {})).await.unwrap();
        }
    }
}

pub(super) async fn replaces_a_terminal_operation_in_its_own_state_only(home: Arc<dyn Home>) {
    let store = home.open().await;
    store.accept(new(operation(1))).await.unwrap();
    let attempts: Vec<_> = (1..=4).map(|number| attempt(1, number)).collect();
    let ended = next(&operation(1), |operation| {
        operation.state = State::Succeeded;
        operation.wake_time = Some(aged(9));
        operation.attempts.clone_from(&attempts);
    });
    assert_eq!(store.commit(ended.clone()).await.unwrap(), Committed::Done);
    let other = next(&ended.operation, |operation| operation.state = State::Failed);
    assert_eq!(store.commit(other).await.unwrap(), Committed::Stale);
    let told = next(&ended.operation, |operation| {
        operation.wake_time = None;
        operation.attempts[0].outcome = Outcome::Applied;
    });
    assert_eq!(store.commit(told.clone()).await.unwrap(), Committed::Done);
    assert_eq!(store.get(id(1)).await.unwrap().as_ref(), Some(&told.operation));
    let stale = next(&ended.operation, |operation| operation.wake_time = Some(aged(9)));
    assert_eq!(store.commit(stale).await.unwrap(), Committed::Stale);
    let more = next(&told.operation, |operation| operation.message = "more".to_owned());
    assert_eq!(store.commit(more).await.unwrap(), Committed::Done);
}

pub(super) async fn replaces_and_releases_locks(home: Arc<dyn Home>) {
    let store = home.open().await;
    let holder = NewOperation { locks: vec![lock("a"), lock("b")], ..new(operation(1)) };
    store.accept(holder).await.unwrap();
    store.accept(new(operation(2))).await.unwrap();

    let wanted = Change { locks: vec![lock("a")], ..next(&operation(2), |_| {}) };
    let held = Committed::Held { lock: lock("a"), by: id(1) };
    assert_eq!(store.commit(wanted.clone()).await.unwrap(), held);
    assert_eq!(store.get(id(2)).await.unwrap(), Some(operation(2)));

    // One that it keeps, one that it lets go, one that is new.
    let first = Change { locks: vec![lock("b"), lock("c")], ..next(&operation(1), |_| {}) };
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(wanted).await.unwrap(), Committed::Done);
    let held_by_first = |key| NewOperation { locks: vec![lock(key)], ..new(operation(3)) };
    for key in ["b", "c"] {
        let held = Accepted::Held { lock: lock(key), by: id(1) };
        assert_eq!(store.accept(held_by_first(key)).await.unwrap(), held);
    }
    store
        .commit(next(&first.operation, |operation| operation.state = State::Failed))
        .await
        .unwrap();
    let both = NewOperation { locks: vec![lock("b"), lock("c")], ..new(operation(3)) };
    assert_eq!(store.accept(both).await.unwrap(), Accepted::Stored);
}

pub(super) async fn keeps_claims_unique_and_repeatable(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=2 {
        store.accept(new(operation(n))).await.unwrap();
    }
    let first = Change { claims: claims(["77"]), ..next(&operation(1), |_| {}) };
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Done);
    let again = Change { claims: claims(["77", "78"]), ..next(&first.operation, |_| {}) };
    assert_eq!(store.commit(again.clone()).await.unwrap(), Committed::Done);
    // What is claimed stays claimed, in a terminal state too.
    let ended = next(&again.operation, |operation| operation.state = State::Succeeded);
    assert_eq!(store.commit(ended).await.unwrap(), Committed::Done);
    assert_eq!(store.claimant(&claim("78")).await.unwrap(), Some(id(1)));

    let theirs = Change { claims: claims(["79", "77"]), ..next(&operation(2), |_| {}) };
    let claimed = Committed::Claimed { claim: claim("77"), by: id(1), open: Some(Origin::Answer) };
    assert_eq!(store.commit(theirs).await.unwrap(), claimed);
    assert_eq!(store.claimant(&claim("79")).await.unwrap(), None);
    // The same id in another account or of another kind is another thing.
    let others = [
        Claim { account: "other".to_owned(), ..claim("77") },
        Claim { kind: "service".to_owned(), ..claim("77") },
    ];
    let others = others.map(NewClaim::by_answer).into();
    let others = Change { claims: others, ..next(&operation(2), |_| {}) };
    assert_eq!(store.commit(others).await.unwrap(), Committed::Done);
}

pub(super) async fn shows_who_claimed_what_since_when(home: Arc<dyn Home>) {
    let store = home.open().await;
    let claimed = [(1, aged(10), "b"), (2, aged(20), "a"), (3, aged(20), "c")];
    for (n, age, upstream_id) in claimed {
        store.accept(new(operation(n))).await.unwrap();
        let change = next(&operation(n), |operation| operation.update_age = age);
        store.commit(Change { claims: claims([upstream_id]), ..change }).await.unwrap();
    }
    let check = async |except: u128, since: i64, expected: &[&str]| {
        let ids = store.claimed_ids("account", id(except), aged(since), aged(since)).await.unwrap();
        assert_eq!(ids, expected, "except {except} since {since}");
    };
    check(9, 0, &["a", "b", "c"]).await;
    check(9, 10, &["a", "b", "c"]).await;
    check(9, 11, &["a", "c"]).await;
    check(2, 20, &["c"]).await;
    check(9, 21, &[]).await;
    let elsewhere = store.claimed_ids("other", id(9), aged(0), aged(0)).await.unwrap();
    assert_eq!(elsewhere, [""; 0]);
}

pub(super) async fn does_all_or_nothing(home: Arc<dyn Home>) {
    let store = home.open().await;
    store.accept(new(operation(1))).await.unwrap();
    store.commit(Change { claims: claims(["77"]), ..next(&operation(1), |_| {}) }).await.unwrap();
    let before = NewOperation { locks: vec![lock("kept")], ..new(operation(2)) };
    store.accept(before).await.unwrap();

    // The claim fails; neither the row, the attempt, the new lock nor the freed one may have
    // changed.
    let mut change = next(&operation(2), |operation| operation.attempts = vec![attempt(2, 1)]);
    change.locks = vec![lock("new")];
    change.claims = claims(["free", "77"]);
    assert!(matches!(store.commit(change.clone()).await.unwrap(), Committed::Claimed { .. }));
    untouched(&*home, &*store).await;

    // A change that breaks the contract in its last part takes back what it wrote before that.
    change.claims = claims(["free"]);
    change.operation.attempts = vec![attempt(2, 1), attempt(2, 1)];
    change.operation.attempts[1].number = 2;
    let refused = store.commit(change).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "one nonce for two permits: {refused:?}"
    );
    untouched(&*home, &*store).await;
    assert!(store.healthy());
}

async fn untouched(home: &dyn Home, store: &dyn Store) {
    assert_eq!(store.get(id(2)).await.unwrap(), Some(operation(2)));
    assert_eq!(store.claimant(&claim("free")).await.unwrap(), None);
    home.settled().await;
    assert_eq!(store.positions().await.unwrap().last, 3);
    let kept = NewOperation { locks: vec![lock("new"), lock("kept")], ..new(operation(3)) };
    let held = Accepted::Held { lock: lock("kept"), by: id(2) };
    assert_eq!(store.accept(kept).await.unwrap(), held, "the new lock is free, the old one is not");
}

pub(super) async fn updates_the_last_two_attempts(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut stored = operation(1);
    store.accept(new(stored.clone())).await.unwrap();
    for n in 1..=4 {
        // The one before gets its outcome in the commit that brings the next.
        let change = next(&stored, |operation| {
            if let Some(last) = operation.attempts.last_mut() {
                last.outcome = Outcome::NotSent;
                "refused".clone_into(&mut last.message);
            }
            operation.attempts.push(attempt(1, n));
        });
        assert_eq!(store.commit(change.clone()).await.unwrap(), Committed::Done);
        stored = change.operation;
        assert_eq!(store.get(id(1)).await.unwrap().as_ref(), Some(&stored));
    }
    let fewer = next(&stored, |operation| operation.attempts.truncate(3));
    let refused = store.commit(fewer).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "an attempt vanished: {refused:?}");
    assert_eq!(store.get(id(1)).await.unwrap(), Some(stored));
}

pub(super) async fn updates_an_attempt_that_others_follow(home: Arc<dyn Home>) {
    let store = home.open().await;
    store.accept(new(operation(1))).await.unwrap();
    let sent = next(&operation(1), |operation| {
        operation.attempts = (1..=4).map(|number| attempt(1, number)).collect();
        operation.attempts[0].outcome = Outcome::Applied;
        operation.attempts[1].outcome = Outcome::Unknown;
        operation.attempts[2].outcome = Outcome::NotSent;
        operation.attempts[3].outcome = Outcome::NotSent;
    });
    assert_eq!(store.commit(sent.clone()).await.unwrap(), Committed::Done);
    // What decides is the second, and any of them can be told something late.
    let found = next(&sent.operation, |operation| {
        operation.attempts[0].outcome = Outcome::Unknown;
        operation.attempts[1].outcome = Outcome::NotSent;
        "77".clone_into(&mut operation.attempts[1].upstream_id);
    });
    assert_eq!(store.commit(found.clone()).await.unwrap(), Committed::Done);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(found.operation));
}
