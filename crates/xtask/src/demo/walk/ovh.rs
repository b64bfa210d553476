//! OVHcloud: the example program of its guide in three canonical calls, and what stands around them.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{performed, refused, sold, text, title};
use crate::demo::call::Caller;
use crate::demo::stage::{Stage, Upstream};

/// The keys of the simulated account; the simulator is told them, and no other knows them.
const APPLICATION_KEY: &str = "demoapplication1";
const APPLICATION_SECRET: &str = "demosecretdemosecretdemosecret01";
const CONSUMER_KEY: &str = "democonsumerdemoconsumerdemocon1";
/// The same as the simulator takes them.
const KEYS: &str =
    "demoapplication1:demosecretdemosecretdemosecret01:democonsumerdemoconsumerdemocon1";
/// Milliseconds that a paid order is checked, and as many that it is delivered: long enough to be seen.
const STEP_MS: &str = "300";

/// The server of the guide's program.
const SERVER: &str = "providers/ovh/services/vps112233.ovh.net";

pub(crate) const UPSTREAM: Upstream = Upstream {
    id: "ovh",
    plugin: "libpurveyor_ovh.so",
    arguments: &["--keys", KEYS, "--step-ms", STEP_MS],
    provider: |url| {
        Provider::new("ovh", url)
            .credential("application-key", APPLICATION_KEY)
            .credential("application-secret", APPLICATION_SECRET)
            .credential("consumer-key", CONSUMER_KEY)
    },
    worth_trying: (
        r#"{"parent": "providers/ovh/services/12345", "include_options": true}"#,
        "Renewals/ListRenewalOptions",
    ),
};

/// The walk.
///
/// # Errors
/// The first step that did not do what it should.
pub(crate) async fn walk(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    let option = offered(caller).await?;
    let renewal = renew(caller, &option).await?;
    look(caller, &option, &renewal).await?;
    let order = text(&renewal, "order")?;
    secrets(caller, &renewal, &order).await?;
    pay_again(caller, &order).await?;
    title("OVHcloud 6: what the upstream really sold: one order, paid once");
    sold(stage, "ovh", &["order_unpaid", "order_paid"])
}

/// The guide's checkStrategy: three months have to be offered for the server alone.
async fn offered(caller: &mut Caller) -> Result<Value> {
    title("OVHcloud 1: the ways to renew a server, by its name");
    let options = caller.must("Renewals.ListRenewalOptions", json!({ "parent": SERVER })).await?;
    let options = options["renewalOptions"].as_array().into_iter().flatten();
    let alone = |option: &&Value| option["services"].as_array().is_some_and(|all| all.len() == 1);
    let fits: Vec<&Value> =
        options.filter(|option| option["term"]["period"] == "P3M").filter(alone).collect();
    ensure!(fits.len() == 1, "three months of {SERVER} alone are offered {} times", fits.len());
    Ok(fits[0].clone())
}

async fn renew(caller: &mut Caller, option: &Value) -> Result<Value> {
    title("OVHcloud 2: renewing it for three months, and paying");
    let service = &option["services"][0];
    let guard = json!({
        "service": service["service"],
        "expected_expire_time": service["expectedExpireTime"],
    });
    let request = json!({
        "parent": "providers/ovh",
        "renewal": {
            "service": service["service"],
            "services": [guard],
            "term": { "kind": "KIND_RECURRING", "period": "P3M" },
        },
        "payment": { "method": { "type": "paypal", "id": "1234" } },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6d0001",
        "wait": "5s",
    });
    let operation = performed(caller, "Renewals.CreateRenewal", request).await?;
    Ok(operation["renewal"].clone())
}

async fn look(caller: &mut Caller, option: &Value, renewal: &Value) -> Result<()> {
    title("OVHcloud 3: the renewal, and the server's new end");
    let seen = caller.must("Renewals.GetRenewal", json!({ "name": renewal["name"] })).await?;
    ensure!(seen["state"] == "STATE_COMPLETED", "the renewal is {}", seen["state"]);
    let server = caller.must("Services.GetService", json!({ "name": SERVER })).await?;
    let (now, told) = (&server["expireTime"], &renewal["services"][0]["newExpireTime"]);
    ensure!(now == told, "the server ends at {now}, and the renewal says {told}");
    ensure!(now != &option["services"][0]["expectedExpireTime"], "the end has not moved");
    Ok(())
}

async fn secrets(caller: &mut Caller, renewal: &Value, order: &str) -> Result<()> {
    title("OVHcloud 4: the order's secrets are shown to who asks for them, and nowhere else");
    let secrets = caller.must("Orders.GetOrderSecrets", json!({ "name": order })).await?;
    let password = text(&secrets, "password")?;
    ensure!(!renewal.to_string().contains(&password), "the renewal shows its order's password");
    Ok(())
}

async fn pay_again(caller: &mut Caller, order: &str) -> Result<()> {
    title("OVHcloud 5: the same order is not paid a second time");
    let request = json!({
        "name": order,
        "payment": { "method": { "type": "paypal", "id": "1234" } },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6d0002",
        "wait": "5s",
    });
    let error = refused(caller, "Orders.PayOrder", request).await?;
    ensure!(error.contains("STATE_CONFLICT"), "the payment was refused for another reason");
    Ok(())
}
