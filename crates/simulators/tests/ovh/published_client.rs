//! The published ovh client 1.2, unchanged, against the simulator.

use std::path::Path;

use purveyor_simulators::Simulator;
use purveyor_simulators::ovh::{Options, Ovh};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::client::KEYS;

/// One program at a time: the first installs the environment.
static ENVIRONMENT: Mutex<()> = Mutex::const_new(());

async fn run(simulator: &Simulator<Ovh>, program: &str) -> Value {
    let _alone = ENVIRONMENT.lock().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ovh-client-1.2");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/ovh_client.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(folder).arg(simulator.url());
    python.args([KEYS.application, KEYS.secret, KEYS.consumer, program]);
    let run = python.output().await;
    let run =
        run.expect("python3 with pip is needed to run the published client, and did not start");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{program}: {errors}");
    serde_json::from_slice(&run.stdout).unwrap()
}

#[tokio::test]
async fn the_guide_renews_and_pays() {
    let simulator = Ovh::start(Options::default()).await.unwrap();
    let told = run(&simulator, "renew").await;
    let price = json!({ "value": 17.96, "text": "17.96 €", "currencyCode": "EUR" });
    assert_eq!((&told["service"], &told["price"]), (&json!(12345), &price));
    assert_eq!((&told["paid"], &told["status"]), (&Value::Null, &json!("delivered")));
    assert_eq!(told["with_options"], 6);
    let end = "2099-06-30T00:00:00Z".parse().unwrap();
    assert_eq!(simulator.expires(12345), Some(end));
    assert_eq!(simulator.ledger().len(), 2);
}

#[tokio::test]
async fn a_consumer_key_is_requested() {
    let simulator = Ovh::start(Options::default()).await.unwrap();
    let told = run(&simulator, "rights").await;
    assert_eq!(told["state"], "pendingValidation");
    simulator.validate(told["key"].as_str().unwrap()).unwrap();
}

#[tokio::test]
async fn errors_are_those_that_the_client_knows() {
    let simulator = Ovh::start(Options::default()).await.unwrap();
    let expected = json!({
        "missing": ["ResourceNotFoundError", true],
        "parameter": ["BadParametersError", true],
        "conflict": ["ResourceConflictError", true],
        "consumer": ["NotCredential", true],
        "application": ["InvalidKey", true],
    });
    assert_eq!(run(&simulator, "errors").await, expected);
}
