//! What a step of a write, a poll and a search come to, in the author's types, and how they cross
//! the boundary.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::plugin::v1::find_response::{self, Absent, Found};
use crate::plugin::v1::poll_outcome::{self, Failed};
use crate::plugin::v1::step_outcome::{self, Done, Next, Outcome, Pending, Rejected, Unknown};
use crate::plugin::v1::{self, FindResponse, PollOutcome, StepOutcome};
use crate::v1::{Order, Price, Product, Renewal, Service, UpstreamRef};

/// Any resource, or the name of one that is gone.
pub use crate::plugin::v1::resource::Kind as Resource;
/// What the upstream's word about accepted work amounts to, where it does not go on.
pub use crate::plugin::v1::step_outcome::Standing;

/// How one step of a write ended. The gateway believes it only where its own record of the upstream
/// call agrees; what it cannot believe is unknown. An `Err` instead of a step is for what failed
/// before anything was sent.
#[derive(Debug)]
pub enum Step<T> {
    /// The write is done; this came of it.
    Done(T),
    /// The upstream accepted it and goes on working.
    Pending {
        /// What `poll` needs to follow it; begins with a version of the plugin's own.
        handle: Vec<u8>,
        /// How long from now to look first.
        after: Duration,
        /// The resource as it is now.
        view: Option<T>,
    },
    /// This step is done and another follows.
    Next {
        /// What the next step needs; stored before it begins.
        handle: Vec<u8>,
        /// The resource as it is now.
        view: Option<T>,
        /// What the next step will charge, where it is known now.
        price: Option<Price>,
    },
    /// The upstream refused.
    Rejected {
        /// The name of a declared proof that the answer satisfies.
        proof: &'static str,
        /// The error for the caller.
        error: Error,
        /// Set when earlier steps were done and the operation goes on with them alone.
        carry_on: Option<CarryOn<T>>,
    },
    /// The answer does not tell; what was seen.
    Unknown(String),
}

/// How an operation goes on with the steps that were done before one was refused.
#[derive(Debug)]
pub struct CarryOn<T> {
    /// What `poll` needs to follow them.
    pub handle: Vec<u8>,
    /// The resource as it is now.
    pub view: Option<T>,
}

/// How far the upstream has come with what it accepted.
#[derive(Debug)]
pub enum Progress {
    /// Done; this came of it.
    Done(Resource),
    /// Not done yet.
    Pending {
        /// What the next `poll` needs.
        handle: Vec<u8>,
        /// How long from now to look again.
        after: Duration,
        /// The resource as it is now.
        view: Option<Resource>,
    },
    /// It does not go on, and what was asked for does not show. When that lasts for the method's effect
    /// lag, the operation ends or waits for an operator, as the standing says.
    Stands {
        /// What the next `poll` needs.
        handle: Vec<u8>,
        /// How long from now to look again.
        after: Duration,
        /// The resource as it is now.
        view: Option<Resource>,
        /// What the upstream's word amounts to.
        standing: Standing,
        /// What it ends with when that lasts.
        error: Error,
    },
    /// One step is done, another follows.
    Next {
        /// What the next step needs.
        handle: Vec<u8>,
        /// The resource as it is now.
        view: Option<Resource>,
        /// What the next step will charge, where it is known now.
        price: Option<Price>,
    },
    /// It will not be done.
    Failed {
        /// The error for the caller.
        error: Error,
        /// The resource as it is now.
        view: Option<Resource>,
    },
    /// This item could not be looked at now.
    Unavailable(Error),
}

/// What became of a spend whose answer was lost.
#[derive(Debug)]
pub enum Finding {
    /// It was done: what was found bears our mark, or is tied to the request.
    Found {
        /// The identifier of what it made; empty where it makes nothing.
        upstream_id: String,
        /// How the operation goes on, as if the step had returned it: done, pending or next.
        step: Box<Step<Resource>>,
    },
    /// Nothing is there that is known to be ours. The gateway judges what that proves.
    Absent(Traces),
}

/// What speaks against the absence of a spend that is not found; nothing, where it is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traces {
    /// Objects that are new since the baseline and that nothing explains: they are not among
    /// [`crate::Find::claimed_ids`], and bear no mark of [`crate::Find::other_request_ids`].
    pub unexplained: Vec<UpstreamRef>,
    /// Why what was read cannot prove absence; empty: it can.
    pub incomplete: String,
    /// How often the change that was asked for has happened to its target since the baseline.
    pub effects: i32,
    /// Objects that are new and bear the mark of another request, one for each mark.
    pub marked_ids: Vec<String>,
    /// Those of `unexplained` that are just what was asked for: product, quantity, term.
    pub alike_ids: Vec<String>,
}

impl Finding {
    /// Nothing is there, and nothing speaks against it.
    pub fn absent() -> Self {
        Self::Absent(Traces::default())
    }

    /// Nothing is known to be ours, and these could be it.
    pub fn unexplained(unexplained: Vec<UpstreamRef>) -> Self {
        Self::Absent(Traces { unexplained, ..Traces::default() })
    }

    /// Nothing is known to be ours, and what was read proves nothing.
    pub fn incomplete(why: impl Into<String>) -> Self {
        Self::Absent(Traces { incomplete: why.into(), ..Traces::default() })
    }

    /// It was done, and this is how the operation goes on.
    pub fn found(upstream_id: impl Into<String>, step: Step<Resource>) -> Self {
        Self::Found { upstream_id: upstream_id.into(), step: Box::new(step) }
    }
}

/// The name of a resource that is gone; what deleting comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted(pub String);

impl<T> Step<T> {
    /// Accepted; look again after `after`.
    pub fn pending(handle: impl Into<Vec<u8>>, after: Duration) -> Self {
        Self::Pending { handle: handle.into(), after, view: None }
    }

    /// Done so far; another step follows.
    pub fn next(handle: impl Into<Vec<u8>>) -> Self {
        Self::Next { handle: handle.into(), view: None, price: None }
    }

    /// Refused, by this proof.
    pub fn rejected(proof: &'static str, error: Error) -> Self {
        Self::Rejected { proof, error, carry_on: None }
    }

    /// The answer does not tell.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown(message.into())
    }

    /// The same step of another resource.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Step<U> {
        match self {
            Self::Done(done) => Step::Done(change(done)),
            Self::Pending { handle, after, view } => {
                Step::Pending { handle, after, view: view.map(change) }
            }
            Self::Next { handle, view, price } => {
                Step::Next { handle, view: view.map(change), price }
            }
            Self::Rejected { proof, error, carry_on } => Step::Rejected {
                proof,
                error,
                carry_on: carry_on
                    .map(|CarryOn { handle, view }| CarryOn { handle, view: view.map(change) }),
            },
            Self::Unknown(message) => Step::Unknown(message),
        }
    }
}

impl<T: Into<Resource>> TryFrom<Step<T>> for StepOutcome {
    type Error = Error;

    /// PLUGIN_FAULT for a wait that no timer can hold.
    fn try_from(step: Step<T>) -> Result<Self> {
        let outcome = match step.map(Into::into) {
            Step::Done(resource) => Outcome::Done(Done { resource: wire(Some(resource)) }),
            Step::Pending { handle, after, view } => {
                Outcome::Pending(pending(handle, after, view)?)
            }
            Step::Next { handle, view, price } => {
                Outcome::Next(Next { handle, view: wire(view), price })
            }
            Step::Rejected { proof, error, carry_on } => {
                let (handle, view) =
                    carry_on.map(|CarryOn { handle, view }| (handle, view)).unwrap_or_default();
                let (proof, error) = (proof.to_owned(), Some(error.into()));
                Outcome::Rejected(Rejected { proof, error, handle, view: wire(view) })
            }
            Step::Unknown(message) => Outcome::Unknown(Unknown { message }),
        };
        Ok(Self { outcome: Some(outcome) })
    }
}

impl TryFrom<Progress> for PollOutcome {
    type Error = Error;

    /// PLUGIN_FAULT for a wait that no timer can hold.
    fn try_from(progress: Progress) -> Result<Self> {
        let outcome = match progress {
            Progress::Done(resource) => {
                poll_outcome::Outcome::Done(Done { resource: wire(Some(resource)) })
            }
            Progress::Pending { handle, after, view } => {
                poll_outcome::Outcome::Pending(pending(handle, after, view)?)
            }
            Progress::Next { handle, view, price } => {
                poll_outcome::Outcome::Next(Next { handle, view: wire(view), price })
            }
            Progress::Stands { handle, after, view, standing, error } => {
                let pending = pending(handle, after, view)?;
                let (standing, error) = (standing.into(), Some(error.into()));
                poll_outcome::Outcome::Pending(Pending { standing, error, ..pending })
            }
            Progress::Failed { error, view } => poll_outcome::Outcome::Failed(Failed {
                error: Some(error.into()),
                view: wire(view),
            }),
            Progress::Unavailable(error) => poll_outcome::Outcome::Unavailable(error.into()),
        };
        Ok(Self { outcome: Some(outcome) })
    }
}

impl TryFrom<Finding> for FindResponse {
    type Error = Error;

    /// PLUGIN_FAULT for a wait that no timer can hold, and for a step that a search cannot come to.
    fn try_from(finding: Finding) -> Result<Self> {
        let outcome = match finding {
            Finding::Found { upstream_id, step } => {
                if matches!(*step, Step::Rejected { .. } | Step::Unknown(_)) {
                    return Err(Error::fault("what was found is neither done, pending nor next"));
                }
                let outcome = Some((*step).try_into()?);
                find_response::Outcome::Found(Found { upstream_id, outcome })
            }
            Finding::Absent(traces) => {
                let Traces { unexplained, incomplete, effects, marked_ids, alike_ids } = traces;
                let absent = Absent { unexplained, incomplete, effects, marked_ids, alike_ids };
                find_response::Outcome::Absent(absent)
            }
        };
        Ok(Self { outcome: Some(outcome) })
    }
}

fn wire(resource: Option<Resource>) -> Option<v1::Resource> {
    resource.map(|kind| v1::Resource { kind: Some(kind) })
}

fn pending(
    handle: Vec<u8>,
    after: Duration,
    view: Option<Resource>,
) -> Result<step_outcome::Pending> {
    let after = prost_types::Duration::try_from(after)
        .map_err(|error| Error::fault("the wait is too long").with_source(error))?;
    Ok(Pending { handle, after: Some(after), view: wire(view), ..Pending::default() })
}

impl From<Product> for Resource {
    fn from(product: Product) -> Self {
        Self::Product(product)
    }
}

impl From<Order> for Resource {
    fn from(order: Order) -> Self {
        Self::Order(order)
    }
}

impl From<Service> for Resource {
    fn from(service: Service) -> Self {
        Self::Service(service)
    }
}

impl From<Renewal> for Resource {
    fn from(renewal: Renewal) -> Self {
        Self::Renewal(renewal)
    }
}

impl From<Deleted> for Resource {
    fn from(Deleted(name): Deleted) -> Self {
        Self::Deleted(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{CarryOn, Deleted, Duration, Error, Finding, Outcome, Progress, Resource, Step};
    use crate::plugin::v1::{FindResponse, PollOutcome, StepOutcome, poll_outcome};
    use crate::v1::{ErrorReason, Order};

    fn order(name: &str) -> Order {
        Order { name: name.to_owned(), ..Order::default() }
    }

    #[test]
    fn a_refusal_carries_on_with_what_was_done() {
        let carry_on = Some(CarryOn { handle: vec![1, 7], view: Some(order("a")) });
        let step = Step::Rejected { proof: "fault", error: Error::rejected("no"), carry_on };
        let wire = StepOutcome::try_from(step).unwrap();
        let Some(Outcome::Rejected(rejected)) = wire.outcome else {
            panic!("{wire:?}");
        };
        assert_eq!((rejected.proof.as_str(), rejected.handle), ("fault", vec![1, 7]));
        assert_eq!(rejected.view.unwrap().kind, Some(Resource::Order(order("a"))));
        assert_eq!(rejected.error.unwrap().reason(), ErrorReason::UpstreamRejected);
    }

    #[test]
    fn done_and_deleted() {
        let wire = StepOutcome::try_from(Step::Done(Deleted("x".to_owned()))).unwrap();
        let Some(Outcome::Done(done)) = wire.outcome else { panic!("{wire:?}") };
        assert_eq!(done.resource.unwrap().kind, Some(Resource::Deleted("x".to_owned())));
    }

    #[test]
    fn a_wait_without_end_is_a_fault() {
        let step = Step::<Order>::pending(*b"1", Duration::MAX);
        assert_eq!(StepOutcome::try_from(step).unwrap_err().reason, ErrorReason::PluginFault);
        let progress = Progress::Pending { handle: vec![], after: Duration::MAX, view: None };
        assert_eq!(PollOutcome::try_from(progress).unwrap_err().reason, ErrorReason::PluginFault);
    }

    #[test]
    fn what_was_found_cannot_be_a_refusal() {
        for step in [Step::unknown("?"), Step::rejected("fault", Error::rejected("no"))] {
            let finding = Finding::found("1", step);
            let error = FindResponse::try_from(finding).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PluginFault);
        }
    }

    #[test]
    fn an_item_that_could_not_be_looked_at() {
        let wire = PollOutcome::try_from(Progress::Unavailable(Error::unavailable("x"))).unwrap();
        assert!(matches!(wire.outcome, Some(poll_outcome::Outcome::Unavailable(_))));
    }
}
