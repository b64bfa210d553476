//! What upstreams do on bad days: whatever goes wrong with one purchase, its operation ends in a state
//! that is true, and the ledger has one sale or none accordingly.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use purveyor_sdk::prost_types;
use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Clock, Fault, FaultKind, Instruments, Kind, Simulator};

use crate::support::client::{Client, order, reason, succeeded};
use crate::support::requests::purchase;
use crate::support::{Gateway, asked, configuration, provider, sold, upstream};

const CREATE: &str = "hosting.product.create";
const LIST: &str = "operation.list";

/// What an operation ends as, how many sales there are, and how often the purchase was sent.
type Ending = (State, &'static str, usize, u64);

const BOUGHT: Ending = (State::Succeeded, "", 1, 1);
const BOUGHT_THEN: Ending = (State::Succeeded, "", 1, 2);

const fn refused(reason: &'static str) -> Ending {
    (State::Failed, reason, 0, 1)
}

/// A gateway with a provider and a simulator of its own for each of so many cases.
async fn stage(count: usize, options: impl Fn() -> Options) -> (Gateway, Vec<Simulator<Gandi>>) {
    let upstreams = join_all((0..count).map(|_| upstream(options()))).await;
    let mut configuration = configuration();
    for (number, upstream) in upstreams.iter().enumerate() {
        configuration = configuration.provider(&format!("gandi-{number}"), provider(upstream));
    }
    (Gateway::start(configuration).await, upstreams)
}

/// Buys two shares at each provider, all at once, while its faults are armed.
async fn buy_at_each(client: &Client, upstreams: &[Simulator<Gandi>]) -> Vec<Operation> {
    let buy = |number: usize| async move {
        client.ordered(purchase(&format!("gandi-{number}"), &[("shares", 2)])).await
    };
    join_all((0..upstreams.len()).map(buy)).await
}

/// That an operation is what the upstream says it is.
fn check(name: &str, operation: &Operation, upstream: &Simulator<Gandi>, expected: Ending) {
    let sales = sold(upstream, Kind::ProductAdd);
    let found = (operation.state(), reason(operation), sales.len(), asked(upstream, CREATE));
    assert_eq!(found, expected, "{name}: {operation:#?}");
    if operation.state() == State::Succeeded {
        let order = order(operation);
        let id = order.upstream.as_ref().map(|upstream| upstream.id().to_owned());
        assert_eq!(id.as_ref(), sales.first(), "{name}: the order is not the one that was sold");
        assert_eq!(order.items[0].services.len(), 1, "{name}: {order:?}");
    }
}

fn fault(code: i32) -> FaultKind {
    FaultKind::Fault { code, text: format!("Error on object : {code}") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_purchase_its_operation_ends_true() {
    let status = |status| FaultKind::Status { status };
    let slow = FaultKind::Slow { ms: 1500 };
    // Nothing is sold, and the answer proves nothing: the purchase follows once absence is proof.
    let lost = [
        ("drop before", FaultKind::DropBeforeCommit),
        ("reset before", FaultKind::ResetBeforeCommit),
        ("500", status(500)),
        ("502", status(502)),
        ("429", status(429)),
        ("307", FaultKind::Redirect),
        ("wrong type", FaultKind::WrongType),
        ("xml bomb", FaultKind::XmlBomb),
        ("nested arrays", FaultKind::NestedArrays { depth: 40_000 }),
        ("megabytes", FaultKind::Megabytes { n: 20 }),
        ("garbage", FaultKind::Garbage),
        ("the upstream's own failure", fault(150_000)),
        ("a database query failed", fault(110_020)),
        ("no code of the scheme", fault(42)),
    ];
    let mut cases = Vec::new();
    for (name, kind) in lost {
        cases.push((name, Fault::next(CREATE, kind.clone()), BOUGHT_THEN));
        let replaces = !matches!(kind, FaultKind::DropBeforeCommit | FaultKind::ResetBeforeCommit);
        if replaces {
            cases.push((name, Fault::next(CREATE, kind).committed(), BOUGHT));
        }
    }
    let next = |kind| Fault::next(CREATE, kind);
    // A complete refusal that nothing declares: absence is proven, and it is not sent again.
    for (name, kind) in [("404", status(404)), ("400", status(400)), ("422", status(422))] {
        cases.push((name, next(kind.clone()), refused("UPSTREAM_REJECTED")));
        cases.push((name, next(kind).committed(), BOUGHT));
    }
    cases.extend([
        ("drop after", next(FaultKind::DropAfterCommit), BOUGHT),
        ("reset after", next(FaultKind::ResetAfterCommit), BOUGHT),
        ("half an answer", next(FaultKind::TruncateAfterCommit), BOUGHT),
        ("half a head", next(FaultKind::CutAfterCommit { bytes: 20 }), BOUGHT),
        ("late", next(FaultKind::LateCommit { ms: 600 }), BOUGHT),
        ("sold after the time-out", next(slow.clone()), BOUGHT),
        ("answered after the time-out", next(slow).committed(), BOUGHT),
        ("refused", next(fault(535_160)), refused("UPSTREAM_REJECTED")),
        ("not enough money", next(fault(521_163)), refused("INSUFFICIENT_CREDIT")),
        ("wrong key", next(fault(510_150)), refused("UPSTREAM_CREDENTIALS")),
        ("emptied", next(FaultKind::Nil), refused("UPSTREAM_API_GONE")),
        ("no such method", next(fault(1)), refused("UPSTREAM_API_GONE")),
        ("too many requests", next(fault(510_135)), BOUGHT_THEN),
    ]);
    let (gateway, upstreams) = stage(cases.len(), Options::default).await;
    for (upstream, (_, fault, _)) in upstreams.iter().zip(&cases) {
        upstream.inject(fault.clone());
    }
    let operations = buy_at_each(&gateway.client().await, &upstreams).await;
    for ((operation, upstream), (name, fault, expected)) in
        operations.iter().zip(&upstreams).zip(&cases)
    {
        let name = format!("{name}, committed: {}", fault.committed);
        check(&name, operation, upstream, *expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_fails_is_made_again_until_it_finds() {
    let kinds = [
        FaultKind::DropBeforeCommit,
        FaultKind::DropAfterCommit,
        FaultKind::TruncateAfterCommit,
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 404 },
        FaultKind::Redirect,
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::Megabytes { n: 20 },
        FaultKind::Garbage,
        FaultKind::Slow { ms: 1500 },
        fault(150_000),
        fault(510_135),
    ];
    let (gateway, upstreams) = stage(kinds.len(), Options::default).await;
    for (upstream, kind) in upstreams.iter().zip(&kinds) {
        upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
        // The first list is the evidence before the purchase.
        upstream.inject(Fault::next(LIST, kind.clone()).after(1).times(2));
    }
    let operations = buy_at_each(&gateway.client().await, &upstreams).await;
    for ((operation, upstream), kind) in operations.iter().zip(&upstreams).zip(&kinds) {
        check(&format!("{kind:?}"), operation, upstream, BOUGHT);
    }
}

/// Long after the settle window of these providers.
const LONG_AFTER_SETTLE: prost_types::Duration = prost_types::Duration { seconds: 5, nanos: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_is_never_taken_for_absence() {
    let kinds = [
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::Garbage,
        FaultKind::TruncateAfterCommit,
        FaultKind::Status { status: 404 },
        fault(150_000),
        fault(510_150),
    ];
    let (gateway, upstreams) = stage(kinds.len(), Options::default).await;
    let client = gateway.client().await;
    let buy = |number: usize| {
        let (client, upstream, kind) = (&client, &upstreams[number], kinds[number].clone());
        async move {
            upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
            upstream.inject(Fault::next(LIST, kind).after(1).times(100_000));
            let request = purchase(&format!("gandi-{number}"), &[("shares", 2)]);
            let accepted = client.order(request).await.expect("the order is accepted");
            client.waited(&accepted.name, LONG_AFTER_SETTLE).await
        }
    };
    let operations = join_all((0..kinds.len()).map(buy)).await;
    for ((operation, upstream), kind) in operations.iter().zip(&upstreams).zip(&kinds) {
        assert!(!operation.done, "{kind:?}: {operation:#?}");
        assert_eq!(operation.attempts[0].outcome(), Outcome::Unknown, "{kind:?}");
        assert_eq!((sold(upstream, Kind::ProductAdd).len(), asked(upstream, CREATE)), (1, 1));
        upstream.clear_faults();
    }
    for (operation, upstream) in operations.iter().zip(&upstreams) {
        // Who asked for a person waits for that person; who still looks finds it now.
        if operation.state() != State::NeedsOperator {
            check("read again", &client.done(&operation.name).await, upstream, BOUGHT);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_in_the_middle_of_an_order_is_one_item_of_it() {
    let unlike = [("shares", 1), ("disk", 5), ("ips", 2)];
    let cases = [
        (unlike, FaultKind::DropAfterCommit, 3),
        (unlike, FaultKind::DropBeforeCommit, 4),
        ([("ips", 1); 3], FaultKind::DropAfterCommit, 3),
        ([("ips", 1); 3], FaultKind::TruncateAfterCommit, 3),
        ([("ips", 1); 3], FaultKind::DropBeforeCommit, 4),
    ];
    let (gateway, upstreams) = stage(cases.len(), Options::default).await;
    let client = gateway.client().await;
    let buy = |number: usize| {
        let (client, (items, kind, _)) = (&client, &cases[number]);
        upstreams[number].inject(Fault::next(CREATE, kind.clone()).after(1));
        async move { client.ordered(purchase(&format!("gandi-{number}"), items)).await }
    };
    let operations = join_all((0..cases.len()).map(buy)).await;
    for ((operation, upstream), (items, kind, sent)) in
        operations.into_iter().zip(&upstreams).zip(&cases)
    {
        let sales = sold(upstream, Kind::ProductAdd);
        assert_eq!((sales.len(), asked(upstream, CREATE)), (3, *sent), "{items:?} {kind:?}");
        let operation = succeeded(operation);
        let id = order(&operation).upstream.as_ref().map(|upstream| upstream.ids.clone());
        assert_eq!(id, Some(sales), "{items:?} {kind:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_lists_late_is_waited_for() {
    // As long as the listing lag that the provider is configured with, and a little of the rest.
    let mode = Mode { listing_lag_ms: 700, ..Mode::default() };
    let (gateway, upstreams) =
        stage(1, || Options { mode: mode.clone(), ..Options::default() }).await;
    upstreams[0].inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
    let operations = buy_at_each(&gateway.client().await, &upstreams).await;
    check("listed late", &operations[0], &upstreams[0], BOUGHT);
}

#[tokio::test]
async fn an_emptied_api_sells_nothing_and_says_so() {
    let emptied = Mode { emptied: true, ..Mode::default() };
    let seed = AccountSeed { rating: true, credits: 1000, ..AccountSeed::default() };
    let options = [
        Options { mode: emptied, ..Options::default() },
        Options { accounts: vec![seed], ..Options::default() },
    ];
    for (name, options) in ["emptied", "billed by credits"].into_iter().zip(options) {
        let upstream = upstream(options).await;
        let gateway = configuration().provider("gandi-0", provider(&upstream));
        let gateway = Gateway::start(gateway).await;
        let operation = gateway.client().await.ordered(purchase("gandi-0", &[("ips", 1)])).await;
        assert_eq!(operation.state(), State::Failed, "{name}: {operation:#?}");
        assert_eq!(reason(&operation), "UPSTREAM_API_GONE", "{name}");
        assert_eq!(upstream.ledger(), [], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_hours_wrong_hides_no_sale() {
    let clock = |hours: i64| {
        let instruments = Instruments {
            clock: Arc::new(Clock::manual(Timestamp::now() + SignedDuration::from_hours(hours))),
            ..Instruments::default()
        };
        Options { instruments, ..Options::default() }
    };
    let clocks = [-26, -6, 0, 6, 26];
    let upstreams = join_all(clocks.map(|hours| upstream(clock(hours)))).await;
    let mut configuration = configuration();
    for (number, upstream) in upstreams.iter().enumerate() {
        configuration = configuration.provider(&format!("gandi-{number}"), provider(upstream));
    }
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    for round in 0_usize..3 {
        for upstream in &upstreams {
            upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
        }
        let operations = buy_at_each(&client, &upstreams).await;
        for ((operation, upstream), hours) in operations.into_iter().zip(&upstreams).zip(clocks) {
            let sales = sold(upstream, Kind::ProductAdd);
            assert_eq!(sales.len(), round + 1, "{hours} hours: {operation:#?}");
            let operation = succeeded(operation);
            let id = order(&operation).upstream.as_ref().map(|upstream| upstream.id().to_owned());
            assert_eq!(id.as_ref(), sales.last(), "{hours} hours");
            upstream.advance(Duration::from_secs(7200));
        }
    }
}
