//! What ends a renewal or a payment that was accepted: its effect, or a word that lasts.

use std::time::Duration;

use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::{Outcome as Stepped, Pending};
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::testing::{Ended, Position, write};
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{ErrorReason, SuspendServiceRequest, TerminateServiceRequest};
use purveyor_sdk::{Resource, Standing};
use purveyor_simulators::ovh::{Happening, Mode};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, PAY, day, pay_order, paypal, service_name};

const ORDER: i64 = 123_456_789;

/// A renewal for these services whose payment was accepted; its last handle.
async fn paid(bench: &Bench, services: &[&str], months: u32) -> (Write, Vec<u8>) {
    let request = bench.paid_request(services, months).await;
    let write = write(Op::CreateRenewal, &request, "");
    let at = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    let Ok(Stepped::Pending(pending)) = bench.plugin.step_at(&write, &at.after(next.handle)).await
    else {
        panic!()
    };
    (write, pending.handle)
}

/// A person renews the VPS.
fn renew(duration: &str) -> Happening {
    let (services, duration) = (vec![12345], duration.to_owned());
    Happening::Renew { services, duration, pays: true, ahead_s: 0 }
}

#[track_caller]
fn pending(polled: Polled) -> Pending {
    match polled {
        Polled::Pending(pending) => pending,
        other => panic!("it goes on: {other:?}"),
    }
}

async fn standing(bench: &Bench, write: &Write, handle: &[u8]) -> (Standing, String) {
    let pending = pending(bench.plugin.poll_one(write, handle).await.unwrap());
    (pending.standing(), pending.error.map(|error| error.message).unwrap_or_default())
}

async fn completed(bench: &Bench, write: &Write, handle: &[u8]) {
    let polled = bench.plugin.poll_one(write, handle).await.unwrap();
    let Polled::Done(done) = polled else { panic!("{polled:?}") };
    let Some(Resource::Renewal(renewal)) = done.resource.unwrap().kind else { panic!() };
    assert_eq!((renewal.state(), renewal.required_action), (State::Completed, None));
    assert!(renewal.services.iter().all(|service| service.new_expire_time.is_some()));
}

#[tokio::test]
async fn renewal_with_one_cancelled_line_is_never_done() {
    let bench = Bench::in_mode(Mode { delivering_ms: 1000, ..Mode::default() }).await;
    let (write, handle) = paid(&bench, &["54321", "67890"], 12).await;
    let line = Happening::CancelLine { order: ORDER, service: 67890 };
    bench.upstream.happens(line).unwrap();
    bench.upstream.advance(Duration::from_secs(1));
    assert!(matches!(bench.plugin.follow(&write, handle.clone()).await, Ended::Endless));
    let (standing, message) = standing(&bench, &write, &handle).await;
    assert_eq!(standing, Standing::EffectAwaited);
    let expected =
        "order 123456789 is delivered, and service 67890 still ends 2099-03-31T00:00:00Z";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn delivered_order_waits_for_the_ends_to_move() {
    let bench = Bench::in_mode(Mode { effect_lag_ms: 6000, ..Mode::default() }).await;
    let (write, handle) = paid(&bench, &["12345"], 3).await;
    assert_eq!(standing(&bench, &write, &handle).await.0, Standing::EffectAwaited);
    bench.upstream.advance(Duration::from_secs(6));
    completed(&bench, &write, &handle).await;
    let id = bench.unpaid().await;
    let payment = pay_order(&id, paypal());
    let at = Position { step: 1, ..Position::default() };
    let at = bench.plugin.prepared(&payment, at).await.unwrap();
    let Ok(Stepped::Pending(taken)) = bench.plugin.step_at(&payment, &at).await else { panic!() };
    assert_eq!(standing(&bench, &payment, &taken.handle).await.0, Standing::EffectAwaited);
    bench.upstream.advance(Duration::from_secs(6));
    let order = bench.plugin.follow(&payment, taken.handle).await.order();
    assert_eq!(order.state(), OrderState::Completed);
}

#[tokio::test]
async fn ends_that_move_before_the_status_are_the_effect() {
    for united_states in [false, true] {
        let mode = Mode { status_lag_ms: 60_000, united_states, ..Mode::default() };
        let bench = Bench::in_mode(mode).await;
        let (write, handle) = paid(&bench, &["12345"], 3).await;
        completed(&bench, &write, &handle).await;
    }
}

#[tokio::test]
async fn one_404_is_no_failure() {
    let bench = Bench::in_mode(Mode { checking_ms: 60_000, ..Mode::default() }).await;
    let (write, handle) = paid(&bench, &["12345"], 3).await;
    for call in ["GET /me/order/{orderId}", "GET /me/order/{orderId}/status"] {
        let gone = FaultKind::Fault { code: 404, text: "This order does not exist".to_owned() };
        bench.upstream.inject(Fault::next(call, gone));
        assert_eq!(standing(&bench, &write, &handle).await.0, Standing::Unclear, "{call}");
        assert_eq!(standing(&bench, &write, &handle).await.0, Standing::Unspecified, "{call}");
    }
    bench.upstream.advance(Duration::from_secs(60));
    let gone = FaultKind::Fault { code: 404, text: "This order does not exist".to_owned() };
    bench.upstream.inject(Fault::next("GET /me/order/{orderId}", gone));
    completed(&bench, &write, &handle).await;
}

#[tokio::test]
async fn payment_right_before_the_lapse_is_delivered_later() {
    let mode = Mode { status_lag_ms: 7_200_000, delivering_ms: 3_600_000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let request = bench.paid_request(&["12345"], 3).await;
    let write = write(Op::CreateRenewal, &request, "");
    let at = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    bench.upstream.advance(Duration::from_secs(24 * 3600 - 1));
    let Ok(Stepped::Pending(taken)) = bench.plugin.step_at(&write, &at.after(next.handle)).await
    else {
        panic!()
    };
    bench.upstream.advance(Duration::from_secs(1));
    assert_eq!(standing(&bench, &write, &taken.handle).await.0, Standing::Unclear);
    bench.upstream.advance(Duration::from_secs(3600));
    completed(&bench, &write, &taken.handle).await;
}

#[tokio::test]
async fn card_that_is_refused_after_the_200_is_not_done() {
    let check = async |united_states: bool, other: Option<Happening>, expected: Standing| {
        let bench = Bench::in_mode(Mode { united_states, ..Mode::default() }).await;
        bench.change_account(|account| account.means[0].refuses_later = true);
        let (write, handle) = paid(&bench, &["12345"], 3).await;
        if let Some(other) = other.clone() {
            bench.upstream.happens(other).unwrap();
        }
        assert_eq!(standing(&bench, &write, &handle).await.0, expected, "{other:?}");
        let payment = pay_order("123456789", paypal());
        let at = Position { step: 1, ..Position::default() };
        let Ok(Stepped::Pending(taken)) = bench.plugin.step_at(&payment, &at).await else {
            panic!()
        };
        let polled = pending(bench.plugin.poll_one(&payment, &taken.handle).await.unwrap());
        let without_ends = if united_states { Standing::Unclear } else { Standing::NotDone };
        assert_eq!(polled.standing(), without_ends);
        assert_eq!(bench.asked(PAY), 2);
    };
    check(false, None, Standing::NotDone).await;
    // Nothing shows whether there is a payment.
    check(true, None, Standing::Unclear).await;
    // A person's quarter is not ours, nor is a year; whose month it is, nothing tells.
    check(false, Some(renew("P3M")), Standing::NotDone).await;
    check(false, Some(renew("P1Y")), Standing::NotDone).await;
    check(false, Some(Happening::AutoRenew { service: 12345 }), Standing::Unclear).await;
}

#[tokio::test]
async fn unknown_word_is_unclear_until_the_ends_move() {
    let bench = Bench::in_mode(Mode { delivering_ms: 1000, ..Mode::default() }).await;
    let (write, handle) = paid(&bench, &["12345"], 3).await;
    for word in ["shipped", "unknown", ""] {
        bench.set(|mode| mode.status_word = word.to_owned());
        let expected = if word.is_empty() { Standing::Unspecified } else { Standing::Unclear };
        assert_eq!(standing(&bench, &write, &handle).await.0, expected, "{word}");
    }
    bench.set(|mode| mode.status_word = "shipped".to_owned());
    bench.upstream.advance(Duration::from_secs(1));
    completed(&bench, &write, &handle).await;
}

#[tokio::test]
async fn cancelled_order_fails_only_while_no_end_has_moved() {
    let by_itself = Happening::AutoRenew { service: 12345 };
    // What other orders have moved is not our order's effect.
    for other in [None, Some(renew("P3M")), Some(renew("P1Y")), Some(by_itself.clone())] {
        let bench = Bench::in_mode(Mode { delivering_ms: 1000, ..Mode::default() }).await;
        let (write, handle) = paid(&bench, &["12345"], 3).await;
        bench.upstream.happens(Happening::Cancel { order: ORDER }).unwrap();
        if let Some(other) = other.clone() {
            bench.upstream.happens(other).unwrap();
        }
        bench.upstream.advance(Duration::from_secs(1));
        if other.as_ref() == Some(&by_itself) {
            assert_eq!(standing(&bench, &write, &handle).await.0, Standing::Unclear);
            continue;
        }
        let error = bench.plugin.follow(&write, handle).await.error();
        assert_eq!(error.reason, ErrorReason::UpstreamFailed, "{other:?}");
    }
}

#[tokio::test]
async fn persons_renewal_does_not_stand_for_a_cancelled_line() {
    let bench = Bench::in_mode(Mode { delivering_ms: 1000, ..Mode::default() }).await;
    let (write, handle) = paid(&bench, &["12345"], 3).await;
    bench.upstream.happens(renew("P3M")).unwrap();
    assert_eq!(standing(&bench, &write, &handle).await.0, Standing::Unspecified);
    let line = Happening::CancelLine { order: ORDER, service: 12345 };
    bench.upstream.happens(line).unwrap();
    bench.upstream.advance(Duration::from_secs(1));
    assert_eq!(standing(&bench, &write, &handle).await.0, Standing::EffectAwaited);
    // With its own term the same is done.
    let bench = Bench::in_mode(Mode { delivering_ms: 1000, ..Mode::default() }).await;
    let (write, handle) = paid(&bench, &["12345"], 3).await;
    bench.upstream.happens(renew("P3M")).unwrap();
    bench.upstream.advance(Duration::from_secs(1));
    completed(&bench, &write, &handle).await;
}

#[tokio::test]
async fn handle_of_an_older_version_is_followed() {
    let bench = Bench::new().await;
    let (write, _) = paid(&bench, &["12345"], 3).await;
    let handle = br#"[1,{"order":123456789,"looks":2,"delivered":1}]"#;
    let renewal = bench.plugin.follow(&write, handle.to_vec()).await.renewal();
    assert_eq!(renewal.services[0].new_expire_time, Some(day("2099-06-30")));
    let payment = pay_order("123456789", paypal());
    let order = bench.plugin.follow(&payment, handle.to_vec()).await.order();
    assert_eq!(order.state(), OrderState::Completed);
}

#[tokio::test]
async fn setting_that_was_taken_and_does_not_show_is_awaited() {
    let bench = Bench::new().await;
    let request = SuspendServiceRequest { name: service_name("12345"), ..Default::default() };
    let suspend = write(Op::SuspendService, &request, "12345");
    bench.upstream.inject(Fault::next("POST /service/{serviceId}/suspend", FaultKind::Nil));
    let at = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Pending(taken)) = bench.plugin.step_at(&suspend, &at).await else { panic!() };
    assert_eq!(standing(&bench, &suspend, &taken.handle).await.0, Standing::EffectAwaited);
    let request = TerminateServiceRequest { name: service_name("12345"), ..Default::default() };
    let terminate = write(Op::TerminateService, &request, "12345");
    let gone = FaultKind::Fault { code: 404, text: "This service does not exist".to_owned() };
    bench.upstream.inject(Fault::next("GET /service/{serviceId}", gone.clone()));
    let (unclear, _) = standing(&bench, &terminate, &taken.handle).await;
    assert_eq!(unclear, Standing::Unclear, "the list still has it");
    bench.upstream.inject(Fault::next("GET /service/{serviceId}", gone));
    bench.upstream.inject(Fault::next("GET /service", FaultKind::NestedArrays { depth: 1 }));
    let polled = bench.plugin.poll_one(&terminate, &taken.handle).await.unwrap();
    assert!(matches!(polled, Polled::Done(_)), "{polled:?}");
}
