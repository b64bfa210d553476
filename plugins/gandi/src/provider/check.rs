//! Whose account it is, and whether it works. What the upstream answers wrong is a finding; the check
//! itself fails only where the upstream could not be asked.

use purveyor_sdk::prost_types::Struct;
use purveyor_sdk::v1::check_provider_response::{Finding, finding::Severity};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{CheckProviderRequest, CheckProviderResponse, ErrorReason};
use purveyor_sdk::{Cx, Error, Result};

use super::Gandi;
use crate::model::{Account, not_understood};

/// The first version of the API that has the product methods.
const FIRST: [u64; 3] = [3, 1, 2];
/// The first that has them no more.
const GONE: [u64; 3] = [3, 3, 0];

/// The account's handle.
pub(super) async fn identity(gandi: &Gandi, cx: &Cx) -> Result<String> {
    let account = gandi.client.account(cx).await?;
    account.handle.ok_or_else(|| not_understood("handle"))
}

pub(super) async fn check(
    gandi: &Gandi,
    cx: &Cx,
    request: CheckProviderRequest,
) -> Result<CheckProviderResponse> {
    let mut answer = CheckProviderResponse {
        name: request.name,
        check_time: Some(cx.now()),
        ..CheckProviderResponse::default()
    };
    match gandi.client.version(cx).await {
        Ok(version) => {
            answer.findings.push(finding("CREDENTIALS", Severity::Ok, "the API key is accepted"));
            answer.findings.push(version_finding(&version));
            answer.upstream_version = version;
        }
        Err(error) if error.reason == ErrorReason::UpstreamCredentials => {
            answer.findings.push(finding("CREDENTIALS", Severity::Error, &error.message));
            return Ok(answer);
        }
        Err(error) => answer.findings.push(refused("API_VERSION", error)?),
    }
    match gandi.client.account(cx).await {
        Ok(account) => account_findings(&mut answer, account),
        Err(error) => answer.findings.push(refused("PRODUCT_API", error)?),
    }
    match gandi.balance(cx).await {
        Ok(Some(balance)) => {
            let wrong = balance.notice();
            let wrong = wrong.map(|notice| finding("BALANCE", Severity::Warning, &notice.message));
            answer.findings.extend(wrong);
            answer.balance = Some(balance.price(Tax::Unspecified));
        }
        Ok(None) => {
            let message = "the upstream tells no balance of a prepaid account";
            answer.findings.push(finding("BALANCE", Severity::Warning, message));
        }
        Err(error) => answer.findings.push(refused("BALANCE", error)?),
    }
    Ok(answer)
}

fn account_findings(answer: &mut CheckProviderResponse, account: Account) {
    answer.findings.push(match account.products() {
        Ok(_) => finding("PRODUCT_API", Severity::Ok, "the account has products"),
        Err(error) => finding("PRODUCT_API", Severity::Error, &error.message),
    });
    answer.account = account.handle.unwrap_or_default();
    let told = ["resources", "share_definition"];
    let fields = account.attributes.fields.into_iter();
    let fields = fields.filter(|(name, _)| told.contains(&name.as_str())).collect();
    answer.attributes = Some(Struct { fields });
}

/// A refusal is a finding; what could not be asked fails the check.
fn refused(reason: &str, error: Error) -> Result<Finding> {
    match error.reason {
        ErrorReason::UpstreamRejected
        | ErrorReason::UpstreamApiGone
        | ErrorReason::UpstreamCredentials
        | ErrorReason::FieldViolation
        | ErrorReason::ServiceNotFound
        | ErrorReason::OrderNotFound => Ok(finding(reason, Severity::Error, &error.message)),
        _ => Err(error),
    }
}

fn version_finding(version: &str) -> Finding {
    match numbers(version) {
        Some(numbers) if (FIRST..GONE).contains(&numbers) => {
            finding("API_VERSION", Severity::Ok, &format!("the API is of version {version}"))
        }
        _ => {
            let message = format!(
                "the API is of version {version}; the product methods exist from 3.1.2 to before 3.3.0"
            );
            finding("API_VERSION", Severity::Warning, &message)
        }
    }
}

/// The first three numbers of a version; what is missing is 0.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(version.split('.')) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn finding(reason: &str, severity: Severity, message: &str) -> Finding {
    Finding { reason: reason.to_owned(), severity: severity.into(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Severity, version_finding};

    #[test]
    fn versions_that_have_the_product_methods() {
        fn check(version: &str, expected: Severity) {
            assert_eq!(version_finding(version).severity(), expected, "{version:?}");
        }
        check("3.1.2", Severity::Ok);
        check("3.1.10", Severity::Ok);
        check("3.2", Severity::Ok);
        check("3.2.99", Severity::Ok);
        for version in ["3.1.1", "3.1", "3.3.0", "3.3", "3.3.42", "4.0", "2.0", "", "new"] {
            check(version, Severity::Warning);
        }
    }
}
