//! What every method of every noun is told beside its request, and what a write answers.

use purveyor_sdk::Error;
use purveyor_sdk::v1::Quote;
use tokio::time::Instant;

use super::Caller;
use crate::store::operation::Operation;

/// Who calls, and until when an answer is of use.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who.
    pub caller: Caller,
    /// W3C trace id; may be empty.
    pub trace_id: String,
    /// The instant by which an answer must exist; `None`: the caller waits as long as it takes.
    pub deadline: Option<Instant>,
}

/// What came of a write.
#[derive(Debug)]
pub enum Written {
    /// It is stored, and this is its operation.
    Operation(Box<Operation>),
    /// `validate_only`: nothing was stored, and this is what it would do.
    Quote(Box<Quote>),
    /// `validate_only`: it would not be carried out, and this is why.
    Refused(Error),
}
