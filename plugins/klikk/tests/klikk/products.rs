//! The configured catalogue, and prices where there are any.

use purveyor_sdk::Period;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::{Value, from_str, json};
use purveyor_sdk::v1::{
    ErrorReason, GetProductRequest, ListProductsRequest, ListProductsResponse, Order, Product, Term,
};
use purveyor_simulators::klikk::Options;

use super::driver::{Bench, item, open, order, order_of, parent, reason};

async fn list(bench: &Bench) -> Vec<Product> {
    let request = ListProductsRequest { parent: parent(), ..Default::default() };
    let page: purveyor_sdk::Result<ListProductsResponse> =
        bench.plugin.read(Op::ListProducts, &request, "").await;
    page.unwrap().products
}

async fn get(bench: &Bench, name: &str) -> purveyor_sdk::Result<Product> {
    let request = GetProductRequest { name: name.to_owned(), ..Default::default() };
    bench.plugin.read(Op::GetProduct, &request, "").await
}

fn priced() -> Value {
    json!({ "products": {
        "VPS": { "display_name": "Server", "term": "P1M", "price": {
            "amount": "99.90", "currency": "NOK", "includes_tax": false } },
        "Backup": { "options_schema": { "type": "object" } },
    } })
}

#[tokio::test]
async fn the_catalogue_is_the_configurations_and_says_so() {
    let bench = Bench::new().await;
    let products = list(&bench).await;
    let [vps] = &products[..] else { panic!("{products:?}") };
    assert_eq!((vps.name.as_str(), vps.configured), ("providers/test/products/VPS", true));
    let schema: Value = from_str(&vps.options_schema).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(vps.offers.is_empty());
    assert_eq!(get(&bench, &vps.name).await.unwrap(), *vps);
    for name in ["providers/test/products/CPU", "providers/other/products/VPS"] {
        assert_eq!(reason(get(&bench, name).await), ErrorReason::ProductNotFound);
    }
    assert_eq!(reason(get(&bench, "VPS").await), ErrorReason::FieldViolation);
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn configured_terms_and_prices_are_told() {
    let bench = Bench::with(Options::default(), priced()).await;
    let products = list(&bench).await;
    let names: Vec<_> = products.iter().map(|product| product.display_name.as_str()).collect();
    assert_eq!(names, ["Backup", "Server"]);
    let offer = &products[1].offers[0];
    assert_eq!(offer.term.as_ref().unwrap().period, "P1M");
    assert_eq!(offer.price.as_ref().unwrap().amount.as_ref().unwrap().to_string(), "99.9 NOK");

    let quote = bench.quote(&order(&["a", "b", "c"])).await.unwrap();
    let amount =
        |price: Option<purveyor_sdk::v1::Price>| price.unwrap().amount.unwrap().to_string();
    assert_eq!(amount(quote.price), "299.7 NOK");
    assert_eq!(amount(quote.recurring_price), "299.7 NOK");
    assert!(!quote.upstream_asked);
    let reasons: Vec<_> = quote.notices.iter().map(|notice| notice.reason.as_str()).collect();
    assert_eq!(reasons, ["NEEDS_CREDIT", "INVOICE_EXISTS", "AUTO_RENEWS"]);
    // What has no price makes the whole unknown.
    let mut other = item("b");
    other.product = "providers/test/products/Backup".to_owned();
    let mixed = order_of(Order { items: vec![item("a"), other], ..Order::default() });
    assert_eq!(bench.quote(&mixed).await.unwrap().price, None);
    assert_eq!(Bench::new().await.quote(&order(&["a"])).await.unwrap().price, None);

    let term = async |months: u32| {
        let mut timed = item("a");
        timed.term = Some(Term::recurring(Period::Months(months), ""));
        bench.run(&order_of(Order { items: vec![timed], ..Order::default() })).await
    };
    assert_eq!(term(12).await.error().violations[0].field, "order.items[0].term");
    let bought = term(1).await.order();
    assert_eq!(bought.items[0].term.as_ref().unwrap().period, "P1M");
    assert_eq!(bench.get_service("1293").await.unwrap().term.unwrap().period, "P1M");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_at_open() {
    let url = "http://127.0.0.1:9";
    for configuration in [
        json!({ "authentication": "digest" }),
        json!({ "products": { "VPS": { "term": "1m" } } }),
        json!({ "products": { "": {} } }),
        json!({ "unknown": 1 }),
    ] {
        assert!(open(url, configuration.clone()).is_err(), "{configuration}");
    }
}
