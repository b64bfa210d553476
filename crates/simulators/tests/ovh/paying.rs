//! Payments: the only calls that move money, and what follows them.

use jiff::Timestamp;
use purveyor_simulators::ovh::{AccountSeed, Mode};
use serde_json::{Value, json};

use crate::client::Bench;

fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

#[tokio::test]
async fn a_paid_renewal_moves_the_end_when_it_is_delivered() {
    let mode = Mode { checking_ms: 2000, delivering_ms: 3000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let order = bench.order(12345, "P3M").await;
    assert_eq!(bench.pay(order).await.unwrap(), Value::Null);
    assert_eq!(bench.ledger(), ["order_unpaid", "order_paid"]);
    let sale = &bench.simulator.ledger()[1].sale;
    assert_eq!(
        (sale.operation_id.as_str(), sale.amount.to_string().as_str()),
        ("123456789", "17.96")
    );
    assert_eq!(sale.product_id.as_deref(), Some("12345"));
    for (seconds, status) in
        [(0, "checking"), (1, "checking"), (1, "delivering"), (2, "delivering")]
    {
        bench.advance(seconds);
        assert_eq!(bench.status(order).await, status);
        assert_eq!(bench.simulator.expires(12345), Some(day("2099-03-31")));
    }
    bench.advance(1);
    assert_eq!(bench.status(order).await, "delivered");
    // Added to the present end; June has no 31st.
    assert_eq!(bench.simulator.expires(12345), Some(day("2099-06-30")));
    let payment = bench.get(&format!("/me/order/{order}/payment")).await.unwrap();
    assert_eq!(
        (&payment["paymentType"], &payment["paymentIdentifier"]),
        (&json!("paypal"), &json!("1234"))
    );
}

#[tokio::test]
async fn an_order_is_paid_once() {
    let bench = Bench::new().await;
    let order = bench.order(12345, "P3M").await;
    bench.pay(order).await.unwrap();
    let (status, body) = bench.pay(order).await.unwrap_err();
    assert_eq!((status, &body["class"]), (409, &json!("Client::Conflict::ResourceBusy")));
    let body = json!({ "paymentMethod": { "id": 701_234 } });
    assert_eq!(bench.post(&format!("/me/order/{order}/pay"), body).await.unwrap_err().0, 409);
    assert_eq!(bench.ledger(), ["order_unpaid", "order_paid"]);
    assert_eq!(
        bench.get(&format!("/me/order/{order}/payment")).await.unwrap()["paymentType"],
        "paypal"
    );
}

#[tokio::test]
async fn means_and_what_they_refuse() {
    let bench = Bench::new().await;
    let order = bench.order(12345, "P3M").await;
    let means = bench.get(&format!("/me/order/{order}/availableRegisteredPaymentMean")).await;
    let kinds =
        ["paypal", "creditCard", "fidelityAccount"].map(|kind| json!({ "paymentMean": kind }));
    assert_eq!(means.unwrap(), json!(kinds));
    assert_eq!(bench.get("/me/paymentMean/paypal").await.unwrap(), json!([1234]));
    let mean = bench.get("/me/paymentMean/paypal/1234").await.unwrap();
    assert_eq!((&mean["state"], &mean["defaultPaymentMean"]), (&json!("valid"), &json!(true)));

    let pay = format!("/me/order/{order}/payWithRegisteredPaymentMean");
    let check = async |body: Value, status: u16, message: &str| {
        let (told, answer) = bench.post(&pay, body).await.unwrap_err();
        assert_eq!(told, status, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(message), "{answer}");
    };
    check(json!({ "paymentMean": "paypal" }), 400, "paymentMeanId").await;
    let refused = "This order can't be paid with";
    check(json!({ "paymentMean": "paypal", "paymentMeanId": 1 }), 403, refused).await;
    check(json!({ "paymentMean": "gold" }), 403, refused).await;
    let mut account = AccountSeed::default();
    account.means[0].refuses = true;
    bench.simulator.put_account(account).unwrap();
    check(json!({ "paymentMean": "paypal", "paymentMeanId": 1234 }), 403, refused).await;
    assert_eq!(bench.ledger(), ["order_unpaid"]);
    bench.post(&pay, json!({ "paymentMean": "fidelityAccount" })).await.unwrap();
    assert_eq!(bench.ledger(), ["order_unpaid", "order_paid"]);
}

#[tokio::test]
async fn the_newer_methods_of_payment() {
    let bench = Bench::new().await;
    let order = bench.order(12345, "P1M").await;
    assert_eq!(bench.get("/me/payment/method?default=true").await.unwrap(), json!([701_234]));
    assert_eq!(bench.get("/me/payment/method").await.unwrap().as_array().unwrap().len(), 3);
    let method = bench.get("/me/payment/method/700077").await.unwrap();
    assert_eq!(
        (&method["paymentType"], &method["default"]),
        (&json!("CREDIT_CARD"), &json!(false))
    );
    let body = json!({ "paymentMethod": { "id": 700_077 } });
    assert_eq!(bench.post(&format!("/me/order/{order}/pay"), body).await.unwrap(), Value::Null);
    assert_eq!(bench.status(order).await, "delivered");
    assert_eq!(bench.simulator.expires(12345), Some(day("2099-04-30")));
}

#[tokio::test]
async fn documents_and_commanded_statuses() {
    let bench = Bench::in_mode(Mode { documents: true, ..Mode::default() }).await;
    let order = bench.order(54321, "P1Y").await;
    let refused = bench.simulator.set_status(order, "delivered").unwrap_err();
    assert!(refused.contains("not paid"), "{refused}");
    bench.pay(order).await.unwrap();
    assert_eq!(bench.status(order).await, "documentsRequested");
    assert_eq!(bench.simulator.expires(54321), Some(day("2099-03-31")));
    bench.simulator.set_status(order, "delivered").unwrap();
    assert_eq!(bench.simulator.expires(54321), Some(day("2100-03-31")));
    bench.simulator.set_status(order, "lost").unwrap_err();
}
