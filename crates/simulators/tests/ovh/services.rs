//! Services: what is told of them, how they are changed, and the ways to renew them.

use purveyor_simulators::ovh::Mode;
use serde_json::{Value, json};

use crate::client::Bench;

#[tokio::test]
async fn services_by_number_and_by_name() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/vps").await.unwrap(), json!(["vps112233.ovh.net"]));
    assert_eq!(bench.get("/service").await.unwrap(), json!([12345, 12346, 54321, 67890]));
    let infos = bench.get("/vps/vps112233.ovh.net/serviceInfos").await.unwrap();
    assert_eq!(infos["serviceId"], 12345);
    assert_eq!(
        (infos["expiration"].as_str(), infos["status"].as_str()),
        (Some("2099-03-31"), Some("ok"))
    );
    for (id, url) in [(54321, "/domain/example.ovh"), (67890, "/hosting/web/example.ovh")] {
        let service = bench.get(&format!("/service/{id}")).await.unwrap();
        assert_eq!(service["route"]["url"], url);
        let infos = bench.get(&format!("{url}/serviceInfos")).await.unwrap();
        assert_eq!(infos["serviceId"], id);
    }
    for path in ["/vps/example.ovh/serviceInfos", "/service/1", "/nowhere"] {
        let (status, body) = bench.get(path).await.unwrap_err();
        assert_eq!(status, 404, "{path}");
        assert!(body["class"].as_str().unwrap().starts_with("Client::NotFound"), "{body}");
    }
    assert_eq!(bench.get("/service/x").await.unwrap_err().0, 400);
}

#[tokio::test]
async fn what_happens_at_the_end_of_the_term_is_changed() {
    let bench = Bench::new().await;
    let path = "/vps/vps112233.ovh.net/serviceInfos";
    let mut infos = bench.get(path).await.unwrap();
    infos["renew"]["automatic"] = json!(false);
    infos["renew"]["deleteAtExpiration"] = json!(true);
    infos["renew"]["period"] = json!(3);
    assert_eq!(bench.call("PUT", path, Some(infos.clone())).await.unwrap(), Value::Null);
    assert_eq!(bench.get(path).await.unwrap(), infos);
    let service = bench.get("/service/12345").await.unwrap();
    assert_eq!(
        (&service["renew"]["mode"], &service["renew"]["interval"]),
        (&json!("manual"), &json!("P3M"))
    );
    infos["renew"]["period"] = json!(5);
    assert_eq!(bench.call("PUT", path, Some(infos)).await.unwrap_err().0, 400);

    // 2099-03-31 is more than 2,661 million seconds from the start.
    bench.advance(2_700_000_000);
    let service = bench.get("/service/12345").await.unwrap();
    assert_eq!(
        (&service["state"], &service["resource"]["state"]),
        (&json!("expired"), &json!("deleted"))
    );
}

#[tokio::test]
async fn a_new_subscription_cannot_be_changed() {
    let bench = Bench::in_mode(Mode { inactive: true, ..Mode::default() }).await;
    let path = "/vps/vps112233.ovh.net/serviceInfos";
    let infos = bench.get(path).await.unwrap();
    let (status, body) = bench.call("PUT", path, Some(infos)).await.unwrap_err();
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().ends_with("subscription is not active yet"));
}

#[tokio::test]
async fn suspended_reopened_and_terminated() {
    let bench = Bench::in_mode(Mode { change_ms: 1000, ..Mode::default() }).await;
    let state = async || {
        let service = bench.get("/service/12345").await.unwrap();
        service["resource"]["state"].as_str().unwrap().to_owned()
    };
    let act = async |verb: &str| bench.post(&format!("/service/12345/{verb}"), json!({})).await;
    assert_eq!(act("terminate").await.unwrap_err().0, 409);
    assert_eq!(act("suspend").await.unwrap(), Value::Null);
    assert_eq!(state().await, "suspending");
    assert_eq!(act("reopen").await.unwrap_err().0, 409);
    act("suspend").await.unwrap();
    bench.advance(1);
    assert_eq!(state().await, "suspended");
    act("reopen").await.unwrap();
    bench.advance(1);
    assert_eq!(state().await, "ok");
    act("suspend").await.unwrap();
    bench.advance(1);
    act("terminate").await.unwrap();
    assert_eq!(state().await, "deleting");
    bench.advance(1);
    assert_eq!(state().await, "deleted");
}

#[tokio::test]
async fn the_ways_to_renew_are_every_combination() {
    let bench = Bench::new().await;
    let ways = async |service: i64, query: &str| {
        let path = format!("/service/{service}/renew{query}");
        let told = bench.get(&path).await.unwrap();
        let periods = told.as_array().unwrap().iter();
        let ways = periods.flat_map(|of| {
            let strategies = of["strategies"].as_array().unwrap();
            strategies
                .iter()
                .map(|way| format!("{} {} {}", of["renewPeriod"], way["services"], way["price"]))
        });
        ways.collect::<Vec<_>>()
    };
    // The numbers are those of the guide's example.
    let expected = ["\"P1Y\" [54321] {\"value\":1.99}", "\"P1Y\" [67890,54321] {\"value\":37.87}"];
    assert_eq!(ways(54321, "?includeOptions=false").await, expected);
    assert_eq!(ways(12345, "").await.len(), 3);
    let with_options = ways(12345, "?includeOptions=true").await;
    assert_eq!(with_options.len(), 6);
    assert_eq!(with_options[3], "\"P3M\" [12346,12345] {\"value\":20.97}");
    let (status, _) = bench.get("/service/12345/renew?includeOptions=maybe").await.unwrap_err();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn prices_with_their_currency() {
    let bench = Bench::in_mode(Mode { terse_prices: false, ..Mode::default() }).await;
    let told = bench.get("/service/54321/renew").await.unwrap();
    let way = &told[0]["strategies"][0];
    assert_eq!(way["price"]["currencyCode"], "EUR");
    assert_eq!(way["priceInUcents"], 199_000_000);
    assert_eq!(way["servicesDetails"][0]["serviceName"], "example.ovh");
}
