//! What happens at the upstream beside the plugin: a person or the upstream itself renews, pays and changes,
//! and nothing is paid twice for it.

use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Found};
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::testing::{Position, write};
use purveyor_sdk::v1::{ErrorReason, ServiceRef, SuspendServiceRequest};
use purveyor_simulators::ovh::{Happening, Mode};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, PAY, RENEW, day, pay_order, paypal, reason, service_name};
use super::lost::prepared;

fn renew(services: &[i64], duration: &str, pays: bool) -> Happening {
    let (services, duration) = (services.to_vec(), duration.to_owned());
    Happening::Renew { services, duration, pays, ahead_s: 0 }
}

#[track_caller]
fn absent(found: Found) -> Absent {
    match found {
        Found::Absent(absent) => absent,
        other => panic!("it is not there: {other:?}"),
    }
}

/// A renewal whose payment was about to be sent, and got lost on the way or on the way back.
async fn lost(bench: &Bench, kind: FaultKind) -> (Write, Position) {
    let (write, at) = prepared(bench).await;
    bench.upstream.inject(Fault::next(PAY, kind));
    bench.plugin.step_at(&write, &at).await.unwrap_err();
    (write, at)
}

#[tokio::test]
async fn lost_payment_is_found_by_its_effect_while_the_status_lags() {
    for united_states in [false, true] {
        let mode = Mode { status_lag_ms: 3_600_000, united_states, ..Mode::default() };
        let bench = Bench::in_mode(mode).await;
        let (write, at) = lost(&bench, FaultKind::DropAfterCommit).await;
        let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
        let Found::Found(found) = found else { panic!("{found:?}") };
        let Some(Stepped::Pending(pending)) = found.outcome.unwrap().outcome else { panic!() };
        bench.plugin.follow(&write, pending.handle).await.renewal();
        // Begun again nevertheless, it pays nothing.
        let at = bench.plugin.prepared(&write, at).await.unwrap();
        match bench.plugin.step_at(&write, &at).await {
            Ok(Stepped::Pending(_)) => assert!(!united_states, "its payment shows"),
            other => assert_eq!(reason(other), ErrorReason::ExpireTimeChanged),
        }
        assert_eq!((bench.asked(PAY), bench.made_and_paid()), (1, (1, 1)));
    }
}

#[tokio::test]
async fn lost_payment_of_an_order_is_found_by_its_effect_too() {
    let mode = Mode { status_lag_ms: 3_600_000, united_states: true, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let id = bench.unpaid().await;
    let write = pay_order(&id, paypal());
    let guards = vec![ServiceRef {
        service: service_name("12345"),
        expected_expire_time: Some(day("2099-03-31")),
        ..ServiceRef::default()
    }];
    let at = Position { step: 1, guards, ..Position::default() };
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    bench.upstream.inject(Fault::next(PAY, FaultKind::DropAfterCommit));
    bench.plugin.step_at(&write, &at).await.unwrap_err();
    // The region does not tell the order's term, so that its effect is no more than a trace.
    let traces = absent(bench.plugin.search(&write, &at, &[], "").await.unwrap());
    assert_eq!(traces.unexplained[0].id(), "12345");
    bench.set(|mode| mode.united_states = false);
    let at = bench.plugin.prepared(&write, Position { evidence: Default::default(), ..at }).await;
    let at = at.unwrap();
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
    let again = bench.plugin.step_at(&write, &at).await;
    assert_eq!((reason(again), bench.asked(PAY)), (ErrorReason::StateConflict, 1));
}

#[tokio::test]
async fn persons_renewal_is_not_found_as_ours() {
    let check = async |happening: Happening, times: usize, unexplained: usize| {
        let bench = Bench::new().await;
        bench.upstream.happens(renew(&[12345], "P3M", true)).unwrap();
        let (write, at) = lost(&bench, FaultKind::DropBeforeCommit).await;
        for _ in 0..times {
            bench.upstream.happens(happening.clone()).unwrap();
        }
        let traces = absent(bench.plugin.search(&write, &at, &[], "").await.unwrap());
        let told = (traces.effects, traces.unexplained.len());
        assert_eq!(told, (0, unexplained), "{happening:?}");
        let again = bench.plugin.step_at(&write, &at).await;
        assert_eq!((reason(again), bench.asked(PAY)), (ErrorReason::ExpireTimeChanged, 1));
    };
    // An order of the person's own explains what has moved, whatever its term.
    for duration in ["P3M", "P1Y", "P1M"] {
        check(renew(&[12345], duration, true), 1, 0).await;
        check(renew(&[12345], duration, true), 2, 0).await;
    }
    // What the upstream renews by itself has no order.
    check(Happening::AutoRenew { service: 12345 }, 1, 1).await;
}

#[tokio::test]
async fn lost_payment_is_found_beside_a_persons_renewals() {
    let mode = Mode { status_lag_ms: 3_600_000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    bench.upstream.happens(renew(&[12345], "P3M", true)).unwrap();
    bench.upstream.advance(std::time::Duration::from_secs(3600));
    let (write, at) = lost(&bench, FaultKind::DropAfterCommit).await;
    bench.upstream.happens(renew(&[12345], "P1M", true)).unwrap();
    let unseen = FaultKind::Status { status: 404 };
    bench.upstream.inject(Fault::next("GET /me/order/{orderId}/payment", unseen));
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn payment_by_a_person_is_found() {
    let bench = Bench::new().await;
    let (write, at) = lost(&bench, FaultKind::DropBeforeCommit).await;
    let traces = absent(bench.plugin.search(&write, &at, &[], "").await.unwrap());
    assert_eq!(traces, Absent::default());
    bench.upstream.happens(Happening::Pay { order: 123_456_789 }).unwrap();
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn only_an_order_that_is_being_paid_or_delivered_blocks_a_renewal() {
    let check = async |mode: Mode, happening: Happening, blocks: bool| {
        let bench = Bench::in_mode(mode).await;
        let order = bench.upstream.happens(happening.clone()).unwrap();
        let request = bench.paid_request(&["12345"], 3).await;
        let ended = bench.run(Op::CreateRenewal, &request, "").await;
        if !blocks {
            assert_eq!(bench.asked(PAY), 1, "{happening:?}: {ended:?}");
            return;
        }
        let error = ended.error();
        assert_eq!(error.reason, ErrorReason::StateConflict, "{happening:?}");
        assert!(error.message.contains(&order.to_string()), "{}", error.message);
        assert_eq!(bench.asked(RENEW), 0);
        let quote = bench.plugin.quote(&write(Op::CreateRenewal, &request, "")).await;
        assert_eq!(quote.unwrap_err().reason, ErrorReason::StateConflict);
    };
    let slow = || Mode { delivering_ms: 60_000, ..Mode::default() };
    let ours = || renew(&[12345, 12346], "P3M", true);
    check(slow(), ours(), true).await;
    check(Mode { checking_ms: 60_000, ..Mode::default() }, ours(), true).await;
    check(Mode { documents: true, ..Mode::default() }, ours(), true).await;
    check(Mode { star_domains: true, ..slow() }, ours(), true).await;
    check(Mode { united_states: true, ..slow() }, ours(), true).await;
    check(Mode { details_lag_ms: 60_000, ..slow() }, ours(), true).await;
    // Its payment shows before its status.
    let lagging = Mode { status_lag_ms: 60_000, ..slow() };
    check(lagging, ours(), true).await;
    let ahead = Happening::Renew {
        services: vec![12345],
        duration: "P3M".to_owned(),
        pays: true,
        ahead_s: 86_400,
    };
    check(slow(), ahead, true).await;
    check(slow(), renew(&[12345], "P3M", false), false).await;
    check(Mode::default(), ours(), false).await;
    check(slow(), renew(&[54321], "P1Y", true), false).await;
}

#[tokio::test]
async fn order_that_begins_to_be_delivered_between_the_steps_stops_the_payment() {
    let bench = Bench::in_mode(Mode { delivering_ms: 60_000, ..Mode::default() }).await;
    let (write, at) = prepared(&bench).await;
    bench.upstream.happens(renew(&[12345], "P3M", true)).unwrap();
    let stopped = bench.plugin.step_at(&write, &at).await;
    assert_eq!((reason(stopped), bench.asked(PAY)), (ErrorReason::StateConflict, 0));
}

#[tokio::test]
async fn finished_orders_are_read_once() {
    let bench = Bench::new().await;
    bench.upstream.happens(renew(&[12345], "P3M", true)).unwrap();
    let request = bench.request(&["12345"], 3).await;
    bench.run(Op::CreateRenewal, &request, "").await.renewal();
    let read = || {
        ["GET /me/order/{orderId}/details", "GET /me/order/{orderId}/status"]
            .map(|it| bench.asked(it))
    };
    let before = read();
    bench.run(Op::CreateRenewal, &request, "").await.renewal();
    // Our own first order is unpaid and known by its services; the person's is known for good.
    assert_eq!(read(), [before[0], before[1] + 1]);
}

#[tokio::test]
async fn unpaid_orders_of_one_service_are_not_both_paid() {
    let bench = Bench::new().await;
    let (first, second) = (bench.unpaid().await, bench.unpaid().await);
    let guards = vec![ServiceRef {
        service: service_name("12345"),
        expected_expire_time: Some(day("2099-03-31")),
        ..ServiceRef::default()
    }];
    bench.plugin.run(&pay_order(&first, paypal())).await.order();
    let at = Position { step: 1, guards, ..Position::default() };
    let late = pay_order(&second, paypal());
    let at = bench.plugin.prepared(&late, at).await.unwrap();
    let refused = bench.plugin.step_at(&late, &at).await;
    assert_eq!((reason(refused), bench.asked(PAY)), (ErrorReason::ExpireTimeChanged, 1));
    // While the first is being delivered, nobody has to know what the second was made for.
    let bench = Bench::in_mode(Mode { delivering_ms: 60_000, ..Mode::default() }).await;
    let (first, second) = (bench.unpaid().await, bench.unpaid().await);
    let at = Position { step: 1, ..Position::default() };
    bench.plugin.step_at(&pay_order(&first, paypal()), &at).await.unwrap();
    let refused = bench.plugin.step_at(&pay_order(&second, paypal()), &at).await;
    assert_eq!((reason(refused), bench.asked(PAY)), (ErrorReason::StateConflict, 1));
}

#[tokio::test]
async fn order_whose_service_the_upstream_renewed_by_itself_is_not_paid() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let at = Position { step: 1, ..Position::default() };
    let write = pay_order(&id, paypal());
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    bench.upstream.happens(Happening::AutoRenew { service: 12345 }).unwrap();
    let refused = bench.plugin.step_at(&write, &at).await;
    assert_eq!((reason(refused), bench.asked(PAY)), (ErrorReason::ExpireTimeChanged, 0));
}

#[tokio::test]
async fn order_that_shows_a_payment_is_not_paid_again() {
    let bench = Bench::in_mode(Mode { status_lag_ms: 60_000, ..Mode::default() }).await;
    let id = bench.unpaid().await;
    bench.upstream.happens(Happening::Pay { order: id.parse().unwrap() }).unwrap();
    let error = bench.plugin.run(&pay_order(&id, paypal())).await.error();
    assert_eq!((error.reason, bench.asked(PAY)), (ErrorReason::StateConflict, 0));
}

#[tokio::test]
async fn nothing_is_spent_while_two_places_tell_two_ends() {
    let bench = Bench::new().await;
    let request = bench.paid_request(&["12345"], 3).await;
    bench.set(|mode| mode.infos_end = "2099-06-30".to_owned());
    let error = bench.run(Op::CreateRenewal, &request, "").await.error();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
    bench.set(|mode| mode.infos_end = String::new());
    let id = bench.unpaid().await;
    bench.set(|mode| mode.infos_end = "2099-06-30".to_owned());
    let error = bench.plugin.run(&pay_order(&id, paypal())).await.error();
    assert_eq!((error.reason, bench.asked(PAY)), (ErrorReason::UpstreamUnavailable, 0));
}

#[tokio::test]
async fn lost_setting_is_not_absent_where_the_number_is_another_services() {
    let bench = Bench::new().await;
    let request = SuspendServiceRequest { name: service_name("12345"), ..Default::default() };
    let write = write(Op::SuspendService, &request, "12345");
    let at = Position { step: 1, ..Position::default() };
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    let call = "POST /service/{serviceId}/suspend";
    bench.upstream.inject(Fault::next(call, FaultKind::DropBeforeCommit));
    bench.plugin.step_at(&write, &at).await.unwrap_err();
    let rename = Happening::Rename { service: 12345, name: "mine".to_owned() };
    bench.upstream.happens(rename).unwrap();
    let traces = absent(bench.plugin.search(&write, &at, &[], "").await.unwrap());
    assert_eq!(traces, Absent::default());
    let gone = FaultKind::Fault { code: 404, text: "This service does not exist".to_owned() };
    bench.upstream.inject(Fault::next("GET /service/{serviceId}", gone));
    let traces = absent(bench.plugin.search(&write, &at, &[], "").await.unwrap());
    assert!(traces.incomplete.contains("does not know"), "{traces:?}");
    bench.upstream.happens(Happening::Replace { service: 12345 }).unwrap();
    let traces = absent(bench.plugin.search(&write, &at, &[], "").await.unwrap());
    assert!(traces.incomplete.contains("another service"), "{traces:?}");
}
