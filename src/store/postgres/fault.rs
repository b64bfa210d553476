//! Errors of PostgreSQL, translated in this one place: whether one write was wrong, whether it has
//! to be begun again, or whether the server cannot be used. It must not decide what anybody does
//! about it.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why a round trip to the server failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundTripError {
    /// The server, or whatever stands between, did not answer in time.
    #[error("the server did not answer within {0:?}")]
    Timeout(Duration),
    /// What the server said, or why the connection broke.
    #[error(transparent)]
    Server(#[from] Error),
}

impl RoundTripError {
    /// The server's code, where it answered.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Timeout(_) => None,
            Self::Server(error) => error.code(),
        }
    }
}

/// Why a transaction did not do its work. Nothing of it was committed.
#[derive(Debug)]
pub(super) enum Fault {
    /// What was asked is wrong, or the rows that were looked at.
    Work(StoreError),
    /// Others wrote the same rows in the meantime; from the beginning it can succeed.
    Again,
    /// The server cannot do it, and the connection is not used any more.
    Server(RoundTripError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Work(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.code().map(class) {
            Some("40") => Self::Again,
            Some("22" | "23") => Self::Work(StoreError::Invalid(server_text(&error))),
            Some(_) => Self::Server(error.into()),
            None if error.is_closed() || from_io(&error) => Self::Server(error.into()),
            // Not from the server but from reading a value: a row is not what its table promises.
            None => Self::Work(StoreError::Corrupt(server_text(&error))),
        }
    }
}

impl From<RoundTripError> for Fault {
    fn from(error: RoundTripError) -> Self {
        match error {
            RoundTripError::Server(error) => error.into(),
            timeout @ RoundTripError::Timeout(_) => Self::Server(timeout),
        }
    }
}

impl Fault {
    /// The same for a caller who does not begin again.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Work(error) => error,
            Self::Again => contended(),
            Self::Server(error) => unavailable(&error),
        }
    }
}

/// What a caller is told when others always came first.
pub(super) fn contended() -> StoreError {
    StoreError::Unavailable("other writes of the same rows went on for too long".to_owned())
}

/// What a caller is told when nothing was committed for certain.
pub(super) fn unavailable(error: &RoundTripError) -> StoreError {
    match error.code() {
        Some(&SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED) => {
            StoreError::Corrupt(text(error))
        }
        _ => StoreError::Unavailable(text(error)),
    }
}

/// Whether a COMMIT that failed so has certainly not happened: a constraint that was checked last,
/// or a conflict. After anything else the server may have committed before it could say so.
pub(super) fn certainly_not_committed(error: &RoundTripError) -> bool {
    matches!(error.code().map(class), Some("23" | "40"))
}

/// Why a round trip failed, in one line, with the server's code.
pub(super) fn text(error: &RoundTripError) -> String {
    match error {
        RoundTripError::Timeout(_) => error.to_string(),
        RoundTripError::Server(error) => server_text(error),
    }
}

/// What the server says, in one line, with its code.
pub(super) fn server_text(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// The first two characters of a code: what kind of error it is.
fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}

fn from_io(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}
