//! What is held by account: the same upstream object, whichever provider's name stands for it.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{Evidence, UpstreamRef};

use super::{accepted, begin, now_at, policy};
use crate::engine::machine::{Policy, apply, locks};
use crate::store::operation::Operation;

const KEY: &str = "acme https://acme.example:443 A1";

fn known() -> Policy {
    Policy { gate: KEY.into(), ..policy(Evidence::Natural) }
}

fn held(operation: &Operation, policy: &Policy) -> Vec<String> {
    locks(operation, policy).into_iter().map(|lock| lock.0).collect()
}

/// A write on something that exists, under one provider's name.
fn about(name: &str, upstream_target: &[&str]) -> Operation {
    Operation {
        op: Op::PayOrder,
        target: name.to_owned(),
        upstream_target: upstream_target.iter().map(|id| (*id).to_owned()).collect(),
        exclusive: vec![name.to_owned()],
        ..accepted()
    }
}

#[test]
fn locks_one_object_under_two_names_is_held_by_one_key() {
    let check = |name: &str, upstream_target: &[&str], expected: &[&str]| {
        let mut expected: Vec<String> = expected.iter().map(|it| format!("{KEY} {it}")).collect();
        expected.insert(0, name.to_owned());
        assert_eq!(held(&about(name, upstream_target), &known()), expected);
    };
    check("providers/one/services/77", &["77"], &["services/77"]);
    check("providers/two/services/77", &[], &["services/77"]);
    check("providers/one/products/a,b", &[], &["products/a,b"]);
    // An order of ours by its request id, and the same by what the upstream calls it.
    let ours = "providers/one/orders/00000000-0000-0000-0000-000000000009";
    check(ours, &["1001", "1002"], &["orders/1001", "orders/1002"]);
    check("providers/two/orders/1002", &["1002"], &["orders/1002"]);
}

#[test]
fn locks_what_the_operation_itself_makes_needs_only_its_name() {
    assert_eq!(held(&accepted(), &known()), [accepted().target]);
}

#[test]
fn locks_unknown_account_holds_by_name_alone() {
    let unknown = Policy { gate: String::new(), ..known() };
    let name = "providers/one/services/77";
    assert_eq!(held(&about(name, &["77"]), &unknown), [name]);
}

#[test]
fn locks_order_that_a_purchase_has_made_is_held_until_it_is_followed() {
    let made = UpstreamRef::of("1001");
    let bought = Operation { upstream: made, ..accepted() };
    assert_eq!(held(&bought, &known()), [accepted().target, format!("{KEY} orders/1001")]);
    let followed = Operation { state: State::WaitingUpstream, ..bought.clone() };
    assert_eq!(held(&followed, &known()), [""; 0]);
    let renewal = Operation { op: Op::CreateRenewal, ..bought };
    assert_eq!(held(&renewal, &known()), [accepted().target]);
}

#[test]
fn locks_account_has_every_name_that_others_may_know_it_by() {
    let policy = Policy {
        aliases: vec!["acme - A1".into()],
        legacy_gate: Some("acme/A1".into()),
        ..Policy { gate: KEY.into(), ..policy(Evidence::Difference) }
    };
    let running =
        Operation { state: State::Running, ..about("providers/one/services/77", &["77"]) };
    let expected = [
        "providers/one/services/77".to_owned(),
        format!("{KEY} services/77"),
        "acme - A1 services/77".to_owned(),
        "gate acme/A1".to_owned(),
        "gate acme - A1".to_owned(),
        format!("gate {KEY}"),
    ];
    assert_eq!(held(&running, &policy), expected);
}

#[test]
fn begin_fills_in_the_account_and_its_key() {
    let begun = apply(&accepted(), begin("A1"), &known(), &now_at(1)).unwrap().operation;
    assert_eq!((begun.account.as_str(), begun.account_key.as_str()), ("A1", KEY));
    // An operation of an older version has no key.
    let old = Operation { account: "A1".into(), ..accepted() };
    let begun = apply(&old, begin("A1"), &known(), &now_at(1)).unwrap().operation;
    assert_eq!((begun.state, begun.account_key.as_str()), (State::Running, KEY));
}
