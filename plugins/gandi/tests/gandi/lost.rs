//! Answers that are lost: what the evidence tells of them, and what it must not tell.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Write, resource};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::order::State;
use purveyor_simulators::gandi::{AccountSeed, Mode, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, changes, item, lose, order};

#[tokio::test]
async fn a_lost_purchase_is_found_and_goes_on() {
    let bench = Bench::new().await;
    bench.buy("shares", 1, 1).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    let Found::Found(found) = found else { panic!("{found:?}") };
    assert_eq!(found.upstream_id, "637367");
    let Some(Stepped::Pending(pending)) = found.outcome.unwrap().outcome else { panic!() };
    let Some(resource::Kind::Order(view)) = pending.view.unwrap().kind else { panic!() };
    assert_eq!(view.state(), State::Provisioning, "its product is not told yet");
    let order = bench.follow(&write, pending.handle).await.order();
    assert_eq!((order.state(), order.items[0].services.len()), (State::Completed, 1));
    assert_eq!(bench.upstream.ledger().len(), 2);
}

#[tokio::test]
async fn a_purchase_that_was_not_made_is_absent() {
    let bench = Bench::new().await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Absent(_)));
    // An operation that belongs to another write of ours is no evidence.
    bench.buy("shares", 1, 1).await;
    let found = bench.search(&write, &at, &["637366"], "").await.unwrap();
    assert!(matches!(found, Found::Absent(_)), "{found:?}");
}

#[tokio::test]
async fn what_is_not_listed_yet_is_found_later() {
    let bench = Bench::in_mode(Mode { listing_lag_ms: 30_000, ..Mode::default() }).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, FaultKind::ResetAfterCommit).await;
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Absent(_)));
    bench.upstream.advance(Duration::from_secs(31));
    assert!(matches!(bench.search(&write, &at, &[], "").await.unwrap(), Found::Found(_)));
}

#[tokio::test]
async fn several_that_fit_are_for_a_person() {
    let bench = Bench::new().await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    bench.buy("shares", 1, 1).await;
    let Found::Absent(several) = bench.search(&write, &at, &[], "").await.unwrap() else {
        panic!()
    };
    let ids: Vec<_> = several.unexplained.iter().map(|it| it.id()).collect();
    assert_eq!(ids, ["637367", "637366"]);
}

#[tokio::test]
async fn something_new_that_does_not_fit_is_no_absence() {
    let bench = Bench::new().await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    bench.buy("disk", 1, 1).await;
    let Found::Absent(several) = bench.search(&write, &at, &[], "").await.unwrap() else {
        panic!()
    };
    assert_eq!(several.unexplained.len(), 1);
    let absent = bench.search(&write, &at, &["637366"], "").await.unwrap();
    assert!(matches!(absent, Found::Absent(_)));
}

#[tokio::test]
async fn an_operator_names_what_was_made() {
    let bench = Bench::new().await;
    let service = bench.service("shares", 1, 1).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let [_, renew, _] = changes(&service);
    bench.run(&renew).await.renewal();
    let named = async |id| bench.search(&write, &at, &[], id).await.unwrap();
    let Found::Found(found) = named("637367").await else { panic!("not found") };
    assert_eq!(found.upstream_id, "637367");
    // There before, of another kind, unknown, no identifier.
    for wrong in ["637366", "637368", "637399", "x"] {
        assert!(matches!(named(wrong).await, Found::Absent(_)), "{wrong}");
    }
}

#[tokio::test]
async fn a_lost_later_item_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let write = order(vec![item("ips", 1, 1), item("ips", 1, 1), item("disk", 2, 1)]);
    let at = Position { step: 1, ..Position::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let Stepped::Next(next) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    let at = Position { step: 2, handle: next.handle, ..Position::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    assert_eq!(at.evidence.highest_id, "637366");
    bench.upstream.inject(Fault::next("hosting.product.create", FaultKind::DropAfterCommit));
    assert!(bench.step_at(&write, &at).await.is_err());
    let Found::Found(found) = bench.search(&write, &at, &["637366"], "").await.unwrap() else {
        panic!()
    };
    assert_eq!(found.upstream_id, "637367");
    let Some(Stepped::Next(next)) = found.outcome.unwrap().outcome else { panic!() };
    let at = Position { step: 3, handle: next.handle, ..Position::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let Stepped::Pending(pending) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    // Once all are placed, another object that somebody names is none of the order.
    let placed = Position { handle: pending.handle.clone(), ..at };
    for other in ["637366", "1", "x"] {
        let told = bench.search(&write, &placed, &[], other).await.unwrap();
        assert!(matches!(&told, Found::Absent(_)), "{other}: {told:?}");
    }
    let order = bench.follow(&write, pending.handle).await.order();
    assert_eq!(order.upstream.unwrap().ids, ["637366", "637367", "637368"]);
    assert_eq!(order.items.iter().map(|item| item.services.len()).sum::<usize>(), 3);
}

#[tokio::test]
async fn lost_changes_are_found_or_absent() {
    for named in [false, true] {
        for which in 0..3 {
            for (kind, done) in
                [(FaultKind::DropAfterCommit, true), (FaultKind::DropBeforeCommit, false)]
            {
                let mode = Mode { operations_name_product: named, ..Mode::default() };
                let bench = Bench::in_mode(mode).await;
                let service = bench.service("cores", 2, 1).await;
                let write = &changes(&service)[which];
                let at = lose(&bench, write, kind).await;
                let found = bench.search(write, &at, &[], "").await.unwrap();
                assert_eq!(matches!(found, Found::Found(_)), done, "{which} {found:?}");
                assert_eq!(matches!(found, Found::Absent(_)), !done, "{which} {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn spends_that_cannot_be_told_apart_share_a_word() {
    let word = async |bench: &Bench, write: &Write| {
        let at = bench.prepared(write, Position { step: 1, ..Position::default() }).await;
        at.unwrap().evidence.similarity
    };
    let account = AccountSeed { old_operation: false, ..AccountSeed::default() };
    let options = Options { accounts: vec![account], ..Options::default() };
    let bench = Bench::with(options, json!({})).await;
    let one = order(vec![item("shares", 1, 1)]);
    let other = order(vec![item("disk", 1, 1)]);
    // Nothing is known yet of what the upstream's operations tell.
    assert_eq!(word(&bench, &one).await, word(&bench, &other).await);
    let service = bench.service("cores", 2, 1).await;
    assert_ne!(word(&bench, &one).await, word(&bench, &other).await);
    assert_eq!(word(&bench, &one).await, word(&bench, &one).await);
    let twin = bench.service("cores", 2, 1).await;
    let [_, mine, _] = changes(&service);
    let [_, twins, _] = changes(&twin);
    assert_eq!(word(&bench, &mine).await, word(&bench, &twins).await);
}
