//! A caller of the public API over real gRPC, who knows the methods from the SDK's table alone. It must
//! not know a case.

use std::fmt;
use std::time::{Duration, Instant};

use prost::Message;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::request::{Answer, Request};
use super::{Failure, Outcome};
use crate::op;
use crate::plugin::v1::Op;
use crate::v1::operation::State;
use crate::v1::{
    GetOperationRequest, GetProviderRequest, ListOperationsRequest, ListOperationsResponse,
    Operation, OperationFilter, Provider, ResolveOperationRequest, WaitOperationRequest,
};

/// The longest that anything is waited for. What it waits for takes moments; a debug build on a busy
/// machine takes more.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A connection to the gateway, in the name of one provider.
#[derive(Debug, Clone)]
pub struct Caller {
    channel: Channel,
    provider: String,
    deadline: Option<Duration>,
}

/// A call that was refused, with what every error of the API tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// The `reason` of its ErrorInfo, `FIELD_VIOLATION`; empty where it has none.
    pub reason: String,
    /// The paths of the fields that are wrong.
    pub fields: Vec<String>,
    /// The message.
    pub message: String,
}

/// A request id that nobody has used.
pub(super) fn request_id() -> String {
    Uuid::new_v4().to_string()
}

impl Caller {
    /// Connects to a gateway, `http://127.0.0.1:50051`, to ask for a provider by its id, `acme`.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub async fn connect(gateway: &str, provider: &str) -> Outcome<Self> {
        let endpoint = Endpoint::from_shared(gateway.to_owned()).map_err(Failure::new)?;
        let channel = endpoint.connect().await.map_err(Failure::new)?;
        Ok(Self { channel, provider: provider.to_owned(), deadline: None })
    }

    /// The provider's id.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The provider's name, `providers/acme`.
    pub fn parent(&self) -> String {
        format!("providers/{}", self.provider)
    }

    /// The name of one of the provider's resources: `providers/acme/products/7` for `products`, `7`.
    pub fn name(&self, noun: &str, id: &str) -> String {
        format!("providers/{}/{noun}/{id}", self.provider)
    }

    /// Calls a method that a plugin can stand behind.
    ///
    /// # Errors
    ///
    /// The gateway's status.
    pub async fn ask<Q, A>(&self, op: Op, request: Q) -> Result<A, Refusal>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.unary(op::info(op).map_or("", |info| info.method), request).await
    }

    /// Sends a write and waits until it has succeeded: what a sample needs beforehand. Request id
    /// and `wait` are filled in.
    ///
    /// # Errors
    ///
    /// When the write is refused or does not succeed.
    pub async fn perform(&self, request: impl Into<Request>) -> Outcome<Operation> {
        let accepted = self.accepted(ready(request.into())).await?;
        let operation = self.rests(&accepted.name).await?;
        succeeded(&operation)?;
        Ok(operation)
    }

    /// Sends a write and waits until its operation is in a state: for writes on something that is
    /// still under way.
    ///
    /// # Errors
    ///
    /// When the write is refused, or ends in another state.
    pub async fn begin(&self, request: impl Into<Request>, state: State) -> Outcome<Operation> {
        let name = self.accepted(ready(request.into())).await?.name;
        let reached = async || {
            let operation = self.operation(&name).await?;
            let reached = operation.state() == state;
            if operation.done && !reached {
                return Err(Failure::new(format_args!("it ended: {}", told(&operation))));
            }
            Ok(reached.then_some(operation))
        };
        until(&format!("{name} in {}", state.as_str_name()), reached).await
    }

    /// Who the provider is and what it claims.
    pub(super) async fn claims(&self) -> Outcome<Provider> {
        let request = GetProviderRequest { name: self.parent() };
        Ok(self.unary("Providers.GetProvider", request).await?)
    }

    /// The operation of a write, as it is in the first answer.
    pub(super) async fn accepted(&self, request: Request) -> Outcome<Operation> {
        match request.send(self).await? {
            Answer::Operation(operation) => Ok(*operation),
            Answer::One | Answer::Page(..) => Err(Failure::new("it is a read, not a write")),
        }
    }

    /// The operation once it is done or needs a person, whose word does not wait for its time.
    pub(super) async fn rests(&self, name: &str) -> Outcome<Operation> {
        let begin = Instant::now();
        let mut operation = self.operation(name).await?;
        let asks = |operation: &Operation| {
            let word_waits = operation.notes.last().is_some_and(|note| note.waits);
            operation.state() == State::NeedsOperator && !word_waits
        };
        while !operation.done && !asks(&operation) {
            if begin.elapsed() > PATIENCE {
                let open = told(&operation);
                return Err(Failure::new(format_args!("still open after {PATIENCE:?}: {open}")));
            }
            // A short wait: one that begins when the operation needs a person already lasts its time.
            let timeout = Some(prost_types::Duration { seconds: 1, nanos: 0 });
            let request = WaitOperationRequest { name: name.to_owned(), timeout };
            operation = self.unary("Operations.WaitOperation", request).await?;
        }
        Ok(operation)
    }

    /// The operation once something is true of it.
    pub(super) async fn becomes(
        &self,
        name: &str,
        it_is: impl Fn(&Operation) -> bool,
    ) -> Outcome<Operation> {
        until("the operation is as expected", async || {
            let operation = self.operation(name).await?;
            Ok(it_is(&operation).then_some(operation))
        })
        .await
    }

    /// The operation as it is now.
    pub(super) async fn operation(&self, name: &str) -> Result<Operation, Refusal> {
        let request = GetOperationRequest { name: name.to_owned() };
        self.unary("Operations.GetOperation", request).await
    }

    /// Waits until no operation of the provider is under way any more, so that nobody else asks the
    /// upstream.
    pub(super) async fn quiet(&self) -> Outcome<()> {
        self.has_none(OperationFilter { open_only: true, ..OperationFilter::default() }).await
    }

    /// Waits until no operation of the provider waits for its upstream, because what it waits for could be
    /// what another one is searched for by.
    pub(super) async fn delivered(&self) -> Outcome<()> {
        let states = vec![State::WaitingUpstream.into()];
        self.has_none(OperationFilter { states, ..OperationFilter::default() }).await
    }

    async fn has_none(&self, filter: OperationFilter) -> Outcome<()> {
        let filter = Some(OperationFilter { provider: self.parent(), ..filter });
        let request = ListOperationsRequest { filter, page_size: 1, ..Default::default() };
        until("no operation is under way", async || {
            let open: ListOperationsResponse =
                self.unary("Operations.ListOperations", request.clone()).await?;
            Ok(open.operations.is_empty().then_some(()))
        })
        .await
    }

    /// A person's word about an operation.
    pub(super) async fn resolve(
        &self,
        request: ResolveOperationRequest,
    ) -> Result<Operation, Refusal> {
        self.unary("Operations.ResolveOperation", request).await
    }

    /// The same caller, who gives every call only so long.
    pub(super) fn within(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Calls `Service.Method` of the package.
    async fn unary<Q, A>(&self, method: &str, request: Q) -> Result<A, Refusal>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = format!("/purveyor.v1.{}", method.replace('.', "/"));
        let path = PathAndQuery::try_from(path).map_err(|error| Refusal::of(error.to_string()))?;
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Refusal::of(error.to_string()))?;
        let mut request = tonic::Request::new(request);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        let answered = grpc.unary(request, path, ProstCodec::<Q, A>::default()).await;
        answered.map(tonic::Response::into_inner).map_err(|status| Refusal::from(&status))
    }
}

impl Refusal {
    fn of(message: String) -> Self {
        Self { code: Code::Unavailable, reason: String::new(), fields: Vec::new(), message }
    }

    /// That it was refused with this code, reason and, unless empty, field.
    pub(super) fn must_be(&self, code: Code, reason: &str, field: &str) -> Outcome<()> {
        let named = field.is_empty() || self.fields.iter().any(|found| found == field);
        if self.code == code && self.reason == reason && named {
            return Ok(());
        }
        Err(Failure::new(format_args!("expected {code:?} {reason} {field}, got {self}")))
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let violations = status.get_details_bad_request().map(|it| it.field_violations);
        Self {
            code: status.code(),
            reason: status.get_details_error_info().map_or_else(String::new, |info| info.reason),
            fields: violations.into_iter().flatten().map(|violation| violation.field).collect(),
            message: status.message().to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, reason, fields, message } = self;
        write!(f, "{code:?} {reason} {}: {message}", fields.join(", "))
    }
}

impl std::error::Error for Refusal {}

/// A write with a request id of its own, answered at once.
pub(super) fn ready(mut request: Request) -> Request {
    if let Some(frame) = request.frame() {
        if frame.request_id.is_empty() {
            *frame.request_id = request_id();
        }
        *frame.wait = Some(prost_types::Duration::default());
    }
    request
}

/// That an operation has succeeded.
pub(super) fn succeeded(operation: &Operation) -> Outcome<()> {
    if operation.state() == State::Succeeded {
        return Ok(());
    }
    Err(Failure::new(format_args!("it did not succeed: {}", told(operation))))
}

/// An operation in one line.
pub(super) fn told(operation: &Operation) -> String {
    let attempts = operation.attempts.iter().map(|attempt| {
        format!("{} {} {}", attempt.call, attempt.outcome().as_str_name(), attempt.message)
    });
    let error = match &operation.result {
        Some(crate::v1::operation::Result::Error(error)) => {
            format!("{}: {}", error.reason, error.message)
        }
        _ => String::new(),
    };
    let attempts = attempts.collect::<Vec<_>>().join("; ");
    let (state, message) = (operation.state().as_str_name(), &operation.message);
    format!("{state} {message} {error} [{attempts}]")
}

/// Asks again until there is an answer.
pub(super) async fn until<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let asked = async {
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        loop {
            ticks.tick().await;
            if let Some(found) = ask().await? {
                return Ok(found);
            }
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    answered
        .unwrap_or_else(|_| Err(Failure::new(format_args!("{what}: not so after {PATIENCE:?}"))))
}
