//! The control API: that it can do from another process what the handle can do in this one.

use purveyor_simulators::klikk::Mode;
use serde_json::{Value, json};

use crate::client::{TOKEN, call, command, good, order, raw, servers, start, start_with, status};

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

    let other = json!({
        "account_token": "othertoken00000000000", "profile": "profile-1", "old_order": false,
    });
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
async fn account_begins_with_an_old_order_without_a_sale() {
    let simulator = start_with("1000", Mode::default()).await;
    let other = json!({ "account_token": "othertoken00000000000", "profile": "profile-1" });
    assert_eq!(command(&simulator, "POST", "/accounts", &other).await.0, 200);
    let token = [("X-Account-Token", "othertoken00000000000")];
    let list = json!({ "action": "order_list" }).to_string();
    let (_, listed) = raw(simulator.url(), &token, list).await.unwrap();
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!((&listed[0]["order_id"], &listed[0]["status"]), (&json!(72), &json!(408)));
    assert_eq!(listed[0]["created"], "2026-01-01T10:00:00Z");
    assert!(simulator.ledger().is_empty());
    assert_eq!(good(simulator.url(), order(&["a"])).await["order_id"], json!(73));
}

#[tokio::test]
async fn person_buys_renames_pays_and_cancels() {
    let simulator = start_with("150", Mode::default()).await;
    let told = async |order| good(simulator.url(), status(order)).await;
    let bought = json!({ "account_token": TOKEN, "names": ["web"], "ahead_ms": 3_600_000 });
    for (order, code) in [(73, 201), (74, 402)] {
        let (_, answer) = command(&simulator, "POST", "/orders", &bought).await;
        assert_eq!(answer, json!({ "order_id": order }));
        assert_eq!(told(order).await["status"], json!(code));
    }
    assert_eq!(told(73).await["created"], "2026-01-31T11:00:00Z");
    let renamed = json!({ "name": "shop", "item": 1293 });
    assert_eq!(command(&simulator, "POST", "/orders/73/rename", &renamed).await.0, 200);
    assert_eq!(told(73).await["order_items"][0]["reference"], "shop");
    assert_eq!(command(&simulator, "POST", "/orders/73/cancel", &json!({})).await.0, 200);
    assert_eq!(told(73).await["order_items"][0]["auto_renew"], json!(false));
    assert_eq!(command(&simulator, "POST", "/orders/74/pay", &Value::Null).await.0, 200);
    good(simulator.url(), servers(0)).await;
    let (_, ledger) = command(&simulator, "GET", "/ledger", &Value::Null).await;
    let kinds: Vec<_> = ledger.as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(kinds, ["order_item", "order_item_invoiced", "invoice_paid"]);
    assert!(ledger.as_array().unwrap().iter().all(|line| line["person"] == json!(true)));
}

#[tokio::test]
async fn vanished_order_is_missed_by_so_many_reads() {
    let simulator = start_with("1000", Mode::default()).await;
    let url = simulator.url();
    good(url, order(&["a"])).await;
    let vanish = async |body: Value| command(&simulator, "POST", "/orders/73/vanish", &body).await;
    assert_eq!(vanish(json!({ "reads": 2 })).await.0, 200);
    assert_eq!(call(url, status(73)).await.unwrap().0, 404);
    assert_eq!(good(url, json!({ "action": "order_list" })).await, json!([]));
    assert_eq!(good(url, status(73)).await["order_id"], json!(73));
    for (servers_too, left) in [(false, 1), (true, 0)] {
        vanish(json!({ "servers": servers_too })).await;
        for _ in 0..3 {
            assert_eq!(call(url, status(73)).await.unwrap().0, 404);
        }
        assert_eq!(good(url, servers(0)).await.as_array().unwrap().len(), left);
    }
}

#[tokio::test]
async fn effect_shows_after_its_lag() {
    let mode = Mode { effect_lag_ms: 60_000, ..Mode::default() };
    let simulator = start_with("1000", mode.clone()).await;
    let url = simulator.url();
    good(url, order(&["a"])).await;
    assert_eq!(good(url, status(73)).await["status"], json!(201));
    assert_eq!(good(url, servers(0)).await, json!([]));
    simulator.set_mode(Mode { lag_installs: true, ..mode });
    assert_eq!(good(url, servers(0)).await[0]["state"], "installing");
    simulator.advance(std::time::Duration::from_secs(60));
    assert_eq!(good(url, servers(0)).await[0]["state"], "running");
    good(url, json!({ "action": "order_cancel", "order_id": 73 })).await;
    assert_eq!(good(url, servers(0)).await[0]["auto_renew"], json!(true));
    simulator.advance(std::time::Duration::from_secs(60));
    assert_eq!(good(url, servers(0)).await[0]["auto_renew"], json!(false));
}

#[tokio::test]
async fn names_are_cut_and_words_and_answers_are_set() {
    let simulator = start_with("1000", Mode::default()).await;
    let url = simulator.url();
    let set = async |mode: Value| command(&simulator, "POST", "/mode", &mode).await;
    set(json!({ "name_limit": 3, "order_status": 777, "answered_order": 7 })).await;
    assert_eq!(good(url, order(&["abcd"])).await["order_id"], json!(7));
    let told = good(url, status(73)).await;
    assert_eq!(
        (&told["status"], &told["order_items"][0]["reference"]),
        (&json!(777), &json!("abc"))
    );
    set(json!({ "order_status": null, "answered_order": null, "server_state": "odd" })).await;
    assert_eq!(good(url, order(&["b"])).await["order_id"], json!(74));
    assert_eq!(good(url, servers(0)).await[0]["state"], "odd");
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
    check("/orders/99/rename", json!({ "name": "a" }), 404).await;
    check("/orders/73/rename", json!({ "name": "a", "item": 1 }), 404).await;
    check("/orders/99/cancel", json!({}), 404).await;
    check("/orders/99/vanish", json!({}), 404).await;
    check("/orders", json!({ "account_token": "nobody", "names": [] }), 404).await;
    check("/orders/x/pay", json!({}), 404).await;
}
