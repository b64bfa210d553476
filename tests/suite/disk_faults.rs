//! The disk under the embedded store fails, in every way that the kernel has words for: health turns,
//! nothing is spent, what needs no store goes on, and when the disk is well everything goes on, in the same
//! process or in the next. It must not be about other stores.

use std::path::Path;

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{CreateOrderRequest, ListProductsRequest};
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use rusqlite::Connection;
use rustix::io::Errno;

use crate::support::client::{order, succeeded, told};
use crate::support::disk::{Disk, Failing};
use crate::support::program::{Program, refused};
use crate::support::requests::purchase;
use crate::support::{
    FOR_EVER, HOUR, PATIENCE, asked, check_each, configuration, provider, sold, until, upstream,
};

const CREATE: &str = "hosting.product.create";

const DATABASE: &str = "purveyor.db";
const LOG: &str = "purveyor.db-wal";
const ALL: &str = "purveyor.db*";

fn failing(call: &'static str, errno: Errno, name: &'static str) -> Failing {
    Failing { call, errno, name }
}

/// What a disk does that is full, dying, or mounted read-only while it is in use.
fn faults() -> [Vec<Failing>; 6] {
    [
        vec![failing("write", Errno::NOSPC, ALL)],
        vec![failing("write", Errno::IO, ALL)],
        vec![failing("sync", Errno::IO, ALL)],
        vec![failing("read", Errno::IO, ALL)],
        // Only part of the disk can still be read: not the file itself.
        vec![failing("read", Errno::IO, DATABASE), failing("write", Errno::IO, DATABASE)],
        vec![
            failing("write", Errno::ROFS, ALL),
            failing("sync", Errno::ROFS, ALL),
            failing("open", Errno::ROFS, ALL),
        ],
    ]
}

/// A gateway that has sold once and waits for the answer to a second spend, on a disk that fails.
struct Stage {
    disk: Disk,
    program: Program,
    upstream: Simulator<Gandi>,
    first: String,
    under_way: String,
    /// What was ordered while the disk failed, whatever the caller was told.
    meanwhile: CreateOrderRequest,
}

fn shares() -> CreateOrderRequest {
    purchase("gandi", &[("shares", 1)])
}

impl Stage {
    /// Nothing is spent, health tells, and what needs no store goes on.
    async fn fail(failing: &[Failing]) -> Self {
        let (disk, upstream) = (Disk::new(), upstream(Options::default()).await);
        let configuration = configuration().provider("gandi", provider(&upstream));
        let program = Program::start_on(&disk, configuration.engine("lease_s", 3));
        let client = program.client().await;
        let first = succeeded(client.ordered(shares()).await).name;
        upstream.inject(Fault::next(CREATE, FOR_EVER));
        let under_way = client.order(shares()).await.expect("the order is accepted").name;
        until("the request arrives", async || asked(&upstream, CREATE) == 2).await;
        assert!(program.serves().await);

        disk.fail(failing);
        // The answer comes while it cannot be kept.
        upstream.advance(HOUR);
        until("health tells", async || !program.serves().await).await;
        let meanwhile = shares();
        if let Err(refused) = client.order(meanwhile.clone()).await {
            let reason = told(&refused).1;
            let unread = failing.iter().any(|it| it.call == "read");
            // Not flushed, or not written as far as anybody was told, it may stand in the log.
            let unknown = failing.iter().any(|it| it.call == "sync" || it.call == "write");
            assert!(
                reason == "STORE_UNAVAILABLE"
                    || unknown && reason == "ACCEPTANCE_UNKNOWN"
                    || unread && reason == "INTERNAL",
                "{refused:?}"
            );
            let shown = client.of_request(&meanwhile.request_id).await;
            let reason = told(&shown.expect_err("it was not kept")).1;
            assert!(reason == "STORE_UNAVAILABLE" || unread && reason == "INTERNAL", "{reason}");
        }
        let parent = "providers/gandi".to_owned();
        let products = ListProductsRequest { parent, ..Default::default() };
        client.products().list_products(products).await.expect("reads need no disk");
        // It is tried again and again in vain.
        let tried = || program.said("the store is still sick");
        let before = tried();
        until("the disk is tried twice", async || tried() >= before + 2).await;
        assert!(!program.serves().await);
        assert_eq!(asked(&upstream, CREATE), 2, "it was spent");
        Self { disk, program, upstream, first, under_way, meanwhile }
    }

    /// Nothing is lost and nothing done twice.
    async fn goes_on(self) {
        let Self { program, upstream, first, under_way, meanwhile, .. } = self;
        until("health tells", async || program.serves().await).await;
        let client = program.client().await;
        assert_eq!(client.operation(&first).await.state(), State::Succeeded);
        let mut bought = Vec::new();
        for name in [&first, &under_way] {
            bought.push(succeeded(client.done(name).await));
        }
        for request in [meanwhile, shares()] {
            bought.push(succeeded(client.ordered(request).await));
        }
        let id = |operation| order(operation).upstream.as_ref().map(|it| it.id().to_owned());
        let mut bought: Vec<_> = bought.iter().filter_map(id).collect();
        bought.sort_unstable();
        let mut sales = sold(&upstream, Kind::ProductAdd);
        sales.sort_unstable();
        assert_eq!((bought, asked(&upstream, CREATE)), (sales, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_stops_spends_and_everything_goes_on_when_it_is_well() {
    let check = async |failing: Vec<Failing>| {
        let stage = Stage::fail(&failing).await;
        stage.disk.heal();
        Box::pin(stage.goes_on()).await;
    };
    check_each(faults(), |failing| format!("{failing:?}"), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_on_a_disk_that_fails_goes_on_when_it_is_well() {
    let check = async |failing: Vec<Failing>| {
        let Stage { disk, program, upstream, first, under_way, meanwhile } =
            Stage::fail(&failing).await;
        let folder = program.kill();
        // It does not start on such a disk either, and says where it looked.
        let said = refused(folder.path(), &disk.variables()).await;
        assert!(said.contains(DATABASE), "{said}");
        disk.heal();
        let program = Program::start_in_on(&disk, folder);
        let stage = Stage { disk, program, upstream, first, under_way, meanwhile };
        Box::pin(stage.goes_on()).await;
    };
    check_each(faults(), |failing| format!("{failing:?}"), check).await;
}

#[tokio::test]
async fn nothing_is_built_upon_what_a_failed_flush_left_in_memory() {
    let (disk, upstream) = (Disk::new(), upstream(Options::default()).await);
    let configuration = configuration().provider("gandi", provider(&upstream));
    let program = Program::start_on(&disk, configuration);
    let mut acknowledged = vec![succeeded(program.client().await.ordered(shares()).await).name];
    disk.fail(&[failing("sync", Errno::IO, LOG)]);
    // It stands in the log, and the kernel holds it as written.
    let (client, unknown) = (program.client().await, shares());
    let error = client.order(unknown.clone()).await.expect_err("it cannot be kept");
    assert_eq!(told(&error).1, "ACCEPTANCE_UNKNOWN", "{error:?}");
    let shown = client.of_request(&unknown.request_id).await.expect_err("it is not shown");
    assert_eq!(told(&shown).1, "STORE_UNAVAILABLE", "{shown:?}");
    let folder = program.kill();
    disk.heal();

    let program = Program::start_in_on(&disk, folder);
    acknowledged.push(succeeded(program.client().await.ordered(shares()).await).name);
    let folder = program.kill();
    disk.lose_power(folder.path());
    let program = Program::start_in_on(&disk, folder);
    assert!(program.serves().await, "the store is doubted");
    for name in acknowledged {
        assert_eq!(program.client().await.operation(&name).await.state(), State::Succeeded);
    }
}

/// Fills the log of a store that is in use with more than a gateway lets wait, and keeps the file open:
/// somebody who closed it last would empty the log.
fn fill_log(database: &Path) -> Connection {
    let connection = Connection::open(database).expect("it opens");
    connection.busy_timeout(PATIENCE).expect("it waits");
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0").expect("it leaves the log");
    connection.execute("UPDATE meta SET probe = zeroblob(?1)", [8 << 20]).expect("it is written");
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_emptied_stops_spends_too() {
    let check = async |(call, errno)| {
        let (disk, upstream) = (Disk::new(), upstream(Options::default()).await);
        let configuration = configuration().provider("gandi", provider(&upstream));
        let program = Program::start_on(&disk, configuration.engine("retry_longest_ms", 200));
        let client = program.client().await;
        succeeded(client.ordered(shares()).await);
        // Nothing gets as far as a spend.
        upstream.inject(Fault::next("*", FaultKind::DropBeforeCommit).times(1_000_000));
        disk.fail(&[failing(call, errno, DATABASE)]);
        let mut accepted = Vec::new();
        let accept = async || client.order(shares()).await.expect("commits succeed").name;
        for _ in 0..2 {
            accepted.push(accept().await);
        }
        assert!(program.serves().await);
        let filled = fill_log(&program.folder().join(DATABASE));
        until("health tells", async || !program.serves().await).await;
        accepted.push(accept().await);
        let before = asked(&upstream, CREATE);
        upstream.clear_faults();
        // They come as far as their permits again and again.
        let evidence = || asked(&upstream, "operation.list");
        let taken = evidence();
        until("evidence is taken", async || evidence() >= taken + 5).await;
        let tried = || program.said("the store is still sick");
        let tries = tried();
        until("the disk is tried twice", async || tried() >= tries + 2).await;
        assert!(!program.serves().await);
        assert_eq!(asked(&upstream, CREATE), before, "it was spent");

        drop(filled);
        disk.heal();
        until("health tells", async || program.serves().await).await;
        for name in &accepted {
            succeeded(client.done(name).await);
        }
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), accepted.len() + 1);
    };
    let cases = [("write", Errno::NOSPC), ("sync", Errno::IO)];
    check_each(cases, |(call, errno)| format!("{call} {errno}"), check).await;
}
