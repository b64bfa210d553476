//! Money and time: what is charged and when, invoices, cancellations at the end of a period.

use std::time::Duration;

use purveyor_simulators::klikk::{Klikk, Mode, ShortCredit};
use purveyor_simulators::{Kind, Simulator};
use serde_json::{Value, json};

use crate::client::{TOKEN, call, good, order, servers, start_with, status};

const DAY: u64 = 24 * 3600;

/// The ledger's lines as kind, order, item and amount.
fn sales(simulator: &Simulator<Klikk>) -> Vec<(Kind, String, Option<String>, String)> {
    let lines = simulator.ledger().into_iter().map(|entry| entry.sale);
    lines.map(|it| (it.kind, it.operation_id, it.product_id, it.amount.to_string())).collect()
}

fn line(
    kind: Kind,
    order: &str,
    item: Option<&str>,
    amount: &str,
) -> (Kind, String, Option<String>, String) {
    (kind, order.to_owned(), item.map(str::to_owned), amount.to_owned())
}

async fn cancel(simulator: &Simulator<Klikk>, item: Option<u64>) -> (u16, Value) {
    let mut body = json!({ "action": "order_cancel", "order_id": 73 });
    if let Some(item) = item {
        body["order_item_id"] = json!(item);
    }
    call(simulator.url(), body).await.unwrap()
}

#[tokio::test]
async fn terms_renew_themselves_until_they_are_cancelled() {
    let simulator = start_with("1000", Mode::default()).await;
    let url = simulator.url();
    good(url, order(&["a", "b"])).await;
    assert_eq!(simulator.credit(TOKEN).unwrap().to_string(), "350.00");
    // One of two items: an empty 200.
    assert_eq!(cancel(&simulator, Some(1293)).await, (200, json!("")));
    let told = good(url, status(73)).await;
    assert_eq!(told["order_items"][0]["auto_renew"], json!(false));
    assert_eq!(told["order_items"][0]["message"], "Will be cancelled after end period");
    assert_eq!(told["order_items"][1]["auto_renew"], json!(true));
    // It lives on to the end of its period, the last day of February.
    simulator.advance(Duration::from_secs(28 * DAY - 1));
    let living = good(url, servers(1293)).await;
    assert_eq!(living[0]["auto_renew"], json!(false));
    assert_eq!(living[0]["period_end"], "2026-02-28T10:00:00Z");
    simulator.advance(Duration::from_secs(1));
    assert_eq!(good(url, servers(1293)).await, json!([]));
    assert_eq!(good(url, servers(1294)).await[0]["period_end"], "2026-03-31T10:00:00Z");
    assert_eq!(good(url, status(73)).await["order_items"][0]["status"], json!(410));
    let expected = [
        line(Kind::OrderItem, "73", Some("1293"), "325.00"),
        line(Kind::OrderItem, "73", Some("1294"), "325.00"),
        line(Kind::AutoRenewal, "73", Some("1294"), "325.00"),
    ];
    assert_eq!(sales(&simulator), expected);
    assert_eq!(simulator.credit(TOKEN).unwrap().to_string(), "25.00");

    // The rest, twice: it ends in the same state.
    assert_eq!(cancel(&simulator, None).await, (200, json!("")));
    assert_eq!(cancel(&simulator, None).await, (200, json!("")));
    simulator.advance(Duration::from_secs(400 * DAY));
    assert_eq!(good(url, status(73)).await["status"], json!(410));
    assert_eq!(good(url, servers(0)).await, json!([]));
    simulator.set_mode(Mode { keep_ended: true, ..Mode::default() });
    assert_eq!(good(url, servers(0)).await[1]["state"], "ended");
    assert_eq!(sales(&simulator).len(), 3, "a cancelled term was charged");
    assert_eq!(cancel(&simulator, Some(7)).await.0, 404);
}

#[tokio::test]
async fn without_credit_an_invoice_is_made_and_asked_for() {
    let simulator = start_with("649.99", Mode::default()).await;
    let url = simulator.url();
    let (code, asked) = call(url, order(&["a", "b"])).await.unwrap();
    assert_eq!(code, 402);
    assert_eq!((&asked["order_id"], &asked["status"]), (&json!(73), &json!(402)));
    assert_eq!((&asked["invoice"], &asked["amount_due"]), (&json!("K-73"), &json!("650.00")));
    assert_eq!(simulator.credit(TOKEN).unwrap().to_string(), "649.99");
    let told = good(url, status(73)).await;
    assert_eq!((&told["status"], &told["due"]), (&json!(402), &json!("2026-02-14T10:00:00Z")));
    assert_eq!(told["order_items"][0]["status"], json!(402));
    assert_eq!(good(url, servers(0)).await, json!([]));

    simulator.pay(73).unwrap();
    assert!(simulator.pay(73).is_err(), "paid twice");
    assert_eq!(good(url, status(73)).await["status"], json!(201));
    let expected = [
        line(Kind::OrderItemInvoiced, "73", Some("1293"), "325.00"),
        line(Kind::OrderItemInvoiced, "73", Some("1294"), "325.00"),
        line(Kind::InvoicePaid, "73", None, "650.00"),
    ];
    assert_eq!(sales(&simulator), expected);
}

#[tokio::test]
async fn an_invoice_that_nobody_pays_lapses() {
    let mode = Mode { short_credit: ShortCredit::NamesNothing, ..Mode::default() };
    let simulator = start_with("0", mode).await;
    let (code, asked) = call(simulator.url(), order(&["a"])).await.unwrap();
    assert_eq!((code, asked.get("order_id"), asked.get("invoice")), (402, None, None));
    simulator.advance(Duration::from_secs(14 * DAY));
    assert_eq!(good(simulator.url(), status(73)).await["status"], json!(408));
    assert!(simulator.pay(73).is_err());

    call(simulator.url(), order(&["b"])).await.unwrap();
    let body = json!({ "action": "order_cancel", "order_id": 74 });
    good(simulator.url(), body).await;
    assert_eq!(good(simulator.url(), status(74)).await["status"], json!(410));
}

#[tokio::test]
async fn a_clock_at_the_end_of_time_charges_only_so_much() {
    let simulator = start_with("1000", Mode::default()).await;
    good(simulator.url(), order(&["a"])).await;
    good(simulator.url(), status(73)).await;
    simulator.advance(Duration::from_secs(u64::MAX / 4));
    good(simulator.url(), status(73)).await;
    assert_eq!(simulator.ledger().len(), 1201);
}
