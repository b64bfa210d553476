//! What the gateway observed stays: an answer that is read after another gateway has taken the operation
//! over, and identifiers that come back after their objects were given up.

use purveyor_sdk::v1::operation::{Outcome, Result as Came};
use purveyor_sdk::v1::{DeleteProductRequest, Operation};
use purveyor_simulators::Kind;
use purveyor_simulators::computestacks::Mode as StacksMode;
use purveyor_simulators::racknap::Mode as RackNapMode;

use super::later::product;
use super::stage::{attempts, computestacks, problem, racknap, record};
use crate::support::client::{Client, order, succeeded};
use crate::support::program::Program;
use crate::support::requests::{end, request_id};
use crate::support::{Gateway, configuration, until};

fn made(operation: &Operation) -> String {
    match &operation.result {
        Some(Came::Product(product)) => product.name.clone(),
        other => panic!("{} made no product: {other:?}", operation.name),
    }
}

async fn delete(client: &Client, name: &str) {
    let request = DeleteProductRequest {
        name: name.to_owned(),
        request_id: request_id(),
        ..DeleteProductRequest::default()
    };
    let deleted = client.products().delete_product(request).await.expect("accepted").into_inner();
    succeeded(client.done(&deleted.name).await);
}

/// Buys something, ends it and tells its name, which is the same each time.
async fn comes_back_three_times(bought_and_ended: impl AsyncFn() -> String) {
    let first = bought_and_ended().await;
    for _ in 0..2 {
        assert_eq!(bought_and_ended().await, first);
    }
}

#[tokio::test]
async fn product_bought_given_up_and_bought_again_under_one_id_succeeds() {
    let (upstream, provider) = computestacks().await;
    upstream.set_mode(StacksMode { reuse_ids: true, ..StacksMode::default() });
    let gateway = Gateway::start(configuration().provider("computestacks", provider)).await;
    let client = gateway.client().await;
    comes_back_three_times(async || {
        let create = client.products().create_product(product()).await.expect("accepted");
        let name = made(&succeeded(client.done(&create.into_inner().name).await));
        delete(&client, &name).await;
        name
    })
    .await;
    let added = upstream.ledger().into_iter().filter(|it| it.sale.kind == Kind::ProductAdd);
    assert_eq!(added.count(), 3);
}

#[tokio::test]
async fn service_bought_terminated_and_bought_again_under_one_id_succeeds() {
    let (upstream, provider) = racknap().await;
    upstream.set_mode(RackNapMode { reuse_ids: true, ..RackNapMode::default() });
    let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
    let client = gateway.client().await;
    comes_back_three_times(async || {
        let bought = succeeded(client.ordered(record()).await);
        let name = order(&bought).items[0].services[0].clone();
        let ended = client.services().terminate_service(end(&name)).await.expect("accepted");
        succeeded(client.done(&ended.into_inner().name).await);
        name
    })
    .await;
}

/// Somebody else deletes what was bought, reads that are a listing's lag apart show that, and its identifier
/// is given out again.
#[tokio::test]
async fn product_that_reads_show_gone_is_bought_again_under_its_id() {
    use purveyor_sdk::v1::GetProductRequest;

    let (upstream, provider) = computestacks().await;
    upstream.set_mode(StacksMode { reuse_ids: true, ..StacksMode::default() });
    let configured = configuration().provider("computestacks", provider);
    let gateway = Program::start(configured.clone());
    let client = gateway.client().await;
    let buy = async || {
        let create = client.products().create_product(product()).await.expect("accepted");
        made(&succeeded(client.done(&create.into_inner().name).await))
    };
    let name = buy().await;
    let (_, id) = name.rsplit_once('/').expect("a product's name");
    assert!(gateway.open_claims(id) > 0);
    let elsewhere = Gateway::start(configured).await;
    delete(&elsewhere.client().await, &name).await;
    until("its claims are closed", async || {
        let request = GetProductRequest { name: name.clone(), ..GetProductRequest::default() };
        client.products().get_product(request).await.expect_err("it is gone");
        gateway.open_claims(id) == 0
    })
    .await;
    assert_eq!(buy().await, name);
    assert_eq!(upstream.requests().get("POST /api/admin/products"), Some(&2));
}

/// Somebody else deletes what was bought, its identifier is given out again, and the gateway ends when it
/// has seen that and not told it.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn contested_answer_outlives_a_crash_before_it_is_told() {
    use purveyor_sdk::v1::GetOperationRequest;
    use purveyor_sdk::v1::operation::State;

    let (upstream, provider) = computestacks().await;
    upstream.set_mode(StacksMode { reuse_ids: true, ..StacksMode::default() });
    let configured = configuration().provider("computestacks", provider);
    // A purchase has three steps; the first step of the second is stored, and then decided.
    let gateway = Program::start_armed(configured.clone(), "abort=closing:5:0");
    let client = gateway.client().await;
    let create = client.products().create_product(product()).await.expect("accepted");
    let bought = succeeded(client.done(&create.into_inner().name).await);
    assert_eq!(bought.attempts.len(), 3);
    let elsewhere = Gateway::start(configured).await;
    delete(&elsewhere.client().await, &made(&bought)).await;
    let again = client.products().create_product(product()).await.expect("accepted");
    let name = again.into_inner().name;
    let request = GetOperationRequest { name: name.clone() };
    until("the gateway ends", async || {
        client.operations().get_operation(request.clone()).await.is_err()
    })
    .await;
    let gateway = gateway.restart();
    let contested = gateway.client().await.reaches(&name, State::NeedsOperator).await;
    assert_eq!(problem(&contested), "DUPLICATE_DETECTED");
    let name = made(&bought);
    let (_, id) = name.rsplit_once('/').expect("a product's name");
    assert_eq!(attempts(&contested), [(Outcome::Unknown, id)]);
    assert_eq!(upstream.requests().get("POST /api/admin/products"), Some(&2));
}

#[cfg(feature = "failpoints")]
mod taken_over {
    use purveyor_sdk::v1::operation::State;
    use purveyor_simulators::gandi::{Mode, Options};
    use purveyor_simulators::{Kind, Simulator};

    use super::super::stage::{candidates, problem};
    use super::super::{GANDI_CREATE, upstream_id};
    use super::until;
    use crate::support::client::succeeded;
    use crate::support::postgres::{database, server};
    use crate::support::program::Program;
    use crate::support::requests::purchase;
    use crate::support::{HOUR, asked, configuration, provider, sold, upstream};

    /// Stops itself whenever it has read an answer to a write, before anything is done with it.
    const STOP_WITH_ANSWER: &str = "stop=exchanged:1";

    /// Two gateways on one store; the first stops with an answer in its hands, and nothing that is sold is
    /// listed or shown for an hour.
    async fn stopped_with_an_answer()
    -> (Simulator<purveyor_simulators::gandi::Gandi>, Program, Program, String) {
        let lag = 3_600_000;
        let mode = Mode { listing_lag_ms: lag, effect_lag_ms: lag, ..Mode::default() };
        let upstream = upstream(Options { mode, ..Options::default() }).await;
        let url = server().url(&database(server()).await);
        let configuration =
            configuration().provider("gandi", provider(&upstream)).engine("lease_s", 3).store(&url);
        let left = Program::start_armed(configuration.clone(), STOP_WITH_ANSWER);
        let right = Program::start(configuration);
        let client = left.client().await;
        let name = client.order(purchase("gandi", &[("shares", 1)])).await.expect("accepted").name;
        until("it is sold", async || sold(&upstream, Kind::ProductAdd).len() == 1).await;
        right.client().await.reaches(&name, State::Reconciling).await;
        (upstream, left, right, name)
    }

    #[tokio::test]
    async fn answer_read_after_a_take_over_is_applied() {
        let (upstream, left, right, name) = stopped_with_an_answer().await;
        left.go_on();
        right.client().await.reaches(&name, State::WaitingUpstream).await;
        upstream.advance(HOUR);
        let bought = succeeded(right.client().await.done(&name).await);
        assert_eq!([upstream_id(&bought)], *sold(&upstream, Kind::ProductAdd));
        assert_eq!(asked(&upstream, GANDI_CREATE), 1);
        assert_eq!(problem(&bought), "");
    }

    #[tokio::test]
    async fn answer_read_after_another_attempt_is_reported_as_a_duplicate() {
        let (upstream, left, right, name) = stopped_with_an_answer().await;
        let client = right.client().await;
        until("it is sold again", async || asked(&upstream, GANDI_CREATE) == 2).await;
        left.go_on();
        let told = async || problem(&client.operation(&name).await) == "DUPLICATE_DETECTED";
        until("it is told", told).await;
        upstream.advance(HOUR);
        let bought = succeeded(client.done(&name).await);
        let ids = sold(&upstream, Kind::ProductAdd);
        assert_eq!((upstream_id(&bought), candidates(&bought)), (ids[1].clone(), vec![&*ids[0]]));
    }
}
