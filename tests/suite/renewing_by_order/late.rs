//! What the upstream does later than it is said to take, after it was taken for not done: an order that
//! is made later costs nothing, and a payment that is taken later is accepted where the renewal can still
//! be carried on, told where it has ended, and never made a second time.

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_simulators::ovh::AccountSeed;
use purveyor_simulators::{Fault, FaultKind};

use super::stage::{Desk, MEANS, ORDER, PAY, RENEW, means, payment, paypal, release, shown};
use crate::support::client::{failure, succeeded};
use crate::support::until;

/// So late that only [`release`] brings it.
pub(super) const LATER: FaultKind = FaultKind::LateCommit { ms: 150_000 };

/// The number of [`ORDER`].
pub(super) const NUMBER: &str = "123456789";

pub(super) fn outcomes(operation: &Operation) -> Vec<Outcome> {
    operation.attempts.iter().map(|attempt| attempt.outcome()).collect()
}

impl Desk {
    /// The operation once nobody looks any more whether more turns up.
    pub(super) async fn rested(&self, name: &str) -> Operation {
        let rests = async || self.client.operation(name).await.settle_time.is_none();
        until("it is looked for the last time", rests).await;
        self.client.operation(name).await
    }

    fn refuse_payments(&self, refuses: bool) {
        let mut account = AccountSeed::default();
        account.means[0].refuses = refuses;
        self.upstream.put_account(account).expect("the account is changed");
    }

    /// A payment of the order that is lost, sent again, refused, and then taken after all.
    async fn paid_after_its_end(&self, ended: &Operation) {
        assert_eq!(failure(ended).reason, "UPSTREAM_REJECTED");
        assert_eq!(outcomes(ended), [Outcome::Absent, Outcome::Rejected]);
        assert!(ended.settle_time.is_some() && ended.problem.is_none(), "{ended:#?}");
        self.refuse_payments(false);
        release(&self.upstream);
        until("the money is taken", async || self.made_and_paid() == (1, 1)).await;
    }
}

#[track_caller]
fn told_of_the_payment(operation: &Operation) {
    let problem = operation.problem.as_ref().map(|problem| problem.reason.as_str());
    assert_eq!(problem, Some("DUPLICATE_DETECTED"), "{operation:#?}");
    assert_eq!(operation.candidates.iter().map(|it| it.id()).collect::<Vec<_>>(), [NUMBER]);
    assert_eq!((operation.state(), operation.done), (State::Failed, true));
    assert_eq!(outcomes(operation), [Outcome::Applied, Outcome::Rejected]);
}

/// The upstream takes no money twice for one order; nothing tells the two attempts apart, and nothing is
/// said.
#[tokio::test]
async fn a_payment_that_comes_after_its_successor_is_nothing_to_tell() {
    let desk = Desk::open().await;
    desk.upstream.inject(Fault::next(PAY, LATER));
    let renewal = succeeded(desk.renewed(desk.quarter(paypal()).await).await);
    assert_eq!(outcomes(&renewal), [Outcome::Absent, Outcome::Applied]);
    assert!(renewal.settle_time.is_some(), "it is looked once more");
    release(&desk.upstream);
    let rested = desk.rested(&renewal.name).await;
    assert!(rested.problem.is_none() && rested.candidates.is_empty(), "{rested:#?}");
    assert_eq!(outcomes(&rested), [Outcome::Absent, Outcome::Applied]);
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 2));
}

#[tokio::test]
async fn a_renewal_whose_payment_comes_before_it_is_sent_again_is_carried_on() {
    let desk = Desk::open().await;
    desk.upstream.inject(Fault::next(PAY, LATER));
    desk.upstream.inject(Fault::next(MEANS, FaultKind::DropBeforeCommit).after(1).times(100_000));
    let request = desk.quarter(paypal()).await;
    let accepted = desk.client.renewals().create_renewal(request).await.expect("accepted");
    let name = accepted.into_inner().name;
    until("it is about to be paid again", async || desk.asked(MEANS) > 2).await;
    assert_eq!(outcomes(&desk.client.operation(&name).await), [Outcome::Absent]);
    release(&desk.upstream);
    let renewal = succeeded(desk.client.done(&name).await);
    assert_eq!(outcomes(&renewal), [Outcome::Applied]);
    assert_eq!(shown(&renewal).state(), RenewalState::Completed);
    assert!(renewal.settle_time.is_none() && renewal.problem.is_none(), "{renewal:#?}");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}

/// The order does not wait for payment any more when it is to be paid again, because it was.
#[tokio::test]
async fn a_payment_that_comes_before_it_is_sent_again_is_a_success() {
    let desk = Desk::open().await;
    succeeded(desk.renewed(desk.quarter(None).await).await);
    desk.upstream.inject(Fault::next(PAY, LATER));
    desk.upstream.inject(Fault::next(MEANS, FaultKind::DropBeforeCommit).after(1).times(100_000));
    let accepted = desk.client.orders().pay_order(payment(ORDER, paypal())).await;
    let name = accepted.expect("accepted").into_inner().name;
    until("it is about to be paid again", async || desk.asked(MEANS) > 2).await;
    release(&desk.upstream);
    let paid = succeeded(desk.client.done(&name).await);
    assert_eq!(outcomes(&paid), [Outcome::Applied]);
    assert!(paid.problem.is_none(), "{paid:#?}");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn a_renewal_that_is_paid_after_it_has_failed_is_told() {
    let desk = Desk::open().await;
    desk.refuse_payments(true);
    desk.upstream.inject(Fault::next(PAY, LATER));
    let failed = desk.renewed(desk.quarter(paypal()).await).await;
    desk.paid_after_its_end(&failed).await;
    told_of_the_payment(&desk.rested(&failed.name).await);
}

#[tokio::test]
async fn an_order_that_is_paid_after_its_payment_has_failed_is_told() {
    let desk = Desk::open().await;
    succeeded(desk.renewed(desk.quarter(None).await).await);
    desk.refuse_payments(true);
    desk.upstream.inject(Fault::next(PAY, LATER));
    let failed = desk.paid(payment(ORDER, paypal())).await;
    desk.paid_after_its_end(&failed).await;
    told_of_the_payment(&desk.rested(&failed.name).await);
}

/// The order is paid, but by another operation: that is no evidence of the first.
#[tokio::test]
async fn what_another_payment_has_done_is_not_told_of_the_first() {
    let desk = Desk::open().await;
    desk.refuse_payments(true);
    desk.upstream.inject(Fault::next(PAY, FaultKind::DropBeforeCommit));
    let failed = desk.renewed(desk.quarter(paypal()).await).await;
    assert_eq!(outcomes(&failed), [Outcome::Absent, Outcome::Rejected]);
    succeeded(desk.paid(payment(ORDER, means("creditCard", "77"))).await);
    let rested = desk.rested(&failed.name).await;
    assert!(rested.problem.is_none() && rested.candidates.is_empty(), "{rested:#?}");
    assert_eq!(desk.made_and_paid(), (1, 1));
}

/// An unpaid order that nobody waited for any more lapses; the one that was made instead is paid.
#[tokio::test]
async fn an_order_that_is_made_too_late_costs_nothing() {
    let desk = Desk::open().await;
    desk.upstream.inject(Fault::next(RENEW, LATER));
    let renewal = succeeded(desk.renewed(desk.quarter(paypal()).await).await);
    release(&desk.upstream);
    until("the other is made", async || desk.made_and_paid().0 == 2).await;
    let operation = desk.client.operation(&renewal.name).await;
    assert!(operation.problem.is_none() && operation.settle_time.is_none(), "{operation:#?}");
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((2, 1), 1));
    assert_eq!(outcomes(&operation), [Outcome::Applied]);
}
