//! Answers of other shapes than the simulator's: what the plugin reads as the same, and what it does not
//! take for something else.

use purveyor_klikk::Klikk as Plugin;
use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::TestHost;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{
    ErrorReason, GetOrderRequest, GetServiceRequest, ListOrdersRequest, ListOrdersResponse, Order,
    Service,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::driver::{open, order_name, parent, reason};

/// The plugin before an upstream that answers each action with one body, the first that fits.
async fn canned(answers: &'static [(&'static str, &'static str)]) -> TestHost<Plugin> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // A request is here when its action is: the body is its last part.
            let body = loop {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&request);
                let found = answers.iter().find(|(action, _)| text.contains(action));
                if read == 0 || found.is_some() {
                    break found.map_or("", |(_, body)| body);
                }
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    open(&url, json!({ "statuses": { "DONE": "completed" } })).unwrap()
}

async fn service(plugin: &TestHost<Plugin>, id: &str) -> Result<Service> {
    let request = GetServiceRequest { name: format!("providers/test/services/{id}") };
    plugin.read(Op::GetService, &request, id).await
}

async fn order(plugin: &TestHost<Plugin>) -> Result<Order> {
    plugin.read(Op::GetOrder, &GetOrderRequest { name: order_name("7") }, "7").await
}

#[tokio::test]
async fn a_list_that_is_not_filtered_shows_no_other_server() {
    let plugin = canned(&[(
        "server_list",
        r#"{"servers":[{"order_item_id":8},{"order_item_id":"9","state":"installing"}]}"#,
    )])
    .await;
    assert_eq!(service(&plugin, "8").await.unwrap().state(), ServiceState::Active);
    assert_eq!(service(&plugin, "9").await.unwrap().state(), ServiceState::Pending);
    assert_eq!(reason(service(&plugin, "7").await), ErrorReason::ServiceNotFound);
}

#[tokio::test]
async fn lists_may_stand_in_an_object() {
    let plugin = canned(&[
        ("order_list", r#"{"orders":[{"order_id":"7","status":"DONE","order_items":[]}]}"#),
        ("server_list", "[]"),
    ])
    .await;
    let request = ListOrdersRequest { parent: parent(), ..Default::default() };
    let page: ListOrdersResponse = plugin.read(Op::ListOrders, &request, "").await.unwrap();
    assert_eq!(
        (page.orders[0].name.as_str(), page.orders[0].state()),
        (order_name("7").as_str(), State::Completed)
    );
}

#[tokio::test]
async fn an_answer_about_another_order_or_without_items_is_not_understood() {
    for body in [
        r#"{"order_id":8,"status":200,"order_items":[]}"#,
        r#"{"order_id":7,"status":200}"#,
        r#"{"order_id":7,"order_id":7,"order_items":[]}"#,
    ] {
        let plugin = canned(Box::leak(Box::new([("order_status", body)]))).await;
        assert_eq!(reason(order(&plugin).await), ErrorReason::UpstreamUnavailable, "{body}");
    }
}

#[tokio::test]
async fn members_that_are_not_known_are_attributes() {
    let plugin = canned(&[
        (
            "order_status",
            r#"{"order_id":7,"status":200,"message":"m","colour":"red","order_items":[
                {"id":8,"status":"odd","name":"VPS","reference":"a","root_password":"x","n":[1]}]}"#,
        ),
        ("server_list", "[]"),
    ])
    .await;
    let order = order(&plugin).await.unwrap();
    assert!(order.attributes.unwrap().fields.contains_key("colour"));
    let item = &order.items[0];
    assert_eq!(
        (item.state(), item.upstream.as_ref().unwrap().state.as_str()),
        (State::Unspecified, "odd")
    );
    let attributes = format!("{:?}", item.attributes);
    assert!(attributes.contains("[secret]") && !attributes.contains("\"x\""), "{attributes}");
}
