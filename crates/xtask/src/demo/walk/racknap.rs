//! RackNap: a service whose billing record only the gateway shows again, and a record whose answer is
//! lost, which a person has to look for.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{done, performed, sold, succeeded, text, title};
use crate::control;
use crate::demo::call::Caller;
use crate::demo::stage::{Stage, Upstream};

/// The token of the simulated account; the simulator is told it, and no other knows it.
const TOKEN: &str = "racknap-demo-token";

pub(crate) const UPSTREAM: Upstream = Upstream {
    id: "racknap",
    plugin: "libpurveyor_racknap.so",
    arguments: &["--token", TOKEN],
    provider: |url| {
        let currencies = toml::Table::from_iter([("INR".to_owned(), toml::Value::from(1))]);
        Provider::new("racknap", url)
            .credential("token", TOKEN)
            .setting("currencies", currencies)
            .setting("plans", vec![172, 24])
    },
    worth_trying: (
        r#"{"name": "providers/racknap/products/24", "platform": "Windows"}"#,
        "Products/GetProduct",
    ),
};

/// The walk.
///
/// # Errors
/// The first step that did not do what it should.
pub(crate) async fn walk(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    plan(caller).await?;
    let service = create(caller).await?;
    change(caller, &service).await?;
    lose_an_answer(stage, caller).await?;
    title("RackNap 5: what the upstream really wrote");
    sold(
        stage,
        "racknap",
        &[
            "service_create",
            "service_suspend",
            "service_unsuspend",
            "service_terminate",
            "service_create",
        ],
    )
}

async fn plan(caller: &mut Caller) -> Result<()> {
    title("RackNap 1: what a plan costs on one platform");
    let request = json!({ "name": "providers/racknap/products/24", "platform": "Linux" });
    let plan = caller.must("Products.GetProduct", request).await?;
    ensure!(plan["offers"][0]["price"].is_object(), "the plan has no prices");
    Ok(())
}

/// Creates a service and reads it from the gateway's own record. Tells the service's name.
async fn create(caller: &mut Caller) -> Result<String> {
    title("RackNap 2: a service with everything that its record says");
    let request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6c0001");
    let operation = performed(caller, "Orders.CreateOrder", request).await?;
    let name = &operation["order"]["items"][0]["services"][0];
    let service = caller.must("Services.GetService", json!({ "name": name })).await?;
    ensure!(service["recordedOnly"] == true, "the upstream shows {name}, which it cannot");
    ensure!(service["nextDueDate"]["day"] == 28, "the next due date is wrong");
    text(&service, "name")
}

async fn change(caller: &mut Caller, service: &str) -> Result<()> {
    title("RackNap 3: suspending, resuming and terminating it");
    let steps = [
        ("Services.SuspendService", "0002", "STATE_SUSPENDED"),
        ("Services.ResumeService", "0003", "STATE_ACTIVE"),
        ("Services.TerminateService", "0004", "STATE_TERMINATED"),
    ];
    for (method, number, state) in steps {
        let request_id = format!("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6c{number}");
        let request = json!({ "name": service, "request_id": request_id, "wait": "5s" });
        let operation = performed(caller, method, request).await?;
        let now = &operation["service"]["state"];
        ensure!(now == state, "after {method} the service is {now}");
    }
    Ok(())
}

/// A record whose answer is lost, at an upstream that shows no record again.
async fn lose_an_answer(stage: &Stage, caller: &mut Caller) -> Result<()> {
    title("RackNap 4: a record whose answer is lost, and a person who finds it");
    let fault = json!({ "method": "create", "kind": "drop_after_commit" });
    control::post(stage.control_url("racknap")?, "/faults", &fault).await?;
    println!("\nthe simulator is told to write the next record and to drop its answer");
    let request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6c0005");
    let answer = caller.must("Orders.CreateOrder", request).await?;
    let operation = done(caller, &answer).await?;
    let state = &operation["state"];
    ensure!(state == "STATE_NEEDS_OPERATOR", "the operation is {state}");
    let ledger = stage.ledger("racknap")?;
    let number = text(ledger.last().context("the ledger is empty")?, "product_id")?;
    println!("\nsomebody looks at the upstream's own pages and finds service {number}");
    let request = json!({
        "name": operation["name"],
        "etag": operation["etag"],
        "note": "found in the pages of the upstream",
        "executed": { "upstream_id": number },
    });
    let resolved = caller.must("Operations.ResolveOperation", request).await?;
    let operation = succeeded(caller, &resolved).await?;
    let service = &operation["order"]["items"][0]["services"][0];
    let expected = format!("providers/racknap/services/{number}");
    ensure!(service == &expected, "the order's service is {service}");
    Ok(())
}

/// An order with every field that the upstream writes. The month after 31 January ends on the 28th.
fn purchase(request_id: &str) -> Value {
    let rupees = |units: u32| json!({ "currency_code": "INR", "units": units });
    json!({
        "parent": "providers/racknap",
        "order": {
            "customer": "652",
            "items": [{
                "product": "providers/racknap/products/172",
                "quantity": 2,
                "term": { "kind": "KIND_RECURRING", "period": "P1M" },
                "start_date": { "year": 2026, "month": 1, "day": 31 },
                "pricing": {
                    "recurring_amount": rupees(500),
                    "purchase_amount": rupees(600),
                    "first_plan_price": rupees(500),
                    "recurring_plan_price": rupees(500),
                    "first_payment": rupees(600),
                },
            }],
        },
        "request_id": request_id,
        "wait": "5s",
    })
}
