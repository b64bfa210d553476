//! Orders of renewals: they cost nothing until they are paid, they lapse, and they tell late.

use purveyor_simulators::ovh::{Lapsed, Mode};
use serde_json::{Value, json};

use crate::client::Bench;

#[tokio::test]
async fn an_order_as_in_the_guide() {
    let bench = Bench::new().await;
    let body = json!({ "dryRun": false, "duration": "P1Y", "services": [54321, 67890] });
    let order = bench.post("/service/54321/renew", body).await.unwrap();
    let price =
        |value: Value, text: &str| json!({ "value": value, "text": text, "currencyCode": "EUR" });
    assert_eq!(order["priceWithoutTax"], price(json!(37.87), "37.87 €"));
    assert_eq!(order["tax"], price(json!(7.57), "7.57 €"));
    assert_eq!(order["priceWithTax"], price(json!(45.44), "45.44 €"));
    assert_eq!((&order["orderId"], &order["retractionDate"]), (&json!(123_456_789), &Value::Null));
    assert_eq!(order["date"], "2026-05-15T15:49:06+02:00");
    assert_eq!(order["expirationDate"], "2026-05-16T15:49:06+02:00");
    let password = order["password"].as_str().unwrap();
    for link in ["url", "pdfUrl"] {
        let link = order[link].as_str().unwrap();
        assert!(link.ends_with(&format!("orderId=123456789&orderPassword={password}")), "{link}");
    }
    assert_eq!(bench.get("/me/order/123456789").await.unwrap(), order);
    assert_eq!(bench.status(123_456_789).await, "notPaid");
    assert_eq!(bench.ledger(), ["order_unpaid"]);
}

#[tokio::test]
async fn a_dry_run_makes_no_order() {
    for (numbers, id) in [(false, Value::Null), (true, json!(123_456_789))] {
        let bench = Bench::in_mode(Mode { dry_run_numbers: numbers, ..Mode::default() }).await;
        let body = json!({ "dryRun": true, "duration": "P1Y", "services": [54321] });
        let order = bench.post("/service/54321/renew", body).await.unwrap();
        assert_eq!(order["priceWithTax"]["value"], json!(2.39));
        assert_eq!((&order["orderId"], &order["url"]), (&id, &Value::Null));
        assert_eq!(bench.get("/me/order").await.unwrap(), json!([]));
        assert!(bench.ledger().is_empty());
    }
}

#[tokio::test]
async fn what_is_no_strategy_is_refused() {
    let bench = Bench::new().await;
    let check = async |body: Value| {
        let (status, answer) = bench.post("/service/54321/renew", body).await.unwrap_err();
        assert_eq!(status, 400, "{answer}");
        assert!(answer["class"].as_str().unwrap().starts_with("Client::BadRequest"), "{answer}");
    };
    check(json!({ "duration": "P3M", "services": [54321] })).await;
    check(json!({ "duration": "P1Y", "services": [] })).await;
    check(json!({ "duration": "P1Y", "services": [54321, 12345] })).await;
    check(json!({ "duration": "P1Y", "services": ["54321"] })).await;
    check(json!({ "services": [54321] })).await;
    assert!(bench.ledger().is_empty());
}

#[tokio::test]
async fn details_and_what_they_are_for() {
    let bench = Bench::new().await;
    let body = json!({ "duration": "P1Y", "services": [54321, 67890] });
    let order = bench.post("/service/54321/renew", body).await.unwrap()["orderId"].clone();
    let details = bench.get(&format!("/me/order/{order}/details")).await.unwrap();
    let details = details.as_array().unwrap();
    assert_eq!(details.len(), 2);
    let path = format!("/me/order/{order}/details/{}", details[0]);
    let detail = bench.get(&path).await.unwrap();
    assert_eq!((&detail["domain"], &detail["quantity"]), (&json!("example.ovh"), &json!("1")));
    assert_eq!(detail["totalPrice"]["value"], json!(35.88));
    let extension = bench.get(&format!("{path}/extension")).await.unwrap();
    assert_eq!(extension["order"]["action"], "renew");
    assert_eq!(extension["order"]["plan"]["duration"], "P1Y");
    assert_eq!(bench.get(&format!("/me/order/{order}/details/1")).await.unwrap_err().0, 404);
}

#[tokio::test]
async fn a_new_order_tells_late() {
    let mode = Mode {
        listing_lag_ms: 2000,
        details_lag_ms: 1000,
        star_domains: true,
        united_states: true,
        ..Mode::default()
    };
    let bench = Bench::in_mode(mode).await;
    let order = bench.order(12345, "P3M").await;
    let details = format!("/me/order/{order}/details");
    assert_eq!(bench.get(&details).await.unwrap(), json!([]));
    assert_eq!(bench.get("/me/order").await.unwrap(), json!([]));
    bench.advance(1);
    let detail = bench.get(&details).await.unwrap()[0].clone();
    assert_eq!(bench.get("/me/order").await.unwrap(), json!([]));
    assert_eq!(bench.get(&format!("{details}/{detail}")).await.unwrap()["domain"], "*");
    assert_eq!(bench.get(&format!("{details}/{detail}/extension")).await.unwrap_err().0, 404);
    bench.advance(1);
    assert_eq!(bench.get("/me/order").await.unwrap(), json!([order]));
}

#[tokio::test]
async fn orders_are_listed_by_their_dates() {
    let bench = Bench::new().await;
    let first = bench.order(12345, "P3M").await;
    bench.advance(60);
    let second = bench.order(12345, "P3M").await;
    let check = async |query: &str, expected: Value| {
        assert_eq!(bench.get(&format!("/me/order{query}")).await.unwrap(), expected, "{query}");
    };
    check("", json!([first, second])).await;
    check("?date.from=2026-05-15T13%3A50%3A00Z", json!([second])).await;
    check("?date.from=2026-05-15&date.to=2026-05-15T15%3A50%3A00%2B02%3A00", json!([first])).await;
    assert_eq!(bench.get("/me/order?date.from=soon").await.unwrap_err().0, 400);
}

#[tokio::test]
async fn an_order_that_nobody_pays_lapses() {
    let check = async |lapsed: Lapsed, expected: Option<&str>| {
        let bench = Bench::in_mode(Mode { lapsed, ..Mode::default() }).await;
        let order = bench.order(12345, "P3M").await;
        bench.advance(24 * 3600 - 1);
        assert_eq!(bench.status(order).await, "notPaid");
        bench.advance(1);
        let status = bench.get(&format!("/me/order/{order}/status")).await;
        match expected {
            Some(word) => assert_eq!(status.unwrap(), word),
            None => assert_eq!(status.unwrap_err().0, 404),
        }
        bench.pay(order).await.unwrap_err();
        assert_eq!(bench.ledger(), ["order_unpaid"]);
    };
    check(Lapsed::NotPaid, Some("notPaid")).await;
    check(Lapsed::Cancelled, Some("cancelled")).await;
    check(Lapsed::Gone, None).await;
}
