//! What can be done to a service there besides renewing it: suspended, reopened, ended once it is
//! suspended, and what happens at the end of its term; under each of its names.

use purveyor_sdk::prost_types::{Duration, FieldMask};
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{
    Operation, RenewalPolicy, ResumeServiceRequest, Service, SuspendServiceRequest,
    TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_simulators::Fault;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::stage::{Desk, HELD, SUSPEND, VPS, VPS_BY_NAME, months, refused, release};
use crate::support::client::{failure, succeeded};
use crate::support::requests::{end, request_id};
use crate::support::until;

const TERMINATE: &str = "POST /service/{serviceId}/terminate";

fn suspension(name: &str) -> SuspendServiceRequest {
    SuspendServiceRequest {
        name: name.to_owned(),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..SuspendServiceRequest::default()
    }
}

fn resumption(name: &str) -> ResumeServiceRequest {
    ResumeServiceRequest {
        name: name.to_owned(),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..ResumeServiceRequest::default()
    }
}

fn policy(name: &str, policy: RenewalPolicy) -> UpdateServiceRequest {
    let renewal_policy = Some(policy);
    let service = Service { name: name.to_owned(), renewal_policy, ..Service::default() };
    UpdateServiceRequest {
        service: Some(service),
        update_mask: Some(FieldMask { paths: vec!["renewal_policy".to_owned()] }),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..UpdateServiceRequest::default()
    }
}

impl Desk {
    async fn carried_out(&self, accepted: Result<tonic::Response<Operation>, Status>) -> Operation {
        let name = accepted.expect("it is accepted").into_inner().name;
        succeeded(self.client.done(&name).await)
    }

    async fn state(&self) -> State {
        self.client.service(VPS).await.expect("it is there").state()
    }
}

#[tokio::test]
async fn a_server_is_ended_after_it_was_suspended() {
    let desk = Desk::open().await;
    let services = || desk.client.services();
    let asking = TerminateServiceRequest { validate_only: true, ..end(VPS) };
    let asked = services().terminate_service(asking).await.expect("it is answered").into_inner();
    assert_eq!(failure(&asked).reason, "SUSPEND_FIRST");
    let early = services().terminate_service(end(VPS)).await.expect("it is accepted");
    let early = desk.client.done(&early.into_inner().name).await;
    assert_eq!(failure(&early).reason, "SUSPEND_FIRST");
    assert_eq!((desk.state().await, desk.asked(TERMINATE)), (State::Active, 0));

    desk.carried_out(services().suspend_service(suspension(VPS)).await).await;
    assert_eq!(desk.state().await, State::Suspended);
    desk.carried_out(services().resume_service(resumption(VPS)).await).await;
    assert_eq!(desk.state().await, State::Active);
    desk.carried_out(services().suspend_service(suspension(VPS)).await).await;
    desk.carried_out(services().terminate_service(end(VPS)).await).await;
    assert_eq!(desk.state().await, State::Terminated);
    assert_eq!(desk.asked(TERMINATE), 1);
}

#[tokio::test]
async fn what_happens_at_the_end_of_a_term_is_changed_and_shown() {
    let desk = Desk::open().await;
    let before = desk.client.service(VPS).await.expect("it is there").renewal_policy;
    assert!(before.expect("a policy").auto_renew());
    let wanted = RenewalPolicy {
        auto_renew: Some(false),
        cancel_at_expiry: Some(true),
        term: months(3),
        ..RenewalPolicy::default()
    };
    let changed = desk.client.services().update_service(policy(VPS, wanted)).await;
    desk.carried_out(changed).await;
    let policy = desk.client.service(VPS).await.expect("it is there").renewal_policy;
    let policy = policy.expect("a policy");
    assert_eq!((policy.auto_renew(), policy.cancel_at_expiry()), (false, true));
    assert_eq!(policy.term.map(|term| term.period), Some("P3M".to_owned()));
    assert_eq!(desk.made_and_paid(), (0, 0));
}

#[tokio::test]
async fn term_without_a_mask_leaves_the_automatic_renewal() {
    let desk = Desk::open().await;
    let wanted = RenewalPolicy { term: months(3), ..RenewalPolicy::default() };
    let masked = policy(VPS, wanted);
    let refusal = desk.client.services().update_service(masked.clone()).await;
    let found = refusal.expect_err("unset is not false").get_details_bad_request();
    let violations = found.expect("fields").field_violations.into_iter();
    let fields: Vec<_> = violations.map(|violation| violation.field).collect();
    let [auto_renew, cancel] =
        ["auto_renew", "cancel_at_expiry"].map(|it| format!("service.renewal_policy.{it}"));
    assert_eq!(fields, [auto_renew, cancel]);

    let whole = UpdateServiceRequest { update_mask: None, ..masked };
    desk.carried_out(desk.client.services().update_service(whole).await).await;
    let policy = desk.client.service(VPS).await.expect("it is there").renewal_policy;
    let policy = policy.expect("a policy");
    assert_eq!((policy.auto_renew, policy.cancel_at_expiry), (Some(true), Some(false)));
    assert_eq!(policy.term.map(|term| term.period), Some("P3M".to_owned()));
}

#[tokio::test]
async fn two_names_of_a_server_are_one_target() {
    let desk = Desk::patient().await;
    desk.upstream.inject(Fault::next(SUSPEND, HELD));
    let accepted = desk.client.services().suspend_service(suspension(VPS_BY_NAME)).await;
    let accepted = accepted.expect("it is accepted").into_inner();
    assert_eq!(accepted.target, VPS);
    until("it is being suspended", async || desk.asked(SUSPEND) == 1).await;
    let changes = RenewalPolicy {
        auto_renew: Some(true),
        cancel_at_expiry: Some(true),
        term: months(3),
        forced: false,
    };
    for name in [VPS, VPS_BY_NAME] {
        let other = desk.client.services().update_service(policy(name, changes.clone())).await;
        assert_eq!(refused(other), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()), "{name}");
    }
    let mut renewal = desk.quarter(None).await;
    renewal.renewal.as_mut().expect("a renewal").service = VPS_BY_NAME.to_owned();
    renewal.renewal.as_mut().expect("a renewal").services[0].service = VPS_BY_NAME.to_owned();
    let other = desk.client.renewals().create_renewal(renewal).await;
    assert_eq!(refused(other), (Code::Aborted, "OPERATION_IN_PROGRESS".to_owned()));
    release(&desk.upstream);
    succeeded(desk.client.done(&accepted.name).await);
    assert_eq!(desk.state().await, State::Suspended);
    assert_eq!(desk.asked("PUT /vps/{serviceName}/serviceInfos"), 0);
}
