//! The calls about keys and the account: `/auth/*` and `/me`.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Rule;
use super::answer::{Refusal, moment};
use super::auth::{self, Credential};
use super::routes::Visit;
use super::state::{Moment, World};

/// What a program asks a new consumer key for.
#[derive(Deserialize)]
struct Request {
    #[serde(rename = "accessRules")]
    access_rules: Vec<Rule>,
}

/// GET /auth/time, which nobody signs: the upstream's clock in seconds.
pub(super) fn time(moment: Moment<'_>) -> Value {
    json!(moment.now.as_second())
}

/// POST /auth/credential, which only names the application: a key that somebody has to agree to.
pub(super) fn request(
    world: &mut World,
    moment: Moment<'_>,
    application: Option<&str>,
    body: &[u8],
) -> Result<Value, Refusal> {
    let login = || {
        let status = StatusCode::FORBIDDEN;
        Refusal::gateway(status, "NOT_CREDENTIAL", "You must login first")
    };
    let application = application.ok_or_else(login)?.to_owned();
    auth::application_of(world, &application)?;
    let asked: Request =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    if asked.access_rules.is_empty() {
        return Err(Refusal::bad_request("accessRules is empty"));
    }
    let id = world.next_credential();
    let consumer_key = format!("requestedconsumerkey{id:012}");
    world.credentials.push(Credential {
        id,
        consumer_key: consumer_key.clone(),
        application_key: application,
        rules: asked.access_rules,
        created: moment.now,
        pending: true,
    });
    Ok(json!({
        "state": "pendingValidation",
        "consumerKey": consumer_key,
        "validationUrl": format!("https://eu.api.ovh.com/auth/?credentialToken={id}"),
    }))
}

/// GET /auth/currentCredential.
pub(super) fn current(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let id = visit.caller.credential;
    let credential = visit.world.credentials.iter().find(|one| one.id == id);
    let credential =
        credential.ok_or_else(|| Refusal::not_found("This credential does not exist"))?;
    let rules: Vec<Value> = credential
        .rules
        .iter()
        .map(|rule| json!({ "method": rule.method, "path": rule.path }))
        .collect();
    Ok(json!({
        "credentialId": credential.id,
        "applicationId": 1,
        "status": "validated",
        "rules": rules,
        "creation": moment(credential.created),
        "lastUse": moment(visit.moment.now),
        "expiration": null,
        "allowedIPs": null,
        "ovhSupport": false,
    }))
}

/// GET /me: whose account it is.
pub(super) fn me(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let account = visit.account()?;
    Ok(json!({
        "nichandle": account.nichandle,
        "state": "complete",
        "currency": { "code": account.currency, "symbol": "€" },
    }))
}
