//! The control API: that it can do from another process what the handle can do in this one.

use purveyor_simulators::computestacks::Mode;
use serde_json::{Value, json};

use crate::client::{PRODUCTS, call, command, create, package, start};

#[tokio::test]
async fn users_switches_and_subscriptions_follow_commands() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let (_, mode) =
        command(&simulator, "POST", "/mode", &json!({ "documented_types": true })).await;
    assert_eq!(mode["documented_types"], true);
    let (_, mode) = command(&simulator, "GET", "/mode", &Value::Null).await;
    assert_eq!((&mode["documented_types"], &mode["version"]), (&json!(true), &json!("9.3.1")));
    let used = json!({ "count": 2 });
    let path = format!("/products/{id}/subscriptions");
    assert_eq!(command(&simulator, "POST", &path, &used).await.0, 200);
    let answer = call(&simulator, "DELETE", &format!("{PRODUCTS}/{id}"), &Value::Null).await;
    assert_eq!(answer.status, 422);
    let user = json!({ "username": "other", "password": "secret-of-other", "admin": false });
    assert_eq!(command(&simulator, "POST", "/users", &user).await.0, 200);
    let (_, users) = command(&simulator, "GET", "/users", &Value::Null).await;
    let expected = json!([
        { "username": "other", "admin": false, "locked": false },
        { "username": "purveyor", "admin": true, "locked": false },
    ]);
    assert_eq!(users, expected);
    assert_eq!(command(&simulator, "DELETE", "/tokens", &Value::Null).await.0, 200);
    let (_, ledger) = command(&simulator, "GET", "/ledger", &Value::Null).await;
    assert_eq!(
        (&ledger[0]["kind"], &ledger[0]["product_name"]),
        (&json!("product_add"), &json!("s"))
    );
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused() {
    let simulator = start(Mode::default()).await;
    let check = async |method: &str, path: &str, body: Value, expected: u16| {
        let (status, answer) = command(&simulator, method, path, &body).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
        assert!(answer["error"].is_string());
    };
    check("POST", "/mode", json!({ "documented": true }), 400).await;
    check("POST", "/users", json!({ "username": "a:b" }), 400).await;
    check("POST", "/products/9/subscriptions", json!({ "count": 1 }), 404).await;
    check("POST", "/products/9/subscriptions", json!({ "number": 1 }), 400).await;
    check("POST", "/products/x/subscriptions", json!({ "count": 1 }), 404).await;
    check("GET", "/nothing", json!(null), 404).await;
}
