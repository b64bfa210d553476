//! Who may call, and how: tokens, headers, methods and addresses.

use std::time::Duration;

use purveyor_simulators::racknap::{AccountSeed, ErrorStyle, Mode};
use serde_json::{Value, json};

use crate::client::{TOKEN, address, call, in_mode, raw, service, start, start_at};
use crate::wire;

#[tokio::test]
async fn every_wrong_token_has_an_answer_of_its_own() {
    let account = |token: &str, name: &str| AccountSeed {
        token: token.to_owned(),
        name: name.to_owned(),
        ..AccountSeed::default()
    };
    let locked = AccountSeed { locked: true, ..account("locked-token", "locked") };
    let expires = Some("2019-08-01T00:00:00Z".parse().unwrap());
    let short = AccountSeed { expires, ..account("short-token", "short") };
    let simulator =
        start_at("2019-07-23T00:00:00Z", vec![AccountSeed::default(), locked, short]).await;
    let url = address(&simulator, "create");
    let code = async |validate: Option<&str>| {
        let kinds = [("content-type", "application/json"), ("cache-control", "no-cache")];
        let headers: Vec<_> =
            kinds.into_iter().chain(validate.map(|value| ("validate", value))).collect();
        let (_, body) = wire::send("POST", &url, &headers, service().to_string()).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(!answer.to_string().contains("token-"), "{answer}");
        answer["error_code"].clone()
    };
    assert_eq!(code(None).await, 1001);
    assert_eq!(code(Some(TOKEN)).await, 1002);
    assert_eq!(code(Some(&format!("Basic {TOKEN}"))).await, 1002);
    assert_eq!(code(Some("Bearer somebody-elses")).await, 1003);
    assert_eq!(code(Some("Bearer locked-token")).await, 1005);
    assert_eq!(code(Some("Bearer short-token")).await, Value::Null);
    simulator.advance(Duration::from_secs(10 * 86_400));
    assert_eq!(code(Some("Bearer short-token")).await, 1004);
    assert_eq!(code(Some(&format!("bearer {TOKEN}"))).await, Value::Null);
    assert_eq!(simulator.ledger().len(), 2);
    assert_eq!(simulator.ledger()[0].sale.account, "short");
}

#[tokio::test]
async fn an_account_sees_its_own_services_alone() {
    let other = AccountSeed {
        token: "other-token".to_owned(),
        name: "other".to_owned(),
        ..AccountSeed::default()
    };
    let simulator = start_at("2019-07-23T00:00:00Z", vec![AccountSeed::default(), other]).await;
    let id = simulator.make_service("other", 172).unwrap();
    let answer = call(&simulator, "suspend", &json!({ "serviceid": id })).await.unwrap();
    assert_eq!(answer["error_code"], 4001);
}

#[tokio::test]
async fn errors_can_have_a_status_of_their_own() {
    let simulator = in_mode(Mode { errors: ErrorStyle::Http, ..Mode::default() }).await;
    let check = async |action: &str, params: Value, expected: u16| {
        let (status, body) = raw(&simulator, action, &params).await.unwrap();
        assert_eq!(status, expected, "{body:?}");
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["status"], "Error");
    };
    check("suspend", json!({}), 400).await;
    check("suspend", json!({ "serviceid": 1 }), 404).await;
    simulator.put_account(AccountSeed { locked: true, ..AccountSeed::default() }).unwrap();
    check("suspend", json!({ "serviceid": 1 }), 403).await;
}

#[tokio::test]
async fn only_posts_with_their_headers_are_calls() {
    let simulator = start().await;
    let bearer = format!("Bearer {TOKEN}");
    let token = ("validate", bearer.as_str());
    let cache = ("cache-control", "no-cache");
    let check = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let url = format!("{}{path}", simulator.url());
        let (status, body) = wire::send(method, &url, headers, body.to_owned()).await.unwrap();
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        (status, answer.and_then(|answer| answer["error_code"].as_i64()))
    };
    let body = r#"{"serviceid": 1}"#;
    assert_eq!(check("GET", "/service/suspend", &[token, cache], "").await, (405, None));
    assert_eq!(check("POST", "/service/renew", &[token, cache], body).await, (404, None));
    assert_eq!(check("POST", "/suspend", &[token, cache], body).await, (404, None));
    assert_eq!(check("POST", "/service/suspend", &[token], body).await, (200, Some(1006)));
    let query = check("POST", "/service/suspend?serviceid=1", &[token, cache], body).await;
    assert_eq!(query, (200, Some(2000)));
    let xml = ("content-type", "text/xml");
    assert_eq!(check("POST", "/service/suspend", &[token, cache, xml], body).await.1, Some(2000));
    // Without a content type the body itself says what it is.
    assert_eq!(check("POST", "/service/suspend", &[token, cache], body).await.1, Some(4001));
    let form = check("POST", "/service/suspend", &[token, cache], "serviceid=1").await;
    assert_eq!(form.1, Some(4001));
}
