//! Adoption: a service that the upstream has and cannot list is put on record. Nothing is sent that
//! changes the upstream, so the operation is done when it is stored.

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::names::{ProviderName, ServiceName};
use purveyor_sdk::plugin::v1::{Op, Resource, resource};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{AdoptServiceRequest, ErrorReason, Service, UpstreamRef};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use crate::engine::Engine;
use crate::engine::account::AccountOf;
use crate::engine::call::{Call, Written};
use crate::engine::fields::{Mistakes, request_id};
use crate::engine::naming::{SERVICES_TOLD_BY, Source, parse, source};
use crate::engine::reading::naming;
use crate::engine::records::{after, recorded};
use crate::engine::repeat;
use crate::plugin::Provider;
use crate::store::operation::Operation;
use crate::store::{Accepted, NewOperation, ServiceRecord, StoreError};

/// No plugin is asked to carry an adoption out, so it has no number among what plugins are asked.
const ADOPTION: Op = Op::AdoptService;

pub(super) async fn adopt(
    engine: &Engine,
    call: &Call,
    request: AdoptServiceRequest,
) -> Result<Written> {
    let request_id = request_id(&request.request_id, request.validate_only)?;
    let parent: ProviderName = parse(&request.parent, "parent")?;
    let provider = engine.configured(&parent)?;
    let mut mistakes = Mistakes::default();
    let service = kept(request.service.clone(), &parent, &mut mistakes);
    mistakes.finish()?;
    let content = AdoptServiceRequest {
        parent: parent.to_string(),
        service: Some(service.clone()),
        ..AdoptServiceRequest::default()
    }
    .encode_to_vec();
    let mut operation = operation(engine, call, &provider, service, content)?;
    if let Some(request_id) = request_id {
        operation.request_id = request_id;
        if let Some(stored) = engine.accepted_before(request_id).await? {
            return same(stored, &operation);
        }
    }
    if source(&provider, Op::ListServices, SERVICES_TOLD_BY)? == Source::Upstream {
        let message = "the provider lists its services itself; there is nothing to adopt";
        return Err(naming(&provider, Error::new(ErrorReason::CapabilityUnsupported, message)));
    }
    if provider.method(Op::GetService).is_some() {
        let name: ServiceName = parse(&operation.target, "service.name")?;
        engine.find_service(call, &provider, &name).await?;
    }
    if request_id.is_none() {
        return Ok(Written::Quote(Box::default()));
    }
    let engine = engine.clone();
    // On a task of its own: a caller who goes away leaves nothing half done.
    let stored = tokio::spawn(async move { store(&engine, operation).await }).await;
    stored.map_err(|error| {
        Error::new(ErrorReason::Internal, "storing the adoption failed").with_source(error)
    })?
}

/// Stores the operation and the record in one commit.
async fn store(engine: &Engine, mut operation: Operation) -> Result<Written> {
    let upstream_id = operation.upstream.id().to_owned();
    let Some(Resource { kind: Some(resource::Kind::Service(service)) }) = operation.view.clone()
    else {
        return Err(Error::new(ErrorReason::Internal, "an adoption without its service"));
    };
    loop {
        let before = engine.service_record(&operation.provider, &upstream_id).await?;
        let record = after(before, service.clone(), &operation.provider, operation.request_id);
        // What is adopted now is this operation's, whoever put it on record before.
        let record = ServiceRecord { operation: operation.request_id, ..record };
        let shown = resource::Kind::Service(recorded(record.clone()));
        operation.view = Some(Resource { kind: Some(shown) });
        let new = NewOperation {
            operation: operation.clone(),
            locks: Vec::new(),
            lease: None,
            services: vec![record],
        };
        return match engine.store().accept(new).await {
            Ok(Accepted::Stored) => Ok(Written::Operation(Box::new(operation))),
            Ok(Accepted::Exists(stored)) => same(*stored, &operation),
            Ok(Accepted::Outdated) => continue,
            Ok(Accepted::Pruned(pruned)) => Err(repeat::removed(&pruned, &operation)),
            Ok(Accepted::Held { by, .. }) => Err(Error::new(
                ErrorReason::Internal,
                format!("an adoption is held by operations/{by}"),
            )),
            Err(error @ StoreError::Ambiguous(_)) => {
                let stored = engine.read_acceptance_back(operation.request_id, error).await?;
                same(stored, &operation)
            }
            Err(error) => Err(error.into()),
        };
    }
}

fn same(stored: Operation, operation: &Operation) -> Result<Written> {
    repeat::same(stored, operation).map(|stored| Written::Operation(Box::new(stored)))
}

/// What a caller may say of a service that nobody can read.
fn kept(given: Option<Service>, parent: &ProviderName, mistakes: &mut Mistakes) -> Service {
    let Some(given) = given else {
        mistakes.add("service", "is required");
        return Service::default();
    };
    let upstream = given.upstream.unwrap_or_default();
    if upstream.ids.len() > 1 {
        mistakes.add("service.upstream.ids", "a service is one upstream object");
    }
    let name = match ServiceName::new(parent.clone(), upstream.id()) {
        Ok(name) => name.to_string(),
        Err(error) => {
            mistakes.add("service.upstream.ids", error.to_string());
            String::new()
        }
    };
    mistakes.text("service.customer", &given.customer);
    mistakes.text("service.partner", &given.partner);
    mistakes.text("service.display_name", &given.display_name);
    mistakes.annotations("service.annotations", &given.annotations);
    mistakes.date("service.start_date", given.start_date.as_ref());
    mistakes.date("service.next_due_date", given.next_due_date.as_ref());
    mistakes.moment("service.expire_time", given.expire_time.as_ref());
    if given.quantity != 0 {
        mistakes.quantity("service.quantity", given.quantity);
    }
    let mut term = given.term;
    mistakes.term("service.term", &mut term);
    Service {
        name,
        upstream: Some(UpstreamRef {
            ids: upstream.ids,
            r#type: upstream.r#type,
            ..Default::default()
        }),
        state: given.state,
        product: given.product,
        service_type: given.service_type,
        customer: given.customer,
        partner: given.partner,
        display_name: given.display_name,
        quantity: given.quantity,
        term,
        expire_time: given.expire_time,
        start_date: given.start_date,
        next_due_date: given.next_due_date,
        endpoints: given.endpoints,
        annotations: given.annotations,
        ..Service::default()
    }
}

fn operation(
    engine: &Engine,
    call: &Call,
    provider: &Provider,
    service: Service,
    request: Vec<u8>,
) -> Result<Operation> {
    let now: Timestamp = engine.wall();
    let upstream = service.upstream.clone().unwrap_or_default();
    let account = provider.account().as_ref().map(AccountOf::new).unwrap_or_default();
    Ok(Operation {
        owner: call.caller.owner.clone(),
        actor: call.caller.actor.clone(),
        trace_id: call.trace_id.clone(),
        account: account.identity,
        account_key: account.key,
        target: service.name.clone(),
        upstream_target: upstream.ids.clone(),
        fingerprint: repeat::fingerprint(&call.caller.owner, ADOPTION, &request)?,
        request,
        state: State::Succeeded,
        start_before: now,
        wake_time: None,
        upstream,
        view: Some(Resource { kind: Some(resource::Kind::Service(service)) }),
        ..Operation::new(Uuid::nil(), ADOPTION, provider.id().to_owned(), now, engine.age())
    })
}
