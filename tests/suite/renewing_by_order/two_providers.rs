//! Two providers of one account: what the one is at, the other leaves alone.

use purveyor_sdk::prost_types::Duration;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{Operation, SuspendServiceRequest};
use purveyor_simulators::ovh::Ovh;
use purveyor_simulators::{Fault, FaultKind, Simulator};
use tonic::Code;

use super::stage::{
    self, HELD, MEANS, PAY, SUSPEND, made_and_paid, months, payment, paypal, provider, refused,
    release,
};
use crate::support::client::{Client, succeeded};
use crate::support::requests::{renewal, request_id};
use crate::support::{Gateway, configuration, until};

const ME: &str = "GET /me";

async fn gateway() -> (Gateway, Client, Simulator<Ovh>) {
    let upstream = stage::upstream().await;
    let patient = || provider(&upstream).timing("attempt_timeout_ms", 30_000);
    let gateway = configuration().provider("one", patient()).provider("two", patient());
    let gateway = Gateway::start(gateway).await;
    let client = gateway.client().await;
    (gateway, client, upstream)
}

/// Renews the server for a quarter at a provider, unpaid or with a payment.
async fn renewed(client: &Client, at: &str, pays: bool) -> Operation {
    let server = format!("providers/{at}/services/12345");
    let service = client.service(&server).await.expect("the server is there");
    let mut request = renewal(&server, service.expire_time);
    request.renewal.as_mut().expect("a renewal").term = months(3);
    request.payment = paypal().filter(|_| pays);
    client.renewals().create_renewal(request).await.expect("accepted").into_inner()
}

fn order(at: &str) -> String {
    format!("providers/{at}/orders/123456789")
}

fn busy() -> (Code, String) {
    (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned())
}

#[tokio::test]
async fn pay_order_two_providers_of_one_account_pays_once() {
    let (_gateway, client, upstream) = gateway().await;
    succeeded(client.done(&renewed(&client, "one", false).await.name).await);
    upstream.inject(Fault::next(MEANS, HELD));
    let first = client.orders().pay_order(payment(&order("one"), paypal())).await;
    let first = first.expect("accepted").into_inner().name;
    until("the order is about to be paid", async || stage::asked(&upstream, MEANS) == 1).await;
    let second = client.orders().pay_order(payment(&order("two"), paypal())).await;
    assert_eq!(refused(second), busy());
    release(&upstream);
    succeeded(client.done(&first).await);
    assert_eq!((made_and_paid(&upstream), stage::asked(&upstream, PAY)), ((1, 1), 1));
}

#[tokio::test]
async fn pay_order_while_another_provider_renews_by_it_is_refused() {
    let (_gateway, client, upstream) = gateway().await;
    upstream.inject(Fault::next(MEANS, HELD));
    let renewal = renewed(&client, "one", true).await;
    until("the order is about to be paid", async || stage::asked(&upstream, MEANS) == 1).await;
    let early = client.orders().pay_order(payment(&order("two"), paypal())).await;
    assert_eq!(refused(early), busy());
    release(&upstream);
    succeeded(client.done(&renewal.name).await);
    assert_eq!((made_and_paid(&upstream), stage::asked(&upstream, PAY)), ((1, 1), 1));
}

/// Both are accepted while nobody knows the account. The permit of the one is what the other waits for.
#[tokio::test]
async fn suspend_service_accepted_by_name_waits_for_the_account_at_the_permit() {
    let (_gateway, client, upstream) = gateway().await;
    upstream.inject(Fault::next(ME, FaultKind::DropBeforeCommit).times(1000));
    upstream.inject(Fault::next(SUSPEND, HELD));
    let mut names = Vec::new();
    for at in ["one", "two"] {
        let request = SuspendServiceRequest {
            name: format!("providers/{at}/services/12345"),
            request_id: request_id(),
            wait: Some(Duration::default()),
            ..SuspendServiceRequest::default()
        };
        let accepted = client.services().suspend_service(request).await;
        names.push(accepted.expect("accepted by name").into_inner().name);
    }
    for name in &names {
        let tried = || async { !client.operation(name).await.message.is_empty() };
        until("it was tried", tried).await;
    }
    upstream.clear_faults();
    upstream.inject(Fault::next(SUSPEND, HELD));
    until("one is sent", async || stage::asked(&upstream, SUSPEND) == 1).await;
    until("the other waits", || async {
        let (one, two) = (client.operation(&names[0]).await, client.operation(&names[1]).await);
        let waits = |it: &Operation, by: &Operation| {
            it.state() == State::Accepted && it.blocked_by == by.name && it.attempts.is_empty()
        };
        waits(&one, &two) || waits(&two, &one)
    })
    .await;
    assert_eq!(stage::asked(&upstream, SUSPEND), 1);
    release(&upstream);
    for name in &names {
        assert!(client.done(name).await.done);
    }
}
