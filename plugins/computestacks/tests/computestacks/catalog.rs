//! The catalogue: pages, single products, what the documents and the source spell differently.

use purveyor_sdk::etag;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::v1::product::ResourceKind;
use purveyor_sdk::v1::{ErrorReason, ListProductsRequest, ListProductsResponse, ListView};
use purveyor_simulators::computestacks::Mode;

use super::bench::{Bench, LIST, PLAN, SHOW, bundle, package, reason, resource, sold};

async fn page(bench: &Bench, size: i32, token: &str, view: ListView) -> ListProductsResponse {
    let request = ListProductsRequest {
        parent: "providers/test".to_owned(),
        page_size: size,
        page_token: token.to_owned(),
        view: view.into(),
        ..ListProductsRequest::default()
    };
    bench.plugin.read(Op::ListProducts, &request, "").await.unwrap()
}

#[tokio::test]
async fn pages_follow_the_upstreams_own() {
    let bench = Bench::empty(Mode::default(), json!({})).await;
    for label in ["a", "b", "c"] {
        bench.make(resource(label, ResourceKind::Cpu)).await;
    }
    let before = bench.asked(LIST);
    let first = page(&bench, 2, "", ListView::Basic).await;
    // The size of the first page holds for all.
    let second = page(&bench, 50, &first.next_page_token, ListView::Basic).await;
    assert_eq!((second.products.len(), second.next_page_token.as_str()), (1, ""));
    assert_eq!(bench.asked(LIST) - before, 2);
    let rows: Vec<_> = first.products.into_iter().chain(second.products).collect();
    let labels: Vec<_> = rows.iter().map(|row| row.display_name.as_str()).collect();
    assert_eq!(labels, ["a", "b", "c"]);
    for row in &rows {
        assert_eq!(row.etag, etag::of(row), "the listing tells all without a plan");
        assert_eq!(bench.get(&row.name).await.unwrap(), *row);
    }
    let empty = Bench::empty(Mode::default(), json!({ "billing_plan": 1 })).await;
    assert_eq!(page(&empty, 0, "", ListView::Full).await, ListProductsResponse::default());
    let request =
        ListProductsRequest { page_token: "x".to_owned(), ..ListProductsRequest::default() };
    let refused = bench.plugin.read::<ListProductsResponse>(Op::ListProducts, &request, "").await;
    assert_eq!(reason(refused), ErrorReason::PageTokenInvalid);
}

#[tokio::test]
async fn a_full_row_is_what_get_shows_and_a_basic_one_has_no_etag() {
    let configuration = json!({ "billing_plan": 1, "regions": { "fra": 1, "nyc": 2 } });
    let bench = Bench::empty(Mode::default(), configuration).await;
    let made = bench.make(sold("s")).await;
    let basic = page(&bench, 0, "", ListView::Basic).await.products;
    assert_eq!((basic[0].etag.as_str(), basic[0].offers.len()), ("", 0));
    let plans = bench.asked(PLAN);
    let full = page(&bench, 0, "", ListView::Full).await.products;
    assert_eq!(bench.asked(PLAN) - plans, 1);
    assert_eq!(full, [bench.get(&made.name).await.unwrap()]);
    assert_eq!(full, [made]);
}

#[tokio::test]
async fn the_documents_spelling_is_read_too() {
    let mode = Mode { documented_times: true, documented_types: true, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let made = bench.make(package("s")).await;
    let product = bench.get(&made.name).await.unwrap();
    assert!(product.create_time.is_some() && product.update_time.is_some());
    let package = bundle(&product);
    assert_eq!((package.cpu_cores.as_deref(), package.memory_mb), (Some("2.5"), Some(1536)));
    assert_eq!(bundle(&made), package);

    let bench = Bench::new().await;
    let made = bench.make(self::package("s")).await;
    assert_eq!((made.create_time, made.update_time), (None, None));
    assert_eq!(bundle(&made).upstream_id, "1");
    assert_eq!(made.attributes.unwrap().fields.len(), 1, "the unit of a package");
}

#[tokio::test]
async fn what_cannot_be_there_is_not_asked_for() {
    let bench = Bench::new().await;
    for name in
        ["providers/test/products/x", "providers/test/products/0", "providers/other/products/1"]
    {
        assert_eq!(reason(bench.get(name).await), ErrorReason::ProductNotFound, "{name}");
    }
    assert_eq!(reason(bench.get("products").await), ErrorReason::FieldViolation);
    assert_eq!(bench.asked(SHOW), 0);
    let missing = bench.get("providers/test/products/77").await;
    assert_eq!(reason(missing), ErrorReason::ProductNotFound);
    assert_eq!(bench.asked(SHOW), 1);
}

#[tokio::test]
async fn a_plan_that_is_not_there_is_said() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let plugin = bench.reopened(json!({ "billing_plan": 9 }));
    let request =
        purveyor_sdk::v1::GetProductRequest { name: made.name.clone(), ..Default::default() };
    let read = plugin.read::<purveyor_sdk::v1::Product>(Op::GetProduct, &request, "1").await;
    assert_eq!(reason(read), ErrorReason::StateConflict);
}
