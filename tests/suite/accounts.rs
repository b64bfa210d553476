//! Whose account: two providers of one account act as one, two accounts with one identity as two, and
//! what was accepted belongs to the account that its provider pointed to.

mod asking;
mod moving;
mod origins;

use purveyor_sdk::term::Period;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{CreateRenewalRequest, Operation, Service, Term};
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use tonic::{Code, Status};
use xtask::configuration::Provider;

use crate::support::client::{Client, succeeded, told};
use crate::support::requests::{purchase, renewal};
use crate::support::{Gateway, HOUR, LATER, asked, configuration, provider, sold, until, upstream};

const RENEW: &str = "hosting.product.renew";

/// A provider at a simulator that nothing settles at before the scenario has looked.
fn patient(upstream: &Simulator<Gandi>) -> Provider {
    provider(upstream).timing("upstream_processing_ms", 600_000)
}

/// The name that another provider has for a service.
fn under(provider: &str, service: &Service) -> String {
    let (_, id) = service.name.rsplit_once('/').expect("a service's name");
    format!("providers/{provider}/services/{id}")
}

async fn renew(client: &Client, request: CreateRenewalRequest) -> Result<Operation, Status> {
    Ok(client.renewals().create_renewal(request).await?.into_inner())
}

#[track_caller]
fn in_progress(refused: Result<Operation, Status>, by: &Operation) {
    let status = refused.expect_err("another provider of the account is at it");
    let (code, reason, _) = told(&status);
    assert_eq!((code, reason.as_str()), (Code::Aborted, "OPERATION_IN_PROGRESS"), "{status}");
    assert!(status.message().contains(&by.name), "{status}");
    // A key is no name: callers are told what they asked for.
    assert!(!status.message().contains("http"), "{status}");
}

#[tokio::test]
async fn create_renewal_two_providers_of_one_account_renews_once() {
    let upstream = upstream(Options::default()).await;
    let gateway =
        configuration().provider("one", patient(&upstream)).provider("two", patient(&upstream));
    let gateway = Gateway::start(gateway).await;
    let client = gateway.client().await;
    let service = client.bought(purchase("one", &[("shares", 2)])).await;
    let theirs = client.service(&under("two", &service)).await.expect("it is the same account");
    upstream.inject(Fault::next(RENEW, LATER));
    let month = |service: &Service| renewal(&service.name, service.expire_time);
    let first = renew(&client, month(&service)).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;

    in_progress(renew(&client, month(&theirs)).await, &first);
    let mut year = month(&theirs);
    let term = Term::recurring(Period::Months(12), "");
    year.renewal.as_mut().expect("a renewal").term = Some(term);
    in_progress(renew(&client, year).await, &first);

    upstream.advance(HOUR);
    succeeded(client.done(&first.name).await);
    let status = renew(&client, month(&theirs)).await.expect_err("it expires later now");
    assert_eq!(told(&status).1, "EXPIRE_TIME_CHANGED");
    assert_eq!((sold(&upstream, Kind::ProductRenew).len(), asked(&upstream, RENEW)), (1, 1));
}

/// Nobody knows the account when both are accepted: the permit's commit is what decides.
#[tokio::test]
async fn create_order_accepted_by_name_is_held_by_account_at_the_permit() {
    let upstream = upstream(Options::default()).await;
    let gateway =
        configuration().provider("one", patient(&upstream)).provider("two", patient(&upstream));
    let gateway = Gateway::start(gateway.clone().engine("hold", true)).await;
    let client = gateway.client().await;
    let identity = Fault::next("hosting.account.info", FaultKind::DropBeforeCommit);
    // Each order asks once for the account, and is accepted without.
    upstream.inject(identity.times(1000));
    let mut accepted = Vec::new();
    for provider in ["one", "two"] {
        let request = purchase(provider, &[("shares", 2)]);
        let operation = client.order(request).await.expect("accepted by name");
        assert_eq!((operation.state(), operation.attempts.len()), (State::Accepted, 0));
        accepted.push(operation.name);
    }
    upstream.clear_faults();
    drop(client);
    let folder = gateway.stop().await;
    let running =
        configuration().provider("one", patient(&upstream)).provider("two", patient(&upstream));
    running.write(folder.path()).expect("it is written");
    upstream.inject(Fault::next("hosting.product.create", LATER));
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    // One of them is sent, and what is like it on the same account waits for what became of it.
    until("one waits for the other", || async {
        let (one, two) =
            (client.operation(&accepted[0]).await, client.operation(&accepted[1]).await);
        one.blocked_by == two.name || two.blocked_by == one.name
    })
    .await;
    let sent = || async { asked(&upstream, "hosting.product.create") == 1 };
    until("one is sent", sent).await;
    upstream.advance(HOUR);
    for name in &accepted {
        succeeded(client.done(name).await);
    }
    assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 2);
}
