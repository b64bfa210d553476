//! Whether the account works. What the upstream answers wrong is a finding; the check itself fails
//! only where the upstream could not be asked.

use purveyor_sdk::v1::check_provider_response::{Finding, finding::Severity};
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason};
use purveyor_sdk::{Cx, Error, Result};

use super::ComputeStacks;

const API_VERSION: &str = "API_VERSION";

/// The most prices that are no amounts and have a finding each.
const MAX_PRICES: usize = 10;

pub(super) async fn check(
    stacks: &ComputeStacks,
    cx: &Cx,
    request: CheckProviderRequest,
) -> Result<CheckProviderResponse> {
    let mut answer = CheckProviderResponse {
        name: request.name,
        check_time: Some(cx.now()),
        ..CheckProviderResponse::default()
    };
    match stacks.client.version(cx).await {
        Ok(told) => {
            answer.upstream_version = told.text("version")?.unwrap_or_default();
            let rest = told.rest(&["version"]);
            answer.attributes = Some(rest).filter(|rest| !rest.fields.is_empty());
        }
        Err(error) => answer.findings.push(refused(error)?),
    }
    let asked = stacks.client.api_version;
    match stacks.client.products(cx, 1, 1).await {
        Ok(page) => {
            let (severity, message) = match page.deprecated {
                false => (Severity::Ok, format!("version {asked} of the API is answered")),
                true => (Severity::Warning, format!("version {asked} of the API goes away")),
            };
            answer.findings.push(finding(API_VERSION, severity, &message));
            let message = "the credentials are accepted";
            answer.findings.push(finding("CREDENTIALS", Severity::Ok, message));
        }
        Err(error) => {
            let finding = refused(error)?;
            if !answer.findings.contains(&finding) {
                answer.findings.push(finding);
            }
            return Ok(answer);
        }
    }
    let plan = stacks.billing_plan(cx).await;
    if let Ok(Some(plan)) = &plan {
        let wrong = plan.all_notices().into_iter().take(MAX_PRICES);
        let wrong = wrong.map(|it| finding(&it.reason, Severity::Warning, &it.message));
        answer.findings.extend(wrong);
    }
    answer.findings.push(match plan {
        Ok(Some(_)) => finding("BILLING_PLAN", Severity::Ok, "the billing plan is there"),
        Ok(None) => {
            let message = "no billing plan is configured: products are made without price rules";
            finding("BILLING_PLAN", Severity::Warning, message)
        }
        Err(error) if error.reason == ErrorReason::StateConflict => {
            finding("BILLING_PLAN", Severity::Error, &error.message)
        }
        Err(error) => refused(error)?,
    });
    Ok(answer)
}

/// A refusal is a finding; what could not be asked fails the check.
fn refused(error: Error) -> Result<Finding> {
    let reason = match error.reason {
        ErrorReason::UpstreamCredentials => "CREDENTIALS",
        ErrorReason::UpstreamApiGone => API_VERSION,
        ErrorReason::UpstreamRejected | ErrorReason::ProductNotFound => "PRODUCT_API",
        _ => return Err(error),
    };
    Ok(finding(reason, Severity::Error, &error.message))
}

fn finding(reason: &str, severity: Severity, message: &str) -> Finding {
    Finding { reason: reason.to_owned(), severity: severity.into(), message: message.to_owned() }
}
