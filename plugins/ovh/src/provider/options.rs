//! The ways to renew a service, and the one that a request means. A way that is not offered is refused
//! before anything is posted.

use std::collections::BTreeMap;

use purveyor_sdk::names;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    ErrorReason, ListRenewalOptionsRequest, ListRenewalOptionsResponse, RenewalOption, ServiceRef,
};
use purveyor_sdk::{Cx, Error, Period, Result, page};

use super::Ovh;
use super::declare::{AUTO_RENEWS, notice};
use crate::error;
use crate::model::{self, Strategy, notices, price, term_of, to_struct};

/// Members of a strategy that have a field of their own; `priceInUcents` is the price once more.
const MAPPED: &[&str] = &["services", "servicesDetails", "price", "priceInUcents"];

/// Services by number, with their present end.
type Known = BTreeMap<i64, (model::Service, Option<Timestamp>)>;

pub(super) async fn list(
    ovh: &Ovh,
    cx: &Cx,
    request: &ListRenewalOptionsRequest,
) -> Result<ListRenewalOptionsResponse> {
    let id = match names::counted(cx.upstream_id()) {
        Some(id) => id,
        None => ovh.service_id(cx, &request.parent, "parent").await?,
    };
    let found = ovh.client.strategies(cx, id, request.include_options).await;
    let found = error::missing(found, || Error::service_not_found(&request.parent))?;
    let known = ovh.services_of(cx, &found).await?;
    let rows = found.iter().map(|strategy| ovh.option(strategy, &known));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let (renewal_options, next_page_token) =
        page::of(rows, request.page_size, &request.page_token)?;
    Ok(ListRenewalOptionsResponse { renewal_options, next_page_token })
}

impl Ovh {
    /// Every service of these strategies, by its own listing: its name for people and its present end.
    async fn services_of(&self, cx: &Cx, strategies: &[Strategy]) -> Result<Known> {
        let mut known = Known::new();
        for id in strategies.iter().flat_map(|strategy| &strategy.services) {
            if known.contains_key(id) {
                continue;
            }
            let service = match self.client.service(cx, *id).await {
                Ok(service) => service,
                // It is renewed with another one and is no service of its own.
                Err(error) if error.reason == ErrorReason::ServiceNotFound => continue,
                Err(error) => return Err(error),
            };
            let end = self.expiry_now(cx, &service).await?;
            known.insert(*id, (service, end));
        }
        Ok(known)
    }

    fn option(&self, strategy: &Strategy, known: &Known) -> Result<RenewalOption> {
        let (amount, at) = (strategy.price.as_ref(), format!("{}.price", strategy.at));
        let wrong = notices(&[(amount, &at)]);
        Ok(RenewalOption {
            term: Some(term_of(&strategy.period)),
            services: self.references(strategy, known)?,
            price: price(amount, &at, Tax::Unspecified),
            notices: [notice(AUTO_RENEWS)].into_iter().chain(wrong).collect(),
            attributes: Some(to_struct(&strategy.members, MAPPED)),
        })
    }

    /// The services of a strategy, in its order, each with what its details and its own listing tell.
    fn references(&self, strategy: &Strategy, known: &Known) -> Result<Vec<ServiceRef>> {
        let reference = |id: &i64| {
            let detail = strategy.details.iter().find(|detail| detail.service_id == *id);
            let (service, end) = known.get(id).map(|(service, end)| (service, *end)).unzip();
            let own = service.and_then(model::Service::shown_name).map(str::to_owned);
            let listed = detail.and_then(|it| it.service_name.clone());
            Ok(ServiceRef {
                service: self.name.service(id)?,
                service_type: detail.and_then(|it| it.service_type.clone()).unwrap_or_default(),
                display_name: own.or(listed).unwrap_or_default(),
                expected_expire_time: end.flatten(),
                ..ServiceRef::default()
            })
        };
        strategy.services.iter().map(reference).collect()
    }

    /// The strategy that renews exactly these services for this period.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `renewal.term` for a period that is not offered, of `renewal.services` for
    /// services that are not offered together.
    pub(super) async fn chosen(
        &self,
        cx: &Cx,
        service: i64,
        services: &[i64],
        period: Period,
    ) -> Result<Strategy> {
        let all = self.client.strategies(cx, service, true).await?;
        let mut of_period = all.into_iter().filter(|strategy| strategy.is_of(period)).peekable();
        if of_period.peek().is_none() {
            return Err(Error::field("renewal.term", "is not among the ways to renew the service"));
        }
        of_period.find(|strategy| strategy.renews(services)).ok_or_else(|| {
            let message = "are not renewed together: the upstream offers other combinations";
            Error::field("renewal.services", message)
        })
    }
}
