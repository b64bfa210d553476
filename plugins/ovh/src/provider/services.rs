//! Services: by number, by name, and as a list. A list shows numbers; each row in full costs two calls
//! of about sixty a minute, so a full page is short.

use purveyor_sdk::names::{self, ServiceName};
use purveyor_sdk::rows::{self, Gaps};
use purveyor_sdk::v1::{
    ErrorReason, ListServicesRequest, ListServicesResponse, ListView, Service, UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Level, Result, page};

use super::Ovh;
use crate::error;
use crate::model::{self, Infos, segments};

/// The most rows of a page that is read in full.
const FULL_ROWS: i32 = 10;

/// Where a service stands.
const SERVICE: &str = "/service/{serviceId}";

pub(super) async fn list(
    ovh: &Ovh,
    cx: &Cx,
    request: &ListServicesRequest,
) -> Result<ListServicesResponse> {
    let ids = ovh.client.services(cx).await?;
    let filtered = !request.states.is_empty()
        || !request.customer.is_empty()
        || request.expire_before.is_some();
    let full = request.view() == ListView::Full || filtered;
    let size = match (full, request.page_size) {
        (true, size) if size <= 0 || size > FULL_ROWS => {
            page::size(size)?;
            FULL_ROWS
        }
        (_, size) => size,
    };
    let (ids, next_page_token) = page::of(ids, size, &request.page_token)?;
    let mut services = Vec::with_capacity(ids.len());
    for id in ids {
        let row = if full { ovh.full(cx, id).await } else { ovh.brief(id) };
        let known = |gaps: &Gaps| Ok(Service { notices: gaps.notices(), ..ovh.brief(id)? });
        let Some(row) = rows::shown(SERVICE, row, known)? else { continue };
        if rows::is_incomplete(&row.notices) {
            // What it does not tell leaves it out of no filter.
            services.push(row);
            continue;
        }
        let wanted = request.states.is_empty() || request.states.contains(&row.state);
        let in_time = request.expire_before.is_none_or(|before| {
            row.expire_time
                .is_some_and(|end| (end.seconds, end.nanos) < (before.seconds, before.nanos))
        });
        // The upstream knows neither products nor the orders and customers of its services.
        let known =
            request.product.is_empty() && request.order.is_empty() && request.customer.is_empty();
        if wanted && in_time && known {
            services.push(row);
        }
    }
    Ok(ListServicesResponse { services, next_page_token, ..ListServicesResponse::default() })
}

pub(super) async fn get(ovh: &Ovh, cx: &Cx, name: &str) -> Result<Service> {
    let told = match cx.upstream_id() {
        "" => name.parse::<ServiceName>().map_err(|error| error.field("name"))?.id().to_owned(),
        id => id.to_owned(),
    };
    let id = ovh.resolved(cx, &told, name).await?;
    error::missing(ovh.full(cx, id).await, || Error::service_not_found(name))
}

impl Ovh {
    /// The number that a service's name stands for: itself, or what serviceInfos tells of an alias.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for what is no name; SERVICE_NOT_FOUND.
    pub(super) async fn service_id(&self, cx: &Cx, name: &str, field: &str) -> Result<i64> {
        let parsed = name.parse::<ServiceName>().map_err(|error| error.field(field))?;
        if *parsed.provider() != self.name {
            return Err(Error::service_not_found(name));
        }
        self.resolved(cx, parsed.id(), name).await
    }

    async fn resolved(&self, cx: &Cx, id: &str, name: &str) -> Result<i64> {
        if let Some(id) = names::counted(id) {
            return Ok(id);
        }
        let route = match segments(id).as_slice() {
            [one] => vec!["vps".to_owned(), one.clone()],
            several => several.to_vec(),
        };
        if !matches!(route.len(), 2 | 3) || route.iter().any(|it| matches!(it.as_str(), "." | ".."))
        {
            return Err(Error::service_not_found(name));
        }
        let infos = self.client.infos(cx, &route).await;
        let infos = error::missing(infos, || Error::service_not_found(name))?;
        Ok(infos.service_id)
    }

    /// A service as it is read one by one. The service itself tells the most; what its serviceInfos do not
    /// tell is a gap.
    pub(super) async fn full(&self, cx: &Cx, id: i64) -> Result<Service> {
        let service = self.client.service(cx, id).await?;
        let mut gaps = Gaps::default();
        let infos = self.infos_of(cx, &service).await;
        let infos = gaps.keep_alone("serviceInfos", infos)?;
        self.service_with(id, &service, infos.as_ref(), gaps)
    }

    /// serviceInfos of a service; `None` for kinds that have none, and where the consumer key may not
    /// ask: the service itself still tells the most.
    pub(super) async fn infos_of(
        &self,
        cx: &Cx,
        service: &model::Service,
    ) -> Result<Option<Infos>> {
        let route = service.route();
        if !matches!(route.len(), 2 | 3) {
            return Ok(None);
        }
        match self.client.infos(cx, &route).await {
            Ok(infos) => Ok(Some(infos)),
            Err(error) if error.reason == ErrorReason::ServiceNotFound => Ok(None),
            Err(error) if error::is_not_granted(&error) => {
                let message =
                    "the consumer key may not ask for serviceInfos of this kind of service";
                cx.log(Level::WARN, message);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn brief(&self, id: i64) -> Result<Service> {
        let upstream = Some(UpstreamRef::of(id.to_string()));
        Ok(Service { name: self.name.service(id)?, upstream, ..Service::default() })
    }
}
