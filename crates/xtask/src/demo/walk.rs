//! The walk itself, job by job. Every step is checked: a walk that only prints proves nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::call::Caller;
use super::control;
use super::stage::Stage;

/// How long the demo waits for an operation; the simulator's steps take a second.
const OPERATION_MAX: Duration = Duration::from_secs(60);

/// Everything that the demo shows, in order.
///
/// # Errors
/// The first step that did not do what it should.
pub(crate) async fn all(stage: &mut Stage) -> Result<()> {
    println!(
        "every call stands as the grpcurl line that makes it; answers are set compactly, with"
    );
    println!("attributes and notices left out as {{...}} and [...]");
    let mut caller = Caller::connect(stage.address())?;
    title("1. What can be bought, and how");
    caller.must("Providers.GetProvider", json!({ "name": "providers/gandi" })).await?;
    caller.must("Products.ListProducts", json!({ "parent": "providers/gandi" })).await?;
    let service = order(&mut caller).await?;
    change(&mut caller, &service).await?;
    renew(&mut caller, &service).await?;
    delete(&mut caller, &service).await?;
    title("7. What the upstream really sold: its own ledger");
    sold(stage, &["product_add", "product_update", "product_renew", "refund"])?;
    lose_an_answer(stage, &mut caller).await
}

/// Orders two shares and waits until they are there. Tells the service's name.
async fn order(caller: &mut Caller) -> Result<String> {
    title("2. Ordering two shares, and following the operation");
    let request_id = "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0001";
    let answer = caller.must("Orders.CreateOrder", purchase(request_id, 2)).await?;
    let operation = done(caller, &answer).await?;
    ensure!(operation["state"] == "STATE_SUCCEEDED", "the order is {}", operation["state"]);
    title("3. The same request again: the same operation, and nothing bought");
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
    title("4. Changing the quantity from two to three");
    let request = json!({
        "service": { "name": service, "quantity": 3 },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0002",
        "wait": "5s",
    });
    let answer = caller.must("Services.UpdateService", request).await?;
    let operation = done(caller, &answer).await?;
    ensure!(operation["state"] == "STATE_SUCCEEDED", "the change is {}", operation["state"]);
    let now = caller.must("Services.GetService", json!({ "name": service })).await?;
    ensure!(now["quantity"] == 3, "the quantity is {}", now["quantity"]);
    Ok(())
}

async fn renew(caller: &mut Caller, service: &str) -> Result<()> {
    title("5. Renewing for a month, and being refused the second time");
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
    let answer = caller.must("Renewals.CreateRenewal", first).await?;
    let operation = done(caller, &answer).await?;
    ensure!(operation["state"] == "STATE_SUCCEEDED", "the renewal is {}", operation["state"]);
    // A new request id and the old expiry: somebody who does not know that it was renewed already.
    let second = request("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0004");
    let answer = caller.call("Renewals.CreateRenewal", second).await?;
    let refused = match answer {
        Err(_) => true,
        Ok(answer) => done(caller, &answer).await?["state"] == "STATE_FAILED",
    };
    ensure!(refused, "the same term was renewed twice");
    Ok(())
}

async fn delete(caller: &mut Caller, service: &str) -> Result<()> {
    title("6. Giving the service up");
    let request = json!({
        "name": service,
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0005",
        "wait": "5s",
    });
    let answer = caller.must("Services.TerminateService", request).await?;
    let operation = done(caller, &answer).await?;
    ensure!(operation["state"] == "STATE_SUCCEEDED", "the end is {}", operation["state"]);
    Ok(())
}

/// A purchase whose answer is lost, and a gateway that is killed before it finds out.
async fn lose_an_answer(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    title("8. A purchase whose answer is lost, and a gateway that is killed");
    let before = sales(stage, "product_add")?;
    let fault = json!({ "method": "hosting.product.create", "kind": "drop_after_commit" });
    control::post(stage.control_url(), "/faults", &fault).await?;
    println!("\nthe simulator is told to sell at the next purchase and to drop its answer");
    let mut request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6a0006", 1);
    request["wait"] = json!("0s");
    let answer = caller.must("Orders.CreateOrder", request).await?;
    let sold = async {
        while sales(stage, "product_add")? == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), anyhow::Error>(())
    };
    tokio::time::timeout(OPERATION_MAX, sold).await.context("nothing was sold")??;
    println!("\nthe upstream has sold; its answer is lost");
    println!("kill -9 {}   (the gateway)", stage.kill_gateway()?);
    println!("the gateway starts again on the same store, as process {}", stage.start_gateway()?);
    let operation = done(caller, &answer).await?;
    ensure!(operation["state"] == "STATE_SUCCEEDED", "the order is {}", operation["state"]);
    title("9. One sale more, and one completed order");
    let after = sales(stage, "product_add")?;
    ensure!(after == before + 1, "{} sales instead of one", after - before);
    print_ledger(stage)
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

/// Waits until an operation is done or needs somebody.
async fn done(caller: &mut Caller, operation: &Value) -> Result<Value> {
    if operation["done"] == true {
        return Ok(operation.clone());
    }
    let seconds = format!("{}s", OPERATION_MAX.as_secs());
    let request = json!({ "name": operation["name"], "timeout": seconds });
    caller.must("Operations.WaitOperation", request).await
}

/// Compares the ledger with what should have been sold, in order.
fn sold(stage: &Stage, kinds: &[&str]) -> Result<()> {
    print_ledger(stage)?;
    let ledger = stage.ledger()?;
    let found: Vec<&str> = ledger.iter().filter_map(|sale| sale["kind"].as_str()).collect();
    let paid: Vec<&str> = found.iter().copied().filter(|kind| kinds.contains(kind)).collect();
    ensure!(paid == kinds, "the ledger has {found:?}");
    Ok(())
}

fn sales(stage: &Stage, kind: &str) -> Result<usize> {
    Ok(stage.ledger()?.iter().filter(|sale| sale["kind"] == kind).count())
}

fn print_ledger(stage: &Stage) -> Result<()> {
    println!("\n  #  what            quantity  product      amount");
    for sale in stage.ledger()? {
        println!(
            "{:>3}  {:<16}{:>8}  {:<8}{:>11} {}",
            sale["sequence"].to_string(),
            sale["kind"].as_str().unwrap_or_default(),
            sale["quantity"].to_string(),
            sale["product_name"].as_str().unwrap_or_default(),
            sale["amount"].to_string().trim_matches('"'),
            sale["currency"].as_str().unwrap_or_default(),
        );
    }
    Ok(())
}

fn text(value: &Value, key: &str) -> Result<String> {
    Ok(value[key].as_str().with_context(|| format!("no {key} in {value}"))?.to_owned())
}

fn title(text: &str) {
    println!("\n\n{text}\n{}", "-".repeat(text.len()));
}
