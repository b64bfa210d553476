//! A big store is used at once and looked through meanwhile. Damage in its middle is told by health, by
//! what waits and by a command, and nothing is spent; one that is whole is told so.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use purveyor::store::age::Age;
use purveyor::store::operation::Operation;
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{NewOperation, Store};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use tempfile::TempDir;
use uuid::Uuid;
use xtask::configuration::{Configuration, Provider};

use crate::support::client::succeeded;
use crate::support::program::{Program, look_through};
use crate::support::requests::purchase;
use crate::support::{asked, configuration, gandi, until};

/// Twice what is looked through before a store is used.
const BYTES: usize = 8 << 20;
const PAGE: u64 = 4096;
const CREATE: &str = "hosting.product.create";

/// A gateway's folder with a store in which operations ended long ago.
async fn big(provider: Provider) -> TempDir {
    let folder = Program::start(configuration().provider("gandi", provider)).kill();
    let store = SqliteStore::open(&database(&folder)).expect("it is whole");
    for n in 1..=16 {
        let id = Uuid::from_u128(n);
        let (time, age) = (Timestamp::UNIX_EPOCH, Age::from_nanos(0));
        let mut operation = Operation::new(id, Op::CreateOrder, "gandi", time, age);
        operation.state = State::Failed;
        operation.request = vec![1; BYTES / 16];
        let new = NewOperation::of(operation);
        store.accept(new).await.expect("it is stored");
    }
    folder
}

fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("purveyor.db")
}

fn damage_the_middle(database: &Path) {
    let file = File::options().write(true).open(database).expect("it can be written");
    let middle = file.metadata().expect("a length").len() / 2 / PAGE * PAGE;
    file.write_all_at(&[0xFF; PAGE as usize], middle).expect("it is written");
}

#[tokio::test]
async fn damage_in_the_middle_is_told_and_nothing_is_spent() {
    let (upstream, provider) = gandi().await;
    let folder = big(provider).await;
    damage_the_middle(&database(&folder));
    let program = Program::start_in(folder);
    until("health tells", async || !program.serves().await).await;
    let request = purchase("gandi", &[("shares", 1)]);
    let held = program.client().await.order(request).await.expect("it is accepted");
    assert!(held.message.contains("the store is damaged"), "{held:#?}");
    assert_eq!((held.state(), asked(&upstream, CREATE)), (State::Accepted, 0));

    let (whole, said) = look_through(program.kill().path());
    assert!(!whole && said.contains("is not a whole database"), "{said}");
}

#[tokio::test]
async fn a_whole_store_is_told_to_be_whole_and_spends_go_on() {
    let (_upstream, provider) = gandi().await;
    let program = Program::start_in(big(provider).await);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    assert!(program.serves().await);
    let (whole, said) = look_through(program.folder());
    assert!(!whole && said.contains("is used by another process"), "{said}");
    let (whole, said) = look_through(program.kill().path());
    assert!(whole && said.contains("the store is whole"), "{said}");
}

#[test]
fn a_store_in_postgresql_has_a_program_of_its_own_for_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = Configuration::store(configuration(), "postgres://nobody@localhost/none");
    configuration.write(folder.path()).expect("it is written");
    let (whole, said) = look_through(folder.path());
    assert!(!whole && said.contains("pg_amcheck"), "{said}");
}
