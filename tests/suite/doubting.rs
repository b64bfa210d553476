//! A store that may have lost what it acknowledged, or that cannot commit: nothing is spent, writes
//! are kept where they can be, and everything goes on once a person has looked or the disk has room.

use std::fs;
use std::path::Path;

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{ListProductsRequest, Operation};
use purveyor_simulators::Kind;
use rustix::process::{Resource, Rlimit, prlimit};
use xtask::configuration::Configuration;

use crate::support::client::{succeeded, told};
use crate::support::postgres::{database, run, server};
use crate::support::program::{Program, confirm};
use crate::support::requests::purchase;
use crate::support::{asked, configuration, gandi, provider, sold, until, upstream};

const CREATE: &str = "hosting.product.create";

async fn accepted(program: &Program) -> Operation {
    let request = purchase("gandi", &[("shares", 1)]);
    program.client().await.order(request).await.expect("the order is accepted")
}

#[tokio::test]
async fn a_copy_of_yesterday_is_noticed_and_goes_on_when_it_is_confirmed() {
    let (upstream, provider) = gandi().await;
    let program = Program::start(configuration().provider("gandi", provider));
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let folder = program.kill();
    let copy = tempfile::tempdir().expect("a folder for the copy");
    copy_store(folder.path(), copy.path());
    let seen = folder.path().join("purveyor.db.seen");
    let noted = || fs::read_to_string(&seen).expect("it is noted");
    let yesterday = noted();
    let program = Program::start_in(folder);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    until("it is noted", async || noted() != yesterday).await;
    let folder = program.kill();
    copy_store(copy.path(), folder.path());

    let program = Program::start_in(folder);
    until("health tells", async || !program.serves().await).await;
    let held = accepted(&program).await;
    assert!(held.message.contains("purveyor store confirm"), "{held:#?}");
    // While the gateway has the file nobody else does.
    assert!(!confirm(program.folder()).status.success());
    let folder = program.kill();
    // Another start settles nothing.
    let program = Program::start_in(folder);
    assert_eq!(program.client().await.operation(&held.name).await.state(), State::Accepted);
    let folder = program.kill();
    assert_eq!(asked(&upstream, CREATE), 2);
    let confirmed = confirm(folder.path());
    assert!(confirmed.status.success(), "{confirmed:?}");
    let program = Program::start_in(folder);
    succeeded(program.client().await.done(&held.name).await);
    assert!(program.serves().await);
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 3);
}

#[tokio::test]
async fn another_server_or_a_lost_commit_is_noticed_and_goes_on_when_it_is_confirmed() {
    for surprise in [
        // What a failover leaves: a timeline that nobody has approved.
        "UPDATE purveyor.meta SET timeline = timeline + 1",
        // What a backup that was put back leaves: others stand where our last commit was.
        "UPDATE purveyor.changes SET transaction_id = '3' \
         WHERE position = (SELECT max(position) FROM purveyor.changes)",
    ] {
        let upstream = upstream(Default::default()).await;
        let name = database(server()).await;
        let configuration = Configuration::store(configuration(), &server().url(&name));
        let program = Program::start(configuration.provider("gandi", provider(&upstream)));
        succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
        run(server(), &name, surprise).await;
        until("health tells", async || !program.serves().await).await;
        let held = accepted(&program).await;
        assert!(held.message.contains("purveyor store confirm"), "{held:#?}");
        assert_eq!((asked(&upstream, CREATE), held.state()), (1, State::Accepted));

        let confirmed = confirm(program.folder());
        assert!(confirmed.status.success(), "{confirmed:?}");
        until("health tells", async || program.serves().await).await;
        succeeded(program.client().await.done(&held.name).await);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 2);
    }
}

#[tokio::test]
async fn a_full_disk_stops_spends_and_everything_goes_on_when_there_is_room() {
    let (upstream, provider) = gandi().await;
    let program = Program::start_with_limits(configuration().provider("gandi", provider));
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let sold_before = asked(&upstream, CREATE);

    file_limit(&program, Some(1));
    let refused = client.order(purchase("gandi", &[("shares", 1)])).await;
    // A write that failed may have left the commit in the log.
    assert_eq!(told(&refused.expect_err("it cannot be kept")).1, "ACCEPTANCE_UNKNOWN");
    until("health tells", async || !program.serves().await).await;
    let products =
        ListProductsRequest { parent: "providers/gandi".to_owned(), ..Default::default() };
    client.products().list_products(products).await.expect("reads need no room");
    assert_eq!(asked(&upstream, CREATE), sold_before);

    file_limit(&program, None);
    until("health tells", async || program.serves().await).await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 2);
}

/// Copies a database with its log.
fn copy_store(from: &Path, to: &Path) {
    for name in ["purveyor.db", "purveyor.db-wal", "purveyor.db-shm"] {
        let (from, to) = (from.join(name), to.join(name));
        if from.exists() {
            fs::copy(from, to).expect("it is copied");
        } else if to.exists() {
            fs::remove_file(to).expect("it is removed");
        }
    }
}

/// Limits how long the program's files can become, which to it is a full disk.
fn file_limit(program: &Program, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(program.process()), Resource::Fsize, limit).expect("it can be limited");
}
