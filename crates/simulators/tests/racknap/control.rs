//! The control API: that it can do from another process what the handle can do in this one.

use purveyor_simulators::Kind;
use serde_json::{Value, json};

use crate::client::{call, command, service, service_with, start};

#[tokio::test]
async fn accounts_plans_switches_and_services_follow_commands() {
    let simulator = start().await;
    let account = json!({ "token": "another-token", "name": "another", "currency": "USD" });
    assert_eq!(command(&simulator, "POST", "/accounts", &account).await, (200, json!({})));
    let (_, accounts) = command(&simulator, "GET", "/accounts", &Value::Null).await;
    assert_eq!(accounts[1]["name"], "another");
    assert!(!accounts.to_string().contains("another-token"));

    let plan = json!({ "planid": 9, "name": "Nine", "prices": { "1": [
        { "billingcycle": "Free", "first_plan_price": "0", "recuring_plan_price": "0" }
    ] } });
    assert_eq!(command(&simulator, "POST", "/plans", &plan).await.0, 200);
    let details = call(&simulator, "planDetail", &json!({ "planid": 9, "currency": 1 })).await;
    assert_eq!(details.unwrap()["pricing"][0]["billingcycle"], "Free");
    let answer = call(&simulator, "create", &service_with("planid", json!(9))).await.unwrap();
    let message = "Service ID: 1334 - Nine service has been created successfully.";
    assert_eq!(answer["message"], message);

    let made = json!({ "account": "another", "planid": 24 });
    let (_, made) = command(&simulator, "POST", "/services", &made).await;
    assert_eq!(made, json!({ "serviceid": 1335 }));
    let (_, services) = command(&simulator, "GET", "/services", &Value::Null).await;
    assert_eq!(services, serde_json::to_value(simulator.services()).unwrap());
    assert_eq!(services[1]["account"], "another");

    let (_, mode) = command(&simulator, "POST", "/mode", &json!({ "errors": "http" })).await;
    assert_eq!((&mode["errors"], &mode["repeats"]), (&json!("http"), &json!("success")));
    assert_eq!(command(&simulator, "GET", "/mode", &Value::Null).await.1, mode);
}

#[tokio::test]
async fn what_happened_can_be_read() {
    let simulator = start().await;
    call(&simulator, "create", &service()).await.unwrap();
    let (_, ledger) = command(&simulator, "GET", "/ledger", &Value::Null).await;
    assert_eq!(
        (&ledger[0]["kind"], &ledger[0]["amount"]),
        (&json!("service_create"), &json!("528.14"))
    );
    assert_eq!(ledger[0]["fingerprint"].as_str().map(str::len), Some(64));
    let (_, requests) = command(&simulator, "GET", "/requests", &Value::Null).await;
    assert_eq!(requests, json!({ "create": 1 }));
}

#[tokio::test]
async fn reuse_ids_gives_a_new_service_the_number_of_a_terminated_one() {
    let simulator = start().await;
    let create = async || call(&simulator, "create", &service()).await.unwrap();
    create().await;
    create().await;
    let terminate = json!({ "serviceid": 1334 });
    call(&simulator, "terminate", &terminate).await.unwrap();
    command(&simulator, "POST", "/mode", &json!({ "reuse_ids": true })).await;
    create().await;
    create().await;
    let kinds = [Kind::ServiceCreate, Kind::ServiceTerminate];
    let entries =
        simulator.ledger().into_iter().map(|entry| (entry.sale.kind, entry.sale.operation_id));
    let of = |kind: usize, id: &str| (kinds[kind], id.to_owned());
    let expected = [of(0, "1334"), of(0, "1335"), of(1, "1334"), of(0, "1334"), of(0, "1336")];
    assert_eq!(entries.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused() {
    let simulator = start().await;
    let check = async |method: &str, path: &str, body: Value, expected: u16| {
        let (status, answer) = command(&simulator, method, path, &body).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
        assert!(answer["error"].is_string());
    };
    check("POST", "/mode", json!({ "errors": "teapot" }), 400).await;
    check("POST", "/mode", json!({ "colour": true }), 400).await;
    check("POST", "/accounts", json!({ "token": "short" }), 400).await;
    check("POST", "/accounts", json!({ "token": "long enough" }), 400).await;
    check("POST", "/plans", json!({ "planid": 0, "name": "x", "prices": {} }), 400).await;
    check("POST", "/services", json!({ "account": "nobody", "planid": 24 }), 400).await;
    check("GET", "/nothing", json!(null), 404).await;
}
