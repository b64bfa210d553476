//! What ended longer ago than an operator wants it kept: the gateway lets go of it by itself.

use std::time::Duration;

use jiff::Timestamp;
use purveyor::store::operation::Operation;
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{Change, NewOperation, Store};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::GetOperationRequest;
use purveyor_sdk::v1::operation::State;
use tonic::Code;
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::{Gateway, configuration, until};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn name(n: u128) -> String {
    format!("operations/{}", Uuid::from_u128(n))
}

/// Stores an operation that came to a state so many days ago.
async fn came_to(store: &SqliteStore, n: u128, state: State, days: u32) {
    let (time, age) = (Timestamp::now() - DAY * days, store.age().age - DAY * days);
    let accepted = Operation {
        wake_time: None,
        ..Operation::new(Uuid::from_u128(n), Op::CreateOrder, "acme", time, age)
    };
    let new = NewOperation::of(accepted.clone());
    store.accept(new).await.expect("it is accepted");
    let operation = Operation { state, version: 2, ..accepted };
    let change = Change::of(operation);
    store.commit(change).await.expect("it is committed");
}

async fn shown(client: &Client, n: u128) -> Option<State> {
    let request = GetOperationRequest { name: name(n) };
    match client.operations().get_operation(request).await {
        Ok(answer) => Some(answer.into_inner().state()),
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status}");
            None
        }
    }
}

#[tokio::test]
async fn what_ended_long_ago_is_let_go_and_nothing_else() {
    let check = async |days: Option<u32>, expected: [bool; 4]| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("purveyor.db")).expect("a store");
        came_to(&store, 1, State::Succeeded, 501).await;
        came_to(&store, 2, State::Failed, 401).await;
        came_to(&store, 3, State::Succeeded, 399).await;
        came_to(&store, 4, State::NeedsOperator, 501).await;
        drop(store);
        let configuration = match days {
            Some(days) => configuration().engine("retention_days", i64::from(days)),
            None => configuration(),
        };
        configuration.write(folder.path()).expect("the configuration is written");
        let gateway = Gateway::start_in(folder).await;
        let client = gateway.client().await;
        until("the oldest is gone", || async { shown(&client, 1).await.is_none() }).await;
        // One commit removes all that has to go.
        for (n, expected) in (1..).zip(expected) {
            assert_eq!(shown(&client, n).await.is_some(), expected, "{n} after {days:?} days");
        }
    };
    check(None, [false, false, true, true]).await;
    check(Some(500), [false, true, true, true]).await;
}
