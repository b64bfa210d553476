//! Services: what server_list tells of them, and what is left as it came.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{ErrorReason, ListServicesRequest, ListServicesResponse};
use purveyor_simulators::klikk::Mode;

use super::driver::{Bench, of_another, order, parent, reason};

#[tokio::test]
async fn a_server_is_known_by_its_order_item() {
    let bench = Bench::new().await;
    bench.buy(&["My testserver 1"]).await;
    let service = bench.get_service("1293").await.unwrap();
    assert_eq!(service.name, "providers/test/services/1293");
    assert_eq!(
        (service.order.as_str(), service.order_item.as_str()),
        ("providers/test/orders/73", "1293")
    );
    assert_eq!(service.product, "providers/test/products/VPS");
    assert_eq!((service.display_name.as_str(), service.quantity), ("My testserver 1", 1));
    assert_eq!(
        (service.state(), service.upstream.unwrap().state),
        (State::Active, "running".to_owned())
    );
    assert_eq!(service.endpoints[0].addresses, ["192.0.2.24"]);
    assert!(service.create_time.unwrap().seconds < service.expire_time.unwrap().seconds);
    let action = &service.actions[0];
    assert_eq!((action.method.as_str(), action.allowed), ("Orders.CancelOrder", true));
    for id in ["1294", "x", "0", ""] {
        assert_eq!(reason(bench.get_service(id).await), ErrorReason::ServiceNotFound, "{id}");
    }
}

#[tokio::test]
async fn servers_are_listed_by_item() {
    let bench = Bench::new().await;
    bench.buy(&["a", "b"]).await;
    bench.run(&of_another(order(&["c"]))).await.order();
    let names = async |item: &str| -> Vec<String> {
        let services = bench.list_services(item).await;
        services.into_iter().map(|service| service.display_name).collect()
    };
    assert_eq!(names("").await, ["a", "b", "c"]);
    assert_eq!(names("1294").await, ["b"]);
    assert!(names("7").await.is_empty());
    let asked = bench.asked("server_list");
    assert!(names("x").await.is_empty());
    assert_eq!(bench.asked("server_list"), asked, "what is no identifier needs no question");

    let list = async |request: ListServicesRequest| -> usize {
        let request = ListServicesRequest { parent: parent(), ..request };
        let page: ListServicesResponse =
            bench.plugin.read(Op::ListServices, &request, "").await.unwrap();
        page.services.len()
    };
    let state =
        |state: State| ListServicesRequest { states: vec![state.into()], ..Default::default() };
    assert_eq!((list(state(State::Active)).await, list(state(State::Expired)).await), (3, 0));
    let product = |name: &str| ListServicesRequest {
        product: format!("providers/test/products/{name}"),
        ..Default::default()
    };
    assert_eq!((list(product("VPS")).await, list(product("CPU")).await), (3, 0));
    let customer = ListServicesRequest { customer: "x".to_owned(), ..Default::default() };
    assert_eq!(list(customer).await, 0);
    let now = purveyor_sdk::prost_types::Timestamp { seconds: 1, nanos: 0 };
    let expired = ListServicesRequest { expire_before: Some(now), ..Default::default() };
    assert_eq!(list(expired).await, 0);
    assert_eq!(list(ListServicesRequest { page_size: 2, ..Default::default() }).await, 2);
}

#[tokio::test]
async fn what_is_not_told_is_not_invented() {
    let bench = Bench::in_mode(Mode { tell_renewal: false, ..Mode::default() }).await;
    bench.buy(&["a"]).await;
    let service = bench.get_service("1293").await.unwrap();
    assert_eq!((service.renewal_policy, service.expire_time), (None, None));
    assert!(service.actions.is_empty());
}
