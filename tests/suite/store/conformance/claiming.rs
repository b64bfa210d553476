//! Claims: one open one for each object, that are closed and never deleted, and that pass on.

use std::sync::Arc;

use purveyor::store::operation::{HeldClaim, Lock, NewClaim, Origin};
use purveyor::store::{Change, Committed, Store};
use purveyor_sdk::v1::operation::State;
use uuid::Uuid;

use super::super::samples::{aged, claim, claims, id, new, next, operation};
use super::Home;

/// Operations one to `last`, of which the first claims 77 by its answer.
async fn claimed(home: &Arc<dyn Home>, last: u128) -> Arc<dyn Store> {
    let store = home.open().await;
    for n in 1..=last {
        store.accept(new(operation(n))).await.unwrap();
    }
    let first = Change { claims: claims(["77"]), ..next(&operation(1), |_| {}) };
    assert_eq!(store.commit(first).await.unwrap(), Committed::Done);
    store
}

fn held(by: u128, origin: Origin) -> HeldClaim {
    HeldClaim { claim: claim("77"), by: id(by), origin }
}

/// Closes the claim of the operation `by`, with a change of the operation `n`.
async fn close(store: &dyn Store, n: u128, by: u128, seconds: i64) {
    let stored = store.get(id(n)).await.unwrap().unwrap();
    let change = next(&stored, |operation| operation.update_age = aged(seconds));
    let change = Change { closes: vec![held(by, Origin::Answer)], ..change };
    assert_eq!(store.commit(change).await.unwrap(), Committed::Done);
}

pub(super) async fn closed_claim_yields_to_an_answer_and_to_a_late_enough_search(
    home: Arc<dyn Home>,
) {
    let store = claimed(&home, 4).await;
    close(&*store, 2, 1, 100).await;
    assert_eq!(store.open_claims("account", "77").await.unwrap(), []);
    assert_eq!(store.claimant(&claim("77")).await.unwrap(), Some(id(1)), "the last that had it");

    let search = |seconds: i64| NewClaim {
        origin: Origin::Search,
        closed_before: Some(aged(seconds)),
        ..NewClaim::by_answer(claim("77"))
    };
    let against = Committed::Claimed { claim: claim("77"), by: id(1), open: None };
    let early = Change { claims: vec![search(100)], ..next(&operation(3), |_| {}) };
    assert_eq!(store.commit(early).await.unwrap(), against);
    let late = Change { claims: vec![search(101)], ..next(&operation(3), |_| {}) };
    assert_eq!(store.commit(late).await.unwrap(), Committed::Done);
    assert_eq!(store.open_claims("account", "77").await.unwrap(), [held(3, Origin::Search)]);
    assert_eq!(store.claimant(&claim("77")).await.unwrap(), Some(id(3)));

    close(&*store, 2, 3, 102).await;
    let answered = Change { claims: claims(["77"]), ..next(&operation(4), |_| {}) };
    assert_eq!(store.commit(answered).await.unwrap(), Committed::Done);
    assert_eq!(store.open_claims("account", "77").await.unwrap(), [held(4, Origin::Answer)]);
}

/// A change of the second operation that takes the claim from another.
fn taking(by: Option<Uuid>) -> Change {
    let claim = NewClaim { takes_from: by, ..NewClaim::by_answer(claim("77")) };
    Change { claims: vec![claim], ..next(&operation(2), |_| {}) }
}

pub(super) async fn open_claim_stays_where_its_loser_has_changed(home: Arc<dyn Home>) {
    let store = claimed(&home, 2).await;
    let against = Committed::Claimed { claim: claim("77"), by: id(1), open: Some(Origin::Answer) };
    for by in [None, Some(id(9))] {
        assert_eq!(store.commit(taking(by)).await.unwrap(), against);
    }
    let stale = next(&operation(1), |_| {});
    let change = Change { loser: Some(Box::new(stale)), ..taking(Some(id(1))) };
    assert_eq!(store.commit(change).await.unwrap(), Committed::Stale);
    assert_eq!(store.get(id(2)).await.unwrap(), Some(operation(2)));
}

pub(super) async fn lock_that_another_holds_stands_against_a_loser(home: Arc<dyn Home>) {
    let store = claimed(&home, 3).await;
    let lock = Lock("order".to_owned());
    let holding = Change { locks: vec![lock.clone()], ..next(&operation(3), |_| {}) };
    assert_eq!(store.commit(holding).await.unwrap(), Committed::Done);
    let lost = Change {
        locks: vec![lock.clone()],
        ..next(&store.get(id(1)).await.unwrap().unwrap(), |_| {})
    };
    let change = Change { loser: Some(Box::new(lost)), ..taking(Some(id(1))) };
    assert_eq!(store.commit(change).await.unwrap(), Committed::Held { lock, by: id(3) });
    assert_eq!(store.get(id(2)).await.unwrap(), Some(operation(2)), "nothing is stored");
}

pub(super) async fn open_claim_passes_on_with_its_loser(home: Arc<dyn Home>) {
    let store = claimed(&home, 2).await;
    let stored = store.get(id(1)).await.unwrap().unwrap();
    let lost = next(&stored, |operation| operation.state = State::NeedsOperator);
    let change = Change { loser: Some(Box::new(lost.clone())), ..taking(Some(id(1))) };
    home.settled().await;
    let before = store.positions().await.unwrap().last;
    assert_eq!(store.commit(change.clone()).await.unwrap(), Committed::Done);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(lost.operation));
    assert_eq!(store.get(id(2)).await.unwrap(), Some(change.operation));
    assert_eq!(store.open_claims("account", "77").await.unwrap(), [held(2, Origin::Answer)]);
    home.settled().await;
    assert_eq!(store.changes(before, 9).await.unwrap().len(), 2, "watchers see both");
}

pub(super) async fn closes_claims_by_themselves(home: Arc<dyn Home>) {
    let store = claimed(&home, 1).await;
    for (by, left) in [(9, 1), (1, 0), (1, 0)] {
        store.close_claims(vec![held(by, Origin::Answer)], aged(100)).await.unwrap();
        assert_eq!(store.open_claims("account", "77").await.unwrap().len(), left, "{by}");
    }
    assert_eq!(store.closed_ids("account", aged(100)).await.unwrap(), ["77"]);
}

pub(super) async fn closes_only_what_is_held_as_named(home: Arc<dyn Home>) {
    let store = claimed(&home, 2).await;
    close(&*store, 2, 9, 100).await;
    assert_eq!(store.open_claims("account", "77").await.unwrap(), [held(1, Origin::Answer)]);
    assert_eq!(store.open_claims("other", "77").await.unwrap(), []);
    // A closed claim is still no row of a search that begins after it.
    close(&*store, 2, 1, 100).await;
    let ids = async |closed_since: i64| {
        let ids = store.claimed_ids("account", id(9), aged(0), aged(closed_since));
        ids.await.unwrap()
    };
    assert_eq!(ids(100).await, ["77"]);
    assert!(ids(101).await.is_empty());
    let closed = async |since: i64| store.closed_ids("account", aged(since)).await.unwrap();
    assert_eq!(closed(100).await, ["77"]);
    assert!(closed(101).await.is_empty());
}
