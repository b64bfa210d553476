//! The gateway is killed as `kill -9` does, at every moment that matters, and started again on the same
//! store: every accepted order is one sale, none is two, none is lost.

mod waiting;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{CreateOrderRequest, Operation};
use purveyor_simulators::gandi::{Gandi, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Row, Simulator, Table};

use crate::support::client::{Client, order, succeeded};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{
    FOR_EVER, HOUR, asked, configuration, gandi, provider, sold, until, upstream,
};

const CREATE: &str = "hosting.product.create";

async fn stage(mode: Mode) -> (Program, Simulator<Gandi>) {
    let upstream = upstream(Options { mode, ..Options::default() }).await;
    let program = Program::start(configuration().provider("gandi", provider(&upstream)));
    (program, upstream)
}

async fn accepted(program: &Program) -> Operation {
    let request = purchase("gandi", &[("shares", 2)]);
    program.client().await.order(request).await.expect("the order is accepted")
}

async fn bought_once(program: &Program, upstream: &Simulator<Gandi>, name: &str) -> Operation {
    let operation = succeeded(program.client().await.done(name).await);
    let sales = sold(upstream, Kind::ProductAdd);
    assert_eq!(sales.len(), 1, "{operation:#?}");
    let id = order(&operation).upstream.as_ref().map(|upstream| upstream.id().to_owned());
    assert_eq!(id.as_ref(), sales.first());
    operation
}

#[tokio::test]
async fn killed_while_the_upstream_holds_the_request() {
    let (program, upstream) = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER));
    let name = accepted(&program).await.name;
    until("the request arrives", async || asked(&upstream, CREATE) == 1).await;
    let folder = program.kill();
    upstream.advance(HOUR);
    until("the upstream sells", async || !upstream.ledger().is_empty()).await;
    let program = Program::start_in(folder);
    let operation = bought_once(&program, &upstream, &name).await;
    assert_eq!((operation.attempts.len(), asked(&upstream, CREATE)), (1, 1));
}

#[tokio::test]
async fn killed_while_the_upstream_holds_the_request_and_sells_after_the_restart() {
    let (program, upstream) = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER));
    let name = accepted(&program).await.name;
    until("the request arrives", async || asked(&upstream, CREATE) == 1).await;
    let program = program.restart();
    let found = program.client().await.reaches(&name, State::Reconciling).await;
    assert_eq!(found.attempts[0].outcome(), Outcome::Unknown);
    upstream.advance(HOUR);
    bought_once(&program, &upstream, &name).await;
    assert_eq!(asked(&upstream, CREATE), 1);
}

#[tokio::test]
async fn killed_after_the_sale_and_before_its_answer() {
    let (program, upstream) = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER).committed());
    let name = accepted(&program).await.name;
    until("the upstream sells", async || !upstream.ledger().is_empty()).await;
    let program = program.restart();
    bought_once(&program, &upstream, &name).await;
    assert_eq!(asked(&upstream, CREATE), 1);
}

#[tokio::test]
async fn killed_while_the_upstream_works() {
    let (program, upstream) = stage(Mode { bill_ms: 3000, ..Mode::default() }).await;
    let name = accepted(&program).await.name;
    program.client().await.reaches(&name, State::WaitingUpstream).await;
    let id = sold(&upstream, Kind::ProductAdd)[0].parse().expect("a number");
    // Held there, however long the restart takes.
    upstream.set_step(id, "RUN", None).expect("it moves on");
    let program = program.restart();
    assert_eq!(program.client().await.operation(&name).await.state(), State::WaitingUpstream);
    upstream.set_step(id, "DONE", None).expect("it moves on");
    bought_once(&program, &upstream, &name).await;
    assert_eq!(asked(&upstream, CREATE), 1);
}

#[tokio::test]
async fn killed_right_after_acceptance_while_the_upstream_is_away() {
    let (program, upstream) = stage(Mode::default()).await;
    let warm = program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await;
    succeeded(warm);
    upstream.inject(Fault::next("*", FaultKind::DropBeforeCommit).times(100_000));
    let name = accepted(&program).await.name;
    let folder = program.kill();
    upstream.clear_faults();
    let program = Program::start_in(folder);
    succeeded(program.client().await.done(&name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
}

#[tokio::test]
async fn killed_in_the_middle_of_an_order_of_several_items() {
    let (program, upstream) = stage(Mode::default()).await;
    upstream.inject(Fault::next(CREATE, FOR_EVER).committed().after(1));
    let request = purchase("gandi", &[("shares", 1), ("disk", 5), ("ips", 2)]);
    let name = program.client().await.order(request).await.expect("accepted").name;
    until("two are sold", async || sold(&upstream, Kind::ProductAdd).len() == 2).await;
    let program = program.restart();
    let operation = succeeded(program.client().await.done(&name).await);
    let sales = sold(&upstream, Kind::ProductAdd);
    assert_eq!(order(&operation).upstream.as_ref().map(|it| it.ids.clone()), Some(sales.clone()));
    assert_eq!((sales.len(), asked(&upstream, CREATE)), (3, 3));
}

/// The seed of the rounds: another seed, another sequence of faults and moments.
const SEED: u64 = 20_261_121;
const ACCOUNTS: usize = 5;
const ORDERS_OF_A_WAVE: usize = 10;
const WAVES: u64 = 5;
const KILLS_OF_A_WAVE: u64 = 5;

/// A sequence of numbers that its seed decides.
struct Dice(Cell<u64>);

impl Dice {
    /// From 0 to `sides` - 1: splitmix64.
    fn roll(&self, sides: u64) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// What goes wrong with most of the purchases, and now and then with a list.
fn faults(seed: u64) -> Table {
    let row = |method: &str, weight, committed, kind| Row {
        method: method.to_owned(),
        weight,
        committed,
        kind,
    };
    let status = FaultKind::Status { status: 502 };
    Table {
        seed,
        well: 20,
        weights: vec![
            // Long enough to be killed in.
            row(CREATE, 20, false, FaultKind::Slow { ms: 60 }),
            row(CREATE, 20, true, FaultKind::Slow { ms: 60 }),
            row(CREATE, 10, false, FaultKind::DropAfterCommit),
            row(CREATE, 5, false, FaultKind::DropBeforeCommit),
            row(CREATE, 5, false, FaultKind::ResetAfterCommit),
            row(CREATE, 5, false, FaultKind::TruncateAfterCommit),
            row(CREATE, 5, false, status.clone()),
            row(CREATE, 5, true, status),
            row(CREATE, 5, false, FaultKind::LateCommit { ms: 300 }),
            row("operation.list", 5, false, FaultKind::Garbage),
        ],
    }
}

/// Sends every order of which no answer has come, until all are answered or the gateway is gone.
async fn send_all(client: Client, orders: &[CreateOrderRequest], told: &mut BTreeSet<usize>) {
    let open = (0..orders.len()).filter(|number| !told.contains(number));
    let sent = open.map(|number| {
        let (client, request) = (client.clone(), orders[number].clone());
        async move { client.order(request).await.is_ok().then_some(number) }
    });
    told.extend(join_all(sent).await.into_iter().flatten());
}

fn calls(upstreams: &[Simulator<Gandi>]) -> u64 {
    upstreams.iter().flat_map(|upstream| upstream.requests().into_values()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_sells_everything_once() {
    let dice = Dice(Cell::new(SEED));
    let mut upstreams = Vec::new();
    let mut configuration = configuration();
    for number in 0..ACCOUNTS {
        let upstream = gandi().await.0;
        upstream.set_fault_table(faults(SEED + number as u64));
        configuration = configuration.provider(&format!("gandi-{number}"), provider(&upstream));
        upstreams.push(upstream);
    }
    let mut program = Program::start(configuration);
    let mut orders = Vec::new();
    let mut told = BTreeSet::new();
    for _ in 0..WAVES {
        for number in 0..ORDERS_OF_A_WAVE {
            // Alike and different ones on every account.
            let quantity = i32::try_from(1 + dice.roll(6)).expect("a small number");
            let account = format!("gandi-{}", number % ACCOUNTS);
            orders.push(purchase(&account, &[("shares", quantity)]));
        }
        for _ in 0..KILLS_OF_A_WAVE {
            // The moment is counted in calls that reach the upstreams, or else in looks.
            let (enough, looks) = (calls(&upstreams) + dice.roll(40), 1 + dice.roll(60));
            let left = Cell::new(looks);
            let client = program.client().await;
            let killer = until("the moment to kill", || {
                left.set(left.get().saturating_sub(1));
                let now = calls(&upstreams) >= enough || left.get() == 0;
                async move { now }
            });
            tokio::select! {
                () = killer => {}
                () = async {
                    send_all(client, &orders, &mut told).await;
                    std::future::pending::<()>().await;
                } => {}
            }
            program = program.restart();
        }
    }
    for upstream in &upstreams {
        upstream.clear_faults();
    }
    let client = program.client().await;
    send_all(client.clone(), &orders, &mut told).await;
    assert_eq!(told.len(), orders.len(), "an order was not accepted");
    agrees(&client, &orders, &upstreams).await;
}

/// That the operations, the orders and the ledgers tell the same.
async fn agrees(client: &Client, orders: &[CreateOrderRequest], upstreams: &[Simulator<Gandi>]) {
    let mut claimed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in orders {
        let operation = succeeded(client.done(&format!("operations/{}", request.request_id)).await);
        let id = order(&operation).upstream.as_ref().expect("it was placed").id().to_owned();
        let account = request.parent.trim_start_matches("providers/").to_owned();
        assert!(claimed.entry(account).or_default().insert(id.clone()), "{id} is two orders");
    }
    for (number, upstream) in upstreams.iter().enumerate() {
        let account = format!("gandi-{number}");
        let sales = sold(upstream, Kind::ProductAdd);
        let all: BTreeSet<String> = sales.iter().cloned().collect();
        assert_eq!(all.len(), sales.len(), "{account}: an operation was sold twice");
        assert_eq!(Some(&all), claimed.get(&account), "{account}: ledger and operations differ");
        let listed = client.all_orders(&account).await;
        let listed: Vec<String> =
            listed.into_iter().filter_map(|order| Some(order.upstream?.id().to_owned())).collect();
        assert_eq!(listed.len(), all.len(), "{account}: {listed:?}");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), all, "{account}");
    }
    assert_eq!(client.all_operations().await.len(), orders.len());
}
