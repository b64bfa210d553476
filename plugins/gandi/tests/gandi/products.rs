//! Products and their prices, as the catalogue tells them or does not.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, ErrorReason, GetProductRequest,
    ListProductsRequest, ListProductsResponse, Price, Product,
};
use purveyor_sdk::{Result, etag};
use purveyor_simulators::gandi::{CatalogStyle, Mode, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, item, order, reason};

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
    let error = get(&bench, "shares", "XXX").await.unwrap_err();
    assert_eq!(error.violations[0].field, "currency_code");
    // The caller has not sent the configured one.
    let bench = Bench::with(Options::default(), json!({"currency": "XXX", "grid": "C"})).await;
    let error = get(&bench, "shares", "").await.unwrap_err();
    assert_eq!((error.reason, error.violations.len()), (ErrorReason::UpstreamRejected, 0));
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

/// `amount|ceiling|text`.
fn shown(price: Option<&Price>) -> String {
    let price = price.cloned().unwrap_or_default();
    let [amount, ceiling] = [price.amount, price.ceiling.map(|it| *it)]
        .map(|amount| amount.map(|amount| amount.to_string()).unwrap_or_default());
    format!("{amount}|{ceiling}|{}", price.display_text)
}

/// What the disk costs a month, in another spelling of the upstream.
async fn respelled(value: &str) -> Bench {
    let bench = Bench::new().await;
    let (from, to) = ("<double>0.12</double>".to_owned(), value.to_owned());
    let fault = Fault::next("catalog.list", FaultKind::Respell { from, to });
    bench.upstream.inject(fault.times(u32::MAX));
    bench
}

#[tokio::test]
async fn a_price_in_any_spelling_hides_no_other_product() {
    let check = async |value: &str, unit: &str, three: &str, notices: usize| {
        let bench = respelled(value).await;
        let request = ListProductsRequest {
            parent: "providers/test".to_owned(),
            ..ListProductsRequest::default()
        };
        let listed: ListProductsResponse =
            bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
        assert_eq!(listed.products.len(), 5, "{value}");
        let wrong = |product: &Product| {
            let wrong = |it: &&purveyor_sdk::v1::Notice| it.reason == "PRICE_NOT_UNDERSTOOD";
            product.notices.iter().filter(wrong).count()
        };
        for product in &listed.products {
            let is_disk = product.display_name == "disk";
            assert_eq!(wrong(product), if is_disk { notices } else { 0 }, "{value}");
            let first = shown(product.offers[0].price.as_ref());
            assert!(is_disk || first.ends_with(" EUR||"), "{value}: {first}");
            assert!(shown(product.offers[1].price.as_ref()).ends_with(" EUR||"), "{value}");
        }
        let disk = get(&bench, "disk", "").await.unwrap();
        assert_eq!(shown(disk.offers[0].price.as_ref()), unit, "{value}");
        let quote = bench.plugin.quote(&order(vec![item("disk", 3, 1)])).await.unwrap();
        assert_eq!(shown(quote.price.as_ref()), three, "{value}");
        let told = |reason: &str| quote.notices.iter().filter(|it| it.reason == reason).count();
        assert_eq!(told("PRICE_NOT_UNDERSTOOD"), notices, "{value}");
        // What does not depend on it is quoted, and what is bought without a limit is bought.
        let other = bench.plugin.quote(&order(vec![item("shares", 1, 1)])).await.unwrap();
        assert_eq!(shown(other.price.as_ref()), "12 EUR||", "{value}");
        let both = order(vec![item("shares", 1, 1), item("disk", 3, 1)]);
        bench.run(&both).await.order();
        assert_eq!(bench.upstream.ledger().len(), 2, "{value}");
    };
    let told = "0.000136986 EUR|0.000136987 EUR|0.0001369863";
    let three = "0.000410959 EUR|0.000410959 EUR|0.0004109589";
    check("<double>0.0001369863</double>", told, three, 0).await;
    check("<string>0.1000000000</string>", "0.1 EUR||", "0.3 EUR||", 0).await;
    check("<double>1e1</double>", "10 EUR||", "30 EUR||", 0).await;
    check("<int>2</int>", "2 EUR||", "6 EUR||", 0).await;
    check("<double>-0.5</double>", "-0.5 EUR||", "-1.5 EUR||", 0).await;
    for none in ["nan", "1e400", "n/a", "1,234.50"] {
        check(&format!("<double>{none}</double>"), &format!("||{none}"), &format!("||{none}"), 1)
            .await;
    }
    let huge = "9".repeat(40);
    check(&format!("<int>{huge}</int>"), &format!("||{huge}"), &format!("||{huge}"), 1).await;
    check("<boolean>1</boolean>", "||true", "||true", 1).await;
    // Nothing is told there, as ever.
    check("<nil/>", "||", "||", 0).await;
    check("<string></string>", "||", "||", 0).await;
}

#[tokio::test]
async fn a_balance_that_is_no_amount_is_shown() {
    let bench = Bench::new().await;
    let fault = |to: &str| {
        let (from, to) = ("<string>1337.42</string>".to_owned(), to.to_owned());
        Fault::next("contact.balance", FaultKind::Respell { from, to })
    };
    bench.upstream.inject(fault("<string>much</string>"));
    let quote = bench.plugin.quote(&order(vec![item("shares", 1, 1)])).await.unwrap();
    assert_eq!(shown(quote.balance.as_ref()), "||much");
    assert_eq!(shown(quote.price.as_ref()), "12 EUR||");
    assert_eq!(quote.notices.last().unwrap().source, "contact.balance.prepaid.amount");
    bench.upstream.inject(fault("<string>much</string>"));
    let request = CheckProviderRequest { name: "providers/test".to_owned() };
    let checked: CheckProviderResponse =
        bench.plugin.read(Op::CheckProvider, &request, "").await.unwrap();
    assert_eq!(shown(checked.balance.as_ref()), "||much");
    assert!(
        checked.findings.iter().any(|it| it.reason == "BALANCE" && it.message.contains("much"))
    );
}
