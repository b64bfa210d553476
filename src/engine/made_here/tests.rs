//! How orders and renewals of ours are shown, by what the operation and the upstream tell.

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::etag;
use purveyor_sdk::names::ProviderName;
use purveyor_sdk::plugin::v1::{Op, Resource, resource};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, Effect, Order, OrderItem, Renewal, RequiredAction,
    UpstreamRef,
};
use uuid::Uuid;

use super::{dressed, foreign, recorded, upstream_ids};
use crate::engine::naming::is_named;
use crate::store::age::Age;
use crate::store::operation::{Attempt, Observed, Operation};

const ID: &str = "00000000-0000-0000-0000-000000000007";

/// An operation of which nothing but its kind and state is known.
pub(in crate::engine) fn operation(op: Op, state: State) -> Operation {
    let collection = if op == Op::CreateRenewal { "renewals" } else { "orders" };
    Operation {
        owner: "local".to_owned(),
        actor: "local".to_owned(),
        account: "a".to_owned(),
        target: format!("providers/acme/{collection}/{ID}"),
        fingerprint: [0; 32],
        state,
        start_before: Timestamp::UNIX_EPOCH,
        wake_time: None,
        ..Operation::new(Uuid::from_u128(7), op, "acme", Timestamp::UNIX_EPOCH, Age::from_nanos(0))
    }
}

pub(in crate::engine) fn attempt(outcome: Outcome, upstream_id: &str) -> Attempt {
    Attempt {
        number: 1,
        step: 1,
        nonce: Uuid::from_u128(1),
        call: "order.create".to_owned(),
        effect: Effect::Spend,
        permit_time: Timestamp::UNIX_EPOCH,
        permit_age: Age::from_nanos(0),
        outcome,
        message: String::new(),
        upstream_id: upstream_id.to_owned(),
        plugin: "acme 1.0.0".to_owned(),
        plugin_sha256: String::new(),
        answer_status: 0,
        answer: Vec::new(),
        observed: Observed::Nothing,
        unapplied: None,
    }
}

fn acme() -> ProviderName {
    ProviderName::new("acme").unwrap()
}

fn item(product: &str, id: &str, state: OrderState) -> OrderItem {
    OrderItem {
        product: format!("providers/acme/products/{product}"),
        id: id.to_owned(),
        quantity: 1,
        state: state.into(),
        ..OrderItem::default()
    }
}

fn ordered(state: State, view: Option<Order>) -> Operation {
    let asked = Order {
        items: vec![
            item("disk", "", OrderState::Unspecified),
            item("cpu", "", OrderState::Unspecified),
        ],
        reference: "mine".to_owned(),
        annotations: [("team".to_owned(), "blue".to_owned())].into(),
        ..Order::default()
    };
    let request = CreateOrderRequest { order: Some(asked), ..CreateOrderRequest::default() };
    Operation {
        request: request.encode_to_vec(),
        upstream: view.as_ref().and_then(|view| view.upstream.clone()).unwrap_or_default(),
        view: view.map(|view| Resource { kind: Some(resource::Kind::Order(view)) }),
        ..operation(Op::CreateOrder, state)
    }
}

/// The upstream objects with these identifiers, with spaces between.
fn upstream(ids: &str) -> Option<UpstreamRef> {
    let ids = ids.split_whitespace().map(str::to_owned).collect();
    Some(UpstreamRef { ids, ..UpstreamRef::default() })
}

#[test]
fn what_the_upstream_does_not_know_is_shown_from_the_record() {
    fn check(state: State, unknown: bool, expected: OrderState) {
        let mut operation = ordered(state, None);
        if unknown {
            operation.attempts = vec![attempt(Outcome::Unknown, "")];
        }
        let order: Order = recorded(&acme(), &operation).unwrap();
        assert_eq!(order.state(), expected, "{state:?} {unknown}");
        assert_eq!(order.items[1].state(), expected);
        assert_eq!(order.name, format!("providers/acme/orders/{ID}"));
        assert_eq!(order.operation, format!("operations/{ID}"));
        assert_eq!((order.reference.as_str(), &*order.annotations["team"]), ("mine", "blue"));
        assert_eq!(order.etag, etag::of(&order));
        assert!(order.create_time.is_some() && order.aliases.is_empty());
    }
    check(State::Accepted, false, OrderState::Pending);
    check(State::Running, false, OrderState::Pending);
    check(State::OutcomeUnknown, true, OrderState::OutcomeUnknown);
    check(State::Reconciling, true, OrderState::OutcomeUnknown);
    check(State::NeedsOperator, true, OrderState::OutcomeUnknown);
    check(State::NeedsOperator, false, OrderState::Pending);
    check(State::Failed, false, OrderState::Failed);
    check(State::Cancelled, false, OrderState::Cancelled);
    check(State::Succeeded, false, OrderState::Completed);
}

#[test]
fn a_state_that_was_seen_stays_where_the_operation_says_nothing_else() {
    fn check(seen: OrderState, state: State, expected: OrderState) {
        let view = Order { state: seen.into(), upstream: upstream("1"), ..Order::default() };
        let order: Order = recorded(&acme(), &ordered(state, Some(view))).unwrap();
        assert_eq!(order.state(), expected, "{seen:?} {state:?}");
    }
    check(OrderState::AwaitingPayment, State::Succeeded, OrderState::AwaitingPayment);
    check(OrderState::AwaitingPayment, State::WaitingUpstream, OrderState::AwaitingPayment);
    check(OrderState::Provisioning, State::OutcomeUnknown, OrderState::OutcomeUnknown);
    check(OrderState::Expired, State::Failed, OrderState::Expired);
    check(OrderState::Completed, State::Failed, OrderState::Failed);
    check(OrderState::Completed, State::Accepted, OrderState::Provisioning);
}

#[test]
fn the_upstreams_word_is_filled_up_with_what_was_asked() {
    let live = Order {
        state: OrderState::Provisioning.into(),
        upstream: upstream("41 42"),
        items: vec![
            item("disk", "41", OrderState::Completed),
            item("cpu", "42", OrderState::Provisioning),
        ],
        ..Order::default()
    };
    let view = Order { upstream: upstream("41 42"), ..live.clone() };
    let own = format!("providers/acme/orders/{ID}");
    let live = Order { aliases: vec![own, "providers/acme/orders/42".to_owned()], ..live };
    let order = dressed(live, &acme(), &ordered(State::WaitingUpstream, Some(view)), true).unwrap();
    assert_eq!(order.items.len(), 2);
    assert_eq!(order.reference, "mine");
    assert_eq!(order.aliases, ["providers/acme/orders/41", "providers/acme/orders/42"]);
    assert_eq!(order.etag, etag::of(&order));
}

#[test]
fn an_order_is_not_complete_while_items_are_still_to_come() {
    fn check(state: State, view: &[OrderItem], live: &[OrderItem], expected: OrderState) {
        let order = |items: &[OrderItem]| Order {
            state: OrderState::Completed.into(),
            upstream: upstream("41"),
            items: items.to_vec(),
            ..Order::default()
        };
        let operation = ordered(state, Some(order(view)));
        let shown = dressed(order(live), &acme(), &operation, true).unwrap();
        assert_eq!(shown.state(), expected, "{state:?}");
        assert_eq!(shown.items.len(), 2);
    }
    let disk = item("disk", "41", OrderState::Completed);
    let cpu = item("cpu", "42", OrderState::Completed);
    let refused = item("cpu", "", OrderState::Failed);
    let one = std::slice::from_ref(&disk);
    let both = [disk.clone(), cpu];
    check(State::Accepted, one, one, OrderState::Provisioning);
    check(State::WaitingUpstream, one, one, OrderState::Provisioning);
    check(State::WaitingUpstream, &both, &both, OrderState::Completed);
    check(State::Succeeded, &both, &both, OrderState::Completed);
    check(State::Succeeded, &[disk.clone(), refused], one, OrderState::Partial);
}

#[test]
fn what_a_person_had_to_do_is_shown_while_it_has_to_be_done() {
    let needed = || Some(RequiredAction { invoice: "K-7".to_owned(), ..RequiredAction::default() });
    let check_order = |told: OrderState, shown: bool| {
        let view = Order { required_action: needed(), ..Order::default() };
        let live = Order { state: told.into(), ..Order::default() };
        let order = dressed(live, &acme(), &ordered(State::Succeeded, Some(view)), true).unwrap();
        assert_eq!(order.required_action, needed().filter(|_| shown), "{told:?}");
    };
    check_order(OrderState::AwaitingPayment, true);
    check_order(OrderState::ActionRequired, true);
    check_order(OrderState::Unspecified, true);
    check_order(OrderState::Provisioning, false);
    check_order(OrderState::Completed, false);
    check_order(OrderState::Expired, false);
    let check_renewal = |told: RenewalState, shown: bool| {
        let view = Renewal { required_action: needed(), ..Renewal::default() };
        let mut operation = operation(Op::CreateRenewal, State::Succeeded);
        operation.view = Some(Resource { kind: Some(resource::Kind::Renewal(view)) });
        let live = Renewal { state: told.into(), ..Renewal::default() };
        let renewal = dressed(live, &acme(), &operation, true).unwrap();
        assert_eq!(renewal.required_action, needed().filter(|_| shown), "{told:?}");
    };
    check_renewal(RenewalState::AwaitingPayment, true);
    check_renewal(RenewalState::Unspecified, true);
    check_renewal(RenewalState::Processing, false);
    check_renewal(RenewalState::Completed, false);
}

#[test]
fn a_lost_outcome_wins_over_what_the_upstream_tells() {
    let live = Order { state: OrderState::Completed.into(), ..Order::default() };
    let mut operation = ordered(State::Reconciling, None);
    operation.attempts = vec![attempt(Outcome::Unknown, "")];
    let shown = dressed(live, &acme(), &operation, true).unwrap();
    assert_eq!(shown.state(), OrderState::OutcomeUnknown);
}

#[test]
fn a_row_that_shows_less_has_no_etag() {
    let live = Order { upstream: upstream("1"), etag: "x".to_owned(), ..Order::default() };
    let shown = dressed(live, &acme(), &ordered(State::Succeeded, None), false).unwrap();
    assert_eq!(shown.etag, "");
}

#[test]
fn what_was_made_elsewhere_has_the_upstreams_name() {
    fn check(told: &str, asked: &str, maker: Option<Op>, expected: (&str, &str)) {
        let live = Order {
            upstream: upstream(told),
            name: "anything".to_owned(),
            aliases: vec!["providers/acme/orders/5".to_owned()],
            operation: "operations/forged".to_owned(),
            ..Order::default()
        };
        let maker = maker.map(|op| operation(op, State::Succeeded));
        let shown = foreign(live, &acme(), asked, maker.as_ref()).unwrap();
        assert_eq!((shown.name.as_str(), shown.operation.as_str()), expected);
        assert!(!shown.aliases.contains(&shown.name));
    }
    let ours = format!("operations/{ID}");
    check("5", "5", None, ("providers/acme/orders/5", ""));
    check("", "6", None, ("providers/acme/orders/6", ""));
    check("a/b", "x", None, ("providers/acme/orders/a%2Fb", ""));
    check("5", "5", Some(Op::CreateRenewal), ("providers/acme/orders/5", &ours));
    check("5", "5", Some(Op::UpdateService), ("providers/acme/orders/5", ""));
}

#[test]
fn the_first_identifier_told_is_the_things_own() {
    let mut operation = ordered(State::Running, None);
    assert!(upstream_ids(&operation).is_empty());
    operation.attempts = vec![
        attempt(Outcome::NotSent, ""),
        attempt(Outcome::Applied, "41"),
        attempt(Outcome::Applied, "payment 7"),
    ];
    assert_eq!(upstream_ids(&operation), ["41"]);
    operation.upstream.ids = vec!["41".to_owned(), "42".to_owned()];
    assert_eq!(upstream_ids(&operation), ["41", "42"]);
}

#[test]
fn renewals_follow_their_operation() {
    fn check(seen: RenewalState, state: State, expected: RenewalState) {
        let request = CreateRenewalRequest {
            renewal: Some(Renewal {
                service: "providers/acme/services/1".to_owned(),
                ..Renewal::default()
            }),
            ..CreateRenewalRequest::default()
        };
        let mut operation = operation(Op::CreateRenewal, state);
        operation.request = request.encode_to_vec();
        let view = Renewal { state: seen.into(), ..Renewal::default() };
        operation.view = Some(Resource { kind: Some(resource::Kind::Renewal(view)) });
        let shown: Renewal = recorded(&acme(), &operation).unwrap();
        assert_eq!(shown.state(), expected, "{seen:?} {state:?}");
        assert_eq!(shown.service, "providers/acme/services/1");
        assert_eq!(shown.name, format!("providers/acme/renewals/{ID}"));
    }
    use RenewalState::{Completed, Failed, OutcomeUnknown, Pending, Processing, Unspecified};
    check(Unspecified, State::Accepted, Pending);
    check(Processing, State::WaitingUpstream, Processing);
    check(Completed, State::Running, Processing);
    check(Processing, State::Reconciling, OutcomeUnknown);
    check(Processing, State::Failed, Failed);
    check(Unspecified, State::Succeeded, Completed);
}

/// What was made too often is shown under the upstream's own name: whoever pays or cancels it by that name
/// must not reach the one that the operation is.
#[test]
fn a_duplicate_has_not_the_name_of_its_operation() {
    let named = |id: &str| UpstreamRef::of(id.to_owned());
    let mut ordered = operation(Op::CreateOrder, State::Succeeded);
    ordered.upstream = named("7");
    ordered.attempts = vec![attempt(Outcome::Applied, "8"), attempt(Outcome::Applied, "7")];
    ordered.duplicates = vec![named("8")];
    for (id, ours) in [("7", true), ("8", false)] {
        assert_eq!(is_named::<Order>(&ordered, id), ours, "{id}");
    }
    assert!(!is_named::<Renewal>(&ordered, "7"));
    // What turned up late is one as well, and it is not taken for the one while that is not known yet.
    ordered.candidates = std::mem::take(&mut ordered.duplicates);
    assert!(!is_named::<Order>(&ordered, "8"));
    ordered.duplicates = vec![named("8")];
    ordered.upstream = UpstreamRef::default();
    assert_eq!(upstream_ids(&ordered), ["7"]);
}
