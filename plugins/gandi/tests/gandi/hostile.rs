//! Answers that are none: each ends in a true state, never in a success and never in a crash.

use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::ErrorReason;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, item, order, reason};

fn wrong_answers() -> Vec<FaultKind> {
    vec![
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Garbage,
        FaultKind::Megabytes { n: 1 },
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 404 },
        FaultKind::Status { status: 204 },
        FaultKind::Redirect,
        FaultKind::Fault { code: 150_000, text: "Error on object".to_owned() },
        FaultKind::Fault { code: 500, text: "5 and no more".to_owned() },
    ]
}

#[tokio::test]
async fn a_read_fails_and_says_so() {
    let bench = Bench::new().await;
    let more = [FaultKind::Nil, FaultKind::TruncateAfterCommit, FaultKind::DropBeforeCommit];
    for kind in wrong_answers().into_iter().chain(more) {
        bench.upstream.inject(Fault::next("hosting.account.info", kind.clone()));
        let read = bench.get_service("11153").await;
        assert_eq!(reason(read), ErrorReason::UpstreamUnavailable, "{kind:?}");
    }
    assert!(bench.get_service("11153").await.is_ok());
}

#[tokio::test]
async fn a_spend_is_unknown_whether_it_was_done_or_not() {
    let bench = Bench::new().await;
    for committed in [false, true] {
        for kind in wrong_answers() {
            let write = order(vec![item("disk", 1, 1)]);
            let at = Position { step: 1, ..Position::default() };
            let at = bench.prepared(&write, at).await.unwrap();
            let fault = Fault::next("hosting.product.create", kind.clone());
            bench.upstream.inject(if committed { fault.committed() } else { fault });
            let stepped = bench.step_at(&write, &at).await;
            assert!(matches!(stepped, Ok(Stepped::Unknown(_))), "{kind:?} {stepped:?}");
        }
    }
}

#[tokio::test]
async fn only_the_callers_faults_refuse() {
    let bench = Bench::new().await;
    for (code, proof) in
        [(521_163, "fault"), (510_135, "quota"), (571_530, "fault"), (1, "unsupported_method")]
    {
        let write = order(vec![item("disk", 1, 1)]);
        let at = Position { step: 1, ..Position::default() };
        let at = bench.prepared(&write, at).await.unwrap();
        let fault = FaultKind::Fault { code, text: "Error on object".to_owned() };
        bench.upstream.inject(Fault::next("hosting.product.create", fault));
        let stepped = bench.step_at(&write, &at).await.unwrap();
        let Stepped::Rejected(rejected) = stepped else { panic!("{code}: {stepped:?}") };
        assert_eq!(rejected.proof, proof, "{code}");
        assert_eq!(rejected.error.unwrap().metadata["upstream_code"], code.to_string());
    }
    assert_eq!(bench.upstream.ledger().len(), 0);
}

#[tokio::test]
async fn a_poll_that_cannot_be_answered_is_repeated() {
    use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
    let bench = Bench::new().await;
    let write = order(vec![item("disk", 1, 1)]);
    let at = Position { step: 1, ..Position::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let Stepped::Pending(pending) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    bench.upstream.inject(Fault::next("operation.info", FaultKind::Garbage));
    let polled = bench.poll_one(&write, &pending.handle).await.unwrap();
    assert!(matches!(polled, Polled::Unavailable(_)), "{polled:?}");
    bench.upstream.inject(Fault::next("hosting.account.info", FaultKind::Garbage));
    let polled = bench.poll_one(&write, &pending.handle).await.unwrap();
    assert!(matches!(polled, Polled::Unavailable(_)), "{polled:?}");
    let polled = bench.poll_one(&write, &pending.handle).await.unwrap();
    assert!(matches!(polled, Polled::Done(_)), "{polled:?}");
}
