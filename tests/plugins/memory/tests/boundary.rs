//! The provider through the real boundary, as the gateway would ask it.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground gives way")]

use purveyor_memory::Memory;
use purveyor_sdk::plugin::v1::{CallContext, Op};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, CreateOrderRequest, ErrorReason,
    GetProductRequest, GetServiceRequest, ListProductsRequest, ListProductsResponse,
    ListServicesRequest, ListServicesResponse, Product, Service,
};
use purveyor_sdk::{Result, etag};

fn memory() -> TestHost<Memory> {
    TestHost::open(Setup::new("http://127.0.0.1:1")).unwrap()
}

#[tokio::test]
async fn products_are_listed_page_by_page() {
    let host = memory();
    let mut names = Vec::new();
    let mut request = ListProductsRequest { page_size: 7, ..Default::default() };
    loop {
        let page: ListProductsResponse = host.read(Op::ListProducts, &request, "").await.unwrap();
        names.extend(page.products.into_iter().map(|product| product.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    names.dedup();
    assert_eq!(names.len(), 20);
    assert_eq!(names[0], "providers/test/products/product-01");
    let wrong = ListProductsRequest { page_size: -1, ..Default::default() };
    let answer: Result<ListProductsResponse> = host.read(Op::ListProducts, &wrong, "").await;
    assert_eq!(answer.unwrap_err().violations[0].field, "page_size");
}

#[tokio::test]
async fn a_product_has_its_etag_and_price() {
    let request = GetProductRequest {
        name: "providers/test/products/product-03".to_owned(),
        ..Default::default()
    };
    let product: Product = memory().read(Op::GetProduct, &request, "product-03").await.unwrap();
    assert_eq!(product.etag, etag::of(&product));
    let price = product.offers[1].price.clone().unwrap();
    assert_eq!(price.amount.unwrap().to_string(), "3.99 EUR");
    assert_eq!(product.offers[1].term.clone().unwrap().period, "P1Y");
    let absent = GetProductRequest { name: "x".to_owned(), ..Default::default() };
    let answer: Result<Product> = memory().read(Op::GetProduct, &absent, "x").await;
    assert_eq!(answer.unwrap_err().reason, ErrorReason::ProductNotFound);
}

#[tokio::test]
async fn services_are_listed_and_shown() {
    let host = memory();
    let request = ListServicesRequest {
        product: "providers/test/products/product-02".to_owned(),
        ..Default::default()
    };
    let page: ListServicesResponse = host.read(Op::ListServices, &request, "").await.unwrap();
    let [service] = page.services.as_slice() else { panic!("{page:?}") };
    let request = GetServiceRequest { name: service.name.clone() };
    let shown: Service = host.read(Op::GetService, &request, "2").await.unwrap();
    assert_eq!(shown, *service);
}

#[tokio::test]
async fn what_it_does_not_have_is_unsupported() {
    let host = memory();
    let request = CreateOrderRequest::default();
    let answer = host.step(Op::CreateOrder, &request, CallContext::default()).await;
    assert_eq!(answer.unwrap_err().reason, ErrorReason::CapabilityUnsupported);
    assert_eq!(host.identify().await.unwrap(), "memory");
    let check: CheckProviderResponse =
        host.read(Op::CheckProvider, &CheckProviderRequest::default(), "").await.unwrap();
    assert!(check.check_time.is_some_and(|time| time.seconds > 0));
    assert!(host.sent().is_empty());
}

#[test]
fn a_configuration_that_is_none_names_its_field() {
    fn check(configuration: purveyor_sdk::serde_json::Value, expected: &str) {
        let setup = Setup::new("http://127.0.0.1:1").configuration(configuration);
        let error = TestHost::<Memory>::open(setup).err().unwrap();
        assert_eq!(error.violations[0].field, expected, "{error}");
    }
    check(json!({"currency_code": 7}), "configuration.currency_code");
    check(json!({"currency": "EUR"}), "configuration.currency");
    check(json!("EUR"), "configuration");
}
