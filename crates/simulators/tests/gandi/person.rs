//! What happens beside the callers of the API: people who act at the upstream, effects that lag behind
//! DONE, words that no document knows, and what an account had before.

use std::time::Duration;

use dxr::Value;
use purveyor_simulators::gandi::{Gandi, Mode, NullStyle, Options, PersonCommand};
use purveyor_simulators::{Kind, Simulator};
use serde_json::json;

use crate::client::{
    call, command, id, int, items, member, members, number, product, product_named, products,
    record, start, start_at, string, text,
};

fn act(simulator: &Simulator<Gandi>, method: &str, params: serde_json::Value) -> Option<i32> {
    let method = method.to_owned();
    let params = params.as_array().unwrap().clone();
    simulator.person(PersonCommand { method, params, ..PersonCommand::default() }).unwrap()
}

#[tokio::test]
async fn person_acts_and_ledger_says_so() {
    let simulator = start(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    let bought = json!([{ "product_name": "cores", "quantity": 2, "duration": "1m" }]);
    let operation = act(&simulator, "hosting.product.create", bought).unwrap();
    simulator.set_step(operation, "DONE", None).unwrap();
    let owned = number(member(&product_named(simulator.url(), "cores").await, "id"));
    act(&simulator, "hosting.product.renew", json!([owned, { "duration": "12m" }]));
    let mine = [product("ips", 1, "1m")];
    let mine = id(&call(simulator.url(), "hosting.product.create", mine).await.unwrap());
    act(&simulator, "operation.cancel", json!([mine]));
    let lines = simulator.ledger();
    let lines: Vec<_> = lines.iter().map(|entry| (entry.sale.kind, entry.sale.person)).collect();
    let (add, renew, refund) = (Kind::ProductAdd, Kind::ProductRenew, Kind::Refund);
    assert_eq!(lines, [(add, true), (renew, true), (add, false), (refund, true)]);

    let body = json!({ "method": "hosting.product.delete", "params": [1] });
    assert_eq!(command(&simulator, "POST", "/person", &body).await.0, 409);
    let body = json!({ "account": "XX1-GANDI", "method": "version.info" });
    assert_eq!(command(&simulator, "POST", "/person", &body).await.0, 404);
}

#[tokio::test]
async fn person_dates_an_operation_ahead() {
    let simulator = start_at("2011-03-24T15:49:50Z", "100", Mode::default()).await;
    let body = json!({
        "method": "hosting.product.create",
        "params": [{ "product_name": "ips", "quantity": 1, "duration": "1m" }],
        "date_created": "2031-01-01T00:00:00Z",
    });
    let (status, answer) = command(&simulator, "POST", "/person", &body).await;
    assert_eq!((status, &answer["operation"]), (200, &json!(637_366)));
    let found = call(simulator.url(), "operation.list", []).await.unwrap();
    let date = Value::DateTime("20310101T00:00:00".parse().unwrap());
    assert_eq!(member(&items(&found)[0], "date_created"), &date);
}

#[tokio::test]
async fn effect_shows_after_its_lag() {
    let mode = Mode { effect_lag_ms: 6_000, ..Mode::default() };
    let simulator = start_at("2011-03-24T15:49:50Z", "100", mode).await;
    let bought = [product("ips", 1, "1m")];
    let operation = id(&call(simulator.url(), "hosting.product.create", bought).await.unwrap());
    let step = async || call(simulator.url(), "operation.info", [int(operation)]).await.unwrap();
    assert_eq!(string(member(&step().await, "step")), "DONE");
    assert_eq!(products(simulator.url()).await.len(), 2);
    simulator.advance(Duration::from_secs(6));
    let shown = products(simulator.url()).await;
    let date = Value::DateTime("20110324T15:49:50".parse().unwrap());
    assert_eq!((shown.len(), member(&shown[2], "date_created")), (3, &date));
}

#[tokio::test]
async fn unknown_word_stands_in_the_place_of_the_step() {
    let simulator = start(Mode::default()).await;
    let bought = [product("ips", 1, "1m")];
    let operation = id(&call(simulator.url(), "hosting.product.create", bought).await.unwrap());
    let step = async || {
        let told = call(simulator.url(), "operation.info", [int(operation)]).await.unwrap();
        string(member(&told, "step")).to_owned()
    };
    let path = format!("/operations/{operation}/word");
    assert_eq!(command(&simulator, "POST", &path, &json!({ "word": "HELD" })).await.0, 200);
    assert_eq!(step().await, "HELD");
    simulator.set_word(operation, None).unwrap();
    assert_eq!(step().await, "DONE");
    let nothing = command(&simulator, "POST", "/operations/1/word", &json!({ "word": null })).await;
    assert_eq!(nothing.0, 404);
}

#[tokio::test]
async fn cancellation_in_vain_answers_true() {
    let mode = Mode { cancels_in_vain: true, bill_ms: 1_000, ..Mode::default() };
    let simulator = start_at("2011-03-24T15:49:50Z", "100", mode).await;
    let bought = [product("ips", 1, "1m")];
    let operation = id(&call(simulator.url(), "hosting.product.create", bought).await.unwrap());
    let answer = call(simulator.url(), "operation.cancel", [int(operation)]).await.unwrap();
    assert_eq!(answer, Value::Boolean(true));
    simulator.advance(Duration::from_secs(1));
    assert_eq!(products(simulator.url()).await.len(), 3);
    assert_eq!(simulator.ledger().len(), 1);
}

#[tokio::test]
async fn silent_operations_tell_nothing_of_what_they_are_about() {
    let mode = Mode { operations_silent: true, null_style: NullStyle::Nil, ..Mode::default() };
    let simulator = start(mode).await;
    let bought = [product("ips", 1, "1m")];
    let operation = call(simulator.url(), "hosting.product.create", bought).await.unwrap();
    for name in ["infos", "params", "product_id"] {
        assert!(!members(&operation).contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn account_begins_with_an_operation_of_long_ago() {
    let simulator = Gandi::start(Options::default()).await.unwrap();
    let bought = [product("ips", 1, "1m")];
    let operation = id(&call(simulator.url(), "hosting.product.create", bought).await.unwrap());
    let order = record([("sort_by", text("date_created DESC"))]);
    let found = call(simulator.url(), "operation.list", [order]).await.unwrap();
    let found: Vec<_> = items(&found).iter().map(id).collect();
    assert_eq!((operation, found), (637_366, vec![637_366, 637_365]));
    assert_eq!(simulator.ledger().len(), 1);
}
