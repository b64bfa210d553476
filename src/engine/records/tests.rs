//! What operations put on record, and how records and the upstream's word go together.

use purveyor_sdk::names::ProviderName;
use purveyor_sdk::plugin::v1::{Op, Resource, resource};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{Date, Money, Order, OrderItem, OrderPricing, Service, Term, UpstreamRef};
use uuid::Uuid;

use super::{after, merged, overlaid, recorded, services_of};
use crate::engine::made_here::tests::operation;
use crate::engine::naming::tests::{LAG, engine};
use crate::store::ServiceRecord;
use crate::store::age::Age;

#[test]
fn an_order_puts_its_services_on_record() {
    let item = |services: &[&str], state: OrderState| OrderItem {
        services: services.iter().map(|name| (*name).to_owned()).collect(),
        state: state.into(),
        product: "providers/acme/products/vps".to_owned(),
        id: "i".to_owned(),
        ..OrderItem::default()
    };
    let order = Order {
        items: vec![
            item(
                &["providers/acme/services/1", "providers/acme/services/a%20b"],
                OrderState::Completed,
            ),
            item(&[], OrderState::Failed),
            item(&["not a name"], OrderState::Completed),
        ],
        annotations: [("team".to_owned(), "blue".to_owned())].into(),
        ..Order::default()
    };
    let mut ordered = operation(Op::CreateOrder, State::WaitingUpstream);
    ordered.view = Some(Resource { kind: Some(resource::Kind::Order(order)) });
    let found = services_of(&ordered);
    let ids: Vec<_> = found.iter().map(|it| it.upstream.as_ref().unwrap().id()).collect();
    assert_eq!(ids, ["1", "a b"]);
    assert_eq!(found[0].order, ordered.target);
    assert_eq!(found[0].state(), ServiceState::Active);
    assert_eq!(found[0].annotations["team"], "blue");
}

#[test]
fn what_the_caller_told_of_a_service_is_on_record() {
    let day = |month| Some(Date { year: 2019, month, day: 23 });
    let money = |text: &str| Some(Money::parse("INR", text).unwrap());
    let item = OrderItem {
        services: vec!["providers/acme/services/1334".to_owned()],
        state: OrderState::Completed.into(),
        quantity: 3,
        term: Some(Term::one_time("One Time")),
        pricing: Some(OrderPricing {
            recurring_amount: money("528.14"),
            purchase_amount: money("600"),
            ..OrderPricing::default()
        }),
        start_date: day(7),
        next_due_date: day(8),
        ..OrderItem::default()
    };
    let (customer, partner) = ("652".to_owned(), "7".to_owned());
    let order = Order { items: vec![item.clone()], customer, partner, ..Order::default() };
    let mut ordered = operation(Op::CreateOrder, State::Succeeded);
    ordered.view = Some(Resource { kind: Some(resource::Kind::Order(order)) });
    let [service] = services_of(&ordered).try_into().unwrap();
    assert_eq!((service.customer.as_str(), service.partner.as_str()), ("652", "7"));
    assert_eq!((service.start_date, service.next_due_date), (day(7), day(8)));
    assert_eq!((service.quantity, service.term), (3, item.term));
    assert_eq!(service.price.unwrap().amount, money("528.14"));
}

#[test]
fn what_was_done_to_a_service_is_its_state_where_nothing_is_told() {
    fn check(op: Op, state: State, told: Option<ServiceState>, expected: Option<ServiceState>) {
        let mut acted = operation(op, state);
        acted.target = "providers/acme/services/9".to_owned();
        acted.upstream_target = vec!["9".to_owned()];
        acted.view = told.map(|state| Resource {
            kind: Some(resource::Kind::Service(Service {
                state: state.into(),
                ..Service::default()
            })),
        });
        let found = services_of(&acted);
        assert_eq!(found.first().map(Service::state), expected, "{op:?} {state:?} {told:?}");
    }
    use ServiceState::{Active, Suspended, Suspending, Terminated};
    check(Op::SuspendService, State::Succeeded, None, Some(Suspended));
    check(Op::SuspendService, State::Succeeded, Some(Suspending), Some(Suspending));
    check(Op::ResumeService, State::Succeeded, None, Some(Active));
    check(Op::TerminateService, State::Succeeded, None, Some(Terminated));
    check(Op::TerminateService, State::Failed, None, None);
    check(Op::TerminateService, State::OutcomeUnknown, None, None);
    check(Op::PayOrder, State::Succeeded, None, None);
}

#[test]
fn what_is_not_told_stays_on_record() {
    let before = Service {
        name: "providers/acme/services/9".to_owned(),
        order: "providers/acme/orders/1".to_owned(),
        quantity: 2,
        state: ServiceState::Active.into(),
        ..Service::default()
    };
    let told = Service {
        name: before.name.clone(),
        state: ServiceState::Suspended.into(),
        ..Service::default()
    };
    let after = merged(before, told);
    assert_eq!(after.order, "providers/acme/orders/1");
    assert_eq!((after.quantity, after.state()), (2, ServiceState::Suspended));
}

/// An identifier that comes back is not gone.
#[test]
fn what_is_told_of_is_there() {
    let told = |state: ServiceState| Service {
        upstream: Some(UpstreamRef::of("9".to_owned())),
        state: state.into(),
        ..Service::default()
    };
    let first = after(None, told(ServiceState::Active), "acme", Uuid::from_u128(1));
    let gone = ServiceRecord { gone_since: Some(Age::from_nanos(5)), ..first };
    let again = after(Some(gone), told(ServiceState::Active), "acme", Uuid::from_u128(2));
    assert_eq!(again.gone_since, None);
}

#[test]
fn the_upstream_knows_better_but_not_everything() {
    let record = |order: &str| ServiceRecord {
        provider: "acme".to_owned(),
        upstream_id: "9".to_owned(),
        operation: Uuid::from_u128(1),
        service: Service {
            order: order.to_owned(),
            quantity: 7,
            annotations: [("team".to_owned(), "blue".to_owned())].into(),
            ..Service::default()
        },
        version: 1,
        gone_since: None,
    };
    let live = Service {
        name: "providers/acme/services/9".to_owned(),
        aliases: vec![
            "providers/acme/services/9".to_owned(),
            "providers/acme/services/x".to_owned(),
        ],
        quantity: 2,
        ..Service::default()
    };
    let shown = overlaid(live, Some(record("providers/acme/orders/1")));
    assert_eq!(shown.quantity, 2);
    assert_eq!(shown.order, "providers/acme/orders/1");
    assert_eq!(shown.annotations["team"], "blue");
    assert_eq!(shown.aliases, ["providers/acme/services/x"]);
    let alone = recorded(record(""));
    assert!(alone.recorded_only && !alone.etag.is_empty());
}

/// Two reads of which the second was begun a lag after the first was answered end the claims, and none that
/// was begun before, however late its answer came.
#[tokio::test]
async fn what_reads_show_counts_from_when_they_were_begun() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder).await;
    let provider = engine.configured(&ProviderName::new("acme").unwrap()).unwrap();
    let is_gone_since = || engine.inner.gone.products().values().next().copied();
    let read = async |asked: Age| {
        engine.product_read_showed(&provider, "9", false, asked).await.unwrap();
        is_gone_since()
    };
    let since = read(engine.age()).await.expect("it is noticed");
    let enough = since + LAG + engine.store().age().slack;
    assert_eq!(read(since).await, Some(since));
    assert_eq!(read(Age::from_nanos(enough.as_nanos() - 1)).await, Some(since));
    assert_eq!(read(enough).await, None, "it is over with it");
    read(enough).await;
    engine.product_read_showed(&provider, "9", true, enough).await.unwrap();
    assert_eq!(is_gone_since(), None, "it is there again");
}
