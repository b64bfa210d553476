//! Errors as callers see them: a gRPC status with google.rpc details, and the same content as a value
//! of our own in an operation. The only file that knows gRPC's codes. It must not decide what is an
//! error, and never shows an error's source.

pub(crate) mod retry;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use prost_types::Any;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::v1::{self, ErrorReason};
use tonic::Code;
use tonic_types::pb;

use self::retry::{Retry, Stage};
use crate::api::limits::{ERROR_MAX_BYTES, VIOLATIONS_MAX};

/// The domain of every reason.
pub const DOMAIN: &str = "purveyor";

/// The metadata key of the resource that an error is about, as a name of this API.
pub const RESOURCE: &str = "resource";

/// The metadata key of the provider that an error is about.
pub const PROVIDER: &str = "provider";

/// The metadata key of the operation that is in the way, else of the one that failed.
pub const OPERATION: &str = "operation";

/// The metadata key of the order that a renewal has made, which may still wait for payment.
pub const ORDER: &str = "order";

/// The metadata key that says which retry is right.
pub const RETRY: &str = "retry";

/// The metadata key that says what to change, or to do, before a request is sent again.
pub const CHANGE: &str = "retry_change";

/// The metadata key that says how many violations were left out.
pub const MORE_VIOLATIONS: &str = "more_violations";

/// The name of the detail that says when to try again.
const RETRY_INFO: &str = "RetryInfo";

/// The code of what is not there, where a protocol other than gRPC's own tells it.
pub(crate) const NOT_FOUND: i32 = Code::NotFound as i32;

/// What every word of ErrorReason begins with in the proto.
const PREFIX: &str = "ERROR_REASON_";

/// The longest message, bytes; it travels twice.
const MESSAGE_MAX_BYTES: usize = 640;

/// The longest fact or violation, bytes. Halved until the whole fits.
const TEXT_MAX_BYTES: usize = 256;

/// The most facts beside a reason.
const METADATA_MAX: usize = 16;

/// When to try again where nobody said.
const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// An error as a failing call answers it.
pub(crate) fn grpc(error: &Error) -> tonic::Status {
    if matches!(error.reason, ErrorReason::Internal | ErrorReason::PluginFault) {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::error!(reason = reason(error.reason), source, "{error}");
    }
    let content = fit(error, of_call(error));
    let details = content.encode();
    tonic::Status::with_details(code(error.reason), content.message, details)
}

/// An error of a call as a value: what `grpc` says, with the reason and its facts as fields.
pub(crate) fn value(error: &Error) -> v1::Status {
    at(error, of_call(error))
}

/// The error of an operation. Repeating the call only shows the same operation.
pub(crate) fn of_operation(error: &Error, stage: Stage) -> v1::Status {
    at(error, stage)
}

fn at(error: &Error, stage: Stage) -> v1::Status {
    let content = fit(error, stage);
    v1::Status {
        code: code(error.reason) as i32,
        details: content.details(),
        message: content.message,
        reason: reason(error.reason),
        metadata: content.metadata.into_iter().collect(),
    }
}

fn of_call(error: &Error) -> Stage {
    Stage::Call { passes: error.retry_after.is_some() }
}

/// Gives a status that the transport made (no such method, a request that cannot be read) the details
/// that every error of this API carries. `grpc-status` is in the headers when no message follows.
pub(crate) fn complete(headers: &mut HeaderMap, path: &str) {
    let Some(status) = tonic::Status::from_header_map(headers) else { return };
    if status.code() == Code::Ok || !status.details().is_empty() {
        return;
    }
    let error = match status.code() {
        Code::Unimplemented => Error::new(
            ErrorReason::CapabilityUnsupported,
            format!("this server cannot serve {path}: {}", or(status.message(), "no such method")),
        ),
        _ => Error::new(
            ErrorReason::FieldViolation,
            format!("the request cannot be read: {}", status.message()),
        ),
    };
    for key in [tonic::Status::GRPC_STATUS, tonic::Status::GRPC_MESSAGE] {
        headers.remove(key);
    }
    // Headers that cannot be written leave the status out, and the client says so itself.
    if let Err(status) = grpc(&error).add_header(headers) {
        tracing::error!(%status, "a status cannot be written");
    }
}

/// The code of an answer's headers, for the log: `OK` while there is none.
pub(crate) fn code_of(headers: &HeaderMap) -> Code {
    tonic::Status::from_header_map(headers).map_or(Code::Ok, |status| status.code())
}

/// What a caller should do about each reason, in gRPC's words.
fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::FieldViolation
        | ErrorReason::RequestIdRequired
        | ErrorReason::PageTokenInvalid
        | ErrorReason::CurrencyMismatch => Code::InvalidArgument,
        ErrorReason::RequestIdReused => Code::AlreadyExists,
        ErrorReason::ProviderNotFound
        | ErrorReason::ProductNotFound
        | ErrorReason::OrderNotFound
        | ErrorReason::ServiceNotFound
        | ErrorReason::RenewalNotFound
        | ErrorReason::OperationNotFound => Code::NotFound,
        ErrorReason::CapabilityUnsupported => Code::Unimplemented,
        ErrorReason::InsufficientCredit
        | ErrorReason::UpstreamRejected
        | ErrorReason::UpstreamApiGone
        | ErrorReason::SuspendFirst
        | ErrorReason::PriceLimit
        | ErrorReason::PriceUnknown
        | ErrorReason::ExpireTimeChanged
        | ErrorReason::UpstreamCredentials
        | ErrorReason::NotStarted
        | ErrorReason::NotExecuted
        | ErrorReason::PaymentRequired
        | ErrorReason::OperationState
        | ErrorReason::AccountChanged
        | ErrorReason::UpstreamFailed
        | ErrorReason::EffectNotSeen
        | ErrorReason::StateConflict => Code::FailedPrecondition,
        ErrorReason::OperationInProgress
        | ErrorReason::EtagMismatch
        | ErrorReason::DuplicateDetected => Code::Aborted,
        ErrorReason::UpstreamRateLimit | ErrorReason::Overloaded => Code::ResourceExhausted,
        ErrorReason::Unauthenticated => Code::Unauthenticated,
        ErrorReason::PermissionDenied => Code::PermissionDenied,
        ErrorReason::UpstreamUnavailable
        | ErrorReason::ProviderUnavailable
        | ErrorReason::StoreUnavailable
        | ErrorReason::AcceptanceUnknown => Code::Unavailable,
        ErrorReason::PluginFault | ErrorReason::Internal | ErrorReason::Unspecified => {
            Code::Internal
        }
        ErrorReason::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorReason::ResumeTokenExpired => Code::OutOfRange,
    }
}

/// A reason as the wire has it. One that is not set is a defect of ours.
fn reason(reason: ErrorReason) -> String {
    let reason = match reason {
        ErrorReason::Unspecified => ErrorReason::Internal,
        reason => reason,
    };
    reason.as_str_name().trim_start_matches(PREFIX).to_owned()
}

/// An error, cut to what may travel.
struct Content<'a> {
    error: &'a Error,
    retry: Retry,
    message: String,
    metadata: HashMap<String, String>,
    violations: Vec<FieldViolation>,
}

/// Cuts an error down: first the violations from the end, then the texts.
fn fit(error: &Error, stage: Stage) -> Content<'_> {
    let retry = retry::retry(error.reason, stage);
    let mut shown = error.violations.len().min(VIOLATIONS_MAX);
    let mut text = TEXT_MAX_BYTES;
    loop {
        let content = cut(error, retry, shown, text);
        if content.travels() <= ERROR_MAX_BYTES || text == 0 {
            return content;
        }
        if shown > 1 {
            shown -= 1;
        } else {
            text /= 2;
        }
    }
}

/// An error with `shown` violations and no text longer than `text` bytes.
fn cut(error: &Error, retry: Retry, shown: usize, text: usize) -> Content<'_> {
    let facts = error.metadata.iter().take(METADATA_MAX);
    let mut metadata: HashMap<_, _> =
        facts.map(|(key, fact)| (prefix(key, text / 4), prefix(fact, text))).collect();
    let more = error.violations.len() - shown;
    if more > 0 {
        metadata.insert(MORE_VIOLATIONS.to_owned(), more.to_string());
    }
    metadata.insert(RETRY.to_owned(), retry.as_str().to_owned());
    metadata.insert(CHANGE.to_owned(), retry::change(error.reason).to_owned());
    let violations = error.violations.iter().take(shown).map(|violation| FieldViolation {
        field: prefix(&violation.field, text),
        description: prefix(&violation.description, text),
    });
    Content {
        error,
        retry,
        message: prefix(&error.message, MESSAGE_MAX_BYTES.min(text * 4)),
        violations: violations.collect(),
        metadata,
    }
}

/// The beginning of `text`, at most `max` bytes, on a character's edge.
fn prefix(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max.saturating_sub('…'.len_utf8())).rfind(|end| text.is_char_boundary(*end));
    format!("{}…", &text[..end.unwrap_or_default()])
}

impl Content<'_> {
    /// The bytes of `grpc-message` (percent-encoded) and `grpc-status-details-bin` (base64).
    fn travels(&self) -> usize {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'%';
        let message: usize =
            self.message.as_bytes().iter().map(|byte| if plain(byte) { 1 } else { 3 }).sum();
        message + STANDARD_NO_PAD.encode(self.encode()).len()
    }

    /// google.rpc.Status.
    fn encode(&self) -> Bytes {
        let info = pb::ErrorInfo {
            reason: reason(self.error.reason),
            domain: DOMAIN.to_owned(),
            metadata: self.metadata.clone(),
        };
        let mut details = vec![any("ErrorInfo", &info)];
        details.extend(self.details());
        let code = code(self.error.reason) as i32;
        let status = pb::Status { code, message: self.message.clone(), details };
        status.encode_to_vec().into()
    }

    /// The details beside ErrorInfo.
    fn details(&self) -> Vec<Any> {
        let mut details = Vec::new();
        if !self.violations.is_empty() {
            details.push(any("BadRequest", &self.bad_request()));
        }
        let subject = self.subject();
        match code(self.error.reason) {
            Code::FailedPrecondition => details.push(any(
                "PreconditionFailure",
                &pb::PreconditionFailure {
                    violations: vec![pb::precondition_failure::Violation {
                        r#type: reason(self.error.reason),
                        subject,
                        description: self.message.clone(),
                    }],
                },
            )),
            Code::ResourceExhausted => details.push(any(
                "QuotaFailure",
                &pb::QuotaFailure {
                    violations: vec![pb::quota_failure::Violation {
                        subject,
                        description: self.message.clone(),
                        ..Default::default()
                    }],
                },
            )),
            Code::NotFound | Code::AlreadyExists => details.push(any(
                "ResourceInfo",
                &pb::ResourceInfo {
                    resource_type: resource_type(self.error.reason).to_owned(),
                    resource_name: subject,
                    description: self.message.clone(),
                    ..Default::default()
                },
            )),
            _ => {}
        }
        if self.retry == Retry::SameRequest {
            let delay = self.error.retry_after.unwrap_or(RETRY_DEFAULT);
            details.push(any(RETRY_INFO, &pb::RetryInfo { retry_delay: delay.try_into().ok() }));
        }
        details
    }

    /// What the error is about: a resource, else a provider, else this server.
    fn subject(&self) -> String {
        let keys = match self.error.reason {
            ErrorReason::RequestIdReused
            | ErrorReason::OperationNotFound
            | ErrorReason::OperationState => [OPERATION, RESOURCE, PROVIDER],
            // The upstream counts the calls of an account.
            ErrorReason::UpstreamRateLimit => [PROVIDER, RESOURCE, OPERATION],
            _ => [RESOURCE, OPERATION, PROVIDER],
        };
        keys.iter()
            .find_map(|key| self.metadata.get(*key))
            .cloned()
            .unwrap_or_else(|| DOMAIN.to_owned())
    }

    /// The violations.
    fn bad_request(&self) -> pb::BadRequest {
        let violations = self.violations.iter().map(|violation| pb::bad_request::FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
            ..Default::default()
        });
        pb::BadRequest { field_violations: violations.collect() }
    }
}

/// What is not there, or there already.
fn resource_type(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::ProviderNotFound => "purveyor.v1.Provider",
        ErrorReason::ProductNotFound => "purveyor.v1.Product",
        ErrorReason::OrderNotFound => "purveyor.v1.Order",
        ErrorReason::ServiceNotFound => "purveyor.v1.Service",
        ErrorReason::RenewalNotFound => "purveyor.v1.Renewal",
        _ => "purveyor.v1.Operation",
    }
}

/// A detail with its type.
fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: type_url(name), value: message.encode_to_vec() }
}

/// The type of a google.rpc detail.
fn type_url(name: &str) -> String {
    format!("type.googleapis.com/google.rpc.{name}")
}

/// `text`, or what stands for an empty one.
fn or<'a>(text: &'a str, instead: &'a str) -> &'a str {
    if text.is_empty() { instead } else { text }
}
