//! What is charged, what comes back, and that the balance is never oversold.

use std::time::Duration;

use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options, ShortCredit};
use purveyor_simulators::{Kind, Simulator};

use crate::client::{
    KEY, call, id, int, items, member, number, product, product_named, products, record, start,
    start_at, string, text,
};

const DAY: Duration = Duration::from_secs(86_400);

fn prepaid(simulator: &Simulator<Gandi>) -> String {
    simulator.prepaid(KEY).unwrap().to_string()
}

/// Buys a product and returns its id.
async fn buy(simulator: &Simulator<Gandi>, name: &str, quantity: i32, duration: &str) -> i32 {
    let params = [product(name, quantity, duration)];
    call(simulator.url(), "hosting.product.create", params).await.unwrap();
    number(member(&product_named(simulator.url(), name).await, "id"))
}

#[tokio::test]
async fn a_purchase_is_charged_at_the_catalogue_price() {
    let check = async |name: &str, quantity: i32, duration: &str, expected: &str| {
        let simulator = start_at("2011-03-24T15:49:50Z", "1000", Mode::default()).await;
        buy(&simulator, name, quantity, duration).await;
        let ledger = simulator.ledger();
        assert_eq!(ledger.len(), 1);
        let sale = &ledger[0].sale;
        assert_eq!(sale.kind, Kind::ProductAdd);
        assert_eq!((sale.product_name.as_str(), sale.quantity), (name, i64::from(quantity)));
        assert_eq!(sale.duration.as_deref(), Some(duration));
        assert_eq!((sale.amount.to_string().as_str(), sale.currency.as_str()), (expected, "EUR"));
        let spent = simulator.prepaid(KEY).unwrap() + sale.amount;
        assert_eq!(spent.to_string(), "1000.00");
    };
    check("shares", 1, "1m", "12.00").await;
    check("shares", 3, "12m", "360.00").await;
    check("disk", 7, "1m", "0.84").await;
    check("memory", 1, "12m", "3.00").await;
    check("ips", 2, "1m", "4.00").await;
}

#[tokio::test]
async fn a_renewal_adds_months_to_the_end() {
    let simulator = start_at("2012-01-31T12:00:00Z", "1000", Mode::default()).await;
    let id = buy(&simulator, "cores", 2, "1m").await;
    let end = async || member(&product_named(simulator.url(), "cores").await, "date_end").clone();
    assert_eq!(end().await, date("20120229T12:00:00"));
    let renew = async |duration: &str| {
        let params = [int(id), record([("duration", text(duration))])];
        call(simulator.url(), "hosting.product.renew", params).await.unwrap()
    };
    let operation = renew("1m").await;
    assert_eq!(string(member(&operation, "type")), "hosting_account_product_renew");
    assert_eq!(end().await, date("20120329T12:00:00"));
    renew("12m").await;
    assert_eq!(end().await, date("20130329T12:00:00"));
    assert_eq!(prepaid(&simulator), "880.00");
    let kinds: Vec<Kind> = simulator.ledger().iter().map(|entry| entry.sale.kind).collect();
    assert_eq!(kinds, [Kind::ProductAdd, Kind::ProductRenew, Kind::ProductRenew]);
}

#[tokio::test]
async fn more_units_cost_the_rest_of_the_term_and_fewer_give_nothing_back() {
    let simulator = start_at("2011-04-01T00:00:00Z", "1000", Mode::default()).await;
    let id = buy(&simulator, "shares", 1, "1m").await;
    let update = async |quantity: i32| {
        let params = [int(id), record([("quantity", int(quantity))])];
        call(simulator.url(), "hosting.product.update", params).await
    };
    assert_eq!(prepaid(&simulator), "988.00");
    simulator.advance(DAY * 10);
    update(3).await.unwrap();
    // Two more shares at 12.00 for 20 of April's 30 days.
    assert_eq!(prepaid(&simulator), "972.00");
    assert_eq!(number(member(&product_named(simulator.url(), "shares").await, "quantity")), 3);
    assert_eq!(update(3).await.unwrap_err().code(), Some(535_144));
    update(1).await.unwrap();
    assert_eq!(prepaid(&simulator), "972.00");
    assert_eq!(number(member(&product_named(simulator.url(), "shares").await, "quantity")), 1);
}

#[tokio::test]
async fn deleting_shares_returns_their_unused_time() {
    let check = async |name: &str, days: u32, expected: &str| {
        let simulator = start_at("2011-04-01T00:00:00Z", "100", Mode::default()).await;
        let id = buy(&simulator, name, 1, "1m").await;
        simulator.advance(DAY * days);
        call(simulator.url(), "hosting.product.delete", [int(id)]).await.unwrap();
        assert_eq!(products(simulator.url()).await.len(), 2);
        assert_eq!(prepaid(&simulator), expected, "{name} after {days} days");
        let refunds = simulator.ledger().iter().filter(|e| e.sale.kind == Kind::Refund).count();
        assert_eq!(refunds, usize::from(name == "shares" && days < 30));
    };
    check("shares", 0, "100.00").await;
    check("shares", 15, "94.00").await;
    check("shares", 30, "88.00").await;
    check("cores", 15, "95.00").await;
}

#[tokio::test]
async fn what_servers_use_cannot_be_given_up() {
    let used = [("shares".to_owned(), 14.0)].into();
    let account = AccountSeed { used, ..AccountSeed::default() };
    let simulator = Gandi::start(Options { accounts: vec![account], ..Options::default() }).await;
    let simulator = simulator.unwrap();
    let id = buy(&simulator, "shares", 3, "1m").await;
    let shares = product_named(simulator.url(), "shares").await;
    assert_eq!(items(member(&shares, "errors_for_removing")), [text("not_available_resource")]);
    let delete = call(simulator.url(), "hosting.product.delete", [int(id)]).await;
    assert_eq!(delete.unwrap_err().code(), Some(535_160));
    let update = async |quantity: i32| {
        let params = [int(id), record([("quantity", int(quantity))])];
        call(simulator.url(), "hosting.product.update", params).await
    };
    // Twelve fixed shares and these: fourteen are in use.
    assert_eq!(update(1).await.unwrap_err().code(), Some(535_160));
    assert!(update(2).await.is_ok());
    assert_eq!(simulator.ledger().len(), 2);
}

#[tokio::test]
async fn an_ended_product_can_be_renewed_for_seven_days() {
    let check = async |days: u32, fault: Option<i32>| {
        let simulator = start_at("2011-04-01T00:00:00Z", "100", Mode::default()).await;
        let id = buy(&simulator, "cores", 1, "1m").await;
        simulator.advance(DAY * days);
        if fault.is_none() {
            let cores = product_named(simulator.url(), "cores").await;
            let ended = if days < 30 { text("") } else { dxr::Value::Boolean(true) };
            assert_eq!(member(&cores, "is_in_redemption"), &ended);
        }
        let params = [int(id), record([("duration", text("1m"))])];
        let renewed = call(simulator.url(), "hosting.product.renew", params).await;
        assert_eq!(renewed.err().and_then(|failure| failure.code()), fault, "{days} days");
    };
    check(29, None).await;
    check(30, None).await;
    check(36, None).await;
    check(37, Some(535_140)).await;
}

#[tokio::test]
async fn a_product_takes_one_change_at_a_time_but_any_renewals() {
    let mode = Mode { run_ms: 1000, ..Mode::default() };
    let simulator = start_at("2011-04-01T00:00:00Z", "100", mode).await;
    call(simulator.url(), "hosting.product.create", [product("cores", 2, "1m")]).await.unwrap();
    simulator.advance(DAY);
    let id = number(member(&product_named(simulator.url(), "cores").await, "id"));
    let act = async |method: &str, member: (&str, dxr::Value)| {
        let method = format!("hosting.product.{method}");
        call(simulator.url(), &method, [int(id), record([member])]).await.map(|_| ())
    };
    let busy = async |method: &str, member: (&str, dxr::Value)| {
        assert_eq!(act(method, member).await.unwrap_err().code(), Some(535_160), "{method}");
    };
    assert_eq!(act("renew", ("duration", text("1m"))).await, Ok(()));
    assert_eq!(act("renew", ("duration", text("1m"))).await, Ok(()));
    busy("update", ("quantity", int(3))).await;
    simulator.advance(DAY);
    assert_eq!(act("update", ("quantity", int(3))).await, Ok(()));
    busy("renew", ("duration", text("1m"))).await;
    let delete = call(simulator.url(), "hosting.product.delete", [int(id)]).await;
    assert_eq!(delete.unwrap_err().code(), Some(535_160));
}

#[tokio::test]
async fn a_purchase_beyond_the_balance_is_refused() {
    let simulator = start_at("2011-04-01T00:00:00Z", "11.99", Mode::default()).await;
    let bought =
        call(simulator.url(), "hosting.product.create", [product("shares", 1, "1m")]).await;
    assert_eq!(bought.unwrap_err().code(), Some(521_163));
    assert_eq!(prepaid(&simulator), "11.99");
    assert!(simulator.ledger().is_empty());
}

#[tokio::test]
async fn or_it_is_stuck_until_the_balance_covers_it() {
    let mode = Mode { short_credit: ShortCredit::StuckBill, ..Mode::default() };
    let simulator = start_at("2011-04-01T00:00:00Z", "11.99", mode).await;
    let url = simulator.url();
    let bought = call(url, "hosting.product.create", [product("shares", 1, "1m")]).await.unwrap();
    simulator.advance(DAY);
    let step = async || {
        let operation = call(url, "operation.info", [int(id(&bought))]).await.unwrap();
        (string(member(&operation, "step")).to_owned(), number(member(&operation, "eta")))
    };
    assert_eq!(step().await, ("BILL".to_owned(), -86_400));
    assert!(simulator.set_step(id(&bought), "DONE", None).is_err(), "delivered unpaid");
    assert!(simulator.ledger().is_empty());
    let seed = AccountSeed { prepaid: "20".parse().unwrap(), ..AccountSeed::default() };
    simulator.put_account(seed).unwrap();
    assert_eq!(step().await.0, "DONE");
    assert_eq!(prepaid(&simulator), "8.00");
    assert_eq!(simulator.ledger().len(), 1);
}

#[tokio::test]
async fn parallel_purchases_never_oversell_the_balance() {
    let simulator = start(Mode::default()).await;
    let seed = AccountSeed { prepaid: "120.50".parse().unwrap(), ..AccountSeed::default() };
    simulator.put_account(seed).unwrap();
    let url = simulator.url().to_owned();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                call(&url, "hosting.product.create", [product("shares", 1, "1m")]).await
            })
        })
        .collect();
    let mut operations = Vec::new();
    for purchase in calls {
        match purchase.await.unwrap() {
            Ok(operation) => operations.push(id(&operation).to_string()),
            Err(failure) => assert_eq!(failure.code(), Some(521_163)),
        }
    }
    assert_eq!(operations.len(), 10);
    assert_eq!(prepaid(&simulator), "0.50");
    let mut sold: Vec<String> =
        simulator.ledger().into_iter().map(|entry| entry.sale.operation_id).collect();
    operations.sort();
    sold.sort();
    assert_eq!(operations, sold);
}

#[tokio::test]
async fn equal_requests_have_equal_fingerprints() {
    let simulator = start(Mode::default()).await;
    for quantity in [1, 1, 2] {
        buy(&simulator, "ips", quantity, "1m").await;
    }
    let prints: Vec<String> =
        simulator.ledger().into_iter().map(|entry| entry.sale.fingerprint).collect();
    assert_eq!(prints[0], prints[1]);
    assert_ne!(prints[0], prints[2]);
    assert!(!prints[0].contains(KEY));
}

fn date(text: &str) -> dxr::Value {
    dxr::Value::DateTime(text.parse().unwrap())
}
