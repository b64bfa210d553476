//! Billing plans, resources, phases and price rules.

use purveyor_simulators::Kind;
use purveyor_simulators::computestacks::Mode;
use serde_json::{Value, json};

use crate::client::{PRODUCTS, call, create, package, start};

const PLANS: &str = "/api/admin/billing_plans";

#[tokio::test]
async fn a_product_becomes_sellable() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let resources = format!("{PLANS}/1/billing_resources");
    let body = json!({ "billing_resource": { "product_id": id, "external_id": "tag" } });
    let made = call(&simulator, "POST", &resources, &body).await;
    assert_eq!(made.status, 201);
    let resource = made.json()["billing_resource"].clone();
    let phase = resource["billing_phases"][0].clone();
    assert_eq!(phase["phase_type"], "final");
    let prices = format!(
        "{resources}/{}/billing_phases/{}/billing_resource_prices",
        resource["id"], phase["id"]
    );
    let price = |max_qty: Value, regions: Value| {
        json!({ "billing_resource_price": {
            "currency": "EUR", "max_qty": max_qty, "price": "0.00535", "region_ids": regions,
        } })
    };
    let made = call(&simulator, "POST", &prices, &price(Value::Null, json!([1]))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let refused = async |body: Value, expected: &str| {
        let answer = call(&simulator, "POST", &prices, &body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (422, json!({ "errors": [expected] })),
            "{body}"
        );
    };
    refused(price(Value::Null, json!([1, 2])), "Max qty value already exists").await;
    refused(price(json!(5), json!([])), "Regions must have at least one selected").await;
    refused(price(json!(5), json!([3])), "Regions must have at least one selected").await;
    refused(price(json!("x"), json!([2])), "Max qty is not a number").await;
    let tier = call(&simulator, "POST", &prices, &price(json!(5), json!([1, 2]))).await;
    assert_eq!(tier.status, 201);

    let shown = call(&simulator, "GET", &format!("{PLANS}/1"), &Value::Null).await.json();
    let plan = &shown["billing_plan"];
    assert_eq!(plan["term"], "month");
    let resource = &plan["billing_resources"][0];
    assert_eq!((&resource["external_id"], &resource["product"]["id"]), (&json!("tag"), &json!(id)));
    let prices = &resource["billing_phases"][0]["prices"];
    let first = json!({
        "id": prices[0]["id"], "currency": "EUR", "max_qty": null, "price": "0.00535",
        "regions": [{ "id": 1, "name": "fra" }],
    });
    assert_eq!(prices[0], first);
    assert_eq!(prices[1]["max_qty"], "5.0");
    let kinds: Vec<Kind> = simulator.ledger().iter().map(|entry| entry.sale.kind).collect();
    let rule = Kind::PriceRuleAdd;
    assert_eq!(kinds, [Kind::ProductAdd, Kind::BillingResourceAdd, rule, rule]);

    let deleted = call(&simulator, "DELETE", &format!("{PRODUCTS}/{id}"), &Value::Null).await;
    assert_eq!(deleted.status, 204);
    let shown = call(&simulator, "GET", &format!("{PLANS}/1"), &Value::Null).await.json();
    assert_eq!(shown["billing_plan"]["billing_resources"], json!([]));
}

#[tokio::test]
async fn phases_are_of_three_types_and_each_once() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let body = json!({ "billing_resource": { "product_id": id } });
    let made = call(&simulator, "POST", &format!("{PLANS}/1/billing_resources"), &body).await;
    let resource = made.json()["billing_resource"]["id"].clone();
    let phases = format!("{PLANS}/1/billing_resources/{resource}/billing_phases");
    let create = async |phase_type: &str, unit: &str| {
        let body = json!({ "billing_phase": {
            "phase_type": phase_type, "duration_unit": unit, "duration_qty": 3,
        } });
        call(&simulator, "POST", &phases, &body).await
    };
    let trial = create("trial", "days").await;
    assert_eq!(trial.status, 201);
    let taken = json!({ "errors": ["Phase type has already been taken"] });
    assert_eq!(create("final", "days").await.json(), taken);
    assert_eq!(create("later", "days").await.status, 422);
    assert_eq!(create("discount", "weeks").await.status, 422);
    let phase = &trial.json()["billing_phase"]["id"];
    let prices = format!("{phases}/{phase}/billing_resource_prices");
    let body = json!({ "billing_resource_price": {
        "currency": "EUR", "price": 1, "region_ids": [1],
    } });
    let price = call(&simulator, "POST", &prices, &body).await.json();
    let listed = call(&simulator, "GET", &prices, &Value::Null).await.json();
    assert_eq!(listed["billing_resource_prices"][0], price["billing_resource_price"]);
    let path = format!("{prices}/{}", price["billing_resource_price"]["id"]);
    for path in [path, format!("{phases}/{phase}")] {
        let gone = call(&simulator, "DELETE", &path, &Value::Null).await;
        assert_eq!((gone.status, gone.body.len()), (200, 0), "{path}");
        assert_eq!(call(&simulator, "DELETE", &path, &Value::Null).await.status, 404);
    }
    let path = format!("{PLANS}/1/billing_resources/{resource}");
    assert_eq!(call(&simulator, "DELETE", &path, &Value::Null).await.status, 200);
    let path = format!("{PLANS}/1/billing_resources");
    let listed = call(&simulator, "GET", &path, &Value::Null).await;
    assert_eq!(listed.json(), json!({ "billing_resources": [] }));
}

#[tokio::test]
async fn plans_are_made_renamed_and_deleted() {
    let simulator = start(Mode::default()).await;
    let body = |name: &str| json!({ "billing_plan": { "name": name } });
    let made = call(&simulator, "POST", PLANS, &body("new")).await;
    assert_eq!((made.status, &made.json()["billing_plan"]["id"]), (201, &json!(2)));
    let path = format!("{PLANS}/2");
    let renamed = call(&simulator, "PATCH", &path, &body("newer")).await.json();
    assert_eq!(renamed["billing_plan"]["name"], "newer");
    assert_eq!(call(&simulator, "POST", PLANS, &body(" ")).await.status, 422);
    let listed = call(&simulator, "GET", PLANS, &Value::Null).await.json();
    assert_eq!(listed["billing_plans"].as_array().unwrap().len(), 2);
    assert_eq!(call(&simulator, "DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(call(&simulator, "GET", &path, &Value::Null).await.status, 404);
    let body = json!({ "billing_resource": { "product_id": 99 } });
    let refused = call(&simulator, "POST", &format!("{PLANS}/1/billing_resources"), &body).await;
    assert_eq!(refused.json(), json!({ "errors": ["Product must exist"] }));
}
