//! A standby in the place of the server: it is refused while it is one, and once it was promoted nothing is
//! spent until a person has looked, in this process and in the next.

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Kind, Simulator};
use xtask::postgres::Server;

use crate::support::client::{succeeded, told};
use crate::support::postgres::{Way, connect, database, run};
use crate::support::program::{Program, confirm, refused};
use crate::support::requests::purchase;
use crate::support::{asked, configuration, provider, sold, until, upstream};

const CREATE: &str = "hosting.product.create";

async fn accepted(program: &Program) -> Operation {
    let request = purchase("gandi", &[("shares", 1)]);
    program.client().await.order(request).await.expect("the order is accepted")
}

/// Waits until the standby has all that the server has.
async fn caught_up(server: &Server, standby: &Server) {
    let (there, here) = (connect(server, "postgres").await, connect(standby, "postgres").await);
    let written = there.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await;
    let written: String = written.expect("a position").get(0);
    let sql = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
    until("the standby has it all", async || {
        here.query_one(sql, &[&written]).await.expect("it answers").get(0)
    })
    .await;
}

/// A gateway that has bought once, and a standby that has all of it.
struct Stage {
    server: Server,
    /// Of the database on it.
    name: String,
    standby: Server,
    way: Way,
    upstream: Simulator<Gandi>,
    program: Program,
    first: Operation,
}

async fn stage() -> Stage {
    let server = Server::start().expect("a server of its own");
    let upstream = upstream(Options::default()).await;
    let (name, way) = (database(&server).await, Way::to(&server, "gateway"));
    let configuration = configuration().provider("gandi", provider(&upstream));
    let program = Program::start(configuration.store(&way.url(&server, &name)));
    let client = program.client().await;
    let first = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let standby = server.standby().expect("a standby");
    caught_up(&server, &standby).await;
    Stage { server, name, standby, way, upstream, program, first }
}

#[tokio::test]
async fn a_promoted_standby_gets_no_spend_until_it_is_confirmed() {
    let Stage { mut server, name, standby, way, upstream, program, first } = stage().await;
    let client = program.client().await;

    // The server is gone, and a standby answers in its place.
    server.crash().expect("it stops");
    way.lead_to(&standby);
    until("health tells", async || !program.serves().await).await;
    until("the standby was asked", async || program.said("the server is a standby") > 0).await;
    let order = client.order(purchase("gandi", &[("shares", 1)])).await;
    assert_eq!(told(&order.expect_err("nothing can be accepted")).1, "STORE_UNAVAILABLE");
    // No gateway starts on it either.
    let folder = program.kill();
    let said = refused(folder.path(), &[]).await;
    for what in [name.as_str(), "the server is a standby", "store.url"] {
        assert!(said.contains(what), "{said}");
    }

    run(&standby, "postgres", "SELECT pg_promote()").await;
    let program = Program::start_in(folder);
    until("health tells", async || !program.serves().await).await;
    let held = accepted(&program).await;
    for what in ["timeline 1", "timeline 2", "purveyor store confirm"] {
        assert!(held.message.contains(what), "{held:#?}");
    }
    let program = program.restart();
    let client = program.client().await;
    until("health tells", async || !program.serves().await).await;
    assert_eq!(client.operation(&held.name).await.state(), State::Accepted);
    assert_eq!(client.operation(&first.name).await.state(), State::Succeeded);
    assert_eq!(asked(&upstream, CREATE), 1);

    let confirmed = confirm(program.folder());
    assert!(confirmed.status.success(), "{confirmed:?}");
    until("health tells", async || program.serves().await).await;
    succeeded(client.done(&held.name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
}

#[tokio::test]
async fn a_promotion_under_a_running_gateway_stops_spends_until_it_is_confirmed() {
    let Stage { mut server, mut standby, way, upstream, program, .. } = stage().await;
    let client = program.client().await;
    // It does not get the second order, which the server acknowledges alone.
    standby.crash().expect("it stops");
    let lost = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    server.crash().expect("it stops");
    standby.resume().expect("it starts");
    way.lead_to(&standby);
    run(&standby, "postgres", "SELECT pg_promote()").await;

    let held = "nothing is spent";
    until("it is noticed", async || program.said(held) > 0).await;
    until("health tells of it", async || !program.serves().await).await;
    let held = accepted(&program).await;
    assert!(held.message.contains("purveyor store confirm"), "{held:#?}");
    let known: Vec<_> = client.all_operations().await.into_iter().map(|it| it.name).collect();
    assert!(!known.contains(&lost.name), "it was not lost");
    assert_eq!(asked(&upstream, CREATE), 2);

    let confirmed = confirm(program.folder());
    assert!(confirmed.status.success(), "{confirmed:?}");
    until("health tells of the confirmation", async || program.serves().await).await;
    succeeded(client.done(&held.name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (3, 3));
}

/// The standby was promoted and confirmed, and the old server runs on: the gateway's connections still lead to
/// it, and new ones lead to the standby.
#[tokio::test]
async fn old_primary_is_left_as_soon_as_new_connections_lead_elsewhere() {
    let Stage { server, name, standby, way, upstream, program, .. } = stage().await;
    run(&standby, "postgres", "SELECT pg_promote()").await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let configuration = configuration().provider("gandi", provider(&upstream));
    let configuration = configuration.store(&standby.url(&name));
    configuration.write(elsewhere.path()).expect("the configuration is written");
    let confirmed = confirm(elsewhere.path());
    assert!(confirmed.status.success(), "{confirmed:?}");

    way.lead_to(&standby);
    let left = "connections to the earlier server are closed";
    until("it works at the standby", async || program.said(left) > 0).await;
    let client = program.client().await;
    let order = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let id = order.name.strip_prefix("operations/").expect("a name");
    let known = format!("SELECT count(*) FROM purveyor.operations WHERE request_id = '{id}'");
    let count = async |server: &Server| {
        let row = connect(server, &name).await.query_one(&known, &[]).await;
        row.expect("it answers").get::<_, i64>(0)
    };
    assert_eq!((count(&server).await, count(&standby).await), (0, 1));

    // New connections lead to the old server again.
    way.lead_to(&server);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'gateway'";
    run(&standby, "postgres", sql).await;
    until("it is refused", async || program.said("is an old primary on timeline 1") > 0).await;
    until("health tells", async || !program.serves().await).await;
    let refused = client.order(purchase("gandi", &[("shares", 1)])).await;
    assert_eq!(told(&refused.expect_err("nothing can be accepted")).1, "STORE_UNAVAILABLE");
    assert_eq!(asked(&upstream, CREATE), 2);
}

/// A gateway that is started remembers the timeline by its witness file.
#[tokio::test]
async fn old_primary_is_recognised_after_a_restart_by_the_witness_file() {
    let server = Server::start().expect("a server of its own");
    let upstream = upstream(Options::default()).await;
    let (name, way) = (database(&server).await, Way::to(&server, "gateway"));
    let configuration = configuration().provider("gandi", provider(&upstream));
    let configuration = configuration.store(&way.url(&server, &name)).witness_file("seen");
    let program = Program::start(configuration);
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let standby = server.standby().expect("a standby");
    caught_up(&server, &standby).await;
    run(&standby, "postgres", "SELECT pg_promote()").await;
    let folder = program.kill();
    way.lead_to(&standby);
    let confirmed = confirm(folder.path());
    assert!(confirmed.status.success(), "{confirmed:?}");
    let program = Program::start_in(folder);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    let folder = program.kill();

    way.lead_to(&server);
    let program = Program::start_in(folder);
    until("health tells", async || !program.serves().await).await;
    let held = accepted(&program).await;
    assert!(held.message.contains("it is an old primary"), "{held:#?}");
    assert_eq!(asked(&upstream, CREATE), 2);
}
