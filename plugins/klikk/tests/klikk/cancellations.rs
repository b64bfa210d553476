//! Cancelling a whole order or one item of it, at the end of the period.

use std::time::Duration;

use purveyor_sdk::Standing;
use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Found};
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
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
        (service.state(), policy.auto_renew(), policy.cancel_at_expiry()),
        (ServiceState::Active, false, true)
    );
    assert!(bench.get_service("1294").await.unwrap().renewal_policy.unwrap().auto_renew());

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
        let order = bench.run(&cancel("73", "")).await.order();
        assert_eq!(cancelled(&order), [true]);
        assert_eq!(order.notices[0].reason, "EFFECT_NOT_READ");
        assert_eq!(bench.asked("order_cancel"), sent);
    }
    // What cannot be read is not sent again unasked.
    let write = cancel("73", "");
    let at = bench.first(&write).await;
    let told = absent(&bench, &write, &at).await;
    assert_eq!(told.incomplete, "the upstream does not tell whether order 73 renews");
}

async fn absent(bench: &Bench, write: &Write, at: &Position) -> Absent {
    match bench.search(write, at, &[], "").await.unwrap() {
        Found::Absent(absent) => absent,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn cancellation_is_done_when_it_is_read() {
    let mode = Mode { effect_lag_ms: 3_600_000, ..Mode::default() };
    for item in ["", "1293"] {
        let bench = Bench::new().await;
        bench.buy(&["a", "b"]).await;
        bench.upstream.set_mode(mode.clone());
        bench.upstream.advance(Duration::from_secs(3600));
        let write = cancel("73", item);
        let at = bench.first(&write).await;
        let Stepped::Pending(pending) = bench.step_at(&write, &at).await.unwrap() else { panic!() };
        let standing = async || match bench.poll_one(&write, &pending.handle).await.unwrap() {
            Polled::Pending(pending) => (pending.standing(), pending.error.unwrap().message),
            other => panic!("{other:?}"),
        };
        let (awaited, message) = standing().await;
        assert_eq!(awaited, Standing::EffectAwaited);
        assert!(message.contains("item 1293 of order 73 still renews"), "{message}");
        // It is not there yet, and the order is the same one.
        assert_eq!(absent(&bench, &write, &at).await, Absent::default());
        bench.upstream.vanish(73, Some(1), false).unwrap();
        assert_eq!(standing().await.0, Standing::Unclear);
        bench.upstream.advance(Duration::from_secs(3600));
        let done = bench.follow(&write, pending.handle.clone()).await.order();
        assert_eq!(cancelled(&done), [true, item.is_empty()]);
    }
}

#[tokio::test]
async fn cancellation_of_another_object_is_not_repeated() {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    let write = cancel("73", "");
    let at = bench.first(&write).await;
    // A person may change its name.
    bench.upstream.person_renames(73, None, "shop").unwrap();
    assert_eq!(absent(&bench, &write, &at).await, Absent::default());
    let mut reused = at.clone();
    reused.evidence.evidence = br#"[1,{"order":73,"created":7,"items":[1293]}]"#.to_vec();
    let told = absent(&bench, &write, &reused).await;
    assert!(told.incomplete.starts_with("order 73 is another order"), "{told:?}");
    let handle = br#"[1,{"item":null,"target":{"order":73,"created":7,"items":[1293]},"looks":0}]"#;
    let polled = bench.poll_one(&write, handle).await.unwrap();
    let Polled::Pending(pending) = polled else { panic!("{polled:?}") };
    assert_eq!(pending.standing(), Standing::Unclear);
    bench.upstream.vanish(73, None, true).unwrap();
    let told = absent(&bench, &write, &at).await;
    assert_eq!(told.incomplete, "there is no order providers/test/orders/73");
}

#[tokio::test]
async fn cancellation_by_a_person_is_found() {
    let bench = Bench::new().await;
    bench.buy(&["a"]).await;
    let write = cancel("73", "");
    let at = bench.first(&write).await;
    bench.upstream.inject(Fault::next("order_cancel", FaultKind::DropBeforeCommit));
    assert!(bench.step_at(&write, &at).await.is_err());
    bench.upstream.person_cancels(73, None).unwrap();
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
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
