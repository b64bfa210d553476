//! One row that cannot be read whole: it is shown with its gap, hides no other row, and stops only what
//! depends on it.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::rows::ROW_INCOMPLETE;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{
    ErrorReason, ListOrdersRequest, ListOrdersResponse, ListView, Notice, Order,
};
use purveyor_simulators::Fault;
use purveyor_simulators::FaultKind::{self, DropAfterCommit, DropBeforeCommit};
use purveyor_simulators::klikk::Mode;

use super::driver::{Bench, of_another, order, parent, reason};

/// A text of an action's answers, spelled otherwise from now on.
fn respelled(bench: &Bench, action: &str, from: &str, to: &str) {
    let kind = FaultKind::Respell { from: from.to_owned(), to: to.to_owned() };
    bench.upstream.inject(Fault { times: u32::MAX, ..Fault::next(action, kind) });
}

/// The name of an item that begins like this is a list of names.
fn unread_name(bench: &Bench, name: &str) {
    let from = format!(r#""reference":"{name}"#);
    respelled(bench, "order_list", &from, &format!(r#""reference":["x"],"note":"{name}"#));
}

fn gaps(notices: &[Notice]) -> Vec<&str> {
    let gaps = notices.iter().filter(|notice| notice.reason == ROW_INCOMPLETE);
    gaps.map(|notice| notice.source.as_str()).collect()
}

async fn full(bench: &Bench) -> Vec<Order> {
    let view = ListView::Full.into();
    let request = ListOrdersRequest { parent: parent(), view, ..Default::default() };
    let page: ListOrdersResponse = bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
    page.orders
}

#[tokio::test]
async fn item_that_cannot_be_read_is_a_gap_of_its_order() {
    let bench = Bench::new().await;
    let bad = bench.buy(&["bad"]).await;
    bench.buy(&["good"]).await;
    let before = bench.list_orders().await;
    unread_name(&bench, "bad");
    let after = bench.list_orders().await;
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        let is_bad = after.name == bad.name;
        let expected: &[&str] = if is_bad { &["order_items[0].reference"] } else { &[] };
        assert_eq!(gaps(&after.notices), expected);
        assert!(is_bad || after == before);
    }
    assert_eq!(bench.buy(&["another"]).await.state(), State::Completed);
}

#[tokio::test]
async fn order_whose_items_cannot_be_read_is_shown_without_them() {
    for kind in [FaultKind::Status { status: 500 }, FaultKind::WrongType] {
        let bench = Bench::in_mode(Mode { list_items: false, ..Mode::default() }).await;
        bench.buy(&["a"]).await;
        bench.buy(&["b"]).await;
        let before = full(&bench).await;
        bench.upstream.inject(Fault::next("order_status", kind.clone()));
        let after = full(&bench).await;
        assert_eq!((after.len(), &after[1..]), (before.len(), &before[1..]), "{kind:?}");
        assert_eq!(gaps(&after[0].notices), ["order_status"], "{kind:?}");
        assert_eq!((&after[0].name, after[0].items.len()), (&before[0].name, 0));
    }
}

#[tokio::test]
async fn server_that_cannot_be_read_whole_is_shown_with_its_gap() {
    let bench = Bench::new().await;
    bench.buy(&["bad"]).await;
    bench.buy(&["good"]).await;
    let before = bench.list_services("").await;
    let id = before[0].upstream.as_ref().unwrap().id().to_owned();
    let word = format!(r#""state":"{}""#, before[0].upstream.as_ref().unwrap().state);
    respelled(&bench, "server_list", &word, r#""state":["x"]"#);
    let after = bench.list_services("").await;
    assert_eq!((after.len(), &after[1..]), (before.len(), &before[1..]));
    assert_eq!((after[0].state(), gaps(&after[0].notices)), {
        (ServiceState::Unspecified, vec!["state"])
    });
    assert_eq!(bench.get_service(&id).await.unwrap(), after[0]);
}

#[tokio::test]
async fn server_without_an_identifier_hides_no_other_and_is_not_called_gone() {
    let bench = Bench::new().await;
    bench.buy(&["bad"]).await;
    bench.buy(&["good"]).await;
    let before = bench.list_services("").await;
    let id = before[0].upstream.as_ref().unwrap().id().to_owned();
    let from = format!(r#""order_item_id":{id}"#);
    respelled(&bench, "server_list", &from, r#""order_item_id":"x""#);
    assert_eq!(bench.list_services("").await, before[1..]);
    assert_eq!(reason(bench.get_service(&id).await), ErrorReason::UpstreamUnavailable);
}

#[tokio::test]
async fn lost_order_beside_a_bad_one_is_found_or_absent() {
    for (kind, committed) in [(DropAfterCommit, true), (DropBeforeCommit, false)] {
        let bench = Bench::new().await;
        bench.run(&of_another(order(&["bad"]))).await.order();
        let from = r#""name":"VPS","reference":"bad"#;
        respelled(&bench, "order_list", from, r#""name":["VPS"],"reference":"bad"#);
        let listed = bench.list_orders().await;
        let gaps: Vec<_> = listed.iter().flat_map(|order| gaps(&order.notices)).collect();
        assert_eq!(gaps, ["order_items[0].name"]);
        let write = order(&["mine"]);
        let at = bench.first(&write).await;
        bench.upstream.inject(Fault::next("order_create", kind));
        assert!(bench.step_at(&write, &at).await.is_err());
        match bench.search(&write, &at, &[], "").await.unwrap() {
            Found::Found(_) => assert!(committed),
            Found::Absent(absent) => {
                assert!(!committed && absent == Default::default(), "{absent:?}");
            }
        }
    }
}

#[tokio::test]
async fn new_order_that_may_be_ours_is_never_proof_of_absence() {
    let mine = |bench: &Bench| unread_name(bench, "mine");
    let nameless = |bench: &Bench| {
        respelled(bench, "order_list", r#""order_id":73"#, r#""order_id":"x""#);
    };
    for strike in [&mine as &dyn Fn(&Bench), &nameless] {
        let bench = Bench::new().await;
        let write = order(&["mine"]);
        let at = bench.first(&write).await;
        bench.upstream.inject(Fault::next("order_create", DropAfterCommit));
        assert!(bench.step_at(&write, &at).await.is_err());
        strike(&bench);
        match bench.search(&write, &at, &[], "").await.unwrap() {
            Found::Absent(absent) => assert!(!absent.incomplete.is_empty()),
            found => panic!("{found:?}"),
        }
    }
}
