//! Whose account it is, whether the keys work, and how far the clocks differ. What the upstream answers
//! wrong is a finding; the check itself fails only where the upstream could not be asked.

use std::time::Duration;

use purveyor_sdk::prost_types;
use purveyor_sdk::serde_json::Value;
use purveyor_sdk::v1::check_provider_response::{Finding, finding::Severity};
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason};
use purveyor_sdk::{Cx, Error, Result};

use super::Ovh;
use crate::model::to_struct;

/// Beyond this somebody should set the clock, although requests are signed by the upstream's.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

pub(super) async fn check(
    ovh: &Ovh,
    cx: &Cx,
    request: CheckProviderRequest,
) -> Result<CheckProviderResponse> {
    let (_, offset, behind) = ovh.client.time(cx).await?;
    let mut answer = CheckProviderResponse {
        name: request.name,
        clock_offset: signed(offset, behind),
        check_time: Some(cx.now()),
        ..CheckProviderResponse::default()
    };
    answer.findings.push(clock(offset, behind));
    match ovh.client.credential(cx).await {
        Ok(credential) => {
            answer.findings.push(credentials(&credential));
            if let Value::Object(members) = &credential {
                answer.attributes = Some(to_struct(members, &[]));
            }
        }
        Err(error) => {
            answer.findings.push(refused("CREDENTIALS", error)?);
            return Ok(answer);
        }
    }
    match ovh.client.nichandle(cx).await {
        Ok(nichandle) => answer.account = nichandle,
        Err(error) => answer.findings.push(refused("ACCOUNT", error)?),
    }
    Ok(answer)
}

fn clock(offset: Duration, behind: bool) -> Finding {
    let severity = if offset > CLOCK_TOLERANCE { Severity::Warning } else { Severity::Ok };
    let side = if behind { "behind" } else { "ahead of" };
    let message = format!("the upstream's clock is {} s {side} ours", offset.as_secs());
    finding("CLOCK", severity, &message)
}

fn credentials(credential: &Value) -> Finding {
    match credential.get("status").and_then(Value::as_str) {
        Some("validated") => {
            finding("CREDENTIALS", Severity::Ok, "the upstream accepts keys and signature")
        }
        status => {
            let word = status.unwrap_or("not told");
            let message = format!("the consumer key's status is {word}");
            finding("CREDENTIALS", Severity::Warning, &message)
        }
    }
}

/// A refusal is a finding; what could not be asked fails the check.
fn refused(reason: &str, error: Error) -> Result<Finding> {
    match error.reason {
        ErrorReason::UpstreamRejected
        | ErrorReason::UpstreamCredentials
        | ErrorReason::StateConflict => Ok(finding(reason, Severity::Error, &error.message)),
        _ => Err(error),
    }
}

fn signed(offset: Duration, negative: bool) -> Option<prost_types::Duration> {
    let offset = prost_types::Duration::try_from(offset).ok()?;
    let seconds = if negative { -offset.seconds } else { offset.seconds };
    Some(prost_types::Duration { seconds, ..offset })
}

fn finding(reason: &str, severity: Severity, message: &str) -> Finding {
    Finding { reason: reason.to_owned(), severity: severity.into(), message: message.to_owned() }
}
