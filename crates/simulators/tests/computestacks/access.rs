//! Who may call: Basic, tokens and their scopes, locks.

use std::time::Duration;

use purveyor_simulators::Simulator;
use purveyor_simulators::computestacks::{ComputeStacks, Mode, UserSeed};
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, PRODUCTS, USER, basic, package, send, start, start_at};

async fn as_with(
    simulator: &Simulator<ComputeStacks>,
    method: &str,
    authorization: &str,
) -> Answer {
    let url = format!("{}{PRODUCTS}", simulator.url());
    let body = if method == "POST" { package("s").to_string() } else { String::new() };
    send(method, &url, &[("authorization", authorization.to_owned())], body).await.unwrap()
}

async fn token(simulator: &Simulator<ComputeStacks>, form: &str) -> Answer {
    let url = format!("{}/api/oauth/token", simulator.url());
    let kind = ("content-type", "application/x-www-form-urlencoded".to_owned());
    send("POST", &url, &[kind], form.to_owned()).await.unwrap()
}

fn grant(scope: &str) -> String {
    format!("grant_type=password&username={USER}&password=correct%2Dhorse&scope={scope}")
}

#[tokio::test]
async fn only_an_administrator_with_the_right_password_gets_in() {
    let simulator = start(Mode::default()).await;
    let guest = UserSeed { username: "guest".into(), password: "g".into(), admin: false };
    simulator.put_user(guest).unwrap();
    let wrong = json!({ "errors": ["Not Authorized"] });
    for authorization in [
        basic(USER, "wrong"),
        basic("nobody", PASSWORD),
        basic("guest", "g"),
        "Basic !!!".to_owned(),
        "Digest x".to_owned(),
        String::new(),
    ] {
        let answer = as_with(&simulator, "GET", &authorization).await;
        assert_eq!((answer.status, answer.json()), (401, wrong.clone()), "{authorization}");
    }
    assert_eq!(as_with(&simulator, "GET", &basic(USER, PASSWORD)).await.status, 200);
    let colon = UserSeed { username: "a:b".into(), ..UserSeed::default() };
    assert!(simulator.put_user(colon).is_err());
}

#[tokio::test]
async fn failed_attempts_lock_the_credential() {
    let simulator = start(Mode { lock_after: 3, ..Mode::default() }).await;
    let status = async |password| as_with(&simulator, "GET", &basic(USER, password)).await.status;
    assert_eq!([status("a").await, status("b").await], [401, 401]);
    assert_eq!(status(PASSWORD).await, 200, "a success begins to count anew");
    for _ in 0..3 {
        assert_eq!(status("c").await, 401);
    }
    assert_eq!(status(PASSWORD).await, 401, "locked");
    simulator.put_user(UserSeed::default()).unwrap();
    assert_eq!(status(PASSWORD).await, 200);
}

#[tokio::test]
async fn a_token_has_scopes_and_an_end() {
    let simulator = start_at("2024-05-06T07:08:09Z", Mode::default()).await;
    let granted = token(&simulator, &grant("public+admin_read+admin_write")).await;
    assert_eq!(granted.status, 200);
    let told = granted.json();
    assert_eq!((&told["token_type"], &told["expires_in"]), (&json!("Bearer"), &json!(7200)));
    let bearer = |answer: &Value| format!("Bearer {}", answer["access_token"].as_str().unwrap());
    assert_eq!(as_with(&simulator, "POST", &bearer(&told)).await.status, 201);

    let reader = token(&simulator, &grant("admin_read")).await.json();
    assert_eq!(as_with(&simulator, "GET", &bearer(&reader)).await.status, 200);
    let refused = as_with(&simulator, "POST", &bearer(&reader)).await;
    assert_eq!((refused.status, refused.body.len()), (403, 0));
    assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));

    simulator.advance(Duration::from_secs(7200));
    let expired = as_with(&simulator, "GET", &bearer(&told)).await;
    assert_eq!((expired.status, expired.body.len()), (401, 0));
    assert!(expired.header("www-authenticate").unwrap().contains("invalid_token"));

    let fresh = token(&simulator, &grant("admin_read")).await.json();
    simulator.revoke_tokens();
    assert_eq!(as_with(&simulator, "GET", &bearer(&fresh)).await.status, 401);
}

#[tokio::test]
async fn grants_that_are_refused() {
    let simulator = start(Mode::default()).await;
    let check = async |form: &str, expected: &str| {
        let answer = token(&simulator, form).await;
        assert_eq!(answer.status, 400, "{form}");
        assert_eq!(answer.json()["error"], expected, "{form}");
    };
    check("grant_type=password&username=purveyor&password=x", "invalid_grant").await;
    check("grant_type=authorization_code", "unsupported_grant_type").await;
    check("", "unsupported_grant_type").await;
    check(&grant("everything"), "invalid_scope").await;
    // A token of no user is nobody's, and so no administrator's.
    let nobody = token(&simulator, "grant_type=client_credentials&scope=admin_read").await.json();
    let bearer = format!("Bearer {}", nobody["access_token"].as_str().unwrap());
    let answer = as_with(&simulator, "GET", &bearer).await;
    assert_eq!((answer.status, answer.json()), (401, json!({ "errors": ["Not Authorized"] })));
}
