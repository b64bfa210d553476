//! An account that moves to another endpoint, and a store that an older version has written.

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{Operation, Service};
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, Kind, Simulator};
use rusqlite::Connection;
use tempfile::TempDir;
use xtask::configuration::Provider;

use super::{RENEW, in_progress, patient, renew, under};
use crate::support::client::succeeded;
use crate::support::requests::{purchase, renewal};
use crate::support::{API_KEY, Gateway, HOUR, LATER, configuration, sold, upstream};

/// A store with an order that has succeeded and a renewal whose outcome is unknown.
async fn left() -> (TempDir, Simulator<Gandi>, Service, Operation, Operation) {
    let upstream = upstream(Options::default()).await;
    let gateway = Gateway::start(configuration().provider("one", patient(&upstream))).await;
    let client = gateway.client().await;
    let bought = succeeded(client.ordered(purchase("one", &[("shares", 2)])).await);
    let name = crate::support::client::order(&bought).items[0].services[0].clone();
    let service = client.service(&name).await.expect("it is there");
    upstream.inject(Fault::next(RENEW, LATER));
    let open = renew(&client, renewal(&service.name, service.expire_time)).await;
    let open = open.expect("accepted");
    client.reaches(&open.name, State::Reconciling).await;
    drop(client);
    (gateway.stop().await, upstream, service, bought, open)
}

/// The same upstream under another name.
fn moved(upstream: &Simulator<Gandi>) -> Provider {
    let url = upstream.url().replace("127.0.0.1", "localhost");
    let provider = Provider::new("gandi", &url).credential("api-key", API_KEY);
    let times = [
        ("attempt_timeout_ms", 1000),
        ("upstream_idle_ms", 50),
        ("upstream_processing_ms", 600_000),
        ("listing_lag_ms", 50),
    ];
    times.into_iter().fold(provider, |provider, (key, ms)| provider.timing(key, ms))
}

#[tokio::test]
async fn moved_endpoint_keeps_its_operations_by_formerly_endpoint() {
    let (folder, upstream, service, bought, open) = left().await;
    let provider = moved(&upstream).formerly(upstream.url());
    configuration().provider("one", provider).write(folder.path()).expect("it is written");
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    // Its claims and its locks are the account's.
    let listed = client.all_orders("one").await;
    assert_eq!(listed.iter().map(|it| it.name.clone()).collect::<Vec<_>>(), [bought.target]);
    in_progress(renew(&client, renewal(&service.name, service.expire_time)).await, &open);
    upstream.advance(HOUR);
    succeeded(client.done(&open.name).await);
    assert_eq!(sold(&upstream, Kind::ProductRenew).len(), 1);
}

#[tokio::test]
async fn moved_endpoint_without_formerly_endpoint_is_another_account() {
    let (folder, upstream, _, _, open) = left().await;
    configuration().provider("one", moved(&upstream)).write(folder.path()).expect("written");
    let gateway = Gateway::start_in(folder).await;
    let operation = gateway.client().await.done(&open.name).await;
    let problem = operation.problem.as_ref().map(|problem| problem.reason.as_str());
    assert_eq!((operation.state(), problem), (State::NeedsOperator, Some("ACCOUNT_CHANGED")));
    // Both accounts are named, and how the provider is pointed back.
    for word in ["http://localhost", "http://127.0.0.1", "formerly_endpoint"] {
        assert!(operation.message.contains(word), "{}", operation.message);
    }
    assert_eq!(sold(&upstream, Kind::ProductRenew).len(), 0);
}

/// Brings a store to what version 1 has written: no keys, claims and gates by plugin and identity.
fn as_version_1_wrote_it(folder: &TempDir) {
    let store = Connection::open(folder.path().join("purveyor.db")).expect("it is whole");
    let old = "DELETE FROM locks WHERE key LIKE 'gandi http%'; \
               DELETE FROM locks WHERE key LIKE 'similar gandi http%'; \
               DELETE FROM claims WHERE account LIKE 'gandi http%'; \
               DELETE FROM accounts; UPDATE operations SET account_key = '';";
    store.execute_batch(old).expect("it is written");
    let count = |sql: &str| store.query_one(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    assert!(count("SELECT count(*) FROM claims WHERE account LIKE 'gandi/%'") > 0);
    assert!(count("SELECT count(*) FROM locks WHERE key LIKE 'providers/%'") > 0);
}

#[tokio::test]
async fn store_of_version_1_keeps_its_claims_and_locks_for_every_provider_of_the_account() {
    let (folder, upstream, service, bought, open) = left().await;
    as_version_1_wrote_it(&folder);
    let two =
        configuration().provider("one", patient(&upstream)).provider("two", patient(&upstream));
    // Nothing is begun or looked for, so the old operation stays as version 1 has stored it.
    two.clone().engine("hold", true).write(folder.path()).expect("it is written");
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    let listed = client.all_orders("one").await;
    assert_eq!(listed.iter().map(|it| it.name.clone()).collect::<Vec<_>>(), [bought.target]);
    // The old operation holds by its name, and from now on by its account.
    in_progress(renew(&client, renewal(&service.name, service.expire_time)).await, &open);
    let theirs = client.service(&under("two", &service)).await.expect("one account");
    in_progress(renew(&client, renewal(&theirs.name, theirs.expire_time)).await, &open);
    drop(client);
    let folder = gateway.stop().await;
    two.write(folder.path()).expect("it is written");
    let gateway = Gateway::start_in(folder).await;
    upstream.advance(HOUR);
    succeeded(gateway.client().await.done(&open.name).await);
    assert_eq!(sold(&upstream, Kind::ProductRenew).len(), 1);
}
