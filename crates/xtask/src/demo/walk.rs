//! The walk itself, provider by provider. Every step is checked: a walk that only prints proves nothing.

mod computestacks;
mod gandi;
mod klikk;
mod ovh;
mod racknap;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::call::{self, Caller};
use super::stage::{Stage, Upstream};

/// How long the demo waits for an operation; the simulators' steps take a second.
const OPERATION_MAX: Duration = Duration::from_secs(60);

/// The upstreams of the walk, in its order.
pub(crate) const UPSTREAMS: &[Upstream] =
    &[gandi::UPSTREAM, klikk::UPSTREAM, ovh::UPSTREAM, racknap::UPSTREAM, computestacks::UPSTREAM];

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
    gandi::walk(stage, &mut caller).await?;
    klikk::walk(stage, &mut caller).await?;
    ovh::walk(stage, &mut caller).await?;
    racknap::walk(stage, &mut caller).await?;
    computestacks::walk(stage, &mut caller).await
}

/// Waits until an operation is done or needs somebody.
async fn done(caller: &mut Caller, operation: &Value) -> Result<Value> {
    if operation["done"] == true || operation["state"] == "STATE_NEEDS_OPERATOR" {
        return Ok(operation.clone());
    }
    let seconds = format!("{}s", OPERATION_MAX.as_secs());
    let request = json!({ "name": operation["name"], "timeout": seconds });
    caller.must("Operations.WaitOperation", request).await
}

/// Waits for an operation that has to succeed.
async fn succeeded(caller: &mut Caller, operation: &Value) -> Result<Value> {
    let operation = done(caller, operation).await?;
    let (name, state) = (&operation["name"], &operation["state"]);
    ensure!(state == "STATE_SUCCEEDED", "{name} is {state}");
    Ok(operation)
}

/// Calls a method and waits for its operation, which has to succeed.
async fn performed(caller: &mut Caller, method: &str, request: Value) -> Result<Value> {
    let answer = caller.must(method, request).await?;
    succeeded(caller, &answer).await
}

/// Calls a method that has to be refused, at once or as an operation that fails. Tells what is said.
async fn refused(caller: &mut Caller, method: &str, request: Value) -> Result<String> {
    let operation = match caller.call(method, request).await? {
        Err(status) => return Ok(call::told(&status)),
        Ok(answer) => done(caller, &answer).await?,
    };
    let (name, state) = (&operation["name"], &operation["state"]);
    ensure!(state == "STATE_FAILED", "{name} is {state}");
    Ok(operation["error"].to_string())
}

/// Compares an upstream's ledger with what should have been sold, in order.
fn sold(stage: &Stage, upstream: &str, kinds: &[&str]) -> Result<()> {
    print_ledger(stage, upstream)?;
    let ledger = stage.ledger(upstream)?;
    let found: Vec<&str> = ledger.iter().filter_map(|sale| sale["kind"].as_str()).collect();
    let paid: Vec<&str> = found.iter().copied().filter(|kind| kinds.contains(kind)).collect();
    ensure!(paid == kinds, "the ledger has {found:?}");
    Ok(())
}

fn print_ledger(stage: &Stage, upstream: &str) -> Result<()> {
    println!("\n  #  what                  quantity       amount       of");
    for sale in stage.ledger(upstream)? {
        println!(
            "{:>3}  {:<20}{:>10}{:>13} {:<3}   {}",
            sale["sequence"].to_string(),
            sale["kind"].as_str().unwrap_or_default(),
            sale["quantity"].to_string(),
            sale["amount"].to_string().trim_matches('"'),
            sale["currency"].as_str().unwrap_or_default(),
            sale["product_name"].as_str().unwrap_or_default(),
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
