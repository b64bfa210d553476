//! Every fault on command: what the caller sees and what was really sold.

use purveyor_simulators::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::client::{call, order, servers, start, status};
use crate::wire::Broken;

const CREATE: &str = "order_create";

/// Buys once under a fault and returns what the caller saw and how many sales there were.
async fn buy_under(fault: Fault) -> (Result<(u16, Value), Broken>, usize) {
    let simulator = start().await;
    simulator.inject(fault);
    let seen = call(simulator.url(), order(&["a"])).await;
    let sales = simulator.ledger().len();
    assert!(call(simulator.url(), order(&["a"])).await.is_ok(), "the fault struck twice");
    (seen, sales)
}

#[tokio::test]
async fn connections_end_before_or_after_the_sale() {
    let check = async |kind: FaultKind, seen: Broken, sales: usize| {
        let shown = format!("{kind:?}");
        assert_eq!(buy_under(Fault::next(CREATE, kind)).await, (Err(seen), sales), "{shown}");
    };
    check(FaultKind::DropBeforeCommit, Broken::Closed, 0).await;
    check(FaultKind::ResetBeforeCommit, Broken::Reset, 0).await;
    check(FaultKind::DropAfterCommit, Broken::Closed, 1).await;
    check(FaultKind::ResetAfterCommit, Broken::Reset, 1).await;
    check(FaultKind::TruncateAfterCommit, Broken::Closed, 1).await;
    check(FaultKind::CutAfterCommit { bytes: 30 }, Broken::Closed, 1).await;
}

#[tokio::test]
async fn answers_are_replaced_before_or_after_the_sale() {
    let check = async |kind: FaultKind, status: u16, seen: &dyn Fn(&Value) -> bool| {
        for (committed, sales) in [(false, 0), (true, 1)] {
            let fault = Fault { committed, ..Fault::next(CREATE, kind.clone()) };
            let (answer, sold) = buy_under(fault).await;
            let (code, body) = answer.unwrap();
            assert_eq!((code, sold), (status, sales), "{kind:?}");
            assert!(seen(&body), "{kind:?}");
        }
    };
    check(FaultKind::Status { status: 500 }, 500, &Value::is_string).await;
    check(FaultKind::Redirect, 307, &Value::is_string).await;
    check(FaultKind::Nil, 200, &Value::is_null).await;
    check(FaultKind::WrongType, 200, &Value::is_f64).await;
    check(FaultKind::Garbage, 200, &Value::is_string).await;
    check(FaultKind::XmlBomb, 200, &Value::is_object).await;
    let deep = FaultKind::NestedArrays { depth: 40_000 };
    check(deep, 200, &|it| it.as_str().is_some_and(|text| text.len() == 80_000)).await;
    let large = FaultKind::Megabytes { n: 3 };
    check(large, 200, &|it| it["x"].as_str().is_some_and(|text| text.len() == 3 << 20)).await;
    let error = FaultKind::Fault { code: 503, text: "busy".to_owned() };
    check(error, 503, &|it| *it == json!({ "status": 503, "message": "busy" })).await;
    let error = FaultKind::Fault { code: 400, text: "Betaling mislukt".to_owned() };
    let expected = json!({ "status": 400, "message": "Betaling mislukt" });
    check(error, 400, &|it| *it == expected).await;
}

#[tokio::test]
async fn every_action_can_fail_and_is_counted() {
    let simulator = start().await;
    let cancel = json!({ "action": "order_cancel", "order_id": 73 });
    let list = json!({ "action": "order_list" });
    for body in [order(&["a"]), status(73), list, cancel, servers(0)] {
        let action = body["action"].as_str().unwrap();
        simulator.inject(Fault::next(action, FaultKind::ResetBeforeCommit));
        assert_eq!(call(simulator.url(), body.clone()).await, Err(Broken::Reset), "{body}");
        assert_eq!(simulator.requests()[action], 1);
    }
    simulator.inject(Fault::next("POST /api", FaultKind::Nil));
    assert_eq!(call(simulator.url(), json!([])).await, Ok((200, Value::Null)));
    assert!(simulator.ledger().is_empty());
}
