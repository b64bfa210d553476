//! Answers that no upstream should give: read as errors, never as empty, and nothing ends the process.

use purveyor_sdk::testing::Ended;
use purveyor_sdk::v1::ErrorReason;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, cancel, order, reason};

fn kinds() -> Vec<FaultKind> {
    vec![
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Megabytes { n: 3 },
        FaultKind::Garbage,
        FaultKind::Redirect,
        FaultKind::Status { status: 204 },
        FaultKind::Status { status: 500 },
    ]
}

#[tokio::test]
async fn reads_are_errors() {
    for kind in kinds() {
        let bench = Bench::new().await;
        bench.buy(&["a"]).await;
        let inject = |action: &str| bench.upstream.inject(Fault::next(action, kind.clone()));
        inject("order_status");
        let seen = reason(bench.get_order("73").await);
        assert_eq!(seen, ErrorReason::UpstreamUnavailable, "{kind:?}");
        inject("server_list");
        let seen = reason(bench.get_order("73").await);
        assert_eq!(seen, ErrorReason::UpstreamUnavailable, "{kind:?}");
        inject("server_list");
        let seen = reason(bench.get_service("1293").await);
        assert_eq!(seen, ErrorReason::UpstreamUnavailable, "{kind:?}");
        inject("order_status");
        let ended = bench.run(&cancel("73", "")).await;
        assert!(matches!(ended, Ended::Failed(..)), "{kind:?} {ended:?}");
        assert_eq!(bench.asked("order_cancel"), 0);
    }
}

#[tokio::test]
async fn a_poll_that_fails_is_asked_again() {
    for kind in kinds() {
        let bench = Bench::new().await;
        for action in ["order_status", "server_list"] {
            bench.upstream.inject(Fault::next(action, kind.clone()));
        }
        let ended = bench.run(&order(&["a"])).await;
        assert!(!matches!(ended, Ended::Done(_)), "{kind:?} {ended:?}");
        // The order is there, and only the look at it went wrong.
        assert_eq!(bench.upstream.ledger().len(), 1, "{kind:?}");
        bench.upstream.clear_faults();
        let handle = b"[1,{\"order\":73,\"looks\":0}]".to_vec();
        bench.follow(&order(&["a"]), handle).await.order();
    }
}

#[tokio::test]
async fn an_order_of_another_number_is_not_the_one() {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    // An answer of success that is about something else.
    let other = FaultKind::Fault { code: 200, text: "x".to_owned() };
    bench.upstream.inject(Fault::next("order_status", other));
    assert_eq!(reason(bench.get_order("73").await), ErrorReason::UpstreamUnavailable);
}
