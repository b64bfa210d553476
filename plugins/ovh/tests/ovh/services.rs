//! Services: by number and by name, and what is changed of them.

use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::prost_types::FieldMask;
use purveyor_sdk::testing::{Ended, Position, write};
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{
    ErrorReason, ListServicesRequest, ListServicesResponse, ListView, RenewalPolicy,
    ResumeServiceRequest, Service, SuspendServiceRequest, Term, TerminateServiceRequest,
    UpdateServiceRequest,
};
use purveyor_simulators::ovh::{AccountSeed, Mode, Rule};

use super::driver::{Bench, day, reason, service_name};

async fn list(bench: &Bench, request: ListServicesRequest) -> Result<ListServicesResponse> {
    bench.plugin.read(Op::ListServices, &request, "").await
}

async fn suspend(bench: &Bench) -> Ended {
    let request = SuspendServiceRequest { name: service_name("12345"), ..Default::default() };
    bench.run(Op::SuspendService, &request, "12345").await
}

async fn resume(bench: &Bench) -> Ended {
    let request = ResumeServiceRequest { name: service_name("12345"), ..Default::default() };
    bench.run(Op::ResumeService, &request, "12345").await
}

async fn terminate(bench: &Bench) -> Ended {
    let request = TerminateServiceRequest { name: service_name("12345"), ..Default::default() };
    bench.run(Op::TerminateService, &request, "12345").await
}

fn update(policy: RenewalPolicy, paths: &[&str]) -> UpdateServiceRequest {
    let service =
        Service { name: service_name("12345"), renewal_policy: Some(policy), ..Service::default() };
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdateServiceRequest {
        service: Some(service),
        update_mask: Some(FieldMask { paths }),
        ..UpdateServiceRequest::default()
    }
}

#[tokio::test]
async fn a_service_in_full() {
    let bench = Bench::new().await;
    let service = bench.service("12345").await.unwrap();
    assert_eq!(service.name, service_name("12345"));
    assert_eq!(service.aliases, [service_name("vps112233.ovh.net")]);
    assert_eq!((service.state(), service.service_type.as_str()), (State::Active, "VPS SSD 1"));
    assert_eq!((service.display_name.as_str(), service.quantity), ("vps112233.ovh.net", 1));
    assert_eq!(service.expire_time, Some(day("2099-03-31")));
    let upstream = service.upstream.as_ref().unwrap();
    assert_eq!((upstream.id(), upstream.state.as_str()), ("12345", "ok"));
    let policy = service.renewal_policy.as_ref().unwrap();
    assert!(policy.auto_renew() && !policy.cancel_at_expiry() && !policy.forced);
    assert_eq!(policy.term.as_ref().unwrap().period, "P1M");
    assert_eq!(service.notices[0].reason, "AUTO_RENEWS");
    let attributes = service.attributes.as_ref().unwrap();
    assert!(
        attributes.fields.contains_key("serviceInfos") && attributes.fields.contains_key("plan")
    );
    assert!(service.actions.iter().any(|it| it.method == "Services.SuspendService" && it.allowed));
    assert!(!service.etag.is_empty());
}

#[tokio::test]
async fn names_lead_to_numbers() {
    let bench = Bench::new().await;
    let check = async |alias: &str, expected: Result<&str, ErrorReason>| {
        let found = bench.service(alias).await.map_err(|error| error.reason);
        let expected = expected.map(service_name);
        assert_eq!(found.map(|service| service.name), expected, "{alias}");
    };
    check("vps112233.ovh.net", Ok("12345")).await;
    check("domain/example.ovh", Ok("54321")).await;
    check("hosting/web/example.ovh", Ok("67890")).await;
    for none in ["example.ovh", "77", "a/b/c/d", "vps/..", "12345678901234567890"] {
        check(none, Err(ErrorReason::ServiceNotFound)).await;
    }
    for id in ["54321", "67890"] {
        let service = bench.service(id).await.unwrap();
        let alias = service.aliases[0].strip_prefix("providers/test/services/").unwrap();
        let found = bench.service(&alias.replace("%2F", "/")).await.unwrap();
        assert_eq!(found, service);
    }
    // An option has no address of its own.
    assert!(bench.service("12346").await.unwrap().aliases.is_empty());
}

#[tokio::test]
async fn lists_show_numbers_and_full_rows_when_asked() {
    let bench = Bench::new().await;
    let all = ListServicesRequest { parent: "providers/test".to_owned(), ..Default::default() };
    let page = list(&bench, all.clone()).await.unwrap();
    assert_eq!(page.services.len(), 4);
    assert_eq!(page.services[0].upstream.as_ref().unwrap().id(), "12345");
    assert!(page.services.iter().all(|row| row.etag.is_empty()));
    assert_eq!(bench.asked("GET /service/{serviceId}"), 0);
    let full = ListServicesRequest { view: ListView::Full.into(), page_size: 3, ..all.clone() };
    let page = list(&bench, full.clone()).await.unwrap();
    assert_eq!(page.services[0], bench.service("12345").await.unwrap());
    let rest = ListServicesRequest { page_token: page.next_page_token, ..full };
    assert_eq!(list(&bench, rest).await.unwrap().services.len(), 1);
    let filter =
        async |request: ListServicesRequest| list(&bench, request).await.unwrap().services.len();
    let states = |state: State| vec![state.into()];
    assert_eq!(
        filter(ListServicesRequest { states: states(State::Active), ..all.clone() }).await,
        4
    );
    assert_eq!(
        filter(ListServicesRequest { states: states(State::Suspended), ..all.clone() }).await,
        0
    );
    let before = |text| Some(day(text));
    assert_eq!(
        filter(ListServicesRequest { expire_before: before("2099-04-01"), ..all.clone() }).await,
        4
    );
    assert_eq!(
        filter(ListServicesRequest { expire_before: before("2099-03-31"), ..all.clone() }).await,
        0
    );
    assert_eq!(filter(ListServicesRequest { customer: "x".to_owned(), ..all.clone() }).await, 0);
    let refused = list(&bench, ListServicesRequest { page_token: "x".to_owned(), ..all }).await;
    assert_eq!(reason(refused), ErrorReason::PageTokenInvalid);
}

#[tokio::test]
async fn suspended_resumed_and_terminated() {
    let bench = Bench::new().await;
    assert_eq!(terminate(&bench).await.error().reason, ErrorReason::SuspendFirst);
    assert_eq!(bench.asked("POST /service/{serviceId}/terminate"), 0);
    assert_eq!(suspend(&bench).await.service().state(), State::Suspended);
    assert_eq!(resume(&bench).await.service().state(), State::Active);
    suspend(&bench).await.service();
    assert_eq!(terminate(&bench).await.service().state(), State::Terminated);
    assert_eq!(resume(&bench).await.error().reason, ErrorReason::StateConflict);
}

#[tokio::test]
async fn a_change_is_done_when_it_is_shown() {
    let bench = Bench::in_mode(Mode { change_ms: 1000, ..Mode::default() }).await;
    let request = SuspendServiceRequest { name: service_name("12345"), ..Default::default() };
    let write = write(Op::SuspendService, &request, "12345");
    let at = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Pending(pending)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    use purveyor_sdk::plugin::v1::poll_outcome::Outcome;
    let polled = bench.plugin.poll_one(&write, &pending.handle).await.unwrap();
    let Outcome::Pending(pending) = polled else { panic!("{polled:?}") };
    let Some(purveyor_sdk::Resource::Service(view)) = pending.view.unwrap().kind else { panic!() };
    assert_eq!(view.state(), State::Suspending);
    bench.upstream.advance(std::time::Duration::from_secs(1));
    let service = bench.plugin.follow(&write, pending.handle).await.service();
    assert_eq!(service.state(), State::Suspended);
}

#[tokio::test]
async fn what_happens_at_the_end_of_the_term() {
    let bench = Bench::new().await;
    let policy = RenewalPolicy {
        auto_renew: Some(false),
        cancel_at_expiry: Some(true),
        term: Some(Term::recurring(purveyor_sdk::Period::Months(3), "")),
        forced: false,
    };
    let request = update(policy.clone(), &["renewal_policy"]);
    let service = bench.run(Op::UpdateService, &request, "12345").await.service();
    let now = service.renewal_policy.unwrap();
    assert_eq!((now.auto_renew, now.cancel_at_expiry), (Some(false), Some(true)));
    assert_eq!(now.term.unwrap().period, "P3M");
    let request = update(RenewalPolicy::default(), &["renewal_policy.cancel_at_expiry"]);
    let service = bench.run(Op::UpdateService, &request, "12345").await.service();
    let now = service.renewal_policy.unwrap();
    assert_eq!((now.auto_renew, now.cancel_at_expiry), (Some(false), Some(false)));
    assert_eq!(now.term.unwrap().period, "P3M", "what is not named stays");

    let day = Term::recurring(purveyor_sdk::Period::Days(3), "");
    let request = update(RenewalPolicy { term: Some(day), ..policy }, &["renewal_policy.term"]);
    let error = bench.run(Op::UpdateService, &request, "12345").await.error();
    assert_eq!(error.violations[0].field, "service.renewal_policy.term");
    // An option has no serviceInfos that could be changed.
    let request = update(RenewalPolicy::default(), &["renewal_policy"]);
    let error = bench.run(Op::UpdateService, &request, "12346").await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
}

#[tokio::test]
async fn a_new_subscription_is_tried_again() {
    let bench = Bench::in_mode(Mode { inactive: true, ..Mode::default() }).await;
    let write =
        write(Op::UpdateService, &update(RenewalPolicy::default(), &["renewal_policy"]), "12345");
    let at = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Rejected(rejected)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    assert_eq!(rejected.proof, "not_active");
    let manifest = purveyor_sdk::testing::TestHost::<purveyor_ovh::Ovh>::manifest().unwrap();
    let proof = manifest.proofs.iter().find(|proof| proof.name == "not_active").unwrap();
    assert!(proof.may_repeat);
}

#[tokio::test]
async fn quotes_of_changes() {
    let bench = Bench::new().await;
    let calls = async |op: Op, request: &dyn Fn() -> purveyor_sdk::plugin::v1::Write| {
        assert_eq!(request().op(), op);
        bench.plugin.quote(&request()).await.map(|quote| quote.steps[0].call.clone())
    };
    let suspend = SuspendServiceRequest { name: service_name("12345"), ..Default::default() };
    let suspend = || write(Op::SuspendService, &suspend, "12345");
    assert_eq!(calls(Op::SuspendService, &suspend).await.unwrap(), "service.suspend");
    let terminate = TerminateServiceRequest { name: service_name("12345"), ..Default::default() };
    let terminate = || write(Op::TerminateService, &terminate, "12345");
    assert_eq!(reason(calls(Op::TerminateService, &terminate).await), ErrorReason::SuspendFirst);
    let change = || {
        write(Op::UpdateService, &update(RenewalPolicy::default(), &["renewal_policy"]), "67890")
    };
    assert_eq!(calls(Op::UpdateService, &change).await.unwrap(), "infos.put.long");
}

#[tokio::test]
async fn a_key_that_may_not_ask_for_everything_still_shows_services() {
    let bench = Bench::new().await;
    let rule = |method: &str, path: &str| Rule { method: method.into(), path: path.into() };
    let rules = vec![rule("GET", "/vps*"), rule("GET", "/service*")];
    bench.change_account(|account| *account = AccountSeed { rules, ..AccountSeed::default() });
    assert_eq!(bench.service("vps112233.ovh.net").await.unwrap().name, service_name("12345"));
    let service = bench.service("54321").await.unwrap();
    assert_eq!(service.expire_time, Some(day("2099-03-31")));
    assert!(service.renewal_policy.unwrap().auto_renew(), "told by the service itself");
    assert!(bench.plugin.log_lines().iter().any(|line| line.contains("serviceInfos")));
}
