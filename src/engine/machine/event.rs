//! What can happen to an operation, and why an event may not apply. Words only; what follows from them
//! stands in the machine.

use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{FindResponse, PollOutcome, StepOutcome};
use purveyor_sdk::v1::Effect;
use uuid::Uuid;

use crate::engine::account::AccountOf;
use crate::engine::blocker::Blocker;
use crate::plugin::Spend;
use crate::store::operation::{Baseline, Note};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The executor begins the next step. May fail the operation: see `start_before`.
    Begin {
        /// The account that the provider's configuration points to now.
        account: AccountOf,
        /// Whether the operation belongs to it; an error names the account for a person. It counts only
        /// where the operation has an account.
        belongs: Result<(), String>,
    },
    /// The next step must not begin: what it would charge is not within the limit.
    Refused(Error),
    /// The step cannot begin now, for a reason that may pass.
    Deferred(Error),
    /// What the step needs is held by another operation.
    Blocked {
        /// By which.
        by: Blocker,
    },
    /// What it waited for may be free.
    Unblocked,
    /// `start_before` has passed, whoever works on it.
    StartExpired {
        /// What it waits for.
        waited_for: Option<Blocker>,
    },
    /// Evidence before the spend.
    BaselineTaken(Baseline),
    /// The store may lack that the next spend was sent already: it is searched for first.
    Presumed(Presumption),
    /// The host is about to write a request.
    Permitted(NewAttempt),
    /// The step has ended.
    Closed(Closing),
    /// The step ended after somebody else had taken the operation over, or another operation's claim
    /// stood against its end: what the host observed of the attempt is stored, and is applied now.
    ObservedLate {
        /// The attempt's nonce.
        nonce: Uuid,
        /// How its step ended.
        closing: Closing,
    },
    /// What this operation claims by a search or an operator's word, another one was answered.
    ClaimLost {
        /// Which operation.
        by: Uuid,
        /// What it was answered.
        upstream_id: String,
    },
    /// What the upstream delivered was delivered to another operation, as its own answer told.
    Contested(Contest),
    /// The process that ran the step is gone.
    Recovered,
    /// The upstream was asked how far it has come.
    Polled(PollOutcome),
    /// The upstream could not be asked.
    PollFailed(Error),
    /// It was looked for what became of the unknown attempt.
    Looked(Looked),
    /// It could not be looked for.
    LookFailed(Error),
    /// What was found belongs to another operation.
    FoundClaimed {
        /// Whose it is.
        by: Uuid,
        /// What was found.
        upstream_id: String,
    },
    /// After the end it was looked for what was taken for absent; what others claim is left out.
    LookedBack(Vec<LateFinding>),
    /// After the end it could not be looked for.
    LookBackFailed(Error),
    /// The provider's configuration points to another account than the operation's.
    AccountChanged {
        /// The account that it points to.
        now: String,
    },
    /// The caller takes it back.
    CancelRequested,
    /// An operator has found out.
    Resolved {
        /// What.
        resolution: Resolution,
        /// Who, and why.
        note: Note,
    },
}

/// What came of one search, and what the store knew when it was begun.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// What the plugin found.
    pub response: FindResponse,
    /// Upstream identifiers that belong to other operations.
    pub claimed_ids: Vec<String>,
    /// Other accepted operations of the account that wait for an object of the kind that this one makes.
    pub waiting: Vec<Uuid>,
}

impl From<FindResponse> for Looked {
    fn from(response: FindResponse) -> Self {
        Self { response, ..Self::default() }
    }
}

/// What was found after the end of one step of which an attempt was taken for absent.
#[derive(Clone, Debug)]
pub struct LateFinding {
    /// The step.
    pub step: u32,
    /// What the plugin found.
    pub response: FindResponse,
}

/// A request that may have been sent, of which the store knows nothing.
#[derive(Clone, Debug)]
pub struct Presumption {
    /// Of the attempt that stands for it.
    pub nonce: Uuid,
    /// The upstream call.
    pub call: String,
    /// Evidence of what was there before; an error says why an operator has to look.
    pub evidence: Result<Baseline, String>,
}

/// A permit about to be committed.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    /// What makes it single-use.
    pub nonce: Uuid,
    /// The upstream call.
    pub call: String,
    /// The call's effect.
    pub effect: Effect,
    /// Name and version of the plugin.
    pub plugin: String,
    /// SHA-256 of the plugin's file.
    pub plugin_sha256: String,
}

/// What is known when a step has ended: what the host saw, and what the plugin says.
#[derive(Debug)]
pub struct Closing {
    /// The host's own record; `None`: no permit was used.
    pub spend: Option<Spend>,
    /// What the plugin returned; an error also for a panic or a hang.
    pub said: Result<StepOutcome, Error>,
    /// The claim that stands against what the host observed.
    pub contest: Option<Contest>,
}

/// An upstream object that another operation claims by the upstream's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Whose it is.
    pub by: Uuid,
    /// What it is.
    pub upstream_id: String,
}

/// What an operator found out.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// It was executed; `outcome` is how the plugin goes on with it, if it can.
    Executed {
        /// The upstream's identifier.
        upstream_id: String,
        /// How it goes on; `None`: the upstream cannot be read, the operation ends as done.
        outcome: Option<Box<StepOutcome>>,
    },
    /// It was not executed.
    NotExecuted {
        /// Whether the next attempt follows, or the operation ends.
        try_again: bool,
        /// Whether it counts at once, also against what the upstream answered.
        at_own_risk: bool,
    },
}

/// Why an event does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not apply to an operation that is {state}: {reason}")]
pub struct Refusal {
    pub(super) event: &'static str,
    pub(super) state: &'static str,
    pub(super) reason: &'static str,
}

impl Event {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Event::Begin { .. } => "begin",
            Event::Refused(_) => "a refusal",
            Event::Deferred(_) => "a delay",
            Event::Blocked { .. } => "blocked",
            Event::Unblocked => "unblocked",
            Event::StartExpired { .. } => "the end of its time to start",
            Event::BaselineTaken(_) => "a baseline",
            Event::Presumed(_) => "a presumed attempt",
            Event::Permitted(_) => "a permit",
            Event::Closed(_) => "the end of a step",
            Event::ObservedLate { .. } => "a late observation",
            Event::ClaimLost { .. } => "the loss of a claim",
            Event::Contested(_) => "a contested claim",
            Event::Recovered => "recovery",
            Event::Polled(_) | Event::PollFailed(_) => "a poll",
            Event::Looked(_) | Event::LookFailed(_) | Event::FoundClaimed { .. } => "a look",
            Event::LookedBack(_) | Event::LookBackFailed(_) => "a look back",
            Event::AccountChanged { .. } => "another account",
            Event::CancelRequested => "cancellation",
            Event::Resolved { .. } => "an operator's resolution",
        }
    }
}
