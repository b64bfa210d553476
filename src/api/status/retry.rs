//! Which retry is right after an error. The table for people stands in docs/errors.md, and a test holds it to
//! what is decided here.

use purveyor_sdk::v1::operation::Outcome;
use purveyor_sdk::v1::{Effect, ErrorReason};

use crate::store::operation::{Attempt, Operation};

/// What a caller may do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The same request once more, with its request id: it is never done twice. RetryInfo says when.
    SameRequest,
    /// Nothing was bought. After the change, the request is sent with a new request id.
    NewRequestId,
    /// Sending it again does not help, with no request id.
    Never,
    /// A person has to look or to act first.
    APerson,
}

impl Retry {
    /// As metadata say it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SameRequest => "SAME_REQUEST",
            Self::NewRequestId => "NEW_REQUEST_ID",
            Self::Never => "NEVER",
            Self::APerson => "A_PERSON",
        }
    }
}

/// What an error is the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A call: a read, or a write that was not accepted, as far as is known.
    Call {
        /// Whether it is said when the same call may be repeated.
        passes: bool,
    },
    /// An operation that has failed.
    Failed {
        /// Whether the upstream accepted a spend of it, so that something may have been bought.
        accepted: bool,
    },
    /// An operation that a person has to look at.
    Problem,
}

impl Stage {
    /// What the error of an operation that has failed is the end of.
    pub(crate) fn of_failed(operation: &Operation) -> Self {
        let took = |it: &Attempt| {
            let answered = matches!(it.outcome, Outcome::Applied | Outcome::Pending);
            it.effect == Effect::Spend && (answered || it.observed.took_effect())
        };
        let accepted = operation.attempts.iter().any(took)
            || !operation.duplicates.is_empty()
            || operation.turned_up_late();
        Self::Failed { accepted }
    }
}

/// Which retry is right. Only a call is worth repeating as it is: repeating the request of an operation shows
/// that operation.
pub(crate) fn retry(reason: ErrorReason, stage: Stage) -> Retry {
    match stage {
        Stage::Problem | Stage::Failed { accepted: true } => Retry::APerson,
        Stage::Call { passes } => of_call(reason, passes),
        Stage::Failed { accepted: false } => match of_call(reason, false) {
            Retry::SameRequest => Retry::NewRequestId,
            _ if passes_by_itself(reason) => Retry::NewRequestId,
            retry => retry,
        },
    }
}

/// What is said of the moment alone, where nobody says more.
fn passes_by_itself(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::Overloaded
            | ErrorReason::OperationInProgress
            | ErrorReason::ProviderUnavailable
    )
}

fn of_call(reason: ErrorReason, passes: bool) -> Retry {
    use ErrorReason as Is;
    match reason {
        Is::UpstreamRateLimit
        | Is::UpstreamUnavailable
        | Is::StoreUnavailable
        | Is::AcceptanceUnknown
        | Is::DeadlineExceeded => Retry::SameRequest,
        Is::Overloaded | Is::OperationInProgress | Is::ProviderUnavailable if passes => {
            Retry::SameRequest
        }
        // An answer that is too large is too large again. A request id that is taken is another
        // request's, which may have bought. What has no method does not get one.
        Is::Overloaded
        | Is::RequestIdReused
        | Is::OperationNotFound
        | Is::CapabilityUnsupported => Retry::Never,
        // An operation may wait for an operator, and a quarantined provider for a restart.
        Is::OperationInProgress
        | Is::ProviderUnavailable
        | Is::InsufficientCredit
        | Is::UpstreamCredentials
        | Is::UpstreamApiGone
        | Is::UpstreamFailed
        | Is::Unauthenticated
        | Is::PermissionDenied
        | Is::AccountChanged
        | Is::DuplicateDetected
        | Is::EffectNotSeen
        | Is::PluginFault
        | Is::Internal
        | Is::Unspecified => Retry::APerson,
        Is::FieldViolation
        | Is::RequestIdRequired
        | Is::PageTokenInvalid
        | Is::ProviderNotFound
        | Is::ProductNotFound
        | Is::OrderNotFound
        | Is::ServiceNotFound
        | Is::RenewalNotFound
        | Is::UpstreamRejected
        | Is::SuspendFirst
        | Is::PriceLimit
        | Is::PriceUnknown
        | Is::CurrencyMismatch
        | Is::ExpireTimeChanged
        | Is::EtagMismatch
        | Is::NotStarted
        | Is::NotExecuted
        | Is::PaymentRequired
        | Is::OperationState
        | Is::ResumeTokenExpired
        | Is::StateConflict => Retry::NewRequestId,
    }
}

/// What to change before, or instead of, sending a request again.
pub(crate) fn change(reason: ErrorReason) -> &'static str {
    use ErrorReason as Is;
    match reason {
        Is::FieldViolation => "correct the fields that the violations name",
        Is::RequestIdRequired => "add a request id",
        Is::RequestIdReused => "read the operation that has the request id",
        Is::PageTokenInvalid => "list from the beginning",
        Is::ProviderNotFound => "name a provider that ListProviders shows",
        Is::ProductNotFound => "name a product that ListProducts shows",
        Is::OrderNotFound => "name an order that ListOrders shows",
        Is::ServiceNotFound => "name a service that ListServices shows",
        Is::RenewalNotFound => "name a renewal that ListRenewals shows",
        Is::OperationNotFound => "send the write itself again with its own request id",
        Is::CapabilityUnsupported => "GetProvider shows what the provider can do",
        Is::InsufficientCredit => "pay money into the upstream account",
        Is::UpstreamRejected => "change what the upstream refuses, as the message says",
        Is::UpstreamApiGone => "update the provider's plugin or its configuration",
        Is::SuspendFirst => "suspend the service first",
        Is::PriceLimit => "raise max_price",
        Is::PriceUnknown => "leave out max_price, or wait for another price",
        Is::CurrencyMismatch => "give max_price in the currency of the price",
        Is::ExpireTimeChanged => "read the service and send its present expire time",
        Is::OperationInProgress => "wait for the operation that metadata names, or resolve it",
        Is::EtagMismatch => "read the resource and send its present etag",
        Is::UpstreamRateLimit => "wait",
        Is::Overloaded => "wait, or ask for less at a time",
        Is::UpstreamCredentials => "give the provider other credentials",
        Is::Unauthenticated => "send credentials",
        Is::PermissionDenied => "use credentials that may do this",
        Is::UpstreamUnavailable => "wait",
        Is::ProviderUnavailable => {
            "GetProvider shows why; restart the gateway where it is quarantined"
        }
        Is::PluginFault => "report the fault of the plugin",
        Is::DeadlineExceeded => "set a longer deadline",
        Is::NotStarted => "set a later start_before",
        Is::NotExecuted => "set a later start_before",
        Is::PaymentRequired => "say how to pay",
        Is::OperationState => "read the operation and do what its state allows",
        Is::AccountChanged => "point the provider back to its account, or resolve the operation",
        Is::DuplicateDetected => "look what was bought, and resolve the operation if it is open",
        Is::UpstreamFailed => "look what the upstream did and charged",
        Is::ResumeTokenExpired => "list again, and watch from there",
        Is::StoreUnavailable => "wait",
        Is::Internal | Is::Unspecified => "report the defect",
        Is::StateConflict => "read the target and wait for another state",
        Is::EffectNotSeen => {
            "look for the effect upstream, and resolve the operation if it is open"
        }
        Is::AcceptanceUnknown => "wait",
    }
}
