//! How operations proceed, how they are listed and how they are cancelled.

use std::time::Duration;

use dxr::Value;
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, NullStyle, Options};
use purveyor_simulators::{Kind, Simulator};

use crate::client::{
    KEY, call, call_raw, id, int, items, member, number, product, products, record, start,
    start_at, string, text,
};

/// One second in BILL, two in WAIT, three in RUN.
async fn start_slow() -> Simulator<Gandi> {
    let mode = Mode {
        bill_ms: 1000,
        wait_ms: 2000,
        run_ms: 3000,
        null_style: NullStyle::Nil,
        ..Mode::default()
    };
    start_at("2011-03-24T15:49:50Z", "100", mode).await
}

async fn buy(simulator: &Simulator<Gandi>) -> i32 {
    let params = [product("shares", 1, "1m")];
    id(&call(simulator.url(), "hosting.product.create", params).await.unwrap())
}

async fn step(simulator: &Simulator<Gandi>, operation: i32) -> String {
    let info = call(simulator.url(), "operation.info", [int(operation)]).await.unwrap();
    string(member(&info, "step")).to_owned()
}

/// Ids of a listing.
async fn list(simulator: &Simulator<Gandi>, opts: Value) -> Vec<i32> {
    let found = call(simulator.url(), "operation.list", [opts]).await.unwrap();
    items(&found).iter().map(id).collect()
}

fn date(text: &str) -> Value {
    Value::DateTime(text.parse().unwrap())
}

#[tokio::test]
async fn time_moves_operations_on() {
    let simulator = start_slow().await;
    let operation = buy(&simulator).await;
    for (milliseconds, expected, products_then) in
        [(0, "BILL", 2), (999, "BILL", 2), (1, "WAIT", 2), (2000, "RUN", 2), (3000, "DONE", 3)]
    {
        simulator.advance(Duration::from_millis(milliseconds));
        assert_eq!(step(&simulator, operation).await, expected);
        assert_eq!(products(simulator.url()).await.len(), products_then);
    }
    let info = call(simulator.url(), "operation.info", [int(operation)]).await.unwrap();
    assert_eq!(member(&info, "date_created"), &date("20110324T15:49:50"));
    assert_eq!(member(&info, "date_start"), &date("20110324T15:49:53"));
    assert_eq!(member(&info, "date_updated"), &date("20110324T15:49:56"));
    assert_eq!(number(member(&info, "eta")), 0);
    assert_eq!(member(&info, "last_error"), &Value::Nil);
}

#[tokio::test]
async fn early_operations_can_be_cancelled_and_are_paid_back() {
    let check = async |milliseconds: u64, cancellable: bool| {
        let simulator = start_slow().await;
        let operation = buy(&simulator).await;
        simulator.advance(Duration::from_millis(milliseconds));
        let cancelled = call(simulator.url(), "operation.cancel", [int(operation)]).await;
        let balance = simulator.prepaid(KEY).unwrap().to_string();
        if cancellable {
            assert_eq!(cancelled, Ok(Value::Boolean(true)));
            assert_eq!(step(&simulator, operation).await, "CANCEL");
            assert_eq!(balance, "100.00");
            assert_eq!(simulator.ledger().last().map(|entry| entry.sale.kind), Some(Kind::Refund));
        } else {
            assert_eq!(cancelled.unwrap_err().code(), Some(510_290));
            assert_eq!(balance, "88.00");
        }
        let again = call(simulator.url(), "operation.cancel", [int(operation)]).await;
        assert_eq!(again.unwrap_err().code(), Some(510_290));
    };
    check(0, true).await;
    check(1000, true).await;
    check(3000, false).await;
    check(6000, false).await;
}

#[tokio::test]
async fn a_command_holds_an_operation_in_a_step() {
    let simulator = start_slow().await;
    let check = async |name: &str, error: Option<&str>| {
        let operation = buy(&simulator).await;
        simulator.set_step(operation, name, error).unwrap();
        simulator.advance(Duration::from_secs(60));
        let info = call(simulator.url(), "operation.info", [int(operation)]).await.unwrap();
        assert_eq!(string(member(&info, "step")), name);
        assert_eq!(member(&info, "last_error"), &error.map_or(Value::Nil, text));
    };
    check("RUN", None).await;
    check("SUPPORT", None).await;
    check("ERROR", Some("no capacity")).await;
    assert_eq!(products(simulator.url()).await.len(), 2);
    check("DONE", None).await;
    assert_eq!(products(simulator.url()).await.len(), 3);
    assert!(simulator.set_step(1, "DONE", None).is_err());
    let operation = buy(&simulator).await;
    assert!(simulator.set_step(operation, "GONE", None).is_err());
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let simulator = start_slow().await;
    let first = buy(&simulator).await;
    simulator.advance(Duration::from_secs(1));
    let second = buy(&simulator).await;
    simulator.advance(Duration::from_secs(1));
    let third = buy(&simulator).await;
    // The first is in WAIT by now, the second just reached it, the third is in BILL.
    let check = async |opts: Value, expected: &[i32]| {
        assert_eq!(list(&simulator, opts.clone()).await, expected, "{opts:?}");
        if !matches!(&opts, Value::Struct(m) if m.contains_key("page")) {
            let count = call(simulator.url(), "operation.count", [opts]).await.unwrap();
            assert_eq!(number(&count), i32::try_from(expected.len()).unwrap());
        }
    };
    let strings = |texts: &[&str]| Value::Array(texts.iter().copied().map(text).collect());
    let one = |name: &str, value: Value| record([(name, value)]);
    check(record([]), &[first, second, third]).await;
    check(one("id", int(second)), &[second]).await;
    check(one("id", Value::Array(vec![int(first), int(third)])), &[first, third]).await;
    check(one("step", text("WAIT")), &[first, second]).await;
    check(one("step", strings(&["BILL", "RUN"])), &[third]).await;
    check(one("type", text("hosting_account_product_renew")), &[]).await;
    check(one("source", text("AB3917-GANDI")), &[first, second, third]).await;
    check(one("vm_id", int(1)), &[]).await;
    check(one("date_created", date("20110324T15:49:51")), &[second]).await;
    check(one(">date_created", date("20110324T15:49:51")), &[third]).await;
    check(one("<date_created", date("20110324T15:49:51")), &[first]).await;
    check(one("sort_by", text("date_created DESC")), &[third, second, first]).await;
    check(one("sort_by", text("step")), &[third, first, second]).await;
    let page = |page: i32| {
        record([("page", int(page)), ("items_per_page", int(2)), ("sort_by", text("id DESC"))])
    };
    check(page(0), &[third, second]).await;
    check(page(1), &[first]).await;
    check(page(2), &[]).await;
}

#[tokio::test]
async fn equal_dates_are_ordered_by_id() {
    let simulator = start_slow().await;
    let (first, second) = (buy(&simulator).await, buy(&simulator).await);
    let newest_first = record([("sort_by", text("date_created DESC"))]);
    assert_eq!(list(&simulator, newest_first).await, [second, first]);
}

#[tokio::test]
async fn a_listing_can_lag() {
    let mode = Mode { listing_lag_ms: 5000, ..Mode::default() };
    let simulator = start_at("2011-03-24T15:49:50Z", "100", mode).await;
    let operation = buy(&simulator).await;
    assert_eq!(list(&simulator, record([])).await, [0; 0]);
    assert_eq!(step(&simulator, operation).await, "DONE");
    simulator.advance(Duration::from_millis(4999));
    assert_eq!(list(&simulator, record([])).await, [0; 0]);
    simulator.advance(Duration::from_millis(1));
    assert_eq!(list(&simulator, record([])).await, [operation]);
}

#[tokio::test]
async fn operations_may_name_their_product() {
    let simulator = start(Mode { operations_name_product: true, ..Mode::default() }).await;
    let operation =
        call(simulator.url(), "hosting.product.create", [product("ips", 1, "1m")]).await.unwrap();
    let product_id = number(member(&operation, "product_id"));
    assert_eq!(number(member(member(&operation, "infos"), "id")), product_id);
    let listed = products(simulator.url()).await;
    assert!(listed.iter().any(|product| id(product) == product_id));
}

#[tokio::test]
async fn dates_are_in_the_account_s_zone() {
    let mode = Mode { time_zone: "Europe/Paris".to_owned(), ..Mode::default() };
    let simulator = start_at("2011-03-24T15:49:50Z", "100", mode).await;
    buy(&simulator).await;
    let found = call(simulator.url(), "operation.list", []).await.unwrap();
    assert_eq!(member(&items(&found)[0], "date_created"), &date("20110324T16:49:50"));
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let other = "zyxwvutsrqponmlkjihgfedc";
    let second = AccountSeed {
        api_key: other.to_owned(),
        handle: "CD1-GANDI".to_owned(),
        old_operation: false,
        ..AccountSeed::default()
    };
    let accounts = vec![AccountSeed::default(), second];
    let simulator = Gandi::start(Options { accounts, ..Options::default() }).await.unwrap();
    let operation = buy(&simulator).await;
    let as_other = async |method: &str, param: Value| {
        call_raw(simulator.url(), method, vec![text(other), param]).await
    };
    assert_eq!(as_other("operation.list", record([])).await, Ok(Value::Array(vec![])));
    let info = as_other("operation.info", int(operation)).await;
    assert_eq!(info.unwrap_err().code(), Some(510_242));
    let bought = products(simulator.url()).await.last().map(id).unwrap();
    let delete = as_other("hosting.product.delete", int(bought)).await;
    assert_eq!(delete.unwrap_err().code(), Some(535_150));
}
