//! A minimal client: JSON bodies, a token, one connection per request.

use std::sync::Arc;

use bytes::Bytes;
use purveyor_simulators::klikk::{AccountSeed, Klikk, Mode, Options};
use purveyor_simulators::{Clock, Instruments, Simulator};
use serde_json::{Value, json};

use crate::wire::{self, Broken};

/// The token of the default account.
pub(crate) const TOKEN: &str = "klikk0account0token0000";

/// When manual clocks begin.
pub(crate) const START: &str = "2026-01-31T10:00:00Z";

/// A simulator with one account, which begins without an order.
pub(crate) async fn start() -> Simulator<Klikk> {
    let accounts = vec![AccountSeed { old_order: false, ..AccountSeed::default() }];
    Klikk::start(Options { accounts, ..Options::default() }).await.unwrap()
}

/// A simulator whose time stands, with one account that can spend so much.
pub(crate) async fn start_with(credit: &str, mode: Mode) -> Simulator<Klikk> {
    let credit = credit.parse().unwrap();
    let account = AccountSeed { credit, old_order: false, ..AccountSeed::default() };
    let clock = Arc::new(Clock::manual(START.parse().unwrap()));
    let instruments = Instruments { clock, ..Instruments::default() };
    Klikk::start(Options { instruments, accounts: vec![account], mode }).await.unwrap()
}

/// Calls an action with the default account's token.
pub(crate) async fn call(url: &str, body: Value) -> Result<(u16, Value), Broken> {
    let (status, body) = raw(url, &[("X-Account-Token", TOKEN)], body.to_string()).await?;
    let read = serde_json::from_slice(&body);
    Ok((status, read.unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)))))
}

/// A call that has to succeed.
pub(crate) async fn good(url: &str, body: Value) -> Value {
    let (status, answer) = call(url, body.clone()).await.unwrap();
    assert_eq!(status, 200, "{body}: {answer}");
    answer
}

pub(crate) async fn raw(
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<(u16, Bytes), Broken> {
    wire::send("POST", url, headers, body).await
}

/// Tells the control API something.
pub(crate) async fn command(
    simulator: &Simulator<Klikk>,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let url = format!("{}{path}", simulator.control_url());
    let (status, body) = wire::send(method, &url, &[], body.to_string()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// The document's example, made valid, with one item for each name. An item costs 325.00.
pub(crate) fn order(names: &[&str]) -> Value {
    let items = names.iter().map(|name| {
        json!({ "name": name, "product": { "name": "VPS", "options": {
            "quantity_ram_gb": 0.5, "quantity_cpu": 9, "quantity_storage_gb": 25, "os": 2,
            "features": { "ipv4": 1, "sshd": {
                "authorized_keys": "ssh-rsa AAAA",
                "ip_allow": "fec0:aaa:1:2::ff,192.168.0.0/24",
                "public_ports_allow": "80,443,12000:12010",
            } },
        } } })
    });
    let items: Vec<Value> = items.collect();
    json!({ "action": "order_create", "items": items, "reference": "Optional order reference" })
}

pub(crate) fn status(order: u64) -> Value {
    json!({ "action": "order_status", "order_id": order })
}

pub(crate) fn servers(item: u64) -> Value {
    json!({ "action": "server_list", "order_item_id": item })
}
