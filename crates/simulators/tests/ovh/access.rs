//! Who may call: keys, clock, signature and access rules, each wrong in its own way.

use purveyor_simulators::ovh::{AccountSeed, Mode, Options, Rule};
use serde_json::{Value, json};

use crate::client::{Bench, KEYS, Keys, START, sign};
use crate::wire;

/// A call of `GET /service` with these keys and headers; those with an empty value are left out.
async fn ask(bench: &Bench, keys: Keys<'_>, stamp: &str, change: fn(&mut String)) -> (u16, Value) {
    let url = format!("{}/service", bench.simulator.url());
    let mut signature = sign(keys, "GET", &url, "", stamp);
    change(&mut signature);
    let headers = [
        ("X-Ovh-Application", keys.application),
        ("X-Ovh-Consumer", keys.consumer),
        ("X-Ovh-Timestamp", stamp),
        ("X-Ovh-Signature", signature.as_str()),
    ];
    let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let (status, body) = wire::send("GET", &url, &headers, String::new()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn now() -> i64 {
    START.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[tokio::test]
async fn every_wrong_key_has_its_own_answer() {
    let bench = Bench::new().await;
    let check = async |keys: Keys<'_>, change: fn(&mut String), status: u16, code: &str| {
        let (told, body) = ask(&bench, keys, &now().to_string(), change).await;
        assert_eq!((told, body["errorCode"].as_str()), (status, Some(code)), "{keys:?}: {body}");
        assert!(body["httpCode"].as_str().unwrap().starts_with(&status.to_string()), "{body}");
    };
    let same = |_: &mut String| {};
    check(Keys { application: "other", ..KEYS }, same, 403, "INVALID_KEY").await;
    check(Keys { application: "", ..KEYS }, same, 403, "NOT_CREDENTIAL").await;
    check(Keys { consumer: "other", ..KEYS }, same, 403, "NOT_CREDENTIAL").await;
    check(Keys { consumer: "", ..KEYS }, same, 403, "NOT_CREDENTIAL").await;
    check(Keys { secret: "other", ..KEYS }, same, 400, "INVALID_SIGNATURE").await;
    check(KEYS, String::clear, 403, "NOT_CREDENTIAL").await;
    check(KEYS, |signature| signature.push('0'), 400, "INVALID_SIGNATURE").await;
    assert_eq!(ask(&bench, KEYS, &now().to_string(), same).await.0, 200);
}

#[tokio::test]
async fn timestamps_are_good_for_three_minutes() {
    let bench = Bench::new().await;
    let check = async |offset: i64, expected: Option<&str>| {
        let (_, body) = ask(&bench, KEYS, &(now() + offset).to_string(), |_| {}).await;
        assert_eq!(body["errorCode"].as_str(), expected, "{offset}");
    };
    check(180, None).await;
    check(-180, None).await;
    check(181, Some("QUERY_TIME_OUT")).await;
    check(-181, Some("QUERY_TIME_OUT")).await;
    let (status, body) = ask(&bench, KEYS, "soon", |_| {}).await;
    assert_eq!((status, body["message"].as_str()), (400, Some("Query out of time")));
}

#[tokio::test]
async fn the_time_is_told_to_everybody() {
    let bench = Bench::new().await;
    bench.advance(5);
    let url = format!("{}/auth/time", bench.simulator.url());
    let (status, body) = wire::send("GET", &url, &[], String::new()).await.unwrap();
    assert_eq!((status, body.as_ref()), (200, (now() + 5).to_string().as_bytes()));
}

#[tokio::test]
async fn the_signature_covers_query_and_body() {
    let bench = Bench::new().await;
    let signed = format!("{}/service/12345/renew?includeOptions=true", bench.simulator.url());
    let sent = format!("{}/service/12345/renew?includeOptions=false", bench.simulator.url());
    let stamp = now().to_string();
    let check = async |url: &str, body: &str, expected: u16| {
        let signature = sign(KEYS, "GET", &signed, "", &stamp);
        let headers = [
            ("X-Ovh-Application", KEYS.application),
            ("X-Ovh-Consumer", KEYS.consumer),
            ("X-Ovh-Timestamp", stamp.as_str()),
            ("X-Ovh-Signature", signature.as_str()),
        ];
        let answer = wire::send("GET", url, &headers, body.to_owned()).await.unwrap();
        assert_eq!(answer.0, expected, "{url} {body}");
    };
    check(&signed, "", 200).await;
    check(&sent, "", 400).await;
    check(&signed, "{}", 400).await;
}

#[tokio::test]
async fn rules_and_locks() {
    let rule = |method: &str, path: &str| Rule { method: method.into(), path: path.into() };
    let rules = vec![rule("GET", "/service*"), rule("POST", "/service/*/renew")];
    let account = AccountSeed { rules, ..AccountSeed::default() };
    let options = Options { accounts: vec![account.clone()], ..Options::default() };
    let bench = Bench::with(options).await;
    bench.get("/service").await.unwrap();
    bench.get("/service/12345/renew").await.unwrap();
    let (status, body) = bench.get("/me").await.unwrap_err();
    assert_eq!((status, body["errorCode"].as_str()), (403, Some("NOT_GRANTED_CALL")));
    bench.order(12345, "P3M").await;

    bench.simulator.put_account(AccountSeed { locked: true, ..account }).unwrap();
    let (status, body) = bench.get("/service").await.unwrap_err();
    assert_eq!((status, body["errorCode"].as_str()), (403, Some("FORBIDDEN")));
}

#[tokio::test]
async fn a_consumer_key_is_asked_for_and_agreed_to() {
    let bench = Bench::new().await;
    let url = format!("{}/auth/credential", bench.simulator.url());
    let body = json!({ "accessRules": [{ "method": "GET", "path": "/service*" }] }).to_string();
    let headers = [("X-Ovh-Application", KEYS.application)];
    let (status, answer) = wire::send("POST", &url, &headers, body.clone()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, answer["state"].as_str()), (200, Some("pendingValidation")));
    assert!(answer["validationUrl"].as_str().unwrap().starts_with("https://"));
    let consumer = answer["consumerKey"].as_str().unwrap();
    let keys = Keys { consumer, ..KEYS };
    let (status, body) = ask(&bench, keys, &now().to_string(), |_| {}).await;
    assert_eq!((status, body["errorCode"].as_str()), (403, Some("INVALID_CREDENTIAL")));
    bench.simulator.validate(consumer).unwrap();
    assert_eq!(ask(&bench, keys, &now().to_string(), |_| {}).await.0, 200);

    let none = wire::send("POST", &url, &[], "{}".to_owned()).await.unwrap();
    assert_eq!(none.0, 403);
    let wrong = wire::send("POST", &url, &headers, "{}".to_owned()).await.unwrap();
    assert_eq!(wrong.0, 400);
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let mut second = AccountSeed {
        nichandle: "yy2222-ovh".to_owned(),
        application_key: "applicationkey02".to_owned(),
        consumer_key: "consumerkeyconsumerkeyconsumerk2".to_owned(),
        ..AccountSeed::default()
    };
    second.services.truncate(1);
    second.services[0].id = 777;
    let accounts = vec![AccountSeed::default(), second];
    let bench = Bench::with(Options { accounts, ..Options::default() }).await;
    let keys = Keys {
        application: "applicationkey02",
        consumer: "consumerkeyconsumerkeyconsumerk2",
        ..KEYS
    };
    let (_, services) = ask(&bench, keys, &now().to_string(), |_| {}).await;
    assert_eq!(services, json!([777]));
    assert_eq!(bench.get("/service/777").await.unwrap_err().0, 404);
}

#[tokio::test]
async fn sixty_requests_a_minute() {
    let bench = Bench::in_mode(Mode { rate_limit: true, ..Mode::default() }).await;
    for _ in 0..60 {
        bench.get("/me").await.unwrap();
    }
    assert_eq!(bench.get("/me").await.unwrap_err().0, 429);
    bench.advance(60);
    bench.get("/me").await.unwrap();
}
