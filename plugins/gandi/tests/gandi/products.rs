//! Products and their prices, as the catalogue tells them or does not.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    ErrorReason, GetProductRequest, ListProductsRequest, ListProductsResponse, Product,
};
use purveyor_sdk::{Result, etag};
use purveyor_simulators::gandi::{CatalogStyle, Mode, Options};

use super::driver::{Bench, reason};

async fn get(bench: &Bench, id: &str, currency: &str) -> Result<Product> {
    let name = format!("providers/test/products/{id}");
    let currency_code = currency.to_owned();
    let request = GetProductRequest { name, currency_code, ..GetProductRequest::default() };
    bench.plugin.read(Op::GetProduct, &request, id).await
}

fn offers(product: &Product) -> Vec<(String, Option<String>)> {
    let offers = product.offers.iter().map(|offer| {
        let price = offer.price.as_ref().and_then(|price| price.amount.as_ref());
        let price = price.map(|amount| amount.to_string());
        (offer.term.as_ref().unwrap().period.clone(), price)
    });
    offers.collect()
}

#[tokio::test]
async fn five_products_for_a_month_and_for_a_year() {
    let bench = Bench::new().await;
    let request = ListProductsRequest {
        parent: "providers/test".to_owned(),
        page_size: 3,
        ..ListProductsRequest::default()
    };
    let first: ListProductsResponse =
        bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
    let request = ListProductsRequest { page_token: first.next_page_token, ..request };
    let second: ListProductsResponse =
        bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
    assert_eq!(second.next_page_token, "");
    let products: Vec<_> = first.products.into_iter().chain(second.products).collect();
    let names: Vec<_> = products.iter().map(|it| it.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["shares", "cores", "disk", "memory", "ips"]);
    for product in &products {
        assert_eq!(product.offers.len(), 2);
        assert_eq!(product.etag, etag::of(product));
        let notices: Vec<_> = product.notices.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(notices, ["NOT_FREE", "NEEDS_CREDIT", "DEPRECATED"]);
        assert_eq!(get(&bench, &product.display_name, "").await.unwrap(), *product);
    }
    let text = |period: &str, price: &str| (period.to_owned(), Some(price.to_owned()));
    assert_eq!(offers(&products[2]), [text("P1M", "0.12 EUR"), text("P1Y", "1.2 EUR")]);
}

#[tokio::test]
async fn a_product_without_a_price_is_listed_without_one() {
    for catalog in [CatalogStyle::Unpriced, CatalogStyle::Absent] {
        let bench = Bench::in_mode(Mode { catalog, ..Mode::default() }).await;
        let product = get(&bench, "shares", "").await.unwrap();
        assert_eq!(offers(&product), [("P1M".to_owned(), None), ("P1Y".to_owned(), None)]);
    }
}

#[tokio::test]
async fn prices_are_in_the_wanted_currency_and_with_the_configured_tax() {
    let configuration = json!({"currency": "USD", "grid": "C", "prices_include_tax": true});
    let bench = Bench::with(Options::default(), configuration).await;
    let product = get(&bench, "shares", "").await.unwrap();
    assert_eq!(offers(&product)[0].1.as_deref(), Some("13.2 USD"));
    assert_eq!(product.offers[0].price.as_ref().unwrap().tax(), Tax::Included);
    let product = get(&bench, "shares", "GBP").await.unwrap();
    assert_eq!(offers(&product)[0].1.as_deref(), Some("10.8 GBP"));
    assert_eq!(reason(get(&bench, "shares", "XXX").await), ErrorReason::FieldViolation);
    let bench = Bench::new().await;
    let product = get(&bench, "shares", "").await.unwrap();
    assert_eq!(product.offers[0].price.as_ref().unwrap().tax(), Tax::Unspecified);
}

#[tokio::test]
async fn the_catalogues_own_name_of_a_product_can_be_configured() {
    let configuration = json!({"catalog_descriptions": {"shares": "cores"}});
    let bench = Bench::with(Options::default(), configuration).await;
    assert_eq!(offers(&get(&bench, "shares", "").await.unwrap())[0].1.as_deref(), Some("5 EUR"));
}

#[tokio::test]
async fn other_products_do_not_exist() {
    let bench = Bench::new().await;
    assert_eq!(reason(get(&bench, "shares_fixed", "").await), ErrorReason::ProductNotFound);
    let request = GetProductRequest { name: "shares".to_owned(), ..GetProductRequest::default() };
    let refused = bench.plugin.read::<Product>(Op::GetProduct, &request, "shares").await;
    assert_eq!(reason(refused), ErrorReason::FieldViolation);
    assert_eq!(bench.asked("catalog.list"), 0);
}
