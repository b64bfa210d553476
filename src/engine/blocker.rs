//! Which operation another one waits for, and how errors name it.

use std::fmt;
use std::time::Duration;

use purveyor_sdk::Error;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::v1::operation::State;
use uuid::Uuid;

use super::Engine;
use super::machine::target_of;
use crate::store::StoreError;
use crate::store::operation::{Lock, Operation};

/// The metadata key that names the operation which an error is about.
const OPERATION: &str = "operation";

/// When to try again what another operation is in the way of. Such an operation takes seconds.
const RETRY: Duration = Duration::from_secs(1);

/// The longest chain of operations, each waiting for the next, that is followed. A bound, in case that a
/// chain is read while it changes.
const FOLLOWED_MAX: usize = 8;

/// An operation that holds what another one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Its request id.
    pub request_id: Uuid,
    /// Its state.
    pub state: State,
    /// The operation that an operator has to resolve before this one goes on: itself, or one that it
    /// waits for.
    pub unresolved: Option<Uuid>,
}

impl Blocker {
    /// An operation of which only the name is known.
    pub fn unread(request_id: Uuid) -> Self {
        Self { request_id, state: State::Unspecified, unresolved: None }
    }

    /// The resource name of the operation.
    pub fn name(&self) -> String {
        name(self.request_id)
    }

    /// OPERATION_IN_PROGRESS: `what` is refused until this operation ends. It says when to try again only
    /// where this operation ends without an operator.
    pub fn in_progress(&self, what: impl fmt::Display) -> Error {
        let error = match self.unresolved {
            Some(unresolved) => {
                let unresolved = name(unresolved);
                let message = format!(
                    "{what}: {}; an operator has to resolve {unresolved} first",
                    self.name()
                );
                Error::new(ErrorReason::OperationInProgress, message)
            }
            None => Error::new(ErrorReason::OperationInProgress, format!("{what}: {self}"))
                .with_retry_after(RETRY),
        };
        error.with_metadata(OPERATION, self.name())
    }

    /// NOT_STARTED: `what`, while the operation waited for this one.
    pub fn not_started(&self, what: impl fmt::Display) -> Error {
        Error::new(ErrorReason::NotStarted, format!("{what}: it waited for {self}"))
            .with_metadata(OPERATION, self.name())
    }
}

/// `operations/{request_id}, which is {STATE}`, or that it needs an operator.
impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.as_str_name().trim_start_matches("STATE_");
        match self.unresolved {
            Some(unresolved) if unresolved == self.request_id => {
                write!(f, "{}, which needs an operator", self.name())
            }
            Some(unresolved) => {
                write!(f, "{}, which is {state} and waits for {}", self.name(), name(unresolved))?;
                f.write_str(", which needs an operator")
            }
            None if self.state == State::Unspecified => f.write_str(&self.name()),
            None => write!(f, "{}, which is {state}", self.name()),
        }
    }
}

fn name(request_id: Uuid) -> String {
    format!("operations/{request_id}")
}

impl Engine {
    /// The error of an operation that needs a lock which another one holds.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) async fn in_the_way(
        &self,
        operation: &Operation,
        lock: &Lock,
        by: Uuid,
    ) -> Result<Error, StoreError> {
        let what = format!("{} has a write that has not ended", target_of(operation, lock));
        Ok(self.blocker(by).await?.in_progress(what))
    }

    /// The operation that holds a lock, as it is now.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) async fn blocker(&self, request_id: Uuid) -> Result<Blocker, StoreError> {
        let holder = self.inner.store.get(request_id).await?;
        match holder {
            Some(holder) => self.as_blocker(&holder).await,
            // It ended long ago, between the refusal and this read.
            None => Ok(Blocker::unread(request_id)),
        }
    }

    /// As [`Engine::blocker`], of an operation that was read already.
    pub(super) async fn as_blocker(&self, holder: &Operation) -> Result<Blocker, StoreError> {
        let (request_id, state) = (holder.request_id, holder.state);
        let mut last = (request_id, state, holder.blocked_by);
        for _ in 0..FOLLOWED_MAX {
            let (_, _, Some(by)) = last else { break };
            let Some(next) = self.inner.store.get(by).await? else { break };
            last = (next.request_id, next.state, next.blocked_by);
        }
        let unresolved = (last.1 == State::NeedsOperator).then_some(last.0);
        Ok(Blocker { request_id, state, unresolved })
    }
}
