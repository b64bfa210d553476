//! What the five actions answer.

use purveyor_simulators::klikk::{AccountSeed, Mode};
use serde_json::{Value, json};

use crate::client::{call, good, order, raw, servers, start, start_with, status};
use crate::wire;

#[tokio::test]
async fn an_order_is_processed_and_delivered() {
    let mode = Mode { delivery_ms: 60_000, ..Mode::default() };
    let simulator = start_with("1000", mode).await;
    let url = simulator.url();
    let created = good(url, order(&["My testserver 1", "other"])).await;
    let documented =
        json!({ "order_id": 73, "status": 200, "message": "Order is being processed" });
    assert_eq!(created, documented);
    let told = good(url, status(73)).await;
    assert_eq!((&told["order_id"], &told["status"]), (&json!(73), &json!(200)));
    let item = &told["order_items"][0];
    // The request's name comes back as the reference, and the name is the product's.
    let expected = json!({
        "id": 1293, "status": 200, "name": "VPS", "reference": "My testserver 1",
        "message": "Order is being processed", "auto_renew": true,
    });
    assert_eq!(*item, expected);
    assert_eq!(good(url, servers(0)).await, json!([]));

    simulator.advance(std::time::Duration::from_secs(60));
    let told = good(url, status(73)).await;
    assert_eq!((&told["status"], &told["order_items"][1]["status"]), (&json!(201), &json!(201)));
    let all = good(url, servers(0)).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let expected = json!({
        "order_item_id": 1294, "order_id": 73, "name": "VPS", "reference": "other",
        "state": "running", "ip": ["192.0.2.25"], "created": "2026-01-31T10:01:00Z",
        "period_end": "2026-02-28T10:01:00Z", "auto_renew": true,
    });
    assert_eq!(good(url, servers(1294)).await, json!([expected]));
    assert_eq!(good(url, servers(7)).await, json!([]));
    for blank in [json!({}), json!({ "order_item_id": "" }), json!({ "order_item_id": null })] {
        let mut blank = blank;
        blank["action"] = json!("server_list");
        assert_eq!(good(url, blank).await, all);
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_made() {
    let simulator = start().await;
    let check = async |body: Value, expected: (u16, &str)| {
        let (status, answer) = call(simulator.url(), body.clone()).await.unwrap();
        assert_eq!((status, answer["message"].as_str().unwrap()), expected, "{body}");
        assert_eq!(answer["status"], json!(status));
    };
    let changed = |pointer: &str, value: Value| {
        let mut order = order(&["a", "b"]);
        *order.pointer_mut(pointer).unwrap() = value;
        order
    };
    check(json!({ "action": "order_delete" }), (400, "Unknown action")).await;
    check(json!({}), (400, "Unknown action")).await;
    check(changed("/items", json!([])), (400, "items is missing")).await;
    check(changed("/reference", json!(1)), (400, "reference is invalid")).await;
    check(changed("/items/1/name", json!("")), (400, "items[1].name is missing")).await;
    let name = "/items/1/product/name";
    check(changed(name, json!("CPU")), (400, "items[1].product.name is unknown")).await;
    check(
        changed("/items/0/product/options/quantity_cpu", json!(9.5)),
        (400, "items[0].product.options.quantity_cpu is invalid"),
    )
    .await;
    check(json!({ "action": "order_status" }), (400, "order_id is missing")).await;
    check(json!({ "action": "order_status", "order_id": "73" }), (400, "an id is not a number"))
        .await;
    check(status(73), (404, "Not found")).await;
    check(json!({ "action": "order_cancel", "order_id": 73 }), (404, "Not found")).await;
    assert!(simulator.ledger().is_empty());
    // The document's own example has a comma too many.
    let (status, _) =
        raw(simulator.url(), &[("X-Account-Token", crate::client::TOKEN)], "{,}".to_owned())
            .await
            .unwrap();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn only_a_post_to_the_one_address_is_a_call() {
    let simulator = start().await;
    let root = simulator.url().trim_end_matches("/api").to_owned();
    let token = [("X-Account-Token", crate::client::TOKEN)];
    let body = || json!({ "action": "order_list" }).to_string();
    let check = async |method: &str, url: &str, expected: u16| {
        let (status, _) = wire::send(method, url, &token, body()).await.unwrap();
        assert_eq!(status, expected, "{method} {url}");
    };
    check("POST", simulator.url(), 200).await;
    check("GET", simulator.url(), 405).await;
    check("POST", &format!("{root}/api/"), 404).await;
    check("POST", &format!("{root}/"), 404).await;
}

#[tokio::test]
async fn orders_are_listed_with_their_items_after_the_lag() {
    let mode = Mode { listing_lag_ms: 5000, ..Mode::default() };
    let simulator = start_with("1000", mode).await;
    let list = async || good(simulator.url(), json!({ "action": "order_list" })).await;
    good(simulator.url(), order(&["a"])).await;
    assert_eq!(list().await, json!([]));
    simulator.advance(std::time::Duration::from_secs(5));
    good(simulator.url(), order(&["b"])).await;
    assert_eq!(list().await, json!([good(simulator.url(), status(73)).await]));
    simulator.set_mode(Mode { list_items: false, ..Mode::default() });
    let listed = list().await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0].get("order_items"), None);
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let simulator = start().await;
    good(simulator.url(), order(&["a"])).await;
    let other = "othertoken00000000000";
    let seed = AccountSeed {
        account_token: other.to_owned(),
        profile: "profile-1".to_owned(),
        old_order: false,
        ..AccountSeed::default()
    };
    simulator.put_account(seed).unwrap();
    let check = async |body: Value, expected: Value| {
        let sent = raw(simulator.url(), &[("X-Account-Token", other)], body.to_string()).await;
        let (_, answer) = sent.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), expected, "{body}");
    };
    let missing = json!({ "status": 404, "message": "Not found" });
    check(status(73), missing.clone()).await;
    check(json!({ "action": "order_cancel", "order_id": 73 }), missing).await;
    check(json!({ "action": "order_list" }), json!([])).await;
    check(servers(0), json!([])).await;
}
