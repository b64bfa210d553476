//! Absence needs every witness: what a person made, renamed or changed speaks against it, a list that is
//! not whole proves nothing, and a setting is not repeated over a person's head.

use std::time::Duration;

use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::product::ResourceKind;
use purveyor_sdk::v1::{ErrorReason, Product};
use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::bench::{
    Bench, CREATE, DELETE, PATCH, RESOURCE, RULE, absent, create, delete, id, ids, lose, number,
    package, resource, sold, update,
};

/// A person's package, as the API's body has it.
fn theirs(label: &str) -> Value {
    json!({ "label": label, "group": "theirs", "package_attributes": {
        "cpu": "1", "memory": 256, "storage": 1, "bandwidth": 1,
    } })
}

/// The step whose request never arrives.
async fn drop_before(bench: &Bench, write: &Write, at: Position, method: &str) -> Position {
    let at = bench.before(write, at).await;
    bench.upstream.inject(Fault::next(method, FaultKind::DropBeforeCommit));
    assert!(bench.plugin.step_at(write, &at).await.is_err());
    at
}

fn renamed(made: &Product, label: &str) -> Write {
    let wanted =
        Product { display_name: label.to_owned(), name: made.name.clone(), ..package("s") };
    update(wanted, &["display_name"])
}

#[tokio::test]
async fn renamed_product_speaks_against_absence() {
    let bench = Bench::new().await;
    let write = create(package("s"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    bench.upstream.person_renames(2, "renamed").unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!((ids(&traces), traces.incomplete.as_str()), (vec!["2"], ""));
    // A person who knows names it; one that was there before is none.
    let named = bench.plugin.search(&write, &at, &[], "2").await.unwrap();
    let Found::Found(found) = named else { panic!("{named:?}") };
    let outcome = found.outcome.unwrap().outcome.unwrap();
    assert!(matches!(outcome, Stepped::Done(_)), "{outcome:?}");
    let named = bench.plugin.search(&write, &at, &[], "1").await.unwrap();
    assert!(matches!(named, Found::Absent(_)), "{named:?}");
    // Back under its name, it is tied.
    bench.upstream.person_renames(2, "s").unwrap();
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn cut_label_speaks_against_absence() {
    let bench = Bench::in_mode(Mode { label_max: 3, ..Mode::default() }).await;
    let write = create(package("label"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["2"]);
}

#[tokio::test]
async fn persons_product_is_unexplained_and_ours_is_found_beside_it() {
    for ahead in [0, 86_400] {
        let bench = Bench::new().await;
        let write = create(package("s"));
        let at = drop_before(&bench, &write, Position::default(), CREATE).await;
        assert_eq!(absent(&bench, &write, &at, &[]).await, Default::default());
        bench.upstream.person_makes(&theirs("theirs"), ahead).unwrap();
        assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["2"]);
        // What another write was answered is explained.
        let other = bench.make(package("t")).await;
        assert_eq!(ids(&absent(&bench, &write, &at, &[id(&other.name)]).await), ["2"]);
        bench.make(package("s")).await;
        let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
        let Found::Found(found) = found else { panic!("{found:?}") };
        assert_eq!(found.upstream_id, "4");
    }
}

#[tokio::test]
async fn product_dated_ahead_in_the_baseline_hides_nothing() {
    let bench = Bench::new().await;
    bench.upstream.person_makes(&theirs("theirs"), 86_400).unwrap();
    let write = create(package("s"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    bench.upstream.person_renames(3, "renamed").unwrap();
    assert_eq!(ids(&absent(&bench, &write, &at, &[]).await), ["3"]);
}

#[tokio::test]
async fn list_that_lacks_what_exists_proves_nothing() {
    let bench = Bench::new().await;
    let mine = bench.make(package("mine")).await;
    let write = create(package("s"));
    let at = drop_before(&bench, &write, Position::default(), CREATE).await;
    assert_eq!(absent(&bench, &write, &at, &[]).await.incomplete, "");
    bench.upstream.set_mode(Mode { listing_lag_ms: 3_600_000, ..Mode::default() });
    let lacking = absent(&bench, &write, &at, &[]).await.incomplete;
    assert_eq!(lacking, "2 exists and is not listed");
    // One answer that it does not exist is asked for again.
    let missing = FaultKind::Fault { code: 404, text: String::new() };
    bench.upstream.inject(Fault::next(super::bench::SHOW, missing));
    assert_eq!(absent(&bench, &write, &at, &[]).await.incomplete, lacking);
    // What is gone is no witness; the next one is.
    bench.upstream.person_deletes(number(&mine)).unwrap();
    assert_eq!(absent(&bench, &write, &at, &[]).await.incomplete, "");
    bench.upstream.person_deletes(1).unwrap();
    let nothing = absent(&bench, &write, &at, &[]).await.incomplete;
    assert_eq!(nothing, "nothing that the account is known to have is listed");
}

#[tokio::test]
async fn evidence_of_version_one_is_judged_as_then() {
    let bench = Bench::new().await;
    let write = create(package("s"));
    let mut at = lose(&bench, &write, Position::default(), CREATE).await;
    at.evidence.evidence = br#"[1,{"products":{"alike":[]}}]"#.to_vec();
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
    bench.upstream.person_renames(2, "renamed").unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!(ids(&traces), [""; 0]);
    assert!(!traces.incomplete.is_empty(), "nothing that is known shows that the list is whole");
}

#[tokio::test]
async fn product_under_an_identifier_that_came_back_is_shown() {
    let bench = Bench::in_mode(Mode { reuse_ids: true, ..Mode::default() }).await;
    let gone = bench.make(package("gone")).await;
    let write = create(package("s"));
    let at = bench.before(&write, Position::default()).await;
    bench.upstream.person_deletes(number(&gone)).unwrap();
    let at = lose(&bench, &write, at.clone(), CREATE).await;
    // The evidence is younger here, and the identifier stood in neither.
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");

    // Deleted between the baseline and the sale: the host asks for it by its identifier.
    let again = bench.before(&create(package("t")), Position::default()).await;
    bench.upstream.person_deletes(2).unwrap();
    bench.upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
    let write = create(package("t"));
    assert!(bench.plugin.step_at(&write, &again).await.is_err());
    let claimed = absent(&bench, &write, &again, &["2"]).await;
    assert_eq!(ids(&claimed), [""; 0]);
    let named = bench.plugin.search(&write, &again, &["2"], "2").await.unwrap();
    assert!(matches!(named, Found::Found(_)), "{named:?}");
}

#[tokio::test]
async fn change_is_not_sent_over_a_persons() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let write = renamed(&made, "t");
    let at = drop_before(&bench, &write, Position::default(), PATCH).await;
    assert_eq!(absent(&bench, &write, &at, &[]).await, Default::default());
    // Ours came through, and a person has changed it since.
    assert!(matches!(bench.plugin.step_at(&write, &at).await.unwrap(), Stepped::Pending(_)));
    bench.upstream.person_renames(number(&made), "u").unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert!(traces.incomplete.ends_with("was changed by somebody since"), "{traces:?}");
    bench.upstream.person_deletes(number(&made)).unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert!(traces.incomplete.ends_with("is not there any more"), "{traces:?}");
}

#[tokio::test]
async fn setting_is_not_sent_to_another_product_of_the_same_identifier() {
    for documented_times in [true, false] {
        let mode = Mode { documented_times, reuse_ids: true, ..Mode::default() };
        let bench = Bench::in_mode(mode).await;
        let made = bench.make(package("s")).await;
        let change = renamed(&made, "t");
        let deletion = delete(&made.name, false);
        let changing = drop_before(&bench, &change, Position::default(), PATCH).await;
        let deleting = drop_before(&bench, &deletion, Position::default(), DELETE).await;
        assert_eq!(absent(&bench, &deletion, &deleting, &[]).await, Default::default());
        bench.upstream.person_deletes(2).unwrap();
        bench.upstream.advance(Duration::from_secs(1));
        assert_eq!(bench.upstream.person_makes(&theirs("new"), 0).unwrap(), 2);

        let traces = absent(&bench, &change, &changing, &[]).await;
        assert!(!traces.incomplete.is_empty(), "{traces:?}");
        let found = bench.plugin.search(&deletion, &deleting, &[], "").await.unwrap();
        let asked = bench.asked(DELETE);
        // Sent again all the same, it would find out before it sends anything.
        let stepped = bench.plugin.step_at(&deletion, &deleting).await;
        if documented_times {
            assert!(matches!(found, Found::Found(_)), "another is there: the first is gone");
            assert!(matches!(stepped, Ok(Stepped::Done(_))), "{stepped:?}");
            let error = bench.plugin.step_at(&change, &changing).await.unwrap_err();
            assert_eq!(error.reason, ErrorReason::StateConflict);
        } else {
            let Found::Absent(traces) = found else { panic!("{found:?}") };
            assert!(traces.incomplete.contains("is another product"), "{traces:?}");
            assert_eq!(stepped.unwrap_err().reason, ErrorReason::StateConflict);
        }
        assert_eq!(bench.asked(DELETE), asked);
    }
}

#[tokio::test]
async fn deletion_sent_again_keeps_the_first_target() {
    let bench = Bench::in_mode(Mode { documented_times: true, reuse_ids: true, ..Mode::default() });
    let bench = bench.await;
    bench.make(package("s")).await;
    let write = delete("providers/test/products/2", false);
    let first = bench.before(&write, Position::default()).await;
    bench.upstream.person_deletes(2).unwrap();
    bench.upstream.advance(Duration::from_secs(1));
    bench.upstream.person_makes(&theirs("new"), 0).unwrap();
    let again = bench.before(&write, first).await;
    assert!(matches!(bench.plugin.step_at(&write, &again).await.unwrap(), Stepped::Done(_)));
    assert_eq!(bench.asked(DELETE), 0);
}

#[tokio::test]
async fn deletion_without_evidence_is_not_repeated() {
    let bench = Bench::new().await;
    let made = bench.make(resource("r", ResourceKind::Cpu)).await;
    let write = delete(&made.name, false);
    let at = Position { step: 1, ..Position::default() };
    assert!(!absent(&bench, &write, &at, &[]).await.incomplete.is_empty());
}

#[tokio::test]
async fn rule_that_a_person_changed_speaks_against_absence() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let write = update(Product { name: made.name, ..sold("s") }, &["offers"]);
    let at = bench.step(&write, Position::default()).await;
    let at = lose(&bench, &write, at, RULE).await;
    bench.upstream.person_reprices(1, "7").unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!((ids(&traces), traces.alike_ids.len()), (vec!["1"], 0));
    bench.upstream.person_reprices(1, "0.00535").unwrap();
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn plan_that_lacks_what_stood_in_it_proves_nothing() {
    let bench = Bench::new().await;
    let sold_first = bench.make(sold("first")).await;
    let made = bench.make(package("s")).await;
    let write = update(Product { name: made.name, ..sold("s") }, &["offers"]);
    let at = drop_before(&bench, &write, Position::default(), RESOURCE).await;
    assert_eq!(absent(&bench, &write, &at, &[]).await, Default::default());
    bench.upstream.person_takes_out(number(&sold_first)).unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert_eq!(traces.incomplete, "product 2 exists and is not in the billing plan");
    bench.upstream.person_deletes(number(&sold_first)).unwrap();
    let traces = absent(&bench, &write, &at, &[]).await;
    assert!(traces.incomplete.starts_with("no product that stood"), "{traces:?}");
}
