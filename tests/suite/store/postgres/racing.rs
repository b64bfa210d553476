//! What happens when another session of the database comes between two statements of one commit. Rows that
//! the other session holds stop the commit where it shall be stopped.

use std::sync::Arc;

use purveyor::store::operation::{NewClaim, Observation, Observed};
use purveyor::store::{Change, Committed, Store};
use purveyor_sdk::v1::operation::{Outcome, State};
use tokio_postgres::Client;

use super::super::conformance::Home as _;
use super::super::samples::{aged, attempt, claim, claims, id, new, next, operation};
use super::Database;
use crate::support::until;

/// Another session of the database, and who waits for whom.
struct Session {
    client: Client,
    pid: i32,
    watcher: Client,
}

impl Session {
    async fn of(database: &Database) -> Self {
        let (client, watcher) = (database.connected().await, database.connected().await);
        let own = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a process");
        Self { client, pid: own.get(0), watcher }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Whether some other session waits for a lock of this one.
    async fn blocks(&self) -> bool {
        let sql =
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))";
        self.watcher.query_one(sql, &[&self.pid]).await.expect("it is told").get(0)
    }

    /// Whether this session waits for a lock of another one.
    async fn waits(&self) -> bool {
        let sql = "SELECT cardinality(pg_blocking_pids($1)) > 0";
        self.watcher.query_one(sql, &[&self.pid]).await.expect("it is told").get(0)
    }
}

#[tokio::test]
async fn commit_of_two_operations_leaves_no_position_between_theirs() {
    let database = Database::default();
    let store = Arc::new(database.opened().await);
    for n in 1..=3 {
        store.accept(new(operation(n))).await.unwrap();
    }
    let first = Change { claims: claims(["77"]), ..next(&operation(1), |_| {}) };
    assert_eq!(store.commit(first.clone()).await.unwrap(), Committed::Done);
    database.settled().await;
    let before = store.positions().await.unwrap().last;

    // The commit waits for this row, and has a place among the changes by then.
    let holder = Session::of(&database).await;
    let hold = format!("SELECT FROM purveyor.operations WHERE request_id = '{}' FOR UPDATE", id(2));
    holder.run(&format!("BEGIN; {hold}")).await;
    let lost = next(&first.operation, |operation| operation.state = State::NeedsOperator);
    let taken = NewClaim { takes_from: Some(id(1)), ..NewClaim::by_answer(claim("77")) };
    let change =
        Change { claims: vec![taken], loser: Some(Box::new(lost)), ..next(&operation(2), |_| {}) };
    let committing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(change).await.unwrap() }
    });
    until("the commit waits", async || holder.blocks().await).await;

    // Another change takes a place as soon as it can, and is committed last.
    let other = Arc::new(Session::of(&database).await);
    let append = format!(
        "SET search_path TO purveyor; BEGIN; \
         INSERT INTO changes (position, request_id, version, transaction_id, time) \
         SELECT next_position, '{}', 2, pg_current_xact_id(), 0 FROM take_position()",
        id(3)
    );
    let appending = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.run(&append).await }
    });
    until("a place is taken", async || appending.is_finished() || other.waits().await).await;
    holder.run("ROLLBACK").await;
    assert_eq!(committing.await.unwrap(), Committed::Done);
    store.changed(before).await;
    let shown = store.changes(before, 9).await.unwrap();
    assert_eq!(shown.len(), 2, "a watcher sees both");
    appending.await.unwrap();
    other.run("COMMIT").await;
    let last = shown[1].position;
    let missed = async || store.changes(last, 9).await.unwrap().is_empty();
    until("the other change is shown", async || !missed().await).await;
}

#[tokio::test]
async fn commit_overtaken_at_its_row_keeps_its_observation() {
    let database = Database::default();
    let store = Arc::new(database.opened().await);
    store.accept(new(operation(1))).await.unwrap();
    let sent = next(&operation(1), |operation| {
        operation.attempts = vec![attempt(1, 1)];
        operation.attempts[0].outcome = Outcome::Unknown;
    });
    assert_eq!(store.commit(sent.clone()).await.unwrap(), Committed::Done);

    // A gateway of an earlier version waits for nobody.
    let earlier = Session::of(&database).await;
    let row = format!("WHERE request_id = '{}'", id(1));
    let overtake = format!("UPDATE purveyor.operations SET version = version + 1 {row}");
    earlier.run(&format!("BEGIN; {overtake}")).await;
    let observation = Observation {
        nonce: attempt(1, 1).nonce,
        observed: Observed::Accepted,
        upstream_id: "77".to_owned(),
        content: vec![1],
    };
    let applied = next(&sent.operation, |operation| {
        operation.attempts[0].observed = Observed::Accepted;
        operation.update_age = aged(1);
    });
    let change = Change { observation: Some(observation.clone()), ..applied };
    let committing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(change).await.unwrap() }
    });
    until("the commit waits", async || earlier.blocks().await).await;
    earlier.run("COMMIT").await;
    assert_eq!(committing.await.unwrap(), Committed::Stale);
    let stored = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(stored.attempts[0].unapplied.as_deref(), Some(&observation));
}
