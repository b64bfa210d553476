//! Success is the effect: what the upstream accepted is done when it reads as it was asked for, and
//! whatever it reads until then is told, and not counted.

use std::time::Duration;

use purveyor_sdk::Standing;
use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::product::{Package, Shape};
use purveyor_sdk::v1::{ErrorReason, Product};
use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::bench::{
    Bench, RULE, SHOW, bundle, create, delete, lose, number, package, sold, stands, update,
};

const LAG: Duration = Duration::from_secs(30);

fn lagging() -> Mode {
    Mode { effect_lag_ms: 30_000, ..Mode::default() }
}

/// A record that is not there, as the upstream answers.
fn missing() -> FaultKind {
    FaultKind::Fault { code: 404, text: String::new() }
}

/// The handle of a step that was accepted and is awaited.
async fn accepted(bench: &Bench, write: &Write, at: Position) -> Vec<u8> {
    let at = bench.before(write, at).await;
    match bench.plugin.step_at(write, &at).await.unwrap() {
        Stepped::Pending(pending) => pending.handle,
        other => panic!("{other:?}"),
    }
}

async fn is_done(bench: &Bench, write: &Write, handle: &[u8]) -> bool {
    matches!(bench.plugin.poll_one(write, handle).await.unwrap(), Polled::Done(_))
}

#[tokio::test]
async fn product_answered_otherwise_than_asked_is_awaited() {
    let cut = Mode { label_max: 3, ..Mode::default() };
    for product in [package("label"), sold("label")] {
        let bench = Bench::in_mode(cut.clone()).await;
        let write = create(product.clone());
        let handle = accepted(&bench, &write, Position::default()).await;
        let (standing, error) = stands(&bench, &write, &handle).await;
        assert_eq!(
            (standing, error.reason),
            (Standing::EffectAwaited, ErrorReason::UpstreamFailed)
        );
        let expected =
            "the upstream accepted providers/test/products/2, and its label is not as asked";
        assert_eq!(error.message, expected);
        bench.upstream.set_mode(Mode::default());
        bench.upstream.person_renames(2, "label").unwrap();
        let polled = bench.plugin.poll_one(&write, &handle).await.unwrap();
        assert_eq!(matches!(polled, Polled::Done(_)), product.offers.is_empty(), "{polled:?}");
        assert_eq!(matches!(polled, Polled::Next(_)), !product.offers.is_empty(), "{polled:?}");
    }
}

#[tokio::test]
async fn change_answered_otherwise_than_asked_is_awaited() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    bench.upstream.set_mode(Mode { label_max: 3, ..Mode::default() });
    let wanted = Product { display_name: "label".to_owned(), name: made.name, ..package("s") };
    let write = update(wanted, &["display_name"]);
    let handle = accepted(&bench, &write, Position::default()).await;
    assert_eq!(stands(&bench, &write, &handle).await.0, Standing::EffectAwaited);
    bench.upstream.set_mode(Mode::default());
    bench.upstream.person_renames(2, "label").unwrap();
    assert!(is_done(&bench, &write, &handle).await);
}

#[tokio::test]
async fn change_of_a_part_is_done_when_reads_show_it() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    bench.upstream.set_mode(lagging());
    let part = |memory_mb, storage_gb| {
        let part = Package { memory_mb, storage_gb, ..Package::default() };
        Product { name: made.name.clone(), shape: Some(Shape::Package(part)), ..package("s") }
    };
    let memory = update(part(Some(2048), None), &["package.memory_mb"]);
    let handle = accepted(&bench, &memory, Position::default()).await;
    assert_eq!(stands(&bench, &memory, &handle).await.0, Standing::EffectAwaited);
    bench.upstream.inject(Fault::next(SHOW, missing()));
    assert_eq!(stands(&bench, &memory, &handle).await.0, Standing::Unclear);
    bench.upstream.advance(LAG);
    assert!(is_done(&bench, &memory, &handle).await);
    // The next change of another part keeps this one.
    let storage = update(part(None, Some(40)), &["package.storage_gb"]);
    let handle = accepted(&bench, &storage, Position::default()).await;
    bench.upstream.advance(LAG);
    assert!(is_done(&bench, &storage, &handle).await);
    let shown = bench.get(&made.name).await.unwrap();
    assert_eq!((bundle(&shown).memory_mb, bundle(&shown).storage_gb), (Some(2048), Some(40)));
}

#[tokio::test]
async fn parts_that_show_late_are_awaited_and_made_once() {
    let bench = Bench::in_mode(lagging()).await;
    let write = create(sold("s"));
    let mut at = bench.step(&write, Position::default()).await;
    for last in [false, false, true] {
        let handle = accepted(&bench, &write, at.clone()).await;
        // Before it shows at all, and as often as it is asked for.
        for _ in 0..20 {
            let (standing, _) = stands(&bench, &write, &handle).await;
            let product_shows = at.step > 2;
            let expected = if product_shows { Standing::EffectAwaited } else { Standing::Unclear };
            assert_eq!(standing, expected);
        }
        bench.upstream.advance(LAG);
        if last {
            assert!(is_done(&bench, &write, &handle).await);
        } else {
            at = at.after(bench.next(&write, &handle).await);
        }
    }
    let rule = Kind::PriceRuleAdd;
    assert_eq!(bench.done(), [Kind::ProductAdd, Kind::BillingResourceAdd, rule, rule]);
}

#[tokio::test]
async fn missing_record_after_acceptance_is_unclear_and_then_done() {
    let bench = Bench::new().await;
    let write = create(sold("s"));
    let mut at = Position::default();
    for _ in 0..3 {
        at = bench.step(&write, at).await;
    }
    let handle = accepted(&bench, &write, at).await;
    bench.upstream.inject(Fault::next(SHOW, missing()));
    let (standing, error) = stands(&bench, &write, &handle).await;
    assert_eq!(standing, Standing::Unclear);
    assert!(error.message.ends_with("and does not know it"), "{}", error.message);
    assert!(is_done(&bench, &write, &handle).await);
    // The handle of an earlier version, which counted.
    let earlier = br#"[1,{"verify":{"product":2,"looks":5}}]"#;
    assert!(is_done(&bench, &write, earlier).await);
}

#[tokio::test]
async fn refused_rule_is_the_final_word_unless_all_is_there() {
    let bench = Bench::new().await;
    let write = create(sold("s"));
    let mut at = Position::default();
    for _ in 0..3 {
        at = bench.step(&write, at).await;
    }
    let text = "Max qty value already exists".to_owned();
    bench.upstream.inject(Fault::next(RULE, FaultKind::Fault { code: 422, text }));
    let at = bench.before(&write, at).await;
    let stepped = bench.plugin.step_at(&write, &at).await.unwrap();
    let Stepped::Rejected(rejected) = stepped else { panic!("{stepped:?}") };
    // One answer that the product is missing does not tell that it is.
    bench.upstream.inject(Fault::next(SHOW, missing()));
    assert_eq!(stands(&bench, &write, &rejected.handle).await.0, Standing::NotDone);
    let polled = bench.plugin.poll_one(&write, &rejected.handle).await.unwrap();
    assert!(matches!(polled, Polled::Failed(_)), "{polled:?}");
    assert!(matches!(bench.plugin.step_at(&write, &at).await.unwrap(), Stepped::Pending(_)));
    assert!(is_done(&bench, &write, &rejected.handle).await);
}

#[tokio::test]
async fn rule_repriced_by_a_person_is_not_done() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let wanted =
        Product { name: made.name, offers: sold("s").offers[..1].to_vec(), ..package("s") };
    let write = update(wanted, &["offers"]);
    let at = bench.step(&write, Position::default()).await;
    let handle = accepted(&bench, &write, at).await;
    bench.upstream.person_reprices(1, "7").unwrap();
    let (standing, error) = stands(&bench, &write, &handle).await;
    assert_eq!(standing, Standing::EffectAwaited);
    assert!(error.message.contains("price rule 1 is 7 EUR"), "{}", error.message);
}

#[tokio::test]
async fn deletion_is_done_when_the_product_is_gone() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    bench.upstream.set_mode(lagging());
    let write = delete(&made.name, false);
    let handle = accepted(&bench, &write, Position::default()).await;
    let (standing, error) = stands(&bench, &write, &handle).await;
    assert_eq!(standing, Standing::EffectAwaited);
    assert!(error.message.ends_with("and still shows it"), "{}", error.message);
    // One answer that there is no such record is none where the list shows it.
    bench.upstream.inject(Fault::next(SHOW, missing()));
    assert_eq!(stands(&bench, &write, &handle).await.0, Standing::EffectAwaited);
    bench.upstream.advance(LAG);
    assert!(is_done(&bench, &write, &handle).await);
}

#[tokio::test]
async fn missing_product_is_not_gone_while_it_is_listed() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let write = delete(&made.name, true);
    let at = bench.before(&write, Position::default()).await;
    bench.upstream.inject(Fault::next(SHOW, missing()).times(2));
    let error = bench.plugin.step_at(&write, &at).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
    let at = lose(&bench, &write, at, super::bench::DELETE).await;
    assert_eq!(number(&made), 2);
    bench.upstream.inject(Fault::next(SHOW, missing()));
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, purveyor_sdk::plugin::v1::find_response::Outcome::Found(_)));
}
