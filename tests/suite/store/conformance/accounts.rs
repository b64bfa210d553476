//! Accounts: whose account each provider was, and what is brought under an account's key.

use std::sync::Arc;

use purveyor::store::operation::{Claim, HeldClaim, Origin};
use purveyor::store::{
    Accepted, AccountAdoption, AccountRecord, Change, Committed, EndedBefore, NewOperation, Store,
};
use purveyor_sdk::v1::operation::State;

use super::super::samples::{aged, at, claim, claims, id, lock, new, next, operation};
use super::Home;

const KEY: &str = "acme https://acme.example:443 X";

fn record(provider: &str, key: &str) -> AccountRecord {
    AccountRecord {
        provider: provider.to_owned(),
        plugin: "acme".to_owned(),
        origin: "https://acme.example:443".to_owned(),
        identity: "X\0".to_owned(),
        key: key.to_owned(),
        seen_time: at(1),
    }
}

fn adoption(record: AccountRecord) -> AccountAdoption {
    AccountAdoption { record, formers: Vec::new(), foreign: Vec::new(), holders: Vec::new() }
}

pub(super) async fn keeps_the_last_account_of_each_provider(home: Arc<dyn Home>) {
    let store = home.open().await;
    assert_eq!(store.accounts().await.unwrap(), []);
    for (provider, key) in [("one", "a"), ("two", "b"), ("one", "c")] {
        store.put_account(adoption(record(provider, key))).await.unwrap();
    }
    drop(store);
    let mut stored = home.open().await.accounts().await.unwrap();
    stored.sort_by(|one, other| one.provider.cmp(&other.provider));
    assert_eq!(stored, [record("one", "c"), record("two", "b")]);
}

/// Claims the identifier of its number, at a provider.
async fn claimed(store: &dyn Store, n: u128, provider: &str) {
    let mut stored = operation(n);
    provider.clone_into(&mut stored.provider);
    store.accept(new(stored.clone())).await.unwrap();
    let mut change = next(&stored, |operation| operation.state = State::Succeeded);
    change.claims = claims([&n.to_string()]);
    assert_eq!(store.commit(change).await.unwrap(), Committed::Done);
}

pub(super) async fn brings_claims_of_the_old_name_under_the_key(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, provider) in [(1, "one"), (2, "two"), (3, "gone")] {
        claimed(&*store, n, provider).await;
    }
    // The operation of a claim may be forgotten; the claim counts for every account of the name.
    claimed(&*store, 4, "two").await;
    claimed(&*store, 5, "two").await;
    let forgotten = store.prune(EndedBefore { age: aged(100), wall: at(100) }, 4).await.unwrap();
    assert_eq!(forgotten, 4);
    claimed(&*store, 6, "one").await;
    claimed(&*store, 7, "two").await;
    let adoption = AccountAdoption {
        formers: vec!["account".to_owned(), "another".to_owned()],
        foreign: vec!["two".to_owned()],
        ..adoption(record("one", KEY))
    };
    for _ in 0..2 {
        store.put_account(adoption.clone()).await.unwrap();
        let mut found = Vec::new();
        for n in 1..=7 {
            let ours = Claim { account: KEY.to_owned(), ..claim(&n.to_string()) };
            let claimant = store.claimant(&ours).await.unwrap();
            found.extend(claimant.map(|claimant| claimant.as_u128()));
            let former = store.claimant(&claim(&n.to_string())).await.unwrap();
            assert_eq!(former, Some(id(n)), "older versions may still look for it");
        }
        assert_eq!(found, [1, 2, 3, 4, 6]);
    }
}

pub(super) async fn brings_a_claim_that_was_closed_and_taken_again(home: Arc<dyn Home>) {
    let store = home.open().await;
    store.accept(new(operation(1))).await.unwrap();
    let held = HeldClaim { claim: claim("77"), by: id(1), origin: Origin::Answer };
    let mut stored = operation(1);
    for (claims, closes) in
        [(claims(["77"]), vec![]), (vec![], vec![held.clone()]), (claims(["77"]), vec![])]
    {
        let change = Change { claims, closes, ..next(&stored, |_| {}) };
        stored = change.operation.clone();
        assert_eq!(store.commit(change).await.unwrap(), Committed::Done);
    }
    let formers = vec!["account".to_owned()];
    let adoption = AccountAdoption { formers, ..adoption(record("one", KEY)) };
    let ours = HeldClaim { claim: Claim { account: KEY.to_owned(), ..claim("77") }, ..held };
    for _ in 0..2 {
        store.put_account(adoption.clone()).await.unwrap();
        assert_eq!(store.open_claims(KEY, "77").await.unwrap(), std::slice::from_ref(&ours));
        assert_eq!(store.closed_ids(KEY, aged(0)).await.unwrap(), ["77"]);
    }
}

pub(super) async fn brings_locks_of_open_operations_under_the_key(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=3 {
        let locks = vec![lock(&format!("name {n}"))];
        let new = NewOperation { locks, ..new(operation(n)) };
        assert_eq!(store.accept(new).await.unwrap(), Accepted::Stored);
    }
    // Two has ended since it was read.
    let ended = next(&operation(2), |operation| operation.state = State::Succeeded);
    store.commit(ended).await.unwrap();
    let holders = (1..=3).map(|n| (id(n), 1, vec![lock(&format!("key {n}")), lock("key 1")]));
    let adoption = AccountAdoption { holders: holders.collect(), ..adoption(record("one", KEY)) };
    store.put_account(adoption).await.unwrap();
    let check = async |n: u128, key: &str, by: Option<u128>| {
        let new = NewOperation { locks: vec![lock(key)], ..new(operation(n)) };
        let expected =
            by.map_or(Accepted::Stored, |by| Accepted::Held { lock: lock(key), by: id(by) });
        assert_eq!(store.accept(new).await.unwrap(), expected, "{key}");
    };
    check(11, "key 1", Some(1)).await;
    check(12, "key 2", None).await;
    check(13, "key 3", Some(3)).await;
    check(14, "name 1", Some(1)).await;
    // They are let go with everything else that the operation holds.
    let ended = next(&operation(1), |operation| operation.state = State::Succeeded);
    assert_eq!(store.commit(ended).await.unwrap(), Committed::Done);
    check(15, "key 1", None).await;
}
