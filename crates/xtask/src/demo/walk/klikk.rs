//! Klikk: two servers in one order, one of them cancelled at the end of its term, and an order that
//! somebody has to pay for first.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{performed, refused, sold, text, title};
use crate::control;
use crate::demo::call::Caller;
use crate::demo::stage::{Stage, Upstream};

/// The token of the simulated account; the simulator is told it, and no other knows it.
const ACCOUNT_TOKEN: &str = "klikk0demo0token0000";
/// A public key of nobody.
const PUBLIC_KEY: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIJda8ZWTgEij3l6dqnc/dcXnWTYrQTGFPz6W+nKmgdHt demo@example.org";

pub(crate) const UPSTREAM: Upstream = Upstream {
    id: "klikk",
    plugin: "libpurveyor_klikk.so",
    arguments: &["--account-token", ACCOUNT_TOKEN],
    provider: |url| Provider::new("klikk", url).credential("account-token", ACCOUNT_TOKEN),
    worth_trying: (r#"{"parent": "providers/klikk"}"#, "Orders/ListOrders"),
};

/// The walk.
///
/// # Errors
/// The first step that did not do what it should.
pub(crate) async fn walk(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    mistake(stage, caller).await?;
    let order = order(caller).await?;
    cancel(caller, &order).await?;
    pay(stage, caller).await?;
    title("Klikk 5: what the upstream really sold");
    sold(stage, "klikk", &["order_item", "order_item", "order_item_invoiced", "invoice_paid"])
}

/// A port that is none, deep in the options of the second server.
async fn mistake(stage: &Stage, caller: &mut Caller) -> Result<()> {
    title("Klikk 1: a mistake is told by its path, and nothing is sent");
    let mut second = server("mail", &json!("Debian"));
    second["options"]["features"]["sshd"]["public_ports_allow"] = json!("25,0");
    let request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6b0001", &[web(), second]);
    let error = refused(caller, "Orders.CreateOrder", request).await?;
    let path = "order.items[1].options.features.sshd.public_ports_allow";
    ensure!(error.contains(path), "the refusal does not name {path}");
    ensure!(stage.ledger("klikk")?.is_empty(), "a wrong order was sold");
    Ok(())
}

/// Orders two servers and looks at them. Tells the order.
async fn order(caller: &mut Caller) -> Result<Value> {
    title("Klikk 2: two servers in one order, and the order's state");
    let items = [web(), server("mail", &json!("Debian"))];
    let request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6b0002", &items);
    let operation = performed(caller, "Orders.CreateOrder", request).await?;
    let name = text(&operation["order"], "name")?;
    let order = caller.must("Orders.GetOrder", json!({ "name": name })).await?;
    ensure!(order["state"] == "STATE_COMPLETED", "the order is {}", order["state"]);
    let request = json!({ "parent": "providers/klikk", "order": name });
    let listed = caller.must("Services.ListServices", request).await?;
    let names: Vec<_> = listed["services"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|service| service["displayName"].as_str())
        .collect();
    ensure!(names == ["web", "mail"], "the servers are {names:?}");
    Ok(order)
}

async fn cancel(caller: &mut Caller, order: &Value) -> Result<()> {
    title("Klikk 3: the first of them is not renewed, and lives on to the end of its term");
    let request = json!({
        "name": order["name"],
        "item_id": order["items"][0]["id"],
        "policy": "CANCEL_POLICY_AT_TERM_END",
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6b0003",
        "wait": "5s",
    });
    performed(caller, "Orders.CancelOrder", request).await?;
    for (item, renewed) in [(0, false), (1, true)] {
        let name = &order["items"][item]["services"][0];
        let service = caller.must("Services.GetService", json!({ "name": name })).await?;
        ensure!(service["state"] == "STATE_ACTIVE", "the server is {}", service["state"]);
        let policy = &service["renewalPolicy"];
        let renews = policy["autoRenew"].as_bool().unwrap_or_default();
        ensure!(renews == renewed, "the renewal of {name} is {policy}");
    }
    Ok(())
}

/// An order that the account's credit does not cover, and whose invoice a person pays.
async fn pay(stage: &Stage, caller: &mut Caller) -> Result<()> {
    title("Klikk 4: an order that the upstream wants to be paid first");
    let control_url = stage.control_url("klikk")?;
    let credit = |amount: &str| json!({ "account_token": ACCOUNT_TOKEN, "credit": amount });
    control::post(control_url, "/accounts", &credit("0.00")).await?;
    println!("\nthe simulator is told that the account has no credit");
    let request = purchase("5f0a1b52-6d0c-4a43-9d0e-0f8f3c6b0004", &[web()]);
    let operation = performed(caller, "Orders.CreateOrder", request).await?;
    let order = &operation["order"];
    ensure!(order["state"] == "STATE_AWAITING_PAYMENT", "the order is {}", order["state"]);
    ensure!(order["requiredAction"]["invoice"].is_string(), "the order names no invoice");
    let id = order["upstream"]["ids"][0].as_str().context("the order has no upstream id")?;
    control::post(control_url, &format!("/orders/{id}/pay"), &json!({})).await?;
    control::post(control_url, "/accounts", &credit("100000.00")).await?;
    println!("\nthe simulator is told that somebody has paid the invoice");
    let order = caller.must("Orders.GetOrder", json!({ "name": order["name"] })).await?;
    ensure!(order["state"] == "STATE_COMPLETED", "the paid order is {}", order["state"]);
    ensure!(order["requiredAction"].is_null(), "a paid order wants to be paid");
    Ok(())
}

fn web() -> Value {
    server("web", &json!(2))
}

/// An item. The upstream knows operating systems by number and by name.
fn server(name: &str, os: &Value) -> Value {
    json!({
        "product": "providers/klikk/products/VPS",
        "quantity": 1,
        "display_name": name,
        "options": {
            "quantity_ram_gb": 0.5,
            "quantity_cpu": 1,
            "quantity_storage_gb": 25,
            "os": os,
            "features": {
                "ipv4": 1,
                "sshd": {
                    "authorized_keys": PUBLIC_KEY,
                    "ip_allow": "fec0:aaa:1:2::ff,192.168.0.0/24",
                    "public_ports_allow": "80,443,12000:12010",
                },
            },
        },
    })
}

fn purchase(request_id: &str, items: &[Value]) -> Value {
    json!({
        "parent": "providers/klikk",
        "order": { "items": items },
        "request_id": request_id,
        "wait": "5s",
    })
}
