//! The control API: that it can do from another process what the handle can do in this one.

use purveyor_simulators::gandi::Mode;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::client::{
    Failure, call, call_raw, command, id, int, member, product, start, start_at, string, text,
};
use crate::wire::split;

const CREATE: &str = "hosting.product.create";

#[tokio::test]
async fn faults_are_armed_listed_and_cleared() {
    let simulator = start(Mode::default()).await;
    let fault = json!({ "method": "version.*", "kind": "status", "status": 502, "times": 9 });
    assert_eq!(command(&simulator, "POST", "/faults", &fault).await, (200, json!({})));
    let version = async || call(simulator.url(), "version.info", []).await;
    assert_eq!(version().await, Err(Failure::Status(502)));
    let (_, armed) = command(&simulator, "GET", "/faults", &Value::Null).await;
    assert_eq!(armed[0]["status"], 502);
    command(&simulator, "DELETE", "/faults", &Value::Null).await;
    assert!(version().await.is_ok());

    let table =
        json!({ "weights": [{ "method": "*", "weight": 1, "kind": "drop_before_commit" }] });
    assert_eq!(command(&simulator, "POST", "/fault-table", &table).await.0, 200);
    assert_eq!(version().await, Err(Failure::Closed));
}

#[tokio::test]
async fn what_happened_can_be_read() {
    let simulator = start_at("2011-03-24T15:49:50Z", "100", Mode::default()).await;
    let operation = call(simulator.url(), CREATE, [product("ips", 2, "1m")]).await.unwrap();
    let (_, ledger) = command(&simulator, "GET", "/ledger", &Value::Null).await;
    let entry = &ledger[0];
    let fingerprint = entry["fingerprint"].as_str().unwrap().to_owned();
    let expected = json!([{
        "sequence": 1,
        "time": "2011-03-24T15:49:50Z",
        "account": "AB3917-GANDI",
        "kind": "product_add",
        "operation_id": id(&operation).to_string(),
        "product_id": entry["product_id"],
        "product_name": "ips",
        "quantity": 2,
        "duration": "1m",
        "amount": "4.00",
        "currency": "EUR",
        "fingerprint": fingerprint,
    }]);
    assert_eq!(ledger, expected);
    let (_, requests) = command(&simulator, "GET", "/requests", &Value::Null).await;
    assert_eq!(requests, json!({ CREATE: 1 }));
    let (_, connections) = command(&simulator, "GET", "/connections", &Value::Null).await;
    assert_eq!(connections["total"], 1);
    assert!(connections["received_bytes"].as_u64() > Some(300));
}

#[tokio::test]
async fn time_mode_accounts_and_steps_follow_commands() {
    let mode = Mode { bill_ms: 60_000, ..Mode::default() };
    let simulator = start_at("2011-03-24T15:49:50Z", "100", mode).await;
    let operation = call(simulator.url(), CREATE, [product("ips", 1, "1m")]).await.unwrap();
    let step = async || {
        let info = call(simulator.url(), "operation.info", [int(id(&operation))]).await.unwrap();
        string(member(&info, "step")).to_owned()
    };
    assert_eq!(step().await, "BILL");
    let wait = json!({ "step": "SUPPORT", "last_error": "ask us" });
    let path = format!("/operations/{}/step", id(&operation));
    assert_eq!(command(&simulator, "POST", &path, &wait).await, (200, json!({})));
    assert_eq!(step().await, "SUPPORT");
    let (_, clock) =
        command(&simulator, "POST", "/clock/advance", &json!({ "seconds": 1.5 })).await;
    assert_eq!(clock, json!({ "now": "2011-03-24T15:49:51.5Z" }));

    let (_, mode) = command(&simulator, "POST", "/mode", &json!({ "emptied": true })).await;
    assert_eq!((&mode["emptied"], &mode["bill_ms"]), (&json!(true), &json!(60_000)));
    let bought = call(simulator.url(), CREATE, [product("ips", 1, "1m")]).await;
    assert_eq!(bought, Ok(dxr::Value::Nil));

    let other = "0123456789abcdefghijklmn";
    let account = json!({ "api_key": other, "handle": "CD1-GANDI", "prepaid": "7.5" });
    assert_eq!(command(&simulator, "POST", "/accounts", &account).await.0, 200);
    let balance = call_raw(simulator.url(), "contact.balance", vec![text(other)]).await.unwrap();
    assert_eq!(string(member(member(&balance, "prepaid"), "amount")), "7.50");
    let (_, accounts) = command(&simulator, "GET", "/accounts", &Value::Null).await;
    let prepaid: Vec<_> = accounts.as_array().unwrap().iter().map(|a| &a["prepaid"]).collect();
    assert_eq!(prepaid, ["98.00", "7.50"]);
    assert!(!accounts.to_string().contains(other));
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused() {
    let simulator = start(Mode::default()).await;
    let check = async |method: &str, path: &str, body: Value, expected: u16| {
        let (status, answer) = command(&simulator, method, path, &body).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
        assert!(answer["error"].is_string());
    };
    check("POST", "/faults", json!({ "kind": "earthquake" }), 400).await;
    check("POST", "/fault-table", json!({ "seed": 1 }), 400).await;
    check("POST", "/clock/advance", json!({ "seconds": -1 }), 400).await;
    check("POST", "/mode", json!({ "emptyed": true }), 400).await;
    check("POST", "/mode", json!({ "time_zone": "Nowhere/At All" }), 400).await;
    check("POST", "/accounts", json!({ "api_key": "short" }), 400).await;
    check("POST", "/accounts", json!({ "currency": "XXX" }), 400).await;
    check("POST", "/operations/1/step", json!({ "step": "DONE" }), 404).await;
    check("POST", "/operations/1/step", json!({ "step": "GONE" }), 400).await;
    check("POST", "/operations/x/step", json!({ "step": "DONE" }), 404).await;
    check("GET", "/nothing", json!(null), 404).await;
    assert!(call(simulator.url(), "version.info", []).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_brings_nothing_is_closed_when_that_is_wanted() {
    let simulator = start_at("2011-03-24T15:49:50Z", "100", Mode::default()).await;
    let (authority, _) = split(simulator.url());
    let patient = TcpStream::connect(authority).await.unwrap();
    // Whoever connected before the command is left alone; that it was accepted shows here.
    while simulator.connections().total < 1 {
        tokio::task::yield_now().await;
    }
    let (status, _) = command(&simulator, "POST", "/idle", &json!({ "ms": 1 })).await;
    assert_eq!(status, 200);
    let mut idle = TcpStream::connect(authority).await.unwrap();
    let mut nothing = Vec::new();
    // An answer that asks for haste may come before the end.
    idle.read_to_end(&mut nothing).await.unwrap();
    while simulator.connections().open > 1 {
        tokio::task::yield_now().await;
    }
    drop(patient);
}
