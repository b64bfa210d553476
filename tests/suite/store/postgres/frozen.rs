//! A network that drops every packet and keeps the sockets open: each call of the store ends, and what
//! became of a commit is read back once the network is there again.

use std::time::{Duration, Instant};

use futures_util::future::FutureExt as _;
use purveyor::store::postgres::PostgresStore;
use purveyor::store::{Accepted, EndedBefore, Store, StoreError};
use xtask::network::{Cut, Network, Thaw};

use super::super::samples::{aged, id, new, operation};
use super::{Database, marked, network, through};
use crate::support::until;

/// How long after the network is back everything works again.
const RECOVERED_MAX: Duration = Duration::from_secs(30);

struct Stage {
    database: Database,
    network: Network,
    store: PostgresStore,
}

async fn stage() -> Stage {
    let (database, network) = (Database::default(), network().await);
    let store = PostgresStore::open(&through(&network, &database).await).await.unwrap();
    Stage { database, network, store }
}

impl Stage {
    async fn recovers(&self) {
        let begin = Instant::now();
        until("it recovers", async || self.store.healthy()).await;
        assert!(begin.elapsed() < RECOVERED_MAX, "{:?}", begin.elapsed());
        assert_eq!(self.store.get(id(9)).await.unwrap(), None);
        assert_eq!(self.store.accept(new(operation(3))).await.unwrap(), Accepted::Stored);
    }
}

/// Asserts that a call ends without an answer, and tells why.
async fn unanswered<T>(call: impl Future<Output = Result<T, StoreError>>) -> StoreError {
    let ended = tokio::time::timeout(RECOVERED_MAX, call).await.expect("it ends");
    ended.err().expect("nobody can answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_network_ends_every_call_and_the_store_recovers() {
    for thaw in [Thaw::Resume, Thaw::Forget] {
        let stage = stage().await;
        let Stage { network, store, .. } = &stage;
        assert_eq!(store.accept(new(operation(1))).await.unwrap(), Accepted::Stored);
        network.freeze();
        let reads = futures_util::future::join_all((0..20).map(|_| unanswered(store.get(id(1)))));
        let ended = EndedBefore { age: aged(1), wall: jiff::Timestamp::UNIX_EPOCH };
        let leased = [id(1)];
        let (reads, ..) = tokio::join!(
            reads,
            unanswered(store.accept(new(operation(2)))),
            unanswered(store.release(id(7), &leased)),
            unanswered(store.prune(ended, 1)),
            unanswered(store.close_claims(Vec::new(), aged(1))),
            unanswered(store.heartbeat()),
            unanswered(store.positions()),
        );
        for error in reads {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        until("health tells", async || !store.healthy()).await;
        network.thaw(thaw);
        stage.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_dropped_in_mid_query_closes_its_connection() {
    let Stage { network, store, .. } = stage().await;
    // Every connection that the store may have is there, and knows the statement.
    futures_util::future::join_all((0..8).map(|_| store.get(id(1)))).await;
    network.freeze();
    for _ in 0..16 {
        assert!(store.get(id(1)).now_or_never().is_none(), "it was answered");
    }
    network.thaw(Thaw::Forget);
    let read = tokio::time::timeout(Duration::from_secs(4), store.get(id(1))).await;
    assert_eq!(read.expect("no frozen connection is used again").unwrap(), None);
}

/// The network is back before the store has given up; its old connections are not.
#[tokio::test(flavor = "multi_thread")]
async fn frozen_commit_is_read_back_over_another_connection() {
    let check = async |cut: Cut, stored: bool| {
        let Stage { network, store, .. } = stage().await;
        network.arm(cut);
        let struck = until("the network freezes", async || network.struck() == 1);
        let thawed = async {
            struck.await;
            network.thaw(Thaw::Forget);
        };
        let (accepted, ()) = tokio::join!(store.accept(new(marked(1))), thawed);
        match accepted {
            Ok(accepted) => assert!(stored && accepted == Accepted::Stored, "{cut:?}"),
            // The server has given it up, so that is certain.
            Err(error) => {
                assert!(!stored && matches!(error, StoreError::Unavailable(_)), "{cut:?}: {error}");
            }
        }
        assert_eq!(store.get(id(1)).await.unwrap().is_some(), stored, "{cut:?}");
    };
    tokio::join!(check(Cut::FreezeAnswer, true), check(Cut::FreezeCommit, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_commit_that_cannot_be_read_back_is_ambiguous() {
    let stage = stage().await;
    let Stage { database, network, store } = &stage;
    network.arm(Cut::FreezeAnswer);
    let accepted = store.accept(new(marked(1))).await;
    assert!(matches!(accepted, Err(StoreError::Ambiguous(_))), "{accepted:?}");
    let sql = "SELECT count(*) FROM purveyor.operations";
    let stored: i64 = database.connected().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(stored, 1);
    network.thaw(Thaw::Forget);
    stage.recovers().await;
}
