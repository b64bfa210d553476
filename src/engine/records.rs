//! Services on record: what was adopted, bought here or acted upon. Beside what the upstream tells
//! they hold what only we know; where it tells nothing they are all there is.

use purveyor_sdk::etag;
use purveyor_sdk::names::ServiceName;
use purveyor_sdk::plugin::v1::{Op, resource};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{Order, OrderItem, Price, Service, UpstreamRef};

use super::Engine;
use crate::store::operation::Operation;
use crate::store::{ServiceRecord, StoreError};

impl Engine {
    /// Puts on record what an operation tells of services: those that an order became, and the one
    /// that was changed.
    ///
    /// May be repeated. To be called before the operation's success is committed, so that no crash
    /// comes between the two; what is on record for an operation that was then not committed is put
    /// there again by the same operation.
    ///
    /// # Errors
    ///
    /// When the record cannot be read or written.
    pub async fn record_services(&self, operation: &Operation) -> Result<(), StoreError> {
        for service in services_of(operation) {
            let Some(upstream) = service.upstream.clone().filter(|it| !it.id.is_empty()) else {
                continue;
            };
            let before = self.store().service(&operation.provider, &upstream.id).await?;
            let known = before.as_ref().map(|record| record.service.clone());
            let service = merged(known.clone().unwrap_or_default(), service);
            if known.as_ref() == Some(&service) {
                continue;
            }
            let record = ServiceRecord {
                provider: operation.provider.clone(),
                upstream_id: upstream.id,
                operation: before.map_or(operation.request_id, |record| record.operation),
                service,
            };
            self.store().put_service(record).await?;
        }
        Ok(())
    }
}

/// The services that an operation tells something of.
fn services_of(operation: &Operation) -> Vec<Service> {
    let seen = operation.view.as_ref().and_then(|view| view.kind.as_ref());
    match (operation.op, seen) {
        (Op::CreateOrder, Some(resource::Kind::Order(order))) => {
            let items = order.items.iter();
            items.flat_map(|item| bought(operation, order, item)).collect()
        }
        (
            Op::UpdateService | Op::SuspendService | Op::ResumeService | Op::TerminateService,
            seen,
        ) if operation.state == State::Succeeded => {
            let told = match seen {
                Some(resource::Kind::Service(service)) => service.clone(),
                _ => Service::default(),
            };
            vec![acted_on(operation, told)]
        }
        _ => Vec::new(),
    }
}

fn bought<'a>(
    operation: &'a Operation,
    order: &'a Order,
    item: &'a OrderItem,
) -> impl Iterator<Item = Service> + 'a {
    let delivered = item.state() == OrderState::Completed;
    item.services.iter().filter_map(move |name| {
        let parsed: ServiceName = name.parse().ok()?;
        let upstream = UpstreamRef { id: parsed.id().to_owned(), ..UpstreamRef::default() };
        let state = if delivered { ServiceState::Active } else { ServiceState::Unspecified };
        Some(Service {
            name: name.clone(),
            upstream: Some(upstream),
            state: state.into(),
            product: item.product.clone(),
            order: operation.target.clone(),
            order_item: item.id.clone(),
            customer: order.customer.clone(),
            partner: order.partner.clone(),
            display_name: item.display_name.clone(),
            quantity: item.quantity,
            term: item.term.clone(),
            price: told_price(item),
            start_date: item.start_date,
            next_due_date: item.next_due_date,
            annotations: order.annotations.clone(),
            ..Service::default()
        })
    })
}

/// What a term costs where the caller told it to the upstream, which cannot be asked for it. Whether tax
/// is in it, nobody has said.
fn told_price(item: &OrderItem) -> Option<Price> {
    let amount = item.pricing.as_ref()?.recurring_amount.clone()?;
    Some(Price::of(amount, Tax::Unspecified))
}

fn acted_on(operation: &Operation, told: Service) -> Service {
    let state = match (told.state(), operation.op) {
        (ServiceState::Unspecified, Op::SuspendService) => ServiceState::Suspended,
        (ServiceState::Unspecified, Op::ResumeService) => ServiceState::Active,
        (ServiceState::Unspecified, Op::TerminateService) => ServiceState::Terminated,
        (told, _) => told,
    };
    let upstream =
        UpstreamRef { id: operation.upstream_target.clone(), ..told.upstream.unwrap_or_default() };
    Service {
        name: operation.target.clone(),
        upstream: Some(upstream),
        state: state.into(),
        ..told
    }
}

/// What is new over what was on record; what is not told stays.
pub(super) fn merged(before: Service, told: Service) -> Service {
    let text = |told: String, before: String| if told.is_empty() { before } else { told };
    let state = if told.state == 0 { before.state } else { told.state };
    let mut annotations = before.annotations;
    annotations.extend(told.annotations);
    Service {
        aliases: if told.aliases.is_empty() { before.aliases } else { told.aliases },
        state,
        upstream: told.upstream.or(before.upstream),
        product: text(told.product, before.product),
        service_type: text(told.service_type, before.service_type),
        order: text(told.order, before.order),
        order_item: text(told.order_item, before.order_item),
        customer: text(told.customer, before.customer),
        partner: text(told.partner, before.partner),
        display_name: text(told.display_name, before.display_name),
        quantity: if told.quantity == 0 { before.quantity } else { told.quantity },
        term: told.term.or(before.term),
        price: told.price.or(before.price),
        renewal_policy: told.renewal_policy.or(before.renewal_policy),
        create_time: told.create_time.or(before.create_time),
        expire_time: told.expire_time.or(before.expire_time),
        next_due_date: told.next_due_date.or(before.next_due_date),
        start_date: told.start_date.or(before.start_date),
        actions: if told.actions.is_empty() { before.actions } else { told.actions },
        endpoints: if told.endpoints.is_empty() { before.endpoints } else { told.endpoints },
        annotations,
        attributes: told.attributes.or(before.attributes),
        notices: if told.notices.is_empty() { before.notices } else { told.notices },
        name: told.name,
        recorded_only: false,
        etag: String::new(),
    }
}

/// A service of which our record is all that is known.
pub(super) fn recorded(record: ServiceRecord) -> Service {
    etag::seal(Service { recorded_only: true, ..record.service })
}

/// What the upstream tells, with what only our record knows.
pub(super) fn overlaid(mut live: Service, record: Option<ServiceRecord>) -> Service {
    let name = live.name.clone();
    live.aliases.retain(|alias| *alias != name);
    if let Some(record) = record {
        let ours = record.service;
        for (told, ours) in [
            (&mut live.order, ours.order),
            (&mut live.order_item, ours.order_item),
            (&mut live.product, ours.product),
        ] {
            if told.is_empty() {
                *told = ours;
            }
        }
        live.annotations.extend(ours.annotations);
    }
    live
}

#[cfg(test)]
mod tests;
