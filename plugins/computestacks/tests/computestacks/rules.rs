//! Price rules: a product that can be sold when its creation has succeeded, one that is left half
//! made, and how that is completed.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::resource;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{Ended, Position};
use purveyor_sdk::v1::term::Kind as TermKind;
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason, Product};
use purveyor_sdk::{Error, Standing};
use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::bench::{
    Bench, PLAN, RESOURCE, RULE, create, fields, offer, package, sold, stands, update,
};

/// Price, currency, largest quantity, regions and phase of each offer.
fn offers(product: &Product) -> Vec<(String, i32, Vec<&str>, &str)> {
    let offers = product.offers.iter().map(|offer| {
        let price = offer.price.as_ref().and_then(|price| price.amount.as_ref()).unwrap();
        let regions = offer.regions.iter().map(String::as_str).collect();
        (price.to_string(), offer.max_quantity, regions, offer.phase.as_str())
    });
    offers.collect()
}

#[tokio::test]
async fn a_product_with_offers_can_be_sold_when_it_is_made() {
    let bench = Bench::new().await;
    let mut product = sold("s");
    product.offers[0].max_quantity = 5;
    let made = bench.make(product).await;
    let expected = [
        ("0.00535 EUR".to_owned(), 5, vec!["fra"], "final"),
        ("6 USD".to_owned(), 0, vec!["fra", "nyc"], "final"),
    ];
    assert_eq!(offers(&made), expected);
    let term = made.offers[0].term.as_ref().unwrap();
    assert_eq!((term.kind(), term.upstream_value.as_str()), (TermKind::Metered, "month"));
    assert_eq!(bench.get(&made.name).await.unwrap(), made);
    let rule = Kind::PriceRuleAdd;
    assert_eq!(bench.done(), [Kind::ProductAdd, Kind::BillingResourceAdd, rule, rule]);
}

#[tokio::test]
async fn a_plan_that_is_not_there_is_found_out_before_there_is_a_product() {
    let bench =
        Bench::with(Mode::default(), json!({ "billing_plan": 9, "regions": {"fra": 1} })).await;
    let error = bench.run(&create(sold_in_fra())).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    assert!(bench.done().is_empty());
    let without = Bench::with(Mode::default(), json!({})).await;
    let error = without.run(&create(sold_in_fra())).await.error();
    assert_eq!(fields(&error), ["product.offers"]);
}

fn sold_in_fra() -> Product {
    Product { offers: vec![offer("EUR", "1", &["fra"])], ..package("s") }
}

/// A creation that ends half way, and the product that it leaves.
async fn half_made(bench: &Bench, fault: Fault) -> (purveyor_sdk::Error, Product) {
    bench.upstream.inject(fault);
    match bench.run(&create(sold("s"))).await {
        Ended::Failed(error, Some(resource::Kind::Product(product))) => (error, product),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_step_names_what_exists_and_what_is_missing() {
    let refusal = || FaultKind::Fault { code: 422, text: "Regions are closed".to_owned() };
    let bench = Bench::new().await;
    let (error, product) = half_made(&bench, Fault::next(RULE, refusal()).after(1)).await;
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    let expected = "providers/test/products/2 exists and lacks its price of 6 USD in the regions 1, 2: the upstream refuses: Regions are closed";
    assert_eq!(error.message, expected);
    assert_eq!(error.metadata["product"], "providers/test/products/2");
    assert_eq!(error.metadata["lacks"], "its price of 6 USD in the regions 1, 2");
    assert_eq!(product.offers.len(), 1, "the view shows what is there");

    let bench = Bench::new().await;
    let (error, product) = half_made(&bench, Fault::next(RESOURCE, refusal())).await;
    assert!(
        error.message.contains("lacks its place in the billing plan; its price of 0.00535 EUR")
    );
    assert!(product.offers.is_empty());
    assert_eq!(bench.done(), [Kind::ProductAdd]);

    // What is missing, and nothing else, is made by an update.
    let wanted = Product { name: product.name, ..sold("s") };
    let quote = bench.plugin.quote(&update(wanted.clone(), &["offers"])).await.unwrap();
    assert_eq!(quote.steps.len(), 3);
    let completed = bench.run(&update(wanted.clone(), &["offers"])).await.product();
    assert_eq!(offers(&completed).len(), 2);
    let rule = Kind::PriceRuleAdd;
    let all = [Kind::ProductAdd, Kind::BillingResourceAdd, rule, rule];
    assert_eq!(bench.done(), all);
    let again = bench.run(&update(wanted, &["offers"])).await.product();
    assert_eq!(again, completed);
    assert_eq!(bench.done(), all, "nothing was missing");
}

#[tokio::test]
async fn plan_that_is_missing_once_does_not_end_the_write() {
    // The first step finds the plan; the evidence of the second does not.
    for text in ["Unknown API Call.", ""] {
        let bench = Bench::new().await;
        let write = create(sold("s"));
        let at = bench.before(&write, Position::default()).await;
        let Stepped::Next(next) = bench.plugin.step_at(&write, &at).await.unwrap() else {
            panic!()
        };
        let gone = FaultKind::Fault { code: 404, text: text.to_owned() };
        bench.upstream.inject(Fault::next(PLAN, gone.clone()));
        let at = bench.before(&write, at.after(next.handle)).await;
        let Stepped::Rejected(rejected) = bench.plugin.step_at(&write, &at).await.unwrap() else {
            panic!()
        };
        let error = Error::from(rejected.error.unwrap());
        assert!(error.message.starts_with("providers/test/products/2 exists, and its price rules"));
        // As long as it is missing, nothing shows that the rules were made, and nothing was sent.
        bench.upstream.inject(Fault::next(PLAN, gone));
        let (standing, stands) = stands(&bench, &write, &rejected.handle).await;
        assert_eq!((standing, &stands.message), (Standing::NotDone, &error.message));
        let polled = bench.plugin.poll_one(&write, &rejected.handle).await.unwrap();
        let Polled::Next(next) = polled else { panic!("{polled:?}") };
        bench.step(&write, at.after(next.handle)).await;
        assert_eq!(bench.done(), [Kind::ProductAdd, Kind::BillingResourceAdd]);
    }
}

#[tokio::test]
async fn a_refusal_of_what_is_there_already_is_no_failure() {
    let bench = Bench::new().await;
    // Taken, and answered as if it had been there before.
    let text = "Max qty value already exists".to_owned();
    let taken = Fault::next(RULE, FaultKind::Fault { code: 422, text }).committed().after(1);
    bench.upstream.inject(taken);
    let made = bench.make(sold("s")).await;
    assert_eq!(made.offers.len(), 2);
}

#[tokio::test]
async fn prices_that_contradict_change_nothing() {
    let bench = Bench::new().await;
    let made = bench.make(sold("s")).await;
    let before = bench.done().len();
    let dearer = Product {
        display_name: "t".to_owned(),
        offers: vec![offer("EUR", "1", &["fra"])],
        name: made.name.clone(),
        ..Product::default()
    };
    for paths in [&["offers"][..], &["display_name", "offers"]] {
        let error = bench.run(&update(dearer.clone(), paths)).await.error();
        assert_eq!(error.reason, ErrorReason::StateConflict, "{paths:?}");
        assert!(error.message.contains("has to be deleted upstream first"), "{}", error.message);
    }
    assert_eq!(bench.done().len(), before);
    let none = Product { offers: vec![], ..dearer };
    let error = bench.run(&update(none, &["offers"])).await.error();
    assert_eq!(fields(&error), ["product.offers"]);
}

#[tokio::test]
async fn fields_and_offers_go_together() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let wanted = Product { display_name: "t".to_owned(), name: made.name.clone(), ..sold("s") };
    let changed = bench.run(&update(wanted, &["display_name", "offers"])).await.product();
    assert_eq!((changed.display_name.as_str(), changed.offers.len()), ("t", 2));
    assert_eq!(changed.etag, bench.get(&made.name).await.unwrap().etag);
}

/// A product that is sold for 0.00535 EUR and 6 USD, the first in another spelling of the upstream.
async fn respelled(value: &str) -> (Bench, Product) {
    let bench = Bench::new().await;
    let made = bench.make(sold("s")).await;
    let (from, to) = (r#""price":"0.00535""#.to_owned(), format!(r#""price":{value}"#));
    let fault = Fault::next(PLAN, FaultKind::Respell { from, to });
    bench.upstream.inject(fault.times(u32::MAX));
    (bench, made)
}

/// `amount|ceiling|text` of each offer.
fn prices(product: &Product) -> Vec<String> {
    let shown = product.offers.iter().map(|offer| {
        let price = offer.price.clone().unwrap();
        let [amount, ceiling] = [price.amount, price.ceiling.map(|it| *it)]
            .map(|amount| amount.map(|amount| amount.to_string()).unwrap_or_default());
        format!("{amount}|{ceiling}|{}", price.display_text)
    });
    shown.collect()
}

#[tokio::test]
async fn a_price_in_any_spelling_hides_nothing_and_renaming_goes_on() {
    let check = async |value: &str, expected: &str, understood: bool| {
        let (bench, made) = respelled(value).await;
        let shown = bench.get(&made.name).await.unwrap();
        assert_eq!(prices(&shown), [expected, "6 USD||"], "{value}");
        let wrong: Vec<_> =
            shown.notices.iter().filter(|it| it.reason == "PRICE_NOT_UNDERSTOOD").collect();
        assert_eq!(wrong.is_empty(), understood, "{value}");
        let wanted =
            Product { display_name: "t".to_owned(), name: made.name, ..Product::default() };
        let changed = bench.run(&update(wanted, &["display_name"])).await.product();
        assert_eq!((changed.display_name.as_str(), changed.offers.len()), ("t", 2), "{value}");
        // Another product is made, with price rules of its own.
        let other = bench.make(sold("other")).await;
        assert_eq!(other.offers.len(), 2, "{value}");
        let request = CheckProviderRequest { name: "providers/test".to_owned() };
        let checked: CheckProviderResponse =
            bench.plugin.read(Op::CheckProvider, &request, "").await.unwrap();
        let found = checked.findings.iter().filter(|it| it.reason == "PRICE_NOT_UNDERSTOOD");
        assert_eq!(found.count() == 0, understood, "{value}");
    };
    let rounded = "0.000136986 EUR|0.000136987 EUR|";
    for digits in ["0.0001369863", "0.1369863e-3"] {
        check(&format!("{digits:?}"), &format!("{rounded}{digits}"), true).await;
    }
    check(r#""0.1000000000""#, "0.1 EUR||", true).await;
    check("1e1", "10 EUR||", true).await;
    for none in ["n/a", "NaN", "1,234.50"] {
        check(&format!("{none:?}"), &format!("||{none}"), false).await;
    }
    check("1e400", "||1e400", false).await;
    check("null", "||", false).await;
    check("[1]", "||[1]", false).await;
}

#[tokio::test]
async fn only_what_depends_on_a_price_that_is_none_is_refused() {
    let (bench, made) = respelled(r#""n/a""#).await;
    let before = bench.done().len();
    let depends = |amount: &str| Product {
        offers: vec![offer("EUR", amount, &["fra"])],
        name: made.name.clone(),
        ..Product::default()
    };
    for write in [depends("0.00535"), depends("1")].map(|it| update(it, &["offers"])) {
        let quoted = bench.plugin.quote(&write).await.unwrap_err();
        let error = bench.run(&write).await.error();
        for error in [quoted, error] {
            assert_eq!(error.reason, ErrorReason::PriceUnknown);
            let path = "billing_resources/1/billing_phases/1/billing_resource_prices/1.price";
            assert_eq!((&*error.metadata["digits"], &*error.metadata["path"]), ("n/a", path));
        }
    }
    assert_eq!(bench.done().len(), before);
    let wanted = Product {
        offers: vec![offer("GBP", "5", &["fra"])],
        name: made.name.clone(),
        ..Product::default()
    };
    let changed = bench.run(&update(wanted, &["offers"])).await.product();
    assert_eq!(prices(&changed), ["||n/a", "6 USD||", "5 GBP||"]);
}

#[tokio::test]
async fn a_rounded_price_that_is_given_back_is_the_one_that_is_there() {
    let (bench, made) = respelled(r#""0.0001369863""#).await;
    let mut shown = bench.get(&made.name).await.unwrap();
    let before = bench.done().len();
    // As a caller does who reads, changes a field and sends everything.
    shown.display_name = "t".to_owned();
    let changed = bench.run(&update(shown.clone(), &[])).await.product();
    assert_eq!(changed.display_name, "t");
    assert_eq!(bench.done()[before..], [Kind::ProductUpdate]);
    // The rounded amount alone is another price, and no rule is made of a rounded one.
    shown.offers.truncate(1);
    let price = shown.offers[0].price.as_mut().unwrap();
    let ceiling = price.ceiling.take();
    let error = bench.run(&update(shown.clone(), &["offers"])).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    let price = shown.offers[0].price.as_mut().unwrap();
    price.ceiling = ceiling;
    shown.offers[0].max_quantity = 7;
    let error = bench.run(&update(shown, &["offers"])).await.error();
    assert_eq!(fields(&error), ["product.offers[0].price.ceiling"]);
}
