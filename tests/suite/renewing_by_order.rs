//! An upstream that renews by an order which is made unpaid, costs nothing and lapses, and that takes
//! money only when it is paid: in one request or in two, once, and never for more than was allowed.

mod changes;
mod doubt;
mod effect;
mod late;
mod lost;
mod refused;
mod secrets;
pub(crate) mod stage;
mod two_providers;

use std::time::{Duration, SystemTime};

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{CreateRenewalRequest, ListRenewalOptionsRequest, PayOrderRequest, Renewal};
use purveyor_simulators::Fault;
use purveyor_simulators::ovh::{AccountSeed, Happening, Lapsed, Mode};
use tonic::Code;

use crate::support::client::{failure, order, succeeded};
use crate::support::requests::{euros, request_id};
use crate::support::until;
use stage::{
    Desk, HELD, MEANS, ORDER, PAY, RENEW, STATUS, VPS, VPS_BY_NAME, means, payment, paypal,
    refused, release, shown,
};

/// The upstream's guide looks a server up by its name, checks that three months are offered for it
/// alone, orders them, and pays with PayPal.
#[tokio::test]
async fn the_guides_program_in_three_calls() {
    let desk = Desk::open().await;
    let parent = VPS_BY_NAME.to_owned();
    let options = ListRenewalOptionsRequest { parent, ..ListRenewalOptionsRequest::default() };
    let options = desk.client.renewals().list_renewal_options(options).await;
    let options = options.expect("there are options").into_inner().renewal_options;
    let alone = options.iter().filter(|option| option.services.len() == 1);
    let mut terms = alone.filter_map(|it| Some((it.term.as_ref()?.period.as_str(), it)));
    let offered = terms.find(|(period, _)| *period == "P3M");
    let (_, offered) = offered.unwrap_or_else(|| panic!("not offered: {options:#?}"));

    let renewal = Renewal {
        service: offered.services[0].service.clone(),
        services: offered.services.clone(),
        term: offered.term.clone(),
        ..Renewal::default()
    };
    let request = CreateRenewalRequest {
        parent: "providers/ovh".to_owned(),
        renewal: Some(renewal),
        payment: paypal(),
        request_id: request_id(),
        ..CreateRenewalRequest::default()
    };
    let operation = succeeded(desk.renewed(request).await);
    let new_end = shown(&operation).services[0].new_expire_time;
    assert_eq!(new_end.map(|time| time.seconds), Some(desk.end().await));

    let renewal = desk.renewal(&operation.target).await;
    assert_eq!((renewal.state(), renewal.order.as_str()), (RenewalState::Completed, ORDER));
    assert_eq!(renewal.services[0].service, VPS);
    assert_eq!(desk.made_and_paid(), (1, 1));
    let sale = &desk.upstream.ledger()[1].sale;
    assert_eq!((sale.operation_id.as_str(), sale.duration.as_deref()), ("123456789", Some("P3M")));
}

#[tokio::test]
async fn an_unpaid_renewal_is_completed_by_paying_its_order() {
    let desk = Desk::open().await;
    let before = desk.end().await;
    let operation = succeeded(desk.renewed(desk.quarter(None).await).await);
    let renewal = shown(&operation);
    assert_eq!((renewal.state(), renewal.order.as_str()), (RenewalState::AwaitingPayment, ORDER));
    let due = renewal.required_action.as_ref().and_then(|action| action.amount_due.clone());
    assert_eq!(due, renewal.price);
    assert_eq!((desk.made_and_paid(), desk.end().await), ((1, 0), before));
    let waits = desk.client.get_order(ORDER).await.expect("the order is there");
    assert_eq!(waits.state(), OrderState::AwaitingPayment);

    let paying = succeeded(desk.paid(payment(ORDER, paypal())).await);
    assert_eq!(order(&paying).state(), OrderState::Completed);
    assert_eq!(desk.renewal(&renewal.name).await.state(), RenewalState::Completed);
    assert!(desk.end().await > before);

    let again = desk.paid(payment(ORDER, paypal())).await;
    assert_eq!(failure(&again).reason, "STATE_CONFLICT");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn nobody_else_pays_an_order_that_its_renewal_has_still_to_pay() {
    let desk = Desk::patient().await;
    desk.upstream.inject(Fault::next(MEANS, HELD));
    let request = desk.quarter(paypal()).await;
    let accepted = desk.client.renewals().create_renewal(request).await.expect("accepted");
    let name = accepted.into_inner().name;
    until("the order is about to be paid", async || desk.asked(MEANS) == 1).await;
    let early = desk.client.orders().pay_order(payment(ORDER, paypal())).await;
    assert_eq!(refused(early), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()));
    let twice = desk.client.renewals().create_renewal(desk.quarter(paypal()).await).await;
    assert_eq!(refused(twice), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()));
    release(&desk.upstream);
    succeeded(desk.client.done(&name).await);
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn an_order_that_its_renewal_could_not_pay_is_paid_by_other_means() {
    let desk = Desk::open().await;
    let mut account = AccountSeed::default();
    account.means[0].refuses = true;
    desk.upstream.put_account(account).expect("the account is changed");
    let failed = desk.renewed(desk.quarter(paypal()).await).await;
    assert_eq!(failure(&failed).reason, "UPSTREAM_REJECTED");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 0), 1));
    succeeded(desk.paid(payment(ORDER, means("creditCard", "77"))).await);
    assert_eq!(desk.renewal(&failed.target).await.state(), RenewalState::Completed);
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 2));
}

#[tokio::test]
async fn nothing_is_ordered_above_the_limit_and_nothing_paid() {
    let desk = Desk::open().await;
    let quarter = desk.quarter(paypal()).await;
    let limited = |units| CreateRenewalRequest {
        max_price: euros(units),
        request_id: request_id(),
        ..quarter.clone()
    };
    let failed = desk.renewed(limited(17)).await;
    assert_eq!(failure(&failed).reason, "PRICE_LIMIT");
    assert_eq!(desk.made_and_paid(), (0, 0));

    let unpaid = succeeded(desk.renewed(desk.quarter(None).await).await);
    let limited_payment =
        |units| PayOrderRequest { max_price: euros(units), ..payment(ORDER, paypal()) };
    let failed = desk.paid(limited_payment(17)).await;
    assert_eq!(failure(&failed).reason, "PRICE_LIMIT");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 0), 0));
    succeeded(desk.paid(limited_payment(18)).await);
    assert_eq!(desk.renewal(&unpaid.target).await.state(), RenewalState::Completed);
    assert_eq!(desk.made_and_paid(), (1, 1));
}

/// What the dry run told is not what the order says: the order is left to lapse.
#[tokio::test]
async fn an_order_at_another_price_than_was_quoted_is_not_paid_and_lapses() {
    let desk = Desk::patient().await;
    desk.upstream.set_mode(Mode { lapsed: Lapsed::Cancelled, ..Mode::default() });
    let quarter = desk.quarter(paypal()).await;
    desk.upstream.inject(Fault::next(RENEW, HELD).after(1));
    let request = CreateRenewalRequest { max_price: euros(18), ..quarter };
    let accepted = desk.client.renewals().create_renewal(request).await.expect("accepted");
    until("the order is asked for", async || desk.asked(RENEW) == 2).await;
    let account = AccountSeed { currency: "USD".to_owned(), ..AccountSeed::default() };
    desk.upstream.put_account(account).expect("the account is changed");
    release(&desk.upstream);
    let failed = desk.client.done(&accepted.into_inner().name).await;
    assert_eq!(failure(&failed).reason, "CURRENCY_MISMATCH");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 0), 0));
    let left = desk.client.get_order(ORDER).await.expect("it is there");
    assert_eq!(left.state(), OrderState::AwaitingPayment);
    desk.upstream.advance(Duration::from_secs(24 * 3600));
    let lapsed = desk.client.get_order(ORDER).await.expect("it is there");
    assert_eq!(lapsed.state(), OrderState::Cancelled);
    assert_eq!(desk.made_and_paid(), (1, 0));
}

#[tokio::test]
async fn what_could_not_be_paid_in_time_is_not_paid() {
    let desk = Desk::patient().await;
    desk.upstream.inject(Fault::next(MEANS, HELD));
    let start_before = SystemTime::now() + IN_TIME;
    let request = CreateRenewalRequest {
        start_before: Some(start_before.into()),
        ..desk.quarter(paypal()).await
    };
    let accepted = desk.client.renewals().create_renewal(request).await.expect("accepted");
    until("the order is about to be paid", async || desk.asked(MEANS) == 1).await;
    until("the time is over", async || SystemTime::now() > start_before).await;
    release(&desk.upstream);
    let failed = desk.client.done(&accepted.into_inner().name).await;
    assert_eq!(failure(&failed).reason, "NOT_STARTED");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 0), 0));
    // What is left is free to be paid by whoever wants it.
    succeeded(desk.paid(payment(ORDER, paypal())).await);
    assert_eq!(desk.made_and_paid(), (1, 1));
}

/// Long enough for an order to be made by then, on a busy machine too.
const IN_TIME: Duration = Duration::from_secs(6);

#[tokio::test]
async fn an_end_that_has_moved_before_the_payment_is_not_moved_again() {
    let desk = Desk::patient().await;
    succeeded(desk.renewed(desk.quarter(None).await).await);
    let late = desk.quarter(paypal()).await;
    let mut stale = late.clone();
    stale.request_id = request_id();
    desk.upstream.inject(Fault::next(STATUS, HELD));
    let accepted = desk.client.renewals().create_renewal(late).await.expect("accepted");
    let name = accepted.into_inner().name;
    until("the second order is looked at", async || desk.asked(STATUS) == 1).await;
    // A person pays the first order meanwhile, and the end moves; for us that waits for the second.
    let early = desk.client.orders().pay_order(payment(ORDER, paypal())).await;
    assert_eq!(refused(early), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()));
    desk.upstream.happens(Happening::Pay { order: 123_456_789 }).expect("it is paid");
    let moved = desk.end().await;
    release(&desk.upstream);
    let failed = desk.client.done(&name).await;
    assert_eq!(failure(&failed).reason, "EXPIRE_TIME_CHANGED");
    assert_eq!((desk.made_and_paid(), desk.end().await), ((2, 1), moved));

    let refusal = desk.client.renewals().create_renewal(stale).await;
    assert_eq!(refused(refusal), (Code::FailedPrecondition, "EXPIRE_TIME_CHANGED".to_owned()));
    assert_eq!(desk.made_and_paid(), (2, 1));
}

#[tokio::test]
async fn a_payment_that_is_being_checked_is_waited_for() {
    let desk = Desk::open().await;
    desk.upstream.set_mode(Mode { checking_ms: 150_000, ..Mode::default() });
    let request = desk.quarter(paypal()).await;
    let accepted = desk.client.renewals().create_renewal(request).await.expect("accepted");
    let name = accepted.into_inner().name;
    let waiting = desk.client.reaches(&name, State::WaitingUpstream).await;
    assert_eq!(desk.renewal(&waiting.target).await.state(), RenewalState::Processing);
    release(&desk.upstream);
    let done = succeeded(desk.client.done(&name).await);
    assert_eq!(shown(&done).state(), RenewalState::Completed);
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}
