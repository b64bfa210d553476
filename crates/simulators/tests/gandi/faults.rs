//! Every fault on command: what the caller sees and what was really sold.

use std::time::Duration;

use purveyor_simulators::gandi::{Gandi, Mode};
use purveyor_simulators::{Fault, FaultKind, Row, Simulator, Table};

use crate::client::{Failure, call, call_raw, int, product, record, send, start, start_at, text};
use crate::waiting::wait_for;

const CREATE: &str = "hosting.product.create";

/// Buys once under a fault and returns what the caller saw and how many sales there were.
async fn buy_under(fault: Fault) -> (Result<dxr::Value, Failure>, usize) {
    let simulator = start(Mode::default()).await;
    simulator.inject(fault);
    let seen = buy(&simulator).await;
    let sales = simulator.ledger().len();
    assert!(buy(&simulator).await.is_ok(), "the fault struck twice");
    (seen, sales)
}

async fn buy(simulator: &Simulator<Gandi>) -> Result<dxr::Value, Failure> {
    call(simulator.url(), CREATE, [product("ips", 1, "1m")]).await
}

#[tokio::test]
async fn connections_end_before_or_after_the_sale() {
    let check = async |kind: FaultKind, seen: Failure, sales: usize| {
        let shown = format!("{kind:?}");
        assert_eq!(buy_under(Fault::next(CREATE, kind)).await, (Err(seen), sales), "{shown}");
    };
    check(FaultKind::DropBeforeCommit, Failure::Closed, 0).await;
    check(FaultKind::ResetBeforeCommit, Failure::Reset, 0).await;
    check(FaultKind::DropAfterCommit, Failure::Closed, 1).await;
    check(FaultKind::ResetAfterCommit, Failure::Reset, 1).await;
    check(FaultKind::TruncateAfterCommit, Failure::Closed, 1).await;
    for bytes in [0, 5, 12, 60] {
        check(FaultKind::CutAfterCommit { bytes }, Failure::Closed, 1).await;
    }
}

#[tokio::test]
async fn answers_are_replaced_before_or_after_the_sale() {
    let check = async |kind: FaultKind, seen: &dyn Fn(&Result<dxr::Value, Failure>) -> bool| {
        for (committed, sales) in [(false, 0), (true, 1)] {
            let fault = Fault { committed, ..Fault::next(CREATE, kind.clone()) };
            let (answer, sold) = buy_under(fault).await;
            assert!(seen(&answer), "{kind:?}");
            assert_eq!(sold, sales, "{kind:?}");
        }
    };
    check(FaultKind::Status { status: 500 }, &|a| *a == Err(Failure::Status(500))).await;
    check(FaultKind::Status { status: 502 }, &|a| *a == Err(Failure::Status(502))).await;
    check(FaultKind::Redirect, &|a| *a == Err(Failure::Status(307))).await;
    check(FaultKind::Nil, &|a| *a == Ok(dxr::Value::Nil)).await;
    check(FaultKind::WrongType, &|a| *a == Ok(dxr::Value::Double(0.5))).await;
    check(FaultKind::Garbage, &|a| matches!(a, Err(Failure::Unreadable(_)))).await;
    check(
        FaultKind::Megabytes { n: 3 },
        &|a| matches!(a, Ok(dxr::Value::String(text)) if text.len() == 3 << 20),
    )
    .await;
    let fault = FaultKind::Fault { code: 150_000, text: "Error".to_owned() };
    check(fault, &|a| *a == Err(Failure::Fault(150_000, "Error".to_owned()))).await;
}

#[tokio::test]
async fn bombs_are_sent_as_they_are() {
    let check = async |kind: FaultKind, beginning: &str, least: usize| {
        let simulator = start(Mode::default()).await;
        simulator.inject(Fault::next("version.info", kind));
        let call = "<methodCall><methodName>version.info</methodName></methodCall>".to_owned();
        let (status, body) = send("POST", simulator.url(), call).await.unwrap();
        let document = std::str::from_utf8(&body).unwrap();
        assert_eq!(status, 200);
        assert!(document.contains(beginning), "{}", &document[..200]);
        assert!(document.len() >= least);
    };
    check(FaultKind::XmlBomb, "<!ENTITY e10 '&e9;&e9;&e9;&e9;&e9;&e9;&e9;&e9;&e9;&e9;'>", 500)
        .await;
    let nested = FaultKind::NestedArrays { depth: 40_000 };
    check(nested, "<param><value><array><data><value><array><data>", 40_000 * 40).await;
}

#[tokio::test]
async fn a_redirect_points_to_the_same_place() {
    let simulator = start(Mode::default()).await;
    simulator.inject(Fault::next("*", FaultKind::Redirect));
    let call = "<methodCall><methodName>system.listMethods</methodName></methodCall>".to_owned();
    let (status, _) = send("POST", simulator.url(), call.clone()).await.unwrap();
    assert_eq!(status, 307);
    assert_eq!(send("POST", simulator.url(), call).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_late_sale_comes_after_the_connection_is_gone() {
    let simulator = start_at("2011-03-24T15:49:50Z", "100", Mode::default()).await;
    simulator.inject(Fault::next(CREATE, FaultKind::LateCommit { ms: 5000 }));
    assert_eq!(buy(&simulator).await, Err(Failure::Closed));
    assert!(simulator.ledger().is_empty());
    simulator.advance(Duration::from_millis(4999));
    call(simulator.url(), "version.info", []).await.unwrap();
    assert!(simulator.ledger().is_empty());
    simulator.advance(Duration::from_millis(1));
    wait_for(|| simulator.ledger().len() == 1).await;
}

#[tokio::test]
async fn a_slow_call_sells_before_or_after_it_waits() {
    for committed in [false, true] {
        let simulator = start_at("2011-03-24T15:49:50Z", "100", Mode::default()).await;
        let fault = Fault::next(CREATE, FaultKind::Slow { ms: 5000 });
        simulator.inject(Fault { committed, ..fault });
        let url = simulator.url().to_owned();
        let buying =
            tokio::spawn(async move { call(&url, CREATE, [product("ips", 1, "1m")]).await });
        wait_for(|| simulator.requests().get(CREATE) == Some(&1)).await;
        wait_for(|| simulator.ledger().len() == usize::from(committed)).await;
        assert!(!buying.is_finished());
        // The call may not have begun to wait yet, so time moves until it is through.
        wait_for(|| {
            simulator.advance(Duration::from_secs(5));
            buying.is_finished()
        })
        .await;
        assert!(buying.await.unwrap().is_ok());
        assert_eq!(simulator.ledger().len(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_the_sale() {
    let simulator = start_at("2011-03-24T15:49:50Z", "100", Mode::default()).await;
    simulator.inject(Fault::next(CREATE, FaultKind::Slow { ms: 5000 }));
    let url = simulator.url().to_owned();
    let buying = tokio::spawn(async move { call(&url, CREATE, [product("ips", 1, "1m")]).await });
    wait_for(|| simulator.requests().get(CREATE) == Some(&1)).await;
    assert_eq!(simulator.connections().open, 1);
    buying.abort();
    assert!(buying.await.unwrap_err().is_cancelled());
    wait_for(|| simulator.connections().open == 0).await;
    assert!(simulator.ledger().is_empty());
    wait_for(|| {
        simulator.advance(Duration::from_secs(5));
        simulator.ledger().len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_fault_waits_for_its_turn() {
    let simulator = start(Mode::default()).await;
    simulator.inject(Fault::next("operation.*", FaultKind::Nil).after(1).times(2));
    let mut seen = Vec::new();
    for method in ["operation.list", "version.info", "operation.count", "operation.list"] {
        let answer = call(simulator.url(), method, []).await;
        seen.push(answer == Ok(dxr::Value::Nil));
    }
    assert_eq!(seen, [false, false, true, true]);
    assert!(call(simulator.url(), "operation.info", [int(1)]).await.is_err());
}

#[tokio::test]
async fn a_table_deals_the_same_faults_for_the_same_seed() {
    let rows = [
        (FaultKind::DropBeforeCommit, false),
        (FaultKind::DropAfterCommit, false),
        (FaultKind::Status { status: 502 }, true),
    ];
    let deal = async |seed: u64| {
        let simulator = start(Mode::default()).await;
        let weights = rows.clone().map(|(kind, committed)| Row {
            method: "hosting.product.*".to_owned(),
            weight: 1,
            committed,
            kind,
        });
        simulator.set_fault_table(Table { seed, well: 3, weights: weights.to_vec() });
        let (mut seen, mut sold) = (Vec::new(), 0);
        for _ in 0..40 {
            let answer = buy(&simulator).await.map(|_| ());
            let sales = simulator.ledger().len();
            let certain = answer.is_ok();
            assert!(!certain || sales == sold + 1, "told of a sale that was none");
            sold = sales;
            seen.push((answer, sales));
        }
        seen
    };
    let first = deal(1).await;
    assert_eq!(first, deal(1).await);
    assert_ne!(first, deal(2).await);
    let failed = first.iter().filter(|(answer, _)| answer.is_err()).count();
    assert!((10..30).contains(&failed), "{failed} of 40 failed");
}

#[tokio::test]
async fn requests_are_counted_whatever_becomes_of_them() {
    let simulator = start(Mode::default()).await;
    simulator.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    assert!(buy(&simulator).await.is_err());
    assert!(buy(&simulator).await.is_ok());
    assert!(call_raw(simulator.url(), "a.b", vec![text("x"), record([])]).await.is_err());
    let expected = [("a.b".to_owned(), 1), (CREATE.to_owned(), 2)];
    assert_eq!(simulator.requests(), expected.into());
}
