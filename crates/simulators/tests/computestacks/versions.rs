//! Versions, formats, paths that lead nowhere, and the limit of requests.

use std::time::Duration;

use purveyor_simulators::computestacks::Mode;
use serde_json::{Value, json};

use crate::client::{PASSWORD, PRODUCTS, USER, basic, call, send, start, start_at};

#[tokio::test]
async fn the_media_type_says_the_version() {
    let simulator = start(Mode::default()).await;
    let url = format!("{}{PRODUCTS}", simulator.url());
    let check = async |accept: &str, status: u16, deprecated: Option<&str>| {
        let headers = [("authorization", basic(USER, PASSWORD)), ("accept", accept.to_owned())];
        let answer = send("GET", &url, &headers, String::new()).await.unwrap();
        assert_eq!(answer.status, status, "{accept}");
        assert_eq!(answer.header("api-deprecated"), deprecated, "{accept}");
        answer
    };
    check("application/json; api_version=80", 200, None).await;
    check("application/json; api_version=65;", 200, Some("true")).await;
    check("application/json", 200, None).await;
    let refused = check("application/json; api_version=40", 422, None).await;
    assert_eq!(refused.header("api-version-supported"), Some("false"));
    let message = "You requested an unsupported version (40)";
    assert_eq!(refused.json(), json!({ "errors": [message] }));
    check("application/json; api_version=new", 422, None).await;
    check("application/pdf", 406, None).await;
}

#[tokio::test]
async fn the_version_can_be_asked_for_and_the_old_token_is_gone() {
    let simulator = start(Mode::default()).await;
    let url = |path: &str| format!("{}{path}", simulator.url());
    let answer = send("GET", &url("/api/version"), &[], String::new()).await.unwrap();
    assert_eq!(
        (&answer.json()["version"], &answer.json()["api_latest_version"]),
        (&json!("9.3.1"), &json!(80))
    );
    let answer = send("POST", &url("/api/auth"), &[], String::new()).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 2);
    for path in ["/api/admin/nothing", "/api/nothing", "/api/admin/billing_plans/1/x"] {
        let answer = call(&simulator, "GET", path, &Value::Null).await;
        let message = "Unknown API Call. Please check the documentation.";
        assert_eq!((answer.status, answer.json()), (404, json!({ "errors": [message] })), "{path}");
    }
    let answer = call(&simulator, "PATCH", PRODUCTS, &json!({})).await;
    assert_eq!(answer.status, 404);
    assert_eq!(call(&simulator, "GET", "/elsewhere", &Value::Null).await.status, 404);
}

#[tokio::test]
async fn too_many_requests_are_throttled_for_the_rest_of_the_window() {
    let mode = Mode { rate_limit: 2, ..Mode::default() };
    let simulator = start_at("2024-05-06T07:08:00Z", mode).await;
    let list = async || call(&simulator, "GET", PRODUCTS, &Value::Null).await;
    assert_eq!([list().await.status, list().await.status], [200, 200]);
    let refused = list().await;
    assert_eq!((refused.status, refused.body.as_ref()), (429, b"Throttled\n".as_slice()));
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let reset: i64 = refused.header("ratelimit-reset").unwrap().parse().unwrap();
    assert_eq!(reset, "2024-05-06T07:10:00Z".parse::<jiff::Timestamp>().unwrap().as_second());
    simulator.advance(Duration::from_secs(120));
    assert_eq!(list().await.status, 200);
}
