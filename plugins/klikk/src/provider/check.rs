//! Whether the account works. What the upstream answers wrong is a finding; the check itself fails only
//! where the upstream could not be asked.

use purveyor_sdk::v1::check_provider_response::{Finding, finding::Severity};
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason};
use purveyor_sdk::{Cx, Result};

use super::Klikk;

pub(super) async fn check(
    klikk: &Klikk,
    cx: &Cx,
    request: CheckProviderRequest,
) -> Result<CheckProviderResponse> {
    let mut findings = Vec::new();
    match klikk.client.orders(cx).await {
        Ok(_) => findings.push(finding("CREDENTIALS", Severity::Ok, "the upstream lists orders")),
        // The host does not say before this that a credential is missing which the configuration wants.
        Err(error)
            if matches!(
                error.reason,
                ErrorReason::UpstreamCredentials | ErrorReason::PluginFault
            ) =>
        {
            let message = format!("{} is not accepted: {error}", klikk.client.credential);
            findings.push(finding("CREDENTIALS", Severity::Error, &message));
        }
        Err(error) => return Err(error),
    }
    if !klikk.item_tokens {
        let message = "items are sent without marks: a person has to find what a lost answer did";
        findings.push(finding("ITEM_TOKENS", Severity::Warning, message));
    }
    Ok(CheckProviderResponse {
        name: request.name,
        findings,
        check_time: Some(cx.now()),
        ..CheckProviderResponse::default()
    })
}

fn finding(reason: &str, severity: Severity, message: &str) -> Finding {
    Finding { reason: reason.to_owned(), severity: severity.into(), message: message.to_owned() }
}
