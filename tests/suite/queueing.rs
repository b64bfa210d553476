//! Several orders on one account at the same time: what could not be told apart waits, everything else
//! goes on, and each is one sale.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::resolve_operation_request::{Executed, Resolution};
use purveyor_sdk::v1::{CancelOrderRequest, CreateOrderRequest, ResolveOperationRequest};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use tonic_types::StatusExt as _;

use crate::support::client::{Client, failure, order, succeeded};
use crate::support::requests::{purchase, request_id};
use crate::support::{
    Gateway, HOUR, LATER, asked, configuration, elsewhere, gandi, provider, sold, until, upstream,
};

const CREATE: &str = "hosting.product.create";
const LIST: &str = "operation.list";

/// Long enough for orders to be tried by then, on a busy machine too.
const IN_TIME: Duration = Duration::from_secs(5);

/// A gateway on an account that has bought before, so that its list tells what it tells.
async fn stage() -> (Gateway, Client, Simulator<Gandi>) {
    let (upstream, provider) = gandi().await;
    // Long enough that nothing settles before the scenario has looked.
    let provider = provider.timing("upstream_processing_ms", 600_000);
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    succeeded(client.ordered(purchase("gandi", &[("memory", 1)])).await);
    (gateway, client, upstream)
}

#[tokio::test]
async fn an_order_like_one_whose_outcome_is_unknown_waits_for_it() {
    let (_gateway, client, upstream) = stage().await;
    upstream.inject(Fault::next(CREATE, LATER));
    let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    let second = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    let blocked = || async { client.operation(&second.name).await.blocked_by == first.name };
    until("the second waits", blocked).await;
    let waiting = client.operation(&second.name).await;
    assert_eq!((waiting.state(), waiting.attempts.len()), (State::Accepted, 0));
    // While the first is looked for, the second rests: it is woken and does not ask.
    let looked = asked(&upstream, LIST);
    until("the first is looked for", || async { asked(&upstream, LIST) > looked + 5 }).await;
    assert_eq!(client.operation(&second.name).await.etag, waiting.etag);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (1, 2));

    upstream.advance(HOUR);
    let first = succeeded(client.done(&first.name).await);
    let second = succeeded(client.done(&second.name).await);
    let ids =
        [&first, &second].map(|it| order(it).upstream.as_ref().expect("sold").id().to_owned());
    assert_eq!(sold(&upstream, Kind::ProductAdd)[1..], ids);
    assert_eq!(second.blocked_by, "");
}

#[tokio::test]
async fn an_order_unlike_one_whose_outcome_is_unknown_goes_on() {
    let (_gateway, client, upstream) = stage().await;
    upstream.inject(Fault::next(CREATE, LATER));
    let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    for other in [("shares", 3), ("disk", 2)] {
        succeeded(client.ordered(purchase("gandi", &[other])).await);
    }
    assert_eq!(client.operation(&first.name).await.state(), State::Reconciling);
    upstream.advance(HOUR);
    let first = succeeded(client.done(&first.name).await);
    let sales = sold(&upstream, Kind::ProductAdd);
    assert_eq!((sales.len(), asked(&upstream, CREATE)), (4, 4));
    assert_eq!(order(&first).upstream.as_ref().map(|it| it.id()), sales.last().map(String::as_str));
}

/// The list still lacks what was sold a moment before, and shows it later: as something new that is
/// another order's already.
#[tokio::test]
async fn what_the_list_told_too_late_is_known_by_its_claim() {
    let (upstream, provider) = gandi().await;
    // Only what was claimed within a listing's lag may be missing from the list that is compared with.
    let provider = provider.timing("listing_lag_ms", 5000);
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    let theirs = succeeded(client.ordered(purchase("gandi", &[("shares", 2)])).await);
    let prompt = upstream.mode();
    let late = Mode { listing_lag_ms: 3_600_000, ..prompt.clone() };
    upstream.set_mode(late).expect("it can be late");
    upstream.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    let ours = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&ours.name, State::Reconciling).await;
    upstream.set_mode(prompt).expect("it can be prompt");
    let ours = succeeded(client.done(&ours.name).await);
    let outcomes: Vec<Outcome> = ours.attempts.iter().map(|attempt| attempt.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Absent, Outcome::Applied]);
    let ids = [&theirs, &ours].map(|it| order(it).upstream.as_ref().expect("sold").id().to_owned());
    assert_eq!(sold(&upstream, Kind::ProductAdd), ids);
}

/// However often the account's lock is handed on between them, each names what they all wait for.
#[tokio::test]
async fn orders_behind_one_that_needs_an_operator_name_it_and_end_naming_it() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider.shared())).await;
    let client = gateway.client().await;
    succeeded(client.ordered(purchase("gandi", &[("memory", 1)])).await);
    upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
    let first = client.ordered(purchase("gandi", &[("shares", 2)])).await;
    assert_eq!(first.state(), State::NeedsOperator, "{first:#?}");

    let start_before = SystemTime::now() + IN_TIME;
    let request = |soon: bool| CreateOrderRequest {
        start_before: soon.then(|| start_before.into()),
        ..purchase("gandi", &[("shares", 2)])
    };
    let orders = [true, false, true, false, true].map(|soon| client.order(request(soon)));
    let orders: Vec<_> =
        join_all(orders).await.into_iter().map(|it| it.expect("accepted")).collect();
    for order in &orders {
        let blocked = async || client.operation(&order.name).await.blocked_by == first.name;
        until("it waits for the first", blocked).await;
        let message = client.operation(&order.name).await.message;
        assert_eq!(message, format!("waits for {}, which needs an operator", first.name));
    }
    // What is in the way of this one waits for an operator too.
    let cancel = CancelOrderRequest {
        name: orders[1].target.clone(),
        request_id: request_id(),
        ..CancelOrderRequest::default()
    };
    let refused = client.orders().cancel_order(cancel).await.expect_err("it is not placed");
    let info = refused.get_details_error_info().expect("every error has its info");
    assert_eq!(info.metadata["operation"], orders[1].name);
    assert!(refused.get_details_retry_info().is_none(), "{refused:?}");
    let resolve = format!("; an operator has to resolve {} first", first.name);
    assert!(refused.message().ends_with(&resolve), "{refused:?}");

    let (asked_list, asked_create) = (asked(&upstream, LIST), asked(&upstream, CREATE));
    for order in orders.iter().step_by(2) {
        let failed = client.done(&order.name).await;
        let error = failure(&failed);
        assert_eq!((failed.state(), error.reason.as_str()), (State::Failed, "NOT_STARTED"));
        assert_eq!(error.metadata["operation"], first.name);
        let waited = format!(": it waited for {}, which needs an operator", first.name);
        assert!(error.message.ends_with(&waited), "{}", error.message);
    }
    assert!(SystemTime::now() > start_before, "they gave up too early");
    // Nobody asks the upstream as long as the first is in the way.
    assert_eq!((asked(&upstream, LIST), asked(&upstream, CREATE)), (asked_list, asked_create));
    for order in orders.iter().skip(1).step_by(2) {
        assert_eq!(client.operation(&order.name).await.blocked_by, first.name);
    }

    let request = ResolveOperationRequest {
        name: first.name,
        etag: first.etag,
        note: "found in the upstream's own pages".to_owned(),
        resolution: Some(Resolution::Executed(Executed {
            upstream_id: first.candidates[0].id().to_owned(),
        })),
    };
    client.operations().resolve_operation(request).await.expect("told");
    for order in orders.iter().skip(1).step_by(2) {
        succeeded(client.done(&order.name).await);
    }
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (4, 4));
}

#[tokio::test]
async fn an_account_without_a_past_keeps_everything_waiting() {
    let accounts = vec![AccountSeed { old_operation: false, ..AccountSeed::default() }];
    let upstream = upstream(Options { accounts, ..Options::default() }).await;
    let provider = provider(&upstream);
    let provider = provider.timing("upstream_processing_ms", 600_000);
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(CREATE, LATER));
    let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    // Nobody has seen yet what this upstream's operations tell.
    let second = client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    let blocked = || async { client.operation(&second.name).await.blocked_by == first.name };
    until("the second waits", blocked).await;
    upstream.advance(HOUR);
    for name in [&first.name, &second.name] {
        succeeded(client.done(name).await);
    }
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
}

#[tokio::test]
async fn what_is_learnt_meanwhile_lets_nothing_alike_pass() {
    let (upstream, provider) = gandi().await;
    let provider = provider.timing("upstream_processing_ms", 600_000);
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(CREATE, LATER));
    let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    // From now on the account's list tells products and quantities apart.
    elsewhere::buy(&upstream, "disk", 1).await;
    let second = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    let decided = || async {
        let second = client.operation(&second.name).await;
        !second.blocked_by.is_empty() || second.done
    };
    until("the second waits or is sent", decided).await;
    assert_eq!(client.operation(&second.name).await.blocked_by, first.name);
    upstream.advance(HOUR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_orders_at_once_are_thirty_sales() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    let products = ["shares", "cores", "disk"];
    let orders = (0..30).map(|number| purchase("gandi", &[(products[number % 3], 1)]));
    let operations = join_all(orders.map(|request| client.ordered(request))).await;
    let ids = operations.into_iter().map(|operation| {
        let operation = succeeded(operation);
        order(&operation).upstream.as_ref().expect("sold").id().to_owned()
    });
    let ids: BTreeSet<String> = ids.collect();
    assert_eq!(ids, sold(&upstream, Kind::ProductAdd).into_iter().collect());
    assert_eq!((ids.len(), asked(&upstream, CREATE)), (30, 30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_are_alike_and_lose_every_answer_are_a_sale_each() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit).times(8));
    let orders = (0..8).map(|_| client.ordered(purchase("gandi", &[("shares", 1)])));
    let ids = join_all(orders).await.into_iter().map(|operation| {
        let operation = succeeded(operation);
        order(&operation).upstream.as_ref().expect("sold").id().to_owned()
    });
    let ids: BTreeSet<String> = ids.collect();
    assert_eq!(ids, sold(&upstream, Kind::ProductAdd).into_iter().collect());
    assert_eq!((ids.len(), asked(&upstream, CREATE)), (8, 8));
}
