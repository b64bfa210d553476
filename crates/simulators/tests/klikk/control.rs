//! The control API: that it can do from another process what the handle can do in this one.

use purveyor_simulators::klikk::Mode;
use serde_json::{Value, json};

use crate::client::{TOKEN, call, command, good, order, raw, start, start_with, status};

#[tokio::test]
async fn the_ledger_tells_each_item() {
    let simulator = start_with("1000", Mode::default()).await;
    good(simulator.url(), order(&["a"])).await;
    let (_, ledger) = command(&simulator, "GET", "/ledger", &Value::Null).await;
    let fingerprint = ledger[0]["fingerprint"].as_str().unwrap();
    assert_eq!(fingerprint.len(), 64);
    let expected = json!([{
        "sequence": 1, "time": "2026-01-31T10:00:00Z", "account": "profile-0",
        "kind": "order_item", "operation_id": "73", "product_id": "1293", "product_name": "VPS",
        "quantity": 1, "duration": "1 month", "amount": "325.00", "currency": "NOK",
        "fingerprint": fingerprint,
    }]);
    assert_eq!(ledger, expected);
}

#[tokio::test]
async fn switches_accounts_payments_and_statuses_follow_commands() {
    let simulator = start().await;
    let (_, mode) = command(&simulator, "POST", "/mode", &json!({ "delivery_ms": 60_000 })).await;
    assert_eq!((&mode["delivery_ms"], &mode["list_items"]), (&json!(60_000), &json!(true)));
    good(simulator.url(), order(&["a"])).await;
    let told = async |order| good(simulator.url(), status(order)).await;

    let failed = json!({ "status": 500, "message": "No capacity", "item": 1293 });
    assert_eq!(command(&simulator, "POST", "/orders/73/status", &failed).await.0, 200);
    let item = &told(73).await["order_items"][0];
    assert_eq!((&item["status"], &item["message"]), (&json!(500), &json!("No capacity")));
    let failed = json!({ "status": 777, "message": "?" });
    command(&simulator, "POST", "/orders/73/status", &failed).await;
    assert_eq!(told(73).await["status"], json!(777));

    let poor = json!({ "account_token": TOKEN, "credit": "1.50", "profile": "profile-0" });
    assert_eq!(command(&simulator, "POST", "/accounts", &poor).await.0, 200);
    let (_, accounts) = command(&simulator, "GET", "/accounts", &Value::Null).await;
    assert_eq!(accounts, json!([{ "profile": "profile-0", "credit": "1.50" }]));
    assert_eq!(call(simulator.url(), order(&["b"])).await.unwrap().0, 402);
    assert_eq!(command(&simulator, "POST", "/orders/74/pay", &Value::Null).await.0, 200);
    assert_eq!(told(74).await["status"], json!(200));

    let other = json!({ "account_token": "othertoken00000000000", "profile": "profile-1" });
    assert_eq!(command(&simulator, "POST", "/accounts", &other).await.0, 200);
    let token = [("X-Account-Token", "othertoken00000000000")];
    let sent = raw(simulator.url(), &token, json!({ "action": "order_list" }).to_string()).await;
    assert_eq!(sent.unwrap().1, "[]");
}

#[tokio::test]
async fn status_lag_hides_a_new_order_until_it_has_passed() {
    let mode = Mode { status_lag_ms: 60_000, ..Mode::default() };
    let simulator = start_with("1000", mode).await;
    good(simulator.url(), order(&["a"])).await;
    assert_eq!(call(simulator.url(), status(73)).await.unwrap().0, 404);
    simulator.advance(std::time::Duration::from_secs(60));
    assert_eq!(call(simulator.url(), status(73)).await.unwrap().0, 200);
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused() {
    let simulator = start().await;
    good(simulator.url(), order(&["a"])).await;
    let check = async |path: &str, body: Value, expected: u16| {
        let (status, answer) = command(&simulator, "POST", path, &body).await;
        assert_eq!(status, expected, "{path} {body}: {answer}");
        assert!(answer["error"].is_string());
    };
    check("/mode", json!({ "delivery": 1 }), 400).await;
    check("/accounts", json!({ "account_token": "short" }), 400).await;
    check("/orders/73/pay", json!(null), 409).await;
    check("/orders/99/pay", json!(null), 409).await;
    check("/orders/99/status", json!({ "status": 200, "message": "" }), 404).await;
    check("/orders/73/status", json!({ "status": 200, "message": "", "item": 1 }), 404).await;
    check("/orders/73/status", json!({}), 400).await;
    check("/orders/73/close", json!({}), 404).await;
    check("/orders/x/pay", json!({}), 404).await;
}
