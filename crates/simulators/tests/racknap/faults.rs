//! Every fault on command: what the caller sees and what was really written.

use std::time::Duration;

use bytes::Bytes;
use purveyor_simulators::racknap::AccountSeed;
use purveyor_simulators::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::client::{call, raw, service, start, start_at};
use crate::waiting::wait_for;
use crate::wire::Broken;

/// Creates once under a fault and returns what the caller saw and how many records there were.
async fn create_under(fault: Fault) -> (Result<(u16, Bytes), Broken>, usize) {
    let simulator = start().await;
    simulator.inject(fault);
    let seen = raw(&simulator, "create", &service()).await;
    let written = simulator.ledger().len();
    let again = call(&simulator, "create", &service()).await;
    assert_eq!(again.unwrap()["status"], "Success", "the fault struck twice");
    (seen, written)
}

#[tokio::test]
async fn connections_end_before_or_after_the_record() {
    let check = async |kind: FaultKind, seen: Broken, records: usize| {
        let shown = format!("{kind:?}");
        assert_eq!(
            create_under(Fault::next("create", kind)).await,
            (Err(seen), records),
            "{shown}"
        );
    };
    check(FaultKind::DropBeforeCommit, Broken::Closed, 0).await;
    check(FaultKind::ResetBeforeCommit, Broken::Reset, 0).await;
    check(FaultKind::DropAfterCommit, Broken::Closed, 1).await;
    check(FaultKind::ResetAfterCommit, Broken::Reset, 1).await;
    check(FaultKind::TruncateAfterCommit, Broken::Closed, 1).await;
    check(FaultKind::CutAfterCommit { bytes: 60 }, Broken::Closed, 1).await;
}

#[tokio::test]
async fn answers_are_replaced_before_or_after_the_record() {
    let check = async |kind: FaultKind, status: u16, like: &dyn Fn(&[u8]) -> bool| {
        for (committed, records) in [(false, 0), (true, 1)] {
            let fault = Fault { committed, ..Fault::next("create", kind.clone()) };
            let (seen, written) = create_under(fault).await;
            let (answered, body) = seen.unwrap();
            assert_eq!((answered, written), (status, records), "{kind:?}");
            assert!(like(&body), "{kind:?}");
        }
    };
    let json = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
    check(FaultKind::Status { status: 502 }, 502, &|_| true).await;
    check(FaultKind::Redirect, 307, &|_| true).await;
    check(FaultKind::Nil, 200, &|body| json(body) == Some(Value::Null)).await;
    check(FaultKind::WrongType, 200, &|body| json(body) == Some(json!(0.5))).await;
    check(FaultKind::Garbage, 200, &|body| json(body).is_none()).await;
    check(FaultKind::XmlBomb, 200, &|body| json(body).is_some()).await;
    let nested = FaultKind::NestedArrays { depth: 1000 };
    check(nested, 200, &|body| body.len() == 2000).await;
    check(FaultKind::Megabytes { n: 2 }, 200, &|body| body.len() > 2 << 20).await;
    let fault = FaultKind::Fault { code: 77, text: "No.".to_owned() };
    let expected = json!({ "status": "Error", "error_code": 77, "message": "No." });
    check(fault, 200, &|body| json(body).as_ref() == Some(&expected)).await;
    for (word, status) in [(json!("Completed"), 200), (json!(0), 409), (Value::Null, 500)] {
        let expected = json!({ "status": word, "message": word });
        let kind = FaultKind::Word { word, status };
        check(kind, status, &|body| json(body).as_ref() == Some(&expected)).await;
    }
}

#[tokio::test]
async fn every_action_can_be_struck() {
    let simulator = start().await;
    for action in
        ["create", "suspend", "unsuspend", "terminate", "planDetail", "cloud_linux_vps_details"]
    {
        simulator.inject(Fault::next(action, FaultKind::DropBeforeCommit));
        let seen = raw(&simulator, action, &json!({})).await;
        assert_eq!(seen, Err(Broken::Closed), "{action}");
        assert_eq!(simulator.requests()[action], 1);
    }
}

#[tokio::test]
async fn a_late_record_comes_after_the_connection_is_gone() {
    let simulator = start_at("2019-07-23T00:00:00Z", vec![AccountSeed::default()]).await;
    simulator.inject(Fault::next("create", FaultKind::LateCommit { ms: 5000 }));
    assert_eq!(raw(&simulator, "create", &service()).await, Err(Broken::Closed));
    assert!(simulator.ledger().is_empty());
    simulator.advance(Duration::from_secs(5));
    wait_for(|| simulator.ledger().len() == 1).await;
}
