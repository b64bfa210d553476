//! Services: what the account has, changing a quantity, ending one.

use std::time::Duration;

use purveyor_sdk::plugin::v1::{Op, Write, resource};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{Ended, write};
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{
    ErrorReason, ListServicesRequest, ListServicesResponse, Service, TerminateServiceRequest,
    UpdateServiceRequest,
};
use purveyor_sdk::{etag, v1};
use purveyor_simulators::Kind;
use purveyor_simulators::gandi::{AccountSeed, Mode, NullStyle, Options};

use super::driver::{Bench, reason, service_name};

fn update(id: &str, quantity: i32) -> Write {
    let service = Service { name: service_name(id), quantity, ..Service::default() };
    let request = UpdateServiceRequest { service: Some(service), ..Default::default() };
    write(Op::UpdateService, &request, id)
}

fn terminate(id: &str) -> Write {
    let request = TerminateServiceRequest { name: service_name(id), ..Default::default() };
    write(Op::TerminateService, &request, id)
}

fn id(service: &Service) -> String {
    service.upstream.as_ref().unwrap().id().to_owned()
}

async fn list(bench: &Bench, change: impl FnOnce(&mut ListServicesRequest)) -> Vec<Service> {
    let parent = "providers/test".to_owned();
    let mut request = ListServicesRequest { parent, ..ListServicesRequest::default() };
    change(&mut request);
    let page: ListServicesResponse =
        bench.plugin.read(Op::ListServices, &request, "").await.unwrap();
    page.services
}

#[tokio::test]
async fn free_products_are_services_that_never_end() {
    for null_style in [NullStyle::EmptyString, NullStyle::Nil] {
        let bench = Bench::in_mode(Mode { null_style, ..Mode::default() }).await;
        let services = list(&bench, |_| ()).await;
        let fixed = &services[0];
        assert_eq!((id(fixed).as_str(), fixed.quantity), ("11153", 12));
        assert_eq!(fixed.product, "providers/test/products/shares_fixed");
        let term = fixed.term.as_ref().unwrap();
        assert_eq!((term.period.as_str(), term.upstream_value.as_str()), ("P1Y", "1y"));
        assert_eq!((fixed.expire_time, fixed.state()), (None, State::Active));
        assert_eq!(fixed.renewal_policy, None);
        let actions: Vec<_> =
            fixed.actions.iter().map(|it| (it.method.as_str(), it.allowed)).collect();
        let expected = [
            ("Services.UpdateService", false),
            ("Services.TerminateService", true),
            ("Renewals.CreateRenewal", false),
        ];
        assert_eq!(actions, expected);
        let reasons = &fixed.actions[0].reasons;
        assert_eq!(reasons, &["product_name_does_not_match", "no_action_on_free_product"]);
        assert_eq!(fixed.etag, etag::of(fixed));
        let attributes = &fixed.attributes.as_ref().unwrap().fields;
        for name in ["redemption", "can_release", "errors_for_releasing", "autorenew"] {
            assert!(attributes.contains_key(name), "{name}");
        }
        assert_eq!(bench.get_service("11153").await.unwrap(), *fixed);
    }
}

#[tokio::test]
async fn filters_of_a_listing() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let end = service.expire_time.unwrap();
    let later = purveyor_sdk::prost_types::Timestamp { seconds: end.seconds + 1, ..end };
    let only = |found: Vec<Service>| found.iter().map(id).collect::<Vec<_>>();
    assert_eq!(list(&bench, |_| ()).await.len(), 3);
    let product = service.product.clone();
    assert_eq!(only(list(&bench, |it| it.product = product).await), [id(&service)]);
    assert_eq!(only(list(&bench, |it| it.expire_before = Some(later)).await), [id(&service)]);
    assert_eq!(list(&bench, |it| it.expire_before = Some(end)).await.len(), 0);
    assert_eq!(list(&bench, |it| it.states = vec![State::Expired.into()]).await.len(), 0);
    assert_eq!(list(&bench, |it| it.customer = "x".to_owned()).await.len(), 0);
    assert_eq!(list(&bench, |it| it.page_size = 1).await.len(), 1);
}

#[tokio::test]
async fn times_are_read_in_the_configured_zone() {
    let mode = Mode { time_zone: "Europe/Paris".to_owned(), ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let name = service_name("11153");
    let request = v1::GetServiceRequest { name };
    let read = async |zone| {
        let plugin = bench.reopened(json!({}), zone);
        let service: Service = plugin.read(Op::GetService, &request, "11153").await.unwrap();
        service.create_time.unwrap().seconds
    };
    let difference = read("UTC").await - read("Europe/Paris").await;
    assert!([3600, 7200].contains(&difference), "{difference}");
}

#[tokio::test]
async fn what_is_past_its_end_can_still_be_seen() {
    let bench = Bench::new().await;
    let service = bench.service("disk", 1, 1).await;
    bench.upstream.advance(Duration::from_secs(33 * 86_400));
    assert_eq!(bench.get_service(&id(&service)).await.unwrap().state(), State::Redemption);
    bench.upstream.advance(Duration::from_secs(8 * 86_400));
    let gone = bench.get_service(&id(&service)).await;
    assert_eq!(reason(gone), ErrorReason::ServiceNotFound);
}

#[tokio::test]
async fn what_cannot_be_an_identifier_is_not_asked_for() {
    let bench = Bench::new().await;
    for wrong in ["abc", "0", "-5", "0011153", "99999999999", ""] {
        assert_eq!(reason(bench.get_service(wrong).await), ErrorReason::ServiceNotFound);
    }
    assert_eq!(bench.asked("hosting.account.info"), 0);
}

#[tokio::test]
async fn a_quantity_is_changed() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 12).await;
    let quote = bench.quote(&update(&id(&service), 5)).await.unwrap();
    assert_eq!(quote.price.unwrap().amount.unwrap().to_decimal().unwrap(), "150");
    assert!(quote.balance.is_some());
    assert_eq!(bench.quote(&update(&id(&service), 1)).await.unwrap().price, None);

    let changed = bench.run(&update(&id(&service), 5)).await.service();
    assert_eq!((changed.quantity, id(&changed)), (5, id(&service)));
    assert!(changed.attributes.unwrap().fields.contains_key("operation"));
    assert_eq!(bench.upstream.ledger().last().unwrap().sale.kind, Kind::ProductUpdate);
    assert_eq!(bench.get_service(&id(&service)).await.unwrap().quantity, 5);

    let same = bench.run(&update(&id(&service), 5)).await.error();
    assert_eq!(same.reason, ErrorReason::UpstreamRejected);
    assert_eq!(same.metadata["upstream_code"], "535144");
}

#[tokio::test]
async fn what_the_upstream_forbids_is_not_sent() {
    let bench = Bench::new().await;
    let error = bench.run(&update("11153", 5)).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    assert!(error.message.contains("no_action_on_free_product"), "{error}");
    assert_eq!(reason(bench.quote(&update("11153", 5)).await), ErrorReason::StateConflict);
    assert_eq!(bench.run(&update("77", 5)).await.error().reason, ErrorReason::ServiceNotFound);
    assert_eq!(bench.asked("hosting.product.update"), 0);

    let used = [("shares".to_owned(), 12.0)].into();
    bench.upstream.put_account(AccountSeed { used, ..AccountSeed::default() }).unwrap();
    let error = bench.run(&terminate("11153")).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    assert!(error.message.contains("not_available_resource"), "{error}");
    assert_eq!(bench.asked("hosting.product.delete"), 0);
}

#[tokio::test]
async fn a_service_is_terminated_once_and_money_comes_back() {
    let bench = Bench::new().await;
    let service = bench.service("shares", 1, 1).await;
    let quote = bench.quote(&terminate(&id(&service))).await.unwrap();
    assert_eq!((quote.steps[0].call.as_str(), quote.price), ("product.delete", None));
    let ended = bench.run(&terminate(&id(&service))).await.service();
    assert_eq!(ended.state(), State::Terminated);
    assert!(ended.attributes.unwrap().fields.contains_key("operation"));
    assert!(bench.upstream.ledger().iter().any(|entry| entry.sale.kind == Kind::Refund));
    let gone = bench.get_service(&id(&service)).await;
    assert_eq!(reason(gone), ErrorReason::ServiceNotFound);
    assert_eq!(bench.asked("hosting.product.delete"), 1);
}

#[tokio::test]
async fn deleting_has_one_spelling() {
    let bench = Bench::with(Options::default(), json!({"spelling": "short"})).await;
    let service = bench.service("shares", 1, 1).await;
    bench.run(&update(&id(&service), 2)).await.service();
    bench.run(&terminate(&id(&service))).await.service();
    assert_eq!((bench.asked("product.update"), bench.asked("hosting.product.delete")), (1, 1));
}

#[tokio::test]
async fn a_change_that_the_upstream_gives_up_has_failed() {
    for step in ["ERROR", "CANCEL"] {
        let bench = Bench::new().await;
        let service = bench.service("cores", 2, 1).await;
        bench.set(|mode| mode.bill_ms = 60_000);
        let (write, at) = (update(&id(&service), 3), purveyor_sdk::testing::Position::default());
        let at = bench.prepared(&write, at).await.unwrap();
        let stepped = bench.step_at(&write, &at).await.unwrap();
        let purveyor_sdk::plugin::v1::step_outcome::Outcome::Pending(pending) = stepped else {
            panic!("{stepped:?}");
        };
        bench.upstream.set_step(637_367, step, Some("no cores left")).unwrap();
        let Ended::Failed(error, Some(resource::Kind::Service(view))) =
            bench.follow(&write, pending.handle).await
        else {
            panic!("{step} is no failure");
        };
        assert_eq!(error.reason, ErrorReason::UpstreamFailed);
        assert_eq!((view.quantity, error.message.contains("no cores left")), (2, step == "ERROR"));
    }
}
