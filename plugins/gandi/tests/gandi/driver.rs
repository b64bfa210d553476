//! A gateway in small: evidence, a step, the next, then polls until the write has ended. It decides
//! nothing that the gateway's engine decides about lost answers; those tests ask for themselves.

use purveyor_gandi::Gandi as Plugin;
use purveyor_sdk::plugin::v1::find_request::Attempt;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::poll_request::Item;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{
    BaselineRequest, BaselineResponse, CallContext, FindRequest, Op, PlanRequest, PollRequest,
    Resource, Write, find_response, resource,
};
use purveyor_sdk::prost::Message;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, ErrorReason, Order, OrderItem, Payment, Quote,
    Renewal, Service, ServiceRef, Term,
};
use purveyor_sdk::{Error, Period, Result, WriteRequest};
use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::{Gandi, Mode, Options};

pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwx";

/// The plugin and its upstream.
pub(crate) struct Bench {
    pub(crate) upstream: Simulator<Gandi>,
    pub(crate) plugin: TestHost<Plugin>,
}

/// How a write ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Done(resource::Kind),
    /// Refused or failed, with the resource as it was last.
    Failed(Error, Option<resource::Kind>),
}

/// What is known before a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    pub(crate) step: i32,
    pub(crate) handle: Vec<u8>,
    pub(crate) evidence: BaselineResponse,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default(), json!({})).await
    }

    pub(crate) async fn in_mode(mode: Mode) -> Self {
        Self::with(Options { mode, ..Options::default() }, json!({})).await
    }

    pub(crate) async fn with(options: Options, configuration: Value) -> Self {
        let upstream = Gandi::start(options).await.unwrap();
        let plugin = open(upstream.url(), configuration, "").unwrap();
        Self { upstream, plugin }
    }

    /// Another instance for the same upstream.
    pub(crate) fn reopened(&self, configuration: Value, time_zone: &str) -> TestHost<Plugin> {
        open(self.upstream.url(), configuration, time_zone).unwrap()
    }

    /// Changes switches of the upstream.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Mode)) {
        let mut mode = self.upstream.mode();
        change(&mut mode);
        self.upstream.set_mode(mode).unwrap();
    }

    /// How often the upstream was asked for a method.
    pub(crate) fn asked(&self, method: &str) -> u64 {
        self.upstream.requests().get(method).copied().unwrap_or_default()
    }

    /// Takes a write to its end.
    pub(crate) async fn run(&self, write: &Write) -> Ended {
        let mut position = Position { step: 1, ..Position::default() };
        loop {
            position = match self.advance(write, position).await {
                Ok(next) => next,
                Err(ended) => return *ended,
            };
        }
    }

    /// One step with its evidence, and all polls after the last.
    async fn advance(&self, write: &Write, at: Position) -> Result<Position, Box<Ended>> {
        let failed = |error| Box::new(Ended::Failed(error, None));
        let at = self.prepared(write, at).await.map_err(failed)?;
        let stepped = self.step(write, &at).await.map_err(failed)?;
        match stepped {
            Stepped::Done(done) => Err(Box::new(Ended::Done(kind(done.resource).unwrap()))),
            Stepped::Next(next) => {
                Ok(Position { step: at.step + 1, handle: next.handle, ..Position::default() })
            }
            Stepped::Pending(pending) => Err(Box::new(self.follow(write, pending.handle).await)),
            Stepped::Rejected(rejected) if !rejected.handle.is_empty() => {
                Err(Box::new(self.follow(write, rejected.handle).await))
            }
            Stepped::Rejected(rejected) => {
                let error = rejected.error.unwrap().into();
                Err(Box::new(Ended::Failed(error, kind(rejected.view))))
            }
            Stepped::Unknown(unknown) => panic!("unknown: {}", unknown.message),
        }
    }

    /// The evidence before a step.
    pub(crate) async fn prepared(&self, write: &Write, at: Position) -> Result<Position> {
        let request = BaselineRequest {
            write: Some(write.clone()),
            step: at.step,
            handle: at.handle.clone(),
        };
        let evidence = self.plugin.baseline(&request).await?;
        Ok(Position { evidence, ..at })
    }

    /// One step, as it is answered.
    pub(crate) async fn step(&self, write: &Write, at: &Position) -> Result<Stepped> {
        let context = CallContext {
            upstream_id: write.upstream_id.clone(),
            handle: at.handle.clone(),
            baseline: at.evidence.evidence.clone(),
            request_id: write.request_id.clone(),
            step: at.step,
        };
        let (op, plugin) = (write.op(), &self.plugin);
        let outcome = match WriteRequest::decode(op, &write.request).unwrap().unwrap() {
            WriteRequest::CreateOrder(request) => plugin.step(op, &request, context).await,
            WriteRequest::CancelOrder(request) => plugin.step(op, &request, context).await,
            WriteRequest::UpdateService(request) => plugin.step(op, &request, context).await,
            WriteRequest::TerminateService(request) => plugin.step(op, &request, context).await,
            WriteRequest::CreateRenewal(request) => plugin.step(op, &request, context).await,
            other => panic!("{other:?}"),
        };
        Ok(outcome?.outcome.unwrap())
    }

    /// Polls until the write has ended.
    pub(crate) async fn follow(&self, write: &Write, mut handle: Vec<u8>) -> Ended {
        for _ in 0..20 {
            match self.poll(write, &handle).await {
                Polled::Done(done) => return Ended::Done(kind(done.resource).unwrap()),
                Polled::Failed(failed) => {
                    return Ended::Failed(failed.error.unwrap().into(), kind(failed.view));
                }
                Polled::Pending(pending) => handle = pending.handle,
                other => panic!("{other:?}"),
            }
        }
        panic!("the write does not end");
    }

    /// One poll of one write.
    pub(crate) async fn poll(&self, write: &Write, handle: &[u8]) -> Polled {
        let item = Item { write: Some(write.clone()), handle: handle.to_vec() };
        let polled = self.plugin.poll(&PollRequest { items: vec![item] }).await.unwrap();
        polled.outcomes.into_iter().next().unwrap().outcome.unwrap()
    }

    pub(crate) async fn find(
        &self,
        write: &Write,
        at: &Position,
        claimed: &[&str],
    ) -> Result<find_response::Outcome> {
        self.find_named(write, at, claimed, "").await
    }

    /// A search in which an operator names what was made.
    pub(crate) async fn find_named(
        &self,
        write: &Write,
        at: &Position,
        claimed: &[&str],
        upstream_id: &str,
    ) -> Result<find_response::Outcome> {
        let attempt =
            Attempt { number: 1, send_time: Some(Timestamp::default()), ..Attempt::default() };
        let request = FindRequest {
            write: Some(write.clone()),
            step: at.step,
            handle: at.handle.clone(),
            evidence: at.evidence.evidence.clone(),
            attempts: vec![attempt],
            claimed_ids: claimed.iter().map(|id| (*id).to_owned()).collect(),
            upstream_id: upstream_id.to_owned(),
        };
        Ok(self.plugin.find(&request).await?.outcome.unwrap())
    }

    pub(crate) async fn quote(&self, write: &Write) -> Result<Quote> {
        self.plugin.plan(&PlanRequest { write: Some(write.clone()) }).await
    }

    /// Buys one item and answers the order.
    pub(crate) async fn buy(&self, product: &str, quantity: i32, months: u32) -> Order {
        let write = order(vec![item(product, quantity, months)]);
        match self.run(&write).await {
            Ended::Done(resource::Kind::Order(order)) => order,
            other => panic!("{other:?}"),
        }
    }

    /// Buys one item and answers the service that came of it.
    pub(crate) async fn service(&self, product: &str, quantity: i32, months: u32) -> Service {
        let order = self.buy(product, quantity, months).await;
        let id = order.items[0].services[0].rsplit('/').next().unwrap().to_owned();
        self.get_service(&id).await.unwrap()
    }

    pub(crate) async fn get_service(&self, id: &str) -> Result<Service> {
        let request = purveyor_sdk::v1::GetServiceRequest { name: service_name(id) };
        self.plugin.read(Op::GetService, &request, id).await
    }
}

impl Ended {
    pub(crate) fn order(self) -> Order {
        match self {
            Self::Done(resource::Kind::Order(order)) => order,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn service(self) -> Service {
        match self {
            Self::Done(resource::Kind::Service(service)) => service,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn renewal(self) -> Renewal {
        match self {
            Self::Done(resource::Kind::Renewal(renewal)) => renewal,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn error(self) -> Error {
        match self {
            Self::Failed(error, _) => error,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn open(url: &str, configuration: Value, time_zone: &str) -> Result<TestHost<Plugin>> {
    let setup = Setup::new(url).credential("api-key", KEY).configuration(configuration);
    TestHost::open(Setup { time_zone: time_zone.to_owned(), ..setup })
}

pub(crate) fn item(product: &str, quantity: i32, months: u32) -> OrderItem {
    OrderItem {
        product: format!("providers/test/products/{product}"),
        quantity,
        term: Some(Term::recurring(Period::Months(months), "")),
        ..OrderItem::default()
    }
}

pub(crate) fn order(items: Vec<OrderItem>) -> Write {
    let order = Some(Order { items, ..Order::default() });
    let parent = "providers/test".to_owned();
    let request = CreateOrderRequest { parent, order, ..CreateOrderRequest::default() };
    write(Op::CreateOrder, &request, "")
}

pub(crate) fn renewal(service: &Service, months: u32) -> CreateRenewalRequest {
    let guard = ServiceRef {
        service: service.name.clone(),
        expected_expire_time: service.expire_time,
        ..ServiceRef::default()
    };
    let renewal = Renewal {
        service: service.name.clone(),
        services: vec![guard],
        term: Some(Term::recurring(Period::Months(months), "")),
        ..Renewal::default()
    };
    CreateRenewalRequest {
        parent: "providers/test".to_owned(),
        renewal: Some(renewal),
        payment: Some(Payment { choice: Some(Choice::DefaultMethod(true)) }),
        ..CreateRenewalRequest::default()
    }
}

pub(crate) fn write(op: Op, request: &impl Message, upstream_id: &str) -> Write {
    Write {
        op: op.into(),
        request: request.encode_to_vec(),
        request_id: "5c0a3f1e-4f3b-4f5e-9d53-111111111111".to_owned(),
        upstream_id: upstream_id.to_owned(),
    }
}

pub(crate) fn service_name(id: &str) -> String {
    format!("providers/test/services/{id}")
}

pub(crate) fn kind(resource: Option<Resource>) -> Option<resource::Kind> {
    resource.and_then(|resource| resource.kind)
}

/// The states of an order's items.
pub(crate) fn states(order: &Order) -> Vec<State> {
    order.items.iter().map(OrderItem::state).collect()
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason
}
