//! What the upstream answers when it does not do as it is told. The document says that an error code
//! and a message come, and not which: the codes are assumptions, one for each cause, so that no two
//! causes look alike.

use http::StatusCode;

/// An error: its code, the HTTP status that would fit, and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) status: StatusCode,
    pub(super) message: String,
}

/// Why the upstream refuses. Assumption: all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    TokenMissing,
    NoBearer,
    TokenUnknown,
    TokenExpired,
    AccountLocked,
    HeaderMissing,
    BodyUnreadable,
    ParameterMissing,
    ParameterWrong,
    ParameterUnknown,
    CustomerUnknown,
    PartnerUnknown,
    PlanUnknown,
    CurrencyUnknown,
    NoSuchPlatform,
    ServiceUnknown,
    ServiceTerminated,
    NothingToDo,
    Internal,
}

impl Cause {
    fn of(self) -> (i32, StatusCode) {
        match self {
            Self::TokenMissing => (1001, StatusCode::UNAUTHORIZED),
            Self::NoBearer => (1002, StatusCode::UNAUTHORIZED),
            Self::TokenUnknown => (1003, StatusCode::UNAUTHORIZED),
            Self::TokenExpired => (1004, StatusCode::UNAUTHORIZED),
            Self::AccountLocked => (1005, StatusCode::FORBIDDEN),
            Self::HeaderMissing => (1006, StatusCode::BAD_REQUEST),
            Self::BodyUnreadable => (2000, StatusCode::BAD_REQUEST),
            Self::ParameterMissing => (2001, StatusCode::BAD_REQUEST),
            Self::ParameterWrong => (2002, StatusCode::BAD_REQUEST),
            Self::ParameterUnknown => (2003, StatusCode::BAD_REQUEST),
            Self::CustomerUnknown => (3001, StatusCode::BAD_REQUEST),
            Self::PartnerUnknown => (3002, StatusCode::BAD_REQUEST),
            Self::PlanUnknown => (3003, StatusCode::NOT_FOUND),
            Self::CurrencyUnknown => (3004, StatusCode::BAD_REQUEST),
            Self::NoSuchPlatform => (3005, StatusCode::BAD_REQUEST),
            Self::ServiceUnknown => (4001, StatusCode::NOT_FOUND),
            Self::ServiceTerminated => (4002, StatusCode::BAD_REQUEST),
            Self::NothingToDo => (4003, StatusCode::BAD_REQUEST),
            Self::Internal => (9001, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl Refusal {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        let (code, status) = cause.of();
        Self { code, status, message: message.into() }
    }
}
