//! A store that an earlier version wrote, with operations in every state, is opened by this version, and
//! what was open goes on: nothing is bought twice, nothing is lost, nothing that had ended changes.
//!
//! `older_store/schema-4.db` and `older_store/schema-4.sql` (a dump of PostgreSQL with `--inserts`) were
//! written by version 0.1.0 with schema 4. Their times are moved here, so that they were written an hour
//! ago whenever this runs. A gateway with the providers `gandi` and `second` (accounts OLD1-GANDI and
//! OLD2-GANDI of one upstream, windows of ten minutes) and `racknap` took these orders one after another,
//! whose request ids end with the number and whose `start_before` is 2100, and was killed:
//!
//! | order | what became of it |
//! |---|---|
//! | 1, one share | SUCCEEDED: upstream operation 637366 |
//! | 2, two shares | FAILED: the upstream refused it with fault 521163 |
//! | 3, a RackNap record | NEEDS_OPERATOR: its answer was lost |
//! | 4, four shares | WAITING_UPSTREAM: upstream operation 637367 is not done |
//! | 5, five shares | RECONCILING: sold as 637368, and its answer was lost |
//! | 6, six shares at `second` | RUNNING: its permit is given, and nothing is sold |
//! | 7, seven shares | ACCEPTED: it waits for the account |
//! | 8, eight shares | CANCELLED while it waited |
//!
//! To write them anew for a later schema: take the orders in that way with a simulated upstream whose
//! lists lag ten hours from order 4 on and whose operations stay in BILL as long; drop the connection
//! after the commit for orders 3 and 5, and hold order 6 before it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use purveyor_sdk::v1::ResolveOperationRequest;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::resolve_operation_request::{NotExecuted, Resolution};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Options};
use purveyor_simulators::{Kind, Simulator};
use tempfile::TempDir;
use xtask::configuration::Configuration;

use crate::support::client::{order, succeeded};
use crate::support::elsewhere::buy;
use crate::support::postgres::{database, run, server};
use crate::support::program::{Program, confirm};
use crate::support::{API_KEY, configuration, provider, sold};

const SQLITE: &[u8] = include_bytes!("older_store/schema-4.db");
const SECOND_KEY: &str = "othertesttesttesttesttes";
const POSTGRES: &str = include_str!("older_store/schema-4.sql");

/// Every column that holds nanoseconds since 1970.
const TIMES: [(&str, &str); 6] = [
    ("operations", "create_time"),
    ("operations", "update_time"),
    ("operations", "wake_time"),
    ("operations", "lease_until"),
    ("attempts", "permit_time"),
    ("claims", "claim_time"),
];
/// When the stores were written, within a minute.
const WRITTEN: Duration = Duration::from_secs(1_752_839_930);
/// When everything was due, after it was written.
const DUE_AFTER: Duration = Duration::from_secs(62);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Moves all times of a store, as if it was written an hour ago.
fn moved(prefix: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    let by = now.as_nanos() as i128 - (WRITTEN + AN_HOUR).as_nanos() as i128;
    let one = |(table, column)| {
        // Nobody watched the store since it was written, so the next poll and the end of a lease, a minute
        // later, would wait for that minute: here they were due when the store was left.
        let due = matches!(column, "wake_time" | "lease_until");
        let by = if due { by - DUE_AFTER.as_nanos() as i128 } else { by };
        format!("UPDATE {prefix}{table} SET {column} = {column} + {by};")
    };
    TIMES.map(one).concat()
}

/// Order 8 as if it was an order of two items upstream, and about another of two: identifiers were joined
/// by commas then. The bytes are an `UpstreamRef` with the identifier `41,42`.
fn joined(prefix: &str, bytes: &str) -> String {
    let set = format!("upstream = {bytes}, upstream_target = '7,8'");
    format!("UPDATE {prefix}operations SET {set} WHERE state = 9")
}

fn name(number: u64) -> String {
    format!("operations/00000000-0000-4000-8000-{number:012}")
}

/// The upstream as it was when the store was written: 637366 to 637368 are sold.
async fn account() -> Simulator<Gandi> {
    let account = |api_key: &str, handle: &str| {
        let (api_key, handle) = (api_key.to_owned(), handle.to_owned());
        AccountSeed { api_key, handle, ..AccountSeed::default() }
    };
    let accounts = vec![account(API_KEY, "OLD1-GANDI"), account(SECOND_KEY, "OLD2-GANDI")];
    let options = Options { accounts, ..Options::default() };
    let upstream = Gandi::start(options).await.expect("the simulator starts");
    for quantity in [1, 4, 5] {
        buy(&upstream, "shares", quantity).await;
    }
    upstream
}

/// An operator says that order 6 was not executed.
async fn resolve(program: &Program) {
    let client = program.client().await;
    // The evidence of order 6 knows no operation by which a list could be seen to be whole.
    let open = client.reaches(&name(6), State::NeedsOperator).await;
    let request = ResolveOperationRequest {
        name: open.name,
        etag: open.etag,
        note: "not there".to_owned(),
        resolution: Some(Resolution::NotExecuted(NotExecuted {
            try_again: true,
            ..NotExecuted::default()
        })),
    };
    client.operations().resolve_operation(request).await.expect("resolved");
}

/// What was open goes on, what had ended stays, and what is new is bought.
async fn goes_on(program: &Program, upstream: &Simulator<Gandi>) {
    let client = program.client().await;
    let ended = [(1, State::Succeeded), (2, State::Failed), (3, State::NeedsOperator)];
    for (number, state) in ended.into_iter().chain([(8, State::Cancelled)]) {
        let operation = client.operation(&name(number)).await;
        assert_eq!(operation.state(), state, "{operation:#?}");
    }
    let upstream_ids = client.operation(&name(8)).await.upstream.expect("it was placed").ids;
    assert_eq!(upstream_ids, ["41", "42"]);
    let mut ids = Vec::new();
    for number in [1, 4, 5, 6, 7] {
        let operation = succeeded(client.done(&name(number)).await);
        ids.push(order(&operation).upstream.as_ref().expect("sold").id().to_owned());
    }
    assert_eq!(ids[..3], ["637366", "637367", "637368"]);
    // What was running and what waited for it were not sold, and are now, once each.
    let mut all = sold(upstream, Kind::ProductAdd);
    all.sort();
    ids.sort();
    assert_eq!(all, ids);
}

fn written(folder: &Path, configuration: Configuration, upstream: &Simulator<Gandi>) {
    let second = provider(upstream).credential("api-key", SECOND_KEY);
    let configuration =
        configuration.provider("gandi", provider(upstream)).provider("second", second);
    configuration.write(folder).expect("the configuration is written");
}

#[tokio::test]
async fn older_sqlite_store_is_opened_and_continued() {
    let upstream = account().await;
    let folder = TempDir::new().expect("a folder");
    written(folder.path(), configuration(), &upstream);
    let file = folder.path().join("purveyor.db");
    fs::write(&file, SQLITE).expect("the store is written");
    let store = rusqlite::Connection::open(&file).expect("a database");
    store.execute_batch(&moved("")).expect("its times are moved");
    store.execute_batch(&joined("", "x'0a0534312c3432'")).expect("one order is of two items");
    drop(store);
    // Its witness is not in the fixture, and somebody has to say that this is right.
    assert!(confirm(folder.path()).status.success());
    let program = Program::start_in(folder);
    resolve(&program).await;
    goes_on(&program, &upstream).await;
    // A second start finds nothing to do.
    let program = program.restart();
    goes_on(&program, &upstream).await;
}

#[tokio::test]
async fn older_postgres_store_is_opened_and_continued() {
    let upstream = account().await;
    let database = database(server()).await;
    run(server(), &database, POSTGRES).await;
    run(server(), &database, &moved("purveyor.")).await;
    run(server(), &database, &joined("purveyor.", r"'\x0a0534312c3432'")).await;
    let folder = TempDir::new().expect("a folder");
    let configuration = configuration().store(&server().url(&database));
    written(folder.path(), configuration, &upstream);
    // It is another server than the one that was dumped, and somebody has to say that this is right.
    assert!(confirm(folder.path()).status.success());
    let program = Program::start_in(folder);
    resolve(&program).await;
    goes_on(&program, &upstream).await;
}
