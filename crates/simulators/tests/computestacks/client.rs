//! A minimal client that shares no code with the simulator: requests are put together by hand,
//! answers read by `serde_json`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use purveyor_simulators::computestacks::{ComputeStacks, Mode, Options};
use purveyor_simulators::{Clock, Instruments, Simulator};
use serde_json::{Value, json};

use crate::wire::{self, Broken};

/// The default user's API credential.
pub(crate) const USER: &str = "purveyor";
pub(crate) const PASSWORD: &str = "correct-horse";

pub(crate) const PRODUCTS: &str = "/api/admin/products";

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A simulator without the old product, so that what a test makes is all that there is.
pub(crate) async fn start(mode: Mode) -> Simulator<ComputeStacks> {
    let options = Options { mode, old_product: false, ..Options::default() };
    ComputeStacks::start(options).await.unwrap()
}

/// A simulator whose time stands still until it is moved.
pub(crate) async fn start_at(time: &str, mode: Mode) -> Simulator<ComputeStacks> {
    let clock = Arc::new(Clock::manual(time.parse().unwrap()));
    let instruments = Instruments { clock, ..Instruments::default() };
    let options = Options { instruments, mode, old_product: false, ..Options::default() };
    ComputeStacks::start(options).await.unwrap()
}

pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Calls as the default user with the newest version.
pub(crate) async fn call(
    simulator: &Simulator<ComputeStacks>,
    method: &str,
    path: &str,
    body: &Value,
) -> Answer {
    try_call(simulator, method, path, body).await.unwrap()
}

pub(crate) async fn try_call(
    simulator: &Simulator<ComputeStacks>,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, Broken> {
    let headers = [
        ("authorization", basic(USER, PASSWORD)),
        ("accept", "application/json; api_version=80".to_owned()),
    ];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(method, &format!("{}{path}", simulator.url()), &headers, body).await
}

/// Tells the control API something.
pub(crate) async fn command(
    simulator: &Simulator<ComputeStacks>,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let url = format!("{}{path}", simulator.control_url());
    let (status, body) = wire::send(method, &url, &[], body.to_string()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// One request on one fresh connection.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<Answer, Broken> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (head, body) = wire::exchange(method, url, &headers, body).await?;
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

/// A body that creates a package product.
pub(crate) fn package(label: &str) -> Value {
    json!({ "product": {
        "label": label,
        "group": "small",
        "package_attributes": {
            "cpu": "2.50", "memory": 1536, "storage": 0, "bandwidth": 2000, "local_disk": 9,
            "memory_swap": 512, "memory_swappiness": 15, "backup": 35,
        },
    } })
}

/// A body that creates a resource product.
pub(crate) fn resource(label: &str, kind: &str) -> Value {
    json!({ "product": {
        "label": label, "resource_kind": kind, "unit": 10, "unit_type": "GB",
    } })
}

/// Creates a product and answers its identifier.
pub(crate) async fn create(simulator: &Simulator<ComputeStacks>, body: &Value) -> i64 {
    let answer = call(simulator, "POST", PRODUCTS, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["product"]["id"].as_i64().unwrap()
}
