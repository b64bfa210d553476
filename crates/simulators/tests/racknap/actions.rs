//! What the six actions answer and write.

use std::time::Duration;

use purveyor_simulators::Kind;
use purveyor_simulators::racknap::{
    AccountSeed, AmountStyle, Mode, Repeats, ServiceState, Termination,
};
use serde_json::{Value, json};

use crate::client::{TOKEN, address, call, in_mode, raw, service, service_with, start, start_at};
use crate::wire;

#[tokio::test]
async fn the_documents_example_creates_a_service() {
    let simulator = start_at("2019-07-23T12:00:00Z", vec![AccountSeed::default()]).await;
    let answer = call(&simulator, "create", &service()).await.unwrap();
    let expected = json!({
        "status": "Success",
        "message": "Service ID: 1334 - Office 365 ( Essential Suite ) service has been created \
                    successfully.",
    });
    assert_eq!(answer, expected);
    let services = serde_json::to_value(simulator.services()).unwrap();
    let written = &services[0];
    for (name, value) in service().as_object().unwrap() {
        let value = match name.as_str() {
            "regdate" => json!("2019-07-23"),
            "nextduedate" => json!("2020-07-23"),
            _ if value == &json!(528.14) => json!("528.14"),
            _ => value.clone(),
        };
        assert_eq!(written[name], value, "{name}");
    }
    let sale = &simulator.ledger()[0].sale;
    assert_eq!((sale.kind, sale.amount.to_string().as_str()), (Kind::ServiceCreate, "528.14"));
    assert_eq!((sale.product_id.as_deref(), sale.currency.as_str()), (Some("1334"), "INR"));
    assert_eq!(sale.duration.as_deref(), Some("Annually"));
    // Overdue on the day, and nothing else comes of it.
    simulator.advance(Duration::from_secs(366 * 86_400));
    assert_eq!(simulator.services()[0].state, ServiceState::Overdue);
    call(&simulator, "create", &service()).await.unwrap();
    let ids: Vec<_> = simulator.services().iter().map(|it| it.serviceid).collect();
    assert_eq!(ids, [1334, 1335]);
}

#[tokio::test]
async fn a_form_says_the_same_as_json() {
    let simulator = start().await;
    let fields = service();
    let fields = fields.as_object().unwrap().iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}={}", text.replace('/', "%2F"))
    });
    let form = fields.collect::<Vec<_>>().join("&");
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("validate", bearer.as_str()),
    ];
    let sent = wire::send("POST", &address(&simulator, "create"), &headers, form).await;
    let (status, body) = sent.unwrap();
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["status"], "Success", "{answer}");
    call(&simulator, "create", &service()).await.unwrap();
    let [first, second] = &simulator.ledger()[..] else { panic!() };
    assert_eq!(first.sale.fingerprint, second.sale.fingerprint);
    assert_eq!(simulator.services()[0].record, simulator.services()[1].record);
}

#[tokio::test]
async fn every_billing_cycle_of_the_document_is_taken() {
    let simulator = start().await;
    let cycles = [
        "Free",
        "Free Trial",
        "One Time",
        "Hourly",
        "Monthly",
        "Quarterly",
        "Semi-Annually",
        "Annually",
        "Biennially",
        "Triennially",
        "Quadrennial",
        "Quinquennial",
        "Decennial",
    ];
    for cycle in cycles {
        for member in ["billingcycle", "plan_billing_cycle"] {
            let answer = call(&simulator, "create", &service_with(member, json!(cycle))).await;
            assert_eq!(answer.unwrap()["status"], "Success", "{cycle}");
        }
    }
    assert_eq!(simulator.ledger().len(), 26);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_writes_nothing() {
    let simulator = start().await;
    let check = async |name: &str, value: Value, code: i64| {
        let answer = call(&simulator, "create", &service_with(name, value.clone())).await.unwrap();
        assert_eq!(answer["status"], "Error", "{name} {value}");
        assert_eq!(answer["error_code"], code, "{name} {value}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|text| !text.is_empty()));
    };
    for required in [
        "customer_id",
        "quantity",
        "planid",
        "regdate",
        "amount",
        "recuring_amount",
        "nextduedate",
        "billingcycle",
        "first_plan_price",
        "recuring_plan_price",
        "plan_billing_cycle",
        "firstpayment",
    ] {
        check(required, Value::Null, 2001).await;
        check(required, json!(""), 2001).await;
    }
    check("quantity", json!(0), 2002).await;
    check("planid", json!("x"), 2002).await;
    check("regdate", json!("2019-07-23"), 2002).await;
    check("nextduedate", json!("22/07/2019"), 2002).await;
    check("billingcycle", json!("Yearly"), 2002).await;
    check("amount", json!(-1), 2002).await;
    check("amount", json!(0.001), 2002).await;
    check("color", json!("red"), 2003).await;
    check("customer_id", json!(653), 3001).await;
    check("pid", json!(8), 3002).await;
    check("planid", json!(173), 3003).await;
    assert!(simulator.ledger().is_empty());
    for optional in ["slserverid", "serverid", "pid"] {
        let answer = call(&simulator, "create", &service_with(optional, Value::Null)).await;
        assert_eq!(answer.unwrap()["status"], "Success", "{optional}");
    }
}

#[tokio::test]
async fn a_service_is_suspended_resumed_and_terminated() {
    let simulator = start().await;
    call(&simulator, "create", &service()).await.unwrap();
    let steps = [
        ("suspend", "Service has been suspended successfully.", ServiceState::Suspended),
        // The misspelling is the document's.
        ("unsuspend", "Service has been unuspended successfully.", ServiceState::Active),
        ("terminate", "Service has been terminated successfully.", ServiceState::Terminated),
    ];
    for (action, message, state) in steps {
        for _ in 0..2 {
            let answer = call(&simulator, action, &json!({ "serviceid": 1334 })).await.unwrap();
            assert_eq!(answer, json!({ "status": "Success", "message": message }));
        }
        let shown = simulator.services()[0].state;
        // Its next due date lies in the past.
        let active = if shown == ServiceState::Overdue { ServiceState::Active } else { shown };
        assert_eq!(active, state);
    }
    let kinds: Vec<_> = simulator.ledger().iter().map(|entry| entry.sale.kind).collect();
    let expected =
        [Kind::ServiceCreate, Kind::ServiceSuspend, Kind::ServiceUnsuspend, Kind::ServiceTerminate];
    assert_eq!(kinds, expected, "what changed nothing was written too");
    let code = async |action: &str, params: Value| {
        call(&simulator, action, &params).await.unwrap()["error_code"].clone()
    };
    assert_eq!(code("suspend", json!({ "serviceid": 1334 })).await, 4002);
    assert_eq!(code("suspend", json!({ "serviceid": 99 })).await, 4001);
    assert_eq!(code("suspend", json!({})).await, 2001);
}

#[tokio::test]
async fn switches_change_what_the_document_leaves_open() {
    let mode = Mode {
        repeats: Repeats::Refused,
        termination: Termination::Blank,
        amounts: AmountStyle::Text,
        code_member: "errorcode".to_owned(),
        ..Mode::default()
    };
    let simulator = in_mode(mode).await;
    let id = simulator.make_service("racknap", 24).unwrap();
    let one = json!({ "serviceid": id });
    assert_eq!(call(&simulator, "suspend", &one).await.unwrap()["status"], "Success");
    assert_eq!(call(&simulator, "suspend", &one).await.unwrap()["errorcode"], 4003);
    assert_eq!(call(&simulator, "terminate", &one).await.unwrap(), json!({}));
    let params = json!({ "planid": 172, "currency": 1 });
    let plan = call(&simulator, "planDetail", &params).await.unwrap();
    assert_eq!(plan["pricing"][1]["first_plan_price"], "528.14");
}

#[tokio::test]
async fn plans_tell_their_prices() {
    let simulator = start().await;
    let params = json!({ "planid": 172, "currency": 1, "pid": 7 });
    let (_, body) = raw(&simulator, "planDetail", &params).await.unwrap();
    let expected = r#"{"status":"Success","message":"Plan details.","planid":172,"name":"Office 365 ( Essential Suite )","currency":1,"pid":7,"pricing":[{"billingcycle":"Monthly","first_plan_price":48.00,"recuring_plan_price":48.00},{"billingcycle":"Annually","first_plan_price":528.14,"recuring_plan_price":528.14}]}"#;
    assert_eq!(body, expected);
    for platform in ["Linux", "Windows"] {
        let params =
            json!({ "planid": 24, "platform": platform, "currency_id": 2, "partner_id": 0 });
        let plan = call(&simulator, "cloud_linux_vps_details", &params).await.unwrap();
        assert_eq!((&plan["status"], &plan["platform"]), (&json!("Success"), &json!(platform)));
        assert_eq!(plan["pricing"][0]["recuring_plan_price"], 12.1);
    }
    let code = async |action: &str, params: Value| {
        call(&simulator, action, &params).await.unwrap()["error_code"].clone()
    };
    assert_eq!(code("planDetail", json!({ "planid": 1, "currency": 1 })).await, 3003);
    assert_eq!(code("planDetail", json!({ "planid": 172, "currency": 9 })).await, 3004);
    assert_eq!(code("planDetail", json!({ "planid": 172, "currency_id": 1 })).await, 2001);
    let cloud = "cloud_linux_vps_details";
    let mac = json!({ "planid": 24, "platform": "Mac", "currency_id": 1 });
    assert_eq!(code(cloud, mac).await, 3005);
    let office = json!({ "planid": 172, "platform": "Linux", "currency_id": 1 });
    assert_eq!(code(cloud, office).await, 3005);
    assert!(simulator.ledger().is_empty());
}
