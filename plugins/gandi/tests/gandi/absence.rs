//! What speaks against the absence of a spend that is not found, and what ties a row to it.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::{Absent, Found, Outcome};
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{FindRequest, Write, find_request};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::Position;
use purveyor_simulators::FaultKind::{DropAfterCommit, DropBeforeCommit};
use purveyor_simulators::gandi::{AccountSeed, Mode, Options};

use super::driver::{Bench, changes, item, lose, order, person_buys, person_changes, twins};

const HOUR_MS: u64 = 3_600_000;

fn silent() -> Mode {
    Mode { operations_silent: true, ..Mode::default() }
}

async fn absent(bench: &Bench, write: &Write, at: &Position, claimed: &[&str]) -> Absent {
    match bench.search(write, at, claimed, "").await.unwrap() {
        Outcome::Absent(absent) => absent,
        other => panic!("{other:?}"),
    }
}

async fn found(bench: &Bench, write: &Write, at: &Position, claimed: &[&str]) -> Found {
    match bench.search(write, at, claimed, "").await.unwrap() {
        Outcome::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

fn ids(absent: &Absent) -> Vec<&str> {
    absent.unexplained.iter().map(|it| it.id()).collect()
}

#[tokio::test]
async fn nothing_new_is_absent() {
    let bench = Bench::new().await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropBeforeCommit).await;
    assert_eq!(at.evidence.highest_id, "637365");
    assert_eq!(absent(&bench, &write, &at, &[]).await, Absent::default());
}

#[tokio::test]
async fn persons_change_of_something_else_is_not_found() {
    for which in 0..3 {
        let (bench, service, other) = twins().await;
        let write = &changes(&service)[which];
        let at = lose(&bench, write, DropBeforeCommit).await;
        person_changes(&bench, &other, which, 5);
        let traces = absent(&bench, write, &at, &[]).await;
        assert_eq!((ids(&traces), traces.effects), (vec!["637368"], 0), "{which}");
        assert_eq!((traces.incomplete.as_str(), traces.alike_ids.len()), ("", 0), "{which}");
        // The name alone tells nothing where two products have it.
        bench.set(|mode| mode.operations_silent = false);
        assert_eq!(ids(&absent(&bench, write, &at, &[]).await), ["637368"], "{which}");
    }
}

#[tokio::test]
async fn silent_operation_is_ours_once_its_effect_shows() {
    for which in 0..3 {
        let bench = Bench::in_mode(silent()).await;
        let service = bench.service("cores", 2, 1).await;
        bench.set(|mode| mode.effect_lag_ms = HOUR_MS);
        let write = &changes(&service)[which];
        let at = lose(&bench, write, DropAfterCommit).await;
        let traces = absent(&bench, write, &at, &[]).await;
        assert_eq!((ids(&traces), traces.effects), (vec!["637367"], 0), "{which}");
        bench.upstream.advance(Duration::from_millis(HOUR_MS));
        assert_eq!(found(&bench, write, &at, &[]).await.upstream_id, "637367");
    }
    let bench = Bench::in_mode(Mode { effect_lag_ms: HOUR_MS, ..silent() }).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropAfterCommit).await;
    assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["637366"]);
    bench.upstream.advance(Duration::from_millis(HOUR_MS));
    assert_eq!(found(&bench, &write, &at, &[]).await.upstream_id, "637366");
}

#[tokio::test]
async fn silent_purchase_of_something_else_is_not_found() {
    let bench = Bench::in_mode(silent()).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropBeforeCommit).await;
    person_buys(&bench, "disk", 1, None);
    assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["637366"]);
    // As a claim of another order, with the service that came of it.
    assert_eq!(absent(&bench, &write, &at, &["637366", "11155"]).await, Absent::default());
}

#[tokio::test]
async fn new_product_that_no_row_explains_is_no_absence() {
    let bench = Bench::new().await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropAfterCommit).await;
    // The product shows before the list does.
    bench.set(|mode| mode.listing_lag_ms = HOUR_MS);
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!((ids(&traces), traces.incomplete.as_str()), (vec!["11155"], ""));
    // Of two, a row explains one.
    bench.set(|mode| mode.listing_lag_ms = 0);
    person_buys(&bench, "disk", 1, None);
    let traces = absent(&bench, &write, &at, &["637366"]).await;
    assert_eq!(ids(&traces), ["637367", "11156"]);
    assert!(traces.alike_ids.is_empty());
    person_buys(&bench, "shares", 1, None);
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!(ids(&traces), ["637368", "637367", "637366"]);
    assert_eq!(traces.alike_ids, ["637368", "637366"]);
}

#[tokio::test]
async fn change_without_its_row_counts_as_effect() {
    for which in 0..3 {
        let bench = Bench::new().await;
        let service = bench.service("cores", 2, 1).await;
        let write = &changes(&service)[which];
        let at = lose(&bench, write, DropBeforeCommit).await;
        let times = if which == 1 { 2 } else { 1 };
        for _ in 0..times {
            person_changes(&bench, &service, which, 5);
        }
        bench.set(|mode| mode.listing_lag_ms = HOUR_MS);
        let traces = absent(&bench, write, &at, &[]).await;
        assert_eq!((ids(&traces), traces.effects), (vec![], times), "{which}");
        assert_eq!(traces.incomplete, "637366 exists and is not listed");
    }
}

#[tokio::test]
async fn another_quantity_is_no_effect() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let [write, ..] = changes(&service);
    let at = lose(&bench, &write, DropBeforeCommit).await;
    person_changes(&bench, &service, 0, 7);
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!((ids(&traces), traces.effects), (vec!["637367"], 0));
}

#[tokio::test]
async fn list_that_is_not_whole_proves_nothing() {
    let bench = Bench::new().await;
    bench.buy("ips", 1, 1).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropBeforeCommit).await;
    bench.set(|mode| mode.listing_lag_ms = HOUR_MS);
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!(traces.incomplete, "637366 exists and is not listed");
    bench.upstream.advance(Duration::from_millis(HOUR_MS));
    assert_eq!(absent(&bench, &write, &at, &[]).await, Absent::default());
    // A claim that is newer than the baseline is a witness as well.
    bench.buy("ips", 1, 1).await;
    let witnessed = async || {
        let attempt = find_request::Attempt {
            number: 1,
            send_time: Some(purveyor_sdk::prost_types::Timestamp::default()),
            ..Default::default()
        };
        let request = FindRequest {
            write: Some(write.clone()),
            step: 1,
            evidence: at.evidence.evidence.clone(),
            attempts: vec![attempt],
            claimed_ids: vec!["637367".to_owned(), "11156".to_owned()],
            witness_ids: vec!["637367".to_owned(), "11156".to_owned()],
            ..FindRequest::default()
        };
        let Some(Outcome::Absent(traces)) = bench.find(&request).await.unwrap().outcome else {
            panic!();
        };
        traces.incomplete
    };
    assert_eq!(witnessed().await, "637367 exists and is not listed");
    bench.set(|mode| mode.listing_lag_ms = 0);
    assert_eq!(witnessed().await, "");
}

#[tokio::test]
async fn account_of_which_nothing_is_known_proves_nothing() {
    let account = AccountSeed { old_operation: false, ..AccountSeed::default() };
    let options = Options { accounts: vec![account], ..Options::default() };
    let bench = Bench::with(options, json!({})).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropBeforeCommit).await;
    assert_eq!(at.evidence.highest_id, "");
    assert!(absent(&bench, &write, &at, &[]).await.incomplete.starts_with("nothing"));
}

#[tokio::test]
async fn row_dated_ahead_hides_nothing() {
    let bench = Bench::new().await;
    person_buys(&bench, "disk", 1, Some("2051-01-01T00:00:00Z"));
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropAfterCommit).await;
    assert_eq!(found(&bench, &write, &at, &[]).await.upstream_id, "637367");
    // Dated long before, it is new all the same, as its number says.
    let at = lose(&bench, &write, DropBeforeCommit).await;
    assert_eq!(at.evidence.highest_id, "637367");
    person_buys(&bench, "disk", 2, Some("2051-01-01T00:00:00Z"));
    assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["637368"]);
}

#[tokio::test]
async fn earlier_item_that_is_delivered_meanwhile_is_explained() {
    let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1), item("disk", 1, 1)]);
    let at = Position { step: 1, ..Position::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let Stepped::Next(next) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
    let at = bench.prepared(&write, at.after(next.handle)).await.unwrap();
    let drop = purveyor_simulators::Fault::next("hosting.product.create", DropBeforeCommit);
    bench.upstream.inject(drop);
    assert!(bench.step_at(&write, &at).await.is_err());
    bench.upstream.advance(Duration::from_secs(61));
    assert_eq!(absent(&bench, &write, &at, &[]).await, Absent::default());
    person_buys(&bench, "disk", 1, None);
    bench.upstream.advance(Duration::from_secs(61));
    bench.set(|mode| mode.listing_lag_ms = 100_000);
    assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["11156"]);
}
