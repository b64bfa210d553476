//! What the methods of Services mean: which service a name or an alias stands for, what a change must
//! hold before it is stored, and how a service is shown.
//!
//! Nothing is sent from here that changes the upstream: a write ends in the journal.

mod adopt;
mod change;
mod list;

use std::sync::Arc;

use futures_util::FutureExt;
use purveyor_sdk::etag;
use purveyor_sdk::mask::{implied, service_leaves};
use purveyor_sdk::names::{ProviderName, ServiceName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{
    AdoptServiceRequest, ErrorReason, GetServiceRequest, ListServicesRequest, ListServicesResponse,
    ResumeServiceRequest, Service, SuspendServiceRequest, TerminateServiceRequest,
    UpdateServiceRequest,
};
use purveyor_sdk::{Error, Result};

use super::Engine;
use super::call::{Call, Written};
use super::fields::{Mistakes, masked};
use super::listing::{Asked, ListRequest, Listed, list};
use super::naming::{Found, FoundService, SERVICES_TOLD_BY, parse, require};
use super::page_token::PageTokens;
use super::reading::{about, naming};
use super::records::{overlaid, recorded};
use super::writing::{Draft, Target, WriteRequest, check_etag};
use crate::plugin::Provider;

/// Seeing and changing what was delivered.
#[derive(Clone)]
pub struct Services {
    engine: Engine,
    tokens: PageTokens,
}

impl Services {
    /// The services of this engine's providers.
    pub fn new(engine: Engine) -> Services {
        let tokens = PageTokens::new(engine.store().identity());
        Services { engine, tokens }
    }

    /// Lists the services of one provider, or of all.
    ///
    /// # Errors
    ///
    /// As Services.ListServices.
    pub async fn list(
        &self,
        call: &Call,
        request: ListServicesRequest,
    ) -> Result<Listed<ListServicesResponse>> {
        let mut mistakes = Mistakes::default();
        mistakes.moment("expire_before", request.expire_before.as_ref());
        mistakes.finish()?;
        let asked = Asked {
            method: "Services.ListServices",
            op: Op::ListServices,
            made_by: SERVICES_TOLD_BY,
            parent: &request.parent,
            fingerprint: request.fingerprint(),
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let shared = Arc::new(request.clone());
        let rows = list(&self.engine, &self.tokens, call, asked, |page| {
            let (engine, request) = (self.engine.clone(), Arc::clone(&shared));
            async move { list::page(&engine, page, &request).await }.boxed()
        })
        .await?;
        let response = ListServicesResponse {
            services: rows.rows,
            next_page_token: rows.next_page_token,
            unreachable: Vec::new(),
        };
        Ok(Listed { response, missed: rows.missed })
    }

    /// Shows one service.
    ///
    /// # Errors
    ///
    /// As Services.GetService.
    pub async fn get(&self, call: &Call, request: GetServiceRequest) -> Result<Service> {
        let name: ServiceName = parse(&request.name, "name")?;
        let (provider, _) =
            self.engine.readable(name.provider(), Op::GetService, SERVICES_TOLD_BY)?;
        let found = self.engine.find_service(call, &provider, &name).await;
        let found = found.map_err(|error| about(error, &request.name))?;
        self.engine.show_service(&provider, name.provider(), found).await
    }

    /// Puts a service on record that exists upstream and cannot be listed there. May be repeated.
    ///
    /// # Errors
    ///
    /// As Services.AdoptService before acceptance.
    pub async fn adopt(&self, call: &Call, request: AdoptServiceRequest) -> Result<Written> {
        adopt::adopt(&self.engine, call, request).await
    }

    /// Checks and stores a change. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Services.UpdateService before acceptance.
    pub async fn update(&self, call: &Call, mut request: UpdateServiceRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let Some(given) = request.service.take() else {
            return Err(Error::field("service", "is required"));
        };
        let name: ServiceName = parse(&given.name, "service.name")?;
        let provider = self.engine.configured(name.provider())?;
        let updatable = match &draft.known {
            // What was changeable at acceptance the journal knows; the content decides.
            Some(_) => change::PATHS.iter().map(|path| (*path).to_owned()).collect(),
            None => require(&provider, Op::UpdateService)?.updatable_paths.clone(),
        };
        let mask = request.update_mask.as_ref();
        let implied = implied(&service_leaves(&given));
        let paths = masked(mask, &implied, change::PATHS, &updatable)?;
        let mut mistakes = Mistakes::default();
        if draft.known.is_none() {
            change::check_set(&given, &paths, &mut mistakes);
        }
        let (etag, mut service) = (given.etag.clone(), change::kept(given, &paths, &mut mistakes));
        mistakes.money("max_price", request.max_price.as_ref());
        mistakes.finish()?;
        let target = self.target(&draft, call, &provider, &name, &etag).await?;
        service.name.clone_from(&target.name);
        service.etag = etag;
        request.service = Some(service);
        request.update_mask = Some(prost_types::FieldMask { paths });
        self.engine.write(draft, provider, &request, target).await
    }

    /// Checks and stores a suspension. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Services.SuspendService before acceptance.
    pub async fn suspend(&self, call: &Call, request: SuspendServiceRequest) -> Result<Written> {
        self.act(call, request).await
    }

    /// Checks and stores the end of a suspension. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Services.ResumeService before acceptance.
    pub async fn resume(&self, call: &Call, request: ResumeServiceRequest) -> Result<Written> {
        self.act(call, request).await
    }

    /// Checks and stores a termination. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Services.TerminateService before acceptance.
    pub async fn terminate(
        &self,
        call: &Call,
        request: TerminateServiceRequest,
    ) -> Result<Written> {
        self.act(call, request).await
    }

    async fn act<R: Act>(&self, call: &Call, mut request: R) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let (given, etag) = request.named();
        let (name, etag): (ServiceName, _) = (parse(given, "name")?, etag.clone());
        let provider = self.engine.configured(name.provider())?;
        if draft.known.is_none() {
            require(&provider, R::OP)?;
        }
        let target = self.target(&draft, call, &provider, &name, &etag).await?;
        request.named().0.clone_from(&target.name);
        self.engine.write(draft, provider, &request, target).await
    }

    /// The service that a write is about; for a request id that is known, as it was then.
    async fn target(
        &self,
        draft: &Draft<'_>,
        call: &Call,
        provider: &Provider,
        name: &ServiceName,
        etag: &str,
    ) -> Result<Target> {
        let given = name.to_string();
        if let Some(known) = draft.known.as_ref().filter(|known| known.target == given) {
            return Ok(Target { name: known.target.clone(), ..Target::default() });
        }
        let found = self.engine.find_service(call, provider, name).await;
        let found = found.map_err(|error| about(error, &given))?;
        let target = Target {
            name: found.name.clone(),
            upstream_ids: vec![found.upstream_id.clone()],
            exclusive: vec![found.name.clone()],
        };
        if draft.known.is_none() && !etag.is_empty() {
            let present = self.engine.show_service(provider, name.provider(), found).await?;
            check_etag(&present.name, etag, &present.etag)?;
        }
        Ok(target)
    }
}

impl Engine {
    /// A service as a caller sees it.
    ///
    /// # Errors
    ///
    /// SERVICE_NOT_FOUND where our records are all there is and have none; STORE_UNAVAILABLE.
    pub(super) async fn show_service(
        &self,
        provider: &Provider,
        parent: &ProviderName,
        found: FoundService,
    ) -> Result<Service> {
        let record = self.service_record(provider.id(), &found.upstream_id).await?;
        match (found.live, record) {
            (Some(live), record) => {
                let live = self.with_our_order(provider, parent, live).await?;
                let shown = overlaid(live, record);
                Ok(if shown.etag.is_empty() { etag::seal(shown) } else { shown })
            }
            (None, Some(record)) => Ok(recorded(record)),
            (None, None) => {
                let message = format!("there is no {} on record", found.name);
                let error = Error::new(ErrorReason::ServiceNotFound, message);
                let error = naming(provider, error).with_metadata("resource", found.name);
                Err(self.absent(error))
            }
        }
    }

    /// The service with the one name of the order that it came from.
    pub(super) async fn with_our_order(
        &self,
        provider: &Provider,
        parent: &ProviderName,
        service: Service,
    ) -> Result<Service> {
        if service.order.is_empty() {
            return Ok(service);
        }
        let order = self.order_named(provider, parent, &service.order).await?;
        Ok(Service { order: order.map_or(service.order, |found| found.name), ..service })
    }

    /// The order that a name, ours or the upstream's, stands for; `None` for what is no order's name.
    pub(super) async fn order_named(
        &self,
        provider: &Provider,
        parent: &ProviderName,
        name: &str,
    ) -> Result<Option<Found>> {
        let Ok(name) = name.parse::<purveyor_sdk::names::OrderName>() else { return Ok(None) };
        if name.provider() != parent {
            return Ok(None);
        }
        let found = self.find_made::<purveyor_sdk::v1::Order>(provider, parent, name.id()).await?;
        Ok(Some(found))
    }
}

/// A write that names a service and says nothing more of it.
trait Act: WriteRequest {
    /// The name and the etag.
    fn named(&mut self) -> (&mut String, &mut String);
}

macro_rules! acts {
    ($($request:ident),*) => {$(
        impl Act for $request {
            fn named(&mut self) -> (&mut String, &mut String) {
                (&mut self.name, &mut self.etag)
            }
        }
    )*};
}

acts!(SuspendServiceRequest, ResumeServiceRequest, TerminateServiceRequest);
