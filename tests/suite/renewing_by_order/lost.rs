//! Answers that are lost and a gateway that is killed, between the order and its end: one payment, and
//! one order where that can be known.

use purveyor_sdk::v1::operation::Outcome;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{Operation, order};
use purveyor_simulators::ovh::Ovh;
use purveyor_simulators::{Fault, FaultKind, Simulator};

use super::stage::{
    self, Desk, HELD, MEANS, ORDER, PAY, RENEW, made_and_paid, payment, paypal, provider, quarter,
    release, shown,
};
use crate::support::client::{self, succeeded};
use crate::support::program::Program;
use crate::support::{configuration, until};

fn outcomes(operation: &Operation) -> Vec<Outcome> {
    operation.attempts.iter().map(|attempt| attempt.outcome()).collect()
}

#[tokio::test]
async fn a_renewal_whose_payment_is_lost_is_paid_once() {
    let check = async |kind: FaultKind, expected: &[Outcome]| {
        let desk = Desk::open().await;
        desk.upstream.inject(Fault::next(PAY, kind.clone()));
        let operation = succeeded(desk.renewed(desk.quarter(paypal()).await).await);
        assert_eq!(outcomes(&operation), expected, "{kind:?}: {operation:#?}");
        assert_eq!(shown(&operation).state(), RenewalState::Completed, "{kind:?}");
        let asked = u64::try_from(expected.len()).expect("a few");
        assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), asked), "{kind:?}");
    };
    check(FaultKind::DropAfterCommit, &[Outcome::Applied]).await;
    check(FaultKind::LateCommit { ms: 600 }, &[Outcome::Applied]).await;
    check(FaultKind::DropBeforeCommit, &[Outcome::Absent, Outcome::Applied]).await;
}

#[tokio::test]
async fn an_order_whose_payment_is_lost_is_paid_once() {
    let check = async |kind: FaultKind, expected: &[Outcome]| {
        let desk = Desk::open().await;
        succeeded(desk.renewed(desk.quarter(None).await).await);
        desk.upstream.inject(Fault::next(PAY, kind.clone()));
        let operation = succeeded(desk.paid(payment(ORDER, paypal())).await);
        assert_eq!(outcomes(&operation), expected, "{kind:?}: {operation:#?}");
        assert_eq!(client::order(&operation).state(), order::State::Completed, "{kind:?}");
        let asked = u64::try_from(expected.len()).expect("a few");
        assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), asked), "{kind:?}");
    };
    check(FaultKind::DropAfterCommit, &[Outcome::Applied]).await;
    check(FaultKind::LateCommit { ms: 600 }, &[Outcome::Applied]).await;
    check(FaultKind::DropBeforeCommit, &[Outcome::Absent, Outcome::Applied]).await;
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_the_one_that_is_paid() {
    for (kind, asked) in [(FaultKind::DropAfterCommit, 1), (FaultKind::DropBeforeCommit, 2)] {
        let desk = Desk::open().await;
        desk.upstream.inject(Fault::next(RENEW, kind.clone()));
        let operation = succeeded(desk.renewed(desk.quarter(paypal()).await).await);
        assert_eq!(shown(&operation).order, ORDER, "{kind:?}");
        assert_eq!((desk.made_and_paid(), desk.asked(RENEW)), ((1, 1), asked), "{kind:?}");
    }
}

async fn staged() -> (Program, Simulator<Ovh>) {
    let upstream = stage::upstream().await;
    let provider = provider(&upstream).timing("attempt_timeout_ms", 30_000);
    (Program::start(configuration().provider("ovh", provider)), upstream)
}

/// A renewal with its payment, accepted.
async fn accepted(program: &Program) -> String {
    let client = program.client().await;
    let request = quarter(&client, paypal()).await;
    let accepted = client.renewals().create_renewal(request).await;
    accepted.expect("it is accepted").into_inner().name
}

async fn completed(program: &Program, name: &str) -> Operation {
    let operation = succeeded(program.client().await.done(name).await);
    assert_eq!(shown(&operation).state(), RenewalState::Completed);
    operation
}

#[tokio::test]
async fn killed_between_the_order_and_its_payment() {
    let (program, upstream) = staged().await;
    upstream.inject(Fault::next(MEANS, HELD));
    let name = accepted(&program).await;
    until("the order is about to be paid", async || stage::asked(&upstream, MEANS) == 1).await;
    let folder = program.kill();
    release(&upstream);
    let program = Program::start_in(folder);
    let operation = completed(&program, &name).await;
    assert_eq!(shown(&operation).order, ORDER);
    assert_eq!((made_and_paid(&upstream), stage::asked(&upstream, PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn killed_after_the_payment_and_before_its_answer() {
    let upstream = stage::upstream().await;
    let program = Program::start(configuration().provider("ovh", provider(&upstream)));
    upstream.inject(Fault::next(PAY, HELD).committed());
    let name = accepted(&program).await;
    until("the upstream takes the money", async || made_and_paid(&upstream).1 == 1).await;
    let program = program.restart();
    let operation = completed(&program, &name).await;
    assert_eq!(outcomes(&operation), [Outcome::Applied]);
    assert_eq!((made_and_paid(&upstream), stage::asked(&upstream, PAY)), ((1, 1), 1));
}

/// Nothing tells the next gateway of that order but that it is there, which is not enough to pay it: it
/// lapses, and another is made and paid.
#[tokio::test]
async fn killed_before_the_orders_number_is_known() {
    let (program, upstream) = staged().await;
    upstream.inject(Fault::next(RENEW, HELD).committed());
    let name = accepted(&program).await;
    until("the order is made", async || made_and_paid(&upstream).0 == 1).await;
    let program = program.restart();
    let operation = completed(&program, &name).await;
    assert_ne!(shown(&operation).order, ORDER);
    assert_eq!((made_and_paid(&upstream), stage::asked(&upstream, PAY)), ((2, 1), 1));
}
