//! Cancelling orders: whole, one item, too late, and answers that are lost.

use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::testing::{Position, write};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{CancelOrderRequest, CancelPolicy, ErrorReason};
use purveyor_simulators::gandi::Mode;
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::driver::{Bench, item, order, reason, states};

/// Cancels an item of the order that is these operations, or all of it.
fn cancel(ids: &[&str], item_id: &str) -> Write {
    let request = CancelOrderRequest {
        name: format!("providers/test/orders/{}", ids[0]),
        item_id: item_id.to_owned(),
        ..CancelOrderRequest::default()
    };
    let upstream_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Write { upstream_ids, ..write(Op::CancelOrder, &request, "") }
}

/// An upstream where two items were ordered and nothing moves.
async fn waiting() -> Bench {
    let bench = Bench::in_mode(Mode { bill_ms: 600_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1), item("disk", 1, 1)]);
    let mut at = Position { step: 1, ..Position::default() };
    for _ in 0..2 {
        at = bench.prepared(&write, at).await.unwrap();
        if let Stepped::Next(next) = bench.step_at(&write, &at).await.unwrap() {
            at = Position { step: 2, handle: next.handle, ..Position::default() };
        }
    }
    bench
}

fn refunds(bench: &Bench) -> usize {
    bench.upstream.ledger().iter().filter(|entry| entry.sale.kind == Kind::Refund).count()
}

#[tokio::test]
async fn a_whole_order_is_cancelled_operation_by_operation() {
    let bench = waiting().await;
    let write = cancel(&["637366", "637367"], "");
    assert_eq!(bench.quote(&write).await.unwrap().steps.len(), 2);
    let order = bench.run(&write).await.order();
    assert_eq!(order.state(), State::Cancelled);
    assert_eq!((refunds(&bench), bench.asked("operation.cancel")), (2, 2));
    let again = bench.run(&write).await.error();
    assert_eq!(again.reason, ErrorReason::StateConflict);
}

#[tokio::test]
async fn one_item_is_cancelled() {
    let bench = waiting().await;
    let order = bench.run(&cancel(&["637366", "637367"], "637367")).await.order();
    assert_eq!(states(&order), [State::Provisioning, State::Cancelled]);
    assert_eq!(refunds(&bench), 1);
    let error = bench.run(&cancel(&["637366", "637367"], "637399")).await.error();
    assert_eq!(
        (error.reason, error.metadata["item_id"].as_str()),
        (ErrorReason::OrderNotFound, "637399")
    );
}

#[tokio::test]
async fn what_has_begun_cannot_be_cancelled() {
    let bench = waiting().await;
    bench.upstream.set_step(637_366, "RUN", None).unwrap();
    let error = bench.run(&cancel(&["637366"], "")).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    assert_eq!(error.metadata["upstream_code"], "510290");
    bench.upstream.set_step(637_366, "DONE", None).unwrap();
    let error = bench.run(&cancel(&["637366"], "")).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    assert_eq!(bench.asked("operation.cancel"), 1, "what has ended is not sent");
}

#[tokio::test]
async fn what_can_be_cancelled_is_although_the_rest_cannot() {
    let bench = waiting().await;
    bench.upstream.set_step(637_366, "RUN", None).unwrap();
    let order = bench.run(&cancel(&["637366", "637367"], "")).await.order();
    assert_eq!(states(&order), [State::Provisioning, State::Cancelled]);
}

#[tokio::test]
async fn only_at_once() {
    let bench = waiting().await;
    let mut request = CancelOrderRequest {
        name: "providers/test/orders/637366".to_owned(),
        ..Default::default()
    };
    request.set_policy(CancelPolicy::AtTermEnd);
    let write = write(Op::CancelOrder, &request, "637366");
    assert_eq!(reason(bench.quote(&write).await), ErrorReason::FieldViolation);
    assert_eq!(bench.run(&write).await.error().reason, ErrorReason::FieldViolation);
}

#[tokio::test]
async fn a_lost_answer_is_told_by_the_operations_step() {
    for (kind, cancelled) in
        [(FaultKind::DropAfterCommit, true), (FaultKind::DropBeforeCommit, false)]
    {
        let bench = waiting().await;
        let write = cancel(&["637366", "637367"], "637366");
        let at = Position { step: 1, ..Position::default() };
        let at = bench.prepared(&write, at).await.unwrap();
        bench.upstream.inject(Fault::next("operation.cancel", kind));
        assert!(bench.step_at(&write, &at).await.is_err());
        let found = bench.search(&write, &at, &[], "").await.unwrap();
        assert_eq!(matches!(found, Found::Found(_)), cancelled, "{found:?}");
        assert_eq!(matches!(found, Found::Absent(_)), !cancelled, "{found:?}");
    }
}
