//! Changing and ending services: once, never on something that has changed meanwhile, and not at all
//! where the upstream says beforehand that it would refuse.

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{Operation, Service, UpdateServiceRequest};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use tonic::{Code, Status};

use crate::support::client::{Client, failure, reason, succeeded, told};
use crate::support::requests::{end, purchase, quantity};
use crate::support::{Gateway, asked, configuration, provider, sold, spends, until, upstream};

const LOOK: &str = "hosting.account.info";
const FREE: &str = "providers/gandi/services/11153";

struct Desk {
    _gateway: Gateway,
    client: Client,
    upstream: Simulator<Gandi>,
}

impl Desk {
    async fn open(options: Options) -> Self {
        let upstream = upstream(options).await;
        let gateway = configuration().provider("gandi", provider(&upstream));
        let gateway = Gateway::start(gateway).await;
        let client = gateway.client().await;
        Self { _gateway: gateway, client, upstream }
    }

    async fn with_service() -> (Self, Service) {
        let desk = Self::open(Options::default()).await;
        let service = desk.client.bought(purchase("gandi", &[("shares", 2)])).await;
        (desk, service)
    }

    async fn update(&self, request: UpdateServiceRequest) -> Result<Operation, Status> {
        Ok(self.client.services().update_service(request).await?.into_inner())
    }

    async fn updated(&self, request: UpdateServiceRequest) -> Operation {
        let accepted = self.update(request).await.expect("the change is accepted");
        self.client.done(&accepted.name).await
    }

    async fn ended(&self, service: &str) -> Operation {
        let accepted = self.client.services().terminate_service(end(service)).await;
        self.client.done(&accepted.expect("it is accepted").into_inner().name).await
    }
}

#[tokio::test]
async fn a_quantity_is_changed_once() {
    let (desk, service) = Desk::with_service().await;
    let mut request = quantity(&service.name, 5);
    request.service.as_mut().expect("a service").etag.clone_from(&service.etag);
    assert_ne!(service.etag, "");
    succeeded(desk.updated(request.clone()).await);
    let changed = desk.client.service(&service.name).await.expect("it is there");
    assert_eq!(changed.quantity, 5);
    assert_ne!(changed.etag, service.etag);
    succeeded(desk.updated(request).await);
    assert_eq!(asked(&desk.upstream, "hosting.product.update"), 1);

    let mut stale = quantity(&service.name, 6);
    stale.service.as_mut().expect("a service").etag = service.etag;
    let status = desk.update(stale).await.expect_err("it has changed");
    assert_eq!(told(&status), (Code::Aborted, "ETAG_MISMATCH".to_owned(), String::new()));
    assert_eq!(sold(&desk.upstream, Kind::ProductUpdate).len(), 1);
}

#[tokio::test]
async fn one_write_at_a_time_on_one_service() {
    let (desk, service) = Desk::with_service().await;
    let mode = Mode { bill_ms: 3000, ..desk.upstream.mode() };
    desk.upstream.set_mode(mode).expect("a mode");
    let first = desk.update(quantity(&service.name, 5)).await.expect("accepted");
    for status in [
        desk.update(quantity(&service.name, 6)).await.expect_err("the first has not ended"),
        desk.client.services().terminate_service(end(&service.name)).await.expect_err("nor here"),
    ] {
        let (code, reason, _) = told(&status);
        assert_eq!((code, reason.as_str()), (Code::Aborted, "OPERATION_IN_PROGRESS"));
        assert!(status.message().contains(&first.name), "{}", status.message());
    }
    succeeded(desk.client.done(&first.name).await);
    succeeded(desk.ended(&service.name).await);
    assert_eq!(spends(&desk.upstream), 3);
}

#[tokio::test]
async fn what_the_upstream_would_refuse_is_not_sent() {
    let used = [("servers".to_owned(), 12.0)].into();
    let account = AccountSeed { used, ..AccountSeed::default() };
    let desk = Desk::open(Options { accounts: vec![account], ..Options::default() }).await;
    for (operation, why) in [
        (desk.updated(quantity(FREE, 13)).await, "no_action_on_free_product"),
        (desk.ended(FREE).await, "not_available_resource"),
    ] {
        assert_eq!((operation.state(), reason(&operation)), (State::Failed, "STATE_CONFLICT"));
        assert!(failure(&operation).message.contains(why), "{operation:#?}");
        assert_eq!(operation.attempts.len(), 0);
    }
    assert_eq!(spends(&desk.upstream), 0);
}

#[tokio::test]
async fn a_service_that_was_ended_is_gone() {
    let (desk, service) = Desk::with_service().await;
    succeeded(desk.ended(&service.name).await);
    let status = desk.client.service(&service.name).await.expect_err("it is gone");
    assert_eq!(status.code(), Code::NotFound);
    // The upstream pays back when the deletion is done.
    assert_eq!(sold(&desk.upstream, Kind::Refund), sold(&desk.upstream, Kind::ProductDelete));
    let status = desk.client.services().terminate_service(end(&service.name)).await;
    let (code, reason, _) = told(&status.expect_err("it is gone"));
    assert_eq!((code, reason.as_str()), (Code::NotFound, "SERVICE_NOT_FOUND"));
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_once() {
    for (kind, sent) in [(FaultKind::DropAfterCommit, 1), (FaultKind::DropBeforeCommit, 2)] {
        let (desk, service) = Desk::with_service().await;
        desk.upstream.inject(Fault::next("hosting.product.update", kind.clone()));
        let operation = succeeded(desk.updated(quantity(&service.name, 5)).await);
        assert_eq!(operation.attempts.len() as u64, sent, "{kind:?}");
        assert_eq!(asked(&desk.upstream, "hosting.product.update"), sent, "{kind:?}");
        assert_eq!(sold(&desk.upstream, Kind::ProductUpdate).len(), 1, "{kind:?}");
        let changed = desk.client.service(&service.name).await.expect("it is there");
        assert_eq!(changed.quantity, 5, "{kind:?}");

        desk.upstream.inject(Fault::next("hosting.product.delete", kind.clone()));
        succeeded(desk.ended(&service.name).await);
        assert_eq!(asked(&desk.upstream, "hosting.product.delete"), sent, "{kind:?}");
        assert_eq!(sold(&desk.upstream, Kind::ProductDelete).len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn the_same_request_at_the_same_moment_is_the_same_operation() {
    let (desk, service) = Desk::with_service().await;
    let request = end(&service.name);
    // What this one is told of the service comes too late, and it is refused for want of it; meanwhile
    // the other is accepted.
    let before = asked(&desk.upstream, LOOK);
    desk.upstream.inject(Fault::next(LOOK, FaultKind::Slow { ms: 60_000 }));
    let (mut services, late) = (desk.client.services(), request.clone());
    let late = tokio::spawn(async move { services.terminate_service(late).await });
    until("it has been asked", || async { asked(&desk.upstream, LOOK) > before }).await;
    let first = desk.client.services().terminate_service(request).await;
    let first = first.expect("it is accepted").into_inner();
    let late = late.await.expect("no panic").expect("it is the same request").into_inner();
    assert_eq!(late.name, first.name);
    succeeded(desk.client.done(&first.name).await);
    assert_eq!(sold(&desk.upstream, Kind::ProductDelete).len(), 1);
}
