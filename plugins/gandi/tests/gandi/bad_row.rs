//! One row that cannot be read whole: it is shown with its gap, hides no other row, and stops only what
//! depends on it.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::find_response::Outcome;
use purveyor_sdk::rows::ROW_INCOMPLETE;
use purveyor_sdk::testing::Position;
use purveyor_sdk::time::Zone;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{
    ErrorReason, ListOrdersRequest, ListOrdersResponse, ListServicesRequest, ListServicesResponse,
    Notice, Service,
};
use purveyor_simulators::Fault;
use purveyor_simulators::FaultKind::{DropAfterCommit, DropBeforeCommit, Respell};

use super::driver::{Bench, changes, item, lose, order, person_buys, reason};

const NO_TIME: &str = "<dateTime.iso8601>00000000T00:00:00</dateTime.iso8601>";

/// The member of this name that is `from`, spelled otherwise at each call of a method.
fn respelled(bench: &Bench, method: &str, name: &str, from: &str, to: &str) {
    let spelled = |value: &str| format!("<name>{name}</name>\n<value>{value}</value>");
    let kind = Respell { from: spelled(from), to: spelled(to) };
    bench.upstream.inject(Fault { times: u32::MAX, ..Fault::next(method, kind) });
}

/// The account's first product, which is free and has no end, has one that is no time.
fn no_end(bench: &Bench) {
    respelled(bench, "hosting.account.info", "date_end", "<string></string>", NO_TIME);
}

async fn services(bench: &Bench, states: Vec<i32>) -> Vec<Service> {
    let parent = "providers/test".to_owned();
    let request = ListServicesRequest { parent, states, ..Default::default() };
    let page: ListServicesResponse =
        bench.plugin.read(Op::ListServices, &request, "").await.unwrap();
    page.services
}

fn gaps(notices: &[Notice]) -> Vec<&str> {
    let gaps = notices.iter().filter(|notice| notice.reason == ROW_INCOMPLETE);
    gaps.map(|notice| notice.source.as_str()).collect()
}

#[tokio::test]
async fn product_with_a_zero_date_is_shown_with_its_gap() {
    let bench = Bench::new().await;
    let before = services(&bench, Vec::new()).await;
    no_end(&bench);
    let after = services(&bench, Vec::new()).await;
    assert_eq!(after.len(), before.len());
    assert_eq!(after[1..], before[1..]);
    let bad = &after[0];
    assert_eq!((bad.state(), gaps(&bad.notices)), (State::Unspecified, vec!["date_end"]));
    assert_eq!((bad.expire_time, bad.quantity), (None, before[0].quantity));
    assert!(bad.attributes.as_ref().unwrap().fields.contains_key("date_end"));
    assert_eq!(bench.get_service("11153").await.unwrap(), *bad);
    let other = before[1].upstream.as_ref().unwrap().id();
    assert_eq!(bench.get_service(other).await.unwrap(), before[1]);
    // What it does not tell leaves it out of no filter.
    let expired = services(&bench, vec![State::Expired.into()]).await;
    assert_eq!(expired, std::slice::from_ref(bad));
}

#[tokio::test]
async fn another_product_is_bought_beside_a_bad_one() {
    let bench = Bench::new().await;
    no_end(&bench);
    let bought = bench.buy("disk", 1, 1).await;
    assert_eq!(bought.state(), OrderState::Completed);
    assert_eq!(bought.items[0].services.len(), 1);
}

#[tokio::test]
async fn lost_purchase_beside_a_bad_product_is_found_or_absent() {
    fn check(outcome: &Outcome, committed: bool) {
        match outcome {
            Outcome::Found(_) => assert!(committed),
            Outcome::Absent(absent) => {
                assert!(!committed && *absent == Default::default(), "{absent:?}");
            }
        }
    }
    for (kind, committed) in [(DropAfterCommit, true), (DropBeforeCommit, false)] {
        let bench = Bench::new().await;
        no_end(&bench);
        let write = order(vec![item("shares", 1, 1)]);
        let at = lose(&bench, &write, kind).await;
        check(&bench.search(&write, &at, &[], "").await.unwrap(), committed);
    }
}

#[tokio::test]
async fn bad_product_is_not_changed_and_its_lost_change_is_not_absent() {
    for which in 0..3 {
        let bench = Bench::new().await;
        let service = bench.service("cores", 2, 1).await;
        let write = &changes(&service)[which];
        let at = lose(&bench, write, DropBeforeCommit).await;
        let end = Zone::UTC.xml_rpc(&service.expire_time.unwrap()).unwrap();
        let end = format!("<dateTime.iso8601>{end}</dateTime.iso8601>");
        respelled(&bench, "hosting.account.info", "date_end", &end, NO_TIME);
        let Outcome::Absent(absent) = bench.search(write, &at, &[], "").await.unwrap() else {
            panic!("{which}")
        };
        assert!(absent.incomplete.contains("date_end"), "{which} {absent:?}");
        let sold = bench.upstream.ledger().len();
        let first = Position { step: 1, ..Position::default() };
        let refused = reason(bench.prepared(write, first).await);
        assert_eq!(refused, ErrorReason::UpstreamUnavailable, "{which}");
        assert!(bench.step_at(write, &at).await.is_err(), "{which}");
        assert_eq!(bench.upstream.ledger().len(), sold, "{which}");
    }
}

#[tokio::test]
async fn product_without_an_identifier_hides_none_and_is_never_proof_of_absence() {
    let bench = Bench::new().await;
    let (from, to) = ("<int>11153</int>", "<string>x</string>");
    let before = services(&bench, Vec::new()).await;
    let write = order(vec![item("shares", 1, 1)]);
    let at = lose(&bench, &write, DropBeforeCommit).await;
    respelled(&bench, "hosting.account.info", "id", from, to);
    assert_eq!(services(&bench, Vec::new()).await, before[1..]);
    // It may be the one that is asked for.
    assert_eq!(reason(bench.get_service("11153").await), ErrorReason::UpstreamUnavailable);
    let Outcome::Absent(absent) = bench.search(&write, &at, &[], "").await.unwrap() else {
        panic!()
    };
    assert!(absent.incomplete.contains("a product has no identifier"), "{absent:?}");
    assert_eq!(bench.buy("disk", 1, 1).await.state(), OrderState::Completed);
}

async fn listed(bench: &Bench) -> Vec<purveyor_sdk::v1::Order> {
    let parent = "providers/test".to_owned();
    let request = ListOrdersRequest { parent, ..Default::default() };
    let page: ListOrdersResponse = bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
    page.orders
}

#[tokio::test]
async fn bad_operation_hides_no_order() {
    let bench = Bench::new().await;
    bench.buy("disk", 1, 1).await;
    bench.buy("disk", 2, 1).await;
    let before = listed(&bench).await;
    let created = Zone::UTC.xml_rpc(&before[0].create_time.unwrap()).unwrap();
    let created = format!("<dateTime.iso8601>{created}</dateTime.iso8601>");
    respelled(&bench, "operation.list", "date_created", &created, NO_TIME);
    let after = listed(&bench).await;
    assert_eq!((after.len(), &after[1..]), (before.len(), &before[1..]));
    assert_eq!(gaps(&after[0].notices), ["date_created"]);
    assert_eq!((after[0].state(), after[0].create_time), (before[0].state(), None));
    assert_eq!(bench.buy("disk", 3, 1).await.state(), OrderState::Completed);
}

#[tokio::test]
async fn new_operation_that_may_be_ours_is_never_proof_of_absence() {
    let word = "<string>hosting_account_product_add</string>";
    for (name, from) in [("type", word), ("id", "<int>637366</int>")] {
        let bench = Bench::new().await;
        let write = order(vec![item("shares", 1, 1)]);
        let at = lose(&bench, &write, DropBeforeCommit).await;
        assert_eq!(person_buys(&bench, "disk", 1, None), 637_366);
        respelled(&bench, "operation.list", name, from, "<boolean>1</boolean>");
        let Outcome::Absent(absent) = bench.search(&write, &at, &[], "").await.unwrap() else {
            panic!("{name}")
        };
        assert!(absent.incomplete.contains("operation"), "{name} {absent:?}");
        // It hides no purchase that is made now.
        assert_eq!(bench.buy("disk", 1, 1).await.state(), OrderState::Completed, "{name}");
    }
}
