//! A minimal client that shares no code with the simulator's writing side: answers are read by `dxr`.
//! It must follow nothing and repeat nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dxr::{FaultResponse, MethodCall, MethodResponse, Value};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Clock, Instruments, Simulator};
use serde_json::Value as Json;

use crate::wire::{self, Broken};

/// The API key of the default account.
pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwx";

/// What a call can end in besides a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    Fault(i32, String),
    Status(u16),
    /// The connection ended by FIN before the answer was whole.
    Closed,
    /// The connection ended by RST.
    Reset,
    /// The answer is no XML-RPC document.
    Unreadable(Bytes),
}

impl Failure {
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Fault(code, _) => Some(*code),
            _ => None,
        }
    }
}

/// A simulator with one account, which has no operation yet, and the given switches.
pub(crate) async fn start(mode: Mode) -> Simulator<Gandi> {
    let account = AccountSeed { old_operation: false, ..AccountSeed::default() };
    Gandi::start(Options { mode, accounts: vec![account], ..Options::default() }).await.unwrap()
}

/// A simulator whose time stands at the given moment, with one account that can spend so much.
pub(crate) async fn start_at(time: &str, prepaid: &str, mode: Mode) -> Simulator<Gandi> {
    let prepaid = prepaid.parse().unwrap();
    let account = AccountSeed { prepaid, old_operation: false, ..AccountSeed::default() };
    let clock = Arc::new(Clock::manual(time.parse().unwrap()));
    let instruments = Instruments { clock, ..Instruments::default() };
    Gandi::start(Options { instruments, accounts: vec![account], mode }).await.unwrap()
}

/// Calls a method with the default account's key before the given parameters.
pub(crate) async fn call(
    url: &str,
    method: &str,
    params: impl IntoIterator<Item = Value>,
) -> Result<Value, Failure> {
    let params = std::iter::once(text(KEY)).chain(params).collect();
    call_raw(url, method, params).await
}

pub(crate) async fn call_raw(
    url: &str,
    method: &str,
    params: Vec<Value>,
) -> Result<Value, Failure> {
    let body = MethodCall { name: method.into(), params }.to_xml().unwrap();
    let (status, body) = send("POST", url, body).await?;
    if status != 200 {
        return Err(Failure::Status(status));
    }
    let unreadable = || Failure::Unreadable(body.clone());
    let document = std::str::from_utf8(&body).map_err(|_| unreadable())?;
    if let Ok(response) = FaultResponse::from_xml(document) {
        let fault = response.fault;
        return Err(Failure::Fault(fault.code(), fault.string().to_owned()));
    }
    MethodResponse::from_xml(document).map(|response| response.value).map_err(|_| unreadable())
}

/// Tells the control API something.
pub(crate) async fn command(
    simulator: &Simulator<Gandi>,
    method: &str,
    path: &str,
    body: &Json,
) -> (u16, Json) {
    let url = format!("{}{path}", simulator.control_url());
    let (status, body) = send(method, &url, body.to_string()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// One request on one fresh connection.
pub(crate) async fn send(method: &str, url: &str, body: String) -> Result<(u16, Bytes), Failure> {
    let kind = [("content-type", "text/xml")];
    wire::send(method, url, &kind, body).await.map_err(|broken| match broken {
        Broken::Closed => Failure::Closed,
        Broken::Reset => Failure::Reset,
    })
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn int(number: i32) -> Value {
    Value::Integer(number)
}

pub(crate) fn record<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Struct(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// The parameters of a purchase.
pub(crate) fn product(name: &str, quantity: i32, duration: &str) -> Value {
    record([
        ("product_name", text(name)),
        ("quantity", int(quantity)),
        ("duration", text(duration)),
    ])
}

/// A member of a struct.
pub(crate) fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    members(value).get(name).unwrap_or_else(|| panic!("no member {name} in {value:?}"))
}

pub(crate) fn members(value: &Value) -> &BTreeMap<String, Value> {
    match value {
        Value::Struct(members) => members,
        value => panic!("no struct: {value:?}"),
    }
}

pub(crate) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        value => panic!("no array: {value:?}"),
    }
}

pub(crate) fn number(value: &Value) -> i32 {
    match value {
        Value::Integer(number) => *number,
        value => panic!("no int: {value:?}"),
    }
}

pub(crate) fn string(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        value => panic!("no string: {value:?}"),
    }
}

/// The id of an operation.
pub(crate) fn id(operation: &Value) -> i32 {
    number(member(operation, "id"))
}

/// The account's products, by a fresh call.
pub(crate) async fn products(url: &str) -> Vec<Value> {
    let account = call(url, "hosting.account.info", []).await.unwrap();
    items(member(&account, "products")).to_vec()
}

/// The account's product of that name.
pub(crate) async fn product_named(url: &str, name: &str) -> Value {
    let products = products(url).await;
    let mut named =
        products.into_iter().filter(|product| string(member(product, "product_name")) == name);
    named.next().unwrap_or_else(|| panic!("no product {name}"))
}
