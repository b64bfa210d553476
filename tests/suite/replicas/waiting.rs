//! Orders that wait for one that another gateway works on: whoever is left wakes them, one after the
//! other.

use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, Kind, Simulator};

use super::CREATE;
use crate::support::client::{order, succeeded};
use crate::support::postgres::{database, run, server};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{HOUR, LATER, asked, configuration, provider, sold, until, upstream};

/// Lets those who wait look for themselves in an hour only.
const IN_AN_HOUR: &str = "UPDATE purveyor.operations SET wake_time = wake_time + 3600000000000 \
                          WHERE blocked_by IS NOT NULL";

/// Two gateways, and the name of their database.
struct Stage {
    left: Program,
    right: Program,
    database: String,
    upstream: Simulator<Gandi>,
}

/// An order whose outcome is unknown, and some alike that wait for it, all accepted by the left.
async fn queue(waiting: usize) -> (Stage, Vec<String>) {
    let upstream = upstream(Options::default()).await;
    let database = database(server()).await;
    let provider = provider(&upstream).timing("upstream_processing_ms", 600_000);
    let configuration = configuration().provider("gandi", provider);
    let configuration = configuration.store(&server().url(&database)).engine("lease_s", 3);
    let left = Program::start(configuration.clone());
    let right = Program::start(configuration);
    let client = left.client().await;
    succeeded(client.ordered(purchase("gandi", &[("memory", 1)])).await);
    upstream.inject(Fault::next(CREATE, LATER));
    let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    let mut names = vec![first.name.clone()];
    for _ in 0..waiting {
        let next = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
        let blocked = || async { client.operation(&next.name).await.blocked_by == first.name };
        until("it waits for the first", blocked).await;
        names.push(next.name);
    }
    (Stage { left, right, database, upstream }, names)
}

async fn each_is_a_sale(program: &Program, upstream: &Simulator<Gandi>, names: &[String]) {
    let client = program.client().await;
    let mut ids = Vec::new();
    for name in names {
        let operation = succeeded(client.done(name).await);
        ids.push(order(&operation).upstream.as_ref().expect("sold").id().to_owned());
    }
    let mut sales = sold(upstream, Kind::ProductAdd)[1..].to_vec();
    sales.sort_unstable();
    ids.sort_unstable();
    assert_eq!((sales, asked(upstream, CREATE)), (ids, 1 + names.len() as u64));
}

#[tokio::test]
async fn who_waited_at_a_dead_gateway_is_woken_by_the_other() {
    let (Stage { left, right, database, upstream }, names) = queue(3).await;
    left.kill();
    run(server(), &database, IN_AN_HOUR).await;
    upstream.advance(HOUR);
    each_is_a_sale(&right, &upstream, &names).await;
}

#[tokio::test]
async fn who_waited_when_all_were_killed_is_woken_by_the_next() {
    let (Stage { left, right, database, upstream }, names) = queue(3).await;
    right.kill();
    let folder = left.kill();
    run(server(), &database, IN_AN_HOUR).await;
    let next = Program::start_in(folder);
    upstream.advance(HOUR);
    each_is_a_sale(&next, &upstream, &names).await;
}
