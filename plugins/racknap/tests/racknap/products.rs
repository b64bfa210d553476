//! Plans and their prices, and that nothing of what the upstream tells is dropped.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    ErrorReason, GetProductRequest, ListProductsRequest, ListProductsResponse, Product,
};
use purveyor_sdk::{Result, etag};
use purveyor_simulators::racknap::{AmountStyle, Mode, Options, PlanSeed};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, configuration, create, order, reason, with};

async fn get(bench: &Bench, request: GetProductRequest) -> Result<Product> {
    let id = request.name.rsplit('/').next().unwrap_or_default().to_owned();
    bench.read(Op::GetProduct, &request, &id).await
}

fn of(plan: &str) -> GetProductRequest {
    let name = format!("providers/test/products/{plan}");
    GetProductRequest { name, ..GetProductRequest::default() }
}

async fn list(bench: &Bench, request: ListProductsRequest) -> Result<ListProductsResponse> {
    let parent = "providers/test".to_owned();
    bench.read(Op::ListProducts, &ListProductsRequest { parent, ..request }, "").await
}

fn offers(product: &Product) -> Vec<String> {
    let offers = product.offers.iter().map(|offer| {
        let price = offer.price.as_ref().unwrap();
        assert_eq!(price.tax(), Tax::Included);
        let term = offer.term.as_ref().unwrap();
        let amount = price.amount.as_ref().unwrap();
        format!("{} {} {amount} {}", term.period, offer.phase, price.upstream_currency)
    });
    offers.collect()
}

#[tokio::test]
async fn a_plan_is_a_product_with_the_prices_of_its_cycles() {
    for amounts in [AmountStyle::Number, AmountStyle::Text] {
        let bench = Bench::in_mode(Mode { amounts, ..Mode::default() }).await;
        let product = get(&bench, of("172")).await.unwrap();
        assert_eq!(product.display_name, "Office 365 ( Essential Suite )");
        let expected = [
            "P1M first_plan_price 48 INR 1",
            "P1M recuring_plan_price 48 INR 1",
            "P1Y first_plan_price 528.14 INR 1",
            "P1Y recuring_plan_price 528.14 INR 1",
        ];
        assert_eq!(offers(&product), expected);
        assert_eq!(product.etag, etag::of(&product));
        let attributes: Vec<_> = product.attributes.unwrap().fields.into_keys().collect();
        assert_eq!(attributes, ["currency", "pid", "planid"]);
        let schema: Value = purveyor_sdk::serde_json::from_str(&product.options_schema).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        let upstream = product.upstream.unwrap();
        assert_eq!((upstream.id(), upstream.state.as_str()), ("172", "Success"));
    }
}

#[tokio::test]
async fn a_platform_is_another_call_with_other_spellings() {
    for bench in Bench::both().await {
        for platform in ["Linux", "Windows"] {
            let request = GetProductRequest {
                platform: platform.to_owned(),
                currency_code: "USD".to_owned(),
                partner: "7".to_owned(),
                ..of("24")
            };
            let product = get(&bench, request).await.unwrap();
            let expected = ["P1M first_plan_price 11 USD 2", "P1M recuring_plan_price 12.1 USD 2"];
            assert_eq!(offers(&product), expected);
            let fields = product.attributes.unwrap().fields;
            let names: Vec<_> = fields.keys().map(String::as_str).collect();
            let expected =
                ["cpu", "currency_id", "partner_id", "planid", "platform", "ram", "templates"];
            assert_eq!(names, expected);
            assert!(format!("{:?}", fields["templates"]).contains(if platform == "Linux" {
                "Ubuntu"
            } else {
                "Windows Server"
            }));
        }
        assert_eq!(bench.asked("planDetail"), 0);
        assert_eq!(bench.asked("cloud_linux_vps_details"), 2);
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_it_is() {
    let bench = Bench::new().await;
    let check = async |request: GetProductRequest, field: &str| {
        let error = get(&bench, request).await.unwrap_err();
        assert_eq!(error.violations[0].field, field);
    };
    check(GetProductRequest { platform: "Mac".to_owned(), ..of("24") }, "platform").await;
    check(GetProductRequest { platform: "linux".to_owned(), ..of("24") }, "platform").await;
    check(GetProductRequest { currency_code: "EUR".to_owned(), ..of("24") }, "currency_code").await;
    check(GetProductRequest { partner: "main".to_owned(), ..of("24") }, "partner").await;
    let unnamed = GetProductRequest { name: "172".to_owned(), ..GetProductRequest::default() };
    check(unnamed, "name").await;
    for plan in ["office", "0", "0172"] {
        assert_eq!(reason(get(&bench, of(plan)).await), ErrorReason::ProductNotFound, "{plan}");
    }
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn the_list_is_the_configured_plans_each_asked_for() {
    let plans = with(configuration(), "plans", json!([24, 172, 24]));
    let bench = Bench::with(Options::default(), plans).await;
    let request = ListProductsRequest { page_size: 2, ..ListProductsRequest::default() };
    let first = list(&bench, request.clone()).await.unwrap();
    assert_eq!(bench.asked("planDetail"), 2, "more was asked for than the page holds");
    let request = ListProductsRequest { page_token: first.next_page_token, ..request };
    let second = list(&bench, request.clone()).await.unwrap();
    assert_eq!(second.next_page_token, "");
    let rows: Vec<_> = first.products.iter().chain(&second.products).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.upstream.as_ref().unwrap().id()).collect();
    assert_eq!(ids, ["24", "172", "24"]);
    assert_eq!(*rows[1], get(&bench, of("172")).await.unwrap());
    let wrong = ListProductsRequest { page_token: "x".to_owned(), ..request };
    assert_eq!(reason(list(&bench, wrong).await), ErrorReason::PageTokenInvalid);

    let linux = ListProductsRequest {
        platform: "Linux".to_owned(),
        currency_code: "USD".to_owned(),
        partner: "7".to_owned(),
        page_size: 1,
        ..ListProductsRequest::default()
    };
    let page = list(&bench, linux).await.unwrap();
    assert_eq!(offers(&page.products[0]).len(), 2);
    assert_eq!(bench.asked("cloud_linux_vps_details"), 1);
}

#[tokio::test]
async fn plan_that_cannot_be_read_is_shown_by_its_number_with_why() {
    let whole = list(&Bench::new().await, ListProductsRequest::default()).await.unwrap().products;
    let plans = with(configuration(), "plans", json!([173, 172]));
    let bench = Bench::with(Options::default(), plans).await;
    let rows = list(&bench, ListProductsRequest::default()).await.unwrap().products;
    let [bad, good] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(whole.contains(good));
    assert_eq!((bad.name.as_str(), bad.offers.len()), ("providers/test/products/173", 0));
    let [notice] = bad.notices.as_slice() else { panic!("{bad:?}") };
    assert_eq!((notice.reason.as_str(), notice.source.as_str()), {
        ("ROW_INCOMPLETE", "service/planDetail")
    });
    assert!(notice.message.starts_with("the upstream refused: "), "{notice:?}");
    for kind in [FaultKind::Status { status: 500 }, FaultKind::WrongType, FaultKind::Garbage] {
        let bench = Bench::new().await;
        bench.upstream.inject(Fault::next("planDetail", kind.clone()));
        let rows = list(&bench, ListProductsRequest::default()).await.unwrap().products;
        let bad = rows.iter().filter(|row| !row.notices.is_empty()).count();
        assert_eq!((rows.len(), bad), (whole.len(), 1), "{kind:?}");
    }
}

#[tokio::test]
async fn list_of_which_no_plan_is_told_fails() {
    let plans = with(configuration(), "plans", json!([173]));
    let bench = Bench::with(Options::default(), plans).await;
    let error = list(&bench, ListProductsRequest::default()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    let told = (error.metadata["plan"].as_str(), error.metadata["upstream_code"].as_str());
    assert_eq!(told, ("173", "3003"));
}

#[tokio::test]
async fn a_plan_without_a_price_is_shown_without_one() {
    let bench = Bench::new().await;
    let prices = [(1, vec![])].into();
    let plan = PlanSeed { planid: 9, name: "Nine".to_owned(), cloud: false, prices };
    bench.upstream.put_plan(plan).unwrap();
    let product = get(&bench, of("9")).await.unwrap();
    assert!(product.offers.is_empty());
    assert!(product.attributes.unwrap().fields.contains_key("pricing"));
}

#[tokio::test]
async fn a_read_that_cannot_be_understood_fails_and_says_so() {
    let bench = Bench::new().await;
    let wrong = [
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Garbage,
        FaultKind::Megabytes { n: 2 },
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 204 },
        FaultKind::Redirect,
        FaultKind::DropBeforeCommit,
        FaultKind::ResetAfterCommit,
        FaultKind::TruncateAfterCommit,
        FaultKind::CutAfterCommit { bytes: 40 },
    ];
    for kind in wrong {
        bench.upstream.inject(Fault::next("planDetail", kind.clone()));
        let read = get(&bench, of("172")).await;
        assert_eq!(reason(read), ErrorReason::UpstreamUnavailable, "{kind:?}");
    }
    assert!(get(&bench, of("172")).await.is_ok());
}

#[tokio::test]
async fn a_price_in_any_spelling_hides_no_other_plan_or_cycle() {
    let check = async |value: &str, expected: &str, understood: bool| {
        let bench = Bench::new().await;
        let from = r#""first_plan_price":48.00"#.to_owned();
        let fault = FaultKind::Respell { from, to: format!(r#""first_plan_price":{value}"#) };
        bench.upstream.inject(Fault::next("planDetail", fault).times(u32::MAX));
        let listed = list(&bench, ListProductsRequest::default()).await.unwrap().products;
        assert_eq!(listed.len(), 2, "{value}");
        let shown = |product: &Product| -> Vec<String> {
            let prices = product.offers.iter().map(|offer| {
                let price = offer.price.clone().unwrap();
                assert_eq!(price.upstream_currency, "1");
                let [amount, ceiling] = [price.amount, price.ceiling.map(|it| *it)]
                    .map(|amount| amount.map(|amount| amount.to_string()).unwrap_or_default());
                format!("{amount}|{ceiling}|{}", price.display_text)
            });
            prices.collect()
        };
        let others = ["48 INR||", "528.14 INR||", "528.14 INR||"];
        assert_eq!(shown(&listed[0]), [&[expected][..], &others].concat(), "{value}");
        assert_eq!(listed[0].notices.is_empty(), understood, "{value}");
        assert!(listed[1].notices.is_empty() && listed[1].offers.len() == 4, "{value}");
        // What an order costs, its caller says.
        bench.run(&create(order())).await.order();
    };
    check("0.0001369863", "0.000136986 INR|0.000136987 INR|0.0001369863", true).await;
    check(r#""48.0000000000""#, "48 INR||", true).await;
    check("4.8e1", "48 INR||", true).await;
    check("-0.5", "-0.5 INR||", true).await;
    for none in ["n/a", "NaN", "1,234.50"] {
        check(&format!("{none:?}"), &format!("||{none}"), false).await;
    }
    check("1e400", "||1e400", false).await;
    let huge = "9".repeat(40);
    check(&huge, &format!("||{huge}"), false).await;
}
