//! A gateway in small, for a plugin's tests: evidence, a step, the next, then polls until the write has
//! ended. It decides nothing that the gateway's engine decides about lost answers; tests of those call
//! [`TestHost::step_at`] and [`TestHost::search`] themselves.

use prost::Message;
use prost_types::Timestamp;

use super::{TestHost, of_write};
use crate::dispatch::Exported;
use crate::error::{Error, Result};
use crate::plugin::v1::{
    BaselineRequest, BaselineResponse, CallContext, CallKind, FindRequest, Op, PlanRequest,
    PollRequest, Resource, StepOutcome, Write, find_request, find_response, poll_outcome,
    poll_request, resource, step_outcome,
};
use crate::v1::{ErrorReason, Order, Product, Quote, Renewal, Service, ServiceRef, UpstreamRef};

/// The most polls of one write; a plugin that asks for more never ends.
pub const POLLS_MAX: usize = 50;

/// How a write ended.
#[derive(Debug)]
pub enum Ended {
    /// It is done; this is what it made or changed.
    Done(resource::Kind),
    /// It was refused or has failed, with the resource as it was last.
    Failed(Error, Option<resource::Kind>),
    /// The plugin does not know what became of a step.
    Unknown(String),
    /// It was still pending after [`POLLS_MAX`] polls.
    Endless,
}

/// Where a write is, and what is known before its next step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Position {
    /// The step that comes next, from 1.
    pub step: i32,
    /// What the step before returned; empty before the first.
    pub handle: Vec<u8>,
    /// What the baseline told.
    pub evidence: BaselineResponse,
    /// What the gateway tells of the renewal whose order is paid.
    pub guards: Vec<ServiceRef>,
}

/// A write as it crosses the boundary. Its request id is always the same one.
pub fn write(op: Op, request: &impl Message, upstream_id: &str) -> Write {
    Write {
        op: op.into(),
        request: request.encode_to_vec(),
        request_id: "5c0a3f1e-4f3b-4f5e-9d53-111111111111".to_owned(),
        upstream_ids: UpstreamRef::ids_of(upstream_id),
    }
}

impl<P: Exported> TestHost<P> {
    /// Takes a write to its end.
    pub async fn run(&self, write: &Write) -> Ended {
        let mut at = Position { step: 1, ..Position::default() };
        loop {
            at = match self.advance(write, at).await {
                Ok(next) => next,
                Err(ended) => return *ended,
            };
        }
    }

    /// One step with its evidence, and all polls after the last.
    async fn advance(&self, write: &Write, at: Position) -> Result<Position, Box<Ended>> {
        let failed = |error| Box::new(Ended::Failed(error, None));
        let at = self.prepared(write, at).await.map_err(failed)?;
        let ended = match self.step_at(write, &at).await.map_err(failed)? {
            step_outcome::Outcome::Next(next) => return Ok(at.after(next.handle)),
            step_outcome::Outcome::Done(done) => Ended::done(done.resource),
            step_outcome::Outcome::Pending(pending) => {
                return self.poll_on(write, pending.handle).await.map(|next| at.after(next));
            }
            step_outcome::Outcome::Rejected(rejected) if !rejected.handle.is_empty() => {
                return self.poll_on(write, rejected.handle).await.map(|next| at.after(next));
            }
            step_outcome::Outcome::Rejected(rejected) => {
                Ended::failed(rejected.error, rejected.view)
            }
            step_outcome::Outcome::Unknown(unknown) => Ended::Unknown(unknown.message),
        };
        Err(Box::new(ended))
    }

    /// The evidence before a step; none where the plugin takes no baseline. As in the gateway, a step
    /// that is begun again shows the plugin the evidence of the time before.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn prepared(&self, write: &Write, at: Position) -> Result<Position> {
        let request = BaselineRequest {
            write: Some(write.clone()),
            step: at.step,
            handle: at.handle.clone(),
            lost_since: None,
        };
        let context = CallContext {
            baseline: at.evidence.evidence.clone(),
            guards: at.guards.clone(),
            ..of_write(Some(write))
        };
        match self.call(Op::Baseline, CallKind::Baseline, &request, context).await {
            Ok(evidence) => Ok(Position { evidence, ..at }),
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => Ok(at),
            Err(error) => Err(error),
        }
    }

    /// One step, as it is answered.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead of an outcome.
    pub async fn step_at(&self, write: &Write, at: &Position) -> Result<step_outcome::Outcome> {
        let context = CallContext {
            handle: at.handle.clone(),
            baseline: at.evidence.evidence.clone(),
            step: at.step,
            guards: at.guards.clone(),
            ..of_write(Some(write))
        };
        let stepped: StepOutcome =
            self.call_bytes(write.op(), CallKind::Step, &write.request, context).await?;
        stepped.outcome.ok_or_else(|| missing("outcome of the step"))
    }

    /// Polls until the write has ended, at once: nothing waits for the time that the plugin asks for.
    pub async fn follow(&self, write: &Write, handle: Vec<u8>) -> Ended {
        match self.poll_on(write, handle).await {
            Ok(_) => Ended::Unknown("another step follows".to_owned()),
            Err(ended) => *ended,
        }
    }

    /// Polls until another step follows, and tells its handle, or until the write has ended.
    async fn poll_on(&self, write: &Write, mut handle: Vec<u8>) -> Result<Vec<u8>, Box<Ended>> {
        for _ in 0..POLLS_MAX {
            let ended = match self.poll_one(write, &handle).await {
                Ok(poll_outcome::Outcome::Next(next)) => return Ok(next.handle),
                Ok(poll_outcome::Outcome::Done(done)) => Ended::done(done.resource),
                Ok(poll_outcome::Outcome::Failed(failed)) => {
                    Ended::failed(failed.error, failed.view)
                }
                Ok(poll_outcome::Outcome::Pending(pending)) => {
                    handle = pending.handle;
                    continue;
                }
                Ok(other) => Ended::Unknown(format!("{other:?}")),
                Err(error) => Ended::Failed(error, None),
            };
            return Err(Box::new(ended));
        }
        Err(Box::new(Ended::Endless))
    }

    /// One poll of one write.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead of outcomes.
    pub async fn poll_one(&self, write: &Write, handle: &[u8]) -> Result<poll_outcome::Outcome> {
        let item = poll_request::Item {
            write: Some(write.clone()),
            handle: handle.to_vec(),
            ..Default::default()
        };
        let polled = self.poll(&PollRequest { items: vec![item] }).await?;
        let outcome = polled.outcomes.into_iter().next().and_then(|one| one.outcome);
        outcome.ok_or_else(|| missing("outcome of the poll"))
    }

    /// What became of the step at `at`, whose answer was lost. `claimed` belongs to other writes; an
    /// `upstream_id` that is not empty is named by an operator.
    ///
    /// # Errors
    ///
    /// What kept the plugin from looking.
    pub async fn search(
        &self,
        write: &Write,
        at: &Position,
        claimed: &[&str],
        upstream_id: &str,
    ) -> Result<find_response::Outcome> {
        let send_time = Some(Timestamp::default());
        let attempt = find_request::Attempt { number: 1, send_time, ..Default::default() };
        let request = FindRequest {
            write: Some(write.clone()),
            step: at.step,
            handle: at.handle.clone(),
            evidence: at.evidence.evidence.clone(),
            attempts: vec![attempt],
            claimed_ids: claimed.iter().map(|id| (*id).to_owned()).collect(),
            upstream_id: upstream_id.to_owned(),
            ..FindRequest::default()
        };
        self.find(&request).await?.outcome.ok_or_else(|| missing("outcome of the search"))
    }

    /// What a write would do and cost.
    ///
    /// # Errors
    ///
    /// What the plugin answers instead.
    pub async fn quote(&self, write: &Write) -> Result<Quote> {
        self.plan(&PlanRequest { write: Some(write.clone()) }).await
    }
}

impl Position {
    /// Before the step that follows this one.
    #[must_use]
    pub fn after(&self, handle: Vec<u8>) -> Self {
        Self { step: self.step + 1, handle, ..Self::default() }
    }
}

/// Short forms for tests: each panics, where it was called, when the write ended in another way.
macro_rules! ended_with {
    ($($name:ident -> $resource:ident,)*) => {$(
        #[doc = concat!("The ", stringify!($name), " that is done.")]
        ///
        /// # Panics
        ///
        /// When the write ended in another way.
        #[track_caller]
        pub fn $name(self) -> $resource {
            match self {
                Self::Done(resource::Kind::$resource(done)) => done,
                other => panic!("the write ended in another way: {other:#?}"),
            }
        }
    )*};
}

impl Ended {
    ended_with! {
        product -> Product,
        order -> Order,
        service -> Service,
        renewal -> Renewal,
    }

    /// The name of what was deleted.
    ///
    /// # Panics
    ///
    /// When the write ended in another way.
    #[track_caller]
    pub fn deleted(self) -> String {
        match self {
            Self::Done(resource::Kind::Deleted(name)) => name,
            other => panic!("the write ended in another way: {other:#?}"),
        }
    }

    /// Why it failed.
    ///
    /// # Panics
    ///
    /// When the write ended in another way.
    #[track_caller]
    pub fn error(self) -> Error {
        match self {
            Self::Failed(error, _) => error,
            other => panic!("the write ended in another way: {other:#?}"),
        }
    }

    fn done(resource: Option<Resource>) -> Self {
        match resource.and_then(|resource| resource.kind) {
            Some(kind) => Self::Done(kind),
            None => Self::Failed(missing("resource that is done"), None),
        }
    }

    fn failed(error: Option<crate::plugin::v1::Error>, view: Option<Resource>) -> Self {
        let error = error.map_or_else(|| missing("error of what failed"), Error::from);
        Self::Failed(error, view.and_then(|view| view.kind))
    }
}

fn missing(what: &str) -> Error {
    Error::fault(format!("the plugin's answer has no {what}"))
}
