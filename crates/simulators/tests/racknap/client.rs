//! A minimal client that shares no code with the simulator: bodies are put together by hand, answers
//! read by `serde_json`.

use std::sync::Arc;

use bytes::Bytes;
use purveyor_simulators::racknap::{AccountSeed, Mode, Options, RackNap};
use purveyor_simulators::{Clock, Instruments, Simulator};
use serde_json::{Value, json};

use crate::wire::{self, Broken};

/// The token of the default account.
pub(crate) const TOKEN: &str = "racknap-token-0001";

pub(crate) async fn start() -> Simulator<RackNap> {
    RackNap::start(Options::default()).await.unwrap()
}

pub(crate) async fn in_mode(mode: Mode) -> Simulator<RackNap> {
    RackNap::start(Options { mode, ..Options::default() }).await.unwrap()
}

/// A simulator whose time stands at the given moment.
pub(crate) async fn start_at(time: &str, accounts: Vec<AccountSeed>) -> Simulator<RackNap> {
    let clock = Arc::new(Clock::manual(time.parse().unwrap()));
    let instruments = Instruments { clock, ..Instruments::default() };
    RackNap::start(Options { instruments, accounts, ..Options::default() }).await.unwrap()
}

/// Calls an action as the document says, with parameters as JSON.
pub(crate) async fn call(
    simulator: &Simulator<RackNap>,
    action: &str,
    params: &Value,
) -> Result<Value, Broken> {
    let (status, body) = raw(simulator, action, params).await?;
    assert_eq!(status, 200, "{body:?}");
    Ok(serde_json::from_slice(&body).unwrap())
}

/// The same, whatever comes back.
pub(crate) async fn raw(
    simulator: &Simulator<RackNap>,
    action: &str,
    params: &Value,
) -> Result<(u16, Bytes), Broken> {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-cache"),
        ("validate", bearer.as_str()),
    ];
    wire::send("POST", &address(simulator, action), &headers, params.to_string()).await
}

pub(crate) fn address(simulator: &Simulator<RackNap>, action: &str) -> String {
    format!("{}/service/{action}", simulator.url())
}

/// The document's own example of a new service.
pub(crate) fn service() -> Value {
    json!({
        "customer_id": 652, "quantity": 1, "slserverid": "618e16ad6764", "serverid": 0,
        "planid": 172, "regdate": "23/07/2019", "amount": 528.14, "recuring_amount": 528.14,
        "nextduedate": "23/07/2020", "billingcycle": "Annually", "first_plan_price": 528.14,
        "recuring_plan_price": 528.14, "plan_billing_cycle": "Annually", "firstpayment": 528.14,
        "pid": 0
    })
}

/// The same with one parameter changed; null leaves it out.
pub(crate) fn service_with(name: &str, value: Value) -> Value {
    let mut params = service();
    match value {
        Value::Null => drop(params.as_object_mut().unwrap().remove(name)),
        value => params[name] = value,
    }
    params
}

/// Tells the control API something.
pub(crate) async fn command(
    simulator: &Simulator<RackNap>,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let url = format!("{}{path}", simulator.control_url());
    let (status, body) = wire::send(method, &url, &[], body.to_string()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}
