//! The network between gateways and their database freezes: it drops every packet and keeps the sockets
//! open. Nothing hangs, nothing is lost, and all is as before soon after it is back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use purveyor_sdk::v1::Operation;
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, Kind, Simulator};
use tonic::Status;
use xtask::network::{Network, Thaw};
use xtask::postgres::{ROLE, Server};

use super::{CREATE, accepted};
use crate::support::client::{succeeded, told};
use crate::support::postgres::database;
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{
    FOR_EVER, HOUR, PATIENCE, asked, check_each, configuration, provider, sold, until, upstream,
};

/// How long after the network is back a gateway serves again.
const RECOVERED_MAX: Duration = Duration::from_secs(30);

/// How many reads are under way when the network freezes: more than a gateway has connections.
const READS: usize = 20;

/// Gateways with one database, each behind a network of its own. The server is theirs alone: sessions
/// behind a network that forgot them stay.
struct Stage {
    _server: Server,
    gateways: Vec<(Program, Network)>,
    upstream: Simulator<Gandi>,
}

async fn stage(gateways: usize) -> Stage {
    let upstream = upstream(Options::default()).await;
    let server = Server::start().expect("a server of its own");
    let name = database(&server).await;
    let shared = configuration().provider("gandi", provider(&upstream)).engine("lease_s", 3);
    let behind_its_network = async |_| {
        let network = Network::start(server.socket(), b"").await.expect("a network");
        let url = format!("postgres://{ROLE}@127.0.0.1:{}/{name}", network.port());
        (Program::start(shared.clone().store(&url)), network)
    };
    let gateways = join_all((0..gateways).map(behind_its_network)).await;
    Stage { _server: server, gateways, upstream }
}

/// Reads at a gateway until one fails, as many at a time as given; how each ended.
async fn reads(program: &Program, name: &str) -> Vec<Status> {
    let client = program.client().await;
    let read = async |_| loop {
        if let Err(error) = client.of_request(name.trim_start_matches("operations/")).await {
            return error;
        }
    };
    join_all((0..READS).map(read)).await
}

/// Freezes gateways in the middle of reads and of an order, and lets the upstream answer meanwhile.
async fn freeze(stage: &Stage, frozen: usize, known: &Operation) {
    let freeze = async {
        for (_, network) in &stage.gateways[..frozen] {
            network.freeze();
        }
        stage.upstream.advance(HOUR);
    };
    let reading = stage.gateways[..frozen].iter().map(|(program, _)| reads(program, &known.name));
    let ended = async { tokio::join!(join_all(reading), freeze).0 };
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("every read ends");
    for error in ended.into_iter().flatten() {
        assert_eq!(told(&error).1, "STORE_UNAVAILABLE", "{error:?}");
    }
    for (program, _) in &stage.gateways[..frozen] {
        until("health tells", async || !program.serves().await).await;
        let refused = program.client().await.order(purchase("gandi", &[("shares", 1)])).await;
        assert_eq!(told(&refused.expect_err("nothing can be accepted")).1, "STORE_UNAVAILABLE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_network_recovers_and_an_answer_that_had_arrived_counts() {
    let check = async |(gateways, frozen, thaw): (usize, usize, Thaw)| {
        let stage = stage(gateways).await;
        let Stage { gateways, upstream, .. } = &stage;
        let (first, _) = &gateways[0];
        let client = first.client().await;
        let known = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
        upstream.inject(Fault::next(CREATE, FOR_EVER).committed());
        let under_way = accepted(first).await.name;
        until("the upstream sells", async || upstream.ledger().len() == 2).await;

        freeze(&stage, frozen, &known).await;
        if let Some((other, _)) = gateways.get(frozen) {
            assert!(other.serves().await);
            succeeded(other.client().await.done(&under_way).await);
        }
        for (_, network) in gateways {
            network.thaw(thaw);
        }
        let begin = Instant::now();
        for (program, _) in gateways {
            let client = program.client().await;
            let read =
                async || client.of_request(known.name.trim_start_matches("operations/")).await;
            until("it serves again", async || program.serves().await && read().await.is_ok()).await;
        }
        assert!(begin.elapsed() < RECOVERED_MAX, "{:?}", begin.elapsed());
        for (program, _) in gateways {
            let client = program.client().await;
            succeeded(client.done(&under_way).await);
            succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
        }
        let sales = 2 + gateways.len();
        assert_eq!(sold(upstream, Kind::ProductAdd).len(), sales);
        assert_eq!(asked(upstream, CREATE), sales as u64);
    };
    // All that there are, or one of two.
    let cases = [
        (1, 1, Thaw::Resume),
        (1, 1, Thaw::Forget),
        (2, 2, Thaw::Resume),
        (2, 2, Thaw::Forget),
        (2, 1, Thaw::Forget),
    ];
    check_each(cases, |case| format!("{case:?}"), check).await;
}
