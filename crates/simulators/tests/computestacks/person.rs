//! A person in the panel, changes that show late, labels that are cut, and the old product.

use std::time::Duration;

use purveyor_simulators::computestacks::{ComputeStacks, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use serde_json::{Value, json};

use crate::client::{PRODUCTS, call, command, create, package, resource, start, start_at};

async fn labels(simulator: &Simulator<ComputeStacks>) -> Vec<String> {
    let answer = call(simulator, "GET", PRODUCTS, &Value::Null).await.json();
    let rows = answer["products"].as_array().unwrap().clone();
    rows.iter().map(|row| row["label"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_catalogue_begins_with_one_old_product() {
    let simulator = ComputeStacks::start(Options::default()).await.unwrap();
    assert_eq!(labels(&simulator).await, ["old"]);
    assert_eq!(create(&simulator, &package("s")).await, 2);
    assert_eq!(labels(&simulator).await, ["old", "s"]);
}

#[tokio::test]
async fn a_person_makes_changes_and_deletes_and_the_ledger_says_so() {
    let simulator = start(Mode::default()).await;
    let ours = create(&simulator, &package("s")).await;
    let made = simulator.person_makes(&package("p")["product"], 86_400).unwrap();
    simulator.person_renames(ours, "renamed").unwrap();
    create(&simulator, &resource("r", "cpu")).await;
    assert_eq!(labels(&simulator).await, ["renamed", "r", "p"], "the one dated ahead comes last");
    let body = json!({ "product": { "group": "other" } });
    let path = format!("/person/products/{made}");
    assert_eq!(command(&simulator, "PATCH", &path, &body).await.0, 200);
    assert_eq!(command(&simulator, "DELETE", &path, &Value::Null).await.0, 200);
    assert_eq!(command(&simulator, "DELETE", &path, &Value::Null).await.0, 400);
    let answer = command(&simulator, "POST", "/person/products", &package("q")).await;
    assert_eq!(answer, (200, json!({ "id": made + 2 })));
    assert!(simulator.person_reprices(9, "7").is_err());
    let (add, change, gone) = (Kind::ProductAdd, Kind::ProductUpdate, Kind::ProductDelete);
    let lines: Vec<_> =
        simulator.ledger().iter().map(|it| (it.sale.kind, it.sale.person)).collect();
    let expected = [
        (add, false),
        (add, true),
        (change, true),
        (add, false),
        (change, true),
        (gone, true),
        (add, true),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_change_shows_in_reads_after_the_lag() {
    let mode = Mode { effect_lag_ms: 5000, ..Mode::default() };
    let simulator = start_at("2024-05-06T07:08:09Z", mode).await;
    let id = create(&simulator, &package("s")).await;
    let path = format!("{PRODUCTS}/{id}");
    assert_eq!(call(&simulator, "GET", &path, &Value::Null).await.status, 404);
    simulator.advance(Duration::from_secs(3));
    let body = json!({ "product": { "label": "t" } });
    let answer = call(&simulator, "PATCH", &path, &body).await.json();
    assert_eq!(answer["product"]["label"], "t", "its own answer shows it");
    assert!(labels(&simulator).await.is_empty());
    simulator.advance(Duration::from_secs(2));
    assert_eq!(labels(&simulator).await, ["s"]);
    simulator.advance(Duration::from_secs(3));
    assert_eq!(labels(&simulator).await, ["t"]);
    let plan = "/api/admin/billing_plans/1";
    let body = json!({ "billing_resource": { "product_id": id } });
    let made = call(&simulator, "POST", &format!("{plan}/billing_resources"), &body).await;
    assert_eq!(made.status, 201);
    let listed = async || {
        let shown = call(&simulator, "GET", plan, &Value::Null).await.json();
        shown["billing_plan"]["billing_resources"].as_array().unwrap().len()
    };
    assert_eq!(listed().await, 0);
    simulator.advance(Duration::from_secs(5));
    assert_eq!(listed().await, 1);
}

#[tokio::test]
async fn a_label_is_cut_and_a_record_is_missing_once() {
    let simulator = start(Mode { label_max: 3, ..Mode::default() }).await;
    let id = create(&simulator, &package("label")).await;
    assert_eq!(labels(&simulator).await, ["lab"]);
    let missing = FaultKind::Fault { code: 404, text: String::new() };
    simulator.inject(Fault::next("GET /api/admin/products/{id}", missing));
    let path = format!("{PRODUCTS}/{id}");
    let answer = call(&simulator, "GET", &path, &Value::Null).await;
    assert_eq!((answer.status, answer.body.len()), (404, 0));
    assert_eq!(call(&simulator, "GET", &path, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_person_reprices_a_rule_and_takes_a_product_out_of_the_plans() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let plan = "/api/admin/billing_plans/1";
    let body = json!({ "billing_resource": { "product_id": id } });
    call(&simulator, "POST", &format!("{plan}/billing_resources"), &body).await;
    let body = json!({ "billing_resource_price": {
        "currency": "EUR", "price": "6", "region_ids": [1],
    } });
    let prices = format!("{plan}/billing_resources/1/billing_phases/1/billing_resource_prices");
    assert_eq!(call(&simulator, "POST", &prices, &body).await.status, 201);
    let body = json!({ "price": "7" });
    assert_eq!(command(&simulator, "PATCH", "/person/rules/1", &body).await.0, 200);
    let shown = async || {
        let shown = call(&simulator, "GET", plan, &Value::Null).await.json();
        shown["billing_plan"]["billing_resources"].clone()
    };
    assert_eq!(shown().await[0]["billing_phases"][0]["prices"][0]["price"], "7.0");
    let place = format!("/person/places/{id}");
    assert_eq!(command(&simulator, "DELETE", &place, &Value::Null).await.0, 200);
    assert_eq!(shown().await, json!([]));
    assert_eq!(command(&simulator, "DELETE", "/person/places/99", &Value::Null).await.0, 400);
    assert!(simulator.ledger().iter().rev().take(2).all(|it| it.sale.person));
}
