//! A store that lacks what it acknowledged: a backup that was restored, a database on a new host, a copy. It is
//! noticed, nothing is spent until an operator has decided, and after that each operation is searched for
//! before it spends, as long as the operator says.

mod backing_up;
mod searching;
mod stage;

use std::fs;

use purveyor_sdk::v1::operation::State;
use purveyor_simulators::Kind;
use xtask::configuration::Configuration;

use self::stage::{Home, Keeper, now};
use crate::finding_out::stage::{racknap, record, sales};
use crate::support::client::succeeded;
use crate::support::postgres::{connect, database, run, server};
use crate::support::program::{Program, confirm, confirm_with};
use crate::support::requests::purchase;
use crate::support::{asked, configuration, gandi, sold, until};

const CREATE: &str = "hosting.product.create";

#[tokio::test(flavor = "multi_thread")]
async fn restored_store_blocks_spends_until_confirmed() {
    for home in [Home::Sqlite, Home::Postgres] {
        let (upstream, provider) = gandi().await;
        let keeper = Keeper::new(home).await;
        let program = keeper.start(configuration().provider("gandi", provider));
        let first = program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await;
        let first = succeeded(first);
        let (folder, backup) = keeper.back_up(program.kill());
        let program = Program::start_in(folder);
        let request = purchase("gandi", &[("shares", 1)]);
        succeeded(program.client().await.ordered(request.clone()).await);
        let folder = keeper.restore(program.kill(), &backup).await;

        let program = Program::start_in(folder);
        until("health tells", async || !program.serves().await).await;
        let client = program.client().await;
        let held = client.order(request).await.expect("it is accepted anew");
        assert_eq!(held.state(), State::Accepted, "{held:#?}");
        assert!(held.message.contains("purveyor store confirm"), "{held:#?}");
        // Another start settles nothing.
        let program = program.restart();
        until("health tells", async || !program.serves().await).await;
        assert_eq!(program.client().await.operation(&held.name).await.state(), State::Accepted);
        assert_eq!(asked(&upstream, CREATE), 2);

        let folder = program.kill();
        let listed = confirm_with(folder.path(), &[]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for what in ["alert: ", "nothing was decided", &held.name] {
            assert!(listed.contains(what), "{listed}");
        }
        let program = Program::start_in(folder);
        until("listing decides nothing", async || !program.serves().await).await;
        let folder = program.kill();
        let confirmed = confirm_with(folder.path(), &["--nothing-lost", "--actor", "ann"]);
        assert!(confirmed.status.success(), "{confirmed:?}");
        let listed = confirm_with(folder.path(), &["--list"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains("by ann: nothing lost"), "{listed}");

        // At the operator's word nothing is searched for.
        let program = Program::start_in(folder);
        let client = program.client().await;
        let done = succeeded(client.done(&held.name).await);
        assert_eq!(done.attempts.len(), 1);
        assert!(program.serves().await);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 3);
        assert_eq!(client.operation(&first.name).await.state(), State::Succeeded);
    }
}

/// The same files under another name are trusted; a copy of both is not, and neither is a store alone.
#[tokio::test(flavor = "multi_thread")]
async fn database_file_is_trusted_where_it_is_the_same_file_beside_its_witness() {
    let (_upstream, provider) = gandi().await;
    let program = Program::start(configuration().provider("gandi", provider));
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    let mut folder = program.kill();
    let trusted = async |folder, expected: bool, what: &str| {
        let program = Program::start_in(folder);
        until(what, async || program.serves().await == expected).await;
        program.kill()
    };
    folder = trusted(folder, true, "a restart is trusted").await;
    // The volume is attached elsewhere: the folder has another name, and the files are the same.
    let elsewhere = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(folder.path()).expect("the folder") {
        let entry = entry.expect("an entry");
        fs::rename(entry.path(), elsewhere.path().join(entry.file_name())).expect("it is moved");
    }
    folder = trusted(elsewhere, true, "a moved folder is trusted").await;
    // A copy of all files, the witness as well.
    let (database, copy) = (folder.path().join("purveyor.db"), folder.path().join("copy.db"));
    fs::copy(&database, &copy).expect("it is copied");
    fs::rename(&copy, &database).expect("it is put in its place");
    for log in ["purveyor.db-wal", "purveyor.db-shm"] {
        fs::remove_file(folder.path().join(log)).ok();
    }
    folder = trusted(folder, false, "a copy is not trusted").await;
    assert!(confirm(folder.path()).status.success());
    folder = trusted(folder, true, "it was confirmed").await;
    fs::remove_file(folder.path().join("purveyor.db.seen")).expect("the witness");
    folder = trusted(folder, false, "a store without its witness is not trusted").await;
    assert!(confirm(folder.path()).status.success());
    trusted(folder, true, "it was confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_under_a_running_gateway_is_noticed_by_its_age() {
    let (upstream, provider) = gandi().await;
    let name = database(server()).await;
    let configuration = Configuration::store(configuration(), &server().url(&name));
    let program = Program::start(configuration.provider("gandi", provider));
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    // Tables that are emptied and filled keep their OIDs; the age is what goes back.
    run(server(), &name, "UPDATE purveyor.meta SET age = age - 60000000000").await;
    until("it is noticed", async || program.said("nothing is spent") > 0).await;
    let held = client.order(purchase("gandi", &[("shares", 1)])).await.expect("it is accepted");
    assert!(held.message.contains("went back"), "{held:#?}");
    assert_eq!(asked(&upstream, CREATE), 1);
}

/// Emptied and filled tables have the same OIDs: a file beside the gateway remembers how far they were.
#[tokio::test(flavor = "multi_thread")]
async fn emptied_and_filled_tables_are_noticed_by_the_witness_file() {
    let (upstream, provider) = gandi().await;
    let name = database(server()).await;
    let configuration = Configuration::store(configuration(), &server().url(&name));
    let configuration = configuration.witness_file("seen").provider("gandi", provider);
    let program = Program::start(configuration);
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let last = "SELECT max(position) FROM purveyor.changes";
    let last: i64 = connect(server(), &name).await.query_one(last, &[]).await.unwrap().get(0);
    let seen = program.folder().join("seen");
    let noted = || fs::read_to_string(&seen).unwrap_or_default();
    until("it is noted", async || noted().contains(&format!("position {last}\n"))).await;
    let folder = program.kill();
    // What was there before the order.
    let emptied = "TRUNCATE purveyor.operations, purveyor.attempts, purveyor.locks, \
                   purveyor.claims, purveyor.changes, purveyor.observations";
    run(server(), &name, emptied).await;
    let program = Program::start_in(folder);
    until("health tells", async || !program.serves().await).await;
    let held = program.client().await.order(purchase("gandi", &[("shares", 1)])).await;
    let held = held.expect("it is accepted");
    let expected = format!("and had {last} before");
    assert!(held.message.contains(&expected), "{held:#?}");
    assert_eq!(asked(&upstream, CREATE), 1);

    // Who is stopped while it is confirmed elsewhere starts without an alert.
    let confirmed = confirm(program.folder());
    assert!(confirmed.status.success(), "{confirmed:?}");
    until("health tells", async || program.serves().await).await;
    succeeded(program.client().await.done(&held.name).await);
    let program = program.restart();
    assert!(program.serves().await);
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmation_is_refused_for_times_that_make_no_sense() {
    let (_upstream, provider) = gandi().await;
    let folder = Program::start(configuration().provider("gandi", provider)).kill();
    let check = |arguments: &[&str], expected: &str| {
        let refused = confirm_with(folder.path(), arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(expected), "{arguments:?}: {said}");
    };
    check(&["--lost-from", "2200-01-01T00:00:00Z"], "has not come yet");
    let from = now();
    check(&["--lost-from", &from, "--lost-until", &from], "has passed already");
    check(&["--lost-until", &from], "--lost-from");
    check(&["--lost-from", "yesterday"], "yesterday");
    check(&["--lost-from", &from, "--nothing-lost"], "cannot be used with");
}

/// The time ends by itself: a store that is searched forever would ask a person for each purchase forever.
#[tokio::test(flavor = "multi_thread")]
async fn lost_time_ends_by_itself() {
    let (upstream, provider) = racknap().await;
    let program = Program::start(configuration().provider("racknap", provider));
    succeeded(program.client().await.ordered(record()).await);
    let folder = program.kill();
    let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(3);
    let from = now();
    let confirmed =
        confirm_with(folder.path(), &["--lost-from", &from, "--lost-until", &soon.to_string()]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    let program = Program::start_in(folder);
    let client = program.client().await;
    let asked = client.ordered(record()).await;
    assert_eq!(asked.state(), State::NeedsOperator, "{asked:#?}");
    assert_eq!(sales(&upstream).len(), 1);
    let ends = async || client.ordered(record()).await.state() == State::Succeeded;
    Box::pin(until("it ends", ends)).await;
}
