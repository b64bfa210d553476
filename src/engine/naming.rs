//! The one place where a name becomes a provider and something there: the name is parsed, the
//! provider exists, is available and has the method, and an alias leads to the one canonical name.
//!
//! Whatever a caller may do at a provider is decided here and nowhere else. Nothing is locked, guarded
//! or stored under a name that has not passed through.

use std::sync::Arc;

use purveyor_sdk::names::{self, NameError, ProviderName, ServiceName};
use purveyor_sdk::op;
use purveyor_sdk::plugin::v1::{Manifest, Method, Op};
use purveyor_sdk::v1::{ErrorReason, GetServiceRequest, Service};
use purveyor_sdk::{Error, Result};
use uuid::Uuid;

use super::Engine;
use super::call::Call;
use super::made_here::{Made, upstream_ids};
use super::policy::{AccountNames, id_kinds};
use super::reading::{naming, read};
use super::records::shows;
use crate::plugin::{Availability, Provider};
use crate::store::operation::{Claim, Operation};

/// The writes that let a provider's orders be known from our records.
pub(super) const ORDERS_MADE_BY: &[Op] = &[Op::CreateOrder];
/// The writes that let a provider's renewals be known from our records.
pub(super) const RENEWALS_MADE_BY: &[Op] = &[Op::CreateRenewal];
/// The writes that let a provider's services be known from our records.
pub(super) const SERVICES_TOLD_BY: &[Op] = &[
    Op::CreateOrder,
    Op::UpdateService,
    Op::SuspendService,
    Op::ResumeService,
    Op::TerminateService,
];

/// The reads that our records answer where the upstream cannot.
const FROM_RECORDS: [(Op, &[Op]); 6] = [
    (Op::GetOrder, ORDERS_MADE_BY),
    (Op::ListOrders, ORDERS_MADE_BY),
    (Op::GetService, SERVICES_TOLD_BY),
    (Op::ListServices, SERVICES_TOLD_BY),
    (Op::GetRenewal, RENEWALS_MADE_BY),
    (Op::ListRenewals, RENEWALS_MADE_BY),
];

/// Where the answer to a read comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The upstream tells.
    Upstream,
    /// The upstream cannot tell: our own records are all there is.
    Records,
}

/// Something that a name stands for.
#[derive(Debug)]
pub(super) struct Found {
    /// The one name that it has.
    pub name: String,
    /// What the upstream calls it; empty while the upstream does not know it.
    pub upstream_ids: Vec<String>,
    /// The operation of ours that made it.
    pub operation: Option<Operation>,
}

/// A service as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct FoundService {
    /// The one name that it has.
    pub name: String,
    /// What the upstream calls it.
    pub upstream_id: String,
    /// As the upstream tells it now; `None` where the upstream cannot tell.
    pub live: Option<Service>,
}

/// A name in a request.
///
/// # Errors
///
/// FIELD_VIOLATION of `field`, saying what is wrong with it.
pub(super) fn parse<N: std::str::FromStr<Err = NameError>>(text: &str, field: &str) -> Result<N> {
    text.parse().map_err(|error: NameError| error.field(field))
}

impl Engine {
    /// A provider, whether it works or not.
    ///
    /// # Errors
    ///
    /// PROVIDER_NOT_FOUND.
    pub(super) fn configured(&self, name: &ProviderName) -> Result<Arc<Provider>> {
        self.providers().get(name.id()).ok_or_else(|| {
            Error::new(ErrorReason::ProviderNotFound, format!("there is no {name}"))
                .with_metadata("provider", name)
                .with_metadata("resource", name)
        })
    }

    /// A provider that works and has a method.
    ///
    /// # Errors
    ///
    /// PROVIDER_NOT_FOUND, PROVIDER_UNAVAILABLE, CAPABILITY_UNSUPPORTED.
    pub(super) fn able(&self, name: &ProviderName, op: Op) -> Result<Arc<Provider>> {
        let provider = self.configured(name)?;
        require(&provider, op)?;
        Ok(provider)
    }

    /// A provider whose orders or renewals can be read, and where from.
    ///
    /// # Errors
    ///
    /// As [`Engine::able`].
    pub(super) fn readable(
        &self,
        name: &ProviderName,
        op: Op,
        made_by: &[Op],
    ) -> Result<(Arc<Provider>, Source)> {
        let provider = self.configured(name)?;
        let source = source(&provider, op, made_by)?;
        Ok((provider, source))
    }

    /// What `id` stands for at a provider: our request id, an upstream identifier that an operation
    /// of ours claims, or the upstream's own.
    ///
    /// # Errors
    ///
    /// STORE_UNAVAILABLE, and those of the provider while it tells whose account it is.
    pub(super) async fn find_made<T: Made>(
        &self,
        provider: &Provider,
        name: &ProviderName,
        id: &str,
    ) -> Result<Found> {
        if let Some(operation) = self.own::<T>(provider, id).await? {
            return Ok(found(operation));
        }
        match self.maker(provider, id).await? {
            Some(operation) if is_named::<T>(&operation, id) => Ok(found(operation)),
            operation => Ok(Found {
                name: T::name_of(name, id)?,
                upstream_ids: vec![id.to_owned()],
                // A renewal may make an order, and what was made too often is claimed as well; both keep
                // the upstream's name.
                operation,
            }),
        }
    }

    async fn own<T: Made>(&self, provider: &Provider, id: &str) -> Result<Option<Operation>> {
        let request_id = names::request_id_of(id).ok().filter(|canonical| canonical == id);
        let Some(request_id) = request_id.and_then(|id| Uuid::parse_str(&id).ok()) else {
            return Ok(None);
        };
        let operation = self.store().get(request_id).await?;
        Ok(operation.filter(|operation| {
            operation.op == T::MADE_BY && provider.config().has_id(&operation.provider)
        }))
    }

    /// The operation of ours that made what the upstream calls `upstream_id`.
    ///
    /// # Errors
    ///
    /// As [`Engine::find_made`].
    pub(super) async fn maker(
        &self,
        provider: &Provider,
        upstream_id: &str,
    ) -> Result<Option<Operation>> {
        if upstream_id.is_empty() {
            return Ok(None);
        }
        let account = self.account_for_read(provider).await;
        let names = AccountNames::of(&account.map_err(|error| naming(provider, error))?);
        for kind in kinds(provider.manifest()) {
            for account in names.all() {
                let (account, kind) = (account.clone(), kind.clone());
                let claim = Claim { account, kind, upstream_id: upstream_id.to_owned() };
                if let Some(request_id) = self.store().claimant(&claim).await? {
                    return Ok(self.store().get(request_id).await?);
                }
            }
        }
        Ok(None)
    }

    /// What a service's name stands for; an alias leads to the canonical name where the upstream can
    /// be read.
    ///
    /// # Errors
    ///
    /// SERVICE_NOT_FOUND and the other errors of the provider's GetService.
    pub(super) async fn find_service(
        &self,
        call: &Call,
        provider: &Provider,
        name: &ServiceName,
    ) -> Result<FoundService> {
        if provider.method(Op::GetService).is_none() {
            let (name, upstream_id) = (name.to_string(), name.id().to_owned());
            return Ok(FoundService { name, upstream_id, live: None });
        }
        let request = GetServiceRequest { name: name.to_string() };
        let asked = self.age();
        let ids = [name.id().to_owned()];
        let answer = read(provider, Op::GetService, &request, &ids, call.deadline).await;
        if let Some(present) = shows(&answer, ErrorReason::ServiceNotFound)
            && let Err(error) = self.read_showed(provider, name.id(), present, asked).await
        {
            // What was read is true all the same.
            tracing::warn!(provider = provider.id(), %error, "what a read showed is not recorded");
        }
        let service: Service = answer?;
        let told = service.upstream.as_ref().map(|upstream| upstream.id());
        let upstream_id = told.filter(|id| !id.is_empty()).unwrap_or(name.id()).to_owned();
        let name = ServiceName::new(name.provider().clone(), upstream_id.as_str())
            .map_err(|error| plugin_told(provider, "service", &error))?
            .to_string();
        let live = Some(Service { name: name.clone(), ..service });
        Ok(FoundService { name, upstream_id, live })
    }
}

/// A plugin's identifier that can be no part of a name.
pub(super) fn plugin_told(provider: &Provider, noun: &str, error: &NameError) -> Error {
    let message = format!("the plugin told an identifier of a {noun} that is none: {error}");
    naming(provider, Error::fault(message))
}

/// Refuses a method that the provider does not have, or that cannot be asked of it now.
///
/// # Errors
///
/// PROVIDER_UNAVAILABLE, CAPABILITY_UNSUPPORTED.
pub(super) fn require(provider: &Provider, op: Op) -> Result<&Method> {
    available(provider)?;
    provider.method(op).ok_or_else(|| unsupported(provider, op))
}

/// Where reads of a noun come from: the upstream where it has `op`, and our records where it can at
/// least make or change such things.
///
/// # Errors
///
/// As [`require`].
pub(super) fn source(provider: &Provider, op: Op, made_by: &[Op]) -> Result<Source> {
    available(provider)?;
    declared_source(provider.manifest(), op, made_by).ok_or_else(|| unsupported(provider, op))
}

fn declared_source(manifest: &Manifest, op: Op, made_by: &[Op]) -> Option<Source> {
    let has = |op: Op| manifest.methods.iter().any(|method| method.op() == op);
    if has(op) {
        Some(Source::Upstream)
    } else {
        made_by.iter().any(|op| has(*op)).then_some(Source::Records)
    }
}

/// The methods of the API that a provider has because of our records: reads that its upstream does not
/// have, and adoption where the upstream cannot list.
pub(super) fn from_records(manifest: &Manifest) -> Vec<&'static str> {
    let recorded = FROM_RECORDS.iter().filter(|(read, told_by)| {
        declared_source(manifest, *read, told_by) == Some(Source::Records)
    });
    let mut methods: Vec<_> =
        recorded.filter_map(|(read, _)| op::info(*read)).map(|info| info.method).collect();
    if methods.contains(&"Services.ListServices") {
        methods.push("Services.AdoptService");
    }
    methods
}

/// CAPABILITY_UNSUPPORTED for a method of the API.
pub(super) fn unsupported(provider: &Provider, op: Op) -> Error {
    let method = op::info(op).map_or("this method", |info| info.method);
    naming(provider, Error::unsupported(method)).with_metadata("method", method)
}

fn available(provider: &Provider) -> Result<()> {
    match provider.state() {
        Availability::Available => Ok(()),
        Availability::Unavailable { reason } => {
            let message = format!("providers/{} is unavailable: {reason}", provider.id());
            Err(naming(provider, Error::new(ErrorReason::ProviderUnavailable, message)))
        }
    }
}

/// Whether what the upstream calls `id` has the name of the operation that claims it: it is what the
/// operation made, and not a duplicate of that.
pub(super) fn is_named<T: Made>(operation: &Operation, id: &str) -> bool {
    operation.op == T::MADE_BY && !operation.is_duplicate(id)
}

fn found(operation: Operation) -> Found {
    Found {
        name: operation.target.clone(),
        upstream_ids: upstream_ids(&operation),
        operation: Some(operation),
    }
}

/// The kinds of identifiers that writes which make orders or renewals claim.
fn kinds(manifest: &Manifest) -> Vec<String> {
    let makes = |method: &&Method| matches!(method.op(), Op::CreateOrder | Op::CreateRenewal);
    let methods = manifest.methods.iter().filter(makes);
    let mut kinds: Vec<String> =
        methods.flat_map(|method| id_kinds(manifest, method.op())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
pub(super) mod tests;
