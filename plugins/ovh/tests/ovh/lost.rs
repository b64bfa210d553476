//! Lost answers at each step, and every fault on the call that spends: what the search finds is what
//! was really paid, and nothing is paid or ordered twice.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::testing::{Position, write};
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{ErrorReason, SuspendServiceRequest};
use purveyor_sdk::{Resource, Standing};
use purveyor_simulators::ovh::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, PAY, RENEW, pay_order, paypal, reason, service_name};

/// A renewal whose order is made and whose payment comes next.
pub(crate) async fn prepared(bench: &Bench) -> (Write, Position) {
    let request = bench.paid_request(&["12345"], 3).await;
    let write = write(Op::CreateRenewal, &request, "");
    let at = Position { step: 1, ..Position::default() };
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    let at = bench.plugin.prepared(&write, at.after(next.handle)).await.unwrap();
    (write, at)
}

/// The faults after which the caller does not know, each before and after the payment.
fn faults() -> Vec<(FaultKind, bool)> {
    let mut all = vec![
        (FaultKind::DropBeforeCommit, false),
        (FaultKind::ResetBeforeCommit, false),
        (FaultKind::DropAfterCommit, true),
        (FaultKind::ResetAfterCommit, true),
        (FaultKind::TruncateAfterCommit, true),
        (FaultKind::CutAfterCommit { bytes: 5 }, true),
    ];
    for committed in [false, true] {
        all.extend([
            (FaultKind::Status { status: 500 }, committed),
            (FaultKind::Status { status: 404 }, committed),
            (FaultKind::Redirect, committed),
            (FaultKind::WrongType, committed),
            (FaultKind::XmlBomb, committed),
            (FaultKind::NestedArrays { depth: 200 }, committed),
            (FaultKind::Megabytes { n: 1 }, committed),
            (FaultKind::Garbage, committed),
            (FaultKind::Fault { code: 409, text: "busy".to_owned() }, committed),
            (FaultKind::Fault { code: 429, text: "slow down".to_owned() }, committed),
        ]);
    }
    all
}

#[tokio::test]
async fn every_fault_of_a_payment_ends_in_what_is_true() {
    for (kind, committed) in faults() {
        let bench = Bench::new().await;
        let (write, at) = prepared(&bench).await;
        bench.upstream.inject(Fault { committed, ..Fault::next(PAY, kind.clone()) });
        match bench.plugin.step_at(&write, &at).await {
            Ok(Stepped::Unknown(_)) => {}
            Err(error) => assert_eq!(error.reason, ErrorReason::UpstreamUnavailable, "{kind:?}"),
            other => panic!("{kind:?}: {other:?}"),
        }
        let paid = bench.made_and_paid().1 == 1;
        assert_eq!(paid, committed, "{kind:?}");
        match bench.plugin.search(&write, &at, &[], "").await.unwrap() {
            Found::Found(found) => {
                assert!(paid, "{kind:?}");
                assert_eq!(found.upstream_id, "123456789");
                let Some(Stepped::Pending(pending)) = found.outcome.unwrap().outcome else {
                    panic!()
                };
                let renewal = bench.plugin.follow(&write, pending.handle).await.renewal();
                assert_eq!(renewal.state(), State::Completed);
            }
            Found::Absent(_) => {
                assert!(!paid, "{kind:?}");
                let Ok(Stepped::Pending(_)) = bench.plugin.step_at(&write, &at).await else {
                    panic!()
                };
            }
        }
        assert_eq!(bench.made_and_paid(), (1, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn an_empty_success_before_the_payment_is_never_called_done() {
    let bench = Bench::new().await;
    let (write, at) = prepared(&bench).await;
    bench.upstream.inject(Fault::next(PAY, FaultKind::Nil));
    let Ok(Stepped::Pending(pending)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    use purveyor_sdk::plugin::v1::poll_outcome::Outcome;
    let polled = bench.plugin.poll_one(&write, &pending.handle).await.unwrap();
    let Outcome::Pending(pending) = polled else { panic!("{polled:?}") };
    assert_eq!(pending.standing(), Standing::NotDone);
    assert_eq!(pending.error.unwrap().reason(), ErrorReason::UpstreamFailed);
    let Some(Resource::Renewal(view)) = pending.view.unwrap().kind else { panic!() };
    assert_eq!(view.state(), State::AwaitingPayment);
    assert_eq!(bench.made_and_paid(), (1, 0));
}

#[tokio::test]
async fn a_payment_that_is_being_checked_is_found_and_not_sent_again() {
    let bench = Bench::in_mode(Mode { checking_ms: 60_000, ..Mode::default() }).await;
    let (write, at) = prepared(&bench).await;
    bench.upstream.inject(Fault::next(PAY, FaultKind::DropAfterCommit));
    assert_eq!(reason(bench.plugin.step_at(&write, &at).await), ErrorReason::UpstreamUnavailable);
    assert!(matches!(bench.plugin.search(&write, &at, &[], "").await, Ok(Found::Found(_))));
    // Were the step begun again nevertheless, it would follow what is there.
    let Ok(Stepped::Pending(_)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    assert_eq!(bench.asked(PAY), 1);
}

#[tokio::test]
async fn a_late_payment_is_followed_although_the_end_has_moved() {
    let bench = Bench::new().await;
    let (write, at) = prepared(&bench).await;
    bench.upstream.inject(Fault::next(PAY, FaultKind::LateCommit { ms: 5000 }));
    assert_eq!(reason(bench.plugin.step_at(&write, &at).await), ErrorReason::UpstreamUnavailable);
    assert!(matches!(bench.plugin.search(&write, &at, &[], "").await, Ok(Found::Absent(_))));
    bench.upstream.advance(Duration::from_secs(5));
    while bench.made_and_paid().1 == 0 {
        tokio::task::yield_now().await;
    }
    let Ok(Stepped::Pending(pending)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    bench.plugin.follow(&write, pending.handle).await.renewal();
    assert_eq!((bench.asked(PAY), bench.made_and_paid()), (1, (1, 1)));
}

#[tokio::test]
async fn an_operator_names_the_order_or_another_one() {
    let bench = Bench::new().await;
    let (write, at) = prepared(&bench).await;
    bench.set(|mode| mode.checking_ms = 60_000);
    bench.plugin.step_at(&write, &at).await.unwrap();
    let named = async |id: &str| bench.plugin.search(&write, &at, &[], id).await.unwrap();
    assert!(matches!(named("123456789").await, Found::Found(_)));
    assert!(matches!(named("1").await, Found::Absent(_)));
    bench.set(|mode| mode.status_word = "shipped".to_owned());
    assert!(matches!(named("").await, Found::Absent(_)), "a person has to look");
    bench.set(|mode| mode.status_word = String::new());
    bench.upstream.set_status(123_456_789, "cancelled").unwrap();
    let Found::Found(found) = named("").await else { panic!("it was cancelled") };
    let Some(Stepped::Pending(pending)) = found.outcome.unwrap().outcome else { panic!() };
    let error = bench.plugin.follow(&write, pending.handle).await.error();
    assert_eq!(error.reason, ErrorReason::UpstreamFailed);
}

#[tokio::test]
async fn a_payment_of_an_order_is_found_the_same_way() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let write = pay_order(&id, paypal());
    let at = Position { step: 1, ..Position::default() };
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    assert_eq!(at.evidence.similarity, format!("order {id}"));
    for (kind, found) in [(FaultKind::DropBeforeCommit, false), (FaultKind::DropAfterCommit, true)]
    {
        bench.upstream.inject(Fault::next(PAY, kind));
        bench.plugin.step_at(&write, &at).await.unwrap_err();
        let outcome = bench.plugin.search(&write, &at, &[], "").await.unwrap();
        assert_eq!(matches!(outcome, Found::Found(_)), found);
    }
    let Found::Found(found) = bench.plugin.search(&write, &at, &[], "").await.unwrap() else {
        panic!()
    };
    assert_eq!(found.upstream_id, "", "a payment makes nothing");
    let Some(Stepped::Pending(pending)) = found.outcome.unwrap().outcome else { panic!() };
    let order = bench.plugin.follow(&write, pending.handle).await.order();
    assert_eq!(order.state(), OrderState::Completed);
    assert_eq!(bench.made_and_paid(), (1, 1));
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_taken_instead_of_a_second() {
    for kind in [FaultKind::DropAfterCommit, FaultKind::Garbage, FaultKind::Status { status: 502 }]
    {
        let bench = Bench::new().await;
        let request = bench.paid_request(&["12345"], 3).await;
        let write = write(Op::CreateRenewal, &request, "");
        // Somebody else's, just like it, was there before.
        bench.unpaid().await;
        let at = Position { step: 1, ..Position::default() };
        let at = bench.plugin.prepared(&write, at).await.unwrap();
        assert_eq!(at.evidence.highest_id, "123456789");
        bench.upstream.inject(Fault::next(RENEW, kind).committed());
        bench.plugin.step_at(&write, &at).await.unwrap_err();
        let at = bench.plugin.prepared(&write, at).await.unwrap();
        let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &at).await else { panic!() };
        let Some(Resource::Renewal(view)) = next.view.unwrap().kind else { panic!() };
        assert_eq!(view.upstream.unwrap().id(), "123456790");
        assert_eq!((bench.made_and_paid(), bench.asked(RENEW)), ((2, 0), 2));
    }
}

#[tokio::test]
async fn an_order_that_was_not_made_is_made() {
    let bench = Bench::new().await;
    let request = bench.paid_request(&["12345"], 3).await;
    let write = write(Op::CreateRenewal, &request, "");
    let at = Position { step: 1, ..Position::default() };
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    bench.upstream.inject(Fault::next(RENEW, FaultKind::DropBeforeCommit));
    let error = bench.plugin.step_at(&write, &at).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
    // What somebody else orders meanwhile for another term is not taken for ours.
    let other = bench.request(&["12345"], 12).await;
    bench.run(Op::CreateRenewal, &other, "").await.renewal();
    let at = bench.plugin.prepared(&write, at).await.unwrap();
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    let Some(Resource::Renewal(view)) = next.view.unwrap().kind else { panic!() };
    assert_eq!((view.upstream.unwrap().id(), bench.made_and_paid()), ("123456790", (2, 0)));
}

#[tokio::test]
async fn a_lost_change_is_seen_at_the_service() {
    let bench = Bench::new().await;
    let call = "POST /service/{serviceId}/suspend";
    let request = SuspendServiceRequest { name: service_name("12345"), ..Default::default() };
    let write = write(Op::SuspendService, &request, "12345");
    let at = Position { step: 1, ..Position::default() };
    for (kind, found) in [(FaultKind::DropBeforeCommit, false), (FaultKind::DropAfterCommit, true)]
    {
        bench.upstream.inject(Fault::next(call, kind));
        bench.plugin.step_at(&write, &at).await.unwrap_err();
        let outcome = bench.plugin.search(&write, &at, &[], "").await.unwrap();
        assert_eq!(matches!(outcome, Found::Found(_)), found);
    }
}
