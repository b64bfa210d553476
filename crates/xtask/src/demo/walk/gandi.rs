//! Gandi: ordering, changing, renewing and giving up, and a purchase whose answer is lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{OPERATION_MAX, performed, print_ledger, refused, sold, succeeded, text, title};
use crate::control;
use crate::demo::call::Caller;
use crate::demo::stage::{Stage, Upstream};

/// The API key of the simulated account; the simulator is told it, and no other knows it.
const API_KEY: &str = "demodemodemodemodemodemo";
/// Milliseconds that an upstream operation stays in each of its steps: long enough to be seen.
const STEP_MS: &str = "300";

pub(crate) const UPSTREAM: Upstream = Upstream {
    id: "gandi",
    plugin: "libpurveyor_gandi.so",
    arguments: &["--api-key", API_KEY, "--step-ms", STEP_MS],
    provider: |url| Provider::new("gandi", url).credential("api-key", API_KEY),
    worth_trying: (r#"{"parent": "providers/gandi"}"#, "Services/ListServices"),
};

/// The walk.
///
/// # Errors
/// The first step that did not do what it should.
pub(crate) async fn walk(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    title("Gandi 1: what can be bought, and how");
    caller.must("Providers.GetProvider", json!({ "name": "providers/gandi" })).await?;
    caller.must("Products.ListProducts", json!({ "parent": "providers/gandi" })).await?;
    let service = order(caller).await?;
    change(caller, &service).await?;
    renew(caller, &service).await?;
    delete(caller, &service).await?;
    title("Gandi 7: what the upstream really sold: its own ledger");
    sold(stage, "gandi", &["product_add", "product_update", "product_renew", "refund"])?;
    lose_an_answer(stage, caller).await
}

/// Orders two shares and waits until they are there. Tells the service's name.
async fn order(caller: &mut Caller) -> Result<String> {
    title("Gandi 2: ordering two shares, and following the operation");
    let request_id = "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0001";
    let operation = performed(caller, "Orders.CreateOrder", purchase(request_id, 2)).await?;
    title("Gandi 3: the same request again: the same operation, and nothing bought");
    let again = caller.must("Orders.CreateOrder", purchase(request_id, 2)).await?;
    ensure!(again["name"] == operation["name"], "another operation: {}", again["name"]);
    let listed =
        caller.must("Services.ListServices", json!({ "parent": "providers/gandi" })).await?;
    let ours = listed["services"].as_array().into_iter().flatten().find(|service| {
        service["product"] == "providers/gandi/products/shares" && service["quantity"] == 2
    });
    text(ours.context("the ordered service is not listed")?, "name")
}

async fn change(caller: &mut Caller, service: &str) -> Result<()> {
    title("Gandi 4: changing the quantity from two to three");
    let request = json!({
        "service": { "name": service, "quantity": 3 },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0002",
        "wait": "5s",
    });
    performed(caller, "Services.UpdateService", request).await?;
    let now = caller.must("Services.GetService", json!({ "name": service })).await?;
    ensure!(now["quantity"] == 3, "the quantity is {}", now["quantity"]);
    Ok(())
}

async fn renew(caller: &mut Caller, service: &str) -> Result<()> {
    title("Gandi 5: renewing for a month, and being refused the second time");
    let options = caller.must("Renewals.ListRenewalOptions", json!({ "parent": service })).await?;
    ensure!(options["renewalOptions"][0]["price"].is_object(), "the options have no prices");
    let expires = &options["renewalOptions"][0]["services"][0]["expectedExpireTime"];
    let request = |request_id: &str| {
        json!({
            "parent": "providers/gandi",
            "renewal": {
                "service": service,
                "services": [{ "service": service, "expected_expire_time": expires }],
                "term": { "kind": "KIND_RECURRING", "period": "P1M" },
            },
            "payment": { "default_method": true },
            "request_id": request_id,
            "wait": "5s",
        })
    };
    let first = request("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0003");
    performed(caller, "Renewals.CreateRenewal", first).await?;
    // A new request id and the old expiry: somebody who does not know that it was renewed already.
    let second = request("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0004");
    refused(caller, "Renewals.CreateRenewal", second).await?;
    Ok(())
}

async fn delete(caller: &mut Caller, service: &str) -> Result<()> {
    title("Gandi 6: giving the service up");
    let request = json!({
        "name": service,
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0005",
        "wait": "5s",
    });
    performed(caller, "Services.TerminateService", request).await?;
    Ok(())
}

/// A purchase whose answer is lost, and a gateway that is killed before it finds out.
async fn lose_an_answer(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    title("Gandi 8: a purchase whose answer is lost, and a gateway that is killed");
    let before = sales(stage)?;
    let fault = json!({ "method": "hosting.product.create", "kind": "drop_after_commit" });
    control::post(stage.control_url("gandi")?, "/faults", &fault).await?;
    println!("\nthe simulator is told to sell at the next purchase and to drop its answer");
    let mut request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0006", 1);
    request["wait"] = json!("0s");
    let answer = caller.must("Orders.CreateOrder", request).await?;
    let sold = async {
        while sales(stage)? == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), anyhow::Error>(())
    };
    tokio::time::timeout(OPERATION_MAX, sold).await.context("nothing was sold")??;
    println!("\nthe upstream has sold; its answer is lost");
    println!("kill -9 {}   (the gateway)", stage.kill_gateway()?);
    println!("the gateway starts again on the same store, as process {}", stage.start_gateway()?);
    succeeded(caller, &answer).await?;
    title("Gandi 9: one sale more, and one completed order");
    let after = sales(stage)?;
    ensure!(after == before + 1, "{} sales instead of one", after - before);
    print_ledger(stage, "gandi")
}

fn purchase(request_id: &str, quantity: u32) -> Value {
    json!({
        "parent": "providers/gandi",
        "order": {
            "items": [{
                "product": "providers/gandi/products/shares",
                "quantity": quantity,
                "term": { "kind": "KIND_RECURRING", "period": "P1M" },
            }],
        },
        "request_id": request_id,
        "wait": "1s",
    })
}

fn sales(stage: &Stage) -> Result<usize> {
    Ok(stage.ledger("gandi")?.iter().filter(|sale| sale["kind"] == "product_add").count())
}
