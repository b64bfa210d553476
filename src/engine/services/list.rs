//! How services are listed: from the upstream with what only we know, or from our records.

use purveyor_sdk::names::{OrderName, ServiceName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{ErrorReason, ListServicesRequest, ListServicesResponse, Service};
use purveyor_sdk::{Error, Result};

use crate::engine::Engine;
use crate::engine::listing::{ListRequest, Page, PageOf};
use crate::engine::naming::{Source, plugin_told};
use crate::engine::reading::read;
use crate::engine::records::{overlaid, recorded};

/// One page of one provider's services.
///
/// # Errors
///
/// PAGE_TOKEN_INVALID, STORE_UNAVAILABLE, and those of the provider.
pub(super) async fn page(
    engine: &Engine,
    page: PageOf,
    request: &ListServicesRequest,
) -> Result<Page<Service>> {
    let cursor = String::from_utf8(page.cursor.clone()).map_err(|error| {
        Error::new(ErrorReason::PageTokenInvalid, "the token is not of this list")
            .with_source(error)
    })?;
    let mut filter = request.clone();
    let mut upstream_order = String::new();
    if !request.order.is_empty() {
        // Whichever of its names the caller has: rows are compared by the canonical one.
        if let Some(found) = engine.order_named(&page.provider, &page.name, &request.order).await? {
            filter.order = found.name;
            // The rows of an order that is several upstream objects are picked out of all rows.
            if let [id] = found.upstream_ids.as_slice() {
                upstream_order = OrderName::new(page.name.clone(), id.as_str())
                    .map(|name| name.to_string())
                    .unwrap_or_default();
            }
        }
    }
    match page.source {
        Source::Records => from_records(engine, &page, cursor, &filter).await,
        Source::Upstream => {
            let asked = ListServicesRequest {
                order: upstream_order,
                ..filter.for_page(page.name.to_string(), page.size, cursor)
            };
            from_upstream(engine, &page, asked, &filter).await
        }
    }
}

async fn from_upstream(
    engine: &Engine,
    page: &PageOf,
    asked: ListServicesRequest,
    filter: &ListServicesRequest,
) -> Result<Page<Service>> {
    let response: ListServicesResponse =
        read(&page.provider, Op::ListServices, &asked, &[], page.deadline).await?;
    let mut rows = Vec::with_capacity(response.services.len());
    for live in response.services {
        let id =
            live.upstream.as_ref().map(|upstream| upstream.id().to_owned()).unwrap_or_default();
        let name = if id.is_empty() {
            live.name.clone()
        } else {
            ServiceName::new(page.name.clone(), id.as_str())
                .map_err(|error| plugin_told(&page.provider, "service", &error))?
                .to_string()
        };
        let live = Service { name, ..live };
        let live = engine.with_our_order(&page.provider, &page.name, live).await?;
        let record = engine.service_record(page.provider.id(), &id).await?;
        let row = overlaid(live, record);
        rows.extend(matches(&row, filter).then_some(row));
    }
    let next =
        (!response.next_page_token.is_empty()).then(|| response.next_page_token.into_bytes());
    Ok(Page { rows, next })
}

async fn from_records(
    engine: &Engine,
    page: &PageOf,
    after: String,
    filter: &ListServicesRequest,
) -> Result<Page<Service>> {
    let records = engine.service_records(page.provider.id(), &after, page.size).await?;
    let last = records.last().map(|record| record.upstream_id.clone());
    let next = last.filter(|_| records.len() == page.size).map(String::into_bytes);
    let rows = records.into_iter().map(recorded).filter(|row| matches(row, filter)).collect();
    Ok(Page { rows, next })
}

/// Whether a service passes the filters. What is not told passes no filter that asks for it.
fn matches(service: &Service, filter: &ListServicesRequest) -> bool {
    let same = |wanted: &str, told: &str| wanted.is_empty() || wanted == told;
    let expires_before = filter.expire_before.as_ref().is_none_or(|before| {
        let expiry = service.expire_time.as_ref();
        expiry.is_some_and(|it| (it.seconds, it.nanos) < (before.seconds, before.nanos))
    });
    expires_before
        && (filter.states.is_empty() || filter.states.contains(&service.state))
        && same(&filter.product, &service.product)
        && same(&filter.order, &service.order)
        && same(&filter.order_item, &service.order_item)
        && same(&filter.customer, &service.customer)
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use purveyor_sdk::v1::service::State;

    use super::{ListServicesRequest, Service, matches};

    #[test]
    fn filters() {
        fn check(change: impl FnOnce(&mut ListServicesRequest), expected: bool) {
            let service = Service {
                state: State::Active.into(),
                product: "providers/a/products/vps".to_owned(),
                order: "providers/a/orders/1".to_owned(),
                expire_time: Some(Timestamp { seconds: 100, nanos: 5 }),
                ..Service::default()
            };
            let mut filter = ListServicesRequest::default();
            change(&mut filter);
            assert_eq!(matches(&service, &filter), expected, "{filter:?}");
        }
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        check(|_| {}, true);
        check(|it| it.states = vec![State::Active.into()], true);
        check(|it| it.states = vec![State::Suspended.into()], false);
        check(|it| it.product = "providers/a/products/vps".to_owned(), true);
        check(|it| it.order = "providers/a/orders/2".to_owned(), false);
        check(|it| it.customer = "7".to_owned(), false);
        check(|it| it.expire_before = at(100, 6), true);
        check(|it| it.expire_before = at(100, 5), false);
    }
}
