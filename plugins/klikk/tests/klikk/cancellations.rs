//! Cancelling a whole order or one item of it, at the end of the period.

use std::time::Duration;

use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{CancelPolicy, ErrorReason, Order, OrderItem};
use purveyor_simulators::klikk::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, cancel, cancel_by, reason};

fn cancelled(order: &Order) -> Vec<bool> {
    let policies = order.items.iter().map(OrderItem::cancellation);
    policies.map(|policy| policy == CancelPolicy::AtTermEnd).collect()
}

#[tokio::test]
async fn one_item_is_cancelled_and_lives_on_to_its_end() {
    let bench = Bench::new().await;
    bench.buy(&["a", "b"]).await;
    let done = bench.run(&cancel("73", "1293")).await.order();
    assert_eq!((done.state(), cancelled(&done)), (State::Completed, vec![true, false]));
    let read = bench.get_order("73").await.unwrap();
    assert_eq!(cancelled(&read), [true, false]);
    let service = bench.get_service("1293").await.unwrap();
    let policy = service.renewal_policy.clone().unwrap();
    assert_eq!(
        (service.state(), policy.auto_renew, policy.cancel_at_expiry),
        (ServiceState::Active, false, true)
    );
    assert!(bench.get_service("1294").await.unwrap().renewal_policy.unwrap().auto_renew);

    bench.upstream.advance(Duration::from_secs(32 * 24 * 3600));
    assert_eq!(reason(bench.get_service("1293").await), ErrorReason::ServiceNotFound);
    let read = bench.get_order("73").await.unwrap();
    assert_eq!(
        (read.items[0].state(), read.items[1].state()),
        (State::Cancelled, State::Completed)
    );
    assert_eq!(cancelled(&read), [true, false]);
    bench.set(|mode| mode.keep_ended = true);
    assert_eq!(bench.get_service("1293").await.unwrap().state(), ServiceState::Terminated);
}

#[tokio::test]
async fn a_whole_order_is_cancelled_once() {
    let bench = Bench::new().await;
    bench.buy(&["a", "b"]).await;
    assert_eq!(cancelled(&bench.run(&cancel("73", "")).await.order()), [true, true]);
    assert_eq!(cancelled(&bench.run(&cancel("73", "")).await.order()), [true, true]);
    assert_eq!(cancelled(&bench.run(&cancel("73", "1294")).await.order()), [true, true]);
    assert_eq!(bench.asked("order_cancel"), 1, "what is cancelled needs no call");
    bench.upstream.advance(Duration::from_secs(32 * 24 * 3600));
    assert_eq!(bench.get_order("73").await.unwrap().state(), State::Cancelled);
    assert!(bench.list_services("").await.is_empty());
}

#[tokio::test]
async fn an_upstream_that_does_not_tell_is_told_again() {
    let bench = Bench::in_mode(Mode { tell_renewal: false, ..Mode::default() }).await;
    bench.buy(&["a"]).await;
    for sent in 1..3 {
        assert_eq!(cancelled(&bench.run(&cancel("73", "")).await.order()), [true]);
        assert_eq!(bench.asked("order_cancel"), sent);
    }
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_refused() {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    let at_once = cancel_by(CancelPolicy::Immediately, "73", "");
    let error = bench.run(&at_once).await.error();
    assert_eq!(error.violations[0].field, "policy");
    assert_eq!(reason(bench.quote(&at_once).await), ErrorReason::FieldViolation);
    let check = async |order: &str, item: &str, told: Option<&str>| {
        let error = bench.run(&cancel(order, item)).await.error();
        assert_eq!(error.reason, ErrorReason::OrderNotFound, "{order} {item}");
        assert_eq!(error.metadata.get("item_id").map(String::as_str), told);
    };
    check("99", "", None).await;
    check("x", "", None).await;
    check("73", "1294", Some("1294")).await;
    check("73", "x", Some("x")).await;
    assert_eq!(bench.asked("order_cancel"), 0);
}

#[tokio::test]
async fn answers_to_a_cancellation() {
    let check = async |kind: FaultKind, item: &str, expected: &str| {
        let bench = Bench::new().await;
        bench.buy(&["a"]).await;
        bench.upstream.inject(Fault::next("order_cancel", kind.clone()));
        let at = Position { step: 1, ..Position::default() };
        let told = match bench.step_at(&cancel("73", item), &at).await.unwrap() {
            Stepped::Unknown(_) => "unknown".to_owned(),
            Stepped::Rejected(rejected) => {
                let error = rejected.error.unwrap();
                let item = error.metadata.get("item_id").cloned().unwrap_or_default();
                format!("{} {} {item}", rejected.proof, error.reason().as_str_name())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected, "{kind:?}");
    };
    let fault = |code: i32| FaultKind::Fault { code, text: "told".to_owned() };
    check(FaultKind::Status { status: 404 }, "1293", "not_found ERROR_REASON_ORDER_NOT_FOUND 1293")
        .await;
    check(fault(404), "", "not_found ERROR_REASON_ORDER_NOT_FOUND ").await;
    check(fault(401), "", "unauthenticated ERROR_REASON_UPSTREAM_CREDENTIALS ").await;
    // Only the empty 200 is the document's success, and 404 its refusal.
    let other = [200, 400, 403, 409, 422, 500].map(fault);
    for kind in [FaultKind::Nil, FaultKind::Garbage, FaultKind::Redirect].into_iter().chain(other) {
        check(kind, "", "unknown").await;
    }
}

#[tokio::test]
async fn a_quote_asks_whether_it_is_there() {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    let quote = bench.quote(&cancel("73", "1293")).await.unwrap();
    assert_eq!((quote.steps[0].call.as_str(), quote.upstream_asked), ("order_cancel", true));
    assert_eq!(reason(bench.quote(&cancel("73", "1")).await), ErrorReason::OrderNotFound);
}
