//! Every fault on command, at the call that moves money: what the caller sees and what was paid.

use std::time::Duration;

use purveyor_simulators::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::client::{Answer, Bench};
use crate::waiting::wait_for;
use crate::wire::Broken;

const PAY: &str = "POST /me/order/{orderId}/payWithRegisteredPaymentMean";

/// Pays once under a fault: what the caller saw, and whether the order was paid.
async fn pay_under(fault: Fault) -> (Result<Answer, Broken>, bool) {
    let bench = Bench::new().await;
    let order = bench.order(12345, "P3M").await;
    bench.simulator.inject(fault);
    let path = format!("/me/order/{order}/payWithRegisteredPaymentMean");
    let body = json!({ "paymentMean": "paypal", "paymentMeanId": 1234 });
    let seen = bench.try_call("POST", &path, Some(body)).await;
    let paid = bench.ledger().contains(&"order_paid".to_owned());
    let expected = if paid { "delivered" } else { "notPaid" };
    assert_eq!(bench.status(order).await, expected);
    (seen, paid)
}

#[tokio::test]
async fn connections_end_before_or_after_the_payment() {
    let check = async |kind: FaultKind, seen: Broken, paid: bool| {
        let shown = format!("{kind:?}");
        assert_eq!(pay_under(Fault::next(PAY, kind)).await, (Err(seen), paid), "{shown}");
    };
    check(FaultKind::DropBeforeCommit, Broken::Closed, false).await;
    check(FaultKind::ResetBeforeCommit, Broken::Reset, false).await;
    check(FaultKind::DropAfterCommit, Broken::Closed, true).await;
    check(FaultKind::ResetAfterCommit, Broken::Reset, true).await;
    check(FaultKind::TruncateAfterCommit, Broken::Closed, true).await;
    check(FaultKind::CutAfterCommit { bytes: 12 }, Broken::Closed, true).await;
}

#[tokio::test]
async fn answers_are_replaced_before_or_after_the_payment() {
    let check = async |kind: FaultKind, seen: &dyn Fn(&Answer) -> bool| {
        for committed in [false, true] {
            let fault = Fault { committed, ..Fault::next(PAY, kind.clone()) };
            let (answer, paid) = pay_under(fault).await;
            assert!(seen(&answer.unwrap()), "{kind:?}");
            assert_eq!(paid, committed, "{kind:?}");
        }
    };
    let status =
        |status: u16| move |answer: &Answer| answer.as_ref().is_err_and(|it| it.0 == status);
    check(FaultKind::Status { status: 500 }, &status(500)).await;
    check(FaultKind::Status { status: 502 }, &status(502)).await;
    check(FaultKind::Redirect, &status(307)).await;
    check(FaultKind::Nil, &|answer| *answer == Ok(Value::Null)).await;
    check(FaultKind::WrongType, &|answer| *answer == Ok(json!(0.5))).await;
    check(FaultKind::Garbage, &|answer| answer.as_ref().is_ok_and(Value::is_string)).await;
    check(FaultKind::XmlBomb, &|answer| answer.is_ok()).await;
    check(FaultKind::NestedArrays { depth: 9 }, &|answer| {
        answer.as_ref().is_ok_and(Value::is_array)
    })
    .await;
    check(FaultKind::Megabytes { n: 2 }, &|answer| answer.is_ok()).await;
    let fault = FaultKind::Fault { code: 460, text: "expired".to_owned() };
    check(fault, &|answer| answer.as_ref().is_err_and(|it| it.1["message"] == "expired")).await;
}

#[tokio::test]
async fn a_late_payment_comes_after_the_connection_is_gone() {
    let bench = Bench::new().await;
    let order = bench.order(12345, "P3M").await;
    bench.simulator.inject(Fault::next(PAY, FaultKind::LateCommit { ms: 5000 }));
    let path = format!("/me/order/{order}/payWithRegisteredPaymentMean");
    let body = json!({ "paymentMean": "paypal", "paymentMeanId": 1234 });
    assert_eq!(bench.try_call("POST", &path, Some(body)).await, Err(Broken::Closed));
    assert_eq!(bench.ledger(), ["order_unpaid"]);
    bench.advance(5);
    wait_for(|| bench.ledger().len() == 2).await;
}

#[tokio::test]
async fn a_slow_payment_waits_before_or_after_it() {
    for committed in [false, true] {
        let bench = Bench::new().await;
        let order = bench.order(12345, "P3M").await;
        let fault = Fault::next(PAY, FaultKind::Slow { ms: 5000 });
        bench.simulator.inject(Fault { committed, ..fault });
        let paying = bench.pay(order);
        let moving = async {
            wait_for(|| bench.simulator.requests().contains_key(PAY)).await;
            wait_for(|| bench.ledger().len() == 1 + usize::from(committed)).await;
            bench.simulator.advance(Duration::from_secs(5));
        };
        let (paid, ()) = tokio::join!(paying, moving);
        paid.unwrap();
        assert_eq!(bench.ledger().len(), 2);
    }
}

#[tokio::test]
async fn faults_strike_every_kind_of_call() {
    let bench = Bench::new().await;
    for path in ["/auth/time", "/service", "/me/order", "/vps/vps112233.ovh.net/serviceInfos"] {
        bench.simulator.inject(Fault::next("*", FaultKind::Status { status: 503 }));
        assert_eq!(bench.get(path).await.unwrap_err().0, 503, "{path}");
    }
}
