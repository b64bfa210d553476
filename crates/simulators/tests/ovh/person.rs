//! What happens without any request, and what shows late of it.

use purveyor_simulators::ovh::{AccountSeed, Happening, Mode};
use purveyor_simulators::{Fault, FaultKind, Kind};
use serde_json::json;

use crate::client::Bench;

const VPS: i64 = 12345;

fn end(bench: &Bench, service: i64) -> String {
    bench.simulator.expires(service).unwrap().to_string()[..10].to_owned()
}

fn renew(pays: bool) -> Happening {
    Happening::Renew { services: vec![VPS], duration: "P3M".to_owned(), pays, ahead_s: 0 }
}

#[tokio::test]
async fn person_renews_and_the_ledger_says_so() {
    let bench = Bench::new().await;
    let order = bench.simulator.happens(renew(true)).unwrap();
    assert_eq!(
        (bench.status(order).await, end(&bench, VPS)),
        ("delivered".into(), "2099-06-30".into())
    );
    let persons: Vec<bool> = bench.simulator.ledger().iter().map(|it| it.sale.person).collect();
    assert_eq!(
        (bench.ledger(), persons),
        (vec!["order_unpaid".into(), "order_paid".into()], vec![true; 2])
    );
    let unpaid = bench.order(VPS, "P1M").await;
    bench.simulator.happens(Happening::Pay { order: unpaid }).unwrap();
    bench.simulator.happens(Happening::Pay { order: unpaid }).unwrap_err();
    assert_eq!(end(&bench, VPS), "2099-07-30");
    bench.simulator.happens(Happening::AutoRenew { service: VPS }).unwrap();
    assert_eq!(end(&bench, VPS), "2099-08-30");
    let last = bench.simulator.ledger().pop().unwrap().sale;
    assert_eq!((last.kind, last.person), (Kind::AutoRenewal, false));
    assert!(!bench.simulator.ledger()[2].sale.person, "a request made it");
}

#[tokio::test]
async fn person_cancels_an_order_or_one_line_of_it() {
    let bench = Bench::in_mode(Mode { delivering_ms: 1000, ..Mode::default() }).await;
    let order = bench.simulator.happens(renew(true)).unwrap();
    bench.simulator.happens(Happening::Cancel { order }).unwrap();
    bench.advance(1);
    assert_eq!(
        (bench.status(order).await, end(&bench, VPS)),
        ("cancelled".into(), "2099-03-31".into())
    );
    assert_eq!(bench.simulator.ledger()[2].sale.kind, Kind::Refund);
    let services = vec![54321, 67890];
    let both = Happening::Renew { services, duration: "P1Y".to_owned(), pays: true, ahead_s: 0 };
    let order = bench.simulator.happens(both).unwrap();
    bench.simulator.happens(Happening::CancelLine { order, service: 67890 }).unwrap();
    bench.advance(1);
    assert_eq!(bench.status(order).await, "delivered");
    assert_eq!([end(&bench, 54321), end(&bench, 67890)], ["2100-03-31", "2099-03-31"]);
    let details = bench.get(&format!("/me/order/{order}/details")).await.unwrap();
    let detail = bench.get(&format!("/me/order/{order}/details/{}", details[0])).await.unwrap();
    assert_eq!(detail["cancelled"], json!(true));
    bench.simulator.happens(Happening::Cancel { order }).unwrap_err();
}

#[tokio::test]
async fn effects_and_statuses_show_late() {
    let mode = Mode { effect_lag_ms: 5000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let order = bench.simulator.happens(renew(true)).unwrap();
    assert_eq!(
        (bench.status(order).await, end(&bench, VPS)),
        ("delivered".into(), "2099-03-31".into())
    );
    bench.advance(5);
    assert_eq!(end(&bench, VPS), "2099-06-30");
    bench.simulator.set_mode(Mode { status_lag_ms: 5000, ..Mode::default() });
    let order = bench.simulator.happens(renew(true)).unwrap();
    assert_eq!(
        (bench.status(order).await, end(&bench, VPS)),
        ("notPaid".into(), "2099-09-30".into())
    );
    assert!(bench.get(&format!("/me/order/{order}/payment")).await.is_ok());
    bench.advance(5);
    assert_eq!(bench.status(order).await, "delivered");
    bench.simulator.set_mode(Mode { status_word: "shipped".to_owned(), ..Mode::default() });
    assert_eq!(bench.status(order).await, "shipped");
}

#[tokio::test]
async fn prices_names_numbers_and_refusals_change() {
    let bench = Bench::new().await;
    let order = bench.order(VPS, "P3M").await;
    let amount = "378.67".parse().unwrap();
    bench.simulator.happens(Happening::Reprice { order, amount }).unwrap();
    let told = bench.get(&format!("/me/order/{order}")).await.unwrap();
    assert_eq!(told["priceWithTax"]["value"], json!(454.40));
    bench.simulator.happens(Happening::Rename { service: VPS, name: "x".to_owned() }).unwrap();
    bench.simulator.happens(Happening::Replace { service: VPS }).unwrap();
    let service = bench.get("/service/12345").await.unwrap();
    assert_eq!(service["resource"]["displayName"], "x");
    assert_eq!(service["resource"]["name"], "another-vps112233.ovh.net");
    assert_eq!(service["creationDate"], "2026-05-15T15:49:06+02:00");
    let mut account = AccountSeed::default();
    account.means[0].refuses_later = true;
    bench.simulator.put_account(account).unwrap();
    bench.pay(order).await.unwrap();
    assert_eq!(bench.status(order).await, "notPaid");
    assert_eq!(bench.ledger(), ["order_unpaid"]);
    let ahead = Happening::Renew {
        services: vec![VPS],
        duration: "P1M".to_owned(),
        pays: false,
        ahead_s: 86_400,
    };
    let later = bench.simulator.happens(ahead).unwrap();
    let from = bench.get("/me/order?date.from=2026-05-16T00%3A00%3A00Z").await.unwrap();
    assert_eq!(from, json!([later]));
    let gone = FaultKind::Fault { code: 404, text: "This order does not exist".to_owned() };
    bench.simulator.inject(Fault::next("GET /me/order/{orderId}", gone));
    let (status, body) = bench.get(&format!("/me/order/{order}")).await.unwrap_err();
    assert_eq!((status, &body["class"]), (404, &json!("Client::NotFound")));
}
