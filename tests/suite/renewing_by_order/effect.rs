//! What a renewal waits for after its payment, and what stops another one meanwhile: nothing is paid twice
//! for one term, whoever renews.

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{CreateRenewalRequest, Operation, PayOrderRequest};
use purveyor_simulators::ovh::{AccountSeed, Happening, Mode};
use purveyor_simulators::{Fault, FaultKind};
use tonic::Code;

use super::doubt::{executed, executed_as};
use super::late::outcomes;
use super::stage::{
    Desk, HELD, MEANS, ORDER, PAY, STATUS, means, payment, paypal, refused, release, shown,
};
use crate::support::client::{failure, reason, succeeded};
use crate::support::requests::{euros, request_id};
use crate::support::until;

/// The second order that the upstream makes.
const SECOND: &str = "providers/ovh/orders/123456790";

/// For ever, by the simulated clock.
const NEVER: u64 = 100_000_000;

fn problem(operation: &Operation) -> &str {
    operation.problem.as_ref().map(|it| it.reason.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn create_renewal_delivered_without_its_end_moved_asks_an_operator_and_its_pair_stays_taken()
{
    let desk = Desk::hasty().await;
    desk.upstream.set_mode(Mode { effect_lag_ms: NEVER, ..Mode::default() });
    let request = desk.quarter(paypal()).await;
    let asking = desk.renewed(request.clone()).await;
    assert_eq!((asking.state(), problem(&asking)), (State::NeedsOperator, "EFFECT_NOT_SEEN"));
    let again = || CreateRenewalRequest { request_id: request_id(), ..request.clone() };
    let early = desk.client.renewals().create_renewal(again()).await;
    assert_eq!(refused(early), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()));

    let resolved = desk.resolve(&asking, executed()).await.expect("an operator says so");
    assert_eq!(resolved.state(), State::Succeeded);
    let refused = desk.renewed(again()).await;
    assert_eq!((refused.state(), reason(&refused)), (State::Failed, "STATE_CONFLICT"));
    let message = &failure(&refused).message;
    assert!(message.contains(&asking.name), "{message}");
    assert_eq!(desk.made_and_paid(), (1, 1));
    // Who overrides the operator's word by name renews all the same.
    let overriding =
        CreateRenewalRequest { override_operations: vec![asking.name.clone()], ..again() };
    let asking = desk.renewed(overriding).await;
    assert_eq!((asking.state(), problem(&asking)), (State::NeedsOperator, "EFFECT_NOT_SEEN"));
    assert_eq!(desk.made_and_paid(), (2, 2));
    // The pair is the second operation's now.
    desk.resolve(&asking, executed_as("123456790")).await.expect("an operator says so");
    let refused = desk.renewed(again()).await;
    assert!(failure(&refused).message.contains(&asking.name), "{refused:#?}");
    // Another end is read, and is another pair.
    desk.upstream.happens(Happening::AutoRenew { service: 12345 }).expect("it is renewed");
    desk.upstream.set_mode(Mode::default());
    let next = succeeded(desk.renewed(desk.quarter(paypal()).await).await);
    assert_eq!(shown(&next).state(), RenewalState::Completed);
    assert_eq!(desk.made_and_paid(), (3, 3));
}

#[tokio::test]
async fn create_renewal_after_the_upstream_voided_what_an_operator_called_executed_pays_again() {
    let desk = Desk::hasty().await;
    desk.upstream.set_mode(Mode { effect_lag_ms: NEVER, ..Mode::default() });
    let request = desk.quarter(paypal()).await;
    let asking = desk.renewed(request.clone()).await;
    desk.resolve(&asking, executed()).await.expect("an operator says so");
    let again = || CreateRenewalRequest { request_id: request_id(), ..request.clone() };
    assert_eq!(reason(&desk.renewed(again()).await), "STATE_CONFLICT");
    desk.upstream.happens(Happening::Cancel { order: 123456789 }).expect("it is cancelled");
    desk.upstream.set_mode(Mode::default());
    succeeded(desk.renewed(again()).await);
    assert_eq!(desk.made_and_paid(), (2, 2));
}

#[tokio::test]
async fn create_renewal_whose_order_is_not_found_once_before_its_payment_is_paid() {
    for call in [STATUS, "GET /me/order/{orderId}", "GET /me/order/{orderId}/details", MEANS] {
        let desk = Desk::open().await;
        desk.upstream
            .inject(Fault::next(call, FaultKind::Fault { code: 404, text: "none".into() }));
        succeeded(desk.renewed(desk.quarter(paypal()).await).await);
        assert_eq!(desk.made_and_paid(), (1, 1), "{call}");
    }
}

#[tokio::test]
async fn pay_order_with_a_malformed_override_is_refused() {
    let desk = Desk::open().await;
    let overriding = |name: &str| PayOrderRequest {
        override_operations: vec![name.to_owned()],
        ..payment(ORDER, paypal())
    };
    for name in ["", "operations/", "operations/7", "orders/7"] {
        let told = desk.client.orders().pay_order(overriding(name)).await;
        assert_eq!(refused(told), (Code::InvalidArgument, "FIELD_VIOLATION".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn pay_order_of_a_renewal_stays_locked_until_the_end_moves() {
    let desk = Desk::open().await;
    succeeded(desk.renewed(desk.quarter(None).await).await);
    desk.upstream.set_mode(Mode { effect_lag_ms: 6000, ..Mode::default() });
    let accepted = desk.client.orders().pay_order(payment(ORDER, paypal())).await;
    let name = accepted.expect("accepted").into_inner().name;
    desk.client.reaches(&name, State::WaitingUpstream).await;
    until("it is paid", async || desk.made_and_paid() == (1, 1)).await;
    let twice = desk.client.renewals().create_renewal(desk.quarter(paypal()).await).await;
    assert_eq!(refused(twice), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()));
    desk.upstream.advance(std::time::Duration::from_secs(6));
    succeeded(desk.client.done(&name).await);
    assert_eq!(desk.made_and_paid(), (1, 1));
}

#[tokio::test]
async fn pay_order_of_two_unpaid_renewals_pays_one() {
    let desk = Desk::open().await;
    for _ in 0..2 {
        succeeded(desk.renewed(desk.quarter(None).await).await);
    }
    succeeded(desk.paid(payment(ORDER, paypal())).await);
    let second = desk.paid(payment(SECOND, paypal())).await;
    assert_eq!(failure(&second).reason, "EXPIRE_TIME_CHANGED");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((2, 1), 1));
}

#[tokio::test]
async fn pay_order_after_the_upstream_renewed_by_itself_is_refused() {
    let desk = Desk::open().await;
    succeeded(desk.renewed(desk.quarter(None).await).await);
    desk.upstream.happens(Happening::AutoRenew { service: 12345 }).expect("it is renewed");
    let late = desk.paid(payment(ORDER, paypal())).await;
    assert_eq!(failure(&late).reason, "EXPIRE_TIME_CHANGED");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 0), 0));
}

#[tokio::test]
async fn create_renewal_beside_a_persons_order_in_delivery_is_refused() {
    let desk = Desk::open().await;
    desk.upstream.set_mode(Mode { delivering_ms: NEVER, ..Mode::default() });
    let (services, duration) = (vec![12345], "P3M".to_owned());
    let renew = Happening::Renew { services, duration, pays: true, ahead_s: 0 };
    desk.upstream.happens(renew).expect("a person renews");
    let failed = desk.renewed(desk.quarter(paypal()).await).await;
    assert_eq!(failure(&failed).reason, "STATE_CONFLICT");
    assert!(failure(&failed).message.contains(ORDER), "{failed:#?}");
    assert_eq!(desk.made_and_paid(), (1, 1));
}

#[tokio::test]
async fn create_renewal_whose_payment_and_status_lag_succeeds_by_its_end() {
    let desk = Desk::open().await;
    let mode = Mode { status_lag_ms: NEVER, united_states: true, ..Mode::default() };
    desk.upstream.set_mode(mode);
    desk.upstream.inject(Fault::next(PAY, FaultKind::DropAfterCommit));
    let renewal = succeeded(desk.renewed(desk.quarter(paypal()).await).await);
    assert_eq!(shown(&renewal).state(), RenewalState::Completed);
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn order_above_the_limit_when_it_is_paid_is_not_paid() {
    let desk = Desk::patient().await;
    let request = CreateRenewalRequest { max_price: euros(50), ..desk.quarter(paypal()).await };
    desk.upstream.inject(Fault::next("GET /me/order/{orderId}", HELD));
    let accepted = desk.client.renewals().create_renewal(request).await.expect("accepted");
    let seen = async || desk.asked("GET /me/order/{orderId}") == 1;
    until("the order is read before it is paid", seen).await;
    let amount = "378.67".parse().expect("an amount");
    let reprice = Happening::Reprice { order: 123_456_789, amount };
    desk.upstream.happens(reprice).expect("another price");
    release(&desk.upstream);
    let failed = desk.client.done(&accepted.into_inner().name).await;
    assert_eq!(failure(&failed).reason, "PRICE_LIMIT");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 0), 0));
}

#[tokio::test]
async fn card_refused_after_the_200_fails_and_frees_the_order() {
    let desk = Desk::hasty().await;
    let mut account = AccountSeed::default();
    account.means[0].refuses_later = true;
    desk.upstream.put_account(account).expect("the account is changed");
    let failed = desk.renewed(desk.quarter(paypal()).await).await;
    assert_eq!(failure(&failed).reason, "UPSTREAM_FAILED");
    assert_eq!(desk.made_and_paid(), (1, 0));
    let other =
        PayOrderRequest { max_price: euros(18), ..payment(ORDER, means("creditCard", "77")) };
    succeeded(desk.paid(other).await);
    assert_eq!((desk.made_and_paid(), outcomes(&failed).len()), ((1, 1), 1));
}
