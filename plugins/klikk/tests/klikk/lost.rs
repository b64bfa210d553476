//! Answers that are lost: what the marks tell of them, and what is left to a person without marks.

use std::time::Duration;

use purveyor_sdk::plugin::v1::Write;
pub(crate) use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::order::State;
use purveyor_simulators::klikk::{Mode, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, cancel, of_another, open, order};

/// Sends one order whose answer is lost, and answers what was known before.
async fn lose(bench: &Bench, write: &Write, kind: FaultKind) -> Position {
    let at = bench.first(write).await;
    bench.upstream.inject(Fault::next("order_*", kind));
    assert!(bench.step_at(write, &at).await.is_err());
    at
}

async fn without_marks() -> Bench {
    Bench::with(Options::default(), json!({ "item_tokens": false })).await
}

fn ids(found: &Found) -> Vec<&str> {
    match found {
        Found::Absent(several) => several.unexplained.iter().map(|it| it.id()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_order_is_found_by_its_marks_and_goes_on() {
    let bench = Bench::new().await;
    // Others with the same names, before and after.
    bench.run(&of_another(order(&["a", "b"]))).await.order();
    let write = order(&["a", "b"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let mut third = of_another(order(&["a", "b"]));
    third.request_id = "5c0a3f1e-4f3b-4f5e-9d53-333333333333".to_owned();
    bench.run(&third).await.order();
    let asked = bench.asked("order_list");
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    let Found::Found(found) = found else { panic!("{found:?}") };
    assert_eq!(found.upstream_id, "74");
    assert_eq!(bench.asked("order_list"), asked + 1);
    let Some(Stepped::Done(done)) = found.outcome.unwrap().outcome else { panic!() };
    let Some(purveyor_sdk::plugin::v1::resource::Kind::Order(order)) = done.resource.unwrap().kind
    else {
        panic!()
    };
    assert_eq!((order.state(), order.items[1].display_name.as_str()), (State::Completed, "b"));
}

#[tokio::test]
async fn every_fault_ends_in_what_really_happened() {
    let kinds = [
        (FaultKind::DropBeforeCommit, false),
        (FaultKind::ResetBeforeCommit, false),
        (FaultKind::DropAfterCommit, true),
        (FaultKind::ResetAfterCommit, true),
        (FaultKind::TruncateAfterCommit, true),
        (FaultKind::CutAfterCommit { bytes: 40 }, true),
    ];
    let replaced = [
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 502 },
        FaultKind::Status { status: 422 },
        FaultKind::Redirect,
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Megabytes { n: 3 },
        FaultKind::Garbage,
        FaultKind::Fault { code: 500, text: "x".to_owned() },
    ];
    let faults = kinds.into_iter().map(|(kind, sold)| (Fault::next("order_create", kind), sold));
    let replaced = replaced.into_iter().flat_map(|kind| {
        let fault = Fault::next("order_create", kind);
        [(fault.clone(), false), (fault.committed(), true)]
    });
    for (fault, sold) in faults.chain(replaced) {
        let bench = Bench::new().await;
        bench.upstream.inject(fault.clone());
        let write = order(&["a"]);
        let at = bench.first(&write).await;
        let lost = match bench.step_at(&write, &at).await {
            Err(_) => true,
            Ok(outcome) => matches!(outcome, Stepped::Unknown(_)),
        };
        assert!(lost, "{fault:?}");
        assert_eq!(bench.upstream.ledger().len(), usize::from(sold), "{fault:?}");
        let found = bench.search(&write, &at, &[], "").await.unwrap();
        assert_eq!(matches!(found, Found::Found(_)), sold, "{fault:?} {found:?}");
        assert_eq!(matches!(found, Found::Absent(_)), !sold, "{fault:?} {found:?}");
    }
}

#[tokio::test]
async fn a_late_order_is_found_when_it_is_there() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::LateCommit { ms: 3_600_000 }).await;
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Absent(_)));
    bench.upstream.advance(Duration::from_secs(3600));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while bench.upstream.ledger().is_empty() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        tokio::task::yield_now().await;
    }
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Found(_)));
}

#[tokio::test]
async fn what_is_not_listed_yet_is_found_later() {
    let bench = Bench::in_mode(Mode { listing_lag_ms: 3_600_000, ..Mode::default() }).await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::ResetAfterCommit).await;
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Absent(_)));
    bench.upstream.advance(Duration::from_secs(3600));
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Found(_)));
}

#[tokio::test]
async fn a_list_without_items_is_looked_at_order_by_order() {
    let bench = Bench::in_mode(Mode { list_items: false, ..Mode::default() }).await;
    bench.run(&of_another(order(&["a"]))).await.order();
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(&found, Found::Found(found) if found.upstream_id == "74"), "{found:?}");
    bench.upstream.inject(Fault::next("order_status", FaultKind::Status { status: 500 }));
    let Found::Absent(absent) = bench.search(&write, &at, &[], "").await.unwrap() else { panic!() };
    assert!(!absent.incomplete.is_empty(), "half a look is no absence");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_unexplained() {
    let bench = Bench::in_mode(Mode { list_items: false, ..Mode::default() }).await;
    let other = of_another(order(&["a"]));
    let at = bench.first(&other).await;
    let write = order(&["a"]);
    let lost = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    for _ in 0..201 {
        bench.step_at(&other, &at).await.unwrap();
    }
    let asked = bench.asked("order_status");
    let found = bench.search(&write, &lost, &[], "").await.unwrap();
    assert_eq!((ids(&found).len(), bench.asked("order_status") - asked), (201, 200));
    // What another operation has claimed needs no look as long as there are others.
    let claimed: Vec<String> = (74..274).map(|id| id.to_string()).collect();
    let claimed: Vec<&str> = claimed.iter().map(String::as_str).collect();
    bench.upstream.person_renames(73, None, "a").unwrap();
    assert_eq!(ids(&bench.search(&write, &lost, &claimed, "").await.unwrap()), ["73"]);
}

#[tokio::test]
async fn a_search_that_cannot_look_tells_nothing() {
    for kind in [FaultKind::Status { status: 503 }, FaultKind::Nil, FaultKind::DropBeforeCommit] {
        let bench = Bench::new().await;
        let write = order(&["a"]);
        let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
        bench.upstream.inject(Fault::next("order_list", kind.clone()));
        assert!(bench.search(&write, &at, &[], "").await.is_err(), "{kind:?}");
    }
}

#[tokio::test]
async fn an_operator_names_what_was_made() {
    let bench = Bench::new().await;
    bench.run(&of_another(order(&["a"]))).await.order();
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let named = async |id| bench.search(&write, &at, &[], id).await.unwrap();
    assert!(matches!(named("74").await, Found::Found(_)));
    // With the marks of another request, unknown, no identifier.
    for wrong in ["73", "75", "x"] {
        assert!(matches!(named(wrong).await, Found::Absent(_)), "{wrong}");
    }
}

#[tokio::test]
async fn without_marks_a_person_decides() {
    let bench = without_marks().await;
    bench.run(&of_another(order(&["a"]))).await.order();
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    assert_eq!((at.evidence.highest_id.as_str(), at.evidence.similarity.as_str()), ("73", ""));
    // The names are the caller's own.
    assert_eq!(bench.get_order("74").await.unwrap().items[0].display_name, "a");
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    assert_eq!(ids(&found), ["74"]);
    // What another write has claimed is not new, and nothing new is absence.
    assert!(matches!(bench.search(&write, &at, &["74"], "").await.unwrap(), Found::Absent(_)));
    let named = async |id| bench.search(&write, &at, &[], id).await.unwrap();
    assert!(matches!(named("74").await, Found::Found(_)));
    assert!(matches!(named("73").await, Found::Absent(_)), "it was there before");
    bench.run(&of_another(order(&["other"]))).await.order();
    assert!(matches!(named("75").await, Found::Absent(_)), "it has other names");
}

#[tokio::test]
async fn what_was_sent_with_marks_is_found_after_they_are_switched_off() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let switched = open(bench.upstream.url(), json!({ "item_tokens": false })).unwrap();
    let found = switched.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn a_lost_cancellation_is_read_from_the_items() {
    for (kind, done) in [(FaultKind::DropAfterCommit, true), (FaultKind::DropBeforeCommit, false)] {
        for item in ["", "1294"] {
            let bench = Bench::new().await;
            bench.buy(&["a", "b"]).await;
            let write = cancel("73", item);
            let at = Position { step: 1, ..Position::default() };
            bench.upstream.inject(Fault::next("order_cancel", kind.clone()));
            assert!(bench.step_at(&write, &at).await.is_err());
            let found = bench.search(&write, &at, &[], "").await.unwrap();
            assert_eq!(matches!(&found, Found::Found(it) if it.upstream_id.is_empty()), done);
            assert_eq!(matches!(found, Found::Absent(_)), !done);
        }
    }
}
