//! The control API of this simulator.

use purveyor_simulators::Simulator;
use purveyor_simulators::ovh::Ovh;
use serde_json::{Value, json};

use crate::client::Bench;
use crate::wire;

async fn command(simulator: &Simulator<Ovh>, line: &str, body: Value) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap();
    let url = format!("{}{path}", simulator.control_url());
    let (status, body) = wire::send(method, &url, &[], body.to_string()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn what_a_test_can_do_another_process_can_too() {
    let bench = Bench::new().await;
    let simulator = &bench.simulator;
    let (status, mode) = command(simulator, "POST /mode", json!({ "documents": true })).await;
    assert_eq!((status, &mode["documents"]), (200, &json!(true)));
    assert!(simulator.mode().documents && simulator.mode().terse_prices);
    assert_eq!(command(simulator, "POST /mode", json!({ "no": 1 })).await.0, 400);

    let order = bench.order(12345, "P3M").await;
    let line = format!("POST /orders/{order}/status");
    assert_eq!(command(simulator, &line, json!({ "status": "delivered" })).await.0, 409);
    assert_eq!(command(simulator, &line, json!({ "status": "cancelled" })).await.0, 200);
    assert_eq!(bench.status(order).await, "cancelled");
    assert_eq!(
        command(simulator, "POST /orders/1/status", json!({ "status": "cancelled" })).await.0,
        404
    );
    assert_eq!(command(simulator, "POST /credentials/none/validate", json!({})).await.0, 404);
    assert_eq!(command(simulator, "POST /accounts", json!({ "application_key": "" })).await.0, 400);

    let (_, ledger) = command(simulator, "GET /ledger", json!({})).await;
    assert_eq!(ledger[0]["kind"], "order_unpaid");
    let (_, requests) = command(simulator, "GET /requests", json!({})).await;
    assert_eq!(requests["POST /service/{serviceId}/renew"], 1);
}
