//! One row that cannot be read whole: it is shown with its gap, hides no other row, and stops only what
//! depends on it.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::rows::ROW_INCOMPLETE;
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{
    ErrorReason, ListOrdersRequest, ListOrdersResponse, ListRenewalsRequest, ListRenewalsResponse,
    ListServicesRequest, ListServicesResponse, ListView, Notice, Order, Renewal, Service,
};
use purveyor_simulators::ovh::Happening;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, day, reason};

const SERVICE: &str = "GET /service/{serviceId}";
const INFOS: &str = "GET /vps/{serviceName}/serviceInfos";
const STATUS: &str = "GET /me/order/{orderId}/status";
const DETAILS: &str = "GET /me/order/{orderId}/details";
const DETAIL: &str = "GET /me/order/{orderId}/details/{orderDetailId}";
const EXTENSION: &str = "GET /me/order/{orderId}/details/{orderDetailId}/extension";

fn refused(code: i32) -> FaultKind {
    let text = "User not granted for this request".to_owned();
    FaultKind::Fault { code, text }
}

/// Answers of a row that are not its own: what has expired, a failure, what the account may not see.
fn bad() -> [FaultKind; 4] {
    [refused(460), FaultKind::Status { status: 500 }, refused(403), FaultKind::WrongType]
}

/// Strikes one call of the row that is read after `after` others.
fn strike(bench: &Bench, call: &str, after: u32, kind: FaultKind) {
    bench.upstream.inject(Fault { after, ..Fault::next(call, kind) });
}

fn gaps(notices: &[Notice]) -> Vec<&str> {
    let gaps = notices.iter().filter(|notice| notice.reason == ROW_INCOMPLETE);
    gaps.map(|notice| notice.source.as_str()).collect()
}

async fn services(bench: &Bench, states: &[State]) -> Vec<Service> {
    let states = states.iter().map(|state| (*state).into()).collect();
    let view = ListView::Full.into();
    let request = ListServicesRequest { view, states, ..Default::default() };
    let page: ListServicesResponse =
        bench.plugin.read(Op::ListServices, &request, "").await.unwrap();
    page.services
}

async fn orders(bench: &Bench) -> Vec<Order> {
    let request = ListOrdersRequest { view: ListView::Full.into(), ..Default::default() };
    let page: ListOrdersResponse = bench.plugin.read(Op::ListOrders, &request, "").await.unwrap();
    page.orders
}

async fn renewals(bench: &Bench) -> Vec<Renewal> {
    let request = ListRenewalsRequest::default();
    let page: ListRenewalsResponse =
        bench.plugin.read(Op::ListRenewals, &request, "").await.unwrap();
    page.renewals
}

#[tokio::test]
async fn service_infos_that_fail_are_a_gap_of_their_service() {
    for kind in bad() {
        let bench = Bench::new().await;
        let before = services(&bench, &[]).await;
        strike(&bench, INFOS, 0, kind.clone());
        let after = services(&bench, &[]).await;
        assert_eq!((after.len(), &after[1..]), (before.len(), &before[1..]), "{kind:?}");
        let told = &after[0];
        assert_eq!(gaps(&told.notices), ["serviceInfos"], "{kind:?}");
        assert_eq!((told.state(), told.expire_time), (State::Active, before[0].expire_time));
        strike(&bench, INFOS, 0, kind);
        assert_eq!(bench.service("12345").await.unwrap(), *told);
        assert_eq!(bench.service("12345").await.unwrap(), before[0]);
    }
}

#[tokio::test]
async fn service_that_fails_is_shown_by_its_number() {
    for kind in bad() {
        let bench = Bench::new().await;
        let before = services(&bench, &[]).await;
        for states in [&[][..], &[State::Suspended]] {
            strike(&bench, SERVICE, 1, kind.clone());
            let after = services(&bench, states).await;
            let bad = after.iter().find(|row| row.name == before[1].name).unwrap();
            assert_eq!(gaps(&bad.notices), ["/service/{serviceId}"], "{kind:?}");
            assert_eq!((bad.state(), &bad.upstream.as_ref().unwrap().ids), {
                (State::Unspecified, &before[1].upstream.as_ref().unwrap().ids)
            });
            assert_eq!(after.len(), if states.is_empty() { before.len() } else { 1 });
        }
        strike(&bench, SERVICE, 0, kind);
        assert!(bench.service("12345").await.is_err());
    }
}

#[tokio::test]
async fn service_that_went_away_is_left_out() {
    let bench = Bench::new().await;
    let before = services(&bench, &[]).await;
    strike(&bench, SERVICE, 1, refused(404));
    let mut expected = before;
    expected.remove(1);
    assert_eq!(services(&bench, &[]).await, expected);
}

#[tokio::test]
async fn rate_limit_at_a_row_fails_the_list() {
    let bench = Bench::new().await;
    strike(&bench, SERVICE, 1, refused(429));
    let request = ListServicesRequest { view: ListView::Full.into(), ..Default::default() };
    let read = bench.plugin.read::<ListServicesResponse>(Op::ListServices, &request, "").await;
    assert_eq!(reason(read), ErrorReason::UpstreamRateLimit);
}

#[tokio::test]
async fn dates_that_are_none_are_gaps() {
    let bench = Bench::new().await;
    let before = services(&bench, &[]).await;
    let (from, to) = ("\"creationDate\":\"20", "\"creationDate\":\"0000-00-00 20");
    strike(&bench, SERVICE, 0, FaultKind::Respell { from: from.to_owned(), to: to.to_owned() });
    let after = services(&bench, &[]).await;
    assert_eq!((after.len(), &after[1..]), (before.len(), &before[1..]));
    assert_eq!((after[0].create_time, gaps(&after[0].notices)), (None, vec!["creationDate"]));
    assert!(after[0].attributes.as_ref().unwrap().fields.contains_key("creationDate"));
}

/// Two unpaid orders, of which the newest is read first.
async fn two_orders(bench: &Bench) {
    bench.unpaid().await;
    bench.upstream.advance(std::time::Duration::from_secs(100));
    bench.unpaid().await;
}

#[tokio::test]
async fn part_of_an_order_that_fails_is_a_gap_of_the_order() {
    for kind in bad() {
        for (call, source) in [
            (STATUS, "/me/order/{orderId}/status"),
            (DETAILS, "/me/order/{orderId}/details"),
            (DETAIL, "/me/order/{orderId}/details/1"),
            (EXTENSION, "/me/order/{orderId}/details/1"),
        ] {
            let bench = Bench::new().await;
            two_orders(&bench).await;
            let (before, renewed) = (orders(&bench).await, renewals(&bench).await);
            strike(&bench, call, 0, kind.clone());
            let after = orders(&bench).await;
            assert_eq!((after.len(), &after[1..]), (2, &before[1..]), "{call} {kind:?}");
            let found = gaps(&after[0].notices);
            assert!(found.len() == 1 && found[0].starts_with(source), "{call} {found:?}");
            assert_eq!(after[0].price_with_tax, before[0].price_with_tax);
            strike(&bench, call, 0, kind.clone());
            let after = renewals(&bench).await;
            assert_eq!((after.len(), &after[1..]), (2, &renewed[1..]), "{call} {kind:?}");
            assert_eq!(gaps(&after[0].notices).len(), 1, "{call} {kind:?}");
            strike(&bench, call, 0, kind.clone());
            let id = before[0].upstream.as_ref().unwrap().id();
            assert_eq!(bench.order(id).await.is_ok(), call != STATUS, "{call} {kind:?}");
        }
    }
}

#[tokio::test]
async fn order_that_fails_is_shown_by_its_number_and_one_that_went_away_is_left_out() {
    let order = "GET /me/order/{orderId}";
    let bench = Bench::new().await;
    two_orders(&bench).await;
    let before = orders(&bench).await;
    strike(&bench, order, 0, refused(460));
    let after = orders(&bench).await;
    assert_eq!((&after[0].name, gaps(&after[0].notices)), {
        (&before[0].name, vec!["/me/order/{orderId}"])
    });
    assert_eq!(after[1..], before[1..]);
    strike(&bench, order, 0, refused(404));
    assert_eq!(orders(&bench).await, before[1..]);
    strike(&bench, order, 0, refused(460));
    let after = renewals(&bench).await;
    assert_eq!((after.len(), after[0].state()), (2, RenewalState::Unspecified));
}

#[tokio::test]
async fn bad_line_of_another_order_stops_no_renewal() {
    for kind in bad() {
        let bench = Bench::new().await;
        // A person has ordered a renewal of other services, and paid nothing.
        let other = vec![54321, 67890];
        let happening = Happening::Renew {
            services: other,
            duration: "P1Y".to_owned(),
            pays: false,
            ahead_s: 0,
        };
        bench.upstream.happens(happening).unwrap();
        for call in [DETAILS, DETAIL, EXTENSION] {
            strike(&bench, call, 0, kind.clone());
        }
        let request = bench.paid_request(&["12345"], 3).await;
        let renewal = bench.run(Op::CreateRenewal, &request, "").await.renewal();
        assert_eq!(renewal.services[0].new_expire_time, Some(day("2099-06-30")), "{kind:?}");
    }
}
