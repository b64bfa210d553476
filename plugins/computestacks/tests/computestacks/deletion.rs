//! Deleting products: at most once, and never one that is used.

use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::{Effect, ErrorReason};
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::bench::{Bench, DELETE, delete, number, package, sold};

#[tokio::test]
async fn a_product_goes_with_its_price_rules() {
    let bench = Bench::new().await;
    let made = bench.make(sold("s")).await;
    let quote = bench.plugin.quote(&delete(&made.name, false)).await.unwrap();
    assert_eq!((quote.steps.len(), quote.steps[0].effect()), (1, Effect::Setting));
    assert_eq!(bench.run(&delete(&made.name, false)).await.deleted(), made.name);
    assert_eq!(bench.done().last(), Some(&Kind::ProductDelete));
}

#[tokio::test]
async fn what_is_not_there_is_not_found_unless_that_is_allowed() {
    let bench = Bench::new().await;
    for name in ["providers/test/products/9", "providers/test/products/none"] {
        let error = bench.run(&delete(name, false)).await.error();
        assert_eq!(error.reason, ErrorReason::ProductNotFound);
        let quoted = bench.plugin.quote(&delete(name, false)).await.unwrap_err();
        assert_eq!(quoted.reason, ErrorReason::ProductNotFound);
        assert_eq!(bench.run(&delete(name, true)).await.deleted(), name);
    }
    assert_eq!(bench.asked(DELETE), 0);
}

#[tokio::test]
async fn a_product_that_is_used_is_refused() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    bench.upstream.subscribe(number(&made), 1).unwrap();
    let error = bench.run(&delete(&made.name, false)).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    assert!(error.message.contains("dependent subscription products exist"), "{}", error.message);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_found_done() {
    let bench = Bench::new().await;
    for kind in [FaultKind::DropAfterCommit, FaultKind::TruncateAfterCommit, FaultKind::Redirect] {
        let made = bench.make(package("s")).await;
        let write = delete(&made.name, false);
        let at = bench.before(&write, Position::default()).await;
        let there = bench.plugin.search(&write, &at, &[], "").await.unwrap();
        assert!(matches!(there, Found::Absent(_)), "{there:?}");
        let fault = Fault::next(DELETE, kind.clone());
        bench.upstream.inject(if kind == FaultKind::Redirect { fault.committed() } else { fault });
        let stepped = bench.plugin.step_at(&write, &at).await;
        let answered = matches!(stepped, Ok(Stepped::Pending(_)));
        // An answer that has no body cannot be cut in its middle.
        assert_eq!(answered, kind == FaultKind::TruncateAfterCommit, "{kind:?}");
        let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
        assert!(matches!(found, Found::Found(_)), "{found:?}");
    }
}

#[tokio::test]
async fn a_second_deletion_that_comes_late_is_no_failure() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let write = delete(&made.name, false);
    let at = bench.before(&write, Position::default()).await;
    // Done, and answered as if it had been gone.
    bench.upstream.inject(Fault::next(DELETE, FaultKind::DropAfterCommit));
    assert!(bench.plugin.step_at(&write, &at).await.is_err());
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");

    let made = bench.make(package("s")).await;
    let write = delete(&made.name, false);
    let at = bench.before(&write, Position::default()).await;
    let gone = FaultKind::Fault { code: 404, text: "Unknown API Call.".to_owned() };
    bench.upstream.inject(Fault::next(DELETE, gone).committed());
    let stepped = bench.plugin.step_at(&write, &at).await.unwrap();
    assert!(matches!(stepped, Stepped::Unknown(_)), "{stepped:?}");
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}
