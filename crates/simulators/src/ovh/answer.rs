//! Answers and refusals as the upstream writes them. It must not decide what is answered.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use crate::ledger::LedgerError;
use crate::money::Cents;
use crate::server::Reply;

/// The header that every answer carries.
const QUERY_ID: HeaderName = HeaderName::from_static("x-ovh-queryid");

/// An error, in one of the upstream's two shapes.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Refusal {
    /// Refused before any service saw it.
    pub(super) fn gateway(status: StatusCode, code: &str, message: &str) -> Self {
        let body = json!({
            "errorCode": code,
            "httpCode": status.to_string(),
            "message": message,
        });
        Self { status, body }
    }

    /// Refused by a service.
    pub(super) fn service(status: StatusCode, class: &str, message: impl Into<String>) -> Self {
        let body = json!({ "class": class, "message": message.into(), "details": {} });
        Self { status, body }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::service(StatusCode::BAD_REQUEST, "Client::BadRequest::InvalidParameter", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::service(StatusCode::NOT_FOUND, "Client::NotFound", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::service(StatusCode::FORBIDDEN, "Client::Forbidden", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::service(StatusCode::CONFLICT, "Client::Conflict::ResourceBusy", message)
    }
}

/// What cannot be recorded cannot be sold.
impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::service(status, "Server::InternalServerError", error.to_string())
    }
}

/// An answer on its way, with the number of the query.
pub(super) fn reply(answer: Result<Value, Refusal>, query: u64) -> Reply {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal { status, body }) => (status, body),
    };
    let mut reply = document(status, body.to_string());
    let id = HeaderValue::from_str(&format!("SIM.ws-1.{query:08x}"));
    reply.headers.extend(id.ok().map(|id| (QUERY_ID, id)));
    reply
}

pub(super) fn document(status: StatusCode, body: String) -> Reply {
    Reply::new(status, "application/json; charset=utf-8", Bytes::from(body))
}

/// The upstream's own form of an error, on command: the code is the HTTP status.
pub(super) fn fault(code: i32, text: &str) -> Reply {
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    // A number outside HTTP's range is the test's mistake and shows as this status.
    let status = status.unwrap_or(StatusCode::NOT_IMPLEMENTED);
    let class = match status {
        StatusCode::NOT_FOUND => "Client::NotFound",
        StatusCode::FORBIDDEN => "Client::Forbidden",
        status if status.is_server_error() => "Server::Fault",
        _ => "Client::Fault",
    };
    reply(Err(Refusal::service(status, class, text)), 0)
}

/// An amount as a JSON number: its digits are read, nothing is reckoned with the number.
pub(super) fn number(amount: Cents) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or(Value::Null)
}

/// A moment as the upstream spells it.
///
/// Assumption: always two hours ahead of UTC, as in the guide's example.
pub(super) fn moment(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(2));
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
