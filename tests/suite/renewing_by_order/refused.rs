//! A payment that the upstream refuses in a way which proves nothing: it is not sent again, and the end tells
//! what the upstream said and which order still waits for payment.

use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_simulators::{Fault, FaultKind};

use super::late::{NUMBER, outcomes};
use super::stage::{Desk, ORDER, PAY, payment, paypal};
use crate::support::client::{failure, succeeded};

impl Desk {
    /// As where the credentials may not pay.
    fn forbid_payments(&self) {
        let text = "User not granted for this request".to_owned();
        self.upstream.inject(Fault::next(PAY, FaultKind::Fault { code: 403, text }).times(100));
    }

    fn ended_with_the_answer(&self, failed: &Operation) {
        let error = failure(failed);
        assert_eq!((failed.state(), error.reason.as_str()), (State::Failed, "UPSTREAM_REJECTED"));
        let said = "status 403 (Client::Forbidden): User not granted for this request";
        assert!(error.message.contains(said), "{error:#?}");
        for (key, value) in [
            ("retry", "NEW_REQUEST_ID"),
            ("upstream_status", "403"),
            ("upstream_code", "403"),
            ("provider", "providers/ovh"),
            ("resource", failed.target.as_str()),
            ("operation", failed.name.as_str()),
        ] {
            assert_eq!(error.metadata[key], value, "{error:#?}");
        }
        assert_eq!(outcomes(failed), [Outcome::Absent]);
        assert!(failed.attempts[0].message.contains(said), "{failed:#?}");
        let upstream = failed.upstream.as_ref().expect("the order is there");
        assert_eq!(upstream.ids, [NUMBER]);
        assert_eq!((self.made_and_paid(), self.asked(PAY)), ((1, 0), 1));
    }
}

#[tokio::test]
async fn payment_of_an_order_that_is_forbidden_ends_with_the_upstreams_words() {
    let desk = Desk::open().await;
    succeeded(desk.renewed(desk.quarter(None).await).await);
    desk.forbid_payments();
    let failed = desk.paid(payment(ORDER, paypal())).await;
    desk.ended_with_the_answer(&failed);
    assert_eq!(failed.target, ORDER);
}

#[tokio::test]
async fn renewal_whose_payment_is_forbidden_names_the_unpaid_order() {
    let desk = Desk::open().await;
    desk.forbid_payments();
    let failed = desk.renewed(desk.quarter(paypal()).await).await;
    desk.ended_with_the_answer(&failed);
    assert_eq!(desk.renewal(&failed.target).await.order, ORDER);
    assert_eq!(failure(&failed).metadata["order"], ORDER);
}
