//! One upstream that hangs, and more orders for it than there are places: what is bought elsewhere has its
//! turn, and what waits for the upstream ends at its `start_before`.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{CreateOrderRequest, Operation};
use purveyor_simulators::Fault;
use purveyor_simulators::klikk::Klikk;
use purveyor_simulators::{Kind, Simulator};
use xtask::configuration::Configuration;

use crate::finding_out::stage::{KLIKK_CREATE, klikk, server};
use crate::support::client::{Client, reason, succeeded};
use crate::support::postgres::{self, database};
use crate::support::requests::purchase;
use crate::support::{FOR_EVER, Gateway, configuration, gandi, sold, until};

/// How many places the gateway has, and how many orders want one.
const PLACES: usize = 8;
const WAITING: usize = 40;

/// When nothing of the waiting orders is started any more.
const IN_TIME: Duration = Duration::from_secs(4);

/// The longest that an order elsewhere may take, and that an order may outlive its `start_before`.
const PROMPT: Duration = Duration::from_secs(5);

fn by(request: CreateOrderRequest, start_before: SystemTime) -> CreateOrderRequest {
    CreateOrderRequest { start_before: Some(start_before.into()), ..request }
}

fn all(upstream: &Simulator<Klikk>) -> u64 {
    upstream.requests().values().sum()
}

/// Orders so much at an upstream that answered so far and hangs from now on, and waits until it is asked.
async fn pile_up(
    client: &Client,
    hanging: &Simulator<Klikk>,
    start_before: SystemTime,
) -> Vec<Operation> {
    hanging.inject(Fault::next("*", FOR_EVER).times(100_000));
    let before = all(hanging);
    let orders = (0..WAITING).map(|_| client.order(by(server(), start_before)));
    let orders = join_all(orders).await.into_iter().map(|it| it.expect("accepted")).collect();
    until("it is asked", || async { all(hanging) > before + 3 }).await;
    orders
}

async fn healthy_order_passes_a_hanging_upstream(configuration: Configuration) {
    let (hanging, slow) = klikk().await;
    let (prompt, elsewhere) = gandi().await;
    let configuration = configuration
        .engine("concurrent_operations", i64::try_from(PLACES).expect("a few"))
        .provider("klikk", slow.timing("attempt_timeout_ms", 600_000))
        .provider("prompt", elsewhere);
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    succeeded(client.ordered(server()).await);

    let start_before = SystemTime::now() + IN_TIME;
    let waiting = pile_up(&client, &hanging, start_before).await;
    let (begin, latest) = (Instant::now(), SystemTime::now() + PROMPT);
    let healthy = client.ordered(by(purchase("prompt", &[("shares", 1)]), latest)).await;
    succeeded(healthy);
    assert!(begin.elapsed() < PROMPT, "it took {:?}", begin.elapsed());
    assert_eq!(sold(&prompt, Kind::ProductAdd).len(), 1);

    let sent = until_start_before(&client, &waiting, start_before).await;
    assert!(sent < PLACES, "{sent} were sent, and {PLACES} places are not all of one account");
    let creates = hanging.requests().get(KLIKK_CREATE).copied().unwrap_or_default();
    assert_eq!(creates, 1 + sent as u64, "an order that ended was sent");
}

/// Waits until every order of which nothing was sent has ended, which is soon after `start_before`, and tells
/// how many others there are.
async fn until_start_before(
    client: &Client,
    waiting: &[Operation],
    start_before: SystemTime,
) -> usize {
    let shown = || join_all(waiting.iter().map(|it| client.operation(&it.name)));
    let unsent = |it: &&Operation| it.attempts.is_empty();
    until("what was not sent has ended", || async {
        shown().await.iter().filter(unsent).all(|it| it.done)
    })
    .await;
    let late = SystemTime::now().duration_since(start_before).expect("they ended too early");
    assert!(late < PROMPT, "they ended {late:?} after their start_before");
    let shown = shown().await;
    for operation in shown.iter().filter(unsent) {
        let ended = (operation.state(), reason(operation));
        assert_eq!(ended, (State::Failed, "NOT_STARTED"), "{operation:#?}");
    }
    // Of these a request is under way: nobody says that they were not started.
    let sent: Vec<_> = shown.iter().filter(|it| !unsent(it)).collect();
    for operation in &sent {
        assert_eq!(operation.state(), State::Running, "{operation:#?}");
        assert_eq!(operation.attempts[0].outcome(), Outcome::Unspecified);
    }
    sent.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_order_passes_a_hanging_upstream_sqlite() {
    healthy_order_passes_a_hanging_upstream(configuration()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_order_passes_a_hanging_upstream_postgres() {
    let server = postgres::server();
    let url = server.url(&database(server).await);
    healthy_order_passes_a_hanging_upstream(configuration().store(&url)).await;
}
