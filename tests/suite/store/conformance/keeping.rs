//! Keeping: what was stored is read again exactly, and still after the store was opened anew.

use std::sync::Arc;

use proptest::collection;
use proptest::strategy::{Strategy, ValueTree};
use purveyor::store::operation::Operation;
use purveyor::store::{Accepted, Change, Committed, Query, ServiceRecord};
use purveyor_sdk::v1::Service;

use super::super::samples::{
    aged, any_operation, at, claim, claims, id, lock, new, next, operation,
};
use super::{Home, runner};

/// How many operations are generated; enough for every part of each to be there and not to be
/// there.
const CASES: u32 = 150;

pub(super) async fn returns_every_field_exactly(home: Arc<dyn Home>) {
    let store = home.open().await;
    let pairs = (any_operation(), any_operation());
    let cases = collection::vec(pairs, CASES as usize).new_tree(&mut runner(1)).unwrap().current();
    for (accepted, committed) in cases {
        let request_id = accepted.request_id;
        assert_eq!(store.accept(new(accepted.clone())).await.unwrap(), Accepted::Stored);
        assert_eq!(store.get(request_id).await.unwrap().as_ref(), Some(&accepted));
        if accepted.done() {
            continue;
        }
        // All of it may be another in the next version, but attempts are only ever added.
        let attempts = accepted.attempts.clone();
        let change = next(&committed, |next| {
            next.request_id = request_id;
            let further = std::mem::replace(&mut next.attempts, attempts);
            next.attempts.extend(further);
            for (number, attempt) in (1..).zip(&mut next.attempts) {
                attempt.number = number;
            }
        });
        assert_eq!(store.commit(change.clone()).await.unwrap(), Committed::Done);
        assert_eq!(store.get(request_id).await.unwrap(), Some(change.operation));
    }
}

pub(super) async fn returns_what_is_large(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut large = operation(1);
    large.request = vec![0xAB; 1 << 20];
    large.message = "ü".repeat(1 << 19);
    large.handle = vec![0; 1 << 16];
    store.accept(new(large.clone())).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().as_ref(), Some(&large));
    let change = next(&large, |operation| operation.request.push(1));
    store.commit(change.clone()).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap(), Some(change.operation));
}

pub(super) async fn shows_everything_after_reopening(home: Arc<dyn Home>) {
    let store = home.open().await;
    let identity = store.identity().clone();
    let mut expected: Vec<Operation> = Vec::new();
    for n in 1..=20 {
        let mut accepted = operation(n);
        accepted.create_time = at(i64::try_from(n).unwrap());
        store.accept(new(accepted.clone())).await.unwrap();
        let mut change = next(&accepted, |operation| operation.wake_time = Some(aged(0)));
        change.locks = vec![lock(&n.to_string())];
        change.claims = claims([&n.to_string()]);
        store.commit(change.clone()).await.unwrap();
        expected.insert(0, change.operation);
    }
    let record = record("acme", "1");
    assert!(store.put_service(unread(&record)).await.unwrap());
    drop(store);

    let store = home.open().await;
    assert_eq!(store.identity(), &identity);
    let all = Query { limit: 100, ..Query::default() };
    assert_eq!(store.list(&all).await.unwrap(), expected);
    assert_eq!(store.claimant(&claim("7")).await.unwrap(), Some(id(7)));
    assert_eq!(store.service("acme", "1").await.unwrap(), Some(record));
    let taken = Change { locks: vec![lock("7")], ..next(&expected[0], |_| {}) };
    let held = Committed::Held { lock: lock("7"), by: id(7) };
    assert_eq!(store.commit(taken).await.unwrap(), held);
}

pub(super) async fn counts_on_after_reopening(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=3 {
        store.accept(new(operation(n))).await.unwrap();
    }
    home.settled().await;
    let positions = store.positions().await.unwrap();
    drop(store);

    let store = home.open().await;
    assert_eq!(store.positions().await.unwrap(), positions);
    // A watcher from before is woken by what comes, and by nothing else.
    tokio::select! {
        biased;
        () = store.changed(positions.last) => panic!("woken without a change"),
        () = std::future::ready(()) => {}
    }
    store.commit(next(&operation(1), |_| {})).await.unwrap();
    store.changed(positions.last).await;
    assert_eq!(store.positions().await.unwrap().last, positions.last + 1);
}

pub(super) async fn keeps_services(home: Arc<dyn Home>) {
    let store = home.open().await;
    assert_eq!(store.service("acme", "a").await.unwrap(), None);
    // In the order of bytes: capital letters before small ones, and those before others.
    let ids = ["A", "B", "a", "aa", "b", "ä"];
    for upstream_id in ids.iter().rev() {
        let new = unread(&record("acme", upstream_id));
        assert!(store.put_service(new).await.unwrap());
    }
    let other = unread(&record("other", "c"));
    assert!(store.put_service(other).await.unwrap());
    let mut after = String::new();
    let mut seen = Vec::new();
    loop {
        let page = store.services("acme", &after, 2).await.unwrap();
        assert!(page.len() <= 2, "{} of two", page.len());
        let Some(last) = page.last() else { break };
        after.clone_from(&last.upstream_id);
        seen.extend(page);
    }
    assert_eq!(seen, ids.map(|upstream_id| record("acme", upstream_id)));
}

pub(super) async fn replaces_only_the_record_that_was_read(home: Arc<dyn Home>) {
    let store = home.open().await;
    for provider in ["acme", "other"] {
        let new = unread(&record(provider, if provider == "acme" { "a" } else { "c" }));
        assert!(store.put_service(new).await.unwrap());
    }
    let replaced = ServiceRecord { operation: id(2), ..record("acme", "a") };
    assert!(store.put_service(replaced.clone()).await.unwrap());
    let stored = ServiceRecord { version: 2, ..replaced.clone() };
    assert_eq!(store.service("acme", "a").await.unwrap().as_ref(), Some(&stored));
    // Whoever has read the one before does not replace it.
    assert!(!store.put_service(replaced).await.unwrap());
    assert_eq!(store.service("acme", "a").await.unwrap(), Some(stored));
    assert_eq!(store.service("other", "a").await.unwrap(), None);
}

/// A record as it is put by who has found none.
fn unread(record: &ServiceRecord) -> ServiceRecord {
    ServiceRecord { version: 0, ..record.clone() }
}

fn record(provider: &str, upstream_id: &str) -> ServiceRecord {
    ServiceRecord {
        provider: provider.to_owned(),
        upstream_id: upstream_id.to_owned(),
        operation: id(1),
        service: Service {
            name: format!("providers/{provider}/services/{upstream_id}"),
            aliases: vec!["first".to_owned(), "second".to_owned()],
            quantity: 2,
            ..Service::default()
        },
        version: 1,
        gone_since: None,
    }
}
