//! Answers that were lost, at each step: what was made is found, or nobody can know, and never more
//! is said than the upstream shows.

use std::time::Duration;

use purveyor_sdk::Standing;
use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Found};
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::Product;
use purveyor_sdk::v1::product::{Package, Shape};
use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::bench::{
    Bench, CREATE, PATCH, RESOURCE, RULE, absent, bundle, create, id, lose, package, sold, stands,
    update,
};

/// What a search found, and how the write goes on.
async fn found(bench: &Bench, write: &Write, at: &Position) -> (String, Stepped) {
    match bench.plugin.search(write, at, &[], "").await.unwrap() {
        Found::Found(found) => (found.upstream_id, found.outcome.unwrap().outcome.unwrap()),
        other => panic!("{other:?}"),
    }
}

fn next(stepped: Stepped, at: &Position) -> Position {
    match stepped {
        Stepped::Next(next) => at.after(next.handle),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_product_is_found_among_those_that_are_new() {
    let bench = Bench::new().await;
    // One that is the same in everything, but was there before.
    let twin = bench.make(package("s")).await;
    let write = create(package("s"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    assert_eq!(at.evidence.present_ids, ["1", id(&twin.name)]);
    assert_eq!(at.evidence.highest_id, "", "identifiers may come back");
    assert_eq!(at.evidence.similarity, "product s");
    let (id, stepped) = found(&bench, &write, &at).await;
    assert_eq!(id, "3");
    let Stepped::Done(done) = stepped else { panic!("{stepped:?}") };
    let shown = bench.get("providers/test/products/3").await.unwrap();
    assert_eq!(done.resource.unwrap().kind.unwrap(), shown.into());
    // What another write has claimed is no evidence.
    let claimed = bench.plugin.search(&write, &at, &["3"], "").await.unwrap();
    assert!(matches!(claimed, Found::Absent(_)), "{claimed:?}");
}

#[tokio::test]
async fn what_was_not_made_is_absent() {
    let bench = Bench::new().await;
    bench.make(package("s")).await;
    let write = create(package("s"));
    let at = bench.before(&write, Position::default()).await;
    bench.upstream.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    assert!(bench.plugin.step_at(&write, &at).await.is_err());
    // The gateway makes something else meanwhile.
    let other = bench.make(package("other")).await;
    assert_eq!(absent(&bench, &write, &at, &[id(&other.name)]).await, Absent::default());
}

#[tokio::test]
async fn what_is_alike_and_does_not_fit_is_for_a_person() {
    let bench = Bench::new().await;
    let write = create(package("s"));
    let at = bench.before(&write, Position::default()).await;
    let check = async |product: Product, expected: &[&str]| {
        bench.make(product).await;
        match bench.plugin.search(&write, &at, &[], "").await.unwrap() {
            Found::Absent(several) => {
                let ids: Vec<_> = several.unexplained.iter().map(|it| it.id()).collect();
                assert_eq!(ids, expected);
            }
            other => panic!("{other:?}"),
        }
    };
    check(Product { group: "large".to_owned(), ..package("s") }, &["2"]).await;
    check(Product { display_name: "S".to_owned(), ..package("s") }, &["2", "3"]).await;
    // One that fits is the one; two that fit are nobody's.
    bench.make(package("s")).await;
    let (id, _) = found(&bench, &write, &at).await;
    assert_eq!(id, "4");
    check(package("s"), &["2", "3", "4", "5"]).await;
}

#[tokio::test]
async fn an_operator_may_name_the_product() {
    let bench = Bench::new().await;
    bench.make(package("s")).await;
    let write = create(package("s"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    bench.make(package("s")).await;
    let named = async |id: &str| bench.plugin.search(&write, &at, &[], id).await.unwrap();
    assert!(matches!(named("3").await, Found::Found(_)));
    for wrong in ["1", "2", "9", "x"] {
        assert!(matches!(named(wrong).await, Found::Absent(_)), "{wrong}");
    }
}

#[tokio::test]
async fn a_list_that_lags_shows_it_later() {
    let mode = Mode { listing_lag_ms: 3_600_000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let write = create(package("s"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    let looked = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(looked, Found::Absent(_)), "{looked:?}");
    bench.upstream.advance(Duration::from_secs(3600));
    assert_eq!(found(&bench, &write, &at).await.0, "2");
}

#[tokio::test]
async fn a_late_product_is_found_when_it_is_there() {
    let bench = Bench::new().await;
    let write = create(package("s"));
    let at = bench.before(&write, Position::default()).await;
    bench.upstream.inject(Fault::next(CREATE, FaultKind::LateCommit { ms: 3_600_000 }));
    assert!(bench.plugin.step_at(&write, &at).await.is_err());
    let looked = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(looked, Found::Absent(_)), "{looked:?}");
    bench.upstream.advance(Duration::from_secs(3600));
    while bench.upstream.ledger().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(found(&bench, &write, &at).await.0, "2");
}

#[tokio::test]
async fn every_step_of_a_sellable_product_can_lose_its_answer() {
    let bench = Bench::new().await;
    let write = create(sold("s"));
    let mut at = Position::default();
    for method in [CREATE, RESOURCE, RULE, RULE] {
        at = lose(&bench, &write, at, method).await;
        let (id, stepped) = found(&bench, &write, &at).await;
        assert_eq!(id.is_empty(), method != CREATE, "only the product is claimed");
        at = next(stepped, &at);
    }
    let at = bench.before(&write, at).await;
    let sent = bench.plugin.sent().len();
    let stepped = bench.plugin.step_at(&write, &at).await.unwrap();
    let Stepped::Done(done) = stepped else { panic!("{stepped:?}") };
    let shown = bench.get("providers/test/products/2").await.unwrap();
    assert_eq!(shown.offers.len(), 2);
    assert_eq!(done.resource.unwrap().kind.unwrap(), shown.into());
    assert!(bench.plugin.sent()[sent..].iter().all(|call| call.ends_with(".get")), "reads only");
    let rule = Kind::PriceRuleAdd;
    assert_eq!(bench.done(), [Kind::ProductAdd, Kind::BillingResourceAdd, rule, rule]);
}

#[tokio::test]
async fn a_rule_that_was_not_made_is_absent() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let wanted = Product { name: made.name, ..sold("s") };
    let write = update(wanted, &["offers"]);
    let mut at = Position::default();
    for method in [RESOURCE, RULE] {
        at = bench.before(&write, at).await;
        bench.upstream.inject(Fault::next(method, FaultKind::DropBeforeCommit));
        assert!(bench.plugin.step_at(&write, &at).await.is_err());
        for named in ["", "1", "77"] {
            let looked = bench.plugin.search(&write, &at, &[], named).await.unwrap();
            assert!(matches!(looked, Found::Absent(_)), "{method} {looked:?}");
        }
        at = bench.step(&write, at).await;
    }
    let kinds = [Kind::ProductAdd, Kind::BillingResourceAdd, Kind::PriceRuleAdd];
    assert_eq!(bench.done(), kinds);
}

#[tokio::test]
async fn a_place_in_the_plan_that_is_there_twice_is_for_a_person() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let write = update(Product { name: made.name, ..sold("s") }, &["offers"]);
    let at = lose(&bench, &write, Position::default(), RESOURCE).await;
    // The upstream takes the same again; another gateway, or a person, did so.
    let again = bench.plugin.step_at(&write, &at).await.unwrap();
    let Stepped::Pending(pending) = again else { panic!("{again:?}") };
    let several = absent(&bench, &write, &at, &[]).await;
    assert_eq!((several.unexplained.len(), several.alike_ids.len()), (2, 2));
    let (standing, error) = stands(&bench, &write, &pending.handle).await;
    assert_eq!(standing, Standing::EffectAwaited);
    assert!(error.message.contains("more than once"), "{}", error.message);
}

#[tokio::test]
async fn a_change_is_sent_again_unless_it_is_there() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let part = Package { memory_mb: Some(2048), ..Package::default() };
    let wanted = Product {
        name: made.name.clone(),
        display_name: "t".to_owned(),
        shape: Some(Shape::Package(part)),
        ..Product::default()
    };
    let write = update(wanted, &["display_name", "package.memory_mb"]);
    let at = bench.before(&write, Position::default()).await;
    bench.upstream.inject(Fault::next(PATCH, FaultKind::DropBeforeCommit));
    assert!(bench.plugin.step_at(&write, &at).await.is_err());
    let looked = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(looked, Found::Absent(_)), "{looked:?}");

    let at = lose(&bench, &write, at, PATCH).await;
    let (id, stepped) = found(&bench, &write, &at).await;
    let Stepped::Done(done) = stepped else { panic!("{stepped:?}") };
    let shown = bench.get(&made.name).await.unwrap();
    assert_eq!((id.as_str(), bundle(&shown).memory_mb), ("", Some(2048)));
    assert_eq!(done.resource.unwrap().kind.unwrap(), shown.into());
}

#[tokio::test]
async fn another_instance_goes_on_where_the_first_was_lost() {
    let bench = Bench::new().await;
    let write = create(sold("s"));
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    let (_, stepped) = found(&bench, &write, &at).await;
    let at = next(stepped, &at);
    let configuration =
        purveyor_sdk::serde_json::json!({ "billing_plan": 1, "regions": { "fra": 1, "nyc": 2 } });
    let plugin = bench.reopened(configuration);
    let at = plugin.prepared(&write, at).await.unwrap();
    assert!(matches!(plugin.step_at(&write, &at).await.unwrap(), Stepped::Pending(_)));
    assert_eq!(bench.done(), [Kind::ProductAdd, Kind::BillingResourceAdd]);
}
