//! That no question reads more of a store in PostgreSQL than its answer needs, however much is in it and
//! however the server plans it, at first and when it has planned the same question many times. The
//! embedded store names the index of each query, and its own tests hold it to that.

#[path = "../../../benches/growth/filling.rs"]
mod filling;
#[path = "../../../benches/growth/postgres.rs"]
mod postgres;

use std::sync::LazyLock;
use std::time::Duration;

use jiff::SignedDuration;
use purveyor::store::operation::NewClaim;
use purveyor::store::postgres::PostgresStore;
use purveyor::store::{
    Change, Committed, EndedBefore, Lease, NewOperation, Query, Share, Store, Take,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use tokio::sync::OnceCell;
use tokio_postgres::Client;
use uuid::Uuid;
use xtask::postgres::Server;

use self::filling::{PROVIDER, aged, beginning, claim, operation, present, queue, sent};
use crate::support::postgres::{connect, copy, database, run};
use crate::support::until;

/// How many finished operations there are, and a tenth as many that wait.
const FINISHED: u32 = 60_000;

/// How often each question is asked: the server plans the first five times for what is asked, and then
/// perhaps once for all.
const TIMES: i64 = 12;

/// How many rows and entries of indexes a question may read: a page of each table, its indexes, and
/// what was changed meanwhile. One look at all that is finished is more than that for all of them.
const READ_MAX: i64 = 4_000;

const PAGE: usize = 50;

/// A server for these tests alone: filling is one long transaction, and no watcher on the same server is
/// shown a change before it ends.
fn server() -> &'static Server {
    static SERVER: LazyLock<Server> =
        LazyLock::new(|| Server::start().expect("a server of its own"));
    &SERVER
}

/// The name of the one database that is filled, which nobody is connected to any more.
async fn template() -> &'static str {
    static FILLED: OnceCell<String> = OnceCell::const_new();
    let fill = async || {
        let name = database(server()).await;
        postgres::fill(&server().url(&name), FINISHED).await.expect("it is filled");
        let changes = "INSERT INTO purveyor.changes SELECT nextval('purveyor.positions'), request_id, \
                       2, pg_current_xact_id(), (SELECT age FROM purveyor.meta) \
                       FROM purveyor.operations";
        run(server(), &name, changes).await;
        run(server(), &name, "ANALYZE").await;
        let others = connect(server(), "postgres").await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
        let gone = async || {
            let row = others.query_one(sql, &[&name]).await.expect("activity");
            row.get::<_, i64>(0) == 0
        };
        until("nobody is connected", gone).await;
        name
    };
    FILLED.get_or_init(fill).await
}

/// A filled database.
struct Grown {
    url: String,
    watcher: Client,
    /// Sees the database as it was filled. What is changed afterwards stays in the indexes as long as it does,
    /// and is counted at each question. Without it, that would hang on when the server tidies up.
    oldest: Client,
}

impl Grown {
    async fn new() -> Self {
        let name = copy(server(), template().await).await;
        let url = server().url(&name);
        let watcher = connect(server(), &name).await;
        let oldest = connect(server(), &name).await;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM purveyor.meta";
        oldest.batch_execute(begin).await.expect("a transaction");
        Self { url, watcher, oldest }
    }

    /// Asks again and again, and fails where the server had to read much.
    async fn check(&self, what: &str, ask: impl AsyncFn(&PostgresStore, i64)) {
        let before = self.read().await;
        let config = postgres::config(&self.url).expect("an address");
        let store = PostgresStore::open(&config).await.expect("a store");
        for time in 0..TIMES {
            ask(&store, time).await;
        }
        drop(store);
        let read = self.read().await - before;
        assert!(read <= TIMES * READ_MAX, "{what}: {} rows each time", read / TIMES);
    }

    /// How many rows and entries were read so far, by connections that are closed.
    async fn read(&self) -> i64 {
        let pid = self.oldest.query_one("SELECT pg_backend_pid()", &[]).await.expect("a process");
        let pid: i32 = pid.get(0);
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND backend_type = 'client backend' AND pid NOT IN (pg_backend_pid(), $1)";
        until("all others are gone", || async {
            let row = self.watcher.query_one(open, &[&pid]).await.expect("activity");
            row.get::<_, i64>(0) == 0
        })
        .await;
        let sql = "SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN \
                   ('operations', 'attempts', 'claims', 'locks')) + (SELECT sum(idx_tup_read) \
                   FROM pg_stat_user_indexes WHERE relname IN \
                   ('operations', 'attempts', 'claims', 'locks')))::bigint";
        self.watcher.query_one(sql, &[]).await.expect("statistics").get(0)
    }
}

#[tokio::test]
async fn a_listing_reads_no_more_than_it_shows() {
    let grown = Grown::new().await;
    let query = || Query { limit: PAGE, ..Query::default() };
    let middle = (present() - SignedDuration::from_hours(200 * 24), Uuid::max());
    let text = |text: &str| Some(text.to_owned());
    let check = async |what: &str, query: Query, rows: usize| {
        let list = async |store: &PostgresStore, _| {
            let listed = store.list(&query).await.expect("a listing");
            assert_eq!(listed.len(), rows, "{what}");
        };
        grown.check(what, list).await;
    };
    check("first page", query(), PAGE).await;
    check("in the middle", Query { after: Some(middle), ..query() }, PAGE).await;
    check("of an owner", Query { owner: text("owner-7"), ..query() }, PAGE).await;
    check("of nobody", Query { owner: text("nobody"), ..query() }, 0).await;
    check("of a target", Query { target: text("providers/acme/orders/7"), ..query() }, 1).await;
    check("open", Query { open_only: true, ..query() }, PAGE).await;
    check("failed", Query { states: vec![State::Failed], ..query() }, 0).await;
    let stuck = vec![State::NeedsOperator, State::OutcomeUnknown, State::Failed];
    check("of states that none is in", Query { states: stuck, ..query() }, 0).await;
    let some = vec![State::NeedsOperator, State::WaitingUpstream];
    check("of two states", Query { states: some, after: Some(middle), ..query() }, PAGE).await;
    check("of a provider", Query { provider: text(PROVIDER), ..query() }, PAGE).await;
    check("of a provider that has none", Query { provider: text("other"), ..query() }, 0).await;
    let ops = vec![Op::CreateOrder];
    check("of a kind of write", Query { ops, ..query() }, PAGE).await;
    let (states, ended_after) = (vec![State::Succeeded], Some(present()));
    let ended = Query { states, ended_after, provider: text(PROVIDER), ..query() };
    check("of what has just ended", ended, 0).await;
}

#[tokio::test]
async fn the_engine_reads_no_more_than_it_takes() {
    let grown = Grown::new().await;
    let take = |time: i64| {
        let now = aged(present()) + Duration::from_secs(100 + time.unsigned_abs());
        let lease = Lease { replica: Uuid::from_u128(7), until: now + Duration::from_secs(60) };
        let shares = vec![Share { queue: queue(), limit: PAGE }];
        Take { now, lease, shares }
    };
    grown
        .check("what is due next", async |store, _| {
            assert!(store.wakes().await.expect("wakes").first().is_some());
        })
        .await;
    grown
        .check("what waits", async |store, time| {
            let take = take(time);
            let taken = store.take_waiting(&take).await.expect("it is taken");
            assert!(!taken.is_empty());
            let ids: Vec<Uuid> = taken.iter().map(|operation| operation.request_id).collect();
            store.renew(&take.lease, &ids).await.expect("it is renewed");
            store.release(take.lease.replica, &ids).await.expect("it is given back");
        })
        .await;
    grown
        .check("what is due", async |store, time| {
            assert!(store.take_due(&take(time)).await.expect("it is taken").is_empty());
        })
        .await;
    grown
        .check("what is left behind, blocked and claimed", async |store, _| {
            assert!(store.orphans(aged(present())).await.expect("orphans").is_empty());
            assert!(store.unstarted(present(), None).await.expect("late ones").is_empty());
            assert!(store.blocked_by(Uuid::nil()).await.expect("blocked").is_empty());
            assert!(store.claimant(&claim(Uuid::nil())).await.expect("a claim").is_none());
            let since = aged(present()) - Duration::from_secs(60);
            store.claimed_ids("ACME-1", Uuid::nil(), since, since).await.expect("claims");
        })
        .await;
    grown
        .check("changes", async |store, _| {
            let positions = store.positions().await.expect("positions");
            let middle = (positions.oldest + positions.last) / 2;
            assert_eq!(store.changes(middle, PAGE).await.expect("changes").len(), PAGE);
        })
        .await;
    grown
        .check("what is written", async |store, _| {
            let request_id = Uuid::new_v4();
            let accepted = operation(request_id, present());
            let new = NewOperation::of(accepted.clone());
            store.accept(new).await.expect("it is accepted");
            let claims = vec![NewClaim::by_answer(claim(request_id))];
            let operation = sent(accepted, State::Succeeded);
            let change = Change { claims, ..Change::of(operation) };
            assert_eq!(store.commit(change).await.expect("it is committed"), Committed::Done);
        })
        .await;
    grown
        .check("what is pruned", async |store, _| {
            let before = beginning() + SignedDuration::from_hours(100 * 24);
            assert_eq!(
                store
                    .prune(EndedBefore { age: aged(before), wall: before }, 10)
                    .await
                    .expect("it is pruned"),
                10
            );
        })
        .await;
}
