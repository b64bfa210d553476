//! Answers that are lost: nobody can know what became of a record, and nothing pretends to. A person may
//! say so; a setting is sent again.

use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{FindResponse, Write, resource};
use purveyor_sdk::testing::{Position, TestHost};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{ErrorReason, Evidence, Order};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, create, order, reason, resume, suspend, terminate};

fn first() -> Position {
    Position { step: 1, ..Position::default() }
}

async fn lose(bench: &Bench, write: &Write, kind: FaultKind) {
    bench.upstream.inject(Fault::next("*", kind));
    assert!(bench.once(write).await.is_err());
}

#[tokio::test]
async fn nothing_is_promised_that_cannot_be_kept() {
    let manifest = TestHost::<purveyor_racknap::RackNap>::manifest().unwrap();
    let writes: Vec<_> =
        manifest.methods.iter().filter(|it| it.evidence() != Evidence::Unspecified).collect();
    assert_eq!(writes.len(), 4);
    for method in writes {
        assert_eq!(method.evidence(), Evidence::None);
        assert!(!method.absence_is_proof, "{:?}", method.op());
    }
}

#[tokio::test]
async fn a_lost_record_is_neither_found_nor_absent() {
    for (kind, records) in [
        (FaultKind::DropBeforeCommit, 0),
        (FaultKind::ResetBeforeCommit, 0),
        (FaultKind::DropAfterCommit, 1),
        (FaultKind::ResetAfterCommit, 1),
        (FaultKind::TruncateAfterCommit, 1),
        (FaultKind::CutAfterCommit { bytes: 30 }, 1),
    ] {
        let bench = Bench::new().await;
        let write = create(order());
        lose(&bench, &write, kind.clone()).await;
        assert_eq!(bench.upstream.ledger().len(), records, "{kind:?}");
        let sought = bench.search(&write, &first(), &[], "").await;
        assert_eq!(reason(sought), ErrorReason::CapabilityUnsupported, "{kind:?}");
        assert_eq!(bench.asked("create"), 1, "a search sends nothing");
    }
}

#[tokio::test]
async fn an_operator_names_the_service() {
    let bench = Bench::new().await;
    let asked = Order { partner: "7".to_owned(), ..order() };
    let write = create(asked);
    lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let found = bench.search(&write, &first(), &[], "1334").await.unwrap();
    let Found::Found(found) = found else { panic!("{found:?}") };
    assert_eq!(found.upstream_id, "1334");
    let Some(Stepped::Done(done)) = found.outcome.unwrap().outcome else { panic!() };
    let Some(resource::Kind::Order(order)) = done.resource.unwrap().kind else { panic!() };
    assert_eq!((order.state(), order.upstream.unwrap().id()), (State::Completed, "1334"));
    assert_eq!((order.customer.as_str(), order.partner.as_str()), ("652", "7"));
    let item = &order.items[0];
    assert_eq!(item.services, ["providers/test/services/1334"]);
    assert!(item.next_due_date.is_some() && item.pricing.is_some() && item.term.is_some());
    for wrong in ["x", "0", "-1", "01334", "1334,1335"] {
        let found = bench.search(&write, &first(), &[], wrong).await.unwrap();
        assert!(matches!(found, Found::Absent(_)), "{wrong}");
    }
}

#[tokio::test]
async fn a_lost_change_is_sent_again_or_told_by_an_operator() {
    for (make, state) in [
        (suspend as fn(&str) -> Write, ServiceState::Suspended),
        (resume, ServiceState::Active),
        (terminate, ServiceState::Terminated),
    ] {
        let bench = Bench::new().await;
        let id = bench.upstream.make_service("racknap", 172).unwrap().to_string();
        let write = make(&id);
        lose(&bench, &write, FaultKind::DropAfterCommit).await;
        // Absent, so that the gateway sends it again when it has settled.
        for named in ["", "1", "x"] {
            let found = bench.search(&write, &first(), &[], named).await.unwrap();
            assert!(matches!(found, Found::Absent(_)), "{named} {found:?}");
        }
        let again = bench.run(&write).await.service();
        assert_eq!(again.state(), state);
        let found = bench.search(&write, &first(), &[], &id).await.unwrap();
        let Found::Found(found) = found else { panic!("{found:?}") };
        let outcome = FindResponse { outcome: Some(Found::Found(found)) };
        assert!(format!("{outcome:?}").contains(&format!("services/{id}")));
    }
}
