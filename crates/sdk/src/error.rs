//! What a plugin answers instead of a result: a reason to branch on, a message for the caller, and a
//! source for the log alone. `Display` never prints the source, which may hold what the upstream
//! said and so must not reach a caller unseen.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::plugin::v1::{self, FieldViolation};
use crate::v1::ErrorReason;

/// The key of [`Error::metadata`] that holds the upstream's own code.
pub const UPSTREAM_CODE: &str = "upstream_code";

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug)]
pub struct Error {
    /// What a caller can branch on.
    pub reason: ErrorReason,
    /// For the caller: lowercase, no full stop, no secrets.
    pub message: String,
    /// Facts for the caller.
    pub metadata: BTreeMap<String, String>,
    /// Fields of the request that are wrong.
    pub violations: Vec<FieldViolation>,
    /// When trying again may help, where the upstream said so.
    pub retry_after: Option<Duration>,
    /// What led to it; for the log alone.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of any reason.
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// The same error once more, where it concerns several writes: its reason, message and metadata.
    pub fn again(&self) -> Self {
        Self { metadata: self.metadata.clone(), ..Self::new(self.reason, self.message.clone()) }
    }

    /// FIELD_VIOLATION of one field, named by its path in the request: `order.items[0].term`.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::fields([FieldViolation { field: field.into(), description: description.into() }])
    }

    /// FIELD_VIOLATION of several fields.
    pub fn fields(violations: impl IntoIterator<Item = FieldViolation>) -> Self {
        let violations: Vec<_> = violations.into_iter().collect();
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            more => format!("{} fields are wrong", more.len()),
        };
        Self { violations, ..Self::new(ErrorReason::FieldViolation, message) }
    }

    /// CAPABILITY_UNSUPPORTED: the provider does not have this.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorReason::CapabilityUnsupported, format!("the provider does not have {what}"))
    }

    /// UPSTREAM_REJECTED: the upstream refused, and nothing was done.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::UpstreamRejected, message)
    }

    /// UPSTREAM_UNAVAILABLE: the upstream did not answer, or not in a form that can be understood.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::UpstreamUnavailable, message)
    }

    /// UPSTREAM_CREDENTIALS: the upstream refuses the credentials that this server has for it.
    pub fn credentials(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::UpstreamCredentials, message)
    }

    /// UPSTREAM_RATE_LIMIT: the upstream asks for fewer calls.
    pub fn rate_limit(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::UpstreamRateLimit, message)
    }

    /// STATE_CONFLICT: the upstream cannot do this in the target's present state.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::StateConflict, message)
    }

    /// PLUGIN_FAULT: the plugin broke its contract.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::PluginFault, message)
    }

    /// PRODUCT_NOT_FOUND.
    pub fn product_not_found(name: impl fmt::Display) -> Self {
        Self::new(ErrorReason::ProductNotFound, format!("there is no product {name}"))
    }

    /// ORDER_NOT_FOUND.
    pub fn order_not_found(name: impl fmt::Display) -> Self {
        Self::new(ErrorReason::OrderNotFound, format!("there is no order {name}"))
    }

    /// SERVICE_NOT_FOUND.
    pub fn service_not_found(name: impl fmt::Display) -> Self {
        Self::new(ErrorReason::ServiceNotFound, format!("there is no service {name}"))
    }

    /// RENEWAL_NOT_FOUND.
    pub fn renewal_not_found(name: impl fmt::Display) -> Self {
        Self::new(ErrorReason::RenewalNotFound, format!("there is no renewal {name}"))
    }

    /// The same error with another reason.
    #[must_use]
    pub fn with_reason(self, reason: ErrorReason) -> Self {
        Self { reason, ..self }
    }

    /// Adds a fact for the caller.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds the upstream's own code.
    #[must_use]
    pub fn with_upstream_code(self, code: impl ToString) -> Self {
        self.with_metadata(UPSTREAM_CODE, code)
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn with_retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// Keeps what led to it, for the log.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<Error> for v1::Error {
    fn from(error: Error) -> Self {
        Self {
            reason: error.reason.into(),
            message: error.message,
            source: error.source.as_deref().map(chain).unwrap_or_default(),
            metadata: error.metadata,
            violations: error.violations,
            // A wait that does not fit is no wait that anybody makes.
            retry_after: error.retry_after.and_then(|after| after.try_into().ok()),
        }
    }
}

/// A reason that is unknown here, because the other side is newer, becomes INTERNAL.
impl From<v1::Error> for Error {
    fn from(error: v1::Error) -> Self {
        let source = (!error.source.is_empty()).then(|| error.source.into());
        Self {
            reason: ErrorReason::try_from(error.reason).unwrap_or(ErrorReason::Internal),
            message: error.message,
            metadata: error.metadata,
            violations: error.violations,
            // A negative wait says nothing.
            retry_after: error.retry_after.and_then(|after| after.try_into().ok()),
            source,
        }
    }
}

/// An error with what led to it, in one line.
fn chain(error: &(dyn StdError + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Duration, Error, ErrorReason, FieldViolation, v1};

    #[test]
    fn display_never_prints_the_source() {
        let error = Error::unavailable("no answer").with_source("password hunter2 refused");
        assert_eq!(error.to_string(), "no answer");
        assert_eq!(v1::Error::from(error).source, "password hunter2 refused");
    }

    #[test]
    fn the_chain_of_sources_is_kept_for_the_log() {
        let inner = Error::unavailable("inner").with_source("root");
        let outer = Error::fault("outer").with_source(inner);
        assert_eq!(v1::Error::from(outer).source, "inner: root");
    }

    #[test]
    fn an_error_survives_the_boundary() {
        let violation = FieldViolation { field: "a".to_owned(), description: "b".to_owned() };
        let error = Error::rejected("no credit")
            .with_reason(ErrorReason::InsufficientCredit)
            .with_upstream_code(521_163)
            .with_retry_after(Duration::from_millis(1500));
        let error = Error { violations: vec![violation], ..error };
        let wire = v1::Error::from(error);
        assert_eq!(v1::Error::from(Error::from(wire.clone())), wire);
        assert_eq!(wire.metadata["upstream_code"], "521163");
    }

    #[test]
    fn a_reason_of_a_newer_side_is_internal() {
        let wire = v1::Error { reason: 9999, ..v1::Error::default() };
        assert_eq!(Error::from(wire).reason, ErrorReason::Internal);
    }

    #[test]
    fn several_violations_are_counted_in_the_message() {
        let one = |field: &str| FieldViolation {
            field: field.to_owned(),
            description: "is missing".to_owned(),
        };
        assert_eq!(Error::fields([one("a")]).to_string(), "a: is missing");
        assert_eq!(Error::fields([one("a"), one("b")]).to_string(), "2 fields are wrong");
    }
}
