//! Acceptance: one operation for a request id, one holder for a lock.

use std::sync::Arc;

use purveyor::store::{Accepted, NewOperation, Query, StoreError};
use tokio::task::JoinSet;

use super::super::samples::{id, lock, new, next, operation};
use super::Home;

pub(super) async fn stores_what_is_new_and_shows_what_is_there(home: Arc<dyn Home>) {
    let store = home.open().await;
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    assert_eq!(store.accept(new(operation(1))).await.unwrap(), Accepted::Stored);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(operation(1)));

    // Whatever it carries, and in the state that the operation is in by then.
    let change = next(&operation(1), |operation| "running".clone_into(&mut operation.message));
    store.commit(change.clone()).await.unwrap();
    let mut other = new(operation(1));
    other.operation.fingerprint = [8; 32];
    other.locks = vec![lock("a")];
    let exists = Accepted::Exists(Box::new(change.operation.clone()));
    assert_eq!(store.accept(other).await.unwrap(), exists);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(change.operation));
    // What was not stored holds nothing.
    let free = NewOperation { locks: vec![lock("a")], ..new(operation(2)) };
    assert_eq!(store.accept(free).await.unwrap(), Accepted::Stored);
}

pub(super) async fn refuses_a_held_lock_and_stores_nothing(home: Arc<dyn Home>) {
    let store = home.open().await;
    let holder = NewOperation { locks: vec![lock("a"), lock("b")], ..new(operation(1)) };
    assert_eq!(store.accept(holder).await.unwrap(), Accepted::Stored);
    let refused = NewOperation { locks: vec![lock("c"), lock("b")], ..new(operation(2)) };
    let held = Accepted::Held { lock: lock("b"), by: id(1) };
    assert_eq!(store.accept(refused).await.unwrap(), held);
    assert_eq!(store.get(id(2)).await.unwrap(), None);
    home.settled().await;
    assert_eq!(store.positions().await.unwrap().last, 1);
    let free = NewOperation { locks: vec![lock("c"), lock("c")], ..new(operation(3)) };
    assert_eq!(store.accept(free).await.unwrap(), Accepted::Stored);
}

pub(super) async fn gives_one_lock_to_one_of_many(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut tasks = JoinSet::new();
    for n in 1..=64 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let new = NewOperation { locks: vec![lock("gate")], ..new(operation(n)) };
            (id(n), store.accept(new).await.unwrap())
        });
    }
    let answers = tasks.join_all().await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| *answer == Accepted::Stored)
        .map(|(id, _)| *id)
        .collect();
    let [winner] = winners[..] else { panic!("{} operations hold one lock", winners.len()) };
    let held = Accepted::Held { lock: lock("gate"), by: winner };
    assert_eq!(answers.iter().filter(|(_, answer)| *answer == held).count(), 63);
    let stored = store.list(&Query { limit: 200, ..Query::default() }).await.unwrap();
    assert_eq!(stored.iter().map(|stored| stored.request_id).collect::<Vec<_>>(), [winner]);
}

pub(super) async fn refuses_a_version_that_is_not_the_first(home: Arc<dyn Home>) {
    let store = home.open().await;
    let mut second = operation(1);
    second.version = 2;
    let refused = store.accept(new(second)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    assert!(store.healthy());
}
