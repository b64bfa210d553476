//! Listings: order, pages, filters, and the two lists that the engine starts from.

use std::collections::BTreeMap;
use std::sync::Arc;

use purveyor::store::{Lease, NewOperation, PAGE_MAX, Query, Store};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;

use super::super::samples::{STATES, aged, at, id, new, next, operation};
use super::Home;

pub(super) async fn pages_through_equal_times(home: Arc<dyn Home>) {
    let store = home.open().await;
    // Three operations a second, stored in no order, and more than a page of them.
    let count: u128 = 210;
    for n in (1..=count).map(|n| n * 101 % 211) {
        let mut stored = operation(n);
        stored.create_time = at(i64::try_from(n / 3).unwrap());
        store.accept(new(stored)).await.unwrap();
    }
    let newest_first: Vec<_> = (1..=count).rev().map(id).collect();
    let check = async |limit: usize, page_max: usize| {
        let mut query = Query { limit, ..Query::default() };
        let mut seen = Vec::new();
        loop {
            let page = store.list(&query).await.unwrap();
            assert!(page.len() <= page_max, "{} rows where {limit} were asked for", page.len());
            let Some(last) = page.last() else { break };
            query.after = Some((last.create_time, last.request_id));
            seen.extend(page.into_iter().map(|operation| operation.request_id));
        }
        assert_eq!(seen, newest_first, "in pages of {limit}");
    };
    check(1, 1).await;
    check(7, 7).await;
    check(200, 200).await;
    check(usize::MAX, PAGE_MAX).await;
    assert_eq!(store.list(&Query::default()).await.unwrap(), []);
}

pub(super) async fn filters_by_every_field(home: Arc<dyn Home>) {
    let store = home.open().await;
    accept_one_of_each_state(&*store).await;
    let text = |text: &str| Some(text.to_owned());
    let check = async |query: Query, expected: &[u128]| filters(&*store, query, expected).await;
    check(all(), &[9, 8, 7, 6, 5, 4, 3, 2, 1]).await;
    check(Query { owner: text("even"), ..all() }, &[8, 6, 4, 2]).await;
    check(Query { owner: text("nobody"), ..all() }, &[]).await;
    check(Query { provider: text("three"), ..all() }, &[9, 6, 3]).await;
    let renamed = Query { provider: text("three"), formerly: vec!["acme".to_owned()], ..all() };
    check(renamed.clone(), &[9, 8, 7, 6, 5, 4, 3, 2, 1]).await;
    check(Query { limit: 4, ..renamed.clone() }, &[9, 8, 7, 6]).await;
    check(Query { states: vec![State::Accepted, State::Failed], ..renamed }, &[8, 1]).await;
    check(Query { target: text("providers/three/orders/x"), ..all() }, &[9, 6, 3]).await;
    check(Query { target: text("providers/acme/orders/1"), ..all() }, &[1]).await;
    check(Query { ops: vec![Op::PayOrder], ..all() }, &[8, 6, 4, 2]).await;
    let both = vec![Op::PayOrder, Op::CreateOrder];
    check(Query { ops: both, ..all() }, &[9, 8, 7, 6, 5, 4, 3, 2, 1]).await;
    let every = Query {
        owner: text("even"),
        states: vec![State::NeedsOperator, State::Failed],
        provider: text("three"),
        formerly: vec!["acme".to_owned()],
        target: text("providers/three/orders/x"),
        ops: vec![Op::PayOrder],
        open_only: true,
        create_after: Some(at(2)),
        ended_after: None,
        after: Some((at(8), id(8))),
        limit: 1,
    };
    check(every, &[6]).await;
}

pub(super) async fn filters_by_state_and_time(home: Arc<dyn Home>) {
    let store = home.open().await;
    accept_one_of_each_state(&*store).await;
    let check = async |query: Query, expected: &[u128]| filters(&*store, query, expected).await;
    let two = vec![State::Failed, State::Running];
    check(Query { states: vec![State::NeedsOperator], ..all() }, &[6]).await;
    check(Query { states: two.clone(), ..all() }, &[8, 2]).await;
    check(Query { open_only: true, ..all() }, &[6, 5, 4, 3, 2, 1]).await;
    check(Query { open_only: true, states: two.clone(), ..all() }, &[2]).await;
    check(Query { open_only: true, states: vec![State::Failed], ..all() }, &[]).await;
    // Each state by itself, merged: once each, in one order, within the limit, page by page.
    let many = [State::Failed, State::Running, State::NeedsOperator, State::Failed];
    let many = Query { states: many.to_vec(), ..all() };
    check(many.clone(), &[8, 6, 2]).await;
    check(Query { limit: 2, ..many.clone() }, &[8, 6]).await;
    check(Query { after: Some((at(6), id(6))), ..many.clone() }, &[2]).await;
    check(Query { owner: Some("even".to_owned()), create_after: Some(at(3)), ..many }, &[8, 6])
        .await;
    let with_succeeded = vec![State::Succeeded, State::Failed];
    check(Query { states: with_succeeded, ..all() }, &[8, 7]).await;
    check(Query { create_after: Some(at(7)), ..all() }, &[9, 8, 7]).await;
    // Done and last changed later; none of the others, however it changed.
    check(Query { ended_after: Some(at(-1)), ..all() }, &[9, 8, 7]).await;
    let succeeded = vec![State::Succeeded];
    check(Query { ended_after: Some(at(-1)), states: succeeded.clone(), ..all() }, &[7]).await;
    check(Query { ended_after: Some(at(0)), states: succeeded, ..all() }, &[]).await;
    check(Query { after: Some((at(3), id(3))), ..all() }, &[2, 1]).await;
    check(Query { after: Some((at(3), id(4))), ..all() }, &[3, 2, 1]).await;
}

pub(super) async fn counts_open_operations_of_each_provider(home: Arc<dyn Home>) {
    let store = home.open().await;
    assert_eq!(store.open_by_provider().await.unwrap(), BTreeMap::new());
    accept_one_of_each_state(&*store).await;
    let mut open = BTreeMap::new();
    for operation in store.list(&Query { open_only: true, ..all() }).await.unwrap() {
        *open.entry(operation.provider).or_insert(0) += 1;
    }
    assert!(open.len() > 1, "{open:?}");
    assert_eq!(store.open_by_provider().await.unwrap(), open);
}

pub(super) async fn shows_orphans(home: Arc<dyn Home>) {
    let store = home.open().await;
    for (n, state) in (1..).zip(STATES) {
        store.accept(new(operation(n))).await.unwrap();
        store.commit(next(&operation(n), |operation| operation.state = state)).await.unwrap();
    }
    let orphans = store.orphans(aged(0)).await.unwrap();
    let orphans: Vec<_> =
        orphans.into_iter().map(|orphan| (orphan.request_id, orphan.state)).collect();
    assert_eq!(orphans, [(id(2), State::Running)]);
}

pub(super) async fn shows_no_orphan_that_somebody_works_on(home: Arc<dyn Home>) {
    let store = home.open().await;
    let lease = Some(Lease { replica: id(1001), until: aged(60) });
    store.accept(NewOperation { lease, ..new(operation(1)) }).await.unwrap();
    let running = next(&operation(1), |operation| operation.state = State::Running);
    store.commit(running.clone()).await.unwrap();
    assert_eq!(store.orphans(aged(59)).await.unwrap(), []);
    assert_eq!(store.orphans(aged(60)).await.unwrap(), std::slice::from_ref(&running.operation));
    store.release(id(1001), &[id(1)]).await.unwrap();
    assert_eq!(store.orphans(aged(0)).await.unwrap(), [running.operation]);
}

pub(super) async fn shows_what_is_blocked(home: Arc<dyn Home>) {
    let store = home.open().await;
    for n in 1..=4 {
        let mut stored = operation(n);
        stored.blocked_by =
            [None, Some(id(1)), Some(id(2)), Some(id(1))][usize::try_from(n).unwrap() - 1];
        store.accept(new(stored)).await.unwrap();
    }
    let check = async |n: u128, expected: &[u128]| {
        let blocked = store.blocked_by(id(n)).await.unwrap();
        let blocked: Vec<_> = blocked.into_iter().map(|blocked| blocked.request_id).collect();
        assert_eq!(blocked, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "by {n}");
    };
    check(1, &[2, 4]).await;
    check(2, &[3]).await;
    check(3, &[]).await;
    let all = async |limit: usize, expected: &[u128]| {
        let blocked = store.blocked(limit).await.unwrap();
        let blocked: Vec<_> = blocked.into_iter().map(|blocked| blocked.request_id).collect();
        assert_eq!(blocked, expected.iter().map(|n| id(*n)).collect::<Vec<_>>());
    };
    all(10, &[2, 4, 3]).await;
    all(2, &[2, 4]).await;
    let mut free = operation(2);
    free.blocked_by = Some(id(1));
    store.commit(next(&free, |operation| operation.blocked_by = None)).await.unwrap();
    check(1, &[4]).await;
    all(10, &[4, 3]).await;
}

/// Operation `n` is of the `n`th state and second; every second and every third one differ in more.
async fn accept_one_of_each_state(store: &dyn Store) {
    for (n, state) in (1..).zip(STATES) {
        let mut stored = operation(n);
        stored.create_time = at(i64::try_from(n).unwrap());
        stored.state = state;
        if n % 2 == 0 {
            "even".clone_into(&mut stored.owner);
            stored.op = Op::PayOrder;
        }
        if n % 3 == 0 {
            "three".clone_into(&mut stored.provider);
            "providers/three/orders/x".clone_into(&mut stored.target);
        }
        store.accept(new(stored)).await.unwrap();
    }
}

fn all() -> Query {
    Query { limit: PAGE_MAX, ..Query::default() }
}

async fn filters(store: &dyn Store, query: Query, expected: &[u128]) {
    let listed = store.list(&query).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|operation| operation.request_id).collect();
    assert_eq!(listed, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{query:?}");
}
