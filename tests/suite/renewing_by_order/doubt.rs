//! A payment whose order does not tell what became of it: a person says so, and what the upstream tells
//! later is not lost.

use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use purveyor_sdk::v1::{Operation, ResolveOperationRequest};
use purveyor_simulators::ovh::Mode;
use purveyor_simulators::{Fault, FaultKind};
use tonic::{Code, Status};

use super::late::{LATER, NUMBER, outcomes};
use super::stage::{Desk, ORDER, PAY, STATUS, payment, paypal, refused, release};
use crate::support::client::{reason, succeeded};
use crate::support::until;

/// The upstream's word for an order of which it says nothing.
const UNKNOWN: &str = "unknown";

impl Desk {
    fn set_status(&self, status: &str) {
        self.upstream.set_status(123_456_789, status).expect("it has this status now");
    }

    /// A payment that is lost in this way while nobody can ask for the order's status; its name.
    async fn pay_unseen(&self, kind: FaultKind, unseen: FaultKind) -> String {
        // So slow that no end tells of the payment meanwhile.
        self.upstream.set_mode(Mode { delivering_ms: 100_000_000, ..Mode::default() });
        succeeded(self.renewed(self.quarter(None).await).await);
        let seen = u32::try_from(self.asked(STATUS)).expect("a few");
        assert_eq!(seen, 0, "the first look is the payment's own, before it pays");
        self.upstream.inject(Fault::next(STATUS, unseen).after(1).times(100_000));
        self.upstream.inject(Fault::next(PAY, kind));
        let accepted = self.client.orders().pay_order(payment(ORDER, paypal())).await;
        let name = accepted.expect("accepted").into_inner().name;
        until("it is looked for", async || self.asked(STATUS) > 2).await;
        name
    }

    /// As above, until a person is asked because the order tells nothing.
    async fn pay_in_doubt(&self, kind: FaultKind) -> Operation {
        let name = self.pay_unseen(kind, FaultKind::Status { status: 500 }).await;
        self.set_status(UNKNOWN);
        self.upstream.clear_faults();
        let asking = self.client.done(&name).await;
        assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
        assert_eq!(asking.candidates.iter().map(|it| it.id()).collect::<Vec<_>>(), [NUMBER]);
        asking
    }

    pub(super) async fn resolve(
        &self,
        operation: &Operation,
        resolution: Resolution,
    ) -> Result<Operation, Status> {
        let request = ResolveOperationRequest {
            name: operation.name.clone(),
            etag: operation.etag.clone(),
            note: "seen in the upstream's own pages".to_owned(),
            resolution: Some(resolution),
        };
        Ok(self.client.operations().resolve_operation(request).await?.into_inner())
    }
}

pub(super) fn executed() -> Resolution {
    executed_as(NUMBER)
}

pub(super) fn executed_as(upstream_id: &str) -> Resolution {
    Resolution::Executed(Executed { upstream_id: upstream_id.to_owned() })
}

fn not_executed(try_again: bool) -> Resolution {
    Resolution::NotExecuted(NotExecuted { try_again, ..NotExecuted::default() })
}

#[tokio::test]
async fn a_person_says_that_it_was_paid() {
    let desk = Desk::open().await;
    let asking = desk.pay_in_doubt(FaultKind::DropAfterCommit).await;
    // The upstream has to agree.
    let early = refused(desk.resolve(&asking, executed()).await);
    assert_eq!(early, (Code::InvalidArgument, "FIELD_VIOLATION".to_owned()));
    desk.set_status("delivered");
    desk.resolve(&asking, executed()).await.expect("it was paid");
    let paid = succeeded(desk.client.done(&asking.name).await);
    assert_eq!(outcomes(&paid), [Outcome::Applied]);
    assert_eq!((desk.made_and_paid(), desk.asked(PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn a_person_says_that_it_was_not_paid_and_it_is_paid_once() {
    let desk = Desk::open().await;
    let asking = desk.pay_in_doubt(FaultKind::DropBeforeCommit).await;
    desk.set_status("notPaid");
    desk.resolve(&asking, not_executed(true)).await.expect("it was not paid");
    // Nothing holds the order's status once it is paid.
    until("it is paid", async || desk.made_and_paid() == (1, 1)).await;
    desk.set_status("delivered");
    let paid = succeeded(desk.client.done(&asking.name).await);
    assert_eq!(outcomes(&paid), [Outcome::Absent, Outcome::Applied]);
    assert_eq!(desk.asked(PAY), 2);
}

#[tokio::test]
async fn a_payment_that_comes_after_a_person_has_called_it_not_made_is_told() {
    let desk = Desk::open().await;
    // No look can be made at all, and that does not pass by itself.
    let text = "This call has not been granted".to_owned();
    let name = desk.pay_unseen(LATER, FaultKind::Fault { code: 403, text }).await;
    let asking = desk.client.done(&name).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    desk.upstream.clear_faults();
    let failed = desk.resolve(&asking, not_executed(false)).await.expect("told");
    assert_eq!((failed.state(), reason(&failed)), (State::Failed, "NOT_EXECUTED"));
    release(&desk.upstream);
    until("the money is taken", async || desk.made_and_paid() == (1, 1)).await;
    let told = desk.rested(&name).await;
    assert_eq!(told.problem.as_ref().map(|it| it.reason.as_str()), Some("DUPLICATE_DETECTED"));
    assert_eq!(told.candidates.iter().map(|it| it.id()).collect::<Vec<_>>(), [NUMBER]);
    assert_eq!((outcomes(&told), desk.asked(PAY)), (vec![Outcome::Applied], 1));
}
