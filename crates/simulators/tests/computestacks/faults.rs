//! Every fault on command: what the caller sees and what was really done.

use std::time::Duration;

use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::client::{Answer, PRODUCTS, call, package, start, start_at, try_call};
use crate::waiting::wait_for;
use crate::wire::Broken;

const CREATE: &str = "POST /api/admin/products";

/// Creates once under a fault; what the caller saw, and how many products there were.
async fn create_under(fault: Fault) -> (Result<Answer, Broken>, usize) {
    let simulator = start(Mode::default()).await;
    simulator.inject(fault);
    let seen = try_call(&simulator, "POST", PRODUCTS, &package("s")).await;
    let made = simulator.ledger().len();
    let again = call(&simulator, "POST", PRODUCTS, &package("s")).await;
    assert_eq!(again.status, 201, "the fault struck twice");
    (seen, made)
}

#[tokio::test]
async fn connections_end_before_or_after_the_effect() {
    let check = async |kind: FaultKind, seen: Broken, made: usize| {
        let (answer, done) = create_under(Fault::next(CREATE, kind.clone())).await;
        assert_eq!((answer.unwrap_err(), done), (seen, made), "{kind:?}");
    };
    check(FaultKind::DropBeforeCommit, Broken::Closed, 0).await;
    check(FaultKind::ResetBeforeCommit, Broken::Reset, 0).await;
    check(FaultKind::DropAfterCommit, Broken::Closed, 1).await;
    check(FaultKind::ResetAfterCommit, Broken::Reset, 1).await;
    check(FaultKind::TruncateAfterCommit, Broken::Closed, 1).await;
    check(FaultKind::CutAfterCommit { bytes: 20 }, Broken::Closed, 1).await;
}

#[tokio::test]
async fn answers_are_replaced_before_or_after_the_effect() {
    let check = async |kind: FaultKind, status: u16, beginning: &str| {
        for committed in [false, true] {
            let fault = Fault { committed, ..Fault::next(CREATE, kind.clone()) };
            let (answer, made) = create_under(fault).await;
            let answer = answer.unwrap();
            assert_eq!((answer.status, made), (status, usize::from(committed)), "{kind:?}");
            assert!(answer.body.starts_with(beginning.as_bytes()), "{kind:?}");
        }
    };
    check(FaultKind::Status { status: 502 }, 502, "<h1>").await;
    check(FaultKind::Status { status: 204 }, 204, "").await;
    check(FaultKind::Redirect, 307, "").await;
    check(FaultKind::Nil, 200, "null").await;
    check(FaultKind::WrongType, 200, "0.5").await;
    check(FaultKind::XmlBomb, 200, "{").await;
    check(FaultKind::NestedArrays { depth: 9 }, 200, "[[[[[[[[[]").await;
    check(FaultKind::Megabytes { n: 1 }, 200, "{\"x\"").await;
    check(FaultKind::Garbage, 200, "\0").await;
    let fault = FaultKind::Fault { code: 422, text: "Label is odd".to_owned() };
    check(fault, 422, "{\"errors\":[\"Label is odd\"]}").await;
}

#[tokio::test]
async fn a_late_effect_comes_after_the_connection_is_gone() {
    let simulator = start_at("2024-05-06T07:08:09Z", Mode::default()).await;
    simulator.inject(Fault::next(CREATE, FaultKind::LateCommit { ms: 5000 }));
    let seen = try_call(&simulator, "POST", PRODUCTS, &package("s")).await;
    assert_eq!(seen.unwrap_err(), Broken::Closed);
    assert!(simulator.ledger().is_empty());
    simulator.advance(Duration::from_secs(5));
    wait_for(|| !simulator.ledger().is_empty()).await;
}

#[tokio::test]
async fn calls_are_counted_and_struck_by_what_they_are() {
    let simulator = start(Mode::default()).await;
    let show = "GET /api/admin/products/{id}";
    simulator.inject(Fault::next(show, FaultKind::Nil));
    assert_eq!(
        call(&simulator, "GET", PRODUCTS, &Value::Null).await.json(),
        json!({"products": []})
    );
    let path = format!("{PRODUCTS}/7");
    assert_eq!(call(&simulator, "GET", &path, &Value::Null).await.json(), Value::Null);
    assert_eq!(call(&simulator, "GET", &path, &Value::Null).await.status, 404);
    let requests = simulator.requests();
    assert_eq!((requests[show], requests["GET /api/admin/products"]), (2, 1));
}
