//! What is due, shared out among accounts. It must not know what an operation is due for.

use uuid::Uuid;

use super::age::Age;
use super::operation::Operation;

/// Who tries, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The replica.
    pub replica: Uuid,
    /// Until when.
    pub until: Age,
}

/// The operations of one account at one provider, in the order in which they are due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueQueue {
    /// The account's key; empty for operations of older versions, and while nobody knew the account.
    pub account_key: String,
    /// The provider's id.
    pub provider: String,
}

impl DueQueue {
    /// The queue that an operation stands in.
    pub fn of(operation: &Operation) -> DueQueue {
        DueQueue {
            account_key: operation.account_key.clone(),
            provider: operation.provider.clone(),
        }
    }
}

/// How much is taken of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Of which.
    pub queue: DueQueue,
    /// At most so many.
    pub limit: usize,
}

/// A request for due operations.
#[derive(Clone, Debug)]
pub struct Take {
    /// Operations due at this age.
    pub now: Age,
    /// For whom, and until when.
    pub lease: Lease,
    /// Of which queues; each of them once.
    pub shares: Vec<Share>,
}

/// When there is next something to take, for each queue that has something: in the order of the bytes of
/// their accounts and providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wakes {
    /// For [`Store::take_due`](super::Store::take_due).
    pub due: Vec<(DueQueue, Age)>,
    /// For [`Store::take_waiting`](super::Store::take_waiting).
    pub waiting: Vec<(DueQueue, Age)>,
}

impl Wakes {
    /// The first of all.
    pub fn first(&self) -> Option<Age> {
        self.all().min()
    }

    /// The first that comes after `now`.
    pub fn first_after(&self, now: Age) -> Option<Age> {
        self.all().filter(|due| *due > now).min()
    }

    fn all(&self) -> impl Iterator<Item = Age> {
        self.due.iter().chain(&self.waiting).map(|(_, due)| *due)
    }
}
